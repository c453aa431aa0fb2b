//! What we know: sensors and what they last said, beliefs and what they rest on.
//! Reads readings, descriptions and observations. Writes sensor and belief entities.
//! Invariant: conflicts resolve by (HLC, source), never by arrival; a value that is stale, stuck, out of
//! range, from the future or of no known kind is flagged, and a flag never hides the value.
//! Not here: who may say what (`mesh`), what a value means for an actuator (`safety`, later).

mod components;
mod conflict;
mod freshness;
mod observers;
mod systems;

use bevy::prelude::*;

pub use components::{
    BELIEFS_MAX, Belief, BeliefIndex, BeliefKey, Latest, MountedOn, Profile, SENSORS_PER_NODE_MAX, Sensor,
    SensorIndex, Sensors, SupportedBy, Supports,
};
pub use freshness::{FreshnessPolicy, Moment, Quality, assess};

use crate::clock::TickSystems;
use crate::mesh::MeshSystems;
use crate::replay::DigestApp as _;

/// The part of `Track` after which sensors and beliefs are what they are in this tick.
#[derive(SystemSet, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WorldSystems;

/// Keeps sensors and beliefs.
#[derive(Default)]
pub struct WorldPlugin {
    /// When a sensor counts as stale.
    pub freshness: FreshnessPolicy,
}

impl Plugin for WorldPlugin {
    fn build(&self, app: &mut App) {
        app.insert_resource(self.freshness)
            .init_resource::<SensorIndex>()
            .init_resource::<BeliefIndex>()
            .digest_component::<Sensor>("sensor")
            .digest_component::<Profile>("sensor_profile")
            .digest_component::<Latest>("latest_reading")
            .digest_component::<Quality>("quality")
            .digest_component::<BeliefKey>("belief_key")
            .digest_component::<Belief>("belief")
            .digest_relation::<MountedOn>("mounted_on")
            .digest_relation::<SupportedBy>("supported_by")
            .exclude_from_digest::<Sensors>("the other end of `MountedOn`, kept by the relationship")
            .exclude_from_digest::<Supports>("the other end of `SupportedBy`, kept by the relationship")
            .exclude_from_digest::<SensorIndex>("an index over `Sensor`, kept by observers")
            .exclude_from_digest::<BeliefIndex>("an index over `BeliefKey`, kept by observers")
            .exclude_from_digest::<FreshnessPolicy>("a constant of the build")
            .add_observer(observers::index_sensor)
            .add_observer(observers::unindex_sensor)
            .add_observer(observers::index_belief)
            .add_observer(observers::unindex_belief)
            .add_systems(
                FixedUpdate,
                (
                    systems::sensors::take_samples,
                    systems::sensors::meet_sensors,
                    systems::sensors::describe_sensors,
                    systems::sensors::take_readings,
                    systems::sensors::assess_sensors,
                    systems::beliefs::believe_readings,
                    systems::beliefs::meet_beliefs,
                    systems::beliefs::resolve_beliefs,
                )
                    .chain()
                    .after(MeshSystems)
                    .in_set(WorldSystems)
                    .in_set(TickSystems::Track),
            );
    }
}
