//! What the links ask of the node, and hand over to it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clawmesh_authority::{Answer as Decided, Code as TickCode, MeshId, NodeId, NodeKey, Refusal as Told};
use clawmesh_bridge::Trust;
use clawmesh_core::guests::{GuestProfile, name_of_command};
use clawmesh_core::intake::{InboxHandle, Input, InputBody, SourceId, StreamKey};
use clawmesh_core::proposals::AnswerDesk;
use clawmesh_core::publish::Snapshot;
use clawmesh_gateway::SnapshotFeed;
use clawmesh_wire::access::Method;
use clawmesh_wire::connect::About;
use clawmesh_wire::context::ContextFrame;
use clawmesh_wire::gate::{self, Allowed, Delivered, Forward};
use clawmesh_wire::handshake::{Moment, PeerTrust};
use clawmesh_wire::query::WorldQuery;
use clawmesh_wire::sync::{self, SyncParams};
use clawmesh_wire::{Code, Refusal};
use clawmesh_wire_link::{Answer, Host, Later, Peer, Session, Why};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use subtle::ConstantTimeEq as _;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::answers;
use super::budget::{BYTES_PER_SECOND, FrameBudget, Spent};
use super::teller::Teller;
use crate::config::identity::random_secret;
use crate::moments::{unix_ms, up_ms};

/// How long a guest waits for the tick and the journal.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// The largest command, in bytes.
const COMMAND_BYTES_MAX: usize = 8 * 1_024;
/// The most capabilities of a guest that are shown.
const CAPABILITIES_MAX: usize = 32;
/// The most that a target in a question for the mock actuator may have, in bytes.
const TARGET_BYTES_MAX: usize = 512;

/// What the node says of itself and does not change while it runs.
pub struct GuestFacts {
    /// Its key.
    pub key: NodeKey,
    /// What people call it.
    pub name: String,
    /// Its role.
    pub role: String,
    /// Its mesh.
    pub mesh: MeshId,
    /// Whether it has a mock actuator.
    pub has_mock: bool,
    /// Whether it looks for other nodes.
    pub is_discovering: bool,
    /// Whether it plans.
    pub plans: bool,
    /// The token of the gateway: whoever has it operates this node.
    pub token: String,
}

/// The node behind the links.
pub struct GuestHost {
    facts: GuestFacts,
    about: Arc<About>,
    shown: answers::About,
    trust: Arc<Trust>,
    snapshots: SnapshotFeed,
    inbox: InboxHandle,
    desk: AnswerDesk,
    teller: Teller,
    frames: Mutex<FrameBudget>,
    /// The answer to `mesh.health`, and of which tick it is: asked for often, and the same until the next picture.
    health: Mutex<Option<(u64, Box<RawValue>)>>,
}

impl GuestHost {
    /// The node with these facts; `tasks` run what it does later.
    pub fn new(
        facts: GuestFacts,
        trust: Arc<Trust>,
        snapshots: SnapshotFeed,
        inbox: InboxHandle,
        desk: AnswerDesk,
        tasks: &Handle,
    ) -> Self {
        let mut capabilities = Vec::new();
        if facts.has_mock {
            capabilities.extend(["channel:clawmesh", "actuator:mock"].map(str::to_owned));
        }
        let about = About {
            display_name: Some(facts.name.clone()),
            capabilities: capabilities.clone(),
            mesh_id: Some(facts.mesh.to_string()),
            role: Some(facts.role.clone()),
        };
        let shown = answers::About {
            capabilities,
            started_ms: unix_ms(),
            is_discovering: facts.is_discovering,
            plans: facts.plans,
            memory_bytes: None,
        };
        let teller = Teller::start(inbox.clone(), tasks);
        let (about, frames, health) = (Arc::new(about), Mutex::default(), Mutex::default());
        Self { facts, about, shown, trust, snapshots, inbox, desk, teller, frames, health }
    }

    fn picture(&self) -> Result<Arc<Snapshot>, Refusal> {
        let starting = || Refusal::new(Code::Busy, "the node is starting; ask again in a moment");
        self.snapshots.look().map(|(snapshot, _)| snapshot).ok_or_else(starting)
    }

    fn health(&self, snapshot: &Snapshot) -> Answer {
        let mut kept = lock(&self.health);
        if let Some((tick, answer)) = &*kept
            && *tick == snapshot.tick
        {
            return Ok(answer.clone());
        }
        let shown = answers::About { memory_bytes: memory_bytes(), ..self.shown.clone() };
        let answer = raw(&answers::health(snapshot, &shown))?;
        *kept = Some((snapshot.tick, answer.clone()));
        Ok(answer)
    }

    fn sync(&self, snapshot: &Snapshot, params: Option<&RawValue>) -> Answer {
        let params = SyncParams::read(params)?;
        let frames = snapshot.guests.frames().iter().map(|frame| &**frame);
        raw(&sync::answer(&params, frames, unix_ms()))
    }

    fn mock(&self, snapshot: &Snapshot, params: Option<&RawValue>) -> Answer {
        if !self.facts.has_mock {
            return Err(no_mock());
        }
        let target = target_in(params)?;
        let mut state = snapshot.guests.mock().cloned().unwrap_or_default();
        if let Some(target) = target {
            let name = gate::actuator_name(&target);
            state.records.retain(|record| gate::actuator_name(&record.target_ref) == name);
            state.history.retain(|record| gate::actuator_name(&record.target_ref) == name);
        }
        raw(&state)
    }

    fn forward(&self, from: &Peer, params: Option<Box<RawValue>>) -> Later {
        let judged = gate::judge(params.as_deref(), self.facts.key.id(), unix_ms())
            .and_then(|allowed| gate::authorize(allowed, from.caller.rights()));
        match (judged, params) {
            (Err(refusal), _) => at_once(Err(refusal)),
            (Ok(Allowed::Actuation(forward)), Some(params)) => self.command(from, forward, &params),
            (Ok(Allowed::Message(forward)), _) => {
                let sentence = format!("nobody listens on the channel {:?} here", forward.channel);
                at_once(Err(Refusal::new(Code::DeliveryFailed, sentence)))
            }
            (Ok(_), _) => {
                let sentence = "the planner of this node takes no words; propose with `clawmesh propose`";
                at_once(Err(Refusal::new(Code::NoPlanner, sentence)))
            }
        }
    }

    /// A command goes into the journal before anybody knows whether it does anything.
    fn may_be_written(&self, node: NodeId, bytes: usize) -> Result<(), Refusal> {
        if bytes > COMMAND_BYTES_MAX {
            let sentence = format!("a command has at most {COMMAND_BYTES_MAX} bytes, this one has {bytes}");
            return Err(Refusal::new(Code::TooLarge, sentence));
        }
        match lock(&self.frames).spend(node, bytes as u64, up_ms()) {
            Spent::Taken => Ok(()),
            Spent::LeftOut { .. } => {
                let sentence = format!(
                    "more than {BYTES_PER_SECOND} bytes a second of one node are not written down; ask again later"
                );
                Err(Refusal::new(Code::RateLimited, sentence))
            }
        }
    }

    /// Brings a command to the tick and answers when the journal holds what became of it.
    fn command(&self, from: &Peer, forward: Forward, params: &RawValue) -> Later {
        if !self.facts.has_mock {
            return at_once(Err(no_mock()));
        }
        let Some(node) = from.node else {
            let sentence = "a command comes from a node; connect as one first";
            return at_once(Err(Refusal::new(Code::NotAuthorized, sentence)));
        };
        let json = params.get().to_owned();
        if let Err(refusal) = self.may_be_written(node, json.len()) {
            return at_once(Err(refusal));
        }
        let (tx, rx) = oneshot::channel();
        let Ok(place) = self.desk.wait_for(name_of_command(node, &json), move |answer| drop(tx.send(answer)))
        else {
            return at_once(Err(Refusal::new(Code::Busy, "too many others wait for an answer; try again")));
        };
        let body = InputBody::GuestCommand { from: node, json };
        if let Err(full) = self.inbox.offer_own(SourceId::Guests, body, None) {
            return at_once(Err(Refusal::new(Code::Busy, full.sentence)));
        }
        Box::pin(async move {
            // Held as long as somebody waits here.
            let _place = place;
            match tokio::time::timeout(ANSWER_WITHIN, rx).await {
                Ok(Ok(Decided::Taken { .. })) => delivered(&forward),
                Ok(Ok(Decided::Refused { code, sentence, .. })) => {
                    Err(Refusal::new(wire_code(code.as_str()), sentence))
                }
                Ok(Err(_)) | Err(_) => {
                    let sentence = "the node has not answered; whether it was carried out is not known, look before you repeat it";
                    Err(Refusal::new(Code::JournalUnavailable, sentence))
                }
            }
        })
    }
}

impl Host for GuestHost {
    fn key(&self) -> &NodeKey {
        &self.facts.key
    }

    fn about(&self) -> Arc<About> {
        Arc::clone(&self.about)
    }

    fn trust(&self, node: NodeId) -> PeerTrust {
        if self.trust.has(&node) { PeerTrust::Trusted } else { PeerTrust::Unknown }
    }

    fn is_operator_token(&self, token: &str) -> bool {
        token.as_bytes().ct_eq(self.facts.token.as_bytes()).into()
    }

    fn now(&self) -> Moment {
        Moment { unix_ms: unix_ms(), elapsed: Duration::from_millis(up_ms()) }
    }

    fn newest_frame_ms(&self) -> Option<u64> {
        self.picture().ok()?.guests.frames().last().map(|frame| frame.timestamp_ms)
    }

    fn read(&self, _from: &Peer, method: Method, params: Option<&RawValue>) -> Option<Answer> {
        let answer =
            |read: &dyn Fn(&Snapshot) -> Answer| Some(self.picture().and_then(|snapshot| read(&snapshot)));
        match method {
            Method::Health => answer(&|snapshot| self.health(snapshot)),
            Method::Peers => answer(&|snapshot| raw(&answers::peers(snapshot))),
            Method::Status => answer(&|snapshot| raw(&answers::status(snapshot, &self.shown))),
            Method::WorldQuery => {
                answer(&|snapshot| raw(&answers::world(snapshot, &WorldQuery::read(params)?)))
            }
            Method::ContextSync => answer(&|snapshot| self.sync(snapshot, params)),
            Method::MockState => answer(&|snapshot| self.mock(snapshot, params)),
            _ => None,
        }
    }

    fn call(&self, from: &Peer, method: Method, params: Option<Box<RawValue>>) -> Later {
        match method {
            Method::Forward => self.forward(from, params),
            Method::ProposalApprove | Method::ProposalReject => {
                let sentence = "a proposal is answered with a signature, and no program has the key: a person runs \
                                `clawmesh approve ID` or `clawmesh reject ID`";
                at_once(Err(Refusal::new(Code::ApprovalRequired, sentence)))
            }
            _ => {
                let sentence = format!("{} is not served by this node", method.as_str());
                at_once(Err(Refusal::new(Code::UnknownMethod, sentence)))
            }
        }
    }

    fn frame(&self, from: NodeId, frame: ContextFrame) {
        let Ok(json) = serde_json::to_string(&frame) else { return };
        match lock(&self.frames).spend(from, json.len() as u64, up_ms()) {
            Spent::Taken => {}
            Spent::LeftOut { to_tell: 0 } => return,
            Spent::LeftOut { to_tell } => {
                let sentence = format!(
                    "frames of a guest were left out: more than {BYTES_PER_SECOND} bytes a second are not written down; \
                     let it tell less"
                );
                let refusal = Told::new(TickCode::RateLimited, from.short(), sentence);
                return self.teller.tell(InputBody::Refused { refusal, count: to_tell });
            }
        }
        // One ring for each guest: who floods loses its own oldest frames and nobody else's.
        let key = StreamKey { source: SourceId::Guests, what: from.to_string() };
        let body = InputBody::GuestFrame { from, json };
        let sequence = self.inbox.next_sequence();
        self.inbox.offer_stream(key, Input { source: SourceId::Guests, sequence, body });
    }

    fn joined(&self, session: &Session) {
        let profile = GuestProfile {
            name: session.display_name.clone(),
            role: session.role.as_str().to_owned(),
            capabilities: session.capabilities.iter().take(CAPABILITIES_MAX).cloned().collect(),
            is_outbound: session.is_outbound,
            label: session.transport_label.clone(),
            connected_ms: 0,
        };
        self.teller.tell(InputBody::GuestJoined { guest: session.node, profile });
    }

    fn left(&self, node: NodeId, why: &Why) {
        self.teller.tell(InputBody::GuestLeft { guest: node, why: why.to_string() });
        lock(&self.frames).forget_idle(up_ms());
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn at_once(answer: Answer) -> Later {
    Box::pin(async { answer })
}

fn raw(answer: &impl Serialize) -> Answer {
    serde_json::value::to_raw_value(answer).map_err(|why| Refusal::new(Code::InternalError, why.to_string()))
}

fn no_mock() -> Refusal {
    let sentence = "there is no mock actuator here, and plain commands reach nothing else; what is real moves by an approved \
                    proposal only";
    Refusal::new(Code::NotFound, sentence)
}

fn delivered(forward: &Forward) -> Answer {
    let secret = random_secret("name of a message")
        .map_err(|why| Refusal::new(Code::InternalError, why.to_string()))?;
    let mut random = [0; 16];
    random.copy_from_slice(&secret[..16]);
    raw(&Delivered::new(forward, &random))
}

/// The code of the wire that says the same; what has none there is something that is not there.
fn wire_code(text: &str) -> Code {
    Code::ALL.iter().copied().find(|code| code.as_str() == text).unwrap_or(Code::NotFound)
}

fn target_in(params: Option<&RawValue>) -> Result<Option<String>, Refusal> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Params {
        target_ref: Option<String>,
    }
    let Some(params) = params else { return Ok(None) };
    let wrong = |_| Refusal::new(Code::InvalidParams, "`targetRef` must be a text");
    let Params { target_ref } = serde_json::from_str(params.get()).map_err(wrong)?;
    match target_ref {
        Some(target) if target.len() > TARGET_BYTES_MAX => {
            let sentence = format!("`targetRef` has at most {TARGET_BYTES_MAX} bytes");
            Err(Refusal::new(Code::InvalidParams, sentence))
        }
        target => Ok(target),
    }
}

/// How much memory this process has resident, bytes.
#[cfg(target_os = "linux")]
fn memory_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1_024)
}

/// How much memory this process has resident; not known here.
#[cfg(not(target_os = "linux"))]
fn memory_bytes() -> Option<u64> {
    None
}
