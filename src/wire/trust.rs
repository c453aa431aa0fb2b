//! What a message claims about trust: the vocabulary, and the claims as they came.
//!
//! Nothing here believes a claim. A word outside of the vocabulary stays a word, so that the gate can say which one it is.

use std::fmt;

use clawmesh_authority::Tier;
use serde_json::value::RawValue;

use crate::code::{Code, Refusal, quoted};
use crate::fields::{Fields, Text, text_of};

/// The most entries of a list of claims.
pub const CLAIMS_MAX: usize = 32;
/// The longest entry of a list of claims, in bytes.
pub const CLAIM_BYTES_MAX: usize = 128;

/// A word of the vocabulary.
pub trait Word: Copy + 'static {
    /// Every word with its text on the wire.
    const ALL: &'static [(Self, &'static str)];

    /// The word with this text.
    #[must_use]
    fn of_text(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == text).map(|(word, _)| *word)
    }
}

/// What a message is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ActionType {
    /// Words.
    Communication,
    /// Something was seen.
    Observation,
    /// Something shall move.
    Actuation,
}

/// Who or what speaks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EvidenceSource {
    /// A language model.
    Llm,
    /// A sensor.
    Sensor,
    /// The device itself.
    Device,
    /// A person.
    Human,
    /// Several of these, not told apart.
    Mixed,
}

/// Who has to confirm before it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verification {
    /// Nobody.
    None,
    /// A device or a sensor.
    Device,
    /// A person.
    Human,
    /// Either.
    DeviceOrHuman,
}

impl Word for ActionType {
    const ALL: &'static [(Self, &'static str)] = &[
        (Self::Communication, "communication"),
        (Self::Observation, "observation"),
        (Self::Actuation, "actuation"),
    ];
}

impl Word for EvidenceSource {
    const ALL: &'static [(Self, &'static str)] = &[
        (Self::Llm, "llm"),
        (Self::Sensor, "sensor"),
        (Self::Device, "device"),
        (Self::Human, "human"),
        (Self::Mixed, "mixed"),
    ];
}

impl Word for Verification {
    const ALL: &'static [(Self, &'static str)] = &[
        (Self::None, "none"),
        (Self::Device, "device"),
        (Self::Human, "human"),
        (Self::DeviceOrHuman, "device_or_human"),
    ];
}

impl Word for Tier {
    const ALL: &'static [(Self, &'static str)] = &[
        (Self::T0, "T0_planning_inference"),
        (Self::T1, "T1_unverified_observation"),
        (Self::T2, "T2_operational_observation"),
        (Self::T3, "T3_verified_action_evidence"),
    ];
}

impl EvidenceSource {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        text_of_word(self)
    }
}

/// The word of a tier on the wire.
#[must_use]
pub fn tier_text(tier: Tier) -> &'static str {
    text_of_word(tier)
}

/// The text of a word on the wire.
pub(crate) fn text_of_word<W: Word + PartialEq>(word: W) -> &'static str {
    W::ALL.iter().find(|(known, _)| *known == word).map_or("", |(_, text)| text)
}

/// One claim as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim<T> {
    /// Nothing is said, or `null`.
    Missing,
    /// Something that is not of the vocabulary, as JSON.
    Unknown(String),
    /// A word we know.
    Known(T),
}

impl<T> Claim<T> {
    /// The word, if it is one we know.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(word) => Some(word),
            Self::Missing | Self::Unknown(_) => None,
        }
    }

    /// True when nothing is said.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Missing)
    }

    /// The JSON of what is no word.
    #[must_use]
    pub fn unknown(&self) -> Option<&str> {
        match self {
            Self::Unknown(json) => Some(json),
            Self::Missing | Self::Known(_) => None,
        }
    }
}

/// All claims of one message or one command. Two of them are equal when they claim the same, in whatever order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustClaims {
    /// What the message is about.
    pub action_type: Claim<ActionType>,
    /// What the evidence is said to be worth.
    pub evidence_trust_tier: Claim<Tier>,
    /// What the sender thinks is needed; it can raise what we need, never lower it.
    pub minimum_trust_tier: Claim<Tier>,
    /// Who has to confirm.
    pub verification_required: Claim<Verification>,
    /// Whether somebody has, as the sender says.
    pub verification_satisfied: Claim<bool>,
    /// What speaks for it, sorted.
    pub evidence_sources: Claim<Vec<EvidenceSource>>,
    /// Who has approved, as the sender says, sorted.
    pub approved_by: Claim<Vec<String>>,
}

impl TrustClaims {
    /// Reads the claims in `raw`, whatever they claim.
    ///
    /// # Errors
    /// `code`, when this is no object or a key stands twice.
    pub fn read(raw: &RawValue, what: &'static str, code: Code) -> Result<Self, Refusal> {
        let fields = Fields::read(raw, what, code)?;
        Ok(Self {
            action_type: word(fields.raw("action_type")),
            evidence_trust_tier: word(fields.raw("evidence_trust_tier")),
            minimum_trust_tier: word(fields.raw("minimum_trust_tier")),
            verification_required: word(fields.raw("verification_required")),
            verification_satisfied: claim(fields.raw("verification_satisfied"), |raw| match raw.get() {
                "true" => Some(true),
                "false" => Some(false),
                _ => None,
            }),
            evidence_sources: claim(fields.raw("evidence_sources"), |raw| {
                let mut words =
                    texts(raw)?.iter().map(|text| Word::of_text(text)).collect::<Option<Vec<_>>>()?;
                words.sort_unstable();
                Some(words)
            }),
            approved_by: claim(fields.raw("approved_by"), |raw| {
                let mut names = texts(raw)?;
                names.sort_unstable();
                Some(names)
            }),
        })
    }

    /// The first claim that is not of the vocabulary: its name and its JSON.
    #[must_use]
    pub fn first_unknown(&self) -> Option<UnknownClaim<'_>> {
        let named = [
            ("action_type", self.action_type.unknown()),
            ("evidence_trust_tier", self.evidence_trust_tier.unknown()),
            ("minimum_trust_tier", self.minimum_trust_tier.unknown()),
            ("verification_required", self.verification_required.unknown()),
            ("verification_satisfied", self.verification_satisfied.unknown()),
            ("evidence_sources", self.evidence_sources.unknown()),
            ("approved_by", self.approved_by.unknown()),
        ];
        named.into_iter().find_map(|(name, json)| json.map(|json| UnknownClaim { name, json }))
    }

    /// The first claim that an actuation cannot do without and that is missing.
    #[must_use]
    pub fn first_missing(&self) -> Option<&'static str> {
        let needed = [
            ("evidence_trust_tier", self.evidence_trust_tier.is_missing()),
            ("minimum_trust_tier", self.minimum_trust_tier.is_missing()),
            ("verification_required", self.verification_required.is_missing()),
        ];
        needed.into_iter().find(|(_, is_missing)| *is_missing).map(|(name, _)| name)
    }

    /// What speaks for it; nothing when nothing is said.
    #[must_use]
    pub fn sources(&self) -> &[EvidenceSource] {
        self.evidence_sources.known().map_or(&[], Vec::as_slice)
    }

    /// True when somebody is named who has approved.
    #[must_use]
    pub fn names_an_approver(&self) -> bool {
        let names = self.approved_by.known().map_or(&[][..], Vec::as_slice);
        names.iter().any(|name| !name.trim().is_empty())
    }
}

/// A claim that is not of the vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownClaim<'a> {
    /// Which claim.
    pub name: &'static str,
    /// What it says, as JSON.
    pub json: &'a str,
}

impl fmt::Display for UnknownClaim<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` has no such value as {}", self.name, quoted(self.json))
    }
}

fn claim<T>(raw: Option<&RawValue>, read: impl Fn(&RawValue) -> Option<T>) -> Claim<T> {
    let Some(raw) = raw else { return Claim::Missing };
    read(raw).map_or_else(|| Claim::Unknown(raw.get().to_owned()), Claim::Known)
}

fn word<W: Word>(raw: Option<&RawValue>) -> Claim<W> {
    claim(raw, |raw| W::of_text(&text_of(raw)?))
}

fn texts(raw: &RawValue) -> Option<Vec<String>> {
    let texts: Vec<Text<'_>> = serde_json::from_str(raw.get()).ok()?;
    let is_bounded = texts.len() <= CLAIMS_MAX && texts.iter().all(|text| text.0.len() <= CLAIM_BYTES_MAX);
    is_bounded.then(|| texts.into_iter().map(|text| text.0.into_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn read(value: &Value) -> Result<TrustClaims, Refusal> {
        let raw = serde_json::value::to_raw_value(value).unwrap();
        TrustClaims::read(&raw, "`trust`", Code::InvalidTrustPolicy)
    }

    #[test]
    fn every_word_is_read_from_its_own_text() {
        assert_eq!(Tier::of_text("T3_verified_action_evidence"), Some(Tier::T3));
        for (tier, text) in Tier::ALL {
            assert_eq!(tier_text(*tier), *text);
        }
        for (source, text) in EvidenceSource::ALL {
            assert_eq!(source.as_str(), *text);
        }
        assert_eq!((Tier::of_text("T3"), EvidenceSource::of_text("LLM")), (None, None));
    }

    #[test]
    fn a_claim_is_missing_unknown_or_a_word_and_is_never_guessed() {
        let claims = read(&json!({
            "action_type": "actuation", "evidence_trust_tier": "quantum_entangled", "verification_satisfied": "yes",
            "evidence_sources": ["sensor", "oracle"], "approved_by": null,
        }))
        .unwrap();
        assert_eq!(claims.action_type, Claim::Known(ActionType::Actuation));
        assert_eq!(claims.minimum_trust_tier, Claim::Missing);
        assert_eq!(claims.approved_by, Claim::Missing);
        assert_eq!(claims.verification_satisfied.unknown(), Some("\"yes\""));
        assert_eq!(claims.sources(), [] as [EvidenceSource; 0]);
        let unknown = claims.first_unknown().unwrap();
        assert_eq!(
            unknown.to_string(),
            r#"`evidence_trust_tier` has no such value as "\"quantum_entangled\"""#
        );
        assert_eq!(claims.first_missing(), Some("minimum_trust_tier"));
        assert!(read(&json!([])).is_err());
    }

    #[test]
    fn claims_are_the_same_in_whatever_order_and_with_whatever_else_beside() {
        let a = read(&json!({"evidence_sources": ["sensor", "human"], "approved_by": ["b", "a"]})).unwrap();
        let b = read(&json!({"approved_by": ["a", "b"], "evidence_sources": ["human", "sensor"], "x": 1}))
            .unwrap();
        assert_eq!(a, b);
        for other in [
            json!({"evidence_sources": ["sensor"], "approved_by": ["a", "b"]}),
            json!({"evidence_sources": ["sensor", "human", "human"], "approved_by": ["a", "b"]}),
            json!({"evidence_sources": ["sensor", "human"]}),
        ] {
            assert_ne!(read(&other).unwrap(), a, "{other}");
        }
    }

    #[test]
    fn lists_of_claims_are_bounded() {
        for too_much in [json!(vec!["sensor"; CLAIMS_MAX + 1]), json!(["x".repeat(CLAIM_BYTES_MAX + 1)])] {
            let claims = read(&json!({"evidence_sources": too_much, "approved_by": too_much})).unwrap();
            assert!(claims.evidence_sources.unknown().is_some() && claims.approved_by.unknown().is_some());
        }
    }

    #[test]
    fn a_blank_name_approves_nothing() {
        for (names, is_named) in [(json!([]), false), (json!([" ", ""]), false), (json!(["", "a"]), true)] {
            assert_eq!(
                read(&json!({"approved_by": names})).unwrap().names_an_approver(),
                is_named,
                "{names}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_claim_panics(at in 0_usize..7, value in "[a-z0-3_]{0,12}", number: i64) {
            let names = ["action_type", "evidence_trust_tier", "minimum_trust_tier", "verification_required",
                "verification_satisfied", "evidence_sources", "approved_by"];
            for value in [json!(value), json!(number), json!([value]), json!([number]), json!({})] {
                let claims = read(&json!({names[at]: value})).unwrap();
                let _ = (claims.first_unknown().map(|u| u.to_string()), claims.names_an_approver());
            }
        }
    }
}
