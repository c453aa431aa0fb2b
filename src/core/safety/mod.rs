//! What was refused and whether we are stopped, where everybody can see it.
//! Reads `Refused` and the batch. Writes `Refusals`, `StopState`, `LinkStatus`.
//! Invariant: every refusal is counted; the book is bounded, and what it has no page for is counted too.
//! Not here: deciding what to refuse (`authority`, edges), the stop latch itself (driver layer).

mod components;
mod messages;
mod stop;
mod systems;
mod tally;

use bevy::prelude::*;

pub use components::{LinkStatus, Refusals, StopState};
pub use messages::{Refused, Told};
pub use stop::{Latched, SETTLE_MS, STOP_REPORT_BYTES_MAX, Standing, StopPort, StopReport};
pub use tally::{RefusalBook, RefusalTally};

use crate::clock::{TickSystems, WallClockSystems};
use crate::replay::DigestApp as _;

/// The part of `Record` after which the book holds every refusal of this tick.
#[derive(SystemSet, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RefusalSystems;

/// Keeps the book of refusals and follows the stop.
pub struct SafetyPlugin;

impl Plugin for SafetyPlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<Refusals>()
            .init_resource::<StopState>()
            .init_resource::<LinkStatus>()
            .add_message::<Refused>()
            .add_message::<Told>()
            .digest_resource::<Refusals>("refusals")
            .digest_resource::<StopState>("stop")
            .digest_resource::<LinkStatus>("link")
            // The stop is known before anything of this tick is decided.
            .add_systems(
                FixedUpdate,
                systems::follow_runner.after(WallClockSystems).in_set(TickSystems::Ingest),
            )
            .add_systems(
                FixedUpdate,
                (systems::take_refusals, systems::tally_refusals)
                    .chain()
                    .in_set(RefusalSystems)
                    .before(crate::publish::ComposeSystems)
                    .in_set(TickSystems::Record),
            );
    }
}
