//! `credentials.ron`: secrets for services outside of the mesh, kept for their owner only. One change at a time.

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::config::durable_file::{FILE_BYTES_MAX, check_secret, write_atomic};
use crate::config::error::{ConfigError, Place, Position};
use crate::config::kept_list;
use crate::config::ron_text;
use crate::config::state_dir::StateDir;
use crate::config::trust_file::time_text;

/// The most credentials there are.
pub const CREDENTIALS_MAX: usize = 64;
/// The longest value, in bytes.
pub const VALUE_BYTES_MAX: usize = 8 * 1_024;
/// The longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 96;
/// The longest label, in characters.
pub const LABEL_CHARACTERS_MAX: usize = 64;

const WHAT: &str = "credentials";
const WHO_IS: &str = "which credentials are kept";
const HEAD: &str = "\
// Secrets of this node for services outside of the mesh. `clawmesh credential set` and `clawmesh credential delete` change this
// file and write it anew. Nobody but its owner may read it, and no backup holds it.
";

/// A secret text. It never prints itself by accident.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Takes a value as somebody gave it; one line end at its end is that of whoever wrote it down.
    ///
    /// # Errors
    /// A sentence that names the rule and never the value.
    pub fn new(text: &str) -> Result<Self, String> {
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        let is_odd = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
        if text.is_empty() {
            return Err("the value is empty; `clawmesh credential delete` takes one away".to_owned());
        }
        if text.len() > VALUE_BYTES_MAX {
            return Err(format!("the value has {} bytes, at most {VALUE_BYTES_MAX} are kept", text.len()));
        }
        if text.contains(is_odd) {
            return Err("the value has control characters, and is no text".to_owned());
        }
        Ok(Self(text.to_owned()))
    }

    /// The secret itself, for whoever it is meant for.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// How long it is, and nothing else.
impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[redacted, {} bytes]", self.0.len())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// One credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// The secret.
    pub value: Secret,
    /// What people call it.
    pub label: Option<String>,
    /// When it was set, as people read it.
    pub added: String,
}

/// All credentials, by key.
pub type Credentials = BTreeMap<String, Credential>;

/// One credential as the file has it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    key: String,
    value: Secret,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    added: String,
}

/// A key: parts of small letters, digits, `-`, `_` and `.`, with `/` between them, such as `provider/openai`.
///
/// # Errors
/// A sentence that names the rule.
pub fn key_of(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    let is_part =
        |part: &str| part.starts_with(|c: char| c.is_ascii_alphanumeric()) && part.chars().all(is_plain);
    let text = text.trim();
    if text.len() <= KEY_BYTES_MAX && text.split('/').all(is_part) {
        return Ok(text.to_owned());
    }
    let shown: String = text.chars().take(KEY_BYTES_MAX).collect();
    Err(format!(
        "{shown:?} is no key; a key has small letters, digits, `-`, `_` and `.`, in parts with `/` between them, and at most \
         {KEY_BYTES_MAX} characters, for example provider/openai"
    ))
}

/// What people call a credential.
///
/// # Errors
/// A sentence that names the rule.
pub fn label_of(text: &str) -> Result<String, String> {
    let text = text.trim();
    let is_short = text.chars().count() <= LABEL_CHARACTERS_MAX;
    if is_short && !text.is_empty() && !text.chars().any(char::is_control) {
        return Ok(text.to_owned());
    }
    Err(format!("a label has 1 to {LABEL_CHARACTERS_MAX} characters on one line"))
}

/// Reads the credentials; without a file there are none.
///
/// # Errors
/// When others may read the file, or it is damaged. What stands in it is never part of the sentence.
pub fn load(dir: &StateDir) -> Result<Credentials, ConfigError> {
    let path = dir.credentials_file();
    let Some(text) = kept_list::read(&path, WHO_IS)? else { return Ok(Credentials::new()) };
    check_secret(WHAT, &path)?;
    let damaged = |why: String| ConfigError::DamagedCredentials { why, path: path.clone() };
    let entries: Vec<Entry> = ron_text::parse(&path, &text, |_| None).map_err(|fault| {
        // The sentence of the parser repeats what it has found.
        damaged(match fault.place().1 {
            Some(Position { line, column }) => format!("it makes no sense at line {line}, column {column}"),
            None => "it makes no sense".to_owned(),
        })
    })?;
    if entries.len() > CREDENTIALS_MAX {
        return Err(damaged(format!("it has {} entries, at most {CREDENTIALS_MAX} are kept", entries.len())));
    }
    let mut all = Credentials::new();
    for (index, Entry { key, value, label, added }) in entries.into_iter().enumerate() {
        let at = |why: String| damaged(format!("entry {}: {why}", index + 1));
        let key = key_of(&key).map_err(at)?;
        let value = Secret::new(value.reveal()).map_err(at)?;
        let label = label.as_deref().map(label_of).transpose().map_err(at)?;
        if all.insert(key.clone(), Credential { value, label, added }).is_some() {
            return Err(at(format!("{key} is there twice; keep one of the two")));
        }
    }
    Ok(all)
}

/// Keeps a secret under a key, in the place of an earlier one; without a label it keeps the one it has. True when it is new.
///
/// # Errors
/// When there is no more room, or the file cannot be read or written.
pub fn set(
    dir: &StateDir,
    key: &str,
    value: Secret,
    label: Option<String>,
    now: SystemTime,
) -> Result<bool, ConfigError> {
    update(dir, |all| {
        let before = all.remove(key);
        if all.len() >= CREDENTIALS_MAX {
            return Err(format!(
                "{CREDENTIALS_MAX} credentials are kept already; `clawmesh credential delete` takes one away"
            ));
        }
        let is_new = before.is_none();
        let label = label.or(before.and_then(|before| before.label));
        all.insert(key.to_owned(), Credential { value, label, added: time_text(now) });
        Ok(is_new)
    })
}

/// Forgets a secret; false when there was none under this key.
///
/// # Errors
/// When the file cannot be read or written.
pub fn delete(dir: &StateDir, key: &str) -> Result<bool, ConfigError> {
    // Looked at first: to take nothing away makes no file.
    if !load(dir)?.contains_key(key) {
        return Ok(false);
    }
    update(dir, |all| Ok(all.remove(key).is_some()))
}

fn update<T>(
    dir: &StateDir,
    change: impl FnOnce(&mut Credentials) -> Result<T, String>,
) -> Result<T, ConfigError> {
    let _alone = dir.lock_list("credentials", WHO_IS)?;
    let path = dir.credentials_file();
    let refused = |sentence| ConfigError::Refused {
        place: Place::File { path: path.clone(), position: None },
        sentence,
    };
    let mut all = load(dir)?;
    let outcome = change(&mut all).map_err(refused)?;
    let entries: Vec<Entry> = all
        .into_iter()
        .map(|(key, Credential { value, label, added })| Entry { key, value, label, added })
        .collect();
    let text = ron::ser::to_string_pretty(&entries, ron::ser::PrettyConfig::default());
    let text = text.map_err(|fault| ConfigError::io("encode", &path)(std::io::Error::other(fault)))?;
    let content = format!("{HEAD}{text}\n");
    if content.len() as u64 > FILE_BYTES_MAX {
        let sentence =
            "all credentials together are too large to be kept; `clawmesh credential delete` takes one away";
        return Err(refused(sentence.to_owned()));
    }
    write_atomic(&path, content.as_bytes())?;
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::SystemTime;

    use proptest::prelude::*;

    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text).unwrap()
    }

    fn keep(state: &StateDir, key: &str, value: &str) -> Result<bool, ConfigError> {
        set(state, key, secret(value), None, SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn what_is_kept_is_read_back_replaced_and_forgotten() {
        let (_dir, state) = StateDir::temporary();
        assert!(load(&state).unwrap().is_empty() && !delete(&state, "provider/openai").unwrap());
        assert!(!state.credentials_file().exists(), "nothing was to be written");
        let odd = "line one\nline \"two\"\t\\ é";
        let label = Some("the farm's".to_owned());
        assert!(set(&state, "provider/openai", secret(odd), label, SystemTime::UNIX_EPOCH).unwrap());
        assert!(keep(&state, "channel/telegram", "t").unwrap());
        assert_eq!(load(&state).unwrap()["provider/openai"].value.reveal(), odd);
        assert!(!keep(&state, "provider/openai", "other\r\n").unwrap(), "it is not new");
        let all = load(&state).unwrap();
        let found = &all["provider/openai"];
        assert_eq!((found.value.reveal(), found.label.as_deref()), ("other", Some("the farm's")));
        assert!(delete(&state, "provider/openai").unwrap());
        assert_eq!(load(&state).unwrap().keys().collect::<Vec<_>>(), ["channel/telegram"]);
    }

    #[test]
    fn keys_values_and_labels_have_bounds() {
        for good in ["a", "provider/openai", "gateway/barn-1/token", "custom/a.b_c", &"x".repeat(96)] {
            assert_eq!(key_of(good).as_deref(), Ok(good));
        }
        for bad in ["", "/", "a/", "/a", "a//b", "A", "a b", "../x", "a/../b", "-x", "é", &"x".repeat(97)] {
            assert!(key_of(bad).unwrap_err().contains("is no key"), "{bad}");
        }
        assert!(Secret::new(&"x".repeat(VALUE_BYTES_MAX)).is_ok());
        for bad in ["", "\n", "a\u{0}", "a\u{1b}[2J", &"x".repeat(VALUE_BYTES_MAX + 1)] {
            assert!(Secret::new(bad).is_err(), "{bad:?}");
        }
        for bad in ["", " ", "a\nb", &"x".repeat(65)] {
            assert!(label_of(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn there_is_an_end_to_how_many_are_kept_and_what_is_kept_can_be_read() {
        let (_dir, state) = StateDir::temporary();
        for n in 0..CREDENTIALS_MAX {
            keep(&state, &format!("custom/{n}"), &"\"".repeat(VALUE_BYTES_MAX / 2)).unwrap();
        }
        let sentence = keep(&state, "custom/more", "v").unwrap_err().to_string();
        assert!(sentence.contains("64 credentials are kept already; "), "{sentence}");
        assert!(!keep(&state, "custom/0", "another").unwrap(), "what is there can be replaced");
        assert_eq!(load(&state).unwrap().len(), CREDENTIALS_MAX);
        for n in 0..CREDENTIALS_MAX {
            // Each takes twice its bytes in the file, so that they do not all fit.
            let kept = keep(&state, &format!("custom/{n}"), &"\"".repeat(VALUE_BYTES_MAX));
            if let Err(why) = kept {
                assert!(why.to_string().contains("too large to be kept"), "{why}");
            }
        }
        assert_eq!(
            load(&state).unwrap().len(),
            CREDENTIALS_MAX,
            "and the file is still one that can be read"
        );
    }

    #[test]
    fn a_damaged_file_is_named_with_the_repair_and_without_what_stands_in_it() {
        let (_dir, state) = StateDir::temporary();
        keep(&state, "provider/openai", "hunter2").unwrap();
        let sound = fs::read_to_string(state.credentials_file()).unwrap();
        for damage in [
            sound.replace("value:", "valeu:"),
            sound.replace("\"hunter2\"", "hunter2"),
            sound.replace("provider/openai", "PROVIDER hunter"),
            sound.replace("\"hunter2\"", "\"\""),
            sound[..sound.len() - 9].to_owned(),
            "hunter2".to_owned(),
            String::new(),
        ] {
            write_atomic(&state.credentials_file(), damage.as_bytes()).unwrap();
            let sentence = load(&state).unwrap_err().to_string();
            assert!(sentence.contains("damaged") && sentence.contains("set them again"), "{sentence}");
            assert!(!sentence.contains("hunter2"), "{sentence}");
            assert!(keep(&state, "provider/openai", "x").is_err(), "it is not written over");
            assert_eq!(fs::read_to_string(state.credentials_file()).unwrap(), damage);
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_secret_on_the_disk_or_refused() {
        use std::os::unix::fs::PermissionsExt;
        let (_dir, state) = StateDir::temporary();
        keep(&state, "provider/openai", "hunter2").unwrap();
        let path = state.credentials_file();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        for mode in [0o644, 0o666] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let sentence = load(&state).unwrap_err().to_string();
            assert!(sentence.contains("chmod 600"), "{sentence}");
        }
    }

    #[test]
    fn a_secret_prints_nothing_of_itself() {
        let value = secret("hunter2");
        assert_eq!(
            (format!("{value:?}"), value.to_string()),
            ("Secret(..)".into(), "[redacted, 7 bytes]".into())
        );
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_a_key_stays_one(text in "\\PC{0,120}|[a-z/.]{0,20}") {
            let _ = (Secret::new(&text), label_of(&text));
            if let Ok(key) = key_of(&text) {
                prop_assert_eq!(key_of(&key), Ok(key.clone()));
            }
        }
    }
}
