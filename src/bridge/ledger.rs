//! What one node has delivered to us on the state lane: committed, on its way to the journal, or neither.

use std::collections::VecDeque;

use clawmesh_authority::{Admission, Body, LaneMark, Statement};

/// Statements that may be on their way to the journal: a full window of deliveries. It bounds what can no longer be heard
/// when its source is not trusted any more.
const IN_FLIGHT_MAX: usize = 2_048;

/// Where a statement stands on the lane of its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The run of its source.
    pub epoch: u64,
    /// The sequence of the first frame it holds.
    pub first: u64,
    /// The sequence of the last one.
    pub last: u64,
    /// The frame it follows, if it says so; `None` follows nothing of the run.
    pub after: Option<Option<u64>>,
}

impl Place {
    /// Where `statement` stands.
    pub fn of(statement: &Statement) -> Self {
        let (epoch, last) = (statement.epoch, statement.sequence);
        match &statement.body {
            Body::Frames(bundle) => {
                let first = bundle.frames.first().map_or(last, |said| said.sequence);
                Self { epoch, first, last, after: Some(bundle.after) }
            }
            _ => Self { epoch, first: last, last, after: None },
        }
    }
}

/// What to do with one more statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// New, and next: offer it to the inbox. It is in flight now.
    Offer,
    /// At least its first frame was heard: the journal holds the lane up to this sequence of the same run. Answer with a
    /// receipt for that, and the source goes on from there.
    Held(u64),
    /// It, or something it has to come after, is on its way or has not come: ask again.
    NotYet,
    /// Of an earlier run than what was heard or is on its way.
    Replayed,
}

/// The deliveries of one node.
///
/// Many may be in flight, each of which says that it follows the one before: if one is refused, all that come after it are,
/// or the refused one would look like a replay for ever. What says of nothing that it follows it is taken alone. What is in
/// flight reaches the journal in order, and when one does not reach it, no later one does: so the journal works.
#[derive(Debug, Default)]
pub struct Ledger {
    committed: LaneMark,
    /// By epoch and last sequence; all of one epoch, as frames of two runs in one tick would not keep their order.
    in_flight: VecDeque<(u64, u64)>,
}

impl Ledger {
    /// Continues from the mark of an earlier run.
    pub fn restored(committed: LaneMark) -> Self {
        Self { committed, in_flight: VecDeque::new() }
    }

    /// Judges a statement without taking it.
    pub fn judge(&self, place: Place) -> Claim {
        let Place { epoch, first, last, after } = place;
        let heard = self.heard();
        if let Some((of, held)) = heard
            && of == epoch
            && first <= held
        {
            return Claim::Held(held);
        }
        let flying = self.in_flight.back().copied();
        let is_older = flying.is_some_and(|(of, _)| epoch < of);
        // The last number there is counts as heard.
        if is_older || self.committed.judge(epoch, last) == Admission::Replayed {
            return Claim::Replayed;
        }
        if flying.is_some_and(|(of, _)| of != epoch) {
            return Claim::NotYet;
        }
        let end = flying.or(heard);
        let end = end.filter(|(of, _)| *of == epoch).map(|(_, sequence)| sequence);
        let is_next = match after {
            Some(after) => after <= end && end < Some(first),
            None => self.in_flight.is_empty(),
        };
        if is_next && self.in_flight.len() < IN_FLIGHT_MAX { Claim::Offer } else { Claim::NotYet }
    }

    /// Judges a statement; after [`Claim::Offer`] it is in flight.
    pub fn claim(&mut self, place: Place) -> Claim {
        let claim = self.judge(place);
        if claim == Claim::Offer {
            self.in_flight.push_back((place.epoch, place.last));
        }
        claim
    }

    /// The journal holds it.
    pub fn commit(&mut self, epoch: u64, last: u64) {
        self.release(epoch, last);
        self.committed.admit(epoch, last);
    }

    /// It did not reach the journal.
    pub fn release(&mut self, epoch: u64, last: u64) {
        // Nearly always it is the first.
        if self.in_flight.front() == Some(&(epoch, last)) {
            self.in_flight.pop_front();
        } else {
            self.in_flight.retain(|flying| *flying != (epoch, last));
        }
    }

    /// The last (epoch, sequence) the journal holds.
    pub fn heard(&self) -> Option<(u64, u64)> {
        self.committed.next.checked_sub(1).map(|sequence| (self.committed.epoch, sequence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn alone(epoch: u64, sequence: u64) -> Place {
        Place { epoch, first: sequence, last: sequence, after: None }
    }

    fn row(epoch: u64, after: Option<u64>, first: u64, last: u64) -> Place {
        Place { epoch, first, last, after: Some(after) }
    }

    #[test]
    fn a_delivery_is_offered_once_and_answered_as_often_as_asked() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.heard(), None);
        assert_eq!(ledger.claim(alone(1, 0)), Claim::Offer);
        assert_eq!(ledger.claim(alone(1, 0)), Claim::NotYet);
        assert_eq!(ledger.claim(alone(1, 1)), Claim::NotYet);
        ledger.commit(1, 0);
        assert_eq!(ledger.claim(alone(1, 0)), Claim::Held(0));
        assert_eq!(ledger.heard(), Some((1, 0)));
        assert_eq!(ledger.claim(alone(1, 7)), Claim::Offer);
    }

    #[test]
    fn many_are_in_flight_when_each_says_what_it_follows() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.claim(row(1, Some(3), 4, 5)), Claim::NotYet, "3 was never heard");
        assert_eq!(ledger.claim(row(1, None, 4, 5)), Claim::Offer);
        assert_eq!(ledger.claim(row(1, Some(6), 7, 7)), Claim::NotYet, "6 is missing");
        assert_eq!(ledger.claim(row(1, Some(5), 9, 11)), Claim::Offer, "there is nothing between 5 and 9");
        assert_eq!(ledger.claim(row(1, Some(5), 9, 11)), Claim::NotYet);
        ledger.commit(1, 5);
        assert_eq!(ledger.claim(row(1, Some(11), 12, 12)), Claim::Offer);
        ledger.commit(1, 11);
        assert_eq!(ledger.claim(row(1, Some(5), 9, 11)), Claim::Held(11));
        assert_eq!(ledger.claim(row(1, Some(5), 9, 14)), Claim::Held(11), "packed anew, with more behind it");
        assert_eq!(ledger.claim(row(1, None, 12, 13)), Claim::NotYet, "12 is on its way");
    }

    #[test]
    fn runs_do_not_mix_on_their_way_to_the_journal() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.claim(row(2, None, 4, 5)), Claim::Offer);
        assert_eq!(
            ledger.claim(row(3, None, 0, 3)),
            Claim::NotYet,
            "what runs before it is still on its way"
        );
        assert_eq!(
            ledger.claim(row(1, None, 6, 9)),
            Claim::Replayed,
            "an earlier run than what is on its way"
        );
        ledger.commit(2, 5);
        assert_eq!(ledger.claim(row(3, None, 0, 3)), Claim::Offer, "a later run follows nothing");
        assert_eq!(ledger.claim(row(2, Some(5), 6, 6)), Claim::Replayed);
        assert_eq!(ledger.claim(row(2, None, 4, 5)), Claim::Held(5), "it was heard, and nothing later yet");
        ledger.commit(3, 3);
        assert_eq!(ledger.claim(row(2, None, 4, 5)), Claim::Replayed);
    }

    #[test]
    fn what_comes_after_a_refused_one_is_refused_until_it_has_come() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.claim(row(1, None, 0, 0)), Claim::Offer);
        assert_eq!(ledger.claim(row(1, Some(0), 1, 1)), Claim::Offer);
        ledger.release(1, 1);
        assert_eq!(ledger.claim(row(1, Some(1), 2, 2)), Claim::NotYet);
        assert_eq!(ledger.claim(row(1, Some(0), 1, 1)), Claim::Offer);
        assert_eq!(ledger.claim(row(1, Some(1), 2, 2)), Claim::Offer);
    }

    #[test]
    fn what_never_reached_the_journal_may_come_again() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.claim(alone(1, 4)), Claim::Offer);
        ledger.release(1, 4);
        assert_eq!(ledger.heard(), None);
        assert_eq!(ledger.claim(alone(1, 4)), Claim::Offer);
    }

    #[test]
    fn below_the_mark_everything_of_the_run_is_held() {
        let mut ledger = Ledger::restored(LaneMark { epoch: 3, next: 10, skipped: 0 });
        assert_eq!(ledger.heard(), Some((3, 9)));
        assert_eq!(ledger.claim(alone(3, 9)), Claim::Held(9));
        assert_eq!(ledger.claim(alone(3, 8)), Claim::Held(9));
        assert_eq!(ledger.claim(alone(2, 99)), Claim::Replayed);
        assert_eq!(ledger.claim(alone(3, u64::MAX)), Claim::Replayed);
        assert_eq!(ledger.claim(row(3, Some(5), 8, 12)), Claim::Held(9), "some of it was heard");
        assert_eq!(ledger.claim(row(3, Some(5), 10, 12)), Claim::Offer, "nothing is between 5 and 10");
        assert_eq!(ledger.claim(alone(4, 0)), Claim::NotYet);
    }

    #[test]
    fn what_is_in_flight_is_bounded() {
        let mut ledger = Ledger::default();
        let offered = |at: &u64| ledger.claim(row(1, at.checked_sub(1), *at, *at)) == Claim::Offer;
        assert_eq!((0..9_999).take_while(offered).count(), IN_FLIGHT_MAX);
    }

    proptest! {
        #[test]
        fn held_means_committed(
            steps in prop::collection::vec((0_u64..3, 0_u64..12, any::<bool>()), 0..300),
        ) {
            let mut ledger = Ledger::default();
            let mut journal = Vec::new();
            for (epoch, sequence, reaches) in steps {
                match ledger.claim(alone(epoch, sequence)) {
                    Claim::Offer if reaches => {
                        ledger.commit(epoch, sequence);
                        journal.push((epoch, sequence));
                    }
                    Claim::Offer => ledger.release(epoch, sequence),
                    Claim::Held(last) => {
                        prop_assert!(sequence <= last && journal.contains(&(epoch, last)));
                    }
                    Claim::Replayed => prop_assert!(journal.last().is_some_and(|(of, _)| epoch < *of)),
                    Claim::NotYet => prop_assert!(false, "nothing is left in flight"),
                }
                prop_assert_eq!(ledger.heard(), journal.last().copied());
            }
            prop_assert!(journal.is_sorted_by(|a, b| a < b));
        }

        /// Runs that restart while frames are on their way, and somebody who brings frames of all of them.
        #[test]
        fn whatever_runs_are_brought_the_journal_takes_in_order_all_that_was_offered(
            steps in prop::collection::vec((0_u64..4, 0_u64..12, 0_u64..3, any::<bool>()), 0..300),
        ) {
            let (mut ledger, mut heard) = (Ledger::default(), LaneMark::default());
            for (epoch, first, more, commits) in steps {
                let end = ledger.in_flight.back().copied().or(ledger.heard());
                let after = end.filter(|(of, _)| *of == epoch).map(|(_, last)| last);
                ledger.claim(row(epoch, after, first, first + more));
                prop_assert!(ledger.in_flight.iter().is_sorted_by(|a, b| a.0 == b.0 && a.1 < b.1));
                if commits && let Some((epoch, last)) = ledger.in_flight.front().copied() {
                    ledger.commit(epoch, last);
                    prop_assert_ne!(heard.admit(epoch, last), Admission::Replayed);
                }
            }
        }

        /// A source that keeps every third frame no more, and somebody who brings what it has signed in any order.
        #[test]
        fn whoever_brings_rows_in_any_order_nothing_between_is_ever_lost(
            brought in prop::collection::vec((0_usize..12, any::<bool>()), 0..200),
        ) {
            let kept: Vec<u64> = (0..36).filter(|sequence| sequence % 3 != 1).collect();
            let rows: Vec<Place> = kept
                .chunks(2)
                .enumerate()
                .map(|(at, frames)| {
                    let after = (at * 2).checked_sub(1).map(|before| kept[before]);
                    row(1, after, frames[0], frames[frames.len() - 1])
                })
                .collect();
            let (mut ledger, mut taken) = (Ledger::default(), Vec::new());
            for (at, commits) in brought {
                if ledger.claim(rows[at]) == Claim::Offer {
                    taken.push(at);
                }
                if commits && let Some((epoch, last)) = ledger.in_flight.front().copied() {
                    ledger.commit(epoch, last);
                }
            }
            prop_assert_eq!(taken.clone(), (0..taken.len()).collect::<Vec<_>>());
        }
    }
}
