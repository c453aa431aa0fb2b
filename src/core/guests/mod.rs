//! Nodes that speak the wire protocol of existing ClawMesh nodes: who is connected and who is gone, what they can do and tell,
//! and the one actuator their plain commands reach, which moves nothing.
//! Reads the batch, `Trust`, the stop. Writes guest entities, the log of what they told, and the mock actuator.
//! Invariant: what a guest says is shown and is never evidence; nobody but a trusted guest is heard; a plain command reaches
//! the mock actuator by its type and nothing else; all of it is bounded.
//! Not here: sockets and the handshake (`wire_link`), the rows of the gate (`wire`), our own nodes (`mesh`).

mod components;
mod kept;
mod lifecycle;
mod picture;
mod systems;

use bevy::prelude::*;
use clawmesh_authority::{ContentHash, NodeId};
pub use clawmesh_wire::context::ContextFrame;
pub use clawmesh_wire::log::Told;

pub use components::{Guest, GuestLog, GuestProfile, MockBench};
pub use lifecycle::{
    GuestContact, GuestEnd, GuestState, HEARD_AT_ONCE_MAX, HEARD_EVERY_MS, LOST_AFTER_MS, SUSPECT_AFTER_MS,
};
pub use picture::{GuestRow, GuestsPicture};

use crate::clock::TickSystems;
use crate::mesh::MeshSystems;
use crate::publish::ComposeSystems;
use crate::replay::DigestApp as _;
use crate::safety::RefusalSystems;
use crate::world::WorldSystems;

/// The most guests that are shown at a time; the edge takes no more connections, and who is gone makes room.
pub const GUESTS_MAX: usize = 2_048;

/// The name under which whoever brings a command of a guest waits for the answer.
#[must_use]
pub fn name_of_command(from: NodeId, json: &str) -> ContentHash {
    ContentHash::of("guest-command", &[&from.0, json.as_bytes()].concat())
}

/// The part of `Track` that takes what guests tell.
#[derive(SystemSet, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GuestSystems;

/// The part of `Guard` that takes commands of guests; what real actuators are told was decided before.
#[derive(SystemSet, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GuestCommandSystems;

/// Keeps the guests of this node.
pub struct GuestsPlugin;

impl Plugin for GuestsPlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<GuestLog>()
            .init_resource::<MockBench>()
            .init_resource::<GuestsPicture>()
            .digest_component::<Guest>("guest")
            .digest_component::<GuestProfile>("guest_profile")
            .digest_component::<GuestContact>("guest_contact")
            .digest_component::<GuestState>("guest_state")
            .digest_resource::<GuestLog>("guest_log")
            .digest_resource::<MockBench>("mock_bench")
            .exclude_from_digest::<GuestsPicture>("a picture of the others, for readers")
            .add_systems(
                FixedUpdate,
                (
                    systems::recall_commands,
                    systems::follow_guests,
                    systems::take_frames,
                    systems::assess_guests,
                )
                    .chain()
                    .in_set(GuestSystems)
                    .after(MeshSystems)
                    .before(WorldSystems)
                    .in_set(TickSystems::Track),
            )
            .add_systems(
                FixedUpdate,
                systems::take_commands.in_set(GuestCommandSystems).in_set(TickSystems::Guard),
            )
            .add_systems(
                FixedUpdate,
                systems::draw.after(RefusalSystems).before(ComposeSystems).in_set(TickSystems::Record),
            );
    }
}
