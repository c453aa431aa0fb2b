//! What a peer is asked and what counts as its answer. Anybody may answer a zenoh query, so only what the peer has signed
//! settles anything.

use std::sync::Arc;
use std::time::Duration;

use clawmesh_authority::envelope::{self, Receipt, unproven};
use clawmesh_authority::{Body, Code, NodeId, Refusal};
use zenoh::Session;
use zenoh::handlers::FifoChannelHandler;
use zenoh::qos::{CongestionControl, Priority};
use zenoh::query::{ConsolidationMode, QueryTarget, Reply};

use crate::edge::Edge;
use crate::keys;
use crate::replies::{RefusalText, refusal_text};

/// What came of one delivery. Of several answers the first in this order counts: nobody but the peer can make us
/// stop, and nobody can make us wait longer than the friendliest answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// The journal of the peer holds it as far as this sequence.
    Held(u64),
    /// Not now: wait a little and try the same again.
    Later,
    /// Not before a person has changed something.
    NeedsAPerson,
    /// Not this one, somebody says who may be the peer: wait longer each time, then ask the peer what it heard.
    Refused,
    /// Nobody knows: ask what was heard, then go on.
    Unknown,
}

/// Another node, and the way to ask it. Clones ask the same node.
#[derive(Clone)]
pub struct Peer {
    /// Us.
    pub edge: Arc<Edge>,
    /// The node.
    pub id: NodeId,
    session: Session,
}

/// What is under way: the first and the last sequence of a delivery, and the newest there was when it went out.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    /// Its first frame.
    pub first: u64,
    /// Its last frame.
    pub last: u64,
    /// The newest frame of this run that anybody can have heard.
    pub newest: u64,
}

impl Sent {
    /// Whether a receipt for `sequence` says something of it. A peer that had heard some of it already says how far it has
    /// heard us. What says less is an old receipt that somebody repeats.
    fn concerns(&self, sequence: u64) -> bool {
        (self.first..=self.newest).contains(&sequence)
    }
}

/// A question that is under way.
pub struct Asked(FifoChannelHandler<Reply>);

impl Peer {
    /// The node `id`, over this session.
    pub fn new(edge: Arc<Edge>, session: Session, id: NodeId) -> Self {
        Self { edge, id, session }
    }

    /// How long ago that was, by the clock of the edge.
    pub fn since(&self, at_ns: u64) -> Duration {
        Duration::from_nanos(self.edge.now_ns().saturating_sub(at_ns))
    }

    /// Sends a delivery. Those that are sent one after the other arrive so.
    pub async fn deliver(&self, parcel: Vec<u8>, patience: Duration) -> Option<Asked> {
        self.ask(keys::deliver(self.edge.mesh, self.id), parcel, patience).await
    }

    /// Waits for what comes of a delivery.
    pub async fn outcome(&self, asked: Asked, sent: Sent) -> Outcome {
        let mut outcome = Outcome::Unknown;
        let mut heard = None;
        let is_ours = |receipt: &Receipt| {
            (receipt.source, receipt.epoch) == (self.edge.own, self.edge.epoch)
                && sent.concerns(receipt.sequence)
        };
        let held = |answer: Result<&[u8], RefusalText>| match answer.map(|bytes| self.receipt_in(bytes)) {
            Ok(Ok(receipt)) if is_ours(&receipt) => {
                heard = heard.max(Some(receipt.sequence));
                // One for less may be an old one, and the answer still to come.
                (receipt.sequence >= sent.last).then_some(())
            }
            Ok(Ok(_)) => {
                self.edge.refuse(self.wrong_receipt());
                None
            }
            Ok(Err(refusal)) => {
                self.edge.refuse(refusal);
                None
            }
            Err(text) => {
                let (says, refusal) = judge(self.id, &text);
                refusal.into_iter().for_each(|refusal| self.edge.refuse(refusal));
                outcome = outcome.min(says);
                None
            }
        };
        let _ = settled(asked, held).await;
        heard.map_or(outcome, Outcome::Held)
    }

    /// The sequence after which to begin; `Err` when nobody can tell.
    pub async fn ask_heard(&self, patience: Duration) -> Result<Option<u64>, ()> {
        let mut is_nothing_heard = false;
        let heard = |answer: Result<&[u8], RefusalText>| match answer {
            // Only a signature settles it; an empty answer could be anybody's.
            Ok([]) => {
                is_nothing_heard = true;
                None
            }
            Ok(bytes) => self.receipt_in(bytes).map_err(|refusal| self.edge.refuse(refusal)).ok(),
            Err(_) => None,
        };
        let key = keys::heard(self.edge.mesh, self.id);
        let asked = self.ask(key, self.edge.own.to_string().into_bytes(), patience).await.ok_or(())?;
        match settled(asked, heard).await {
            Some(receipt) => Ok(self.begin_after(&receipt)),
            None if is_nothing_heard => Ok(None),
            None => Err(()),
        }
    }

    fn begin_after(&self, heard: &Receipt) -> Option<u64> {
        let is_of_this_run = heard.source == self.edge.own && heard.epoch == self.edge.epoch;
        is_of_this_run.then_some(heard.sequence)
    }

    async fn ask(&self, key: String, payload: Vec<u8>, patience: Duration) -> Option<Asked> {
        // More than one queryable may pretend to be the peer.
        let query = self.session.get(key).payload(payload).target(QueryTarget::All);
        let query = query.consolidation(ConsolidationMode::None).timeout(patience);
        // Anybody may pose as the peer and not read. A question that blocked for him would hold the routes of the
        // whole session; one that is dropped is asked again. `session` gives this priority room for a full window.
        let query = query.congestion_control(CongestionControl::Drop).priority(Priority::DataHigh);
        query.await.ok().map(Asked)
    }

    fn receipt_in(&self, bytes: &[u8]) -> Result<Receipt, Refusal> {
        let opened = envelope::open(bytes, self.edge.mesh)?;
        match opened.statement.body {
            Body::Receipt(receipt) if opened.source == self.id => Ok(receipt),
            _ => Err(self.wrong_receipt()),
        }
    }

    fn wrong_receipt(&self) -> Refusal {
        let sentence = format!(
            "an answer in the name of peer {} is no receipt of it for our frame; look who answers there",
            self.id
        );
        Refusal::new(Code::SourceMismatch, unproven(self.id), sentence)
    }
}

/// Hands answers to `settles` until one does.
async fn settled<T>(
    Asked(replies): Asked,
    mut settles: impl FnMut(Result<&[u8], RefusalText>) -> Option<T>,
) -> Option<T> {
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

/// What a refusal of our frame means for it, and what to count. It is not signed, so it settles nothing and
/// proves nothing about the peer.
fn judge(peer: NodeId, text: &RefusalText) -> (Outcome, Option<Refusal>) {
    let Some(code) = text.known_code() else {
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

    #[test]
    fn a_receipt_counts_for_what_was_sent_and_never_for_what_nobody_can_have_heard() {
        let sent = Sent { first: 4, last: 6, newest: 9 };
        assert_eq!(
            (0..99).filter(|sequence| sent.concerns(*sequence)).collect::<Vec<_>>(),
            [4, 5, 6, 7, 8, 9]
        );
    }

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
        assert!(Outcome::Held(u64::MAX) < Outcome::Later && Outcome::Refused < Outcome::Unknown);
    }
}
