//! Names of what stands at a site.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest name, in bytes.
pub const NAME_BYTES_MAX: usize = 64;

/// A checked name, for example `valve-zone-1`: what people say, what files say, unique within a site.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// Checks `text`.
    ///
    /// # Errors
    /// A sentence, when it is empty, too long, or has other characters than `a` to `z`, digits and `-`.
    pub fn new(text: &str) -> Result<Self, String> {
        let is_of_a_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if text.is_empty() || text.len() > NAME_BYTES_MAX || !text.chars().all(is_of_a_name) {
            let beginning: String = text.chars().take(NAME_BYTES_MAX).collect();
            return Err(format!(
                "{beginning:?} is no name; names have 1 to {NAME_BYTES_MAX} of the characters a to z, 0 to 9 and -"
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::new(&text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        for good in ["tank-01", "z-water-infra", "a"] {
            assert_eq!(Name::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "Tank", "tank 1", "tank_1", "tänk", &"a".repeat(65)] {
            assert!(Name::new(bad).unwrap_err().contains("is no name"), "{bad}");
        }
    }
}
