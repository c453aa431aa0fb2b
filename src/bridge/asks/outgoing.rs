//! What this node brings to others: signed requests and approvals to their owners, and the stop to everybody it trusts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clawmesh_authority::answer::{self, name_of_asked};
use clawmesh_authority::envelope::unproven;
use clawmesh_authority::{Answer, AskKind, Capability, Code, Hlc, NodeId, Refused, Request, RequestBody};
use clawmesh_core::mesh::{Asking, Neighbours};
use clawmesh_core::safety::StopReport;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use zenoh::Session;
use zenoh::qos::{CongestionControl, Priority};
use zenoh::query::{ConsolidationMode, QueryTarget};

use super::payload;
use crate::edge::{Edge, lock};
use crate::keys;

/// How long an owner may take; it gives its own tick ten seconds.
const ASK_PATIENCE: Duration = Duration::from_secs(12);
/// How long a node may take to confirm a stop.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// The mesh as this node asks it. Clones ask the same.
#[derive(Clone)]
pub struct Mesh(Arc<Asker>);

struct Asker {
    edge: Arc<Edge>,
    session: Mutex<Option<Session>>,
    places: Semaphore,
}

impl Mesh {
    /// Not on the mesh yet.
    pub fn new(edge: Arc<Edge>) -> Self {
        let places = Semaphore::new(edge.limits.asks_in_flight_max);
        Self(Arc::new(Asker { edge, session: Mutex::new(None), places }))
    }

    /// From now on it is asked over this session, or nobody is.
    pub fn use_session(&self, session: Option<Session>) {
        *lock(&self.0.session) = session;
    }

    /// True while there is a session.
    pub fn is_open(&self) -> bool {
        lock(&self.0.session).is_some()
    }
}

impl Neighbours for Mesh {
    fn ask(&self, owner: NodeId, kind: AskKind, bytes: Vec<u8>) -> Asking<Answer> {
        let asker = Arc::clone(&self.0);
        Box::pin(async move {
            let Ok(_place) = asker.places.try_acquire() else {
                return mesh_refuses(
                    "too many questions of this node wait for others; ask again in a moment",
                );
            };
            asker.ask(owner, kind, &bytes, ASK_PATIENCE).await
        })
    }

    fn evidence(&self, sensor: &Capability) -> Vec<(NodeId, Arc<[u8]>)> {
        let edge = &self.0.edge;
        let is_believed = |node: &NodeId| *node == edge.own || edge.trust.has(node);
        edge.evidence.of(sensor).into_iter().filter(|(node, _)| is_believed(node)).collect()
    }

    fn stop_all(&self, why: &str) -> Asking<Vec<(NodeId, Result<StopReport, String>)>> {
        let (asker, why) = (Arc::clone(&self.0), why.to_owned());
        Box::pin(async move {
            let mut asked = JoinSet::new();
            let mut nodes = BTreeMap::new();
            for node in asker.edge.trust.nodes() {
                let (asker, why) = (Arc::clone(&asker), why.clone());
                nodes.insert(
                    node,
                    Err("nobody knows whether it was asked; stop it at its own console".to_owned()),
                );
                asked.spawn(async move { (node, asker.stop(node, why).await) });
            }
            while let Some(answered) = asked.join_next().await {
                nodes.extend(answered);
            }
            nodes.into_iter().collect()
        })
    }
}

impl Asker {
    async fn stop(&self, owner: NodeId, why: String) -> Result<StopReport, String> {
        let made = Hlc { wall_ms: self.edge.wall_ms(), logical: 0 };
        let request = Request { mesh: self.edge.mesh, owner, body: RequestBody::Stop { why }, made };
        let bytes = self.edge.seal_request(&request);
        match self.ask(owner, AskKind::Request, &bytes, STOP_PATIENCE).await {
            // A later version may say it in other words.
            Answer::Taken { words, .. } => Ok(StopReport::from_text(&words)
                .unwrap_or_else(|| StopReport { sentence: Some(words), ..StopReport::default() })),
            Answer::Refused { sentence, .. } => Err(sentence),
        }
    }

    /// Hands answers to the judgement until one is the owner's: more than one queryable may pretend to be it.
    async fn ask(&self, owner: NodeId, kind: AskKind, bytes: &[u8], patience: Duration) -> Answer {
        let Some(session) = lock(&self.session).clone() else {
            return mesh_refuses("this node is not on the mesh yet; see `link` in its status, and ask again");
        };
        let to = name_of_asked(bytes);
        let query = session.get(keys::ask(self.edge.mesh, owner)).payload(payload::write(kind, bytes));
        let query = query.target(QueryTarget::All).consolidation(ConsolidationMode::None).timeout(patience);
        // As in `courier`: never blocks. Before frames and readings, and with room for the largest request.
        let query = query.congestion_control(CongestionControl::Drop).priority(Priority::InteractiveLow);
        let Ok(replies) = query.await else { return silent(owner) };
        while let Ok(reply) = replies.recv_async().await {
            // What is no answer is zenoh's own word that time ran out, or anybody's.
            let Ok(sample) = reply.into_result() else { continue };
            match answer::open(&sample.payload().to_bytes(), owner, to) {
                Ok(answer) => return answer,
                Err(refused) => self.edge.refuse(refused.given_to(unproven(owner))),
            }
        }
        silent(owner)
    }
}

fn silent(owner: NodeId) -> Answer {
    mesh_refuses(&format!(
        "node {owner} does not answer, and what was asked may or may not have reached it; see with `clawmesh peers` \
         whether it is there, and look at its proposals before asking again"
    ))
}

fn mesh_refuses(sentence: &str) -> Answer {
    Refused::new(Code::Busy, "mesh", sentence).into()
}
