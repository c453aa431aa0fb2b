//! Why a plant does not begin, or does not take a fault.

use std::fmt;

use clawmesh_authority::Capability;

use crate::time::SPEED_MAX;

/// Why a plant does not begin, or does not take a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlantError {
    /// The file is wrong: where, and a sentence.
    File(Vec<(String, String)>),
    /// The speed is 0 or above [`SPEED_MAX`].
    Speed(u32),
    /// A fault names a device that the plant does not have.
    NoDevice(String),
    /// A fault names a valve that the plant does not have.
    NoValve(String),
    /// A fault names a sensor that the plant does not have.
    NoSensor(Capability),
}

impl fmt::Display for PlantError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(faults) => {
                let sentences: Vec<String> =
                    faults.iter().map(|(at, what)| format!("{at}: {what}")).collect();
                write!(f, "the plant file is wrong: {}", sentences.join("; "))
            }
            Self::Speed(speed) => write!(f, "the speed is {speed}, it must be 1 to {SPEED_MAX}"),
            Self::NoDevice(name) => write!(f, "the plant has no device {name:?}"),
            Self::NoValve(name) => write!(f, "the plant has no valve {name:?}"),
            Self::NoSensor(sensor) => write!(f, "the plant has no sensor {:?}", sensor.as_str()),
        }
    }
}

impl std::error::Error for PlantError {}
