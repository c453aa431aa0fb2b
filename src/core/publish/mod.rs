//! What leaves the world at the end of a tick: statements to sign, and a picture for readers.
//! Reads the world. Writes `OwnLanes`, the outbox and the snapshot sink.
//! Invariant: statements are numbered in `Record`, before the digest; nothing in `Publish` waits or changes
//! what the digest covers.
//! Not here: signing and sending (`bridge`), HTTP (`gateway`).

mod components;
mod messages;
mod outgoing;
mod snapshot;
mod systems;
mod waiting;

use bevy::prelude::*;

pub use components::{OutboxPort, OwnLanes, OwnReadings, Pending, SnapshotPort};
pub use messages::FrameDue;
pub use outgoing::{Outbox, OutboxReader, Outgoing, outbox};
pub use snapshot::{
    ActuatorView, AlarmView, BeliefView, ControlView, DigestView, LeadView, LeaderView, NodeView, PeerView,
    PersonView, ProposalView, RefusalView, SensorView, SiteView, Snapshot, SnapshotSink,
};

pub use waiting::Waiting;

use crate::clock::TickSystems;
use crate::replay::DigestApp as _;

/// The part of `Record` that numbers what leaves; the digest comes after.
#[derive(SystemSet, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ComposeSystems;

/// Composes statements and publishes them together with snapshots.
pub struct PublishPlugin;

impl Plugin for PublishPlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<OwnLanes>()
            .init_resource::<OwnReadings>()
            .init_resource::<Pending>()
            .add_message::<FrameDue>()
            .digest_resource::<OwnLanes>("own_lanes")
            .exclude_from_digest::<OwnReadings>("readings on their way from `Track` to `Record` of one tick")
            .exclude_from_digest::<Pending>("whether an edge had room is not part of the world")
            .exclude_from_digest::<OutboxPort>("the way out of a live node; a replay has none")
            .exclude_from_digest::<SnapshotPort>("the way to readers; a replay has none")
            .add_systems(
                FixedUpdate,
                (systems::compose_frames, systems::compose_readings)
                    .chain()
                    .in_set(ComposeSystems)
                    .in_set(TickSystems::Record),
            )
            .add_systems(
                FixedUpdate,
                (systems::send_pending, systems::publish_snapshot.run_if(resource_exists::<SnapshotPort>))
                    .chain()
                    .in_set(TickSystems::Publish),
            );
    }
}
