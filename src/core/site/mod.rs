//! The site a node works at: its actuators, and whether its files agree.
//! Reads what the driver layer says, who and what can be relied on, and which policy holds. Writes `Stands`, `SiteModes`,
//! `PolicyInForce`.
//! Invariant: every actuator of this node is known from the start, also one whose hardware is silent; it stands as its
//! hardware said, on a guest as a sensor shows, never as it was told; what a policy names exists in the plan.
//! Not here: driving (`drivers`), the text of the files (`clawmesh`), what the rules demand (`authority`), how the site
//! behaves (`twin`).

mod agreement;
mod components;
mod files;
mod fork;
mod modes;
mod shown;
mod systems;

use bevy::prelude::*;

pub use agreement::disagreements;
pub use components::{
    Actuator, DriverPort, DriversPort, IN_DOUBT_MS_MIN, NoPlace, PolicyInForce, Site, SiteModes, Stands,
};
pub use files::SiteFiles;
pub use fork::{Sight, limits_of, snapshot_of, switch_state};

use crate::clock::TickSystems;
use crate::mesh::HearSystems;
use crate::people::PeopleSystems;
use crate::replay::DigestApp as _;
use crate::world::WorldSystems;

/// The part of `Track` that knows how the site stands.
#[derive(SystemSet, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SiteSystems;

/// The part of `Actuate` that says that the tick is alive.
#[derive(SystemSet, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeaseSystems;

/// Knows the actuators of this node.
pub struct SitePlugin;

impl Plugin for SitePlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<Site>()
            .init_resource::<SiteModes>()
            .init_resource::<PolicyInForce>()
            .digest_component::<Actuator>("actuators")
            .digest_component::<Stands>("actuators_stand")
            .digest_resource::<SiteModes>("site_modes")
            .digest_resource::<PolicyInForce>("policy_in_force")
            .exclude_from_digest::<Site>(
                "constant for a run, but for what `people` and `policy_in_force` say",
            )
            .add_systems(
                FixedUpdate,
                systems::follow_files.after(PeopleSystems).before(HearSystems).in_set(TickSystems::Ingest),
            )
            .exclude_from_digest::<DriversPort>("the way to the hardware of a live node; a replay has none")
            .add_systems(
                FixedUpdate,
                (systems::follow_drivers, systems::see_guests, systems::assess_site)
                    .chain()
                    .in_set(SiteSystems)
                    .after(WorldSystems)
                    .in_set(TickSystems::Track),
            )
            .add_systems(
                FixedUpdate,
                systems::renew_leases
                    .run_if(resource_exists::<DriversPort>)
                    .in_set(LeaseSystems)
                    .in_set(TickSystems::Actuate),
            );
    }
}
