//! What shows that something keeps the clock of this machine.

#[cfg(target_os = "linux")]
use std::fs;
#[cfg(target_os = "linux")]
use std::path::Path;

/// As close a real-time clock has to be to the clock of the machine, milliseconds; one without a battery begins again in 1970 or
/// 2000 at every start.
#[cfg(target_os = "linux")]
const CLOSE_MS: u64 = 60_000;

/// True when there is a real-time clock that shows what the machine shows, `unix_ms`, or timesyncd has synchronized since the start. A
/// machine with neither may show a time that something saved before it was switched off.
#[cfg(target_os = "linux")]
pub fn is_there(unix_ms: u64) -> bool {
    is_there_in(Path::new("/"), unix_ms)
}

/// True while timesyncd runs and has not synchronized: what sets the clock now has it from a file.
#[cfg(target_os = "linux")]
pub fn waits_for_ntp() -> bool {
    waits_for_ntp_in(Path::new("/"))
}

#[cfg(target_os = "linux")]
fn is_there_in(root: &Path, unix_ms: u64) -> bool {
    let devices = fs::read_dir(root.join("sys/class/rtc")).into_iter().flatten().flatten();
    let shown = |device: fs::DirEntry| -> Option<u64> {
        let seconds = fs::read_to_string(device.path().join("since_epoch")).ok()?;
        seconds.trim().parse::<u64>().ok()?.checked_mul(1_000)
    };
    devices.filter_map(shown).any(|shown_ms| shown_ms.abs_diff(unix_ms) <= CLOSE_MS) || is_synchronized(root)
}

#[cfg(target_os = "linux")]
fn waits_for_ntp_in(root: &Path) -> bool {
    root.join("run/systemd/timesync").is_dir() && !is_synchronized(root)
}

#[cfg(target_os = "linux")]
fn is_synchronized(root: &Path) -> bool {
    root.join("run/systemd/timesync/synchronized").exists()
}

/// Elsewhere nobody has asked the system yet, and machines have a real-time clock.
#[cfg(not(target_os = "linux"))]
pub fn is_there(_unix_ms: u64) -> bool {
    true
}

/// Elsewhere nothing tells.
#[cfg(not(target_os = "linux"))]
pub fn waits_for_ntp() -> bool {
    false
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    const T: u64 = 1_800_000_000_000;

    #[test]
    fn a_real_time_clock_counts_if_it_shows_what_the_machine_shows_and_ntp_once_it_has_set_the_clock() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        assert!(!is_there_in(root, T) && !waits_for_ntp_in(root), "nothing");
        let device = root.join("sys/class/rtc/rtc0");
        fs::create_dir_all(&device).unwrap();
        assert!(!is_there_in(root, T), "one that cannot be read");
        for (shown, expected) in
            [("12\n", false), ("1800000059\n", true), ("1799999000\n", false), ("x", false)]
        {
            fs::write(device.join("since_epoch"), shown).unwrap();
            assert_eq!(is_there_in(root, T), expected, "{shown:?}");
        }
        let timesync = root.join("run/systemd/timesync");
        fs::create_dir_all(&timesync).unwrap();
        assert!(!is_there_in(root, T) && waits_for_ntp_in(root), "not yet");
        fs::write(timesync.join("synchronized"), "").unwrap();
        assert!(is_there_in(root, T) && !waits_for_ntp_in(root));
    }
}
