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
/// How often what was left out is told, milliseconds.
const TOLD_EVERY_MS: u64 = 1_000;

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

    fn fill(&mut self, allowance: Allowance, now_ms: u64) {
        let passed_ms = now_ms.saturating_sub(self.filled_ms);
        let earned = passed_ms.saturating_mul(allowance.bytes_per_second) / 1_000;
        if earned > 0 {
            self.bytes = self.bytes.saturating_add(earned).min(allowance.bytes_at_once);
            self.filled_ms = now_ms;
        }
    }
}

#[derive(Debug)]
struct Guest {
    purse: Purse,
    left_out: u64,
    told_ms: Option<u64>,
}

/// What may still be written down.
#[derive(Debug, Default)]
pub struct FrameBudget {
    /// Nothing until somebody tells something.
    all: Option<Purse>,
    guests: BTreeMap<NodeId, Guest>,
}

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
    /// Takes `bytes` from what a guest, and all of them, may still tell; `now_ms` is of a clock that only goes forward.
    pub fn spend(&mut self, guest: NodeId, bytes: u64, now_ms: u64) -> Spent {
        let full = || Guest { purse: Purse::full(EACH, now_ms), left_out: 0, told_ms: None };
        let guest = self.guests.entry(guest).or_insert_with(full);
        let all = self.all.get_or_insert_with(|| Purse::full(ALL, now_ms));
        guest.purse.fill(EACH, now_ms);
        all.fill(ALL, now_ms);
        if let (Some(own), Some(shared)) =
            (guest.purse.bytes.checked_sub(bytes), all.bytes.checked_sub(bytes))
        {
            (guest.purse.bytes, all.bytes) = (own, shared);
            return Spent::Taken;
        }
        guest.left_out += 1;
        let is_due = guest.told_ms.is_none_or(|told_ms| now_ms.saturating_sub(told_ms) >= TOLD_EVERY_MS);
        if !is_due {
            return Spent::LeftOut { to_tell: 0 };
        }
        guest.told_ms = Some(now_ms);
        Spent::LeftOut { to_tell: std::mem::take(&mut guest.left_out) }
    }

    /// Forgets guests whose purse is full again, so that memory follows who is there and not who ever was.
    pub fn forget_idle(&mut self, now_ms: u64) {
        self.guests.retain(|_, guest| now_ms.saturating_sub(guest.purse.filled_ms) < EACH.refill_ms());
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
        assert_eq!(budget.spend(A, EACH.bytes_at_once, 0), Spent::Taken);
        assert_eq!(budget.spend(A, 1, 0), Spent::LeftOut { to_tell: 1 });
        assert_eq!(budget.spend(A, 1, 0), Spent::LeftOut { to_tell: 0 });
        assert_eq!(budget.spend(B, 300, 0), Spent::Taken);
        assert_eq!(
            budget.spend(A, EACH.bytes_per_second, 1_000),
            Spent::Taken,
            "a second later it may again"
        );
        assert_eq!(
            budget.spend(A, EACH.bytes_per_second, 1_001),
            Spent::LeftOut { to_tell: 2 },
            "all are counted"
        );
    }

    #[test]
    fn who_is_silent_long_enough_is_forgotten_and_has_lost_nothing() {
        let mut budget = FrameBudget::default();
        budget.spend(A, EACH.bytes_at_once, 0);
        budget.spend(B, 1, 100_000);
        budget.forget_idle(EACH.refill_ms());
        assert_eq!(budget.guests.keys().copied().collect::<Vec<_>>(), [B]);
        assert_eq!(budget.spend(A, EACH.bytes_at_once, EACH.refill_ms()), Spent::Taken);
    }

    #[test]
    fn many_guests_together_have_a_bound_and_whoever_comes_too_late_loses_nothing_of_its_own() {
        let mut budget = FrameBudget::default();
        let guests = ALL.bytes_at_once / EACH.bytes_at_once;
        for guest in 0..guests {
            assert_eq!(budget.spend(NodeId([guest as u8; 32]), EACH.bytes_at_once, 0), Spent::Taken);
        }
        let late = NodeId([0xff; 32]);
        assert_eq!(budget.spend(late, 1_000, 0), Spent::LeftOut { to_tell: 1 });
        assert_eq!(budget.spend(late, ALL.bytes_per_second, 1_000), Spent::Taken);
        assert_eq!(budget.spend(late, 1, 1_000), Spent::LeftOut { to_tell: 1 });
    }

    proptest! {
        #[test]
        fn nobody_tells_more_than_the_burst_and_the_rate(frames in prop::collection::vec((0_u64..500, 0_u64..200_000), 0..200)) {
            let (mut budget, mut now_ms, mut taken) = (FrameBudget::default(), 0, [0; 4]);
            for (at, (wait_ms, bytes)) in frames.into_iter().enumerate() {
                now_ms += wait_ms;
                if budget.spend(NodeId([(at % 4) as u8; 32]), bytes, now_ms) == Spent::Taken {
                    taken[at % 4] += bytes;
                }
            }
            let bound = |of: Allowance| of.bytes_at_once + now_ms * of.bytes_per_second / 1_000;
            prop_assert!(taken.iter().all(|of_one| *of_one <= bound(EACH)));
            prop_assert!(taken.iter().sum::<u64>() <= bound(ALL));
        }
    }
}
