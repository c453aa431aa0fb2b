//! The state lane in: frames that other nodes deliver, answered when the journal holds them and not before.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use clawmesh_authority::envelope::{self, Receipt};
use clawmesh_authority::{Code, Lane, LaneMark, NodeId, Opened, Refusal};
use clawmesh_core::intake::{Input, InputBody, SourceId};
use clawmesh_core::replay::Ticket;
use crossbeam_channel::Sender;
use zenoh::query::Query;

use crate::admission::Wanted;
use crate::bucket::Buckets;
use crate::edge::{Edge, lock};
use crate::ledger::{Claim, Ledger};
use crate::readings::{judge_size, rate_limited, replayed};
use crate::replies::{Answer, Reply};

/// Takes frames, and says how far they have come.
pub struct Deliveries {
    edge: Arc<Edge>,
    buckets: Mutex<Buckets>,
    ledgers: Mutex<BTreeMap<NodeId, Ledger>>,
    replies: Sender<Reply>,
}

impl Deliveries {
    /// Continues from the marks of earlier runs.
    pub fn new(edge: Arc<Edge>, marks: BTreeMap<NodeId, LaneMark>, replies: Sender<Reply>) -> Self {
        let buckets = Buckets::new(edge.limits.envelopes_per_second_max, edge.trusted.clone());
        let ledgers = marks.into_iter().map(|(node, mark)| (node, Ledger::restored(mark))).collect();
        Self { edge, buckets: Mutex::new(buckets), ledgers: Mutex::new(ledgers), replies }
    }

    /// Takes a query on `rpc/deliver`.
    pub fn deliver(self: &Arc<Self>, query: &Query) {
        match self.take(query) {
            Ok(Some(receipt)) => self.reply(query, Answer::Held(receipt)),
            Ok(None) => {}
            Err(refusal) => self.refuse(query, refusal),
        }
    }

    /// Takes a query on `rpc/heard`: a node id as text, answered with its last frame in our journal.
    pub fn heard(&self, query: &Query) {
        let answer = self.asker(query).map(|asker| {
            let heard = lock(&self.ledgers).get(&asker).and_then(Ledger::heard);
            let receipt = |(epoch, sequence)| Answer::Held(Receipt { source: asker, epoch, sequence });
            heard.map_or(Answer::Nothing, receipt)
        });
        match answer {
            Ok(answer) => self.reply(query, answer),
            Err(refusal) => self.refuse(query, refusal),
        }
    }

    /// A receipt when the journal holds the frame already, nothing when the answer comes later.
    fn take(self: &Arc<Self>, query: &Query) -> Result<Option<Receipt>, Refusal> {
        let payload = query.payload().ok_or_else(no_payload)?;
        judge_size("an unknown sender", payload.len())?;
        let bytes = payload.to_bytes();
        self.judge_rate(envelope::read_journaled(&bytes)?.source)?;
        let opened = self.edge.admission.judge(&bytes, Wanted::Frames, self.edge.wall_ms())?;
        let (node, epoch, sequence) = (opened.source, opened.statement.epoch, opened.statement.sequence);
        // Only trusted nodes come this far, so there are never more ledgers than trusted nodes.
        let claim = lock(&self.ledgers).entry(node).or_default().claim(epoch, sequence);
        match claim {
            Claim::Held => Ok(Some(Receipt { source: node, epoch, sequence })),
            Claim::InFlight => Err(Refusal::new(
                Code::Busy,
                node,
                "a frame of this node is still on its way to the journal; send it again in a moment",
            )),
            Claim::Replayed => Err(replayed(node, epoch, sequence)),
            Claim::Offer => self.offer(&opened, bytes.into_owned(), query).map(|()| None),
        }
    }

    fn offer(self: &Arc<Self>, opened: &Opened, bytes: Vec<u8>, query: &Query) -> Result<(), Refusal> {
        let (epoch, sequence) = (opened.statement.epoch, opened.statement.sequence);
        let receipt = Receipt { source: opened.source, epoch, sequence };
        let delivery = Delivery { desk: Arc::clone(self), receipt, query: query.clone() };
        if let Some(refusal) = self.edge.commits.refusal() {
            return Err(refusal);
        }
        let source = SourceId::Node(opened.source);
        let body = InputBody::Envelope { lane: Lane::State, bytes };
        let ticket = Ticket::new(move |outcome| delivery.settle(outcome));
        self.edge.inbox.offer_state(Input { source, sequence, body }, Some(ticket))
    }

    fn judge_rate(&self, claimed: NodeId) -> Result<(), Refusal> {
        if lock(&self.buckets).take(claimed, self.edge.now_ns()) {
            return Ok(());
        }
        Err(rate_limited(claimed, self.edge.limits.envelopes_per_second_max))
    }

    fn asker(&self, query: &Query) -> Result<NodeId, Refusal> {
        let payload = query.payload().ok_or_else(no_payload)?;
        judge_size("an unknown sender", payload.len())?;
        let text = String::from_utf8_lossy(&payload.to_bytes()).into_owned();
        let no_id = |fault| {
            Refusal::new(
                Code::InvalidParams,
                "an unknown sender",
                format!("rpc/heard takes the id of the asking node: {fault}"),
            )
        };
        let asker = text.parse().map_err(no_id)?;
        self.judge_rate(asker)?;
        Ok(asker)
    }

    fn refuse(&self, query: &Query, refusal: Refusal) {
        self.edge.refuse(refusal.clone());
        self.reply(query, Answer::Refused(refusal));
    }

    fn reply(&self, query: &Query, answer: Answer) {
        // A full queue drops the answer: the asking node then hears nothing in time and asks again.
        let _ = self.replies.try_send(Reply { query: query.clone(), answer });
    }
}

fn no_payload() -> Refusal {
    Refusal::new(
        Code::MalformedEnvelope,
        "an unknown sender",
        "the query has no payload; it must carry what is asked",
    )
}

/// A frame on its way to the journal. However its ticket ends, the ledger hears of it.
struct Delivery {
    desk: Arc<Deliveries>,
    receipt: Receipt,
    query: Query,
}

impl Delivery {
    fn settle(self, outcome: Result<(), Refusal>) {
        let Receipt { source, epoch, sequence } = self.receipt;
        match outcome {
            Ok(()) => {
                lock(&self.desk.ledgers).entry(source).or_default().commit(epoch, sequence);
                self.desk.reply(&self.query, Answer::Held(self.receipt.clone()));
            }
            Err(refusal) => self.desk.refuse(&self.query, refusal),
        }
    }
}

impl Drop for Delivery {
    /// A ticket that was dropped unanswered, or answered with a refusal: the frame may come again.
    fn drop(&mut self) {
        let Receipt { source, epoch, sequence } = self.receipt;
        lock(&self.desk.ledgers).entry(source).or_default().release(epoch, sequence);
    }
}
