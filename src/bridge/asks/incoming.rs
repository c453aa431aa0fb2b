//! Signed requests and approvals that come to this node: judged at the edge, brought to the tick, answered in its name.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clawmesh_authority::answer::name_of_asked;
use clawmesh_authority::envelope::unproven;
use clawmesh_authority::{
    Answer, AskKind, Code, ContentHash, NodeId, PublicKey, Refusal, Refused, RequestBody, Role, Roster,
    approval, request, signed,
};
use clawmesh_core::intake::{InputBody, SourceId};
use clawmesh_core::safety::{Latched, StopReport};
use crossbeam_channel::Sender;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{sleep, timeout};
use zenoh::query::Query;

use super::flights::{Boarding, Flights};
use super::payload::{self, PAYLOAD_BYTES_MAX};
use crate::edge::{Edge, lock};
use crate::gate::{Gate, UNKNOWN};
use crate::replies::{self, Reply};

/// How long our actuators may take to be shown safe after a stop, milliseconds; whoever asks waits two seconds.
const SAFE_WITHIN_MS: u64 = 1_500;
/// How often that is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Takes questions.
pub struct AsksIn {
    edge: Arc<Edge>,
    gate: Gate,
    flights: Mutex<Flights<Query>>,
    stops: Arc<Semaphore>,
    /// The newest change of people that the budgets know of.
    people_seen: AtomicU64,
    replies: Sender<Reply>,
    runtime: Handle,
}

/// Something signed for us, by somebody who may ask.
struct Admitted {
    caller: Caller,
    /// The reason, if it is a stop.
    stop: Option<String>,
}

/// Whoever signed.
struct Caller {
    /// The name of the key in our budgets, whether it is a node's or a person's.
    name: NodeId,
    /// Who it is, for people.
    shown: String,
}

impl AsksIn {
    /// Nobody has asked yet. What waits is waited for on `runtime`.
    pub fn new(edge: Arc<Edge>, replies: Sender<Reply>, runtime: Handle) -> Self {
        let names = names_with(edge.trust.nodes(), &edge.people.now());
        let limits =
            crate::BridgeLimits { envelopes_per_second_max: edge.limits.asks_per_second_max, ..edge.limits };
        let places = edge.limits.asks_in_flight_max;
        Self {
            gate: Gate::new(&limits, &names),
            flights: Mutex::new(Flights::new(places)),
            stops: Arc::new(Semaphore::new(places)),
            people_seen: AtomicU64::new(edge.people.changes()),
            edge,
            replies,
            runtime,
        }
    }

    /// From now on these are the nodes that are trusted.
    pub fn follow(&self, trusted: &BTreeSet<NodeId>) {
        self.gate.follow(&names_with(trusted.clone(), &self.edge.people.now()));
    }

    /// Whoever was enrolled since somebody asked last has a budget of their own.
    fn follow_people(&self) {
        let changes = self.edge.people.changes();
        if self.people_seen.swap(changes, Ordering::AcqRel) != changes {
            self.follow(&self.edge.trust.nodes());
        }
    }

    /// Takes a query on `rpc/ask`.
    pub fn ask(self: &Arc<Self>, query: &Query) {
        self.follow_people();
        let asked = asked_in(query);
        let claimed = asked.as_ref().ok().and_then(|(_, bytes)| signed::claimed_key(bytes)).map(name_of_key);
        if let Err(refusal) = self.gate.enter(claimed, self.edge.now_ns()) {
            // Unanswered, or a flood would fill the queue of answers and push out receipts.
            return self.edge.refuse(refusal);
        }
        let (kind, bytes) = match asked {
            Ok(asked) => asked,
            Err(refusal) => {
                self.edge.refuse(refusal.clone());
                return self.send(query.clone(), replies::Answer::Refused(refusal));
            }
        };
        let to = name_of_asked(&bytes);
        match self.admit(kind, &bytes, claimed) {
            Ok(Admitted { caller, stop: Some(why) }) => {
                self.gate.give_back(claimed, 1);
                self.stop(query.clone(), &caller, &why, bytes, to);
            }
            Ok(Admitted { caller, stop: None }) => match self.edge.timeless() {
                // Before anything remembers it, so that the same can come again.
                Some(refusal) => {
                    let refused = Refused::new(refusal.code, "clock.known", refusal.sentence.clone());
                    self.edge.refuse(refusal);
                    self.reply(query.clone(), to, refused.into());
                }
                None => self.board(query.clone(), &caller, kind, bytes, to),
            },
            Err((refused, from)) => {
                self.edge.refuse(refused.given_to(from));
                self.reply(query.clone(), to, refused.into());
            }
        }
    }

    /// Form and signature, then for whom, then by whom: before the signature nobody is to blame by name.
    fn admit(
        &self,
        kind: AskKind,
        bytes: &[u8],
        claimed: Option<NodeId>,
    ) -> Result<Admitted, (Refused, String)> {
        let nobody = |refused| (refused, claimed.map_or_else(|| UNKNOWN.to_owned(), unproven));
        match kind {
            AskKind::Request => {
                let signed = request::open(bytes).map_err(nobody)?;
                let caller = self.caller(signed.signer(), true);
                let proven = |refused| (refused, shown(&caller, signed.signer()));
                signed.is_for(self.edge.mesh, self.edge.own).map_err(proven)?;
                let stop = match &signed.request().body {
                    RequestBody::Stop { why } => Some(why.clone()),
                    _ => None,
                };
                caller
                    .map(|caller| Admitted { caller, stop })
                    .map_err(|refused| (refused, signed.signer().id().to_string()))
            }
            AskKind::Approval => {
                let signed = approval::open(bytes).map_err(nobody)?;
                let caller = self.caller(signed.key(), false);
                let proven = |refused| (refused, shown(&caller, signed.key()));
                self.is_for_us(signed.approval()).map_err(proven)?;
                caller
                    .map(|caller| Admitted { caller, stop: None })
                    .map_err(|refused| (refused, signed.operator().to_string()))
            }
        }
    }

    fn is_for_us(&self, approval: &clawmesh_authority::Approval) -> Result<(), Refused> {
        let (rule, field) = match (approval.mesh == self.edge.mesh, approval.owner == self.edge.own) {
            (true, true) => return Ok(()),
            (false, _) => ("approval.mesh", "mesh"),
            (true, false) => ("approval.owner", "owner"),
        };
        let sentence =
            format!("the approval is for another {field}, and nothing is passed on; ask that owner");
        Err(Refused::new(Code::ApprovalMismatch, rule, sentence))
    }

    /// Who may ask us at all; what they may ask for is for the tick to say.
    fn caller(&self, key: &PublicKey, may_be_node: bool) -> Result<Caller, Refused> {
        let (node, person) = (key.id(), key.operator_id());
        if may_be_node && self.edge.trust.has(&node) {
            return Ok(Caller { name: node, shown: node.to_string() });
        }
        let people = self.edge.people.now();
        if people.get(&person).is_none() {
            let sentence = format!(
                "the key is of no trusted node and of nobody enrolled here; trust it with `clawmesh trust add {node}`, or \
                 have person {person} enrolled"
            );
            return Err(Refused::new(Code::NotAuthorized, "ask.signer", sentence));
        }
        people.may(&person, Role::Observer)?;
        Ok(Caller { name: node, shown: person.to_string() })
    }

    /// The latch first, of which the tick hears by itself. Then who asked hears which of our actuators are shown to be safe.
    fn stop(self: &Arc<Self>, query: Query, caller: &Caller, why: &str, bytes: Vec<u8>, to: ContentHash) {
        let at_ns = self.edge.now_ns();
        let was_latched = self.edge.latch.is_latched();
        let is_too_often = self.gate.take(caller.name, 1, at_ns).is_err();
        // To repeat a stop costs a file and rows of the journal; the one that stops is never too much.
        let unkept = match was_latched && is_too_often {
            true => None,
            false => self.latch(caller, why, bytes).unkept,
        };
        match Arc::clone(&self.stops).try_acquire_owned() {
            Ok(place) => {
                let watch = Arc::clone(self).watch(query, to, at_ns, unkept, place);
                self.runtime.spawn(watch);
            }
            Err(_) => self.confirm(query, to, &self.report(at_ns).with(unkept)),
        }
    }

    fn latch(&self, caller: &Caller, why: &str, bytes: Vec<u8>) -> Latched {
        let latched = self.edge.latch.latch(why);
        tracing::warn!("stopped by {}: {why}", caller.shown);
        // Who it was, with the signature. A full inbox loses that, and not the stop.
        let asked = InputBody::Asked { kind: AskKind::Request, bytes };
        if let Err(refusal) = self.edge.inbox.offer_own(SourceId::Bridge, asked, None) {
            self.edge.refuse(refusal);
        }
        latched
    }

    async fn watch(
        self: Arc<Self>,
        query: Query,
        to: ContentHash,
        at_ns: u64,
        unkept: Option<String>,
        _place: OwnedSemaphorePermit,
    ) {
        loop {
            let report = self.report(at_ns);
            if report.is_complete() || self.since_ms(at_ns) >= SAFE_WITHIN_MS {
                return self.confirm(query, to, &report.with(unkept));
            }
            sleep(LOOK_EVERY).await;
        }
    }

    fn report(&self, at_ns: u64) -> StopReport {
        StopReport::of((self.edge.standing)(), self.since_ms(at_ns))
    }

    fn since_ms(&self, at_ns: u64) -> u64 {
        self.edge.now_ns().saturating_sub(at_ns) / 1_000_000
    }

    fn confirm(&self, query: Query, to: ContentHash, report: &StopReport) {
        self.reply(query, to, Answer::Taken { proposal: None, words: report.to_text() });
    }

    /// Brings it to the tick, unless the same is on its way or was answered a moment ago.
    fn board(
        self: &Arc<Self>,
        query: Query,
        caller: &Caller,
        kind: AskKind,
        bytes: Vec<u8>,
        to: ContentHash,
    ) {
        let boarding = lock(&self.flights).board(to, query, self.edge.now_ns());
        if matches!(boarding, Boarding::New) {
            self.gate.give_back(Some(caller.name), 1);
        }
        match boarding {
            Boarding::Joined => {}
            Boarding::Answered(query, answer) => self.reply(query, to, answer),
            Boarding::Full(query) => {
                let refused = busy("too many wait for an answer of this node; ask again in a moment");
                self.edge.refuse(refused.given_to(&caller.shown));
                self.reply(query, to, refused.into());
            }
            Boarding::New => {
                if let Err(refused) = self.take_off(caller, kind, bytes, to) {
                    self.edge.refuse(refused.given_to(&caller.shown));
                    self.land(to, &refused.into());
                }
            }
        }
    }

    fn take_off(
        self: &Arc<Self>,
        caller: &Caller,
        kind: AskKind,
        bytes: Vec<u8>,
        to: ContentHash,
    ) -> Result<(), Refused> {
        if let Some(refusal) = self.edge.commits.refusal() {
            return Err(Refused::new(refusal.code, "ask.journal", refusal.sentence));
        }
        self.gate.take(caller.name, 1, self.edge.now_ns()).map_err(|_| self.too_often())?;
        let (tell, told) = oneshot::channel();
        // When the patience is over there is nobody to tell.
        let tell = move |answer| drop(tell.send(answer));
        let place = self.edge.desk.ask(&self.edge.inbox, SourceId::Bridge, kind, bytes, tell);
        let place = place.map_err(|refusal| busy(&refusal.sentence))?;
        let desk = Arc::clone(self);
        let patience = Duration::from_millis(self.edge.limits.answer_within_ms);
        self.runtime.spawn(async move {
            let _place = place;
            let answer = match timeout(patience, told).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) | Err(_) => unconfirmed(),
            };
            desk.land(to, &answer);
        });
        Ok(())
    }

    fn land(&self, to: ContentHash, answer: &Answer) {
        let waited = lock(&self.flights).land(to, answer, self.edge.now_ns());
        for query in waited {
            self.reply(query, to, answer.clone());
        }
    }

    fn too_often(&self) -> Refused {
        let rate = self.edge.limits.asks_per_second_max;
        let sentence =
            format!("this key has asked more than {rate} times in a second; ask again in a moment");
        Refused::new(Code::RateLimited, "ask.rate", sentence)
    }

    fn reply(&self, query: Query, to: ContentHash, answer: Answer) {
        self.send(query, replies::Answer::Signed { to, answer });
    }

    fn send(&self, query: Query, answer: replies::Answer) {
        // A full queue drops the answer: whoever asked hears nothing in time and asks again.
        let _ = self.replies.try_send(Reply { query, answer });
    }
}

/// Whose budgets are their own: the nodes we trust and the people who are enrolled.
fn names_with(mut nodes: BTreeSet<NodeId>, people: &Roster) -> BTreeSet<NodeId> {
    let enrolled = people.iter().filter(|person| !people.is_revoked(&person.id));
    nodes.extend(enrolled.map(|person| name_of_key(&person.key)));
    nodes
}

fn name_of_key(raw: &[u8; 32]) -> NodeId {
    <NodeId as clawmesh_authority::KeyId>::of_public_key(raw)
}

fn shown(caller: &Result<Caller, Refused>, key: &PublicKey) -> String {
    caller.as_ref().map_or_else(|_| key.id().to_string(), |caller| caller.shown.clone())
}

/// The kind and the signed bytes; too large is refused before anything is copied.
fn asked_in(query: &Query) -> Result<(AskKind, Vec<u8>), Refusal> {
    let malformed = |sentence: &str| Refusal::new(Code::MalformedEnvelope, UNKNOWN, sentence);
    let payload =
        query.payload().ok_or_else(|| malformed("the query has no payload; it must carry what is asked"))?;
    if payload.len() > PAYLOAD_BYTES_MAX {
        let sentence = format!("{} bytes, rpc/ask takes at most {PAYLOAD_BYTES_MAX}", payload.len());
        return Err(Refusal::new(Code::TooLarge, UNKNOWN, sentence));
    }
    let payload = payload.to_bytes();
    payload::read(&payload).map(|(kind, bytes)| (kind, bytes.to_vec())).ok_or_else(|| {
        malformed("the payload begins with no kind; it is one byte, 0 for a request and 1 for an approval")
    })
}

fn busy(sentence: &str) -> Refused {
    Refused::new(Code::Busy, "ask.place", sentence)
}

fn unconfirmed() -> Answer {
    let sentence = "the owner has not decided in time, and what was asked may or may not be taken; \
                    look at its proposals before asking again";
    Refused::new(Code::JournalUnavailable, "ask.answered", sentence).into()
}
