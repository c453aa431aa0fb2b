//! A node whose clock nothing keeps asks those it trusts what time it is.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use clawmesh_authority::envelope::unproven;
use clawmesh_authority::hlc::OWN_CLOCK;
use clawmesh_authority::time::{self, TIME_BYTES_MAX, TimeQuestion};
use clawmesh_authority::{Code, KeyId as _, NodeId, Refusal, signed};
use clawmesh_core::clock::agreement::{Heard, ROUND_MS_MAX, Wanted, choose};
use clawmesh_core::clock::{Round, Timekeeper};
use tokio::sync::watch;
use tokio::task::JoinSet;
use zenoh::Session;
use zenoh::qos::{CongestionControl, Priority};
use zenoh::query::{ConsolidationMode, QueryTarget};

use crate::backoff::Backoff;
use crate::config::Part;
use crate::edge::Edge;
use crate::keys;
use crate::replies::refusal_text;

const ASK_FIRST: Duration = Duration::from_secs(2);
const ASK_LONGEST: Duration = Duration::from_secs(30);
/// How often it is asked again once there is an agreement.
const ASK_AGAIN: Duration = Duration::from_mins(5);
/// Who is there may change at anybody's wish, so it is not asked more often than this.
const ASK_AT_MOST: Duration = Duration::from_secs(1);
/// The most nodes that are asked in one round; those that are there come first. Each costs a signature.
const NODES_MAX: usize = 64;
/// So long after the bridge began it is seen who is there.
const SETTLED_AFTER_NS: u64 = 10_000_000_000;
/// The most different answers to one question whose signature is looked at: anybody may pose as the node asked, and whoever is
/// the first to do so is not to keep it from being heard.
const LOOKS_MAX: usize = 64;

/// What one node says.
enum Said {
    Time(Heard),
    CannotSay,
    Refused(Code),
    Nothing,
}

/// Asks over this session, until it is aborted; sooner when other trusted nodes have come.
pub async fn seek_time(edge: Arc<Edge>, session: Session, mut friends: watch::Receiver<BTreeSet<NodeId>>) {
    let Some(keeper) = edge.keeper.clone() else { return };
    let mut backoff = Backoff::new(ASK_FIRST, ASK_LONGEST);
    // Once the machine's own clock is believed, nobody is asked any more.
    while !keeper.is_kept() {
        let there = friends.borrow_and_update().clone();
        ask_all(&edge, &session, &keeper, &there).await;
        if keeper.is_agreed() {
            backoff.reset();
            tokio::time::sleep(ASK_AGAIN).await;
            continue;
        }
        tokio::time::sleep(ASK_AT_MOST).await;
        // However it ends, it is time to ask again.
        let _ = tokio::time::timeout(backoff.wait(), friends.changed()).await;
    }
}

async fn ask_all(
    edge: &Arc<Edge>,
    session: &Session,
    keeper: &Arc<dyn Timekeeper>,
    there: &BTreeSet<NodeId>,
) {
    let speaks = |node: &NodeId| !matches!(edge.trust.part(node), Part::Viewer | Part::Router);
    let mut nodes: Vec<NodeId> = edge.trust.nodes().into_iter().filter(speaks).collect();
    nodes.sort_by_key(|node| !there.contains(node));
    nodes.truncate(NODES_MAX);
    let mut asked = JoinSet::new();
    for node in &nodes {
        let (node, asking) = (*node, ask(Arc::clone(edge), session.clone(), Arc::clone(keeper), *node));
        asked.spawn(async move { (node, asking.await) });
    }
    let (mut heard, mut cannot_say, mut refused) = (Vec::new(), BTreeSet::new(), None);
    while let Some(said) = asked.join_next().await {
        match said {
            Ok((_, Said::Time(said))) => heard.push(said),
            Ok((node, Said::CannotSay)) => drop(cannot_say.insert(node)),
            Ok((_, Said::Refused(code))) => refused = Some(code),
            Ok((_, Said::Nothing)) | Err(_) => {}
        }
    }
    // Whoever was removed in the meantime counts for nothing.
    heard.retain(|heard| edge.trust.has(&heard.node));
    let is_there = |node: &NodeId| there.contains(node) || heard.iter().any(|heard| heard.node == *node);
    let could_say: Vec<&NodeId> = nodes.iter().filter(|node| !cannot_say.contains(node)).collect();
    let there_now = could_say.iter().filter(|node| is_there(node)).count();
    let is_settled = edge.now_ns() >= SETTLED_AFTER_NS;
    let (nodes_min, voters) = Wanted::quorum(could_say.len(), there_now, keeper.nodes_min(), is_settled);
    let wanted = Wanted { nodes_min, voters, not_before_ms: keeper.not_before_ms(), up_ms: keeper.up_ms() };
    let round = Round {
        asked: nodes.len(),
        there: nodes.iter().filter(|node| there.contains(node)).count(),
        answered: heard.len(),
        cannot_say: cannot_say.len(),
        refused,
    };
    if let Some(sentence) = keeper.heard(choose(&heard, wanted), round) {
        edge.refuse(Refusal::new(Code::ClockUntrusted, OWN_CLOCK, sentence));
    }
}

async fn ask(edge: Arc<Edge>, session: Session, keeper: Arc<dyn Timekeeper>, node: NodeId) -> Said {
    let Some(nonce) = keeper.nonce() else { return Said::Nothing };
    let (epoch, count) = (edge.epoch, edge.next_time_question());
    let question = TimeQuestion { mesh: edge.mesh, to: node, nonce, epoch, count };
    let sealed = edge.seal_time_question(&question);
    let asked_up_ms = keeper.up_ms();
    let query = session.get(keys::clock(edge.mesh, node)).payload(sealed);
    let query = query.target(QueryTarget::All).consolidation(ConsolidationMode::None);
    let query = query.timeout(Duration::from_millis(ROUND_MS_MAX));
    // As in `asks`: it never blocks.
    let query = query.congestion_control(CongestionControl::Drop).priority(Priority::InteractiveLow);
    let Ok(replies) = query.await else { return Said::Nothing };
    let (mut looked_at, mut refused) = (BTreeSet::new(), Said::Nothing);
    while let Ok(reply) = replies.recv_async().await {
        let got_up_ms = keeper.up_ms();
        // What is no answer is a refusal, zenoh's own word that time ran out, or anybody's: it ends nothing.
        let sample = match reply.into_result() {
            Ok(sample) => sample,
            Err(fault) => {
                let text = refusal_text(&fault.payload().to_bytes());
                refused = text.and_then(|text| text.known_code()).map_or(refused, Said::Refused);
                continue;
            }
        };
        if sample.payload().len() > TIME_BYTES_MAX {
            continue;
        }
        let bytes = sample.payload().to_bytes();
        if signed::claimed_key(&bytes).map(NodeId::of_public_key) != Some(node) {
            edge.refuse(posing(node));
            continue;
        }
        if looked_at.len() == LOOKS_MAX {
            break;
        }
        if !looked_at.insert(bytes.to_vec()) {
            continue;
        }
        match time::open_answer(&bytes, &question, edge.own) {
            Ok(Some(unix_ms)) => {
                return Heard::of(node, unix_ms, asked_up_ms, got_up_ms).map_or(Said::Nothing, Said::Time);
            }
            Ok(None) => return Said::CannotSay,
            Err(refused) => edge.refuse(refused.given_to(unproven(node))),
        }
    }
    refused
}

fn posing(node: NodeId) -> Refusal {
    let sentence = "somebody else than the node that was asked says what time it is; look who answers there";
    Refusal::new(Code::SourceMismatch, unproven(node), sentence)
}
