//! Where the key of a person is, as `--key` says it: in a file, or in an `ssh-agent`.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::bail;
use clawmesh_authority::PublicKey;

use crate::config::openssh_key::Kept;
use crate::config::operator_key;
use crate::config::ssh_agent::AgentKey;

const AGENT: &str = "agent";

/// What `--key` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPlace {
    /// A key file. One that is called like an agent is `./agent`.
    File(PathBuf),
    /// The key in the agent with this fingerprint or comment; the only one there when nothing is said.
    Agent(Option<String>),
}

impl From<OsString> for KeyPlace {
    fn from(said: OsString) -> Self {
        match said.to_str().and_then(|said| said.strip_prefix(AGENT)) {
            Some("") => Self::Agent(None),
            Some(rest) if rest.starts_with(':') => Self::Agent(Some(rest[1..].to_owned())),
            _ => Self::File(said.into()),
        }
    }
}

/// A key that was found, and maybe waits for its passphrase.
#[derive(Debug)]
pub enum Found {
    /// In a file.
    File(PathBuf, Kept),
    /// In an agent.
    Agent(AgentKey),
}

impl Found {
    /// Looks where `--key` says, or where a key file is without it.
    ///
    /// # Errors
    /// A sentence with the repair, when there is none or it cannot be read.
    pub fn at(place: Option<KeyPlace>) -> anyhow::Result<Self> {
        let file = match place {
            Some(KeyPlace::Agent(wanted)) => return Ok(Self::Agent(AgentKey::find(wanted.as_deref())?)),
            Some(KeyPlace::File(file)) => Some(file),
            None => None,
        };
        let path = operator_key::locate(file)?;
        let kept = operator_key::load(&path)?;
        Ok(Self::File(path, kept))
    }

    /// The public half, which needs no passphrase.
    pub fn public(&self) -> PublicKey {
        match self {
            Self::File(_, kept) => kept.public(),
            Self::Agent(key) => key.held().public.clone(),
        }
    }
}

/// The key file that `--key` says, for what is done to files only.
///
/// # Errors
/// A sentence, when it says an agent, or there is no home folder.
pub fn file_of(place: Option<KeyPlace>) -> anyhow::Result<PathBuf> {
    let file = match place {
        Some(KeyPlace::Agent(_)) => bail!(
            "keys in an ssh-agent are made with `ssh-keygen -t ed25519` and added with `ssh-add -c`; nothing was done, \
             name a file, which is ./agent if it is called so"
        ),
        Some(KeyPlace::File(file)) => Some(file),
        None => None,
    };
    Ok(operator_key::locate(file)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_word_agent_alone_or_before_a_colon_is_an_agent() {
        let agent = |name: &str| KeyPlace::Agent(Some(name.to_owned()));
        for (said, place) in [
            ("agent", KeyPlace::Agent(None)),
            ("agent:ann@barn", agent("ann@barn")),
            ("agent:SHA256:abc", agent("SHA256:abc")),
            ("agent:", agent("")),
            ("./agent", KeyPlace::File("./agent".into())),
            ("agents.key", KeyPlace::File("agents.key".into())),
            ("/media/stick/ann.key", KeyPlace::File("/media/stick/ann.key".into())),
        ] {
            assert_eq!(KeyPlace::from(OsString::from(said)), place, "{said}");
        }
    }
}
