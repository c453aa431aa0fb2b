//! Reading the world: rows of the newest snapshot, with the age of that snapshot.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use clawmesh_authority::{NodeId, Tier};
use clawmesh_core::guests::{ContextFrame, GuestProfile, GuestRow, GuestState, Told};
use clawmesh_core::publish::{ActuatorView, BeliefView, NodeView, PeerView, ProposalView, SensorView};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::answer::Fault;
use crate::feed::Published;
use crate::router::Shared;
use crate::upgrade::{DialledView, KnockView, NearbyView};

/// The most bytes of what existing nodes told in one answer, about.
const TOLD_BYTES_MAX: usize = 768 * 1_024;

/// What `/api/peers` answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Peers {
    /// The tick of the snapshot.
    pub tick: u64,
    /// Wall time at that tick, Unix milliseconds.
    pub wall_ms: u64,
    /// Milliseconds since that tick was shown; all ages below are as of then.
    pub snapshot_age_ms: u64,
    /// Other nodes, by id.
    pub peers: Vec<PeerView>,
    /// Existing ClawMesh nodes that are connected, or were in this run, by id.
    pub guests: Vec<GuestView>,
    /// Existing ClawMesh nodes that this one dials, by id.
    pub dialled: Vec<DialledView>,
    /// Existing ClawMesh nodes that were found in the local network, by id.
    pub nearby: Vec<NearbyView>,
    /// Who wanted to connect as an existing ClawMesh node and was refused, by the id they claimed.
    #[serde(default)]
    pub knocks: Vec<KnockView>,
}

/// An existing ClawMesh node that is connected, or was in this run. Only its id is proven; what its profile has it says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestView {
    /// Its id.
    pub id: NodeId,
    /// What it says of itself.
    #[serde(flatten)]
    pub profile: GuestProfile,
    /// How it stands.
    pub state: GuestState,
    /// True while it has a connection.
    pub is_connected: bool,
    /// When it was last known to be there, Unix milliseconds.
    pub heard_ms: u64,
}

impl GuestView {
    fn of(row: &GuestRow) -> Self {
        let GuestRow { id, profile, state, is_connected, heard_ms } = row.clone();
        Self { id, profile, state, is_connected, heard_ms }
    }
}

/// What `/api/peers/{id}` answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PeerDetail {
    /// Milliseconds since the tick of the snapshot was shown; all ages below are as of then.
    pub snapshot_age_ms: u64,
    /// The peer.
    pub peer: PeerView,
    /// Its sensors.
    pub sensors: Vec<SensorView>,
}

/// What `/api/world` answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct World {
    /// The tick of the snapshot.
    pub tick: u64,
    /// Wall time at that tick, Unix milliseconds.
    pub wall_ms: u64,
    /// Milliseconds since that tick was shown; all ages below are as of then.
    pub snapshot_age_ms: u64,
    /// Sensors, by node and capability.
    pub sensors: Vec<SensorView>,
    /// Actuators of this node, by capability.
    pub actuators: Vec<ActuatorView>,
    /// Beliefs, by key.
    pub beliefs: Vec<BeliefView>,
    /// What existing ClawMesh nodes told last about each thing, oldest first. Nobody has signed it, and nothing rests on it.
    pub told: Vec<ToldView>,
    /// Rows that `limit` left off.
    pub left_off: usize,
}

/// What an existing ClawMesh node told last about one thing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToldView {
    /// The id of who made it, as it says itself.
    pub source: String,
    /// What the source is called, as it says itself.
    pub source_name: Option<String>,
    /// The node that has told us.
    pub from: NodeId,
    /// What is told, for example `observation`.
    pub kind: String,
    /// Where in the field.
    pub zone: Option<String>,
    /// What was measured.
    pub metric: Option<String>,
    /// Everything it holds.
    pub data: Value,
    /// Words for people.
    pub note: Option<String>,
    /// What it is shown for.
    pub tier: Tier,
    /// When it was made, as far as that can be believed, Unix milliseconds.
    pub made_ms: u64,
    /// Milliseconds since then.
    pub age_ms: u64,
    /// `fresh`, `aging`, `stale` or `expired`, for something that is told every 30 s.
    pub freshness: String,
}

impl ToldView {
    fn of(told: &Told, wall_ms: u64) -> Self {
        let frame = &told.frame;
        Self {
            source: frame.source_device_id.clone(),
            source_name: frame.source_display_name.clone(),
            from: told.from,
            kind: frame.kind.as_str().to_owned(),
            zone: frame.zone.clone(),
            metric: frame.metric.clone(),
            data: serde_json::from_str(frame.data.get()).unwrap_or_default(),
            note: frame.note.clone(),
            tier: frame.shown_tier(),
            made_ms: told.made_ms(),
            age_ms: wall_ms.saturating_sub(told.made_ms()),
            freshness: told.freshness(wall_ms).as_str().to_owned(),
        }
    }
}

/// What `/api/proposals` answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proposals {
    /// Milliseconds since the tick of the snapshot was shown; all ages below are as of then.
    pub snapshot_age_ms: u64,
    /// Those whose home is this node and copies of others, by home and place.
    pub proposals: Vec<ProposalView>,
}

/// The query of `/api/world`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WorldQuery {
    /// The most rows of each sort.
    limit: Option<usize>,
    /// Only sensors with this flag.
    flag: Option<String>,
    /// Only what has this in its name.
    containing: Option<String>,
    /// Only what is told in this way; what our own nodes measure and note is `observation`.
    kind: Option<String>,
    /// Only what the node says whose id begins so.
    source: Option<String>,
}

/// How our own nodes tell what they measure and note.
const OBSERVATION: &str = "observation";

impl WorldQuery {
    /// Whether a row is wanted that has this name.
    fn names(&self, name: &str) -> bool {
        self.containing.as_ref().is_none_or(|part| name.contains(part))
    }

    /// Whether a row is wanted that is told in this way by this node.
    fn told(&self, kind: &str, source: &str) -> bool {
        self.kind.as_ref().is_none_or(|wanted| wanted == kind)
            && self.source.as_ref().is_none_or(|begins| source.starts_with(begins))
    }

    fn observed(&self, name: &str, source: &NodeId) -> bool {
        self.names(name) && self.told(OBSERVATION, &source.to_string())
    }

    fn takes(&self, frame: &ContextFrame) -> bool {
        let named = [frame.zone.as_deref(), frame.metric.as_deref(), Some(frame.data.get())];
        self.told(frame.kind.as_str(), &frame.source_device_id)
            && (self.containing.is_none() || named.into_iter().flatten().any(|name| self.names(name)))
    }
}

pub(crate) async fn identity(State(shared): State<Arc<Shared>>) -> Json<NodeView> {
    let newest = shared.ports.snapshots.newest();
    Json(newest.map_or_else(|| shared.node.clone(), |newest| newest.snapshot.node.clone()))
}

pub(crate) async fn peers(State(shared): State<Arc<Shared>>) -> Result<Json<Peers>, Fault> {
    let newest = newest(&shared)?;
    let links = shared.links_view();
    Ok(Json(Peers {
        tick: newest.snapshot.tick,
        wall_ms: newest.snapshot.wall_ms,
        snapshot_age_ms: newest.age_ms(),
        peers: newest.snapshot.peers.clone(),
        guests: newest.snapshot.guests.guests().iter().map(GuestView::of).collect(),
        dialled: links.dialled,
        nearby: links.nearby,
        knocks: links.knocks,
    }))
}

pub(crate) async fn peer(
    State(shared): State<Arc<Shared>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<PeerDetail>, Fault> {
    let Path(id) = id.map_err(|rejection| Fault::invalid(rejection.body_text()))?;
    let newest = newest(&shared)?;
    let peer = find_peer(&newest.snapshot.peers, &id)?.clone();
    let sensors = newest.snapshot.sensors.iter().filter(|sensor| sensor.node == peer.id).cloned().collect();
    Ok(Json(PeerDetail { snapshot_age_ms: newest.age_ms(), peer, sensors }))
}

pub(crate) async fn world(
    State(shared): State<Arc<Shared>>,
    query: Result<Query<WorldQuery>, QueryRejection>,
) -> Result<Json<World>, Fault> {
    let takes = "`limit`, a whole number, and `flag`, `containing`, `kind` and `source`, words";
    let Query(query) = query.map_err(|rejection| Fault::unclear(takes, &rejection))?;
    let newest = newest(&shared)?;
    let snapshot = &newest.snapshot;
    let has_flag = |sensor: &&SensorView| query.flag.as_ref().is_none_or(|flag| sensor.flags.contains(flag));
    let sensors = snapshot.sensors.iter().filter(has_flag);
    let sensors = sensors.filter(|row| query.observed(&row.sensor, &row.node));
    let actuators = snapshot.actuators.iter();
    let actuators = actuators.filter(|row| query.observed(&row.actuator, &snapshot.node.id));
    let beliefs = snapshot.beliefs.iter().filter(|row| query.observed(&row.key, &row.source));
    let (sensors, sensors_left_off) = at_most(query.limit, sensors);
    let (actuators, actuators_left_off) = at_most(query.limit, actuators);
    let (beliefs, beliefs_left_off) = at_most(query.limit, beliefs);
    let limit = query.limit.unwrap_or(usize::MAX);
    let (told, told_left_off) = snapshot.guests.newest(limit, TOLD_BYTES_MAX, |frame| query.takes(frame));
    Ok(Json(World {
        tick: snapshot.tick,
        wall_ms: snapshot.wall_ms,
        snapshot_age_ms: newest.age_ms(),
        sensors,
        actuators,
        beliefs,
        told: told.into_iter().map(|told| ToldView::of(told, snapshot.wall_ms)).collect(),
        left_off: sensors_left_off + actuators_left_off + beliefs_left_off + told_left_off,
    }))
}

pub(crate) async fn proposals(State(shared): State<Arc<Shared>>) -> Result<Json<Proposals>, Fault> {
    let newest = newest(&shared)?;
    let proposals = newest.snapshot.proposals.clone();
    Ok(Json(Proposals { snapshot_age_ms: newest.age_ms(), proposals }))
}

fn newest(shared: &Shared) -> Result<Arc<Published>, Fault> {
    shared.ports.snapshots.newest().ok_or_else(Fault::starting)
}

fn at_most<'a, T: Clone + 'a>(
    limit: Option<usize>,
    mut rows: impl Iterator<Item = &'a T>,
) -> (Vec<T>, usize) {
    let kept = rows.by_ref().take(limit.unwrap_or(usize::MAX)).cloned().collect();
    (kept, rows.count())
}

/// The one peer whose id begins with `prefix`.
fn find_peer<'a>(peers: &'a [PeerView], prefix: &str) -> Result<&'a PeerView, Fault> {
    let wanted = prefix.to_ascii_lowercase();
    let found: Vec<&PeerView> =
        peers.iter().filter(|peer| peer.id.to_string().starts_with(&wanted)).collect();
    let shown: String = prefix.chars().take(64).collect();
    match found.as_slice() {
        [peer] => Ok(peer),
        [] => {
            let sentence = format!("no peer has an id that begins with {shown:?}; /api/peers lists them");
            Err(Fault::new(StatusCode::NOT_FOUND, "UNKNOWN_PEER", sentence))
        }
        several => {
            let sentence =
                format!("{} peers have ids that begin with {shown:?}; give more of it", several.len());
            Err(Fault::new(StatusCode::CONFLICT, "AMBIGUOUS_PEER", sentence))
        }
    }
}
