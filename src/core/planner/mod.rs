//! What the planner of this node thinks of its zones, and what it wishes done. A planner may only propose.
//! Reads thoughts, how proposals stand here and elsewhere, and what the site says of its zones. Writes `Attention`, and
//! wishes on their way to the edge that asks the owner.
//! Invariant: all memory of the planner is `Attention`, so whoever thinks may be made anew between any two ticks; a wish
//! follows from the journal alone, and is none while its actuators are wanted by anything that is open.
//! Not here: thinking (`plugins/brain`), signing and asking (`clawmesh`), whether a proposal may go on (`authority`).

mod attention;
mod components;
mod systems;
mod wish;

use bevy::prelude::*;

pub use attention::{
    Attention, DRY_ROUNDS_MIN, Ended, Moment, REST_AFTER_COMPLETED_MS, REST_AFTER_END_MS, REST_AFTER_WISH_MS,
    SETTLES_MS,
};
pub use components::{IrrigatedZone, PlannerPort, WishesDue};
pub use wish::{Watering, Wish, Wishes};

use crate::clock::TickSystems;
use crate::replay::DigestApp as _;

/// Minds the zones that somebody thinks about. Without thoughts it does nothing.
pub struct PlannerPlugin;

impl Plugin for PlannerPlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<WishesDue>()
            .digest_component::<IrrigatedZone>("irrigated_zone")
            .digest_component::<Attention>("attention")
            .exclude_from_digest::<WishesDue>("wishes on their way from `Plan` to `Publish` of one tick")
            .exclude_from_digest::<PlannerPort>("the way to whoever asks for a live node; a replay has none")
            .add_systems(
                FixedUpdate,
                (systems::meet_zones, systems::take_thoughts, systems::rest_zones, systems::make_wishes)
                    .chain()
                    .after(crate::proposals::RequestSystems)
                    .in_set(TickSystems::Plan),
            )
            .add_systems(FixedUpdate, systems::send_wishes.in_set(TickSystems::Publish));
    }
}
