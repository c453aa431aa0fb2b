//! Names that cannot be forged: a node is the hash of its key, a mesh the hash of its name.

use std::fmt;
use std::str::FromStr;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::keys::KeyId;

/// Why a text is not a 32-byte identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdFault {
    /// The text has another length than 64 characters.
    #[error("an id has 64 hexadecimal characters, this one has {0}")]
    Length(usize),
    /// The text has a character outside `0-9a-f`.
    #[error("an id has only the characters 0-9 and a-f, found {0:?}")]
    Character(char),
}

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

fn to_hex(bytes: &[u8; 32]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0x0f)]).collect()
}

fn from_hex(text: &str) -> Result<[u8; 32], IdFault> {
    let nibbles = text
        .chars()
        .map(|c| match c {
            '0'..='9' => Ok(c as u8 - b'0'),
            'a'..='f' => Ok(c as u8 - b'a' + 10),
            other => Err(IdFault::Character(other)),
        })
        .collect::<Result<Vec<u8>, IdFault>>()?;
    if nibbles.len() != 64 {
        return Err(IdFault::Length(nibbles.len()));
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(nibbles.chunks_exact(2)) {
        *byte = pair[0] << 4 | pair[1];
    }
    Ok(bytes)
}

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
        #[cbor(transparent)]
        pub struct $name(#[n(0)] #[cbor(with = "minicbor::bytes")] pub [u8; 32]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&to_hex(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.short())
            }
        }

        impl FromStr for $name {
            type Err = IdFault;
            fn from_str(text: &str) -> Result<Self, IdFault> {
                from_hex(text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
            }
        }

        impl $name {
            /// The first eight characters, for people; never enough to decide anything.
            #[must_use]
            pub fn short(&self) -> String {
                let mut text = to_hex(&self.0);
                text.truncate(8);
                text
            }
        }
    };
}

hex_id! {
    /// A node: lower-case hex SHA-256 of its raw Ed25519 public key.
    NodeId
}
hex_id! {
    /// A mesh: SHA-256 of `clawmesh|mesh|` and its name.
    MeshId
}

hex_id! {
    /// A person who operates: SHA-256 of `clawmesh|operator|` and their raw Ed25519 public key, so that no id is both
    /// a node and a person.
    OperatorId
}
hex_id! {
    /// A proposal: the hash of what is proposed.
    ProposalId
}
hex_id! {
    /// A file or a card by its content: SHA-256 of what it is and of its bytes; for a card what `clawmesh_twin` makes of it.
    ContentHash
}

impl KeyId for NodeId {
    fn of_public_key(raw: &[u8; 32]) -> Self {
        Self(hash(&[raw]))
    }
}

impl KeyId for OperatorId {
    fn of_public_key(raw: &[u8; 32]) -> Self {
        Self(hash(&[b"clawmesh|operator|", raw]))
    }
}

impl ProposalId {
    /// The id of a proposal with this canonical encoding.
    #[must_use]
    pub fn of_bytes(canonical: &[u8]) -> Self {
        Self(hash(&[b"clawmesh|proposal|", canonical]))
    }
}

impl ContentHash {
    /// The hash of `bytes` that are a `kind`, for example `site`.
    #[must_use]
    pub fn of(kind: &str, bytes: &[u8]) -> Self {
        Self(hash(&[b"clawmesh|", kind.as_bytes(), b"|", bytes]))
    }

    /// The hash of the canonical text of a site.
    #[must_use]
    pub fn of_site(text: &str) -> Self {
        Self::of("site", text.as_bytes())
    }

    /// The hash of the canonical text of a policy.
    #[must_use]
    pub fn of_policy(text: &str) -> Self {
        Self::of("policy", text.as_bytes())
    }
}

impl MeshId {
    /// The mesh a node without a mesh name is in.
    pub const DEFAULT_NAME: &str = "default";

    /// The id of a mesh by its name; a blank name means [`MeshId::DEFAULT_NAME`].
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        let name = if name.trim().is_empty() { Self::DEFAULT_NAME } else { name.trim() };
        Self(hash(&[b"clawmesh|mesh|", name.as_bytes()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn mesh_ids_follow_the_rule_that_existing_nodes_use() {
        for (name, id) in [
            ("bhoomi", "6542bfab0b293edfbd4b308cfaa5cecfacf5b509416bf8d46d6b1055c8832e5b"),
            ("bhoomi-main", "8b2b21daa19aea8e7a9b659ec583f6e13fa6d817a11208ee00df93488e7e4022"),
            ("localmesh", "b1363ec9153d0c8a1908041fae652b6499ff1b3c3f3bd9af7861b8e2a3b91cee"),
        ] {
            assert_eq!(MeshId::of_name(name).to_string(), id, "{name}");
        }
        assert_eq!(MeshId::of_name("  "), MeshId::of_name("default"));
    }

    #[test]
    fn a_text_that_is_not_an_id_says_why() {
        assert_eq!("ab".parse::<NodeId>(), Err(IdFault::Length(2)));
        assert_eq!("XY".repeat(32).parse::<NodeId>(), Err(IdFault::Character('X')));
    }

    proptest! {
        #[test]
        fn every_id_survives_its_text(bytes: [u8; 32]) {
            prop_assert_eq!(NodeId(bytes).to_string().parse::<NodeId>(), Ok(NodeId(bytes)));
        }

        #[test]
        fn no_text_panics(text in ".{0,80}") {
            let _ = text.parse::<MeshId>();
        }
    }
}
