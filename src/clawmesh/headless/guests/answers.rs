//! What a node answers over the wire protocol, out of one picture of the world.

use std::collections::BTreeMap;

use clawmesh_core::guests::GuestRow;
use clawmesh_core::publish::{ProposalView, Snapshot};
use clawmesh_wire::context::ContextFrame;
use clawmesh_wire::query::WorldQuery;
use clawmesh_wire::trust::tier_text;
use serde::Serialize;

/// The most pending proposals of one answer.
const PENDING_MAX: usize = 64;
/// The most bytes of the frames of one answer.
const WORLD_BYTES_MAX: usize = 768 * 1_024;

/// What does not follow from a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct About {
    /// What this node can do.
    pub capabilities: Vec<String>,
    /// When it started, Unix milliseconds.
    pub started_ms: u64,
    /// Whether it looks for other nodes.
    pub is_discovering: bool,
    /// Whether it plans.
    pub plans: bool,
    /// How much memory it takes, bytes; `None` where the system does not tell.
    pub memory_bytes: Option<u64>,
}

/// A connected node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Peer {
    device_id: String,
    display_name: Option<String>,
    outbound: bool,
    capabilities: Vec<String>,
    role: String,
    transport_label: Option<String>,
    connected_at_ms: u64,
}

impl Peer {
    fn of(row: &GuestRow) -> Self {
        let profile = &row.profile;
        Self {
            device_id: row.id.to_string(),
            display_name: profile.name.clone(),
            outbound: profile.is_outbound,
            capabilities: profile.capabilities.clone(),
            role: profile.role.clone(),
            transport_label: profile.label.clone(),
            connected_at_ms: profile.connected_ms,
        }
    }
}

fn peers_in(snapshot: &Snapshot) -> Vec<Peer> {
    snapshot.guests.guests().iter().map(Peer::of).collect()
}

/// `mesh.peers`
#[derive(Debug, Serialize)]
pub struct Peers {
    peers: Vec<Peer>,
}

/// Who is connected.
#[must_use]
pub fn peers(snapshot: &Snapshot) -> Peers {
    Peers { peers: peers_in(snapshot) }
}

/// A proposal that waits for somebody. Existing nodes cut the id, and then nobody can answer it; ours is whole.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Pending {
    task_id: String,
    summary: String,
    approval_level: Option<String>,
    status: &'static str,
    planner_device_id: String,
    planner_role: &'static str,
    planner_owner: Option<String>,
}

impl Pending {
    fn of(view: &ProposalView) -> Self {
        let report = &view.report;
        Self {
            task_id: report.id.to_string(),
            summary: report.reason.clone(),
            approval_level: report.offer.as_ref().map(|offer| format!("{:?}", offer.level)),
            status: report.state.wire_v1_name(),
            planner_device_id: report.maker.node.to_string(),
            planner_role: "planner",
            planner_owner: view.home_name.clone(),
        }
    }
}

fn activity(about: &About) -> &'static str {
    if about.plans { "active" } else { "ineligible" }
}

/// `mesh.status`
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    local_device_id: String,
    connected_peers: usize,
    peers: Vec<Peer>,
    planner_activity: &'static str,
    discovery_enabled: bool,
    pending_proposals: Vec<Pending>,
}

/// How the node stands.
#[must_use]
pub fn status(snapshot: &Snapshot, about: &About) -> Status {
    let peers = peers_in(snapshot);
    let open = snapshot.proposals.iter().filter(|view| !view.report.state.is_final());
    Status {
        local_device_id: snapshot.node.id.to_string(),
        connected_peers: peers.len(),
        peers,
        planner_activity: activity(about),
        discovery_enabled: about.is_discovering,
        pending_proposals: open.take(PENDING_MAX).map(Pending::of).collect(),
    }
}

#[derive(Debug, Serialize)]
struct HealthPeers {
    connected: usize,
    details: Vec<Peer>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct HealthWorld {
    entries: usize,
    frame_log_size: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct HealthCapabilities {
    local: Vec<String>,
    mesh_total: usize,
}

#[derive(Debug, Serialize)]
struct Metric {
    name: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    value: u64,
}

/// `mesh.health`
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    status: &'static str,
    node_id: String,
    display_name: String,
    uptime_ms: u64,
    started_at: u64,
    peers: HealthPeers,
    world_model: HealthWorld,
    capabilities: HealthCapabilities,
    planner_activity: &'static str,
    discovery_enabled: bool,
    #[serde(rename = "memoryUsageMB")]
    memory_usage_mb: Option<u64>,
    metrics: Vec<Metric>,
    version: String,
    timestamp: u64,
}

/// How well the node is: degraded while it is stopped, its journal is not asked here, or nobody is there and it can do nothing.
#[must_use]
pub fn health(snapshot: &Snapshot, about: &About) -> Health {
    let peers = peers_in(snapshot);
    let is_alone = peers.is_empty() && about.capabilities.is_empty();
    let mut all: Vec<&String> = peers.iter().flat_map(|peer| &peer.capabilities).collect();
    all.extend(&about.capabilities);
    all.sort_unstable();
    all.dedup();
    let id = snapshot.node.id.to_string();
    let refused = snapshot.refusals.iter().map(|row| row.count).sum();
    Health {
        status: if is_alone || snapshot.stop.is_some() { "degraded" } else { "healthy" },
        node_id: format!("{}...", &id[..16]),
        display_name: snapshot.node.name.clone(),
        uptime_ms: snapshot.wall_ms.saturating_sub(about.started_ms),
        started_at: about.started_ms,
        world_model: HealthWorld {
            entries: snapshot.guests.entries().len(),
            frame_log_size: snapshot.guests.frames().len(),
        },
        capabilities: HealthCapabilities { local: about.capabilities.clone(), mesh_total: all.len() },
        peers: HealthPeers { connected: peers.len(), details: peers },
        planner_activity: activity(about),
        discovery_enabled: about.is_discovering,
        memory_usage_mb: about.memory_bytes.map(|bytes| bytes / 1_000_000),
        metrics: vec![
            Metric { name: "ticks", kind: "counter", value: snapshot.tick },
            Metric { name: "refusals", kind: "counter", value: refused },
        ],
        version: snapshot.node.version.clone(),
        timestamp: snapshot.wall_ms,
    }
}

/// `mesh.world.query`
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct World {
    count: usize,
    entries: usize,
    frames: Vec<ContextFrame>,
    by_source_device_id: BTreeMap<String, usize>,
    by_kind: BTreeMap<&'static str, usize>,
    by_trust_tier: BTreeMap<&'static str, usize>,
    peer_timestamp: u64,
}

/// The newest frames that fit, oldest first, counted by what they are, and each for what it is worth here. When frames are
/// large, fewer are given: an answer fits into a message.
#[must_use]
pub fn world(snapshot: &Snapshot, query: &WorldQuery) -> World {
    let mut bytes = 0;
    let newest = snapshot.guests.frames().iter().rev().filter(|frame| query.fits(frame));
    let fitting = newest.take(query.limit).take_while(|frame| {
        bytes += frame.bytes();
        bytes <= WORLD_BYTES_MAX
    });
    let shown = |frame: &ContextFrame| ContextFrame { claimed_tier: frame.shown_tier(), ..frame.clone() };
    let mut frames: Vec<ContextFrame> = fitting.map(|frame| shown(frame)).collect();
    frames.reverse();
    let mut world = World {
        count: frames.len(),
        entries: snapshot.guests.entries().len(),
        frames,
        by_source_device_id: BTreeMap::new(),
        by_kind: BTreeMap::new(),
        by_trust_tier: BTreeMap::new(),
        peer_timestamp: snapshot.wall_ms,
    };
    for frame in &world.frames {
        *world.by_source_device_id.entry(frame.source_device_id.clone()).or_default() += 1;
        *world.by_kind.entry(frame.kind.as_str()).or_default() += 1;
        *world.by_trust_tier.entry(tier_text(frame.claimed_tier)).or_default() += 1;
    }
    world
}
