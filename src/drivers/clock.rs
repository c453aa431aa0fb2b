//! The one place of this crate that reads a clock: milliseconds since the layer began, for deadlines.

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

    /// Milliseconds since the beginning.
    pub fn now_ms(self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
