//! Why a card says what it says.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::site::Name;

/// One rule that speaks against a proposal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// The rule.
    #[n(0)]
    pub rule: Rule,
    /// How far it was gone.
    #[n(1)]
    pub degree: Degree,
    /// What it is about; `None` if the whole of it.
    #[n(2)]
    pub of: Option<Name>,
    /// The worst number there was.
    #[n(3)]
    pub value: f64,
    /// The limit.
    #[n(4)]
    pub limit: f64,
    /// The unit of both.
    #[n(5)]
    pub unit: String,
    /// True if it goes as far in the nominal rollout.
    #[n(6)]
    pub is_nominal: bool,
    /// In what share of the perturbed rollouts the limit is broken.
    #[n(7)]
    pub broken_share: f64,
}

/// How far a limit was gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Encode, Decode)]
#[cbor(index_only)]
pub enum Degree {
    /// Near it.
    #[n(0)]
    Approached,
    /// Past it.
    #[n(1)]
    Broken,
}

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Encode, Decode)]
#[cbor(index_only)]
pub enum Rule {
    /// No rollout was made.
    #[n(0)]
    NothingSimulated,
    /// The flows could not be calculated.
    #[n(1)]
    Unsolved,
    /// A rover touches something solid.
    #[n(2)]
    Contact,
    /// A rover comes too near to a person or to another rover.
    #[n(3)]
    Clearance,
    /// A rover enters a keep-out.
    #[n(4)]
    KeepOut,
    /// A tank is drawn too low.
    #[n(5)]
    TankLow,
    /// A part is under too much pressure.
    #[n(6)]
    Pressure,
    /// A pump runs against shut valves.
    #[n(7)]
    DeadHead,
    /// A pump runs without water to draw.
    #[n(8)]
    DryRun,
    /// A zone gets too much.
    #[n(9)]
    ZoneLitres,
    /// The soil of a zone becomes too wet.
    #[n(10)]
    Moisture,
    /// A tank runs over.
    #[n(11)]
    Overflow,
    /// A pump moves less than it would, for want of water.
    #[n(12)]
    Starved,
    /// A rover does not arrive within the horizon.
    #[n(13)]
    NotArrived,
    /// A step ends after the horizon, where nobody looked.
    #[n(14)]
    BeyondHorizon,
    /// What a step switches is under a command already.
    #[n(15)]
    UnderCommand,
    /// Nothing changes by it.
    #[n(16)]
    NoEffect,
    /// The twin is not sure enough.
    #[n(17)]
    Confidence,
}

impl Rule {
    /// True if going past its limit is a veto.
    #[must_use]
    pub fn is_hard(self) -> bool {
        self <= Self::Moisture
    }

    /// True if a lower number is worse.
    #[must_use]
    pub fn is_floor(self) -> bool {
        matches!(
            self,
            Self::Clearance | Self::TankLow | Self::Confidence | Self::NoEffect | Self::NothingSimulated
        )
    }

    /// The unit of its numbers.
    #[must_use]
    pub fn unit(self) -> &'static str {
        match self {
            Self::Clearance => "m",
            Self::Contact => "N",
            Self::TankLow | Self::Moisture => "%",
            Self::Pressure => "kPa",
            Self::DeadHead | Self::DryRun | Self::Starved | Self::BeyondHorizon | Self::NotArrived => "s",
            Self::ZoneLitres | Self::Overflow | Self::NoEffect => "L",
            Self::NothingSimulated
            | Self::Unsolved
            | Self::KeepOut
            | Self::UnderCommand
            | Self::Confidence => "1",
        }
    }
}

impl Reason {
    /// The reason for people.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Self { value, limit, .. } = self;
        let of = self.of.as_ref().map_or("it", Name::as_str);
        let said = match self.rule {
            Rule::NothingSimulated => "nothing was simulated".to_owned(),
            Rule::Unsolved => "the flows could not be calculated".to_owned(),
            Rule::Contact => format!("{of} is touched with up to {value:.0} N"),
            Rule::Clearance => {
                format!("{of} comes as near as {value:.1} m to somebody, {limit:.1} m are to be kept")
            }
            Rule::KeepOut => format!("{of} is entered"),
            Rule::TankLow => format!("{of} falls to {value:.1} %, the least is {limit:.1} %"),
            Rule::Pressure => format!("{of} comes under {value:.0} kPa, the most is {limit:.0} kPa"),
            Rule::DeadHead => {
                format!("{of} runs for {value:.0} s against shut valves, the most is {limit:.0} s")
            }
            Rule::DryRun => format!("{of} runs for {value:.0} s without water, the most is {limit:.0} s"),
            Rule::ZoneLitres => format!("{of} gets {value:.0} L, the most is {limit:.0} L"),
            Rule::Moisture => format!("the soil of {of} becomes {value:.1} % wet, the most is {limit:.1} %"),
            Rule::Overflow => format!("{of} runs over by {value:.0} L"),
            Rule::Starved => format!("{of} has too little water for {value:.0} s"),
            Rule::NotArrived => format!("{of} does not arrive within {limit:.0} s"),
            Rule::BeyondHorizon => format!("{of} ends at {value:.0} s, the twin looked {limit:.0} s ahead"),
            Rule::UnderCommand => format!("{of} is under a command already; the new one takes its place"),
            Rule::NoEffect => "nothing changes by it".to_owned(),
            Rule::Confidence => {
                format!("the twin is {:.0} % sure, {:.0} % are asked for", value * 100.0, limit * 100.0)
            }
        };
        let always = self.is_nominal || self.broken_share == 0.0;
        let how_often = format!(", in {:.0} % of the rollouts", self.broken_share * 100.0);
        if always { said } else { said + &how_often }
    }
}
