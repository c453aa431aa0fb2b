//! The token of the gateway: whoever can read it may speak for the owner of this state dir.

use std::fmt;
use std::fmt::Write as _;
use std::path::Path;

use crate::config::durable_file::{check_secret, create_atomic, read_bounded};
use crate::config::error::ConfigError;
use crate::config::identity::random_secret;
use crate::config::state_dir::StateDir;

const WHAT: &str = "gateway token";
const TOKEN_CHARACTERS: usize = 64;

/// 32 random bytes in hexadecimal. It never prints itself by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct GatewayToken(String);

impl GatewayToken {
    /// The secret text, to be sent to, or compared by, the gateway only.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for GatewayToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GatewayToken(..)")
    }
}

/// Reads the token; `None` when no node has run here yet.
pub fn load(dir: &StateDir) -> Result<Option<GatewayToken>, ConfigError> {
    read(&dir.token_file())
}

/// Reads a token from any file, such as one brought over from another machine; `None` when there is no file.
pub fn read(path: &Path) -> Result<Option<GatewayToken>, ConfigError> {
    let Some(content) = read_bounded(path)? else { return Ok(None) };
    check_secret(WHAT, path)?;
    let damaged = |why| ConfigError::DamagedToken { why, path: path.to_owned() };
    let text = String::from_utf8(content).map_err(|_| damaged("it is no text"))?;
    let text = text.trim();
    let is_hex = |c: char| matches!(c, '0'..='9' | 'a'..='f');
    if text.len() != TOKEN_CHARACTERS || !text.chars().all(is_hex) {
        return Err(damaged("it is not 64 hexadecimal characters"));
    }
    Ok(Some(GatewayToken(text.to_owned())))
}

/// Reads the token, or makes one when there is no file.
pub fn load_or_create(dir: &StateDir) -> Result<GatewayToken, ConfigError> {
    if let Some(token) = load(dir)? {
        return Ok(token);
    }
    let made = random_token()?;
    let path = dir.token_file();
    if create_atomic(&path, format!("{}\n", made.0).as_bytes())? {
        return Ok(made);
    }
    // Somebody else made one in the meantime: theirs counts.
    load(dir)?.ok_or(ConfigError::DamagedToken { why: "it is a link that leads nowhere", path })
}

fn random_token() -> Result<GatewayToken, ConfigError> {
    let secret = random_secret(WHAT)?;
    let mut text = String::with_capacity(TOKEN_CHARACTERS);
    for byte in secret {
        // Writing into a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(GatewayToken(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::durable_file::write_atomic;
    use std::fs;

    #[test]
    fn a_token_is_made_once_and_is_hexadecimal() {
        let (_dir, state) = StateDir::temporary();
        assert!(load(&state).unwrap().is_none());
        let made = load_or_create(&state).unwrap();
        assert_eq!(load_or_create(&state).unwrap(), made);
        assert_eq!(made.reveal().len(), 64);
        let (_dir, other) = StateDir::temporary();
        assert_ne!(load_or_create(&other).unwrap(), made);
    }

    #[test]
    fn debug_output_holds_no_secret() {
        assert_eq!(format!("{:?}", random_token().unwrap()), "GatewayToken(..)");
    }

    #[test]
    fn a_damaged_token_is_named_and_never_replaced() {
        let (_dir, state) = StateDir::temporary();
        let long = "a".repeat(65);
        for damage in ["", "abc", &"g".repeat(64), &"A".repeat(64), &long] {
            write_atomic(&state.token_file(), damage.as_bytes()).unwrap();
            let error = load_or_create(&state).unwrap_err().to_string();
            assert!(error.contains("damaged") && error.ends_with("gateway.token"), "{error}");
            assert_eq!(fs::read_to_string(state.token_file()).unwrap(), damage);
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_token_is_secret_on_the_disk_or_refused() {
        use std::os::unix::fs::PermissionsExt;
        let (_dir, state) = StateDir::temporary();
        load_or_create(&state).unwrap();
        let path = state.token_file();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(load_or_create(&state).unwrap_err().to_string().contains("chmod 600"));
    }
}
