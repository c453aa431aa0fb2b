//! A refusal is an answer: a code for programs, a sentence for people, the sender it was given to.

use std::fmt;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! codes {
    ($($index:literal $name:ident $text:literal $doc:literal;)*) => {
        /// Why something was refused. The texts are a contract: programs match on them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
        #[cbor(index_only)]
        pub enum Code { $(#[doc = $doc] #[n($index)] $name,)* }

        impl Code {
            /// Every code, in the order of the list.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The code as programs see it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

codes! {
    0 MalformedEnvelope "MALFORMED_ENVELOPE" "The bytes are no signed envelope in canonical form.";
    1 BadSignature "BAD_SIGNATURE" "The signature does not fit the key and the content.";
    2 UntrustedPeer "UNTRUSTED_PEER" "The signer is not pinned here.";
    3 MeshIdMismatch "MESH_ID_MISMATCH" "The statement belongs to another mesh.";
    4 Replayed "REPLAYED" "The statement, or a later one, was heard before.";
    5 ClockUntrusted "CLOCK_UNTRUSTED" "The clock of the sender is too far ahead of ours.";
    6 RateLimited "RATE_LIMITED" "The sender says more than it may.";
    7 TooLarge "TOO_LARGE" "The message is larger than we take.";
    8 NotANumber "NOT_A_NUMBER" "A value is NaN or infinite.";
    9 UndecodableSample "UNDECODABLE_SAMPLE" "A foreign sample does not fit its mapping.";
    10 UnitMismatch "UNIT_MISMATCH" "A reading has another unit than its sensor declared.";
    11 LimitExceeded "LIMIT_EXCEEDED" "A bound on how many of something we keep is reached.";
    12 InvalidParams "INVALID_PARAMS" "The content makes no sense.";
    13 Busy "BUSY" "The inbox is full; try again.";
    14 JournalUnavailable "JOURNAL_UNAVAILABLE" "The journal cannot commit, so nothing new is accepted.";
    15 StreamSkipped "STREAM_SKIPPED" "Samples were dropped or lost on the stream lane.";
    16 SourceMismatch "SOURCE_MISMATCH" "The signer is not the node the key expression names.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::ALL
            .iter()
            .copied()
            .find(|code| code.as_str() == text)
            .ok_or_else(|| serde::de::Error::custom(format!("unknown refusal code {text:?}")))
    }
}

/// One refusal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Encode, Decode)]
pub struct Refusal {
    /// The code.
    #[n(0)]
    pub code: Code,
    /// Who or what was refused: a node id, a key expression, a name of ours.
    #[n(1)]
    pub from: String,
    /// What happened and what to do, one sentence.
    #[n(2)]
    pub sentence: String,
}

impl Refusal {
    /// A refusal of `from` with `code`.
    #[must_use]
    pub fn new(code: Code, from: impl fmt::Display, sentence: impl Into<String>) -> Self {
        Self { code, from: from.to_string(), sentence: sentence.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {}: {}", self.code, self.from, self.sentence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_text_of_its_own() {
        let texts: std::collections::BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(texts.len(), Code::ALL.len());
        assert!(texts.iter().all(|text| text.chars().all(|c| c.is_ascii_uppercase() || c == '_')));
    }
}
