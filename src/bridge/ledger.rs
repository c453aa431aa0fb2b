//! What one node has delivered to us on the state lane: committed, on its way to the journal, or neither.

use std::collections::{BTreeSet, VecDeque};

use clawmesh_authority::{Admission, Body, LaneMark, Statement};

/// Committed statements we can still answer for one by one.
const RECENT_MAX: usize = 1_024;
/// Statements that may be on their way to the journal.
const IN_FLIGHT_MAX: usize = 4_096;

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
    /// The journal holds exactly this one: answer with a receipt.
    Held,
    /// It, or something it has to come after, is on its way or has not come: ask again.
    NotYet,
    /// Older than what the journal holds, and not known to be in it.
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
    recent: BTreeSet<(u64, u64)>,
    in_flight: VecDeque<(u64, u64)>,
}

impl Ledger {
    /// Continues from the mark of an earlier run: of what it committed, the last one is known exactly.
    pub fn restored(committed: LaneMark) -> Self {
        let last = committed.next.checked_sub(1).map(|sequence| (committed.epoch, sequence));
        Self { committed, recent: last.into_iter().collect(), in_flight: VecDeque::new() }
    }

    /// Judges a statement without taking it.
    pub fn judge(&self, place: Place) -> Claim {
        let Place { epoch, first, last, after } = place;
        if self.recent.contains(&(epoch, last)) {
            return Claim::Held;
        }
        let is_heard = |sequence| self.committed.judge(epoch, sequence) == Admission::Replayed;
        if is_heard(first) || is_heard(last) {
            return Claim::Replayed;
        }
        let end = self.in_flight.back().copied().or(self.heard());
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
        self.recent.insert((epoch, last));
        while self.recent.len() > RECENT_MAX {
            self.recent.pop_first();
        }
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
        assert_eq!(ledger.claim(alone(1, 0)), Claim::Held);
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
        assert_eq!(ledger.claim(row(1, Some(5), 9, 11)), Claim::Held);
        assert_eq!(ledger.claim(row(1, Some(5), 9, 10)), Claim::Replayed);
        assert_eq!(ledger.claim(row(1, None, 12, 13)), Claim::NotYet, "12 is on its way");
        assert_eq!(ledger.claim(row(2, None, 0, 3)), Claim::Offer, "a later run follows nothing");
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
    fn below_the_mark_only_what_is_known_is_held() {
        let mut ledger = Ledger::restored(LaneMark { epoch: 3, next: 10, skipped: 0 });
        assert_eq!(ledger.heard(), Some((3, 9)));
        assert_eq!(ledger.claim(alone(3, 9)), Claim::Held);
        assert_eq!(ledger.claim(alone(3, 8)), Claim::Replayed);
        assert_eq!(ledger.claim(alone(2, 99)), Claim::Replayed);
        assert_eq!(ledger.claim(row(3, Some(5), 8, 12)), Claim::Replayed, "some of it was heard");
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
                    Claim::Held => prop_assert!(journal.contains(&(epoch, sequence))),
                    Claim::Replayed => prop_assert!(!journal.contains(&(epoch, sequence))),
                    Claim::NotYet => prop_assert!(false, "nothing is left in flight"),
                }
                prop_assert_eq!(ledger.heard(), journal.last().copied());
            }
            prop_assert!(journal.is_sorted_by(|a, b| a < b));
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
