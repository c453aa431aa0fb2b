//! What nodes tell each other: readings on the stream lane, frames on the state lane.

use std::fmt;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::capability::Capability;
use crate::ids::OperatorId;
use crate::leadership::Say;
use crate::report::ProposalReport;
use crate::revocation::REVOCATION_BYTES_MAX;
use crate::unit::Unit;

/// How much a statement is worth as evidence. It can be lowered by a receiver, never raised.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Encode, Decode,
)]
#[cbor(index_only)]
pub enum Tier {
    /// Planning inference: somebody, or some model, thinks so.
    #[n(0)]
    T0,
    /// Unverified observation: we know who relayed it, not who measured it.
    #[n(1)]
    T1,
    /// Operational observation: signed by the node that measured it.
    #[n(2)]
    T2,
    /// Verified action evidence.
    #[n(3)]
    T3,
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// One typed sample of a sensor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Encode, Decode)]
pub struct Reading {
    /// The sensor, as a capability of the node that signs.
    #[n(0)]
    pub sensor: Capability,
    /// The value in [`Reading::unit`]; a receiver refuses NaN and infinities.
    #[n(1)]
    pub value: f64,
    /// The unit of the value.
    #[n(2)]
    pub unit: Unit,
    /// When it was measured, Unix milliseconds by the origin's clock.
    #[n(3)]
    pub origin_ms: u64,
    /// Counts the samples of this sensor within one run of the node.
    #[n(4)]
    pub sequence: u64,
    /// What the origin claims it to be worth.
    #[n(5)]
    pub tier: Tier,
}

/// What a node says about itself is about this.
pub const DESCRIPTION_SUBJECT: &str = "description";

/// The readings of one tick of one node, under one signature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Encode, Decode)]
#[cbor(transparent)]
pub struct ReadingBatch(#[n(0)] pub Vec<Reading>);

/// The most readings one batch may hold.
pub const READINGS_PER_BATCH_MAX: usize = 256;

/// What a sensor measures and how often; said once, on the state lane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Encode, Decode)]
pub struct SensorSpec {
    /// The capability under which its readings come.
    #[n(0)]
    pub sensor: Capability,
    /// The quantity in words, for example `soil moisture`.
    #[n(1)]
    pub quantity: String,
    /// The unit every reading must have.
    #[n(2)]
    pub unit: Unit,
    /// The time between two samples when all is well, milliseconds.
    #[n(3)]
    pub period_ms: u32,
    /// The physically possible values, lowest and highest.
    #[n(4)]
    pub range: Option<(f64, f64)>,
    /// A value that has not changed for this long is stuck, milliseconds; `None` if it may rest.
    #[n(5)]
    pub stuck_after_ms: Option<u32>,
    /// The belief its readings feed; `None` means one of its own.
    #[n(6)]
    pub about: Option<String>,
}

/// Who a node says it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Encode, Decode)]
pub struct NodeDescription {
    /// The name people use.
    #[n(0)]
    pub name: String,
    /// What it is for, for example `field` or `command-center`; self-declared, never an authority.
    #[n(1)]
    pub role: String,
    /// The version of the software.
    #[n(2)]
    pub version: String,
    /// Its sensors.
    #[n(3)]
    pub sensors: Vec<SensorSpec>,
}

/// The most sensors one node may describe.
pub const SENSORS_PER_NODE_MAX: usize = 1_024;
/// The longest name, role, quantity, key or text of an observation, in bytes.
pub const TEXT_BYTES_MAX: usize = 512;

/// The beginning of words that may be longer than [`TEXT_BYTES_MAX`].
#[must_use]
pub fn bounded(mut words: String) -> String {
    words.truncate(words.floor_char_boundary(TEXT_BYTES_MAX));
    words
}

/// The value of an observation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Encode, Decode)]
#[serde(untagged)]
pub enum Value {
    /// Yes or no.
    #[n(0)]
    Flag(#[n(0)] bool),
    /// A number, with the unit beside it.
    #[n(1)]
    Number(#[n(0)] f64),
    /// Words.
    #[n(2)]
    Text(#[n(0)] String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// Something seen or said about one key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Encode, Decode)]
pub struct Observation {
    /// What it is about, for example `zone-1/gate`.
    #[n(0)]
    pub key: String,
    /// What was seen.
    #[n(1)]
    pub value: Value,
    /// The unit, when the value is a number that has one.
    #[n(2)]
    pub unit: Option<Unit>,
    /// When it was seen, Unix milliseconds by the origin's clock.
    #[n(3)]
    pub origin_ms: u64,
    /// What the origin claims it to be worth.
    #[n(4)]
    pub tier: Tier,
}

/// One signed context record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
pub enum Frame {
    /// Who the node is and what it measures.
    #[n(0)]
    Description(#[n(0)] NodeDescription),
    /// What the node knows about one key.
    #[n(1)]
    Observation(#[n(0)] Observation),
    /// How a proposal stands whose home the node is.
    #[n(2)]
    Proposal(#[n(0)] Box<ProposalReport>),
    /// What the node says of who leads the planning.
    #[n(3)]
    Leadership(#[n(0)] Say),
    /// A revocation that the node has taken, for those who have not heard of it.
    #[n(4)]
    Revocation(#[n(0)] PassedOn),
}

/// A revocation as a person has signed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct PassedOn {
    /// Whose key it is about; what is signed says so again.
    #[n(0)]
    pub key: OperatorId,
    /// The signed request, [`crate::revocation::open`] opens it.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub request: Vec<u8>,
}

impl Frame {
    /// Frames of one source with equal subjects replace each other; only the newest must be kept.
    #[must_use]
    pub fn subject(&self) -> String {
        match self {
            Self::Description(_) => DESCRIPTION_SUBJECT.to_owned(),
            Self::Observation(observation) => format!("observation/{}", observation.key),
            Self::Proposal(report) => report.subject(),
            // Whoever says that it leads no more takes back that it does.
            Self::Leadership(Say::Claim(_) | Say::Released(_)) => "leadership/claim".to_owned(),
            Self::Leadership(Say::Outdated(_)) => "leadership/outdated".to_owned(),
            Self::Revocation(said) => format!("revocation/{}", said.key),
        }
    }

    /// Says what is wrong with the content, if anything is.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        match self {
            Self::Description(description) => description.fault(),
            Self::Observation(observation) => observation.fault(),
            Self::Proposal(report) => report.fault(),
            // Any term can be said; whether it counts depends on what was said before.
            Self::Leadership(_) => None,
            Self::Revocation(said) => (said.request.len() > REVOCATION_BYTES_MAX).then(|| {
                format!("a revocation of {} bytes, {REVOCATION_BYTES_MAX} are allowed", said.request.len())
            }),
        }
    }
}

fn text_fault(what: &str, text: &str) -> Option<String> {
    if text.is_empty() {
        return Some(format!("{what} is empty"));
    }
    (text.len() > TEXT_BYTES_MAX).then(|| format!("{what} is longer than {TEXT_BYTES_MAX} bytes"))
}

impl SensorSpec {
    /// Says what is wrong with the description of this sensor, if anything is.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        if self.period_ms == 0 {
            return Some(format!("{} has a period of zero", self.sensor));
        }
        if let Some((low, high)) = self.range
            && (!low.is_finite() || !high.is_finite() || low >= high)
        {
            return Some(format!("{} has the impossible range {low} to {high}", self.sensor));
        }
        text_fault("quantity", &self.quantity)
            .or_else(|| self.about.as_deref().and_then(|about| text_fault("about", about)))
            .map(|fault| format!("{}: {fault}", self.sensor))
    }
}

impl NodeDescription {
    fn fault(&self) -> Option<String> {
        if self.sensors.len() > SENSORS_PER_NODE_MAX {
            return Some(format!("more than {SENSORS_PER_NODE_MAX} sensors"));
        }
        text_fault("name", &self.name)
            .or_else(|| text_fault("role", &self.role))
            .or_else(|| text_fault("version", &self.version))
            .or_else(|| self.sensors.iter().find_map(SensorSpec::fault))
    }
}

impl Observation {
    /// Says what is wrong with the observation, if anything is.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        // The key first: a key that is too long is not repeated.
        text_fault("key", &self.key).or_else(|| match &self.value {
            Value::Number(number) if !number.is_finite() => Some(format!("{} is {number}", self.key)),
            Value::Text(text) if text.len() > TEXT_BYTES_MAX => {
                Some(format!("the text is longer than {TEXT_BYTES_MAX} bytes"))
            }
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> SensorSpec {
        SensorSpec {
            sensor: Capability::new("sensor:soil-moisture:zone-1").unwrap(),
            quantity: "soil moisture".to_owned(),
            unit: Unit::Percent,
            period_ms: 1_000,
            range: Some((0.0, 100.0)),
            stuck_after_ms: None,
            about: None,
        }
    }

    #[test]
    fn long_words_are_cut_between_characters() {
        let longest = "ä".repeat(TEXT_BYTES_MAX / 2);
        assert_eq!(bounded(longest.clone()), longest);
        assert_eq!(bounded(format!("{longest}ä")), longest);
        let odd = format!("x{longest}");
        assert_eq!(bounded(odd.clone()), odd[..odd.len() - 2]);
    }

    #[test]
    fn a_sensor_that_cannot_be_is_named() {
        assert_eq!(spec().fault(), None);
        for (broken, word) in [
            (SensorSpec { period_ms: 0, ..spec() }, "period"),
            (SensorSpec { range: Some((5.0, 5.0)), ..spec() }, "range"),
            (SensorSpec { range: Some((f64::NAN, 5.0)), ..spec() }, "range"),
            (SensorSpec { quantity: String::new(), ..spec() }, "quantity"),
            (SensorSpec { about: Some("x".repeat(513)), ..spec() }, "about"),
        ] {
            let fault = broken.fault().unwrap();
            assert!(fault.contains(word) && fault.contains("sensor:soil-moisture:zone-1"), "{fault}");
        }
    }

    #[test]
    fn an_observation_that_is_no_number_is_named() {
        let seen = |value| Observation {
            key: "zone-1/gate".to_owned(),
            value,
            unit: None,
            origin_ms: 0,
            tier: Tier::T1,
        };
        assert_eq!(seen(Value::Flag(true)).fault(), None);
        assert_eq!(seen(Value::Number(f64::NAN)).fault().unwrap(), "zone-1/gate is NaN");
        assert!(seen(Value::Text("x".repeat(513))).fault().is_some());
        let long = Observation { key: "k".repeat(40_000), ..seen(Value::Number(f64::NAN)) };
        assert_eq!(long.fault().unwrap(), "key is longer than 512 bytes");
    }
}
