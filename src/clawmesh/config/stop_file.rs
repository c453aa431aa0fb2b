//! The stop that outlives the process. Unknown is unsafe: any doubt about the file counts as latched.

use clawmesh_drivers::{KeepStop, StopLatch};
use serde::{Deserialize, Serialize};

use crate::config::durable_file::{create_atomic, read_bounded, remove_durably};
use crate::config::error::ConfigError;
use crate::config::ron_text;
use crate::config::state_dir::StateDir;
use crate::moments::unix_ms;

/// The longest reason we keep, in bytes.
pub const REASON_BYTES_MAX: usize = 512;

/// Why and when everything was stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StopRecord {
    /// In the words of whoever stopped.
    pub reason: String,
    /// By the clock of this node, Unix milliseconds; 0 when it is not known.
    pub at_unix_ms: u64,
}

/// The stop latch of a node, as the last process left it.
#[must_use]
pub fn open(dir: &StateDir) -> StopLatch {
    StopLatch::new(load(dir).map(|record| record.reason), Keeper(dir.clone()))
}

/// Keeps the stop of one node in its state dir.
struct Keeper(StateDir);

impl KeepStop for Keeper {
    fn keep(&self, reason: &str) -> Result<String, String> {
        let kept = latch(&self.0, reason, unix_ms()).map_err(|fault| fault.to_string())?;
        Ok(kept.reason)
    }

    fn forget(&self) -> Result<(), String> {
        remove_durably(&self.0.stop_file()).map_err(|fault| fault.to_string())
    }
}

/// The latched stop; `None` only when there certainly is no stop file.
#[must_use]
pub fn load(dir: &StateDir) -> Option<StopRecord> {
    match read(dir) {
        Ok(record) => record,
        Err(error) => {
            Some(StopRecord { reason: format!("stop file cannot be read: {error}"), at_unix_ms: 0 })
        }
    }
}

/// Latches the stop durably and returns the record that counts: the first one, when it was latched before.
pub fn latch(dir: &StateDir, reason: &str, now_unix_ms: u64) -> Result<StopRecord, ConfigError> {
    let record = StopRecord { reason: shortened(reason).to_owned(), at_unix_ms: now_unix_ms };
    let path = dir.stop_file();
    // Half a record latches as well as a whole one, so an encoder at fault must not keep us from writing.
    let text = ron::to_string(&record).unwrap_or_default();
    if create_atomic(&path, text.as_bytes())? {
        return Ok(record);
    }
    Ok(load(dir).unwrap_or(record))
}

fn read(dir: &StateDir) -> Result<Option<StopRecord>, ConfigError> {
    let path = dir.stop_file();
    let Some(content) = read_bounded(&path)? else {
        // A link that leads nowhere was put there by somebody, and not by us.
        return match path.symlink_metadata() {
            Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(fault) => Err(ConfigError::io("read the file", &path)(fault)),
            Ok(_) => Err(ConfigError::io("read the file", &path)(std::io::ErrorKind::NotFound.into())),
        };
    };
    ron_text::parse_bytes(&path, &content).map(Some)
}

fn shortened(reason: &str) -> &str {
    &reason[..reason.floor_char_boundary(REASON_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;

    #[test]
    fn a_stop_stays_until_a_person_ends_it() {
        let (_dir, state) = StateDir::temporary();
        assert_eq!(load(&state), None);
        let first = latch(&state, "smoke in the pump house", 7).unwrap();
        assert_eq!(load(&state).unwrap(), first);
        assert_eq!(latch(&state, "again", 8).unwrap(), first, "the first reason counts");
        remove_durably(&state.stop_file()).unwrap();
        remove_durably(&state.stop_file()).unwrap();
        assert_eq!(load(&state), None);
    }

    #[test]
    fn a_stop_file_we_cannot_understand_counts_as_latched() {
        let (_dir, state) = StateDir::temporary();
        for damage in [&b""[..], b"(", b"(reason: \"x\")", b"\xff\xfe", b"(reason: \"x\", at_unix_ms: -1)"] {
            fs::write(state.stop_file(), damage).unwrap();
            let record = load(&state).unwrap();
            assert!(record.reason.starts_with("stop file cannot be read: "), "{}", record.reason);
            assert_eq!(latch(&state, "stop", 1).unwrap(), record);
            assert_eq!(fs::read(state.stop_file()).unwrap(), damage, "evidence is kept");
        }
        remove_durably(&state.stop_file()).unwrap();
        fs::create_dir(state.stop_file()).unwrap();
        assert!(load(&state).is_some(), "a folder in its place");
        assert!(remove_durably(&state.stop_file()).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_leads_nowhere_counts_as_latched() {
        let (_dir, state) = StateDir::temporary();
        std::os::unix::fs::symlink("nowhere", state.stop_file()).unwrap();
        assert!(load(&state).is_some());
    }

    #[test]
    fn a_crash_before_the_file_is_in_place_is_no_stop_and_does_not_hinder_the_next() {
        let (_dir, state) = StateDir::temporary();
        fs::write(state.root().join(".stop.Xy12.tmp"), "(reason: \"ha").unwrap();
        assert_eq!(load(&state), None);
        latch(&state, "stop", 1).unwrap();
        assert_eq!(load(&state).unwrap().reason, "stop");
    }

    #[cfg(unix)]
    #[test]
    fn the_stop_file_has_mode_0600() {
        use std::os::unix::fs::PermissionsExt;
        let (_dir, state) = StateDir::temporary();
        latch(&state, "stop", 1).unwrap();
        assert_eq!(state.stop_file().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn any_reason_can_be_latched_and_read_back(reason in ".{0,700}", at: u64) {
            let (_dir, state) = StateDir::temporary();
            let record = latch(&state, &reason, at).unwrap();
            prop_assert!(reason.starts_with(&record.reason) && record.reason.len() <= REASON_BYTES_MAX);
            prop_assert_eq!(load(&state), Some(record));
        }
    }
}
