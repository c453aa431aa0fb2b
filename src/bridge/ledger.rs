//! What one node has delivered to us on the state lane: committed, on its way to the journal, or neither.

use std::collections::BTreeSet;

use clawmesh_authority::{Admission, LaneMark};

/// Committed sequences we can still answer for one by one.
const RECENT_MAX: usize = 1_024;

/// What to do with one more (epoch, sequence).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// New: offer it to the inbox. It is in flight now.
    Offer,
    /// The journal holds exactly this one: answer with a receipt.
    Held,
    /// Something of this node is on its way to the journal: ask again.
    InFlight,
    /// Older than what the journal holds, and not known to be in it.
    Replayed,
}

/// The deliveries of one node.
///
/// One at a time is in flight. A second could be committed while the first fails, and the first would
/// then look like a replay for ever.
#[derive(Debug, Default)]
pub struct Ledger {
    committed: LaneMark,
    recent: BTreeSet<(u64, u64)>,
    in_flight: Option<(u64, u64)>,
}

impl Ledger {
    /// Continues from the mark of an earlier run: of what it committed, the last one is known exactly.
    pub fn restored(committed: LaneMark) -> Self {
        let last = committed.next.checked_sub(1).map(|sequence| (committed.epoch, sequence));
        Self { committed, recent: last.into_iter().collect(), in_flight: None }
    }

    /// Judges (epoch, sequence); after [`Claim::Offer`] it is in flight.
    pub fn claim(&mut self, epoch: u64, sequence: u64) -> Claim {
        if self.recent.contains(&(epoch, sequence)) {
            return Claim::Held;
        }
        if self.committed.judge(epoch, sequence) == Admission::Replayed {
            return Claim::Replayed;
        }
        if self.in_flight.is_some() {
            return Claim::InFlight;
        }
        self.in_flight = Some((epoch, sequence));
        Claim::Offer
    }

    /// The journal holds it.
    pub fn commit(&mut self, epoch: u64, sequence: u64) {
        self.release(epoch, sequence);
        self.committed.admit(epoch, sequence);
        self.recent.insert((epoch, sequence));
        while self.recent.len() > RECENT_MAX {
            self.recent.pop_first();
        }
    }

    /// It did not reach the journal.
    pub fn release(&mut self, epoch: u64, sequence: u64) {
        if self.in_flight == Some((epoch, sequence)) {
            self.in_flight = None;
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

    #[test]
    fn a_delivery_is_offered_once_and_answered_as_often_as_asked() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.heard(), None);
        assert_eq!(ledger.claim(1, 0), Claim::Offer);
        assert_eq!(ledger.claim(1, 0), Claim::InFlight);
        assert_eq!(ledger.claim(1, 1), Claim::InFlight);
        ledger.commit(1, 0);
        assert_eq!(ledger.claim(1, 0), Claim::Held);
        assert_eq!(ledger.heard(), Some((1, 0)));
        assert_eq!(ledger.claim(1, 7), Claim::Offer);
    }

    #[test]
    fn what_never_reached_the_journal_may_come_again() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.claim(1, 4), Claim::Offer);
        ledger.release(1, 4);
        assert_eq!(ledger.heard(), None);
        assert_eq!(ledger.claim(1, 4), Claim::Offer);
    }

    #[test]
    fn below_the_mark_only_what_is_known_is_held() {
        let mut ledger = Ledger::restored(LaneMark { epoch: 3, next: 10, skipped: 0 });
        assert_eq!(ledger.heard(), Some((3, 9)));
        assert_eq!(ledger.claim(3, 9), Claim::Held);
        assert_eq!(ledger.claim(3, 8), Claim::Replayed);
        assert_eq!(ledger.claim(2, 99), Claim::Replayed);
        assert_eq!(ledger.claim(4, 0), Claim::Offer);
    }

    proptest! {
        #[test]
        fn held_means_committed(
            steps in prop::collection::vec((0_u64..3, 0_u64..12, any::<bool>()), 0..300),
        ) {
            let mut ledger = Ledger::default();
            let mut journal = Vec::new();
            for (epoch, sequence, reaches) in steps {
                match ledger.claim(epoch, sequence) {
                    Claim::Offer if reaches => {
                        ledger.commit(epoch, sequence);
                        journal.push((epoch, sequence));
                    }
                    Claim::Offer => ledger.release(epoch, sequence),
                    Claim::Held => prop_assert!(journal.contains(&(epoch, sequence))),
                    Claim::Replayed => prop_assert!(!journal.contains(&(epoch, sequence))),
                    Claim::InFlight => prop_assert!(false, "nothing is left in flight"),
                }
                prop_assert_eq!(ledger.heard(), journal.last().copied());
            }
            prop_assert!(journal.is_sorted_by(|a, b| a < b));
        }
    }
}
