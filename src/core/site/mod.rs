//! The site a node works at: its actuators, and whether its files agree.
//! Reads what the driver layer says. Writes `Actuator`, `Stands`.
//! Invariant: an actuator stands as its hardware said, never as it was told; what a policy names exists in the plan.
//! Not here: driving (`drivers`), the text of the files (`clawmesh`), what the rules demand (`authority`), how the site
//! behaves (`twin`).

mod agreement;
mod components;
mod systems;

use bevy::prelude::*;

pub use agreement::disagreements;
pub use components::{Actuator, DriverPort, DriversPort, NoPlace, Stands};

use crate::clock::TickSystems;
use crate::replay::DigestApp as _;

/// Knows the actuators of this node.
pub struct SitePlugin;

impl Plugin for SitePlugin {
    fn build(&self, app: &mut App) {
        app.digest_component::<Actuator>("actuators")
            .digest_component::<Stands>("actuators_stand")
            .exclude_from_digest::<DriversPort>("the way to the hardware of a live node; a replay has none")
            .add_systems(
                FixedUpdate,
                (systems::meet_actuators, systems::follow_drivers).chain().in_set(TickSystems::Track),
            )
            .add_systems(
                FixedUpdate,
                systems::renew_leases.run_if(resource_exists::<DriversPort>).in_set(TickSystems::Actuate),
            );
    }
}
