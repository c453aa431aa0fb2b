//! The state lane in: frames that other nodes deliver, answered when the journal holds them and not before.
//!
//! A delivery is a row of envelopes. It is judged on a thread of its own, its signatures on several, so that no thread of zenoh
//! waits for it. It is taken as far as it is good, and one receipt says how far.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread;

use clawmesh_authority::envelope::{self, Receipt, unproven};
use clawmesh_authority::hlc::OWN_CLOCK;
use clawmesh_authority::{Body, Code, Lane, LaneMark, NodeId, Opened, Refusal};
use clawmesh_core::intake::{Input, InputBody, SourceId};
use clawmesh_core::replay::Ticket;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use zenoh::query::Query;

use crate::admission::{Wanted, untrusted};
use crate::bucket::Buckets;
use crate::edge::{Edge, lock};
use crate::gate::{Gate, UNKNOWN, flooded};
use crate::ledger::{Claim, Ledger, Place};
use crate::pace::WINDOW_MAX;
use crate::readings::{judge_size, replayed};
use crate::replies::{Answer, Reply, STOP_POLL};

/// Threads that check signatures of one delivery.
const VERIFIERS_MAX: usize = 4;
/// As many envelopes are worth a thread.
const ENVELOPES_PER_VERIFIER: usize = 16;
/// As many frames of a bundle cost their source one envelope.
const FRAMES_PER_TOKEN: usize = 8;
/// What the largest bundle costs.
const TOKENS_PER_ENVELOPE_MAX: usize = envelope::FRAMES_PER_BUNDLE_MAX.div_ceil(FRAMES_PER_TOKEN);

/// Deliveries that may wait to be judged, of all names together: far more than trusted nodes that are there at once fill.
pub const WAITING_MAX: usize = 256 * WINDOW_MAX;

/// A delivery that waits to be judged.
pub struct Waiting {
    query: Query,
    /// Who it claims to be from, if that is a node we trust.
    claimed: Option<NodeId>,
}

/// Takes frames, and says how far they have come.
pub struct Deliveries {
    edge: Arc<Edge>,
    gate: Gate,
    /// Questions have buckets of their own: asking in the name of a node must not keep its frames out.
    questions: Mutex<Buckets>,
    ledgers: Mutex<BTreeMap<NodeId, Ledger>>,
    /// Deliveries that wait to be judged, by the trusted name they came under: at most a window of each, and of all others.
    waiting: Mutex<BTreeMap<Option<NodeId>, usize>>,
    to_judge: Sender<Waiting>,
    replies: Sender<Reply>,
}

impl Deliveries {
    /// Continues from the marks of earlier runs.
    pub fn new(
        edge: Arc<Edge>,
        marks: BTreeMap<NodeId, LaneMark>,
        to_judge: Sender<Waiting>,
        replies: Sender<Reply>,
    ) -> Self {
        let trusted = edge.trust.nodes();
        let gate = Gate::new(&edge.limits, &trusted);
        let questions = Mutex::new(Buckets::new(edge.limits.unproven_per_second_max, &trusted));
        let ledgers = marks.into_iter().map(|(node, mark)| (node, Ledger::restored(mark))).collect();
        let (ledgers, waiting) = (Mutex::new(ledgers), Mutex::default());
        Self { edge, gate, questions, ledgers, waiting, to_judge, replies }
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
        if let Err(refusal) = bytes.and_then(|_| self.have_judged(query, claimed)) {
            self.refuse(query.clone(), refusal);
        }
    }

    /// Whoever floods under one name takes only the places of that name.
    fn have_judged(&self, query: &Query, claimed: Option<NodeId>) -> Result<(), Refusal> {
        if let Some(node) = claimed
            && !self.edge.trust.has(&node)
        {
            return Err(Refusal::new(Code::UntrustedPeer, unproven(node), untrusted(node)));
        }
        if let Some(refusal) = self.edge.timeless() {
            // It is for us to change that, so whoever asks waits and tries again.
            let later = Refusal::new(Code::Busy, OWN_CLOCK, refusal.sentence.clone());
            self.edge.refuse(refusal);
            self.reply(query.clone(), Answer::Refused(later));
            return Ok(());
        }
        let mut waiting = lock(&self.waiting);
        let places = waiting.entry(claimed).or_default();
        if *places < WINDOW_MAX && self.to_judge.try_send(Waiting { query: query.clone(), claimed }).is_ok() {
            *places += 1;
            return Ok(());
        }
        let from = claimed.map_or_else(|| UNKNOWN.to_owned(), unproven);
        let sentence = "too many deliveries under this name wait to be judged; send it again in a moment";
        Err(Refusal::new(Code::Busy, from, sentence))
    }

    fn leave(&self, claimed: Option<NodeId>) {
        let mut waiting = lock(&self.waiting);
        if let Some(places) = waiting.get_mut(&claimed) {
            *places -= 1;
            if *places == 0 {
                waiting.remove(&claimed);
            }
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
    fn judge(self: &Arc<Self>, Waiting { query, claimed }: Waiting) {
        self.leave(claimed);
        let Ok(bytes) = payload_of(&query) else { return };
        let taken = match envelope::split(&bytes) {
            Ok(envelopes) => self.take(&envelopes, claimed, &query),
            Err(refusal) => Taken { last: None, end: Some(End::Refused(refusal)) },
        };
        match (taken.end, taken.last) {
            // What was taken before it is answered for by the journal.
            (Some(End::Refused(refusal)), Some(_)) => self.edge.refuse(refusal),
            (Some(End::Refused(refusal)), None) => self.refuse(query, refusal),
            (Some(End::Held(receipt)), None) => self.reply(query, Answer::Held(receipt)),
            (Some(End::Held(_)) | None, _) => {}
        }
    }

    /// Takes the envelopes in order as far as they are good and new. The first is looked at alone, and further ones only while
    /// all before them were taken. Every look is paid before it is taken, the one at the first envelope at the gate.
    fn take(self: &Arc<Self>, envelopes: &[&[u8]], claimed: Option<NodeId>, query: &Query) -> Taken {
        let delivery = Arc::new(Delivery { desk: Arc::clone(self), progress: Mutex::default() });
        let mut taken = Taken { last: None, end: None };
        let mut rest = &envelopes[..self.worth_a_look(envelopes, claimed)];
        let mut looks = 1;
        while looks > 0 && !rest.is_empty() && taken.end.is_none() {
            let (row, later) = rest.split_at(looks.min(rest.len()));
            let count = self.take_row(row, &delivery, &mut taken);
            self.gate.give_back(claimed, count);
            rest = later;
            looks = self.looks_at(rest.len(), claimed, &taken);
        }
        if let Some(last) = &taken.last {
            delivery.ends_with(last.clone(), query.clone());
        } else if taken.end.is_none() {
            let sentence = "the delivery is empty; it must carry what is said";
            taken.end = Some(End::Refused(Refusal::new(Code::MalformedEnvelope, UNKNOWN, sentence)));
        }
        taken
    }

    /// Takes these envelopes as far as they are good and new; says how many were what they claim to be, without the one that
    /// ended it.
    fn take_row(self: &Arc<Self>, row: &[&[u8]], delivery: &Arc<Delivery>, taken: &mut Taken) -> usize {
        let opened = self.open(row);
        let proven = opened.iter().filter(|opened| opened.is_ok()).count();
        for (opened, bytes) in opened.into_iter().zip(row) {
            let is_proven = opened.is_ok();
            let claim = |opened: Opened| self.claim(&opened, bytes, delivery);
            match opened.map_err(End::Refused).and_then(claim) {
                Ok(receipt) => taken.last = Some(receipt),
                Err(end) => {
                    taken.end = Some(end);
                    return proven - usize::from(is_proven);
                }
            }
        }
        proven
    }

    /// How many of `left` further envelopes to open at once: one short row for each thread, no more than the source may say
    /// now, and no more than may turn out to be worth nothing. That many are paid for.
    fn looks_at(&self, left: usize, claimed: Option<NodeId>, taken: &Taken) -> usize {
        let Some(Receipt { source, .. }) = &taken.last else { return 0 };
        if left == 0 || taken.end.is_some() {
            return 0;
        }
        let now_ns = self.edge.now_ns();
        // An envelope may cost up to four, and one that turns out to be too dear was opened for nothing.
        let room = (self.gate.room(*source, now_ns) / TOKENS_PER_ENVELOPE_MAX).max(1);
        let row = left.min(ENVELOPES_PER_VERIFIER * verifiers()).min(room);
        self.gate.enter_some(claimed, row, now_ns)
    }

    /// How many of the envelopes may be looked at: those that claim to be of the same node if the first is what comes next and
    /// can be kept, or else one, to know who is to be told so. What they say is not proven here, so nothing else follows from it.
    fn worth_a_look(&self, envelopes: &[&[u8]], claimed: Option<NodeId>) -> usize {
        let is_next = |Opened { source, statement }: Opened| {
            let place = Place::of(&statement);
            lock(&self.ledgers).get(&source).map_or(Claim::Offer, |ledger| ledger.judge(place))
                == Claim::Offer
        };
        let first = envelopes.first().and_then(|bytes| envelope::read_journaled(bytes).ok());
        if claimed.is_none() || self.edge.commits.refusal().is_some() || !first.is_some_and(is_next) {
            return envelopes.len().min(1);
        }
        let is_of_the_same = |bytes: &&&[u8]| envelope::claimed_signer(bytes) == claimed;
        envelopes.iter().take_while(is_of_the_same).count()
    }

    /// Opens envelopes up to the first that is refused, those of a long row on several threads.
    fn open(&self, envelopes: &[&[u8]]) -> Vec<Result<Opened, Refusal>> {
        let wall_ms = self.edge.wall_ms();
        let open = |part: &[&[u8]]| {
            let (mut opened, mut signer) = (Vec::with_capacity(part.len()), None);
            for bytes in part {
                opened.push(self.edge.admission.judge_next(bytes, Wanted::Frames, wall_ms, &mut signer));
                if opened.last().is_some_and(Result::is_err) {
                    break;
                }
            }
            opened
        };
        let mut parts = envelopes.chunks(envelopes.len().div_ceil(verifiers()).max(ENVELOPES_PER_VERIFIER));
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
                let part = match other {
                    Ok(other) => other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                    // The system gives no thread now.
                    Err(_) => open(part),
                };
                // Behind a refused one nothing is looked for, so a part that ends early is the last one.
                if opened.last().is_none_or(Result::is_ok) {
                    opened.extend(part);
                }
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
            Claim::Held(sequence) => Err(End::Held(Receipt { sequence, ..receipt })),
            Claim::NotYet => Err(End::Refused(Refusal::new(
                Code::Busy,
                node,
                "a frame of this node is still on its way to the journal, or one before this has not come; ask what was \
                 heard and send it again",
            ))),
            Claim::Replayed => Err(End::Refused(replayed(node, place.epoch, place.last))),
            Claim::Offer => {
                let flight =
                    Flight { delivery: Arc::clone(delivery), receipt: receipt.clone(), is_settled: false };
                let tokens = tokens_of(&opened.statement.body);
                self.offer(flight, tokens, bytes).map(|()| receipt).map_err(End::Refused)
            }
        }
    }

    fn offer(&self, flight: Flight, tokens: usize, bytes: &[u8]) -> Result<(), Refusal> {
        let Receipt { source: node, sequence, .. } = flight.receipt;
        if let Some(refusal) = self.edge.commits.refusal() {
            return Err(refusal);
        }
        self.gate.take(node, tokens, self.edge.now_ns())?;
        let source = SourceId::Node(node);
        let body = InputBody::Envelope { lane: Lane::State, bytes: bytes.to_vec() };
        let ticket = Ticket::new(move |outcome| flight.settle(outcome));
        let offered = self.edge.inbox.offer_state(Input { source, sequence, body }, Some(ticket));
        if offered.is_err() {
            // That there was no place is no word of its source.
            self.gate.return_taken(node, tokens);
        }
        offered
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
pub fn judge_deliveries(edge: &Edge, deliveries: &Arc<Deliveries>, queries: &Receiver<Waiting>) {
    while !edge.is_stopping() {
        match queries.recv_timeout(STOP_POLL) {
            Ok(waiting) => deliveries.judge(waiting),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// How far a delivery was taken.
struct Taken {
    /// The last envelope that was.
    last: Option<Receipt>,
    /// Why not further, if not all of it was.
    end: Option<End>,
}

/// Why an envelope is not taken.
enum End {
    /// The journal holds some of it already, and so far.
    Held(Receipt),
    Refused(Refusal),
}

/// Threads that may check signatures at once.
fn verifiers() -> usize {
    // To ask costs half as much as to check a signature.
    static VERIFIERS: LazyLock<usize> =
        LazyLock::new(|| thread::available_parallelism().map_or(1, usize::from).min(VERIFIERS_MAX));
    *VERIFIERS
}

/// What an envelope costs its source.
fn tokens_of(body: &Body) -> usize {
    match body {
        Body::Frames(bundle) => bundle.frames.len().div_ceil(FRAMES_PER_TOKEN),
        _ => 1,
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
    /// The first that did not reach the journal, and why.
    failed: Option<(Receipt, Refusal)>,
    query: Option<Query>,
}

/// Where what it is for stands.
fn place(receipt: &Receipt) -> (u64, u64) {
    (receipt.epoch, receipt.sequence)
}

impl Progress {
    /// The answer, when it is time for it.
    fn answer(&mut self) -> Option<(Query, Answer)> {
        let is_held = self.last.is_some() && self.held == self.last;
        let answer = match (&self.failed, &self.last) {
            // What found no place at all was not taken, and what came before it may hold.
            (Some((receipt, refusal)), Some(last)) if place(receipt) <= place(last) => {
                Answer::Refused(refusal.clone())
            }
            (_, Some(last)) if is_held => Answer::Held(last.clone()),
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
    is_settled: bool,
}

impl Flight {
    fn settle(mut self, outcome: Result<(), Refusal>) {
        self.is_settled = true;
        let Receipt { source, epoch, sequence } = self.receipt;
        let desk = &self.delivery.desk;
        match outcome {
            // The tick, which hears of it later than we, does not hear what nobody trusts any more; a receipt would keep it from
            // coming again.
            Ok(()) if !desk.edge.trust.has(&source) => {
                self.fail(Refusal::new(Code::UntrustedPeer, source, untrusted(source)));
            }
            Ok(()) => {
                lock(&desk.ledgers).entry(source).or_default().commit(epoch, sequence);
                self.delivery.progress(|progress| progress.held = Some(self.receipt.clone()));
            }
            Err(refusal) => self.fail(refusal),
        }
    }

    /// The frame may come again.
    fn fail(&self, refusal: Refusal) {
        let Receipt { source, epoch, sequence } = self.receipt;
        lock(&self.delivery.desk.ledgers).entry(source).or_default().release(epoch, sequence);
        self.delivery.progress(|progress| {
            let is_first = |(earlier, _): &(Receipt, Refusal)| place(&self.receipt) < place(earlier);
            if progress.failed.as_ref().is_none_or(is_first) {
                progress.failed = Some((self.receipt.clone(), refusal));
            }
        });
    }
}

impl Drop for Flight {
    /// A ticket that was dropped unanswered.
    fn drop(&mut self) {
        if !self.is_settled {
            let sentence = "the frame was dropped before the journal held it; send it again in a moment";
            self.fail(Refusal::new(Code::Busy, self.receipt.source, sentence));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clawmesh_authority::envelope::{Bundle, Said};
    use clawmesh_authority::leadership::{Say, Term};
    use clawmesh_authority::{Frame, Hlc};

    #[test]
    fn a_bundle_costs_its_source_by_what_it_holds() {
        let said = |sequence| Said {
            sequence,
            hlc: Hlc::default(),
            frame: Frame::Leadership(Say::Outdated(Term(1))),
        };
        let bundle = |frames| Body::Frames(Bundle { after: None, frames: (0..frames).map(said).collect() });
        assert_eq!([1, 8, 9, 32].map(|frames| tokens_of(&bundle(frames))), [1, 1, 2, 4]);
    }
}
