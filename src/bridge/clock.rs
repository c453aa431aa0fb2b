//! The one place of this crate that reads a clock: nanoseconds since the bridge began, for rate limits.

use std::time::Instant;

/// Counts from its own beginning and never runs backwards.
#[derive(Debug, Clone, Copy)]
pub struct Monotonic(Instant);

impl Monotonic {
    /// Begins to count.
    #[expect(clippy::disallowed_methods, reason = "the clock of this edge; no input is stamped with it")]
    pub fn begin() -> Self {
        Self(Instant::now())
    }

    /// Nanoseconds since the beginning; full after 584 years.
    pub fn now_ns(self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}
