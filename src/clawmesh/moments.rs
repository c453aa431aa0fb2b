//! The clocks of this process, read in one place.
#![expect(clippy::disallowed_methods, reason = "the edges' clocks are read here and nowhere else")]

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Wall time, Unix milliseconds; 0 when the clock stands before 1970.
pub fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A moment of the monotonic clock.
pub fn now() -> Instant {
    Instant::now()
}
