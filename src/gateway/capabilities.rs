//! Who can do what, as this node knows it.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use clawmesh_authority::NodeId;
use serde::{Deserialize, Serialize};

use crate::answer::Fault;
use crate::router::Shared;

/// The longest pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 128;
/// What asks for everything.
const EVERYTHING: &str = "*";
/// The most rows of one answer.
const ROWS_MAX: usize = 1_000;

/// Who knows what all nodes can do.
pub trait Abilities: Send + Sync {
    /// Who can do what `pattern` asks for, the best first and at most `rows_max`, and how many more there are; nothing before
    /// anything is known.
    fn who_can(&self, pattern: &str, rows_max: usize) -> Option<(Vec<AbilityView>, usize)>;
}

/// Something that a node can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbilityView {
    /// What: `kind:name`, or more parts.
    pub capability: String,
    /// Which node.
    pub node: NodeId,
    /// What it is called, if it says.
    pub name: Option<String>,
    /// `here`, `alive` or `suspect`.
    pub reach: String,
    /// `healthy`, `degraded`, `unknown` or `unhealthy`.
    pub health: String,
    /// The score: 10, 5, 3 or 0 by its health, and 5 more for the exact text.
    pub points: u32,
    /// How long a ping takes there and back, milliseconds; nothing when nobody has measured it.
    pub round_trip_ms: Option<u64>,
    /// Calls of this node that wait there.
    pub waiting_calls: usize,
    /// Whether it answers calls on the connection with it; nothing when none was made.
    pub takes_calls: Option<bool>,
}

/// What `/api/capabilities` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// What was asked for.
    pub pattern: String,
    /// Who can do it, the best first.
    pub capabilities: Vec<AbilityView>,
    /// How many more there are.
    pub left_off: usize,
}

/// The query of `/api/capabilities`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CapabilitiesQuery {
    pattern: Option<String>,
}

pub(crate) async fn capabilities(
    State(shared): State<Arc<Shared>>,
    query: Result<Query<CapabilitiesQuery>, QueryRejection>,
) -> Result<Json<Capabilities>, Fault> {
    let Query(query) = query.map_err(|rejection| Fault::unclear("`pattern`, a text", &rejection))?;
    let pattern = query.pattern.unwrap_or_else(|| EVERYTHING.to_owned());
    if pattern.is_empty() || pattern.len() > PATTERN_BYTES_MAX {
        let sentence = format!("`pattern` has 1 to {PATTERN_BYTES_MAX} bytes, for example sensor:*");
        return Err(Fault::invalid(sentence));
    }
    let found = shared.ports.abilities.who_can(&pattern, ROWS_MAX);
    let (capabilities, left_off) = found.ok_or_else(Fault::starting)?;
    Ok(Json(Capabilities { pattern, capabilities, left_off }))
}
