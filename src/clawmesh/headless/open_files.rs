//! How many files and connections the process may have open: as many as its door, its links and its journal may need.

/// The door takes 3,328 connections, mesh links and files come on top.
const WANTED: u64 = 8_192;
/// With fewer a flood of connections could keep the journal from its files.
const NEEDED: u64 = 4_096;

/// Raises the limit of the process as far as it is wanted and allowed.
#[cfg(target_os = "linux")]
pub fn allow() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let now = getrlimit(Resource::Nofile);
    let Some(current) = raised(now.current, now.maximum) else { return };
    if let Err(fault) = setrlimit(Resource::Nofile, Rlimit { current: Some(current), maximum: now.maximum }) {
        tracing::warn!("the limit of open files stays as it is: {fault}");
    } else if current < NEEDED {
        tracing::warn!(
            "this process may have {current} files and connections open, and should be allowed {NEEDED} (`ulimit -Hn`)"
        );
    }
}

/// Elsewhere the limit stays as it is.
#[cfg(not(target_os = "linux"))]
pub fn allow() {}

/// What a limit becomes that may rise up to a maximum; nothing when it is high enough. `None` is no limit.
fn raised(current: Option<u64>, maximum: Option<u64>) -> Option<u64> {
    let wanted = maximum.map_or(WANTED, |maximum| maximum.min(WANTED));
    current.filter(|current| *current < WANTED).map(|current| current.max(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_rises_as_far_as_is_wanted_and_allowed_and_never_falls() {
        for (current, maximum, expected) in [
            (Some(1_024), Some(524_288), Some(WANTED)),
            (Some(1_024), None, Some(WANTED)),
            (Some(1_024), Some(2_048), Some(2_048)),
            (Some(1_024), Some(1_024), Some(1_024)),
            (Some(65_536), Some(524_288), None),
            (None, None, None),
        ] {
            assert_eq!(raised(current, maximum), expected, "{current:?} of {maximum:?}");
        }
    }
}
