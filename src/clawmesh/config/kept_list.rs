//! Lists in the state dir that say who may do what: written only by their owner, changed one change at a time, and never begun
//! anew by themselves.

use std::path::Path;

use serde::Serialize;

use crate::config::durable_file::{read_bounded, write_atomic};
use crate::config::error::{ConfigError, Place};
use crate::config::ron_text;

/// The text of a list, if there is one.
///
/// # Errors
/// When it cannot be read, is no text, others could have written it (`who_is` then says what they could change, for example
/// `who is enrolled`), or a link leads nowhere.
pub fn read(path: &Path, who_is: &'static str) -> Result<Option<String>, ConfigError> {
    let Some(content) = read_bounded(path)? else {
        // A link that leads nowhere hides a list; to take it for an empty one would bring back what was removed.
        return match path.symlink_metadata() {
            Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(fault) => Err(ConfigError::io("read the file", path)(fault)),
            Ok(_) => Err(ConfigError::io("read the file", path)(std::io::ErrorKind::NotFound.into())),
        };
    };
    check_writers(path, who_is)?;
    ron_text::utf8(path, &content).map(|text| Some(text.to_owned())).map_err(with_repair)
}

/// Writes a list, with `head` before it.
///
/// # Errors
/// When the disk refuses.
pub fn write<T: Serialize>(path: &Path, head: &str, entries: &[T]) -> Result<(), ConfigError> {
    let text = ron::ser::to_string_pretty(entries, ron::ser::PrettyConfig::default());
    let text = text.map_err(|fault| ConfigError::io("encode", path)(std::io::Error::other(fault)))?;
    write_atomic(path, format!("{head}{text}\n").as_bytes())
}

/// A list that was lost must not begin anew by itself, so every fault of it names the way back.
pub fn with_repair(fault: ConfigError) -> ConfigError {
    match fault {
        ConfigError::Refused { place: place @ Place::File { .. }, sentence } => {
            let sentence = sentence.replace("; fill it, or remove it", "");
            ConfigError::Refused {
                place,
                sentence: format!("{sentence}; mend it, or restore the file from a backup"),
            }
        }
        other => other,
    }
}

/// Refuses a list that others could have written.
#[cfg_attr(not(unix), expect(unused_variables, reason = "only unix has permission bits"))]
fn check_writers(path: &Path, who_is: &'static str) -> Result<(), ConfigError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let metadata = path.metadata().map_err(ConfigError::io("read the permissions", path))?;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o022 != 0 {
            return Err(ConfigError::OpenList { who_is, mode, path: path.to_owned() });
        }
    }
    Ok(())
}
