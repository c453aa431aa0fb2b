//! Files that hold one secret key, PKCS#8 PEM: made once, never overwritten, never replaced when they are damaged.

use std::path::Path;

use clawmesh_authority::KeyId;
use clawmesh_authority::keys::Key;

use crate::config::durable_file::{check_secret, create_atomic, read_bounded};
use crate::config::error::ConfigError;
use crate::config::identity::random_secret;

/// Makes a key at `path`; `None` when there is something already, which stays as it is.
pub fn create<I: KeyId>(what: &'static str, path: &Path) -> Result<Option<Key<I>>, ConfigError> {
    let key = Key::from_secret(&random_secret(what)?);
    let pem = key
        .to_pem()
        .ok_or_else(|| ConfigError::io("encode the key", path)(std::io::ErrorKind::OutOfMemory.into()))?;
    Ok(create_atomic(path, pem.as_bytes())?.then_some(key))
}

/// Reads a key; `None` when there is no file. `damaged` makes an error out of what is wrong with it.
pub fn read<I: KeyId>(
    what: &'static str,
    path: &Path,
    damaged: impl Fn(&'static str) -> ConfigError,
) -> Result<Option<Key<I>>, ConfigError> {
    let Some(content) = read_bounded(path)? else { return Ok(None) };
    check_secret(what, path)?;
    if content.is_empty() {
        return Err(damaged("it is empty"));
    }
    let text = std::str::from_utf8(&content).map_err(|_| damaged("it is no text"))?;
    let key = Key::from_pem(text).ok_or_else(|| damaged("it holds no Ed25519 key in PKCS#8 PEM"))?;
    Ok(Some(key))
}
