//! How much guests may have written down, each and all together: everything that is to be replayed goes into the journal. Pure.

use std::collections::BTreeMap;

use clawmesh_authority::NodeId;

/// What one may tell: so much in the long run, and so much at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Bytes a second.
    pub bytes_per_second: u64,
    /// Bytes after a long silence.
    pub bytes_at_once: u64,
}

/// Of each guest: some dozens of frames a second, and at once more than it has to tell when it comes back.
pub const EACH: Allowance = Allowance { bytes_per_second: 8 * 1_024, bytes_at_once: 1_048_576 };
/// Of all guests together: 1.4 GB a day.
pub const ALL: Allowance = Allowance { bytes_per_second: 16 * 1_024, bytes_at_once: 16 * 1_048_576 };
/// The part of everybody's allowance that is left to those who have told little lately.
const LEFT_TO_THE_QUIET: u64 = ALL.bytes_at_once / 4;
/// Who has this much of their own allowance has told little lately.
const QUIET_BYTES: u64 = EACH.bytes_at_once / 2;

impl Allowance {
    /// How long it takes until everything is there again, milliseconds.
    fn refill_ms(self) -> u64 {
        self.bytes_at_once / self.bytes_per_second * 1_000
    }
}

/// What is left of an allowance.
#[derive(Debug)]
struct Purse {
    bytes: u64,
    filled_ms: u64,
}

impl Purse {
    fn full(allowance: Allowance, now_ms: u64) -> Self {
        Self { bytes: allowance.bytes_at_once, filled_ms: now_ms }
    }

    fn fill(&mut self, bytes_per_second: u64, bytes_max: u64, now_ms: u64) {
        let passed_ms = now_ms.saturating_sub(self.filled_ms);
        let earned = passed_ms.saturating_mul(bytes_per_second) / 1_000;
        if earned > 0 {
            self.bytes = self.bytes.saturating_add(earned).min(bytes_max);
            self.filled_ms = now_ms;
        }
    }
}

/// What may still be written down.
#[derive(Debug, Default)]
pub struct FrameBudget {
    /// Nothing until somebody tells something.
    all: Option<Purse>,
    guests: BTreeMap<NodeId, Purse>,
}

impl FrameBudget {
    /// Takes `bytes` from what a guest, and all of them, may still tell; false when there is not enough left. `now_ms` is of a
    /// clock that only goes forward.
    pub fn spend(&mut self, guest: NodeId, bytes: u64, now_ms: u64) -> bool {
        // What all may tell is shared by those who tell.
        let telling = self.guests.len().max(1) as u64;
        let rate = EACH.bytes_per_second.min(ALL.bytes_per_second / telling);
        let own = self.guests.entry(guest).or_insert_with(|| Purse::full(EACH, now_ms));
        let all = self.all.get_or_insert_with(|| Purse::full(ALL, now_ms));
        all.fill(ALL.bytes_per_second, ALL.bytes_at_once, now_ms);
        own.fill(rate, EACH.bytes_at_once, now_ms);
        // Whoever tells all the time leaves the last part to the others.
        let left_to_others = if own.bytes >= QUIET_BYTES { 0 } else { LEFT_TO_THE_QUIET };
        let is_enough = own.bytes >= bytes && all.bytes >= bytes.saturating_add(left_to_others);
        if is_enough {
            own.bytes -= bytes;
            all.bytes -= bytes;
        }
        is_enough
    }

    /// Forgets guests whose purse is full again, so that memory follows who is there and not who ever was.
    pub fn forget_idle(&mut self, now_ms: u64) {
        self.guests.retain(|_, own| now_ms.saturating_sub(own.filled_ms) < EACH.refill_ms());
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
        assert!(budget.spend(A, EACH.bytes_at_once, 0) && !budget.spend(A, 1, 0));
        assert!(budget.spend(B, 300, 0));
        assert!(budget.spend(A, EACH.bytes_per_second, 1_000), "a second later it may again");
        assert!(!budget.spend(A, EACH.bytes_per_second, 1_001));
    }

    #[test]
    fn who_is_silent_long_enough_is_forgotten_and_has_lost_nothing() {
        let mut budget = FrameBudget::default();
        budget.spend(A, EACH.bytes_at_once, 0);
        budget.spend(B, 1, 100_000);
        budget.forget_idle(EACH.refill_ms());
        assert_eq!(budget.guests.keys().copied().collect::<Vec<_>>(), [B]);
        assert!(budget.spend(A, EACH.bytes_at_once, EACH.refill_ms()));
    }

    #[test]
    fn guests_who_tell_all_the_time_have_a_bound_together_and_leave_room_to_those_who_do_not() {
        let mut budget = FrameBudget::default();
        let loud: Vec<NodeId> = (0..20).map(|n| NodeId([n; 32])).collect();
        let (mut told, quiet) = (0, NodeId([0xff; 32]));
        for now_ms in (0..100_000).step_by(10) {
            told += loud.iter().filter(|guest| budget.spend(**guest, 1_000, now_ms)).count() as u64 * 1_000;
            if now_ms % 10_000 == 0 {
                assert!(budget.spend(quiet, 5_000, now_ms), "at {now_ms}");
            }
        }
        assert!(told <= ALL.bytes_at_once + 100 * ALL.bytes_per_second, "{told}");
    }

    proptest! {
        #[test]
        fn nobody_tells_more_than_the_burst_and_the_rate(frames in prop::collection::vec((0_u64..500, 0_u64..200_000), 0..200)) {
            let (mut budget, mut now_ms, mut taken) = (FrameBudget::default(), 0, [0; 4]);
            for (at, (wait_ms, bytes)) in frames.into_iter().enumerate() {
                now_ms += wait_ms;
                if budget.spend(NodeId([(at % 4) as u8; 32]), bytes, now_ms) {
                    taken[at % 4] += bytes;
                }
            }
            let bound = |of: Allowance| of.bytes_at_once + now_ms * of.bytes_per_second / 1_000;
            prop_assert!(taken.iter().all(|of_one| *of_one <= bound(EACH)));
            prop_assert!(taken.iter().sum::<u64>() <= bound(ALL));
        }
    }
}
