//! What senses, what acts, what drives around, and who works there.

use serde::{Deserialize, Serialize};

use super::ground::Point;
use super::name::Name;

/// A computer of the site that runs a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteNode {
    /// Its name.
    pub name: Name,
    /// What it is for, for example `command-center` or `field`.
    pub role: String,
    /// The id of its key, 64 hexadecimal characters; without one it is planned, not enrolled.
    #[serde(default)]
    pub id: Option<String>,
}

/// A sensor and what it tells about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sensor {
    /// Its capability, for example `sensor:flow:mainline-01`.
    pub capability: String,
    /// The node it is mounted on.
    pub node: Name,
    /// The zone or the part of the water it tells about.
    pub of: Name,
    /// What it measures, for example `flow`.
    pub quantity: String,
    /// The unit of its numbers, as a UCUM code.
    pub unit: String,
    /// How often it speaks.
    pub period_ms: u32,
    /// What it can say at all; anything else is out of range.
    pub range: (f64, f64),
}

/// What the hardware does by itself when its node vanishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnSilence {
    /// It goes to its safe state after so many seconds.
    ClosesAfter {
        /// How long that takes, seconds.
        seconds: u32,
    },
    /// It stays as it is.
    Holds,
    /// Nobody has tried.
    Unknown,
}

/// The two states of something that is switched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SwitchState {
    /// Lets pass, or runs.
    On,
    /// Lets nothing pass, or stands.
    Off,
}

/// Something that acts on the site.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Actuator {
    /// Its capability, for example `actuator:valve:valve-zone-1`.
    pub capability: String,
    /// The part of the water, or the rover, that it moves.
    pub of: Name,
    /// The one node that may drive it.
    pub owner: Name,
    /// The state in which it harms nobody.
    pub safe_state: SwitchState,
    /// What it does when its node vanishes.
    pub on_silence: OnSilence,
    /// Where it is, if not at its owner: the owner is its guardian then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_guest: Option<OnGuest>,
}

/// An actuator of an existing ClawMesh node, and how it is told what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnGuest {
    /// The id of that node, 64 hexadecimal characters.
    pub peer: String,
    /// The actuator's capability over there.
    pub target: String,
    /// The operation that switches it on over there.
    pub on: String,
    /// The operation that switches it off over there.
    pub off: String,
}

/// The operations with which existing nodes switch something on, whatever it was before.
const GUEST_ON: [&str; 4] = ["open", "start", "on", "enable"];
/// The operations with which they switch something off.
const GUEST_OFF: [&str; 4] = ["close", "stop", "off", "disable"];

impl OnGuest {
    /// What is wrong with its operations. An existing node carries out what it is told twice, so only what ends in one
    /// state however often it is told may be told.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        for (key, said, known) in [("on", &self.on, GUEST_ON), ("off", &self.off, GUEST_OFF)] {
            if !known.contains(&said.as_str()) {
                let known = known.join(", ");
                return Some(format!(
                    "`{key}` is {said:?}, an existing node switches {key} by one of {known}"
                ));
            }
        }
        None
    }
}

/// A machine that drives around.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rover {
    /// Its name.
    pub name: Name,
    /// Where it is when nobody needs it.
    pub home: Point,
    /// Its length, width and height.
    pub size_m: (f64, f64, f64),
    /// How heavy it is.
    pub mass_kg: f64,
    /// How fast it drives at most.
    pub speed_mps_max: f64,
}

/// Somebody who works at the site.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// Their name in the files of the site.
    pub name: Name,
    /// Where they are when nobody knows better.
    pub usually_at: Point,
    /// How fast they walk at most; who was last seen some time ago may be anywhere within that.
    pub speed_mps_max: f64,
}

impl Sensor {
    /// What is wrong with its numbers.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let (low, high) = self.range;
        if self.period_ms == 0 {
            return Some("`period_ms` is 0, it must be above 0".to_owned());
        }
        let is_range = low.is_finite() && high.is_finite() && low < high;
        (!is_range)
            .then(|| format!("`range` is ({low}, {high}), write the lowest and then the highest value"))
    }
}

impl Rover {
    /// What is wrong with its numbers.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let (length, width, height) = self.size_m;
        let numbers = [length, width, height, self.mass_kg, self.speed_mps_max];
        let is_body = numbers.iter().all(|number| number.is_finite() && *number > 0.0);
        (!is_body).then(|| "size, mass and speed must be above 0".to_owned())
    }
}

impl Person {
    /// What is wrong with their numbers.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let is_speed = self.speed_mps_max.is_finite() && self.speed_mps_max > 0.0;
        (!is_speed).then(|| format!("`speed_mps_max` is {}, it must be above 0", self.speed_mps_max))
    }
}
