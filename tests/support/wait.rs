//! Polling with an end.
#![expect(clippy::disallowed_methods, reason = "the tests' clock is read here and nowhere else")]

use std::thread;
use std::time::{Duration, Instant};

/// Between two looks.
pub const POLL: Duration = Duration::from_millis(20);

/// A moment of the monotonic clock.
pub fn now() -> Instant {
    Instant::now()
}

/// Looks until something is found. When that takes longer than `patience`, panics with what was waited for.
pub fn until<T>(what: &str, patience: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < patience, "{what}: not within {} s", patience.as_secs());
        thread::sleep(POLL);
    }
}
