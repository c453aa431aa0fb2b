//! What a node answers over the wire protocol, out of one picture of the world.

use std::collections::BTreeMap;
use std::sync::Arc;

use clawmesh_authority::Mind;
use clawmesh_authority::leadership::Activity;
use clawmesh_core::guests::GuestRow;
use clawmesh_core::publish::{ProposalView, Snapshot};
use clawmesh_wire::context::{ContextFrame, GENERATION};
use clawmesh_wire::log::{Told, newest_in_turns};
use clawmesh_wire::peer_spec::PeerSpec;
use clawmesh_wire::query::WorldQuery;
use clawmesh_wire::sync::within;
use clawmesh_wire::trace::{CREATED, Chain, INGEST, Step};
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
    /// The nodes that somebody has configured to be dialled.
    pub configured: Vec<Configured>,
    /// How much memory it takes, bytes; `None` where the system does not tell.
    pub memory_bytes: Option<u64>,
}

/// A node that somebody has configured to be dialled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Configured {
    device_id: String,
    url: String,
    transport_label: Option<String>,
    security_posture: &'static str,
}

impl Configured {
    /// As it is shown to others.
    #[must_use]
    pub fn of(spec: &PeerSpec) -> Self {
        Self {
            device_id: spec.node.to_string(),
            url: spec.url.to_string(),
            transport_label: spec.label.clone(),
            security_posture: spec.posture().as_str(),
        }
    }
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
    snapshot.guests.connected().map(Peer::of).collect()
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
    /// What kind of mind it was.
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
            planner_role: match &report.maker.mind {
                Mind::Utility { .. } => "planner",
                Mind::Model { .. } => "model",
                Mind::Operator(_) => "operator",
            },
            planner_owner: view.home_name.clone(),
        }
    }
}

/// What is told when a proposal is new, when it is answered, and at its end.
#[derive(Debug, Serialize)]
pub struct ProposalEvent {
    #[serde(rename = "gen")]
    generation: u64,
    proposal: Pending,
    timestamp: u64,
}

impl ProposalEvent {
    /// What has happened, for people.
    #[must_use]
    pub fn words(&self) -> String {
        format!("{}: {}", self.proposal.status, self.proposal.summary)
    }
}

/// What to tell of a proposal; nothing for one that is not shown any more.
#[must_use]
pub fn proposal_event(snapshot: &Snapshot, task_id: &str) -> Option<ProposalEvent> {
    let view = snapshot.proposals.iter().find(|view| view.report.id.to_string() == task_id)?;
    Some(ProposalEvent { generation: GENERATION, proposal: Pending::of(view), timestamp: snapshot.wall_ms })
}

/// The frames of guests and our own.
pub fn all<'a>(snapshot: &'a Snapshot, own: &'a [Arc<Told>]) -> impl Iterator<Item = &'a Told> {
    snapshot.guests.frames().iter().chain(own).map(|told| &**told)
}

/// What followed from each frame and each proposal.
pub fn chains<'a>(snapshot: &'a Snapshot, own: &'a [Arc<Told>]) -> impl Iterator<Item = Chain> + 'a {
    // Anybody can give a frame the name of a proposal, and nobody a proposal that of a frame.
    proposal_chains(snapshot).chain(frame_chains(snapshot, own))
}

/// What followed from each proposal.
pub fn proposal_chains(snapshot: &Snapshot) -> impl Iterator<Item = Chain> + '_ {
    snapshot.proposals.iter().map(chain_of_proposal)
}

/// Where each frame came from.
pub fn frame_chains<'a>(snapshot: &'a Snapshot, own: &'a [Arc<Told>]) -> impl Iterator<Item = Chain> + 'a {
    all(snapshot, own).map(|told| Chain {
        frame_id: told.frame.frame_id.clone(),
        steps: vec![Step {
            stage: INGEST.to_owned(),
            timestamp: told.frame.timestamp_ms,
            device_id: told.frame.source_device_id.clone(),
            note: format!("{} told by {}", told.frame.kind.as_str(), told.from),
        }],
    })
}

fn chain_of_proposal(view: &ProposalView) -> Chain {
    let report = &view.report;
    let home = view.home.to_string();
    let step = |stage: String, timestamp: u64, note: &str| Step {
        stage,
        timestamp,
        device_id: home.clone(),
        note: note.to_owned(),
    };
    let mut steps = vec![step(CREATED.to_owned(), report.made.wall_ms, &report.reason)];
    let story = report.story.iter();
    steps.extend(story.map(|entry| step(format!("proposal.{}", entry.state), entry.at_ms, &entry.words)));
    Chain { frame_id: report.id.to_string(), steps }
}

/// Who leads the planning, as existing nodes tell it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PlannerLeader {
    kind: &'static str,
    device_id: Option<String>,
    role: Option<String>,
}

impl PlannerLeader {
    fn of(snapshot: &Snapshot) -> Self {
        let leader = snapshot.lead.leader.as_ref();
        Self {
            kind: match leader {
                None => "none",
                Some(leader) if leader.id == snapshot.node.id => "local",
                Some(_) => "peer",
            },
            device_id: leader.map(|leader| leader.id.to_string()),
            role: leader.and_then(|leader| leader.role.clone()),
        }
    }
}

/// `mesh.status`
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    local_device_id: String,
    connected_peers: usize,
    peers: Vec<Peer>,
    planner_activity: Activity,
    #[serde(flatten)]
    planner_model: PlannerModel,
    discovery_enabled: bool,
    configured_static_peers: Vec<Configured>,
    pending_proposals: Vec<Pending>,
}

/// What existing nodes say of the model that plans. No model plans here yet, so each is `null`.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct PlannerModel {
    planner_mode: Option<&'static str>,
    planner_model_spec: Option<String>,
    planner_runtime: Option<String>,
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
        planner_activity: snapshot.lead.activity,
        planner_model: PlannerModel::default(),
        discovery_enabled: about.is_discovering,
        configured_static_peers: about.configured.clone(),
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
    planner_activity: Activity,
    #[serde(flatten)]
    planner_model: PlannerModel,
    planner_leader: PlannerLeader,
    discovery_enabled: bool,
    configured_static_peers: Vec<Configured>,
    #[serde(rename = "memoryUsageMB")]
    memory_usage_mb: Option<u64>,
    metrics: Vec<Metric>,
    version: String,
    timestamp: u64,
}

/// How well the node is: degraded while it is stopped, or nobody is there, over this protocol or zenoh, and it can do nothing. Its
/// journal is not asked here.
#[must_use]
pub fn health(snapshot: &Snapshot, own_frames: usize, about: &About) -> Health {
    let peers = peers_in(snapshot);
    let own = snapshot.node.id;
    let has_hardware =
        !snapshot.actuators.is_empty() || snapshot.sensors.iter().any(|sensor| sensor.node == own);
    let has_nodes = snapshot.peers.iter().any(|peer| peer.trusted && peer.liveness == "alive");
    let is_alone = peers.is_empty() && !has_nodes && about.capabilities.is_empty() && !has_hardware;
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
        // 0 where nobody knew the time when it started.
        uptime_ms: if about.started_ms == 0 { 0 } else { snapshot.wall_ms.saturating_sub(about.started_ms) },
        started_at: about.started_ms,
        world_model: HealthWorld {
            entries: snapshot.guests.entries().len() + own_frames,
            frame_log_size: snapshot.guests.frames().len() + own_frames,
        },
        capabilities: HealthCapabilities { local: about.capabilities.clone(), mesh_total: all.len() },
        peers: HealthPeers { connected: peers.len(), details: peers },
        planner_activity: snapshot.lead.activity,
        planner_model: PlannerModel::default(),
        planner_leader: PlannerLeader::of(snapshot),
        discovery_enabled: about.is_discovering,
        configured_static_peers: about.configured.clone(),
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
    /// Existing nodes do not tell; for something that is told every 30 s.
    by_freshness: BTreeMap<&'static str, usize>,
    peer_timestamp: u64,
}

/// The newest frames that fit, of each teller in turns, oldest first, counted by what they are, and each for what it is worth
/// here. When frames are large, fewer are given: an answer fits into a message.
#[must_use]
pub fn world(snapshot: &Snapshot, own: &[Arc<Told>], query: &WorldQuery) -> World {
    let chosen = newest_in_turns(all(snapshot, own).filter(|told| query.fits(&told.frame)), query.limit);
    let chosen = within(chosen, WORLD_BYTES_MAX);
    let shown = |told: &&Told| ContextFrame { claimed_tier: told.frame.shown_tier(), ..told.frame.clone() };
    let frames: Vec<ContextFrame> = chosen.iter().map(shown).collect();
    let mut world = World {
        count: frames.len(),
        entries: snapshot.guests.entries().len() + own.len(),
        frames,
        by_source_device_id: BTreeMap::new(),
        by_kind: BTreeMap::new(),
        by_trust_tier: BTreeMap::new(),
        by_freshness: BTreeMap::new(),
        peer_timestamp: snapshot.wall_ms,
    };
    for frame in &world.frames {
        *world.by_source_device_id.entry(frame.source_device_id.clone()).or_default() += 1;
        *world.by_kind.entry(frame.kind.as_str()).or_default() += 1;
        *world.by_trust_tier.entry(tier_text(frame.claimed_tier)).or_default() += 1;
    }
    for told in chosen {
        *world.by_freshness.entry(told.freshness(snapshot.wall_ms).as_str()).or_default() += 1;
    }
    world
}
