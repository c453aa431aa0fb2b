//! The clock of a running lab, read here and nowhere else.
#![expect(clippy::disallowed_methods, reason = "this edge's clock")]

use std::time::Instant;

pub(super) struct Clock(Instant);

impl Clock {
    pub fn start() -> Self {
        Self(Instant::now())
    }

    pub fn now_us(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}
