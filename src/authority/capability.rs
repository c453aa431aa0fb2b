//! What a node can do, as `kind:name[:sub]`.

use std::fmt;

use minicbor::encode::Write;
use minicbor::{Decode, Decoder, Encode, Encoder};
use serde::{Deserialize, Serialize};

/// The longest capability we take, in bytes.
pub const CAPABILITY_BYTES_MAX: usize = 128;

/// A checked capability, for example `sensor:soil-moisture:zone-1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Capability(String);

/// Why a text is no capability.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CapabilityFault {
    /// Fewer than two parts, or an empty one.
    #[error("{0:?} is not `kind:name` or `kind:name:sub`")]
    Shape(String),
    /// A character that cannot stand in a key expression or confuses a reader.
    #[error("{text:?} has {found:?}; allowed are letters, digits and `.`, `_`, `-`, `:`")]
    Character {
        /// The text that was given.
        text: String,
        /// The first character that is not allowed.
        found: char,
    },
    /// Longer than [`CAPABILITY_BYTES_MAX`].
    #[error("a capability has at most {CAPABILITY_BYTES_MAX} characters, this one has {0}")]
    Length(usize),
}

impl Capability {
    /// Checks `text`.
    pub fn new(text: &str) -> Result<Self, CapabilityFault> {
        if text.len() > CAPABILITY_BYTES_MAX {
            return Err(CapabilityFault::Length(text.len()));
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':');
        if let Some(found) = text.chars().find(|c| !allowed(*c)) {
            return Err(CapabilityFault::Character { text: text.to_owned(), found });
        }
        let parts: Vec<&str> = text.split(':').collect();
        if parts.len() < 2 || parts.iter().any(|part| part.is_empty()) {
            return Err(CapabilityFault::Shape(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<C> Encode<C> for Capability {
    fn encode<W: Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.str(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Capability {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        Self::new(d.str()?).map_err(minicbor::decode::Error::message)
    }
}

impl TryFrom<String> for Capability {
    type Error = CapabilityFault;
    fn try_from(text: String) -> Result<Self, CapabilityFault> {
        Self::new(&text)
    }
}

impl From<Capability> for String {
    fn from(capability: Capability) -> Self {
        capability.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn kind_and_name_are_needed() {
        for good in ["sensor:cpu-load", "actuator:relay:board:3:pin:7", "llm:google.gemini"] {
            assert!(Capability::new(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "sensor",
            "sensor:",
            ":x",
            "a::b",
            "sensor:a b",
            "sensor:a/b",
            "sensor:*",
            "sensor:\u{202e}x",
        ] {
            assert!(Capability::new(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,200}") {
            let _ = Capability::new(&text);
        }
    }
}
