//! The stop: this node at once and outside the tick, then every node we trust, and who has confirmed it.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use clawmesh_authority::NodeId;
use clawmesh_authority::proposal::REASON_BYTES_MAX;
use clawmesh_core::safety::{Latched, StopReport};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::router::Shared;

/// How long our own actuators may take to be shown safe.
const SAFE_WITHIN: Duration = Duration::from_secs(2);
/// How often that is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The reason of a stop that came without one that could be read. A stop is never refused for its words.
const NO_REASON: &str = "somebody stopped and gave no reason";

/// What `/api/stop` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopAnswer {
    /// The reason that counts here: the first one since somebody re-armed.
    pub reason: String,
    /// This node, then every node that is trusted here, by id.
    pub nodes: Vec<StoppedNode>,
}

/// A node that was told to stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoppedNode {
    /// Its id.
    pub id: NodeId,
    /// The name it gives itself, once it has described itself.
    pub name: Option<String>,
    /// True for the node that answers.
    pub is_own: bool,
    /// True when it has said that its stop is latched.
    pub stopped: bool,
    /// Its actuators that are shown to be in their safe state since then.
    pub safe: Vec<String>,
    /// Its actuators that are not.
    pub not_safe: Vec<String>,
    /// Why it has not confirmed, or not all of it.
    pub sentence: Option<String>,
}

#[derive(Deserialize)]
struct Stop {
    why: String,
}

pub(crate) async fn stop(
    State(shared): State<Arc<Shared>>,
    body: Result<Bytes, BytesRejection>,
) -> Json<StopAnswer> {
    let why = reason_in(body.ok().as_deref());
    let latched = latch(&shared, &why);
    // In a task of its own: whoever stops and hangs up has still told everybody.
    let told = tokio::spawn(tell_everybody(Arc::clone(&shared), why, latched.clone()));
    let nodes = told.await.unwrap_or_else(|fault| {
        let sentence =
            format!("the others may not have been told ({fault}); stop them at their own consoles");
        vec![own(&shared, StopReport::of(None, 0).with(Some(sentence)))]
    });
    Json(StopAnswer { reason: latched.reason, nodes })
}

/// Latches the stop of this node, outside the tick, which hears of it from the latch.
pub(crate) fn latch(shared: &Shared, why: &str) -> Latched {
    let latched = shared.ports.stop.latch(why);
    tracing::warn!("stopped at the gateway: {why}");
    latched
}

async fn tell_everybody(shared: Arc<Shared>, why: String, latched: Latched) -> Vec<StoppedNode> {
    let others = tokio::spawn(shared.ports.neighbours.stop_all(&why));
    let report = settle(&shared, &latched).await;
    let mut nodes = vec![own(&shared, report)];
    // The task is ours and holds nothing that panics; without its answer nobody has confirmed.
    for (id, outcome) in others.await.unwrap_or_default() {
        nodes.push(other(&shared, id, outcome));
    }
    nodes
}

/// Looks until every actuator is shown to be safe, or the patience is over.
async fn settle(shared: &Shared, latched: &Latched) -> StopReport {
    let at = Instant::now();
    loop {
        let since_ms = u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX);
        let report = StopReport::of(shared.ports.snapshots.standing(), since_ms);
        if report.is_complete() || at.elapsed() >= SAFE_WITHIN {
            return report.with(latched.unkept.clone());
        }
        sleep(LOOK_EVERY).await;
    }
}

fn own(shared: &Shared, report: StopReport) -> StoppedNode {
    let StopReport { safe, not_safe, sentence } = report;
    let (id, name) = (shared.node.id, Some(shared.node.name.clone()));
    StoppedNode { id, name, is_own: true, stopped: true, safe, not_safe, sentence }
}

fn other(shared: &Shared, id: NodeId, outcome: Result<StopReport, String>) -> StoppedNode {
    let newest = shared.ports.snapshots.newest();
    let peer = newest.as_ref().and_then(|newest| newest.snapshot.peers.iter().find(|peer| peer.id == id));
    let name = peer.and_then(|peer| peer.name.clone());
    let stopped = outcome.is_ok();
    let StopReport { safe, not_safe, sentence } =
        outcome.unwrap_or_else(|why| StopReport { sentence: Some(why), ..StopReport::default() });
    StoppedNode { id, name, is_own: false, stopped, safe, not_safe, sentence }
}

fn reason_in(body: Option<&[u8]>) -> String {
    let stop = body.and_then(|body| serde_json::from_slice::<Stop>(body).ok());
    let mut why = stop.map(|stop| stop.why).unwrap_or_default();
    why.truncate(why.floor_char_boundary(REASON_BYTES_MAX));
    if why.trim().is_empty() { NO_REASON.to_owned() } else { why }
}
