//! A site: its ground, its water, what senses and acts there, who works there, and what is done.
//! Reads/Writes: nothing; a site is a value that somebody else read from a file.
//! Invariant: of a site without faults every name is unique and means something, every actuator has one owner, and
//! water reaches every row past a valve of its zone.
//! Not here: what may be done (`authority`), what is sensed now (`core`).

mod equipment;
mod ground;
mod guarded_pumps;
mod irrigation;
mod name;
mod operation;
mod unity;
mod water;

use serde::{Deserialize, Serialize};

pub use equipment::{Actuator, OnGuest, OnSilence, Person, Rover, Sensor, SiteNode, SwitchState};
pub use ground::{CORNERS_MAX, Crop, KeepOut, Layer, Origin, Outline, Point, Zone, ZoneKind};
pub use irrigation::{IRRIGATION_FOR_S_MAX, IRRIGATION_STEPS_MAX, Irrigation};
pub use name::{NAME_BYTES_MAX, Name};
pub use operation::{DoneBy, Level, Operation};
pub use unity::{ENTRIES_MAX, Fault};
pub use water::{Line, Material, Part, PartKind, Water};

/// Everything that stands at a site and does not change from minute to minute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Where `(0, 0)` is.
    pub origin: Origin,
    /// True while nobody has gone there and compared.
    pub needs_field_validation: bool,
    /// The computers that run nodes.
    pub nodes: Vec<SiteNode>,
    /// The parts of the ground.
    pub zones: Vec<Zone>,
    /// The water.
    #[serde(default)]
    pub water: Water,
    /// What senses.
    #[serde(default)]
    pub sensors: Vec<Sensor>,
    /// What acts.
    #[serde(default)]
    pub actuators: Vec<Actuator>,
    /// The actuators in the order in which they are made safe.
    #[serde(default)]
    pub safe_order: Vec<String>,
    /// What drives around.
    #[serde(default)]
    pub rovers: Vec<Rover>,
    /// Who works there.
    #[serde(default)]
    pub people: Vec<Person>,
    /// Where nothing of ours may be.
    #[serde(default)]
    pub keep_outs: Vec<KeepOut>,
    /// What is done.
    #[serde(default)]
    pub operations: Vec<Operation>,
}
