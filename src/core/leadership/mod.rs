//! Who leads the planning, as this node knows it, and in which term.
//! Reads who is there, what nodes say of leading, and the time since the machine started. Writes [`Lead`], what is kept of
//! terms, and what this node says of them.
//! Invariant: nothing is said or taken in a term before the journal holds that it was seen; only claims of nodes that may lead
//! raise it, and never what is asked for in one; while the time is not known nobody leads here.
//! Not here: the rules (`authority::leadership`), what a leader wishes (`planner`), who is refused (`proposals`).

mod components;
mod kept;
mod messages;
mod systems;

use bevy::prelude::*;

pub use components::Lead;
pub use kept::{KeptTerms, SUBJECT};
pub use messages::LeadershipSaid;

use crate::clock::TickSystems;
use crate::guests::GuestSystems;
use crate::mesh::MeshSystems;
use crate::replay::DigestApp as _;

/// Follows who leads.
pub struct LeadershipPlugin;

impl Plugin for LeadershipPlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<Lead>()
            .add_message::<LeadershipSaid>()
            .digest_resource::<Lead>("lead")
            .add_systems(
                FixedUpdate,
                (systems::recall_terms, systems::follow_leader)
                    .chain()
                    .after(MeshSystems)
                    .before(GuestSystems)
                    .in_set(TickSystems::Track),
            );
    }
}
