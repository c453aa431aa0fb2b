//! Refusals, counted by code and sender until they are told, in bounded memory.

use std::collections::BTreeMap;

use clawmesh_authority::{Code, Refusal};

/// Pairs of code and sender; those of further senders are counted together as `others`.
const KEYS_MAX: usize = 256;

/// The longest sender or sentence that is kept, in bytes; both may come from outside.
const TEXT_BYTES_MAX: usize = 400;

/// Counts refusals.
#[derive(Debug, Default)]
pub struct RefusalTally {
    counts: BTreeMap<(Code, String), (String, u64)>,
}

impl RefusalTally {
    /// Counts `count` more refusals like this one, whose sentence replaces the one before.
    pub fn add(&mut self, refusal: Refusal, count: u64) {
        let Refusal { code, from, sentence } = refusal;
        let mut key = (code, shortened(from));
        if self.counts.len() >= KEYS_MAX && !self.counts.contains_key(&key) {
            key.1 = "others".to_owned();
        }
        let entry = self.counts.entry(key).or_default();
        entry.0 = shortened(sentence);
        entry.1 = entry.1.saturating_add(count);
    }

    /// Takes at most `max` of them; the rest waits for the next time.
    pub fn take(&mut self, max: usize) -> Vec<(Refusal, u64)> {
        let take_one = |_| self.counts.pop_first();
        (0..max)
            .map_while(take_one)
            .map(|((code, from), (sentence, count))| (Refusal { code, from, sentence }, count))
            .collect()
    }
}

fn shortened(mut text: String) -> String {
    if text.len() > TEXT_BYTES_MAX {
        let end = (0..=TEXT_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refusal(from: &str, sentence: &str) -> Refusal {
        Refusal::new(Code::Replayed, from, sentence)
    }

    #[test]
    fn refusals_of_one_sender_are_one_row_with_the_last_sentence() {
        let mut tally = RefusalTally::default();
        tally.add(refusal("a", "first"), 1);
        tally.add(refusal("b", "first"), 1);
        tally.add(refusal("a", "last"), 2);
        assert_eq!(tally.take(1), [(refusal("a", "last"), 3)]);
        assert_eq!(tally.take(9), [(refusal("b", "first"), 1)]);
        assert_eq!(tally.take(9), []);
    }

    #[test]
    fn texts_from_outside_are_cut_between_characters() {
        let mut tally = RefusalTally::default();
        tally.add(refusal(&"ü".repeat(900), "x"), 1);
        let (told, _) = tally.take(1).remove(0);
        assert!(told.from.len() <= TEXT_BYTES_MAX + '…'.len_utf8() && told.from.ends_with("ü…"));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_the_memory_is_bounded(senders in prop::collection::vec(0_u16..600, 0..2_000)) {
            let mut tally = RefusalTally::default();
            for sender in &senders {
                tally.add(refusal(&sender.to_string(), "no"), 1);
            }
            prop_assert!(tally.counts.len() <= KEYS_MAX + 1);
            let told: u64 = tally.take(10_000).iter().map(|(_, count)| count).sum();
            prop_assert_eq!(told, senders.len() as u64);
        }
    }
}
