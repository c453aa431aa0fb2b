//! How people say that the gateway speaks TLS: `true`, or the two files of a certificate of their own.

use std::fmt;
use std::path::PathBuf;

use serde::de::{MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Whether the gateway speaks TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// It speaks plain HTTP.
    Off,
    /// With a certificate that the node makes itself, once.
    Own,
    /// With the certificate of these files.
    Pair(Pair),
}

/// A certificate and its key, PEM files; a relative path begins in the state dir.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// The certificate, and those it follows from.
    pub cert: PathBuf,
    /// The key, which nobody else may read.
    pub key: PathBuf,
}

impl Serialize for Tls {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => to.serialize_bool(false),
            Self::Own => to.serialize_bool(true),
            Self::Pair(pair) => pair.serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for Tls {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(InWords)
    }
}

struct InWords;

impl<'de> Visitor<'de> for InWords {
    type Value = Tls;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, false or two files")
    }

    fn visit_bool<E>(self, is_on: bool) -> Result<Tls, E> {
        Ok(if is_on { Tls::Own } else { Tls::Off })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Tls, A::Error> {
        Pair::deserialize(MapAccessDeserializer::new(map)).map(Tls::Pair)
    }
}
