//! Sensors and beliefs as entities.

use std::collections::BTreeMap;

use bevy::prelude::{Component, Entity, Resource};
use clawmesh_authority::{Capability, Hlc, NodeId, SensorSpec, Tier, Unit, Value};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::freshness::Quality;
use crate::clock::Tick;
use crate::settings::Settings;

/// The identity of a sensor; the entity never becomes another.
#[derive(
    Component, Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Encode, Decode,
)]
#[component(immutable)]
#[require(Quality)]
pub struct Sensor {
    /// The node it is mounted on.
    #[n(0)]
    pub node: NodeId,
    /// Its capability there.
    #[n(1)]
    pub capability: Capability,
}

/// What its node says about the sensor.
#[derive(Component, Debug, Clone, PartialEq, Serialize, Deserialize, Encode, Decode)]
pub struct Profile(#[n(0)] pub SensorSpec);

/// What the sensor last said.
#[derive(Component, Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Encode, Decode)]
pub struct Latest {
    /// The value in `unit`; always finite.
    #[n(0)]
    pub value: f64,
    /// The unit.
    #[n(1)]
    pub unit: Unit,
    /// When it was measured, Unix milliseconds by the origin's clock.
    #[n(2)]
    pub origin_ms: u64,
    /// When the value last became another, by the origin's clock.
    #[n(3)]
    pub unchanged_since_ms: u64,
    /// The number the origin gave the sample.
    #[n(4)]
    pub sequence: u64,
    /// What it is worth.
    #[n(5)]
    pub tier: Tier,
    /// The hybrid time of the statement it came in.
    #[n(6)]
    pub hlc: Hlc,
    /// The tick it came in.
    #[n(7)]
    pub received_tick: u64,
    /// Samples taken so far.
    #[n(8)]
    pub samples: u64,
}

impl Latest {
    /// How old it is at a tick, by its origin or by its receipt, whichever is more, milliseconds.
    #[must_use]
    pub fn age_ms(&self, tick: Tick, wall_ms: u64, settings: &Settings) -> u64 {
        let by_receipt_ms = settings.ms_of_ticks(tick.0.saturating_sub(self.received_tick));
        wall_ms.saturating_sub(self.origin_ms).max(by_receipt_ms)
    }
}

/// A sensor sits on a node.
#[derive(Component, Debug, Clone, Copy, PartialEq, Eq)]
#[relationship(relationship_target = Sensors)]
pub struct MountedOn(pub Entity);

/// The sensors of a node.
#[derive(Component, Debug)]
#[relationship_target(relationship = MountedOn, linked_spawn)]
pub struct Sensors(Vec<Entity>);

/// The key a belief is about.
#[derive(Component, Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Encode, Decode)]
#[component(immutable)]
pub struct BeliefKey(#[n(0)] pub String);

/// What the world holds for one key.
#[derive(Component, Debug, Clone, PartialEq, Serialize, Deserialize, Encode, Decode)]
pub struct Belief {
    /// The value.
    #[n(0)]
    pub value: Value,
    /// The unit, for numbers that have one.
    #[n(1)]
    pub unit: Option<Unit>,
    /// What it is worth.
    #[n(2)]
    pub tier: Tier,
    /// When it was said, in hybrid time.
    #[n(3)]
    pub hlc: Hlc,
    /// Who said it.
    #[n(4)]
    pub source: NodeId,
    /// When it was seen, Unix milliseconds by the origin's clock.
    #[n(5)]
    pub origin_ms: u64,
}

/// A belief rests on a sensor.
#[derive(Component, Debug, Clone, Copy, PartialEq, Eq)]
#[relationship(relationship_target = Supports)]
pub struct SupportedBy(pub Entity);

/// The beliefs that rest on a sensor.
#[derive(Component, Debug)]
#[relationship_target(relationship = SupportedBy)]
pub struct Supports(Vec<Entity>);

/// The entity of every sensor.
#[derive(Resource, Debug, Default)]
pub struct SensorIndex(pub BTreeMap<Sensor, Entity>);

/// The entity of every belief.
#[derive(Resource, Debug, Default)]
pub struct BeliefIndex(pub BTreeMap<String, Entity>);

/// The most sensors one world holds.
pub const SENSORS_MAX: usize = 16_384;

/// The most sensors of one node, so that none can take the place of all others.
pub const SENSORS_PER_NODE_MAX: usize = 2_048;
/// The most beliefs one world holds.
pub const BELIEFS_MAX: usize = 65_536;
