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
    5 ClockUntrusted "CLOCK_UNTRUSTED" "The clock of the sender is too far ahead of ours, or we do not know the time.";
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
    17 NotAuthorized "NOT_AUTHORIZED" "The signer has no right to this here.";
    18 ApprovalRequired "APPROVAL_REQUIRED" "A person has to approve this first.";
    19 ApprovalExpired "APPROVAL_EXPIRED" "The offer died before the approval came.";
    20 ApprovalReplayed "APPROVAL_REPLAYED" "The nonce of the approval is used, dead or was never ours.";
    21 ApprovalMismatch "APPROVAL_MISMATCH" "The approval is for something else than the offer.";
    22 TwoPersonRequired "TWO_PERSON_REQUIRED" "A second person has to approve, and this is not one.";
    23 SelfApproval "SELF_APPROVAL" "Whoever asked for this cannot approve it.";
    24 OperatorRevoked "OPERATOR_REVOKED" "The key of this person was revoked.";
    25 EvidenceUnresolved "EVIDENCE_UNRESOLVED" "The evidence the policy asks for is not there.";
    26 EvidenceStale "EVIDENCE_STALE" "The evidence is too old.";
    27 CardRequired "CARD_REQUIRED" "Nothing was simulated, or not by somebody we trust.";
    28 CardStale "CARD_STALE" "The card is of another state of the world.";
    29 CardVeto "CARD_VETO" "The twin says this ends badly.";
    30 InterlockOpen "INTERLOCK_OPEN" "A condition is not shown to hold.";
    31 BudgetExceeded "BUDGET_EXCEEDED" "The volume, energy or time of the day is used up.";
    32 StopLatched "STOP_LATCHED" "The stop is latched; a person has to re-arm.";
    33 LeaseLost "LEASE_LOST" "The permission was not renewed in time.";
    34 AuthorityHeld "AUTHORITY_HELD" "Somebody else has exclusive authority over the actuator.";
    35 Frozen "FROZEN" "A person froze work of this kind.";
    36 StaleTerm "STALE_TERM" "The leader who asks was followed by another.";
    37 SiteMismatch "SITE_MISMATCH" "The two sides hold different site files.";
    38 AmbiguousOwner "AMBIGUOUS_OWNER" "More than one node claims the actuator.";
    39 UnknownOperation "UNKNOWN_OPERATION" "The actuator has no such operation.";
    40 OutOfService "OUT_OF_SERVICE" "The actuator is tagged out of service.";
    41 LocalControl "LOCAL_CONTROL" "A person has the actuator in hand control.";
    42 StateUnknown "STATE_UNKNOWN" "The actuator was not read back yet.";
    43 Duplicate "DUPLICATE" "The same is already there.";
    44 Unverified "UNVERIFIED" "No sensor and no person confirmed the effect.";
    45 LlmOnlyActuationBlocked "LLM_ONLY_ACTUATION_BLOCKED" "Only a language model says so; that never moves anything.";
    46 InsufficientTrustTier "INSUFFICIENT_TRUST_TIER" "The evidence is of a lower tier than the policy asks for.";
    47 PairingNotActive "PAIRING_NOT_ACTIVE" "Nobody pairs there at the moment.";
    48 PairingRejected "PAIRING_REJECTED" "A person has said no to the pairing.";
    49 PairingTimeout "PAIRING_TIMEOUT" "Nobody has confirmed the pairing in time.";
    50 PairingSasMismatch "PAIRING_SAS_MISMATCH" "The two screens do not show the same code.";
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

    #[test]
    fn the_number_of_a_code_is_its_place_and_stays_so() {
        for (place, code) in Code::ALL.iter().enumerate() {
            assert_eq!(minicbor::to_vec(code).unwrap(), minicbor::to_vec(place).unwrap(), "{code}");
        }
        let at = |place: usize| Code::ALL[place].as_str();
        assert_eq!(
            (at(16), at(17), at(46)),
            ("SOURCE_MISMATCH", "NOT_AUTHORIZED", "INSUFFICIENT_TRUST_TIER")
        );
    }
}
