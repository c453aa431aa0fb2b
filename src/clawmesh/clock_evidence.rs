//! What shows that something keeps the clock of this machine.

#[cfg(target_os = "linux")]
use std::path::Path;

/// True when there is a real-time clock, or timesyncd has synchronized since the start. A machine with neither may show a time
/// that something saved before it was switched off.
#[cfg(target_os = "linux")]
pub fn is_there() -> bool {
    let has_any = |path: &str| std::fs::read_dir(path).is_ok_and(|mut devices| devices.next().is_some());
    has_any("/sys/class/rtc") || Path::new("/run/systemd/timesync/synchronized").exists()
}

/// Elsewhere nobody has asked the system yet, and machines have a real-time clock.
#[cfg(not(target_os = "linux"))]
pub fn is_there() -> bool {
    true
}
