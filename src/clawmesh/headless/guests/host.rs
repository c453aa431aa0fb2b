//! What the links ask of the node, and hand over to it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clawmesh_authority::{Code as TickCode, MeshId, NodeId, NodeKey, Refusal as Told};
use clawmesh_bridge::Trust;
use clawmesh_core::guests::{GuestEnd, GuestProfile, HEARD_AT_ONCE_MAX};
use clawmesh_core::intake::{InboxHandle, Input, InputBody, SourceId, StreamKey};
use clawmesh_core::proposals::AnswerDesk;
use clawmesh_core::publish::Snapshot;
use clawmesh_gateway::SnapshotFeed;
use clawmesh_wire::abilities;
use clawmesh_wire::access::Method;
use clawmesh_wire::connect::About;
use clawmesh_wire::context::ContextFrame;
use clawmesh_wire::gate;
use clawmesh_wire::handshake::{Moment, PeerTrust};
use clawmesh_wire::log::Told as ToldFrame;
use clawmesh_wire::peer_spec::PeerSpec;
use clawmesh_wire::query::WorldQuery;
use clawmesh_wire::sync::{self, SyncParams};
use clawmesh_wire::system_events::{EventKind, EventLog, EventsQuery, SystemEvent};
use clawmesh_wire::trace::{self, TraceQuery};
use clawmesh_wire::{Code, Refusal};
use clawmesh_wire_link::{Answer, Counts, Host, Later, Peer, Session, Why};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use subtle::ConstantTimeEq as _;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::answers;
use super::budget::FrameBudget;
use super::commands::{Commands, TOO_MUCH, no_mock};
use super::knocks::Knocks;
use super::own::OwnFrames;
use super::refusals::{self, Refusals};
use super::routes::Routes;
use super::teller::Teller;
use crate::config::identity::random_secret;
use crate::moments::{unix_ms, up_ms};

/// How many answers that look through everything known are made at a time; the others wait.
const LOOKING_THROUGH_MAX: usize = 2;
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
    /// The nodes that somebody has configured to be dialled.
    pub peers: Vec<PeerSpec>,
    /// The owners of the actuators of the site, each with its id if the site says it.
    pub owners: BTreeMap<String, Option<NodeId>>,
    /// The channels whose messages are passed on, as `channel:<name>`.
    pub relay: Vec<String>,
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
    teller: Teller,
    commands: Commands,
    routes: Arc<Routes>,
    budget: Arc<Mutex<FrameBudget>>,
    /// Our own readings and abilities, as they were told last.
    own: Mutex<OwnFrames>,
    /// What has happened since this node started.
    events: Arc<Mutex<EventLog>>,
    /// What was refused at the door and is to be told.
    refusals: Arc<Mutex<Refusals>>,
    /// Who wanted to connect and was refused.
    knocks: Knocks,
    /// Who may look through everything now.
    turns: Arc<Semaphore>,
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
            configured: facts.peers.iter().map(answers::Configured::of).collect(),
            memory_bytes: None,
        };
        let budget: Arc<Mutex<FrameBudget>> = Arc::default();
        let (own, has_mock) = (facts.key.id(), facts.has_mock);
        let refusals: Arc<Mutex<Refusals>> = Arc::default();
        let events: Arc<Mutex<EventLog>> = Arc::default();
        let routes = Arc::new(Routes::new(
            &facts,
            about.capabilities.clone(),
            snapshots.clone(),
            Arc::clone(&events),
            Arc::clone(&refusals),
        ));
        let commands = Commands {
            routes: Arc::clone(&routes),
            own,
            has_mock,
            inbox: inbox.clone(),
            desk,
            budget: Arc::clone(&budget),
            refusals: Arc::clone(&refusals),
        };
        let teller = Teller::start(inbox.clone(), tasks);
        let host = Self {
            facts,
            about: Arc::new(about),
            shown,
            trust,
            snapshots,
            inbox,
            teller,
            commands,
            routes,
            budget,
            own: Mutex::default(),
            events,
            refusals,
            knocks: Knocks::default(),
            turns: Arc::new(Semaphore::new(LOOKING_THROUGH_MAX)),
            health: Mutex::default(),
        };
        host.note(EventKind::Startup, "this node has started".to_owned(), None, None);
        host
    }

    /// The nodes that somebody has configured to be dialled.
    pub fn peers(&self) -> &[PeerSpec] {
        &self.facts.peers
    }

    /// Who is asked for what.
    pub fn routes(&self) -> &Routes {
        &self.routes
    }

    /// Who wanted to connect and was refused.
    pub fn knocks(&self) -> Knocks {
        self.knocks.clone()
    }

    /// The newest picture of the world, if there is one yet.
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.snapshots.look().map(|(snapshot, _)| snapshot)
    }

    /// Remembers what has happened.
    pub fn note(&self, kind: EventKind, message: String, node: Option<NodeId>, task: Option<String>) {
        lock(&self.events).push(SystemEvent { kind, at_ms: unix_ms(), message, node, task });
    }

    /// Remembers, as long as anybody can still ask, that this node is about to end.
    pub fn tell_end(&self, why: &str) {
        self.note(EventKind::Shutdown, format!("this node is about to end: {why}"), None, None);
    }

    /// Tells the tick what was refused, also what the links have counted.
    pub fn tell_refusals(&self, counts: Counts) {
        let mut refusals = lock(&self.refusals);
        refusals.count(counts);
        let due = refusals.due(up_ms());
        drop(refusals);
        for (refusal, count) in due {
            self.note(EventKind::Error, refusal.to_string(), None, None);
            self.teller.tell(InputBody::Refused { refusal, count });
        }
    }

    /// Tells the tick who was heard.
    pub fn tell_heard(&self, heard: &[NodeId]) {
        for some in heard.chunks(HEARD_AT_ONCE_MAX) {
            self.teller.tell(InputBody::GuestsHeard(some.to_vec()));
        }
    }

    /// Makes the frames that are due about this node itself.
    pub fn renew_own(&self, snapshot: &Snapshot) -> Vec<ContextFrame> {
        lock(&self.own).renew(snapshot, &self.about.capabilities, unix_ms(), random_bytes)
    }

    fn picture(&self) -> Result<Arc<Snapshot>, Refusal> {
        self.snapshot().ok_or_else(starting)
    }

    fn health(&self, snapshot: &Snapshot) -> Answer {
        let mut kept = lock(&self.health);
        if let Some((tick, answer)) = &*kept
            && *tick == snapshot.tick
        {
            return Ok(answer.clone());
        }
        let shown = answers::About { memory_bytes: memory_bytes(), ..self.shown.clone() };
        let answer = raw(&answers::health(snapshot, lock(&self.own).all().len(), &shown))?;
        *kept = Some((snapshot.tick, answer.clone()));
        Ok(answer)
    }

    /// What has happened so far.
    pub fn event_log(&self) -> MutexGuard<'_, EventLog> {
        lock(&self.events)
    }

    /// Looks through everything that is known, two at a time and away from the tasks of connections; nothing before the first
    /// picture, or when this node ends.
    pub fn look_through<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Snapshot, &[Arc<ToldFrame>]) -> T + Send + 'static,
    ) -> impl Future<Output = Option<T>> + Send + 'static {
        let snapshots = self.snapshots.clone();
        let own: Vec<Arc<ToldFrame>> = lock(&self.own).all().cloned().collect();
        let turns = Arc::clone(&self.turns);
        async move {
            let turn = turns.acquire_owned().await.ok()?;
            // Whoever waits for a turn holds no picture meanwhile.
            let (snapshot, _) = snapshots.look()?;
            let looked = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                look(&snapshot, &own)
            });
            looked.await.ok()
        }
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

    fn newest_frame_ms(&self, told_by: NodeId) -> Option<u64> {
        let snapshot = self.snapshot()?;
        let told = snapshot.guests.frames().iter().filter(|told| told.from == told_by);
        told.map(|told| told.made_ms()).max()
    }

    fn has_room(&self, from: NodeId, bytes: usize) -> bool {
        let has_room = lock(&self.budget).spend(from, bytes as u64, up_ms());
        if !has_room {
            lock(&self.refusals).add(Told::new(TickCode::RateLimited, from.short(), TOO_MUCH), 1);
        }
        has_room
    }

    fn read(&self, _from: &Peer, method: Method, params: Option<&RawValue>) -> Option<Answer> {
        let answer =
            |read: &dyn Fn(&Snapshot) -> Answer| Some(self.picture().and_then(|snapshot| read(&snapshot)));
        match method {
            Method::Health => answer(&|snapshot| self.health(snapshot)),
            Method::Peers => answer(&|snapshot| raw(&answers::peers(snapshot))),
            Method::Status => answer(&|snapshot| raw(&answers::status(snapshot, &self.shown))),
            Method::Events => Some(
                EventsQuery::read(params)
                    .and_then(|query| raw(&lock(&self.events).answer(&query, unix_ms()))),
            ),
            Method::MockState => answer(&|snapshot| self.mock(snapshot, params)),
            _ => None,
        }
    }

    fn call(&self, from: &Peer, method: Method, params: Option<Box<RawValue>>) -> Later {
        match method {
            Method::Forward => self.commands.forward(from, params),
            Method::WorldQuery | Method::ContextSync | Method::Trace => {
                let looked = self
                    .look_through(move |snapshot, own| looked_up(method, params.as_deref(), snapshot, own));
                Box::pin(async move { looked.await.unwrap_or_else(|| Err(starting())) })
            }
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
        // One ring for each guest: who floods loses its own oldest frames and nobody else's.
        let key = StreamKey { source: SourceId::Guests, what: from.to_string() };
        let body = InputBody::GuestFrame { from, json };
        let sequence = self.inbox.next_sequence();
        self.inbox.offer_stream(key, Input { source: SourceId::Guests, sequence, body });
    }

    fn refused_handshake(&self, from: &Peer, claimed: Option<NodeId>, refusal: &Refusal) {
        if let Some(claimed) = claimed {
            self.knocks.refused(claimed, self.trust.has(&claimed), refusal, unix_ms());
        }
        let told = refusals::of_wire(from, refusal);
        let sentence = format!("no handshake with {}: {}", from.address.ip(), told.sentence);
        lock(&self.refusals).add(Told::new(told.code, "existing nodes/handshake", sentence), 1);
    }

    fn joined(&self, session: &Session) {
        self.knocks.came_in(&session.node);
        let words = format!("{} has connected", session.display_name.as_deref().unwrap_or("a node"));
        self.note(EventKind::PeerConnect, words, Some(session.node), None);
        let profile = GuestProfile {
            name: session.display_name.clone(),
            role: session.role.as_str().to_owned(),
            capabilities: abilities::fitting(&session.capabilities),
            is_outbound: session.is_outbound,
            label: session.transport_label.clone(),
            connected_ms: 0,
            signed_ms: Some(session.signed_at_ms),
        };
        self.teller.tell(InputBody::GuestJoined { guest: session.node, profile });
    }

    fn left(&self, node: NodeId, why: &Why) {
        self.note(EventKind::PeerDisconnect, why.to_string(), Some(node), None);
        let end = match why {
            Why::Leaving => GuestEnd::Left,
            Why::Down => GuestEnd::Down,
            _ => GuestEnd::Ended,
        };
        self.teller.tell(InputBody::GuestLeft { guest: node, why: why.to_string(), end });
        lock(&self.budget).forget_idle(up_ms());
    }
}

fn starting() -> Refusal {
    Refusal::new(Code::Busy, "the node is starting; ask again in a moment")
}

/// What is held under a lock here is in order whoever panicked: nothing panics half-way.
pub fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The answer to a question that looks through everything known.
fn looked_up(
    method: Method,
    params: Option<&RawValue>,
    snapshot: &Snapshot,
    own: &[Arc<ToldFrame>],
) -> Answer {
    match method {
        Method::WorldQuery => raw(&answers::world(snapshot, own, &WorldQuery::read(params)?)),
        Method::ContextSync => {
            raw(&sync::answer(&SyncParams::read(params)?, answers::all(snapshot, own), unix_ms()))
        }
        _ => raw(&trace::answer(&TraceQuery::read(params)?, answers::chains(snapshot, own))?),
    }
}

/// Bytes for a name; nothing when the system has none, which is told where they are missing.
pub fn random_bytes() -> Option<[u8; 16]> {
    let secret = random_secret("name of a frame").ok()?;
    let mut random = [0; 16];
    random.copy_from_slice(&secret[..16]);
    Some(random)
}

/// An answer that waits for nothing.
pub fn at_once(answer: Answer) -> Later {
    Box::pin(async { answer })
}

/// An answer as JSON.
pub fn raw(answer: &impl Serialize) -> Answer {
    serde_json::value::to_raw_value(answer).map_err(|why| Refusal::new(Code::InternalError, why.to_string()))
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
