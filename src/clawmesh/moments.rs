//! The clocks of this process, read in one place.
#![expect(clippy::disallowed_methods, reason = "the edges' clocks are read here and nowhere else")]

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Wall time.
pub fn system_time() -> SystemTime {
    SystemTime::now()
}

/// Wall time, Unix milliseconds; 0 when the clock stands before 1970.
pub fn unix_ms() -> u64 {
    unix_ms_of(system_time())
}

/// A moment of wall time in Unix milliseconds; 0 for one before 1970.
pub fn unix_ms_of(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// How long this machine has been up, asleep or not, milliseconds.
#[cfg(target_os = "linux")]
pub fn up_ms() -> u64 {
    let up = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let (seconds, nanoseconds) = (up.tv_sec.cast_unsigned(), up.tv_nsec.cast_unsigned());
    seconds.saturating_mul(1_000).saturating_add(nanoseconds / 1_000_000)
}

/// How long this process has run, milliseconds; whether that goes on while the machine sleeps is up to the system.
#[cfg(not(target_os = "linux"))]
pub fn up_ms() -> u64 {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    u64::try_from(START.get_or_init(now).elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// A moment of the monotonic clock.
pub fn now() -> Instant {
    Instant::now()
}
