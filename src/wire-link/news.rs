//! How much news a node that we have dialled is told: so much that in no minute there is more than it may be. Pure.

use std::time::Duration;

/// One piece of news, in the unit the level is counted in.
const PIECE: u64 = 60_000;

/// A bucket that holds half of what may be told in a minute, and gains the other half in one.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    used: u64,
    at_ms: u64,
}

impl Budget {
    /// Takes one; false when there is none at `elapsed`.
    pub fn take(&mut self, per_minute_max: u32, elapsed: Duration) -> bool {
        let now_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let half = u64::from(per_minute_max / 2);
        let gained = now_ms.saturating_sub(self.at_ms).saturating_mul(half);
        self.used = self.used.saturating_sub(gained);
        self.at_ms = self.at_ms.max(now_ms);
        let is_enough = self.used + PIECE <= half * PIECE;
        self.used += if is_enough { PIECE } else { 0 };
        is_enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_no_minute_more_is_told_than_may_be() {
        let mut budget = Budget::default();
        let told: Vec<u64> =
            (0..300_000).step_by(50).filter(|ms| budget.take(60, Duration::from_millis(*ms))).collect();
        for begins_ms in (0..240_000).step_by(1_000) {
            let many = told.iter().filter(|ms| (begins_ms..begins_ms + 60_000).contains(*ms)).count();
            assert!((29..=60).contains(&many), "{many} from {begins_ms} ms on");
        }
    }
}
