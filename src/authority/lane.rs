//! Two lanes with different promises, and the mark that tells new from replayed.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// The promise under which something travels.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, Encode, Decode,
)]
#[cbor(index_only)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// Never dropped once accepted; a full inbox answers `BUSY`.
    #[n(0)]
    #[default]
    State,
    /// Newest wins: the oldest is dropped, and every drop is counted and announced.
    #[n(1)]
    Stream,
}

/// How far one (source, lane) has been heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, Encode, Decode)]
pub struct LaneMark {
    /// The run of the source that is speaking; it grows with every start of that node.
    #[n(0)]
    pub epoch: u64,
    /// The next sequence we wait for within the epoch.
    #[n(1)]
    pub next: u64,
    /// Sequences that were passed over, since the mark was made.
    #[n(2)]
    pub skipped: u64,
}

/// What a mark says about one more (epoch, sequence).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// The one we waited for, or the first of a later epoch.
    Next,
    /// New, but `skipped` sequences before it never came.
    After {
        /// How many are missing.
        skipped: u64,
    },
    /// Heard before, or older than something heard before.
    Replayed,
}

impl LaneMark {
    /// Judges (epoch, sequence) without taking it.
    ///
    /// The last number there is counts as replayed: no mark could stand past it.
    #[must_use]
    pub fn judge(&self, epoch: u64, sequence: u64) -> Admission {
        if sequence == u64::MAX {
            return Admission::Replayed;
        }
        match epoch.cmp(&self.epoch) {
            std::cmp::Ordering::Less => Admission::Replayed,
            std::cmp::Ordering::Greater => Admission::Next,
            std::cmp::Ordering::Equal if sequence < self.next => Admission::Replayed,
            std::cmp::Ordering::Equal if sequence == self.next => Admission::Next,
            std::cmp::Ordering::Equal => Admission::After { skipped: sequence - self.next },
        }
    }

    /// Judges (epoch, sequence) and, unless it is replayed, moves the mark past it.
    ///
    /// The first sequence of a new epoch is taken as it is: what was said before we listened is not a gap.
    pub fn admit(&mut self, epoch: u64, sequence: u64) -> Admission {
        let admission = self.judge(epoch, sequence);
        match admission {
            Admission::Replayed => return admission,
            Admission::After { skipped } => self.skipped = self.skipped.saturating_add(skipped),
            Admission::Next => {}
        }
        self.epoch = epoch;
        self.next = sequence + 1;
        admission
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_mark_tells_next_from_gap_from_replay() {
        let mut mark = LaneMark::default();
        assert_eq!(mark.admit(7, 3), Admission::Next);
        assert_eq!(mark.admit(7, 4), Admission::Next);
        assert_eq!(mark.admit(7, 7), Admission::After { skipped: 2 });
        assert_eq!(mark.admit(7, 5), Admission::Replayed);
        assert_eq!(mark.admit(6, 99), Admission::Replayed);
        assert_eq!(mark.admit(8, 0), Admission::Next);
        assert_eq!(mark, LaneMark { epoch: 8, next: 1, skipped: 2 });
    }

    proptest! {
        #[test]
        fn nothing_is_ever_admitted_twice(
            said in prop::collection::vec((0_u64..4, prop_oneof![0_u64..20, u64::MAX - 2..=u64::MAX]), 0..200),
        ) {
            let mut mark = LaneMark::default();
            let mut admitted = Vec::new();
            for (epoch, sequence) in said {
                if mark.admit(epoch, sequence) != Admission::Replayed {
                    admitted.push((epoch, sequence));
                }
            }
            prop_assert!(admitted.is_sorted_by(|a, b| a < b));
        }
    }
}
