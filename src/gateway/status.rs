//! How the node is: one word for machines that watch it, one page for people.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use clawmesh_authority::leadership::Activity;
use clawmesh_core::alarms::{Priority, Standing};
use clawmesh_core::clock::ClockView;
use clawmesh_core::guests::GuestState;
use clawmesh_core::intake::LinkState;
use clawmesh_core::publish::{
    AlarmView, DigestView, LeadView, NodeView, PersonView, RefusalView, SiteView, Snapshot,
};
use serde::{Deserialize, Serialize};

use crate::events::STREAMS_MAX;
use crate::router::Shared;

/// A snapshot older than this means that the tick stands still.
pub const STALLED_AFTER_MS: u64 = 2_000;
/// A node without a snapshot after this long will not have one.
const FIRST_SNAPSHOT_WITHIN_MS: u64 = 30_000;

/// One word on how the node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthState {
    /// No snapshot yet.
    Starting,
    /// All is well.
    Healthy,
    /// Something is wrong; the reasons say what.
    Degraded,
}

/// What `/api/health` answers, to anybody who may call: no names, no paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// One word.
    pub status: HealthState,
    /// What is wrong, in general words; `/api/status` has the details.
    pub reasons: Vec<String>,
    /// The version of the software.
    pub version: String,
    /// Milliseconds since the gateway began to serve.
    pub uptime_ms: u64,
    /// The newest tick.
    pub tick: u64,
}

/// What the node is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// No tick has been shown yet.
    Starting,
    /// It ticks.
    Running,
    /// It ticks, and the stop is latched.
    Stopped,
    /// No tick has been shown for two seconds.
    Stalled,
}

/// Peers, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PeerCounts {
    /// All of them.
    pub known: usize,
    /// Heard lately.
    pub alive: usize,
    /// Pinned here.
    pub trusted: usize,
}

/// Sensors, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SensorCounts {
    /// All of them.
    pub known: usize,
    /// Those with something wrong.
    pub flagged: usize,
}

/// Alarms, counted; what is shelved stands apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AlarmCounts {
    /// Those that are the case.
    pub active: usize,
    /// Those that nobody has acknowledged, whether they are the case or over.
    pub unacknowledged: usize,
    /// Those that somebody put aside.
    pub shelved: usize,
    /// The highest priority of those that are not shelved.
    pub highest: Option<Priority>,
}

impl AlarmCounts {
    fn of(alarms: &[AlarmView]) -> Self {
        let (shelved, shown): (Vec<&AlarmView>, Vec<&AlarmView>) =
            alarms.iter().partition(|alarm| alarm.state == Standing::Shelved);
        Self {
            active: shown.iter().filter(|alarm| alarm.is_active).count(),
            unacknowledged: shown.iter().filter(|alarm| !alarm.is_acknowledged).count(),
            shelved: shelved.len(),
            highest: shown.iter().map(|alarm| alarm.priority).max(),
        }
    }
}

/// How the journal is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct JournalView {
    /// The highest durable sequence.
    pub committed: u64,
    /// Why it cannot commit, if so.
    pub failure: Option<String>,
}

/// What happened at the door itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GatewayCounts {
    /// Event streams now open.
    pub streams: usize,
    /// Requests refused since the start, by code.
    pub refused: BTreeMap<String, u64>,
}

/// How the links to existing ClawMesh nodes stand.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GuestCounts {
    /// Connections, also of programs that have not shown who they are.
    pub connections: usize,
    /// Nodes that have shown who they are.
    pub nodes: usize,
    /// Nodes that were connected in this run and are lost.
    #[serde(default)]
    pub lost: usize,
    /// Context frames that are remembered.
    pub frames: usize,
    /// Things about which the newest frame is remembered.
    pub things: usize,
    /// What was taken, dropped and refused since the start, by name; docs/guests.md says what each is.
    pub counts: BTreeMap<String, u64>,
}

/// What `/api/status` answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// This node.
    pub node: NodeView,
    /// What it is doing.
    pub state: NodeState,
    /// How its link to the mesh stands.
    pub link: LinkState,
    /// Why the stop is latched, if it is.
    pub stop: Option<String>,
    /// The site and how it is out of order, if somebody has drawn it.
    pub site: Option<SiteView>,
    /// The people this node knows, by name.
    pub people: Vec<PersonView>,
    /// Milliseconds since the gateway began to serve.
    pub uptime_ms: u64,
    /// The newest tick.
    pub tick: u64,
    /// Wall time at that tick, Unix milliseconds; 0 while it is not known.
    pub wall_ms: u64,
    /// What keeps the clock, and what is wrong with it.
    #[serde(default)]
    pub clock: ClockView,
    /// Milliseconds since that tick was shown; none before the first.
    pub snapshot_age_ms: Option<u64>,
    /// Who leads the planning.
    pub lead: LeadView,
    /// Other nodes.
    pub peers: PeerCounts,
    /// Sensors.
    pub sensors: SensorCounts,
    /// How many beliefs the world holds.
    pub beliefs: usize,
    /// The journal.
    pub journal: JournalView,
    /// Refusals, by code and sender.
    pub refusals: Vec<RefusalView>,
    /// All refusals together.
    pub refused_total: u64,
    /// Alarms.
    pub alarms: AlarmCounts,
    /// The newest digest.
    pub digest: Option<DigestView>,
    /// The door itself.
    pub gateway: GatewayCounts,
    /// Existing ClawMesh nodes.
    pub guests: GuestCounts,
}

pub(crate) async fn health(State(shared): State<Arc<Shared>>) -> (StatusCode, Json<Health>) {
    let health = assess(&status_of(&shared));
    let code = match health.status {
        HealthState::Degraded => StatusCode::SERVICE_UNAVAILABLE,
        HealthState::Starting | HealthState::Healthy => StatusCode::OK,
    };
    (code, Json(health))
}

pub(crate) async fn status(State(shared): State<Arc<Shared>>) -> Json<Status> {
    Json(status_of(&shared))
}

fn status_of(shared: &Shared) -> Status {
    let commits = &shared.ports.commits;
    let starting = Status {
        node: shared.node.clone(),
        state: NodeState::Starting,
        link: LinkState::Connecting,
        stop: None,
        site: None,
        people: Vec::new(),
        uptime_ms: shared.uptime_ms(),
        tick: 0,
        wall_ms: (shared.ports.unix_ms)(),
        clock: (shared.ports.clock)(),
        snapshot_age_ms: None,
        lead: LeadView { activity: Activity::Ineligible, leader: None },
        peers: PeerCounts::default(),
        sensors: SensorCounts::default(),
        beliefs: 0,
        journal: JournalView { committed: commits.committed(), failure: commits.failure() },
        refusals: Vec::new(),
        refused_total: 0,
        alarms: AlarmCounts::default(),
        digest: None,
        gateway: GatewayCounts {
            streams: STREAMS_MAX - shared.streams.available_permits(),
            refused: shared.refused.by_code(),
        },
        guests: guests_of(shared),
    };
    match shared.ports.snapshots.newest() {
        Some(newest) => with_snapshot(starting, &newest.snapshot, newest.age_ms()),
        None => starting,
    }
}

fn guests_of(shared: &Shared) -> GuestCounts {
    let view = shared.links_view();
    GuestCounts { connections: view.connections, counts: view.counts, ..GuestCounts::default() }
}

fn with_snapshot(starting: Status, snapshot: &Snapshot, age_ms: u64) -> Status {
    Status {
        node: snapshot.node.clone(),
        state: state_of(snapshot, age_ms),
        link: snapshot.link.clone(),
        lead: snapshot.lead.clone(),
        stop: snapshot.stop.clone(),
        site: snapshot.site.clone(),
        people: snapshot.people.clone(),
        tick: snapshot.tick,
        wall_ms: snapshot.wall_ms,
        snapshot_age_ms: Some(age_ms),
        peers: PeerCounts {
            known: snapshot.peers.len(),
            alive: snapshot.peers.iter().filter(|peer| peer.liveness == "alive").count(),
            trusted: snapshot.peers.iter().filter(|peer| peer.trusted).count(),
        },
        sensors: SensorCounts {
            known: snapshot.sensors.len(),
            flagged: snapshot.sensors.iter().filter(|sensor| !sensor.flags.is_empty()).count(),
        },
        beliefs: snapshot.beliefs.len(),
        refusals: snapshot.refusals.clone(),
        refused_total: snapshot.refusals.iter().map(|refusal| refusal.count).sum(),
        alarms: AlarmCounts::of(&snapshot.alarms),
        digest: snapshot.digest.clone(),
        guests: GuestCounts {
            nodes: snapshot.guests.connected().count(),
            lost: snapshot.guests.guests().iter().filter(|row| row.state == GuestState::Lost).count(),
            frames: snapshot.guests.frames().len(),
            things: snapshot.guests.entries().len(),
            ..starting.guests
        },
        ..starting
    }
}

fn state_of(snapshot: &Snapshot, age_ms: u64) -> NodeState {
    if age_ms > STALLED_AFTER_MS {
        NodeState::Stalled
    } else if snapshot.stop.is_some() {
        NodeState::Stopped
    } else {
        NodeState::Running
    }
}

fn assess(status: &Status) -> Health {
    let reasons = reasons(status);
    let state = match status.state {
        _ if !reasons.is_empty() => HealthState::Degraded,
        NodeState::Starting => HealthState::Starting,
        _ => HealthState::Healthy,
    };
    Health {
        status: state,
        reasons,
        version: status.node.version.clone(),
        uptime_ms: status.uptime_ms,
        tick: status.tick,
    }
}

fn reasons(status: &Status) -> Vec<String> {
    let is_late = status.state == NodeState::Starting && status.uptime_ms > FIRST_SNAPSHOT_WITHIN_MS;
    let found = [
        (status.stop.is_some(), "the stop is latched"),
        (status.journal.failure.is_some(), "the journal cannot commit"),
        (matches!(status.link, LinkState::Failed { .. }), "the link to the mesh failed"),
        (status.state == NodeState::Stalled, "the tick stands still"),
        (is_late, "the tick has not begun"),
        (status.clock.is_unknown, "the time is not known"),
    ];
    found.into_iter().filter(|(holds, _)| *holds).map(|(_, reason)| reason.to_owned()).collect()
}
