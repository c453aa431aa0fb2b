//! The ways between the tick and the edges.

use std::net::SocketAddr;
use std::sync::Arc;

use clawmesh_bridge::BridgePorts;
use clawmesh_core::clock::{ClockView, Timekeeper};
use clawmesh_core::intake::{InboxHandle, InboxLimits, Inboxes, doors};
use clawmesh_core::proposals::AnswerDesk;
use clawmesh_core::publish::{Outbox, OutboxReader, outbox};
use clawmesh_core::replay::CommitWatch;
use clawmesh_drivers::StopLatch;
use clawmesh_gateway::{GatewayPorts, SnapshotFeed, SnapshotFeeder, snapshot_feed};
use clawmesh_storage::OpenJournal;

use super::start::Start;
use crate::config::papers;
use crate::config::state_dir::StateDir;
use crate::headless::guests::GuestDoor;
use crate::headless::mesh_to_come::MeshToCome;
use crate::moments::unix_ms;

/// Frames and batches of readings that may wait for the zenoh edge.
const OUTBOX_FRAMES: usize = 4_096;
const OUTBOX_BATCHES: usize = 1_024;

/// The ways between the tick and the edges.
pub(super) struct Ways {
    pub(super) inbox: InboxHandle,
    pub(super) inboxes: Inboxes,
    pub(super) outbox: Outbox,
    pub(super) outbox_reader: OutboxReader,
    pub(super) feeder: SnapshotFeeder,
    pub(super) snapshots: SnapshotFeed,
    pub(super) commits: CommitWatch,
    /// Where whoever asks waits for the answer.
    pub(super) desk: AnswerDesk,
    pub(super) latch: StopLatch,
    pub(super) mesh: Arc<MeshToCome>,
    pub(super) guests: Arc<GuestDoor>,
    /// Where the gateway listens.
    pub(super) gateway: SocketAddr,
    pub(super) clock: Arc<dyn Fn() -> ClockView + Send + Sync>,
}

impl Ways {
    /// All of what earlier runs left has a place at the door, beside what comes in the meantime.
    pub(super) fn open(journal: &OpenJournal, start: &Start, gateway: SocketAddr) -> Self {
        let usual = InboxLimits::default();
        let state_inputs_max = usual.state_inputs_max + journal.recovered.inputs.len();
        let (inbox, inboxes) = doors(InboxLimits { state_inputs_max, ..usual });
        let (outbox, outbox_reader) = outbox(OUTBOX_FRAMES, OUTBOX_BATCHES);
        let (feeder, snapshots) = snapshot_feed();
        Self {
            inbox,
            inboxes,
            outbox,
            outbox_reader,
            feeder,
            snapshots,
            commits: journal.watch.clone(),
            desk: AnswerDesk::default(),
            latch: start.latch.clone(),
            mesh: Arc::new(MeshToCome::new(start.settings.node, start.settings.trusted.clone())),
            guests: Arc::default(),
            gateway,
            clock: start.clock.view(),
        }
    }

    pub(super) fn gateway_ports(&self) -> GatewayPorts {
        GatewayPorts {
            snapshots: self.snapshots.clone(),
            inbox: self.inbox.clone(),
            commits: self.commits.clone(),
            unix_ms: Arc::new(unix_ms),
            clock: Arc::clone(&self.clock),
            desk: self.desk.clone(),
            stop: Arc::new(self.latch.clone()),
            neighbours: self.mesh.clone(),
            web_sockets: Some(self.guests.clone()),
            history: self.guests.clone(),
            abilities: self.guests.clone(),
        }
    }

    /// What the bridge shares with the gateway and the tick.
    pub(super) fn bridge_ports(&self, dir: &StateDir, start: &Start) -> BridgePorts {
        let snapshots = self.snapshots.clone();
        let (dir, own, mesh_name) = (dir.clone(), start.key.public(), start.settings.mesh_name.clone());
        BridgePorts {
            key: start.key.clone(),
            epoch: start.settings.epoch,
            inbox: self.inbox.clone(),
            outbox: self.outbox_reader.clone(),
            commits: self.commits.clone(),
            unix_ms: Arc::new(unix_ms),
            clock: start.clock.keeper.clone().map(|keeper| keeper as Arc<dyn Timekeeper>),
            telling: start.clock.telling(),
            desk: self.desk.clone(),
            latch: Arc::new(self.latch.clone()),
            papers: Arc::new(move || papers::load(&dir, &own, &mesh_name).map_err(|fault| fault.to_string())),
            standing: Arc::new(move || snapshots.standing()),
        }
    }
}
