//! The people this node knows: who may ask, approve, reject and end a stop here.
//! Reads the batch and what nodes pass on. Writes [`People`], [`Revocations`] and what is passed on.
//! Invariant: from the tick that hears of a change on, everything is judged by it; a key that was revoked counts for nothing in
//! that tick already, also for what it approved before.
//! Not here: what a role may do (`authority`), the file they stand in (`clawmesh`).

mod components;
mod messages;
mod revocations;
mod systems;

use bevy::prelude::*;

pub use components::People;
pub use messages::{KeyRevoked, RevocationHeard};
pub use revocations::{REVOCATIONS_MAX, Revocations, Revoked};
pub(crate) use systems::{heed_revocations, revoke_keys_of_nodes};

use crate::clock::{TickSystems, WallClockSystems};
use crate::replay::DigestApp as _;

/// The part of `Ingest` that knows people.
#[derive(SystemSet, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PeopleSystems;

/// Knows people.
pub struct PeoplePlugin;

impl Plugin for PeoplePlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<People>()
            .init_resource::<Revocations>()
            .add_message::<RevocationHeard>()
            .add_message::<KeyRevoked>()
            .digest_resource::<People>("people")
            .digest_resource::<Revocations>("revocations")
            .add_systems(
                FixedUpdate,
                systems::follow_people
                    .in_set(PeopleSystems)
                    .after(WallClockSystems)
                    .in_set(TickSystems::Ingest),
            );
    }
}
