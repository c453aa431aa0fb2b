//! The state lane in: frames that other nodes deliver, answered when the journal holds them and not before.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
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
use crate::gate::{Gate, UNKNOWN, flooded};
use crate::ledger::{Claim, Ledger};
use crate::readings::{judge_size, replayed};
use crate::replies::{Answer, Reply};

/// Takes frames, and says how far they have come.
pub struct Deliveries {
    edge: Arc<Edge>,
    gate: Gate,
    /// Questions have buckets of their own: asking in the name of a node must not keep its frames out.
    questions: Mutex<Buckets>,
    ledgers: Mutex<BTreeMap<NodeId, Ledger>>,
    replies: Sender<Reply>,
}

impl Deliveries {
    /// Continues from the marks of earlier runs.
    pub fn new(edge: Arc<Edge>, marks: BTreeMap<NodeId, LaneMark>, replies: Sender<Reply>) -> Self {
        let trusted = edge.trust.nodes();
        let gate = Gate::new(&edge.limits, &trusted);
        let questions = Mutex::new(Buckets::new(edge.limits.unproven_per_second_max, &trusted));
        let ledgers = marks.into_iter().map(|(node, mark)| (node, Ledger::restored(mark))).collect();
        Self { edge, gate, questions, ledgers: Mutex::new(ledgers), replies }
    }

    /// From now on these are the nodes that are trusted.
    pub fn follow(&self, trusted: &BTreeSet<NodeId>) {
        self.gate.follow(trusted);
        lock(&self.questions).follow(trusted);
    }

    /// Takes a query on `rpc/deliver`.
    pub fn deliver(self: &Arc<Self>, query: &Query) {
        let bytes = payload_of(query);
        let claimed = bytes.as_ref().ok().and_then(|bytes| envelope::claimed_signer(bytes));
        if let Err(refusal) = self.gate.enter(claimed, self.edge.now_ns()) {
            // Unanswered, or a flood would fill the queue of answers and push out receipts.
            return self.edge.refuse(refusal);
        }
        let outcome = bytes.and_then(|bytes| self.take(bytes, query));
        if !matches!(outcome, Ok(None)) {
            self.gate.charge(claimed, self.edge.now_ns());
        }
        match outcome {
            Ok(Some(receipt)) => self.reply(query.clone(), Answer::Held(receipt)),
            Ok(None) => {}
            Err(refusal) => self.refuse(query.clone(), refusal),
        }
    }

    /// Takes a query on `rpc/heard`: a node id as text, answered with its last frame in our journal.
    pub fn heard(&self, query: &Query) {
        let asker = asker(query);
        let claimed = asker.as_ref().ok().copied();
        let is_allowed = lock(&self.questions).take(claimed, self.edge.now_ns());
        match asker {
            _ if !is_allowed => {
                // Unanswered, as above.
                self.edge.refuse(flooded(claimed, self.edge.limits.unproven_per_second_max));
            }
            Ok(asker) => self.reply(query.clone(), self.how_far(asker)),
            Err(refusal) => self.refuse(query.clone(), refusal),
        }
    }

    fn how_far(&self, asker: NodeId) -> Answer {
        let heard = lock(&self.ledgers).get(&asker).and_then(Ledger::heard);
        let receipt = |(epoch, sequence)| Answer::Held(Receipt { source: asker, epoch, sequence });
        heard.map_or(Answer::Nothing, receipt)
    }

    /// A receipt when the journal holds the frame already, nothing when the answer comes later.
    fn take(self: &Arc<Self>, bytes: Cow<'_, [u8]>, query: &Query) -> Result<Option<Receipt>, Refusal> {
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
        let delivery = Delivery { flight: Flight { desk: Arc::clone(self), receipt }, query: query.clone() };
        if let Some(refusal) = self.edge.commits.refusal() {
            return Err(refusal);
        }
        self.gate.take(opened.source, self.edge.now_ns())?;
        let source = SourceId::Node(opened.source);
        let body = InputBody::Envelope { lane: Lane::State, bytes };
        let ticket = Ticket::new(move |outcome| delivery.settle(outcome));
        self.edge.inbox.offer_state(Input { source, sequence, body }, Some(ticket))
    }

    fn refuse(&self, query: Query, refusal: Refusal) {
        self.edge.refuse(refusal.clone());
        self.reply(query, Answer::Refused(refusal));
    }

    fn reply(&self, query: Query, answer: Answer) {
        // A full queue drops the answer: the asking node then hears nothing in time and asks again.
        let _ = self.replies.try_send(Reply { query, answer });
    }
}

fn payload_of(query: &Query) -> Result<Cow<'_, [u8]>, Refusal> {
    let payload = query.payload().ok_or_else(|| {
        Refusal::new(
            Code::MalformedEnvelope,
            UNKNOWN,
            "the query has no payload; it must carry what is asked",
        )
    })?;
    judge_size(UNKNOWN, payload.len())?;
    Ok(payload.to_bytes())
}

fn asker(query: &Query) -> Result<NodeId, Refusal> {
    let bytes = payload_of(query)?;
    String::from_utf8_lossy(&bytes).parse().map_err(|fault| {
        let sentence = format!("rpc/heard takes the id of the asking node: {fault}");
        Refusal::new(Code::InvalidParams, UNKNOWN, sentence)
    })
}

/// A frame on its way to the journal and the query that waits for it.
struct Delivery {
    flight: Flight,
    query: Query,
}

impl Delivery {
    /// Hands the query on and keeps nothing of it: who drops the last of a query says good-bye to the asking
    /// node, and this is the thread of the journal.
    fn settle(self, outcome: Result<(), Refusal>) {
        let Receipt { source, epoch, sequence } = self.flight.receipt;
        let desk = &self.flight.desk;
        match outcome {
            Ok(()) => {
                lock(&desk.ledgers).entry(source).or_default().commit(epoch, sequence);
                desk.reply(self.query, Answer::Held(self.flight.receipt.clone()));
            }
            Err(refusal) => desk.refuse(self.query, refusal),
        }
    }
}

/// The claim of a frame on its way. However its ticket ends, the ledger hears of it.
struct Flight {
    desk: Arc<Deliveries>,
    receipt: Receipt,
}

impl Drop for Flight {
    /// A ticket that was dropped unanswered, or answered with a refusal: the frame may come again.
    fn drop(&mut self) {
        let Receipt { source, epoch, sequence } = self.receipt;
        lock(&self.desk.ledgers).entry(source).or_default().release(epoch, sequence);
    }
}
