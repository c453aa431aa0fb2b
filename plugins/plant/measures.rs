//! The sensors of a plant as they stand in its file: what they sense, and how wrong they are.

use clawmesh_authority::{Capability, Unit};
use serde::{Deserialize, Serialize};

/// A sensor with its errors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sensor {
    /// Its capability.
    pub capability: Capability,
    /// What it senses.
    pub measures: Measures,
    /// How often it speaks, in milliseconds of the wall.
    pub period_ms: u32,
    /// What it can say at all.
    pub range: (f64, f64),
    /// How much too strong or too weak it is; 1 is right.
    #[serde(default = "one")]
    pub gain: f64,
    /// How much it is always off.
    #[serde(default)]
    pub bias: f64,
    /// How far it wanders over the hours.
    #[serde(default)]
    pub drift: f64,
    /// The standard deviation of its noise.
    #[serde(default)]
    pub noise: f64,
    /// The step of its numbers.
    pub resolution: f64,
    /// How many of its samples are missing.
    #[serde(default)]
    pub dropout_percent: f64,
}

fn one() -> f64 {
    1.0
}

/// What a sensor senses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Measures {
    /// How full the tank is.
    TankLevel,
    /// What enters the mainline.
    Flow,
    /// The pressure before the valves.
    Pressure,
    /// What the pump draws.
    PumpPower,
    /// The water in the second layer of a zone.
    SoilMoisture {
        /// The zone.
        zone: String,
    },
    /// How warm the air is.
    Temperature,
    /// How fast the air moves.
    Wind,
    /// What fell in the last hour.
    RainOfLastHour,
    /// Where a rover or a person is, from west to east.
    East {
        /// Its name.
        of: String,
    },
    /// Where a rover or a person is, from south to north.
    North {
        /// Its name.
        of: String,
    },
}

impl Measures {
    /// The unit of its numbers.
    #[must_use]
    pub fn unit(&self) -> Unit {
        match self {
            Self::TankLevel | Self::SoilMoisture { .. } => Unit::Percent,
            Self::Flow => Unit::LitrePerMinute,
            Self::Pressure => Unit::Kilopascal,
            Self::PumpPower => Unit::Watt,
            Self::Temperature => Unit::Celsius,
            Self::Wind => Unit::MetrePerSecond,
            Self::RainOfLastHour => Unit::Millimetre,
            Self::East { .. } | Self::North { .. } => Unit::Metre,
        }
    }
}
