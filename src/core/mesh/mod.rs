//! Who is on the mesh, what they may tell us, and whether we still believe they are there.
//! Reads the batch. Writes node entities, `Trust`, `LaneMarks`, and what admitted statements say as messages.
//! Invariant: a statement is heard at most once, only from a node that is trusted in this tick, never from the future; silence
//! is counted in ticks.
//! Not here: signatures (`authority`), sockets (`bridge`), what readings mean (`world`).

mod components;
mod liveness;
mod messages;
mod neighbours;
mod observers;
mod systems;

use bevy::prelude::*;

pub use components::{
    ClockOffset, HlcState, LaneMarks, LastHeard, Node, NodeIndex, NodeMarks, NodeProfile, OwnNode, Presence,
    STRANGERS_MAX, Trust, Trusted, Voice,
};
pub use liveness::{Liveness, LivenessPolicy, SIGN_OF_LIFE_MS, assess};
pub use messages::{NodeDescribed, NodeHeard, ObservationMade, ProposalReported, ReadingTaken};
pub use neighbours::{Asking, Neighbours};

use crate::clock::{self, TickSystems};
use crate::replay::DigestApp as _;

/// The part of `Ingest` that hears other nodes; what people at this node's own console say comes before.
#[derive(SystemSet, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HearSystems;

/// The part of `Track` that keeps nodes; sensors and beliefs come after.
#[derive(SystemSet, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MeshSystems;

/// Keeps the nodes of the mesh.
#[derive(Default)]
pub struct MeshPlugin {
    /// When silence makes a node suspect, and when lost.
    pub liveness: LivenessPolicy,
}

impl Plugin for MeshPlugin {
    fn build(&self, app: &mut App) {
        app.insert_resource(self.liveness)
            .init_resource::<NodeIndex>()
            .init_resource::<LaneMarks>()
            .init_resource::<Trust>()
            .init_resource::<HlcState>()
            .add_message::<NodeHeard>()
            .add_message::<NodeDescribed>()
            .add_message::<ReadingTaken>()
            .add_message::<ObservationMade>()
            .add_message::<ProposalReported>()
            .digest_component::<Node>("node")
            .digest_component::<NodeProfile>("node_profile")
            .digest_component::<Presence>("presence")
            .digest_component::<Liveness>("liveness")
            .digest_component::<LastHeard>("last_heard")
            .digest_component::<Voice>("voice")
            .digest_component::<ClockOffset>("clock_offset")
            .digest_component::<Trusted>("trusted")
            .digest_component::<OwnNode>("own_node")
            .digest_resource::<LaneMarks>("lane_marks")
            .digest_resource::<Trust>("trust")
            .digest_resource::<HlcState>("hlc")
            .exclude_from_digest::<NodeIndex>("an index over `Node`, kept by observers")
            .exclude_from_digest::<LivenessPolicy>("a constant of the build")
            .add_observer(observers::index_node)
            .add_observer(observers::unindex_node)
            .add_systems(
                FixedUpdate,
                (systems::follow_trust, systems::open_envelopes, systems::meet_nodes)
                    .chain()
                    .in_set(HearSystems)
                    .after(clock::WallClockSystems)
                    .in_set(TickSystems::Ingest),
            )
            .add_systems(
                FixedUpdate,
                (systems::follow_tokens, systems::note_heard, systems::describe_nodes, systems::assess_nodes)
                    .chain()
                    .in_set(MeshSystems)
                    .in_set(TickSystems::Track),
            );
    }
}
