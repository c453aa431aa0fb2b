//! Reading the world: rows of the newest snapshot, with the age of that snapshot.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use clawmesh_authority::NodeId;
use clawmesh_core::guests::{GuestProfile, GuestRow};
use clawmesh_core::publish::{ActuatorView, BeliefView, NodeView, PeerView, ProposalView, SensorView};
use serde::{Deserialize, Serialize};

use crate::answer::Fault;
use crate::feed::Published;
use crate::router::Shared;
use crate::upgrade::{DialledView, KnockView, NearbyView};

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
    /// Existing ClawMesh nodes that are connected, by id.
    pub guests: Vec<GuestView>,
    /// Existing ClawMesh nodes that this one dials, by id.
    pub dialled: Vec<DialledView>,
    /// Existing ClawMesh nodes that were found in the local network, by id.
    pub nearby: Vec<NearbyView>,
    /// Who wanted to connect as an existing ClawMesh node and was refused, by the id they claimed.
    #[serde(default)]
    pub knocks: Vec<KnockView>,
}

/// An existing ClawMesh node that is connected. Only its id is proven; the rest it says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestView {
    /// Its id.
    pub id: NodeId,
    /// What it says of itself.
    #[serde(flatten)]
    pub profile: GuestProfile,
}

impl GuestView {
    fn of(row: &GuestRow) -> Self {
        Self { id: row.id, profile: row.profile.clone() }
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
    /// Rows that `limit` left off.
    pub left_off: usize,
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
    /// The most sensors and the most beliefs.
    limit: Option<usize>,
    /// Only sensors with this flag.
    flag: Option<String>,
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
    let Query(query) = query.map_err(|rejection| unclear(&rejection))?;
    let newest = newest(&shared)?;
    let has_flag = |sensor: &&SensorView| query.flag.as_ref().is_none_or(|flag| sensor.flags.contains(flag));
    let wanted = newest.snapshot.sensors.iter().filter(has_flag);
    let (sensors, sensors_left_off) = at_most(query.limit, wanted);
    let (beliefs, beliefs_left_off) = at_most(query.limit, newest.snapshot.beliefs.iter());
    Ok(Json(World {
        tick: newest.snapshot.tick,
        wall_ms: newest.snapshot.wall_ms,
        snapshot_age_ms: newest.age_ms(),
        sensors,
        actuators: newest.snapshot.actuators.clone(),
        beliefs,
        left_off: sensors_left_off + beliefs_left_off,
    }))
}

pub(crate) async fn proposals(State(shared): State<Arc<Shared>>) -> Result<Json<Proposals>, Fault> {
    let newest = newest(&shared)?;
    let proposals = newest.snapshot.proposals.clone();
    Ok(Json(Proposals { snapshot_age_ms: newest.age_ms(), proposals }))
}

fn unclear(rejection: &QueryRejection) -> Fault {
    let text = rejection.body_text();
    let fault = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
    Fault::invalid(format!("the query takes `limit`, a whole number, and `flag`, a word: {fault}"))
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
