//! The card: what the twin says about a proposal, and how sure it is.
//! Reads/Writes: nothing; outcomes come in, a card comes out.
//! Invariant: a card holds only finite numbers; equal outcomes give equal bytes, in whatever order they were made.
//! Not here: how outcomes come about (`rollout`), who may go on in spite of a card (`authority`).

mod confidence;
mod encode;
mod judge;
mod reason;
mod reduce;
mod spread;

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

pub use reason::{Degree, Reason, Rule};
pub use spread::Spread;

use crate::rollout::Band;
use crate::site::{Name, Point};

/// The most points of a ghost.
pub const GHOST_POINTS_MAX: usize = 64;

const HASH_DOMAIN: &[u8] = b"clawmesh/card/v1";

/// What the twin says about a proposal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// In a word.
    #[n(0)]
    pub verdict: Verdict,
    /// Why, the gravest first.
    #[n(1)]
    pub reasons: Vec<Reason>,
    /// What all zones get within the horizon, with what is under way.
    #[n(2)]
    pub litres: Spread,
    /// What they would get without the proposal.
    #[n(3)]
    pub otherwise_litres: f64,
    /// What the pumps take.
    #[n(4)]
    pub energy_wh: Spread,
    /// The tanks.
    #[n(5)]
    pub tanks: BTreeMap<Name, TankCard>,
    /// The zones that get water or were meant to.
    #[n(6)]
    pub zones: BTreeMap<Name, ZoneCard>,
    /// What sensors are to show at each place while every step is in effect: over time and over all rollouts.
    #[n(7)]
    pub bands: BTreeMap<Name, PlaceCard>,
    /// When water first reaches a zone that is meant, at the latest; `None` if in some rollout it never does. The
    /// model is steady: the time that empty pipes take to fill is not in it.
    #[n(8)]
    pub first_flow_s: Option<f64>,
    /// The nearest that anything comes to anybody.
    #[n(9)]
    pub clearance: Option<Clearance>,
    /// The share of the perturbed rollouts in which a rover touches something.
    #[n(10)]
    pub collision_odds: f64,
    /// Keep-outs that are entered.
    #[n(11)]
    pub breaches: Vec<Breach>,
    /// The largest force of a rover on anything.
    #[n(12)]
    pub peak_force_n: f64,
    /// The rollout in which most goes wrong.
    #[n(13)]
    pub worst_rollout: u32,
    /// How far ahead was looked.
    #[n(14)]
    pub horizon_s: f64,
    /// In which steps of time.
    #[n(15)]
    pub step_s: f64,
    /// How many rollouts were asked for, with the nominal one.
    #[n(16)]
    pub rollouts_asked: u32,
    /// How many there were, from the first on without a gap.
    #[n(17)]
    pub rollouts_reached: u32,
    /// What the twin did not think of.
    #[n(18)]
    pub not_modelled: Vec<String>,
    /// How sure it is, 0 to 1.
    #[n(19)]
    pub confidence: f64,
    /// What the perturbations came from.
    #[n(20)]
    #[cbor(with = "minicbor::bytes")]
    pub seed: [u8; 32],
    /// The paths of the rovers as expected.
    #[n(21)]
    pub ghosts: BTreeMap<Name, Vec<Point>>,
}

/// What the card comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Encode, Decode)]
#[cbor(index_only)]
pub enum Verdict {
    /// Nothing speaks against it.
    #[n(0)]
    Pass,
    /// A person should read the reasons.
    #[n(1)]
    Caution,
    /// It must not be done.
    #[n(2)]
    Veto,
}

/// What becomes of a tank.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
pub struct TankCard {
    /// How full it is.
    #[n(0)]
    pub before_percent: f64,
    /// How full it will be.
    #[n(1)]
    pub after_percent: Spread,
}

/// What becomes of a zone.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
pub struct ZoneCard {
    /// What it gets.
    #[n(0)]
    pub litres: Spread,
    /// How wet its soil is; `None` if nobody measured it.
    #[n(1)]
    pub before_percent: Option<f64>,
    /// How wet it will be where water goes.
    #[n(2)]
    pub after_percent: Option<Spread>,
}

/// What sensors are to show at a place.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
pub struct PlaceCard {
    /// The flow.
    #[n(0)]
    pub flow_lpm: Band,
    /// The pressure above that of the air.
    #[n(1)]
    pub pressure_kpa: Band,
}

/// How near something comes to somebody.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
pub struct Clearance {
    /// What drives, or is switched.
    #[n(0)]
    pub of: Name,
    /// Who or what it comes near to.
    #[n(1)]
    pub to: Name,
    /// How near.
    #[n(2)]
    pub clearance_m: f64,
}

/// A keep-out that is entered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
pub struct Breach {
    /// The rover.
    #[n(0)]
    pub rover: Name,
    /// The keep-out.
    #[n(1)]
    pub keep_out: Name,
    /// In what share of all rollouts.
    #[n(2)]
    pub share: f64,
}

impl Card {
    /// Its canonical bytes: the same card always gives the same.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1_024);
        // A Vec takes every write; the error type cannot be built.
        let _: Result<(), minicbor::encode::Error<std::convert::Infallible>> =
            minicbor::encode(self, &mut bytes);
        bytes
    }

    /// The card that these bytes are.
    ///
    /// # Errors
    /// A sentence, when they are no card, or not written as we write one, or hold a number that is none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let card: Self =
            minicbor::decode(bytes).map_err(|fault| format!("these bytes are no card: {fault}"))?;
        if card.to_bytes() != bytes {
            return Err("this card is not in canonical form".to_owned());
        }
        if encode::holds_no_number(bytes) {
            return Err("this card holds a number that is none".to_owned());
        }
        Ok(card)
    }

    /// What names the card: BLAKE3 over `clawmesh/card/v1` and its canonical bytes.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(HASH_DOMAIN).update(&self.to_bytes());
        *hasher.finalize().as_bytes()
    }

    /// True if a person or a keep-out is touched, which nobody may override.
    #[must_use]
    pub fn touches_person_or_keep_out(&self) -> bool {
        let is_touch =
            |reason: &Reason| matches!(reason.rule, Rule::Clearance | Rule::Contact | Rule::KeepOut);
        self.reasons.iter().any(|reason| is_touch(reason) && reason.degree == Degree::Broken)
    }
}
