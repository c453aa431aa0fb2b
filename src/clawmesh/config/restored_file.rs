//! `restored.ron`: that this node came from a backup, and when. It stays; each start tells the tick, which counts it once.

use serde::{Deserialize, Serialize};

use crate::config::durable_file::{read_bounded, write_atomic};
use crate::config::error::ConfigError;
use crate::config::ron_text;
use crate::config::state_dir::StateDir;

/// When this node was restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestoredRecord {
    /// When, by the clock of this machine, Unix milliseconds.
    pub at_unix_ms: u64,
    /// When the backup was made, for people.
    pub backup_made: String,
}

/// The last restore; `None` when there was none.
///
/// # Errors
/// When the file cannot be read: to take it for none would let pass what was used already.
pub fn load(dir: &StateDir) -> Result<Option<RestoredRecord>, ConfigError> {
    let path = dir.restored_file();
    let Some(content) = read_bounded(&path)? else { return Ok(None) };
    ron_text::parse_bytes(&path, &content).map(Some)
}

/// Writes down a restore.
pub fn save(dir: &StateDir, record: &RestoredRecord) -> Result<(), ConfigError> {
    let path = dir.restored_file();
    let text = ron::to_string(record);
    let text = text.map_err(|fault| ConfigError::io("encode", &path)(std::io::Error::other(fault)))?;
    write_atomic(&path, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restore_is_remembered_and_a_file_that_cannot_be_read_is_no_none() {
        let (_dir, state) = StateDir::temporary();
        assert_eq!(load(&state).unwrap(), None);
        let record = RestoredRecord { at_unix_ms: 7, backup_made: "2026-11-22T12:00:00Z".to_owned() };
        save(&state, &record).unwrap();
        assert_eq!(load(&state).unwrap(), Some(record));
        for damage in ["", "(at_unix_ms: -1, backup_made: \"\")", "(at_unix_ms: 7)"] {
            write_atomic(&state.restored_file(), damage.as_bytes()).unwrap();
            let error = load(&state).unwrap_err().to_string();
            assert!(error.contains("restored.ron"), "{error}");
        }
    }
}
