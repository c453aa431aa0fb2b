//! The key of a person on disk. It lives with the person, never in the state dir of a node: no program approves.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use clawmesh_authority::ids::IdFault;
use clawmesh_authority::{ContentHash, OperatorKey};

use crate::config::durable_file::{check_secret, create_atomic, read_bounded, write_atomic};
use crate::config::error::ConfigError;
use crate::config::identity::random_secret;
use crate::config::openssh_key::{self, Kept};
use crate::config::state_dir::StateDir;

const WHAT: &str = "operator key";

/// What only the state dir of a node holds.
const MARKS_OF_A_NODE: [&str; 3] = ["identity/node.pem", "gateway.token", "journal.db"];

/// Finds the key file: the flag, else `clawmesh/operator.key` where this user keeps configuration; an absolute path.
pub fn locate(flag: Option<PathBuf>) -> Result<PathBuf, ConfigError> {
    let (config_home, home) = from_environment();
    let path = choose(flag, config_home, home)?;
    std::path::absolute(&path).map_err(ConfigError::io("find the file", &path))
}

/// Refuses a place where no new key of a person may go, before anybody is asked for a passphrase.
pub fn check_new(path: &Path) -> Result<(), ConfigError> {
    refuse_state_dir(path)?;
    match path.symlink_metadata() {
        Ok(_) => Err(ConfigError::OperatorKeyExists { path: path.to_owned() }),
        Err(_) => Ok(()),
    }
}

/// Makes the key of a person at `path`, where nothing may be yet; locked by `passphrase`, if there is one.
pub fn create(path: &Path, passphrase: Option<&str>) -> Result<OperatorKey, ConfigError> {
    check_new(path)?;
    let key = OperatorKey::from_secret(&random_secret(WHAT)?);
    if create_atomic(path, openssh_key::write(&key, passphrase)?.as_bytes())? {
        Ok(key)
    } else {
        Err(ConfigError::OperatorKeyExists { path: path.to_owned() })
    }
}

/// Writes `key` anew to the file it was read from, locked by `passphrase`, if there is one; a crash leaves the old file or the new one.
pub fn rewrite(path: &Path, key: &OperatorKey, passphrase: Option<&str>) -> Result<(), ConfigError> {
    refuse_state_dir(path)?;
    // A link stays one; what it points to is written.
    let path = path.canonicalize().map_err(ConfigError::io("find the file", path))?;
    write_atomic(&path, openssh_key::write(key, passphrase)?.as_bytes())
}

/// Reads the key file of a person.
pub fn load(path: &Path) -> Result<Kept, ConfigError> {
    // The key of a node is a key of the same kind; it must not pass for that of a person.
    refuse_state_dir(path)?;
    let Some(content) = read_bounded(path)? else {
        return Err(ConfigError::NoOperatorKey { path: path.to_owned() });
    };
    check_secret(WHAT, path)?;
    let damaged = |why| ConfigError::DamagedOperatorKey { why, path: path.to_owned() };
    let text = std::str::from_utf8(&content).map_err(|_| damaged("it is no text"))?;
    // The form of earlier builds, which has no passphrase.
    if let Some(key) = OperatorKey::from_pem(text) {
        return Ok(Kept::Open(key));
    }
    openssh_key::read(text).map_err(damaged)
}

/// A public key as 64 hexadecimal characters.
#[must_use]
pub fn public_key_text(raw: &[u8; 32]) -> String {
    // Only the text form is lent; a key is no hash.
    ContentHash(*raw).to_string()
}

/// Reads what [`public_key_text`] writes.
///
/// # Errors
/// A sentence that says what is wrong with the text.
pub fn read_public_key(text: &str) -> Result<[u8; 32], String> {
    let read = text.trim().to_ascii_lowercase().parse::<ContentHash>();
    read.map(|lent| lent.0).map_err(|fault| {
        let found = match fault {
            IdFault::Length(length) => format!("this one has {length}"),
            IdFault::Character(character) => format!("this one has {character:?}"),
        };
        format!(
            "a public key has 64 characters, 0-9 and a-f, {found}; copy it from `clawmesh operator show` of the person"
        )
    })
}

fn refuse_state_dir(path: &Path) -> Result<(), ConfigError> {
    match state_dir_around(path, &StateDir::without_flag()) {
        None => Ok(()),
        Some(dir) => Err(ConfigError::OperatorKeyInStateDir { dir, path: path.to_owned() }),
    }
}

/// The state dir a file would be in, at any depth: one of `known`, or a folder that looks like one.
fn state_dir_around(path: &Path, known: &[StateDir]) -> Option<PathBuf> {
    let known: Vec<PathBuf> = known.iter().map(|dir| resolved(dir.root())).collect();
    let looks_like_one =
        |folder: &Path| MARKS_OF_A_NODE.iter().any(|mark| folder.join(mark).symlink_metadata().is_ok());
    let resolved = resolved(path);
    let mut folders = resolved.ancestors().skip(1);
    folders.find(|folder| known.iter().any(|dir| dir == folder) || looks_like_one(folder)).map(Path::to_owned)
}

/// The path without links and `..`, as the system will walk it; what is not there yet stays as it is written.
fn resolved(path: &Path) -> PathBuf {
    let mut walked = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(walked.pop()),
            other => walked.push(other),
        }
        walked = walked.canonicalize().unwrap_or(walked);
    }
    walked
}

#[expect(
    clippy::disallowed_methods,
    reason = "where people keep configuration is read from the environment here"
)]
fn from_environment() -> (Option<OsString>, Option<PathBuf>) {
    (std::env::var_os("XDG_CONFIG_HOME"), std::env::home_dir())
}

fn choose(
    flag: Option<PathBuf>,
    config_home: Option<OsString>,
    home: Option<PathBuf>,
) -> Result<PathBuf, ConfigError> {
    if let Some(flag) = flag {
        return if flag.as_os_str().is_empty() { Err(ConfigError::BlankOperatorKey) } else { Ok(flag) };
    }
    // The XDG base directory specification: a relative path counts for nothing.
    let config_home = config_home.map(PathBuf::from).filter(|folder| folder.is_absolute());
    let home = home.filter(|home| !home.as_os_str().is_empty());
    let config_home =
        config_home.or_else(|| home.map(|home| home.join(".config"))).ok_or(ConfigError::NoOperatorHome)?;
    Ok(config_home.join("clawmesh").join("operator.key"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::durable_file::write_atomic;
    use crate::config::identity;
    use std::fs;

    #[test]
    fn the_flag_wins_over_the_configuration_folder_over_the_home_folder() {
        let choose = |flag: Option<&str>, config_home: Option<&str>, home: Option<&str>| {
            choose(flag.map(Into::into), config_home.map(Into::into), home.map(Into::into))
                .map(|path| path.display().to_string())
                .map_err(|error| error.to_string())
        };
        assert_eq!(choose(Some("mine"), Some("/etc/me"), Some("/barn")).unwrap(), "mine");
        assert_eq!(choose(None, Some("/etc/me"), Some("/barn")).unwrap(), "/etc/me/clawmesh/operator.key");
        for nothing in [None, Some(""), Some("relative")] {
            let found = choose(None, nothing, Some("/barn")).unwrap();
            assert_eq!(found, "/barn/.config/clawmesh/operator.key");
            assert!(choose(None, nothing, None).unwrap_err().contains("--key"));
        }
        assert!(choose(Some(""), None, Some("/barn")).unwrap_err().contains("--key"));
    }

    #[test]
    fn a_key_is_made_once_read_back_and_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/operator.key");
        assert!(matches!(load(&path), Err(ConfigError::NoOperatorKey { .. })));
        let made = create(&path, None).unwrap();
        assert_eq!(load(&path).unwrap().public(), made.public());
        let before = fs::read(&path).unwrap();
        let error = create(&path, None).unwrap_err().to_string();
        assert!(error.contains("never overwritten") && error.ends_with("operator.key"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), before);
        assert_ne!(create(&dir.path().join("other.key"), None).unwrap().id(), made.id());
    }

    #[test]
    fn a_key_of_earlier_builds_is_read_and_written_anew_with_a_passphrase() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("operator.key");
        let old = OperatorKey::from_secret(&[7; 32]);
        write_atomic(&path, old.to_pem().unwrap().as_bytes()).unwrap();
        let Kept::Open(read) = load(&path).unwrap() else { panic!("it had no passphrase") };
        rewrite(&path, &read, Some("a quiet barn")).unwrap();
        let Kept::Locked(locked) = load(&path).unwrap() else { panic!("it has a passphrase now") };
        assert_eq!(locked.unlock("a quiet barn").map(|key| key.secret()), Ok([7; 32]));
    }

    #[test]
    fn a_damaged_key_is_named_and_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("operator.key");
        for damage in [&b""[..], b"garbage", b"\xff\xfe\x00", b"-----BEGIN PRIVATE KEY-----\n"] {
            write_atomic(&path, damage).unwrap();
            let error = load(&path).unwrap_err().to_string();
            assert!(error.starts_with("operator key is damaged: "), "{error}");
            assert!(error.contains("restore it from a backup") && error.ends_with("operator.key"), "{error}");
            assert!(create(&path, None).is_err());
            assert_eq!(fs::read(&path).unwrap(), damage);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_key_is_secret_on_the_disk_or_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("clawmesh/operator.key");
        create(&path, None).unwrap();
        let mode_of = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode_of(&path), mode_of(path.parent().unwrap())), (0o600, 0o700));
        for mode in [0o644, 0o640, 0o606] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = load(&path).unwrap_err().to_string();
            assert!(error.ends_with(&format!("run: chmod 600 {}", path.display())), "{error}");
        }
    }

    #[test]
    fn a_folder_with_any_mark_of_a_node_takes_no_key_at_any_depth() {
        for mark in MARKS_OF_A_NODE {
            let dir = tempfile::tempdir().unwrap();
            write_atomic(&dir.path().join("state").join(mark), b"x").unwrap();
            for key in ["state/operator.key", "state/a/b/operator.key", "new/../state/operator.key"] {
                let error = create(&dir.path().join(key), None).unwrap_err().to_string();
                assert!(
                    error.contains("no program approves") && error.contains("--key"),
                    "{mark} {key}: {error}"
                );
            }
            assert!(
                !dir.path().join("new").exists() && !dir.path().join("state/a").exists(),
                "nothing is made"
            );
            assert!(
                create(&dir.path().join("state/../operator.key"), None).is_ok(),
                "beside it is outside of it"
            );
        }
    }

    #[test]
    fn a_known_state_dir_takes_no_key_even_while_it_is_empty_or_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let known = [StateDir::find(Some(dir.path().join("state"))).unwrap()];
        let inside = dir.path().join("state/keys/operator.key");
        assert_eq!(state_dir_around(&inside, &known), Some(resolved(&dir.path().join("state"))));
        fs::create_dir(dir.path().join("state")).unwrap();
        assert!(state_dir_around(&inside, &known).is_some());
        assert_eq!(state_dir_around(&dir.path().join("state.key"), &known), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_into_a_state_dir_is_seen_through() {
        let (dir, state) = StateDir::temporary();
        identity::load_or_create(&state).unwrap();
        for (link, to) in [("whole", state.root()), ("part", &state.root().join("identity"))] {
            std::os::unix::fs::symlink(to, dir.path().join(link)).unwrap();
            let error = create(&dir.path().join(link).join("keys/operator.key"), None).unwrap_err();
            assert!(matches!(error, ConfigError::OperatorKeyInStateDir { .. }), "{error}");
        }
        let out = dir.path().join("part/../../beside.key");
        assert!(create(&out, None).is_ok(), "the link is followed before the step up");
    }

    #[test]
    fn the_key_of_a_node_does_not_pass_for_the_key_of_a_person() {
        let (_dir, state) = StateDir::temporary();
        identity::load_or_create(&state).unwrap();
        assert!(matches!(load(&state.identity_file()), Err(ConfigError::OperatorKeyInStateDir { .. })));
    }

    #[test]
    fn a_public_key_survives_its_text_and_another_text_says_why() {
        let raw = *OperatorKey::from_secret(&[7; 32]).public().raw();
        let text = public_key_text(&raw);
        assert_eq!(text.len(), 64);
        assert_eq!(read_public_key(&text), Ok(raw));
        assert_eq!(read_public_key(&format!(" {}\n", text.to_uppercase())), Ok(raw));
        assert!(read_public_key("abc").unwrap_err().contains("this one has 3;"));
        assert!(read_public_key(&"xy".repeat(32)).unwrap_err().contains("this one has 'x';"));
    }
}
