//! How long this thread has worked. Not how long it waited: a machine with other things to do is no fault of an input.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The time this thread has spent working.
#[must_use]
pub fn worked() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or(0))
}
