//! How much each guest may have written down: everything that is to be replayed goes into the journal, and stays there. Pure.

use std::collections::BTreeMap;

use clawmesh_authority::NodeId;

/// What a guest may tell in the long run, in bytes a second: some dozens of frames.
pub const BYTES_PER_SECOND: u64 = 16 * 1_024;
/// What it may tell at once, in bytes: more than it has to tell when it comes back.
pub const BYTES_AT_ONCE: u64 = 1_048_576;
/// How often what was left out is told, milliseconds.
const TOLD_EVERY_MS: u64 = 1_000;

#[derive(Debug)]
struct Purse {
    bytes: u64,
    filled_ms: u64,
    left_out: u64,
    told_ms: Option<u64>,
}

/// What of each guest may still be written down.
#[derive(Debug, Default)]
pub struct FrameBudget(BTreeMap<NodeId, Purse>);

/// What becomes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spent {
    /// It is written down.
    Taken,
    /// It is left out. It is time to tell that so many were, since that was told last.
    LeftOut {
        /// How many; 0 while it was told a moment ago.
        to_tell: u64,
    },
}

impl FrameBudget {
    /// Takes `bytes` from what a guest may still tell; `now_ms` is of a clock that only goes forward.
    pub fn spend(&mut self, guest: NodeId, bytes: u64, now_ms: u64) -> Spent {
        let full = || Purse { bytes: BYTES_AT_ONCE, filled_ms: now_ms, left_out: 0, told_ms: None };
        let purse = self.0.entry(guest).or_insert_with(full);
        let earned = now_ms.saturating_sub(purse.filled_ms).saturating_mul(BYTES_PER_SECOND) / 1_000;
        if earned > 0 {
            purse.bytes = purse.bytes.saturating_add(earned).min(BYTES_AT_ONCE);
            purse.filled_ms = now_ms;
        }
        if let Some(left) = purse.bytes.checked_sub(bytes) {
            purse.bytes = left;
            return Spent::Taken;
        }
        purse.left_out += 1;
        let is_due = purse.told_ms.is_none_or(|told_ms| now_ms.saturating_sub(told_ms) >= TOLD_EVERY_MS);
        if !is_due {
            return Spent::LeftOut { to_tell: 0 };
        }
        purse.told_ms = Some(now_ms);
        Spent::LeftOut { to_tell: std::mem::take(&mut purse.left_out) }
    }

    /// Forgets guests whose purse is full again, so that memory follows who is there and not who ever was.
    pub fn forget_idle(&mut self, now_ms: u64) {
        let refill_ms = BYTES_AT_ONCE / BYTES_PER_SECOND * 1_000;
        self.0.retain(|_, purse| now_ms.saturating_sub(purse.filled_ms) < refill_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: NodeId = NodeId([1; 32]);
    const B: NodeId = NodeId([2; 32]);

    #[test]
    fn a_guest_that_tells_too_much_is_left_out_and_the_others_are_heard() {
        let mut budget = FrameBudget::default();
        assert_eq!(budget.spend(A, BYTES_AT_ONCE, 0), Spent::Taken);
        assert_eq!(budget.spend(A, 1, 0), Spent::LeftOut { to_tell: 1 });
        assert_eq!(budget.spend(A, 1, 0), Spent::LeftOut { to_tell: 0 });
        assert_eq!(budget.spend(B, 300, 0), Spent::Taken);
        assert_eq!(budget.spend(A, BYTES_PER_SECOND, 1_000), Spent::Taken, "a second later it may again");
        assert_eq!(
            budget.spend(A, BYTES_PER_SECOND, 1_001),
            Spent::LeftOut { to_tell: 2 },
            "all are counted"
        );
    }

    #[test]
    fn who_is_silent_long_enough_is_forgotten_and_has_lost_nothing() {
        let mut budget = FrameBudget::default();
        budget.spend(A, BYTES_AT_ONCE, 0);
        budget.spend(B, 1, 60_000);
        budget.forget_idle(64_000);
        assert_eq!(budget.0.keys().copied().collect::<Vec<_>>(), [B]);
        assert_eq!(budget.spend(A, BYTES_AT_ONCE, 64_000), Spent::Taken);
    }

    proptest! {
        #[test]
        fn nobody_tells_more_than_the_burst_and_the_rate(frames in prop::collection::vec((0_u64..500, 0_u64..200_000), 0..200)) {
            let (mut budget, mut now_ms, mut taken) = (FrameBudget::default(), 0, 0);
            for (wait_ms, bytes) in frames {
                now_ms += wait_ms;
                if budget.spend(A, bytes, now_ms) == Spent::Taken {
                    taken += bytes;
                }
            }
            prop_assert!(taken <= BYTES_AT_ONCE + now_ms * BYTES_PER_SECOND / 1_000);
        }
    }
}
