//! `gateways.ron`: the OpenClaw gateways that people here have saved. Their secrets are credentials, and stand elsewhere.

use std::collections::BTreeMap;

use clawmesh_wire::peer_spec::{PeerUrl, normal_fingerprint};
use serde::{Deserialize, Serialize};

use crate::config::credentials_file::key_of;
use crate::config::error::{ConfigError, Place};
use crate::config::kept_list;
use crate::config::ron_text;
use crate::config::settings::checks;
use crate::config::state_dir::StateDir;

/// The most gateways that are saved.
pub const GATEWAYS_MAX: usize = 64;
/// The longest name, in characters.
pub const NAME_CHARACTERS_MAX: usize = 32;

const WHO_IS: &str = "which gateways are saved";
const HEAD: &str = "\
// The OpenClaw gateways of `clawmesh gateways`. `clawmesh gateway-connect NAME --save` writes this list anew. Tokens and passwords
// are kept by `clawmesh credential`, under gateway/NAME/token and gateway/NAME/password.
";

/// A saved gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedGateway {
    /// What people here call it.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// Its pinned certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// As what this node connects to it.
    pub role: String,
}

/// All of them, by name.
pub type Gateways = BTreeMap<String, SavedGateway>;

impl SavedGateway {
    /// The same, if everything in it makes sense.
    ///
    /// # Errors
    /// A sentence about the first thing that does not.
    pub fn checked(self) -> Result<Self, String> {
        let name = name_of(&self.name)?;
        let url = PeerUrl::read(&self.url).map_err(|fault| fault.to_string())?;
        let fingerprint = self.fingerprint.as_deref().map(pin).transpose()?;
        if fingerprint.is_some() && !url.is_tls {
            return Err(format!("{url} shows no certificate that could be pinned; write wss://"));
        }
        let url = url.to_string();
        let role = checks::name("role", &self.role).map_err(|fault| fault.sentence)?;
        if role.contains('|') {
            return Err(format!("the role {role:?} has a bar in it, which parts what is signed"));
        }
        Ok(Self { name, url, fingerprint, role })
    }

    /// Under which key its token is kept.
    #[must_use]
    pub fn token_key(&self) -> String {
        format!("gateway/{}/token", self.name)
    }

    /// Under which key its password is kept.
    #[must_use]
    pub fn password_key(&self) -> String {
        format!("gateway/{}/password", self.name)
    }
}

/// A name is one part of the key of a credential.
///
/// # Errors
/// A sentence that names the rule.
pub fn name_of(text: &str) -> Result<String, String> {
    let is_part = !text.contains('/') && text.chars().count() <= NAME_CHARACTERS_MAX;
    key_of(text).ok().filter(|_| is_part).ok_or_else(|| {
        format!(
            "{text:?} is no name of a gateway; it has small letters, digits, `-`, `_` and `.`, and at most {NAME_CHARACTERS_MAX} characters"
        )
    })
}

fn pin(text: &str) -> Result<String, String> {
    let digits = normal_fingerprint(text);
    if digits.len() == 64 {
        return Ok(digits);
    }
    Err(format!("the fingerprint of a certificate has 64 hexadecimal digits, this one has {}", digits.len()))
}

/// Reads the list; without a file it is empty.
///
/// # Errors
/// When others could have written the file, or it is damaged.
pub fn load(dir: &StateDir) -> Result<Gateways, ConfigError> {
    let path = dir.gateways_file();
    let Some(text) = kept_list::read(&path, WHO_IS)? else { return Ok(Gateways::new()) };
    let entries: Vec<SavedGateway> =
        ron_text::parse(&path, &text, |_| None).map_err(kept_list::with_repair)?;
    let wrong = |sentence: String| {
        let place = Place::File { path: path.clone(), position: None };
        kept_list::with_repair(ConfigError::Refused { place, sentence })
    };
    if entries.len() > GATEWAYS_MAX {
        return Err(wrong(format!(
            "{} gateways are listed, at most {GATEWAYS_MAX} are allowed",
            entries.len()
        )));
    }
    let mut all = Gateways::new();
    for entry in entries {
        let entry = entry.checked().map_err(wrong)?;
        if let Some(twice) = all.insert(entry.name.clone(), entry) {
            return Err(wrong(format!("{} is listed twice; keep one of the two", twice.name)));
        }
    }
    Ok(all)
}

/// Saves a gateway, in the place of an earlier one of its name.
///
/// # Errors
/// When there is no more room, or the file cannot be read or written.
pub fn save(dir: &StateDir, gateway: SavedGateway) -> Result<(), ConfigError> {
    let _alone = dir.lock_list("gateways", WHO_IS)?;
    let mut all = load(dir)?;
    all.insert(gateway.name.clone(), gateway);
    let path = dir.gateways_file();
    if all.len() > GATEWAYS_MAX {
        let sentence = format!("{GATEWAYS_MAX} gateways are saved already; take one out of the list");
        return Err(ConfigError::Refused { place: Place::File { path, position: None }, sentence });
    }
    kept_list::write(&path, HEAD, &all.into_values().collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn gateway(name: &str) -> SavedGateway {
        SavedGateway {
            name: name.to_owned(),
            url: "ws://127.0.0.1:18789".to_owned(),
            fingerprint: None,
            role: "node".to_owned(),
        }
    }

    #[test]
    fn what_is_saved_is_read_back_and_replaced_by_its_name() {
        let (_dir, state) = StateDir::temporary();
        assert!(load(&state).unwrap().is_empty());
        save(&state, gateway("barn")).unwrap();
        let pinned = SavedGateway {
            url: "wss://barn.example:443".to_owned(),
            fingerprint: Some("AB:CD".repeat(16)),
            ..gateway("barn")
        };
        save(&state, pinned.checked().unwrap()).unwrap();
        let all = load(&state).unwrap();
        assert_eq!((all.len(), all["barn"].fingerprint.clone()), (1, Some("abcd".repeat(16))));
        assert_eq!(all["barn"].token_key(), "gateway/barn/token");
    }

    #[test]
    fn what_makes_no_sense_is_told_with_the_repair() {
        for (wrong, words) in [
            (SavedGateway { name: "a/b".to_owned(), ..gateway("x") }, "is no name of a gateway"),
            (gateway(&"x".repeat(33)), "at most 32 characters"),
            (SavedGateway { url: "barn".to_owned(), ..gateway("x") }, "is no address"),
            (SavedGateway { fingerprint: Some("ab".to_owned()), ..gateway("x") }, "64 hexadecimal digits"),
            (SavedGateway { role: "a|b".to_owned(), ..gateway("x") }, "has a bar in it"),
        ] {
            assert!(wrong.checked().unwrap_err().contains(words), "{words}");
        }
        let (_dir, state) = StateDir::temporary();
        for damage in ["", "[(name: \"x\")]", "[(name: \"X\", url: \"ws://h\", role: \"node\")]"] {
            fs::write(state.gateways_file(), damage).unwrap();
            let sentence = load(&state).unwrap_err().to_string();
            assert!(sentence.contains("gateways.ron"), "{sentence}");
            assert!(save(&state, gateway("barn")).is_err(), "it is not written over");
        }
    }
}
