//! The state lane out: one courier for each trusted node that is there. It asks what was heard, then brings
//! what was not, in order, one frame at a time, until a signed receipt comes back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use clawmesh_authority::envelope::{self, Receipt, unproven};
use clawmesh_authority::{Body, Code, NodeId, Refusal};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use zenoh::Session;
use zenoh::qos::{CongestionControl, Priority};
use zenoh::query::{ConsolidationMode, QueryTarget};

use crate::backoff::{Backoff, noise};
use crate::edge::Edge;
use crate::keys;
use crate::outbound::Shelf;
use crate::replies::RefusalText;
use crate::retained::SealedFrame;

/// How long an answer may take.
const ANSWER_PATIENCE: Duration = Duration::from_secs(2);
const WAIT_FIRST: Duration = Duration::from_millis(50);
const WAIT_LONGEST: Duration = Duration::from_secs(5);
/// What a person has to repair is not worth asking for more often.
const WAIT_FOR_A_PERSON: Duration = Duration::from_secs(5);
/// Nor is what the peer may never take. It is not given up either: anybody can refuse in its name.
const WAIT_REFUSED_FIRST: Duration = Duration::from_secs(1);
const WAIT_REFUSED_LONGEST: Duration = Duration::from_secs(30);

/// Sends a courier to every friend that comes and calls it back when the friend goes.
pub async fn send_couriers(
    edge: Arc<Edge>,
    session: Session,
    shelf: Arc<Shelf>,
    mut friends: watch::Receiver<BTreeSet<NodeId>>,
) {
    let mut couriers: BTreeMap<NodeId, AbortHandle> = BTreeMap::new();
    // Whoever ends this task calls all of them back.
    let mut tasks = JoinSet::new();
    loop {
        let present = friends.borrow_and_update().clone();
        couriers.retain(|node, courier| {
            let stays = present.contains(node);
            if !stays {
                courier.abort();
            }
            stays
        });
        for node in present {
            couriers.entry(node).or_insert_with(|| {
                tasks.spawn(Courier::new(Arc::clone(&edge), session.clone(), Arc::clone(&shelf), node).run())
            });
        }
        while tasks.try_join_next().is_some() {}
        if friends.changed().await.is_err() {
            return;
        }
    }
}

/// What came of one delivery. Of several answers the first in this order counts: nobody but the peer can make us
/// stop, and nobody can make us wait longer than the friendliest answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// The journal of the peer holds it.
    Held,
    /// Not now: wait a little and try the same again.
    Later,
    /// Not before a person has changed something.
    NeedsAPerson,
    /// Not this one, somebody says who may be the peer: wait longer each time, then ask the peer what it heard.
    Refused,
    /// Nobody knows: ask what was heard, then go on.
    Unknown,
}

struct Courier {
    edge: Arc<Edge>,
    session: Session,
    shelf: Arc<Shelf>,
    peer: NodeId,
    backoff: Backoff,
    refused: Backoff,
    tries: u64,
}

impl Courier {
    fn new(edge: Arc<Edge>, session: Session, shelf: Arc<Shelf>, peer: NodeId) -> Self {
        let backoff = Backoff::new(WAIT_FIRST, WAIT_LONGEST);
        let refused = Backoff::new(WAIT_REFUSED_FIRST, WAIT_REFUSED_LONGEST);
        Self { edge, session, shelf, peer, backoff, refused, tries: 0 }
    }

    async fn run(mut self) {
        loop {
            if let Ok(heard) = self.ask_heard().await {
                self.deliver_after(heard).await;
            }
            self.pause().await;
        }
    }

    /// Delivers everything after `heard` and what is still to come, until nobody knows what the peer has.
    async fn deliver_after(&mut self, heard: Option<u64>) {
        let mut bell = self.shelf.bell();
        let mut done = heard;
        loop {
            bell.borrow_and_update();
            let Some(frame) = self.shelf.after(done) else {
                // The shelf lives as long as we do, so the bell never goes away.
                let _ = bell.changed().await;
                continue;
            };
            match self.deliver(&frame).await {
                Outcome::Held => {
                    done = Some(frame.sequence);
                    self.backoff.reset();
                    self.refused.reset();
                }
                Outcome::Later => self.pause().await,
                Outcome::NeedsAPerson => tokio::time::sleep(WAIT_FOR_A_PERSON).await,
                Outcome::Refused => {
                    tokio::time::sleep(self.refused.wait()).await;
                    return;
                }
                Outcome::Unknown => return,
            }
        }
    }

    async fn deliver(&self, frame: &SealedFrame) -> Outcome {
        let expected = Receipt { source: self.edge.own, epoch: self.edge.epoch, sequence: frame.sequence };
        let mut outcome = Outcome::Unknown;
        let is_held = |answer: Result<&[u8], RefusalText>| match answer.map(|bytes| self.receipt_in(bytes)) {
            Ok(Ok(receipt)) if receipt == expected => Some(Outcome::Held),
            Ok(Ok(_)) => {
                self.count(self.wrong_receipt());
                None
            }
            Ok(Err(refusal)) => {
                self.count(refusal);
                None
            }
            Err(text) => {
                let (says, refusal) = judge(self.peer, &text);
                refusal.into_iter().for_each(|refusal| self.count(refusal));
                outcome = outcome.min(says);
                None
            }
        };
        let key = keys::deliver(self.edge.mesh, self.peer);
        let held = self.ask(key, frame.bytes.to_vec(), is_held).await;
        held.unwrap_or(outcome)
    }

    /// The sequence after which to begin; `Err` when nobody can tell.
    async fn ask_heard(&self) -> Result<Option<u64>, ()> {
        let mut is_nothing_heard = false;
        let heard = |answer: Result<&[u8], RefusalText>| match answer {
            // Only a signature settles it; an empty answer could be anybody's.
            Ok([]) => {
                is_nothing_heard = true;
                None
            }
            Ok(bytes) => self.receipt_in(bytes).map_err(|refusal| self.count(refusal)).ok(),
            Err(_) => None,
        };
        let key = keys::heard(self.edge.mesh, self.peer);
        match self.ask(key, self.edge.own.to_string().into_bytes(), heard).await {
            Some(receipt) => Ok(self.begin_after(&receipt)),
            None if is_nothing_heard => Ok(None),
            None => Err(()),
        }
    }

    fn begin_after(&self, heard: &Receipt) -> Option<u64> {
        let is_of_this_run = heard.source == self.edge.own && heard.epoch == self.edge.epoch;
        is_of_this_run.then_some(heard.sequence)
    }

    /// Hands answers to `settles` until one does. More than one queryable may pretend to be the peer.
    async fn ask<T>(
        &self,
        key: String,
        payload: Vec<u8>,
        mut settles: impl FnMut(Result<&[u8], RefusalText>) -> Option<T>,
    ) -> Option<T> {
        let query = self.session.get(key).payload(payload).target(QueryTarget::All);
        let query = query.consolidation(ConsolidationMode::None).timeout(ANSWER_PATIENCE);
        // Anybody may pose as the peer and not read. A question that blocked for him would hold the routes of the
        // whole session; one that is dropped is asked again. `session` gives this priority room for a whole frame.
        let query = query.congestion_control(CongestionControl::Drop).priority(Priority::DataHigh);
        let replies = query.await.ok()?;
        while let Ok(reply) = replies.recv_async().await {
            let settled = match reply.into_result() {
                Ok(sample) => settles(Ok(&sample.payload().to_bytes())),
                // What is no refusal of ours is zenoh's own word that time ran out.
                Err(error) => refusal_text(&error.payload().to_bytes()).and_then(|text| settles(Err(text))),
            };
            if settled.is_some() {
                return settled;
            }
        }
        None
    }

    fn receipt_in(&self, bytes: &[u8]) -> Result<Receipt, Refusal> {
        let opened = envelope::open(bytes, self.edge.mesh)?;
        match opened.statement.body {
            Body::Receipt(receipt) if opened.source == self.peer => Ok(receipt),
            _ => Err(self.wrong_receipt()),
        }
    }

    fn wrong_receipt(&self) -> Refusal {
        let sentence = format!(
            "an answer in the name of peer {} is no receipt of it for our frame; look who answers there",
            self.peer
        );
        Refusal::new(Code::SourceMismatch, unproven(self.peer), sentence)
    }

    fn count(&self, refusal: Refusal) {
        self.edge.refuse(refusal);
    }

    async fn pause(&mut self) {
        self.tries = self.tries.wrapping_add(1);
        let seed = u64::from_le_bytes(std::array::from_fn(|i| self.edge.own.0[i] ^ self.peer.0[i]));
        let wait = self.backoff.wait_with_jitter(noise(seed ^ self.tries));
        tokio::time::sleep(wait).await;
    }
}

fn refusal_text(bytes: &[u8]) -> Option<RefusalText> {
    serde_json::from_slice(bytes).ok()
}

/// What a refusal of our frame means for it, and what to count. It is not signed, so it settles nothing and
/// proves nothing about the peer.
fn judge(peer: NodeId, text: &RefusalText) -> (Outcome, Option<Refusal>) {
    let Some(code) = Code::ALL.iter().copied().find(|code| code.as_str() == text.code) else {
        return (Outcome::Later, None);
    };
    let outcome = match code {
        Code::Busy | Code::JournalUnavailable | Code::RateLimited => return (Outcome::Later, None),
        Code::UntrustedPeer | Code::ClockUntrusted | Code::MeshIdMismatch => Outcome::NeedsAPerson,
        _ => Outcome::Refused,
    };
    let sentence = format!("peer {peer} refused our frame: {}", text.sentence);
    (outcome, Some(Refusal::new(code, unproven(peer), sentence)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: NodeId = NodeId([1; 32]);

    fn judged(code: &str) -> (Outcome, Option<Refusal>) {
        judge(PEER, &RefusalText { code: code.to_owned(), sentence: "why".to_owned() })
    }

    #[test]
    fn a_refusal_is_waited_out_and_never_settles_a_frame() {
        for code in Code::ALL {
            let outcome = match code {
                Code::Busy | Code::JournalUnavailable | Code::RateLimited => Outcome::Later,
                Code::UntrustedPeer | Code::ClockUntrusted | Code::MeshIdMismatch => Outcome::NeedsAPerson,
                _ => Outcome::Refused,
            };
            assert_eq!(judged(code.as_str()).0, outcome, "{code}");
        }
        assert_eq!(judged("A_CODE_OF_A_LATER_VERSION"), (Outcome::Later, None));
    }

    #[test]
    fn a_refusal_keeps_its_sentence_and_accuses_nobody_who_did_not_sign_it() {
        let refusal = judged("INVALID_PARAMS").1.unwrap();
        assert_eq!(refusal.from, unproven(PEER));
        assert!(
            refusal.sentence.starts_with("peer 0101") && refusal.sentence.ends_with("refused our frame: why")
        );
    }

    #[test]
    fn of_several_answers_the_friendliest_counts() {
        let answers = ["INVALID_PARAMS", "UNTRUSTED_PEER", "BUSY", "REPLAYED"].map(|code| judged(code).0);
        assert_eq!(answers.into_iter().min(), Some(Outcome::Later));
        assert!(Outcome::Held < Outcome::Later && Outcome::Refused < Outcome::Unknown);
    }
}
