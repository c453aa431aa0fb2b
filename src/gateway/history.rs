//! What has happened to this node lately, and what followed from what, by the memory of whoever keeps it.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use clawmesh_authority::NodeId;
use clawmesh_core::mesh::Asking;
use serde::{Deserialize, Serialize};

use crate::answer::Fault;
use crate::router::Shared;

/// The most events or chains of one answer.
pub const LIMIT_MAX: usize = 500;
/// How many events an answer has when nobody says how many.
const EVENTS_DEFAULT: usize = 50;
/// How many chains an answer has when nobody says how many.
const CHAINS_DEFAULT: usize = 20;

/// Who remembers what has happened. Nothing of it outlives the process.
pub trait History: Send + Sync {
    /// The newest events that are wanted.
    ///
    /// # Errors
    /// When nothing is remembered yet, or nobody knows such events.
    fn events(&self, wanted: &WantedEvents) -> Result<Events, NoHistory>;

    /// The newest chains that are wanted.
    fn chains(&self, wanted: WantedChains) -> Asking<Result<Chains, NoHistory>>;
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoHistory {
    /// Nothing is remembered yet.
    Starting,
    /// What is wanted makes no sense; one sentence.
    Unclear(String),
}

/// Which events are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedEvents {
    /// The most of them.
    pub limit: usize,
    /// Only of this kind.
    pub kind: Option<String>,
    /// Only of the last so many milliseconds.
    pub within_ms: Option<u64>,
}

/// Which chains are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedChains {
    /// The most of them.
    pub limit: usize,
    /// Of the frame or the proposal of this id, or whose id begins so.
    pub id: Option<String>,
    /// Only those that have come to this stage.
    pub stage: Option<String>,
    /// Only those of proposals.
    pub is_proposal: bool,
}

/// What `/api/system-events` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Events {
    /// Now, Unix milliseconds by the clock of the node.
    pub now_ms: u64,
    /// How many events are remembered.
    pub total: usize,
    /// How many more fit than were asked for.
    pub left_off: usize,
    /// The newest that fit, oldest first.
    pub events: Vec<EventView>,
}

/// One thing that has happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventView {
    /// What, for example `peer.connect`.
    pub kind: String,
    /// When, Unix milliseconds by the clock of the node.
    pub at_ms: u64,
    /// One sentence.
    pub sentence: String,
    /// The node it is about.
    pub node: Option<NodeId>,
    /// The proposal it is about.
    pub proposal: Option<String>,
}

/// What `/api/trace` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chains {
    /// Now, Unix milliseconds by the clock of the node.
    pub now_ms: u64,
    /// How many chains fit.
    pub total: usize,
    /// The newest of them, newest first.
    pub chains: Vec<ChainView>,
}

/// What followed from one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainView {
    /// The frame, or the proposal.
    pub id: String,
    /// True for a proposal.
    pub is_proposal: bool,
    /// What happened, oldest first.
    pub steps: Vec<StepView>,
}

/// One step of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepView {
    /// What happened, as one word.
    pub stage: String,
    /// When, Unix milliseconds.
    pub at_ms: u64,
    /// Where; of a frame only what it says itself.
    pub node: String,
    /// What happened, for people.
    pub sentence: String,
}

/// The query of `/api/system-events`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventsQuery {
    limit: Option<usize>,
    kind: Option<String>,
    within_ms: Option<u64>,
}

/// The query of `/api/trace`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TraceQuery {
    limit: Option<usize>,
    id: Option<String>,
    stage: Option<String>,
    proposals: Option<bool>,
}

pub(crate) async fn events(
    State(shared): State<Arc<Shared>>,
    query: Result<Query<EventsQuery>, QueryRejection>,
) -> Result<Json<Events>, Fault> {
    let takes = "`limit`, a whole number, `kind`, a word, and `within_ms`, milliseconds";
    let Query(query) = query.map_err(|rejection| Fault::unclear(takes, &rejection))?;
    let limit = limited(query.limit, EVENTS_DEFAULT)?;
    let wanted = WantedEvents { limit, kind: query.kind, within_ms: query.within_ms };
    shared.ports.history.events(&wanted).map(Json).map_err(fault)
}

pub(crate) async fn trace(
    State(shared): State<Arc<Shared>>,
    query: Result<Query<TraceQuery>, QueryRejection>,
) -> Result<Json<Chains>, Fault> {
    let takes = "`limit`, a whole number, `id` and `stage`, words, and `proposals`, true or false";
    let Query(query) = query.map_err(|rejection| Fault::unclear(takes, &rejection))?;
    let limit = limited(query.limit, CHAINS_DEFAULT)?;
    let is_proposal = query.proposals.unwrap_or(false);
    let id = query.id.filter(|id| !id.is_empty());
    let unknown = id.as_deref().map(|id| unknown(id, is_proposal));
    let wanted = WantedChains { limit, id, stage: query.stage, is_proposal };
    let found = shared.ports.history.chains(wanted).await.map_err(fault)?;
    match unknown {
        Some(unknown) if found.total == 0 => Err(unknown),
        _ => Ok(Json(found)),
    }
}

fn unknown(id: &str, is_proposal: bool) -> Fault {
    let what = if is_proposal { "no proposal" } else { "no frame and no proposal" };
    let shown: String = id.chars().take(128).collect();
    let sentence = format!(
        "{what} is known as {shown:?}; /api/trace without `id` lists the newest, and a beginning of an id has 8 characters or more"
    );
    Fault::new(StatusCode::NOT_FOUND, "NOT_FOUND", sentence)
}

fn limited(limit: Option<usize>, usual: usize) -> Result<usize, Fault> {
    let limit = limit.unwrap_or(usual);
    if (1..=LIMIT_MAX).contains(&limit) {
        return Ok(limit);
    }
    Err(Fault::invalid(format!("`limit` is {limit}, it must be 1 to {LIMIT_MAX}")))
}

fn fault(none: NoHistory) -> Fault {
    match none {
        NoHistory::Starting => Fault::starting(),
        NoHistory::Unclear(sentence) => Fault::invalid(sentence),
    }
}
