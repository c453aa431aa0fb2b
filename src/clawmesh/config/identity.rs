//! The key of this node on disk. Losing it means becoming somebody else, so it is made once and never replaced.

use clawmesh_authority::NodeKey;

use crate::config::error::ConfigError;
use crate::config::key_file;
use crate::config::state_dir::StateDir;

const WHAT: &str = "identity";

/// The key of this node, and whether it was made just now.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The key.
    pub key: NodeKey,
    /// True when there was none before: people will want to know the new id.
    pub is_new: bool,
}

/// Reads the identity; `None` when there is none yet.
pub fn load(dir: &StateDir) -> Result<Option<NodeKey>, ConfigError> {
    let path = dir.identity_file();
    key_file::read(WHAT, &path, |why| ConfigError::DamagedIdentity { why, path: path.clone() })
}

/// Reads the identity, or makes one when there is no file. A file that cannot be read is an error.
pub fn load_or_create(dir: &StateDir) -> Result<Identity, ConfigError> {
    if let Some(key) = load(dir)? {
        return Ok(Identity { key, is_new: false });
    }
    let path = dir.identity_file();
    if let Some(key) = key_file::create(WHAT, &path)? {
        return Ok(Identity { key, is_new: true });
    }
    // Somebody else made one in the meantime (theirs counts), or the name leads nowhere.
    match load(dir)? {
        Some(key) => Ok(Identity { key, is_new: false }),
        None => Err(ConfigError::DamagedIdentity { why: "it is a link that leads nowhere", path }),
    }
}

/// 32 bytes nobody can guess.
pub fn random_secret(what: &'static str) -> Result<[u8; 32], ConfigError> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|fault| ConfigError::NoRandomness { what, fault })?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::durable_file::write_atomic;
    use std::fs;

    #[test]
    fn an_identity_is_made_once_and_stays() {
        let (_dir, state) = StateDir::temporary();
        assert!(load(&state).unwrap().is_none());
        let made = load_or_create(&state).unwrap();
        let found = load_or_create(&state).unwrap();
        assert!(made.is_new && !found.is_new);
        assert_eq!(made.key.id(), found.key.id());
        let (_dir, other) = StateDir::temporary();
        assert_ne!(load_or_create(&other).unwrap().key.id(), made.key.id());
    }

    #[test]
    fn a_damaged_identity_is_named_and_never_replaced() {
        let (_dir, state) = StateDir::temporary();
        load_or_create(&state).unwrap();
        let good = fs::read(state.identity_file()).unwrap();
        // The last letter of the algorithm's number: X25519, which cannot sign, instead of Ed25519.
        let other_type = String::from_utf8(good.clone()).unwrap().replacen("K2Vw", "K2Vu", 1);
        assert_ne!(other_type.as_bytes(), good);
        let damages = [&b""[..], &good[..good.len() / 2], b"garbage", b"\xff\xfe\x00", other_type.as_bytes()];
        for damage in damages {
            write_atomic(&state.identity_file(), damage).unwrap();
            let error = load_or_create(&state).unwrap_err().to_string();
            assert!(error.starts_with("identity file is damaged: "), "{error}");
            assert!(error.contains("restore it from a backup") && error.ends_with("node.pem"), "{error}");
            assert_eq!(fs::read(state.identity_file()).unwrap(), damage);
        }
    }

    #[test]
    fn no_flipped_bit_makes_another_identity() {
        let key = NodeKey::from_secret(&[7; 32]);
        let good = key.to_pem().unwrap().into_bytes();
        for at in 0..good.len() * 8 {
            let mut flipped = good.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            let read = std::str::from_utf8(&flipped).ok().and_then(NodeKey::from_pem);
            assert!(read.is_none_or(|read| read.id() == key.id()), "bit {at}");
        }
    }

    #[test]
    fn a_file_that_is_no_file_or_far_too_large_is_refused() {
        let (_dir, state) = StateDir::temporary();
        fs::File::create(state.identity_file()).unwrap().set_len(1 << 30).unwrap();
        assert!(matches!(load_or_create(&state), Err(ConfigError::TooLarge { .. })));
        fs::remove_file(state.identity_file()).unwrap();
        fs::create_dir(state.identity_file()).unwrap();
        assert!(matches!(load_or_create(&state), Err(ConfigError::Io { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn the_identity_is_secret_on_the_disk_or_refused() {
        use std::os::unix::fs::PermissionsExt;
        let (_dir, state) = StateDir::temporary();
        load_or_create(&state).unwrap();
        let path = state.identity_file();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        for mode in [0o644, 0o640, 0o606, 0o610] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = load_or_create(&state).unwrap_err().to_string();
            assert!(error.ends_with(&format!("run: chmod 600 {}", path.display())), "{error}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        assert!(!load_or_create(&state).unwrap().is_new);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_leads_nowhere_is_not_followed() {
        let (_dir, state) = StateDir::temporary();
        std::os::unix::fs::symlink("nowhere", state.identity_file()).unwrap();
        let error = load_or_create(&state).unwrap_err().to_string();
        assert!(error.contains("leads nowhere"), "{error}");
        assert!(fs::symlink_metadata(state.identity_file()).unwrap().is_symlink());
    }
}
