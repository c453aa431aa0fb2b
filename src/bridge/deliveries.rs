//! The state lane in: frames that other nodes deliver, answered when the journal holds them and not before.
//!
//! A delivery is a row of envelopes. It is judged on a thread of its own, its signatures on several, so that no thread of zenoh
//! waits for it. It is taken as far as it is good, and one receipt says how far.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::thread;

use clawmesh_authority::envelope::{self, Receipt};
use clawmesh_authority::{Code, Lane, LaneMark, NodeId, Opened, Refusal};
use clawmesh_core::intake::{Input, InputBody, SourceId};
use clawmesh_core::replay::Ticket;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use zenoh::query::Query;

use crate::admission::Wanted;
use crate::bucket::Buckets;
use crate::edge::{Edge, lock};
use crate::gate::{Gate, UNKNOWN, flooded};
use crate::ledger::{Claim, Ledger, Place};
use crate::readings::{judge_size, replayed};
use crate::replies::{Answer, Reply, STOP_POLL};

/// Deliveries that may wait to be judged; one more is answered `BUSY`.
pub const DELIVERIES_MAX: usize = 64;
/// Threads that check signatures of one delivery.
const VERIFIERS_MAX: usize = 4;
/// As many envelopes are worth a thread.
const ENVELOPES_PER_VERIFIER: usize = 8;

/// Takes frames, and says how far they have come.
pub struct Deliveries {
    edge: Arc<Edge>,
    gate: Gate,
    /// Questions have buckets of their own: asking in the name of a node must not keep its frames out.
    questions: Mutex<Buckets>,
    ledgers: Mutex<BTreeMap<NodeId, Ledger>>,
    to_judge: Sender<Query>,
    replies: Sender<Reply>,
}

impl Deliveries {
    /// Continues from the marks of earlier runs.
    pub fn new(
        edge: Arc<Edge>,
        marks: BTreeMap<NodeId, LaneMark>,
        to_judge: Sender<Query>,
        replies: Sender<Reply>,
    ) -> Self {
        let trusted = edge.trust.nodes();
        let gate = Gate::new(&edge.limits, &trusted);
        let questions = Mutex::new(Buckets::new(edge.limits.unproven_per_second_max, &trusted));
        let ledgers = marks.into_iter().map(|(node, mark)| (node, Ledger::restored(mark))).collect();
        Self { edge, gate, questions, ledgers: Mutex::new(ledgers), to_judge, replies }
    }

    /// From now on these are the nodes that are trusted.
    pub fn follow(&self, trusted: &BTreeSet<NodeId>) {
        self.gate.follow(trusted);
        lock(&self.questions).follow(trusted);
    }

    /// Takes a query on `rpc/deliver`.
    pub fn deliver(&self, query: &Query) {
        let bytes = payload_of(query);
        let claimed = bytes.as_ref().ok().and_then(|bytes| envelope::claimed_signer(bytes));
        if let Err(refusal) = self.gate.enter(claimed, self.edge.now_ns()) {
            // Unanswered, or a flood would fill the queue of answers and push out receipts.
            return self.edge.refuse(refusal);
        }
        if let Err(refusal) = bytes {
            self.gate.charge(claimed, self.edge.now_ns());
            self.refuse(query.clone(), refusal);
        } else if self.to_judge.try_send(query.clone()).is_err() {
            self.gate.charge(claimed, self.edge.now_ns());
            let sentence = "too many deliveries wait to be judged; send it again in a moment";
            self.refuse(query.clone(), Refusal::new(Code::Busy, UNKNOWN, sentence));
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

    /// Judges one delivery and answers it, unless the journal does.
    fn judge(self: &Arc<Self>, query: Query) {
        let Ok(bytes) = payload_of(&query) else { return };
        let claimed = envelope::claimed_signer(&bytes);
        let (looked_at, outcome) = match envelope::split(&bytes) {
            Ok(envelopes) => self.take(&envelopes, &query),
            Err(refusal) => (1, Taken::none(refusal)),
        };
        for _ in outcome.count..looked_at {
            self.gate.charge(claimed, self.edge.now_ns());
        }
        match outcome.end {
            // What was taken before it is answered for by the journal.
            Some(End::Refused(refusal)) if outcome.count > 0 => self.edge.refuse(refusal),
            Some(End::Refused(refusal)) => self.refuse(query, refusal),
            Some(End::Held(receipt)) if outcome.count == 0 => self.reply(query, Answer::Held(receipt)),
            Some(End::Held(_)) | None => {}
        }
    }

    /// Takes the envelopes in order as far as they are good and new. Gives how many signatures that took as well.
    fn take(self: &Arc<Self>, envelopes: &[&[u8]], query: &Query) -> (usize, Taken) {
        let wanted = self.worth_a_look(envelopes);
        let judged = self.open(&envelopes[..wanted]);
        let delivery = Arc::new(Delivery { desk: Arc::clone(self), progress: Mutex::default() });
        let mut taken = Taken { count: 0, end: None };
        let mut last = None;
        for (opened, bytes) in judged.into_iter().zip(envelopes) {
            match opened.map_or_else(
                |refusal| Err(End::Refused(refusal)),
                |opened| self.claim(&opened, bytes, &delivery),
            ) {
                Ok(receipt) => {
                    taken.count += 1;
                    last = Some(receipt);
                }
                Err(end) => {
                    taken.end = Some(end);
                    break;
                }
            }
        }
        if let Some(last) = last {
            delivery.ends_with(last, query.clone());
        } else if taken.end.is_none() {
            let sentence = "the delivery is empty; it must carry what is said";
            taken.end = Some(End::Refused(Refusal::new(Code::MalformedEnvelope, UNKNOWN, sentence)));
        }
        (wanted, taken)
    }

    /// How many of the envelopes to open: all that the source may say now when the first is what comes next, or else one, to
    /// know who is to be told so. What they say is not proven here, so nothing else follows from it.
    fn worth_a_look(&self, envelopes: &[&[u8]]) -> usize {
        let first = envelopes.first().and_then(|bytes| envelope::read_journaled(bytes).ok());
        let Some(Opened { source, statement }) = first else { return envelopes.len().min(1) };
        let place = Place::of(&statement);
        let claim = lock(&self.ledgers).get(&source).map_or(Claim::Offer, |ledger| ledger.judge(place));
        if claim != Claim::Offer || !self.edge.trust.has(&source) {
            return 1;
        }
        self.gate.room(source, self.edge.now_ns()).clamp(1, envelopes.len())
    }

    /// Opens envelopes, those of a long row on several threads.
    fn open(&self, envelopes: &[&[u8]]) -> Vec<Result<Opened, Refusal>> {
        let wall_ms = self.edge.wall_ms();
        let open = |part: &[&[u8]]| -> Vec<_> {
            let judge = |bytes: &&[u8]| self.edge.admission.judge(bytes, Wanted::Frames, wall_ms);
            part.iter().map(judge).collect()
        };
        let cores = thread::available_parallelism().map_or(1, usize::from).min(VERIFIERS_MAX);
        let parts = (envelopes.len() / ENVELOPES_PER_VERIFIER).clamp(1, cores);
        let mut parts = envelopes.chunks(envelopes.len().div_ceil(parts).max(1));
        let first = parts.next().unwrap_or_default();
        thread::scope(|scope| {
            let open = &open;
            let spawn = |part| {
                let verifier = thread::Builder::new().name("bridge-verifier".to_owned());
                (part, verifier.spawn_scoped(scope, move || open(part)))
            };
            let others: Vec<_> = parts.map(spawn).collect();
            let mut opened = open(first);
            for (part, other) in others {
                opened.extend(match other {
                    Ok(other) => other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                    // The system gives no thread now.
                    Err(_) => open(part),
                });
            }
            opened
        })
    }

    /// Brings one envelope to the door if it is what comes next.
    fn claim(
        self: &Arc<Self>,
        opened: &Opened,
        bytes: &[u8],
        delivery: &Arc<Delivery>,
    ) -> Result<Receipt, End> {
        let node = opened.source;
        let place = Place::of(&opened.statement);
        let receipt = Receipt { source: node, epoch: place.epoch, sequence: place.last };
        // Only trusted nodes come this far, so there are never more ledgers than trusted nodes.
        let claim = lock(&self.ledgers).entry(node).or_default().claim(place);
        match claim {
            Claim::Held => Err(End::Held(receipt)),
            Claim::NotYet => Err(End::Refused(Refusal::new(
                Code::Busy,
                node,
                "a frame of this node is still on its way to the journal, or one before this has not come;                  ask what was heard and send it again",
            ))),
            Claim::Replayed => Err(End::Refused(replayed(node, place.epoch, place.last))),
            Claim::Offer => {
                let flight =
                    Flight { delivery: Arc::clone(delivery), receipt: receipt.clone(), is_held: false };
                self.offer(flight, bytes).map(|()| receipt).map_err(End::Refused)
            }
        }
    }

    fn offer(&self, flight: Flight, bytes: &[u8]) -> Result<(), Refusal> {
        let Receipt { source: node, sequence, .. } = flight.receipt;
        if let Some(refusal) = self.edge.commits.refusal() {
            return Err(refusal);
        }
        self.gate.take(node, self.edge.now_ns())?;
        let source = SourceId::Node(node);
        let body = InputBody::Envelope { lane: Lane::State, bytes: bytes.to_vec() };
        let ticket = Ticket::new(move |outcome| flight.settle(outcome));
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

/// Judges deliveries in the order in which they came, until the bridge stops.
pub fn judge_deliveries(edge: &Edge, deliveries: &Arc<Deliveries>, queries: &Receiver<Query>) {
    while !edge.is_stopping() {
        match queries.recv_timeout(STOP_POLL) {
            Ok(query) => deliveries.judge(query),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// How far a delivery was taken.
struct Taken {
    count: usize,
    /// Why not further, if not all of it was.
    end: Option<End>,
}

impl Taken {
    fn none(refusal: Refusal) -> Self {
        Self { count: 0, end: Some(End::Refused(refusal)) }
    }
}

/// Why an envelope is not taken.
enum End {
    /// The journal holds it already.
    Held(Receipt),
    Refused(Refusal),
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

/// A delivery of which something was taken. It is answered once: when the journal holds the last of what was taken, or when
/// something of it did not reach the journal.
struct Delivery {
    desk: Arc<Deliveries>,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    held: Option<Receipt>,
    last: Option<Receipt>,
    failed: Option<Refusal>,
    query: Option<Query>,
}

impl Progress {
    /// The answer, when it is time for it.
    fn answer(&mut self) -> Option<(Query, Answer)> {
        let is_held = self.last.is_some() && self.held == self.last;
        let answer = match (&self.failed, &self.last) {
            (Some(refusal), _) => Answer::Refused(refusal.clone()),
            (None, Some(last)) if is_held => Answer::Held(last.clone()),
            _ => return None,
        };
        Some((self.query.take()?, answer))
    }
}

impl Delivery {
    /// Nothing more of it is taken.
    fn ends_with(&self, last: Receipt, query: Query) {
        self.progress(|progress| {
            progress.last = Some(last);
            progress.query = Some(query);
        });
    }

    /// Hands the query on and keeps nothing of it: who drops the last of a query says good-bye to the asking
    /// node, and this may be the thread of the journal.
    fn progress(&self, change: impl FnOnce(&mut Progress)) {
        let answer = {
            let mut progress = lock(&self.progress);
            change(&mut progress);
            progress.answer()
        };
        match answer {
            Some((query, Answer::Refused(refusal))) => self.desk.refuse(query, refusal),
            Some((query, answer)) => self.desk.reply(query, answer),
            None => {}
        }
    }
}

/// The claim of an envelope on its way. However its ticket ends, the ledger hears of it.
struct Flight {
    delivery: Arc<Delivery>,
    receipt: Receipt,
    is_held: bool,
}

impl Flight {
    fn settle(mut self, outcome: Result<(), Refusal>) {
        let Receipt { source, epoch, sequence } = self.receipt;
        match outcome {
            Ok(()) => {
                self.is_held = true;
                lock(&self.delivery.desk.ledgers).entry(source).or_default().commit(epoch, sequence);
                self.delivery.progress(|progress| progress.held = Some(self.receipt.clone()));
            }
            Err(refusal) => {
                self.release();
                self.delivery.progress(|progress| progress.failed = Some(refusal));
            }
        }
    }

    fn release(&self) {
        let Receipt { source, epoch, sequence } = self.receipt;
        lock(&self.delivery.desk.ledgers).entry(source).or_default().release(epoch, sequence);
    }
}

impl Drop for Flight {
    /// A ticket that was dropped unanswered, or answered with a refusal: the frame may come again.
    fn drop(&mut self) {
        if !self.is_held {
            self.release();
        }
    }
}
