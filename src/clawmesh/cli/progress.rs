//! A sign of life once a second from work that takes longer than that; on standard error, like every remark.

use std::time::{Duration, Instant};

use super::terminal::complain;
use crate::moments::now;

const EVERY: Duration = Duration::from_secs(1);

/// Work under way.
pub struct Progress {
    told: Instant,
}

impl Progress {
    /// Work that begins now.
    pub fn begin() -> Self {
        Self { told: now() }
    }

    /// Tells how far the work is, unless that was told within the last second.
    pub fn tell(&mut self, sentence: impl FnOnce() -> String) {
        if self.is_due(now()) {
            complain(&sentence());
        }
    }

    fn is_due(&mut self, now: Instant) -> bool {
        let is_due = now.saturating_duration_since(self.told) >= EVERY;
        if is_due {
            self.told = now;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_work_says_nothing_and_long_work_something_every_second() {
        let mut progress = Progress::begin();
        let begun = progress.told;
        let moments_ms = [0, 999, 1_000, 1_001, 1_999, 2_000, 9_000, 9_001];
        let told = moments_ms.map(|ms| progress.is_due(begun + Duration::from_millis(ms)));
        assert_eq!(told, [false, false, true, false, false, true, true, false]);
    }
}
