//! The book of refusals: how often whom, with which code, and the last sentence.

use clawmesh_authority::{Code, Refusal};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// Pages of the book; senders beyond them share one.
pub const PAGES_MAX: usize = 256;

/// The sender under which refusals are counted that have no page of their own.
pub const OTHERS: &str = "others";

/// How often one sender was refused with one code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct RefusalTally {
    /// The code.
    #[n(0)]
    pub code: Code,
    /// The sender.
    #[n(1)]
    pub from: String,
    /// How often.
    #[n(2)]
    pub count: u64,
    /// The last sentence.
    #[n(3)]
    pub sentence: String,
    /// The tick of the last one.
    #[n(4)]
    pub tick: u64,
}

/// All tallies, sorted by code and sender.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, Encode, Decode)]
pub struct RefusalBook {
    #[n(0)]
    tallies: Vec<RefusalTally>,
}

impl RefusalBook {
    /// Counts `refusal` `count` times; gives its page when that is new, or its count has grown to another power of two.
    pub fn enter(&mut self, mut refusal: Refusal, count: u64, tick: u64) -> Option<&RefusalTally> {
        let found = |book: &Self, from: &str| {
            book.tallies
                .binary_search_by(|tally| (tally.code, tally.from.as_str()).cmp(&(refusal.code, from)))
        };
        let mut place = found(self, &refusal.from);
        if place.is_err() && self.tallies.len() >= PAGES_MAX {
            place = found(self, OTHERS);
            refusal.sentence = format!("{}: {}", refusal.from, refusal.sentence);
            OTHERS.clone_into(&mut refusal.from);
        }
        let Refusal { code, from, sentence } = refusal;
        match place {
            Ok(at) => {
                let tally = &mut self.tallies[at];
                let before = tally.count;
                tally.count = before.saturating_add(count);
                (tally.sentence, tally.tick) = (sentence, tick);
                (before.checked_ilog2() < tally.count.checked_ilog2()).then_some(&*tally)
            }
            Err(at) => {
                self.tallies.insert(at, RefusalTally { code, from, count, sentence, tick });
                self.tallies.get(at)
            }
        }
    }

    /// The tallies, sorted by code and sender.
    #[must_use]
    pub fn tallies(&self) -> &[RefusalTally] {
        &self.tallies
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_refusal_is_counted_and_the_book_stays_bounded(
            senders in prop::collection::vec((0_u16..400, 1_u64..9), 0..900),
        ) {
            let mut book = RefusalBook::default();
            let mut sum = 0;
            for (sender, count) in senders {
                sum += count;
                book.enter(Refusal::new(Code::Replayed, sender, "again"), count, 1);
            }
            prop_assert_eq!(book.tallies().iter().map(|tally| tally.count).sum::<u64>(), sum);
            prop_assert!(book.tallies().len() <= PAGES_MAX + Code::ALL.len());
            prop_assert!(book.tallies().is_sorted_by(|a, b| (a.code, &a.from) < (b.code, &b.from)));
        }
    }

    #[test]
    fn a_page_is_told_when_it_is_opened_and_when_its_count_has_doubled() {
        let mut book = RefusalBook::default();
        let mut told =
            |count| book.enter(Refusal::new(Code::Busy, "pump", "x"), count, 1).map(|page| page.count);
        let counts: Vec<u64> = (0..100).filter_map(|_| told(1)).collect();
        assert_eq!(counts, [1, 2, 4, 8, 16, 32, 64]);
        assert_eq!(told(1_000), Some(1_100));
        assert_eq!(told(0), None);
    }

    #[test]
    fn the_last_sentence_stands() {
        let mut book = RefusalBook::default();
        book.enter(Refusal::new(Code::Busy, "pump", "first"), 1, 5);
        book.enter(Refusal::new(Code::Busy, "pump", "second"), 2, 9);
        let tally = &book.tallies()[0];
        assert_eq!((tally.count, tally.sentence.as_str(), tally.tick), (3, "second", 9));
    }
}
