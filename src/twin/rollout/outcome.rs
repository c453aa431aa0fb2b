//! What came of one rollout: numbers only, no judgement.

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::bodies::Drove;
use crate::site::Name;

/// What came of one rollout.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outcome {
    /// Which one.
    pub index: u32,
    /// True if the flows could be calculated throughout.
    pub is_solved: bool,
    /// What left tanks and sources.
    pub drawn_l: f64,
    /// What reached the zones.
    pub litres: f64,
    /// What the pumps took.
    pub energy_wh: f64,
    /// When the first water reached a zone behind a valve of the proposal; of a proposal without valves, any zone.
    pub first_flow_s: Option<f64>,
    /// The highest pressure.
    pub peak: Option<Peak>,
    /// The tanks.
    pub tanks: BTreeMap<Name, TankRun>,
    /// The zones that got water or were meant to.
    pub zones: BTreeMap<Name, ZoneRun>,
    /// What is measured where, while all steps are in effect.
    pub places: BTreeMap<Name, PlaceRun>,
    /// The pumps that ran.
    pub pumps: BTreeMap<Name, PumpRun>,
    /// The rovers that drove.
    pub drives: BTreeMap<Name, Drove>,
}

/// The highest pressure, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct Peak {
    /// The part.
    pub at: Name,
    /// The pressure above that of the air.
    pub pressure_kpa: f64,
}

/// What came of a tank.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TankRun {
    /// How full it was.
    pub before_percent: f64,
    /// The least.
    pub low_percent: f64,
    /// How full it is in the end.
    pub after_percent: f64,
    /// What ran over.
    pub overflow_l: f64,
}

/// What came of a zone.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ZoneRun {
    /// What it got.
    pub litres: f64,
    /// Its soil, if anybody measured it.
    pub soil: Option<SoilRun>,
}

/// What came of the soil of a zone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SoilRun {
    /// How wet it was.
    pub before_percent: f64,
    /// The wettest it became.
    pub highest_percent: f64,
    /// How wet it is in the end.
    pub after_percent: f64,
    /// What ran off its surface.
    pub run_off_l: f64,
}

/// What is measured at a place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlaceRun {
    /// The flow through it.
    pub flow_lpm: Band,
    /// The pressure there.
    pub pressure_kpa: Band,
}

/// What came of a pump.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PumpRun {
    /// How long it ran.
    pub on_s: f64,
    /// How long of that against shut valves.
    pub dead_head_s: f64,
    /// How long of that without water to draw.
    pub dry_s: f64,
    /// How long of that with less water than it would have moved.
    pub starved_s: f64,
}

/// From the lowest to the highest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Encode, Decode)]
pub struct Band {
    /// The lowest.
    #[n(0)]
    pub low: f64,
    /// The highest.
    #[n(1)]
    pub high: f64,
}

impl Band {
    /// The band of one number.
    #[must_use]
    pub fn of(number: f64) -> Self {
        Self { low: number, high: number }
    }

    /// The band that holds both.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self { low: self.low.min(other.low), high: self.high.max(other.high) }
    }

    /// True if the number is in it.
    #[must_use]
    pub fn holds(&self, number: f64) -> bool {
        self.low <= number && number <= self.high
    }
}
