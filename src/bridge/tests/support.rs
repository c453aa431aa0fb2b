//! A node without a world: the bridge, and the doors in the hands of the test.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clawmesh_authority::envelope::{self, Receipt, Said};
use clawmesh_authority::{
    Answer, Body, Capability, Code, ContentHash, Frame, Hlc, LaneMark, MeshId, NodeId, NodeKey, Observation,
    Reading, ReadingBatch, Refusal, Roster, Statement, Tier, Unit, Value, answer,
};
use clawmesh_bridge::{
    Bridge, BridgeConfig, BridgeLimits, BridgePorts, Mapping, Papers, Part, Telling, ZenohMode, spawn,
};
use clawmesh_core::intake::{
    InboxHandle, InboxLimits, Inboxes, Input, InputBody, LinkState, SourceId, doors,
};
use clawmesh_core::mesh::Neighbours;
use clawmesh_core::proposals::AnswerDesk;
use clawmesh_core::publish::{Outbox, OutboxReader, Outgoing, outbox};
use clawmesh_core::replay::{CommitWatch, Ticket};
use clawmesh_core::safety::{Latched, Standing, StopPort};
use crossbeam_channel::{after, select, tick};
use zenoh::handlers::FifoChannelHandler;
use zenoh::query::{Queryable, Reply};
use zenoh::{Session, Wait};

use crate::times::Sought;

pub const NOW_MS: u64 = 1_730_000_000_000;
pub const PATIENCE: Duration = Duration::from_secs(20);
/// Long enough for loopback to deliver what must not be delivered. Nobody can wait for what does not happen, so
/// this is the one pause of these tests; a slow machine can make them miss a fault, never find one.
const QUIET: Duration = Duration::from_millis(300);

pub fn mesh() -> MeshId {
    MeshId::of_name("barn")
}

pub fn key(n: u8) -> NodeKey {
    NodeKey::from_secret(&[n; 32])
}

pub fn id(n: u8) -> NodeId {
    key(n).id()
}

/// What a test may choose about a node.
pub struct Setup {
    pub listen: Vec<String>,
    pub connect: Vec<String>,
    pub trusted: BTreeSet<NodeId>,
    pub parts: BTreeMap<NodeId, Part>,
    pub mode: ZenohMode,
    pub mappings: Vec<Mapping>,
    pub limits: BridgeLimits,
    pub marks: BTreeMap<NodeId, (LaneMark, LaneMark)>,
    pub inbox: InboxLimits,
    pub people: Roster,
    pub papers: Option<Papers>,
    /// How wrong its clock is.
    pub off_ms: i64,
    /// Who looks for the time, if nothing keeps the clock.
    pub keeper: Option<Arc<Sought>>,
    /// What it tells others, if nothing keeps its clock.
    pub telling: Telling,
}

impl Setup {
    /// Listens on a free port and trusts these nodes.
    pub fn trusting(trusted: &[u8]) -> Self {
        Self {
            listen: vec!["tcp/127.0.0.1:0".to_owned()],
            connect: Vec::new(),
            trusted: trusted.iter().map(|n| id(*n)).collect(),
            parts: BTreeMap::new(),
            mode: ZenohMode::Peer,
            mappings: Vec::new(),
            limits: BridgeLimits::default(),
            marks: BTreeMap::new(),
            inbox: InboxLimits::default(),
            people: Roster::default(),
            papers: None,
            off_ms: 0,
            keeper: None,
            telling: Telling::Never,
        }
    }

    /// Connects there, and listens nowhere.
    pub fn connecting(self, endpoint: &str) -> Self {
        Self { listen: Vec::new(), connect: vec![endpoint.to_owned()], ..self }
    }

    pub fn config(self) -> BridgeConfig {
        BridgeConfig {
            mesh: mesh(),
            mode: self.mode,
            listen: self.listen,
            connect: self.connect,
            discovery: false,
            trusted: self.trusted,
            parts: self.parts,
            mappings: self.mappings,
            limits: self.limits,
            marks: self.marks,
            people: self.people,
        }
    }
}

/// A latch that a test looks at, and opens.
#[derive(Default)]
pub struct Latch(Mutex<(Option<String>, u64)>);

impl Latch {
    pub fn reason(&self) -> Option<String> {
        self.0.lock().unwrap().0.clone()
    }

    pub fn stops(&self) -> u64 {
        self.0.lock().unwrap().1
    }

    pub fn rearm(&self) {
        self.0.lock().unwrap().0 = None;
    }
}

impl StopPort for Latch {
    fn latch(&self, why: &str) -> Latched {
        let mut held = self.0.lock().unwrap();
        held.1 += 1;
        let reason = held.0.get_or_insert_with(|| why.to_owned()).clone();
        Latched { reason, unkept: None }
    }

    fn is_latched(&self) -> bool {
        self.reason().is_some()
    }
}

/// The ports of a bridge, and what of them a test holds besides the doors.
pub fn ports(n: u8, inbox: InboxHandle, outbox: OutboxReader, commits: CommitWatch) -> (BridgePorts, Held) {
    let held = Held::default();
    let shown = Arc::clone(&held.standing);
    let given = Arc::clone(&held.papers);
    let ports = BridgePorts {
        key: key(n),
        epoch: 1,
        inbox,
        outbox,
        commits,
        unix_ms: Arc::new(|| NOW_MS),
        clock: None,
        telling: Arc::new(|| Telling::Time),
        desk: held.desk.clone(),
        latch: held.latch.clone(),
        papers: Arc::new(move || Ok(given.lock().unwrap().clone())),
        standing: Arc::new(move || shown.lock().unwrap().clone()),
    };
    (ports, held)
}

/// The desk, the latch, how the actuators are shown to stand, and the papers.
#[derive(Clone, Default)]
pub struct Held {
    pub desk: AnswerDesk,
    pub latch: Arc<Latch>,
    pub standing: Arc<Mutex<Option<Standing>>>,
    pub papers: Arc<Mutex<Option<Papers>>>,
}

/// One node of a test.
pub struct Node {
    pub id: NodeId,
    pub outbox: Outbox,
    reader: OutboxReader,
    pub commits: CommitWatch,
    pub held: Held,
    bridge: Option<Bridge>,
    inboxes: Inboxes,
    pulled: Vec<(Input, Option<Ticket>)>,
}

impl Node {
    pub fn start(n: u8, setup: Setup) -> Self {
        let (inbox, inboxes) = doors(setup.inbox);
        let (outbox, reader) = outbox(64, 16);
        let commits = CommitWatch::default();
        let (mut ports, held) = ports(n, inbox, reader.clone(), commits.clone());
        let off_ms = setup.off_ms;
        ports.unix_ms = Arc::new(move || NOW_MS.saturating_add_signed(off_ms));
        if let Some(keeper) = setup.keeper.clone() {
            ports.clock = Some(keeper.clone());
            let telling = setup.telling;
            ports.telling = Arc::new(move || telling);
            ports.unix_ms = Arc::new(move || keeper.unix_ms());
        }
        held.papers.lock().unwrap().clone_from(&setup.papers);
        let bridge = Some(spawn(setup.config(), ports).unwrap());
        Self { id: id(n), outbox, reader, commits, held, bridge, inboxes, pulled: Vec::new() }
    }

    /// True when nothing that is to be said waits.
    pub fn outbox_is_empty(&self) -> bool {
        self.reader.state.is_empty()
    }

    pub fn neighbours(&self) -> Arc<dyn Neighbours> {
        self.bridge.as_ref().unwrap().neighbours()
    }

    /// Has it look at its papers.
    pub fn look_at_papers(&self) {
        self.bridge.as_ref().unwrap().trust().look_at_papers();
    }

    /// Trusts these from now on, and nobody else.
    pub fn trust(&self, trusted: &[u8]) {
        let trusted = trusted.iter().map(|n| id(*n)).collect();
        self.bridge.as_ref().unwrap().trust().set(&trusted);
    }

    /// Starts a node and waits until its session is open; gives the endpoint it listens on.
    pub fn open(n: u8, setup: Setup) -> (Self, String) {
        let mut node = Self::start(n, setup);
        let listen = node.expect("an open link", |input| match &input.body {
            InputBody::LinkChanged(LinkState::Open { listen }) => Some(listen.clone()),
            _ => None,
        });
        (node, listen.first().cloned().unwrap_or_default())
    }

    pub fn wait_for_last_word(&self) {
        self.bridge.as_ref().unwrap().wait_for_last_word();
    }

    pub fn close(&mut self) {
        self.bridge.take().unwrap().close();
    }

    /// Waits for an input and takes it; inputs of other kinds stay.
    pub fn expect<T>(&mut self, what: &str, wanted: impl Fn(&Input) -> Option<T>) -> T {
        self.expect_with_ticket(what, wanted).0
    }

    pub fn expect_with_ticket<T>(
        &mut self,
        what: &str,
        wanted: impl Fn(&Input) -> Option<T>,
    ) -> (T, Option<Ticket>) {
        let (deadline, beat) = (after(PATIENCE), tick(Duration::from_millis(2)));
        loop {
            self.pull();
            let found =
                self.pulled.iter().enumerate().find_map(|(at, (input, _))| Some((at, wanted(input)?)));
            if let Some((at, found)) = found {
                return (found, self.pulled.remove(at).1);
            }
            select! {
                recv(beat) -> _ => {}
                recv(deadline) -> _ => panic!("no {what}; there are {:#?}", self.pulled),
            }
        }
    }

    /// Waits a moment and sees that nothing of the kind has come.
    pub fn expect_none(&mut self, what: &str, unwanted: impl Fn(&Input) -> bool) {
        assert!(after(QUIET).recv().is_ok());
        self.pull();
        assert!(!self.pulled.iter().any(|(input, _)| unwanted(input)), "{what}: {:#?}", self.pulled);
    }

    /// Waits a little and sees that the session was not opened anew.
    pub fn expect_none_of_link(&mut self, what: &str) {
        assert!(after(Duration::from_millis(5)).recv().is_ok());
        self.pull();
        let is_news = |input: &Input| matches!(input.body, InputBody::LinkChanged(LinkState::Connecting));
        assert!(!self.pulled.iter().any(|(input, _)| is_news(input)), "{what}: {:#?}", self.pulled);
    }

    pub fn expect_peer(&mut self, node: NodeId) {
        self.expect("the peer", |input| (input.body == InputBody::PeerAppeared(node)).then_some(()));
    }

    pub fn expect_no_peer(&mut self, node: NodeId) {
        self.expect("the end of the peer", |input| {
            (input.body == InputBody::PeerVanished(node)).then_some(())
        });
    }

    /// Waits for a refusal with `code`, of any sender.
    pub fn expect_refused(&mut self, code: Code) -> (Refusal, u64) {
        self.expect(code.as_str(), |input| match &input.body {
            InputBody::Refused { refusal, count } if refusal.code == code => Some((refusal.clone(), *count)),
            _ => None,
        })
    }

    /// Waits until refusals with `code` count to `least`, however many reports tell of them; gives the last one and
    /// the sum of those seen.
    pub fn expect_refused_often(&mut self, code: Code, least: u64) -> (Refusal, u64) {
        let (mut refusal, mut sum) = self.expect_refused(code);
        while sum < least {
            let (next, count) = self.expect_refused(code);
            (refusal, sum) = (next, sum + count);
        }
        (refusal, sum)
    }

    /// Takes what has come and gives everything `wanted`; what it was found in stays.
    pub fn all<T>(&mut self, wanted: impl Fn(&Input) -> Option<T>) -> Vec<T> {
        self.pull();
        self.pulled.iter().filter_map(|(input, _)| wanted(input)).collect()
    }

    /// Waits for an envelope of `source` and gives the sequences of the frames in it.
    pub fn expect_frames(&mut self, source: NodeId) -> (Vec<u64>, Option<Ticket>) {
        self.expect_with_ticket("frames", |input| frames_of(input, source))
    }

    /// Waits for an envelope of `source` and gives its sequence.
    pub fn expect_envelope(&mut self, source: NodeId) -> (u64, Option<Ticket>) {
        self.expect_with_ticket("an envelope", |input| envelope_of(input, source))
    }

    fn pull(&mut self) {
        self.pulled.extend(self.inboxes.take_state(usize::from(u16::MAX)));
        self.pulled.extend(self.inboxes.take_stream().0.into_iter().map(|input| (input, None)));
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(bridge) = self.bridge.take() {
            bridge.close();
        }
    }
}

/// The sequence of `input` if it is an envelope of `source`, judged as the world will judge it.
pub fn envelope_of(input: &Input, source: NodeId) -> Option<u64> {
    let InputBody::Envelope { lane, bytes } = &input.body else { return None };
    let opened = envelope::open(bytes, mesh()).unwrap();
    assert_eq!((opened.statement.lane(), opened.statement.sequence), (*lane, input.sequence));
    assert_eq!(input.source, SourceId::Node(opened.source));
    (opened.source == source).then_some(input.sequence)
}

/// The sequences of the frames in `input` if it is an envelope of `source`.
pub fn frames_of(input: &Input, source: NodeId) -> Option<Vec<u64>> {
    envelope_of(input, source)?;
    let InputBody::Envelope { bytes, .. } = &input.body else { return None };
    let statement = envelope::open(bytes, mesh()).unwrap().statement;
    Some(statement.apart().iter().map(|said| said.sequence).collect())
}

pub fn readings() -> Body {
    Body::Readings(ReadingBatch(Vec::new()))
}

/// As many readings as a batch may have; about twenty kilobytes.
pub fn many_readings() -> Body {
    let reading = |sequence: u64| Reading {
        sensor: Capability::new("sensor:soil-moisture:zone-1:north-east:below-the-old-apple-tree").unwrap(),
        value: 21.5,
        unit: Unit::Percent,
        origin_ms: NOW_MS,
        sequence,
        tier: Tier::T1,
    };
    Body::Readings(ReadingBatch((0..256).map(reading).collect()))
}

pub fn frame(key: &str) -> Body {
    Body::Frame(Frame::Observation(Observation {
        key: key.to_owned(),
        value: Value::Flag(true),
        unit: None,
        origin_ms: NOW_MS,
        tier: Tier::T1,
    }))
}

pub fn statement(sequence: u64, body: Body) -> Statement {
    Statement { mesh: mesh(), epoch: 1, sequence, hlc: Hlc { wall_ms: NOW_MS, logical: 0 }, body }
}

pub fn outgoing(cause: u64, sequence: u64, body: Body) -> Outgoing {
    let subject = match &body {
        Body::Frame(frame) => Some(frame.subject()),
        _ => None,
    };
    Outgoing { cause, subject, statement: statement(sequence, body) }
}

/// A bundle of node `n` that follows `after`, with a frame of each of these sequences.
pub fn sealed_bundle(n: u8, after: Option<u64>, sequences: &[u64]) -> Vec<u8> {
    let said = |sequence: &u64| {
        let Body::Frame(frame) = frame(&sequence.to_string()) else { unreachable!() };
        Said { sequence: *sequence, hlc: Hlc { wall_ms: NOW_MS, logical: 0 }, frame }
    };
    let frames = sequences.iter().map(said).collect();
    envelope::seal(&key(n), &Statement::of_frames(mesh(), 1, after, frames))
}

pub fn sealed(n: u8, sequence: u64, body: Body) -> Vec<u8> {
    envelope::seal(&key(n), &statement(sequence, body))
}

/// Any zenoh program that is linked to a node of ours.
pub struct Stranger {
    session: Session,
}

impl Stranger {
    pub fn connecting(endpoint: &str) -> Self {
        let mut config = zenoh::Config::default();
        for (setting, value) in [
            ("mode", "\"client\"".to_owned()),
            ("connect/endpoints", format!("[\"{endpoint}\"]")),
            ("scouting/multicast/enabled", "false".to_owned()),
        ] {
            config.insert_json5(setting, &value).unwrap();
        }
        Self { session: zenoh::open(config).wait().unwrap() }
    }

    /// Over TLS, with the certificate of the mesh and, if it has any, papers with the key of node `n`; nothing when there
    /// is no link.
    pub fn encrypted(endpoint: &str, root: &str, papers: Option<(&Papers, u8)>) -> Option<Self> {
        let mut config = zenoh::Config::default();
        let mut set = |setting: &str, value: serde_json::Value| {
            config.insert_json5(setting, &value.to_string()).unwrap();
        };
        let encoded = |pem: &str| serde_json::Value::from(BASE64_STANDARD.encode(pem));
        set("mode", "client".into());
        set("connect/endpoints", serde_json::json!([endpoint]));
        set("connect/timeout_ms", 3_000.into());
        set("scouting/multicast/enabled", false.into());
        set("transport/link/tls/root_ca_certificate_base64", encoded(root));
        set("transport/link/tls/verify_name_on_connect", false.into());
        if let Some((papers, n)) = papers {
            set("transport/link/tls/enable_mtls", true.into());
            set("transport/link/tls/connect_certificate_base64", encoded(&papers.as_pem()[0]));
            set("transport/link/tls/connect_private_key_base64", encoded(&key(n).to_pem().unwrap()));
        }
        Some(Self { session: zenoh::open(config).wait().ok()? })
    }

    pub fn put(&self, key: &str, payload: impl Into<zenoh::bytes::ZBytes>) {
        let put = self.session.put(key, payload).congestion_control(zenoh::qos::CongestionControl::Block);
        put.wait().unwrap();
    }

    /// Says `bytes` under the readings key of node `n`.
    pub fn say_as(&self, n: u8, bytes: Vec<u8>) {
        self.put(&format!("clawmesh/{}/{}/reading/batch", mesh(), id(n)), bytes);
    }

    pub fn ask(&self, node: NodeId, method: &str, payload: impl Into<zenoh::bytes::ZBytes>) -> Asked {
        let key = format!("clawmesh/{}/{node}/rpc/{method}", mesh());
        Asked(self.session.get(key).payload(payload).timeout(PATIENCE).wait().unwrap())
    }

    /// Answers in the name of node `n`; `answer` is told how often it was asked before.
    pub fn answer_as(
        &self,
        n: u8,
        method: &str,
        answer: impl Fn(usize) -> Vec<u8> + Send + Sync + 'static,
    ) -> Queryable<()> {
        self.serve_as(n, method, move |nth| Ok(answer(nth)))
    }

    /// Answers in the name of node `n`, `Err` with an error.
    pub fn serve_as(
        &self,
        n: u8,
        method: &str,
        answer: impl Fn(usize) -> Result<Vec<u8>, Vec<u8>> + Send + Sync + 'static,
    ) -> Queryable<()> {
        let asked = AtomicUsize::new(0);
        let queryable = self.session.declare_queryable(format!("clawmesh/{}/{}/rpc/{method}", mesh(), id(n)));
        let reply = move |query: zenoh::query::Query| match answer(asked.fetch_add(1, Ordering::Relaxed)) {
            Ok(payload) => query.reply(query.key_expr(), payload).wait().unwrap(),
            Err(payload) => query.reply_err(payload).wait().unwrap(),
        };
        queryable.callback(reply).wait().unwrap()
    }

    /// What is said under the readings keys of the mesh, as it comes.
    pub fn ears(&self) -> zenoh::pubsub::Subscriber<FifoChannelHandler<zenoh::sample::Sample>> {
        let key = format!("clawmesh/{}/*/reading/**", mesh());
        self.session.declare_subscriber(key).allowed_origin(zenoh::sample::Locality::Remote).wait().unwrap()
    }

    /// Has everything brought that is said under the readings keys of the mesh.
    pub fn listen(&self) -> zenoh::pubsub::Subscriber<()> {
        let key = format!("clawmesh/{}/*/reading/**", mesh());
        self.session.declare_subscriber(key).callback(|_| {}).wait().unwrap()
    }

    pub fn appear(&self, key: &str) -> zenoh::liveliness::LivelinessToken {
        self.session.liveliness().declare_token(key.to_owned()).wait().unwrap()
    }
}

/// A query that waits for its answer.
pub struct Asked(FifoChannelHandler<Reply>);

impl Asked {
    pub fn is_unanswered(&self) -> bool {
        assert!(after(QUIET).recv().is_ok());
        self.0.is_empty()
    }

    /// Whether an answer comes in this time. The end of a question without one is none.
    pub fn is_answered_within(&self, time: Duration) -> bool {
        self.0.recv_timeout(time).is_ok_and(|reply| reply.is_some())
    }

    /// What `owner` answers to what is named `to`, signed.
    pub fn answer_of(&self, owner: NodeId, to: ContentHash) -> Answer {
        let bytes = self.answer().map_err(|refusal| String::from_utf8(refusal).unwrap()).unwrap();
        answer::open(&bytes, owner, to).unwrap()
    }

    /// The bytes of the answer.
    pub fn bytes(&self) -> Vec<u8> {
        self.answer().map_err(|refusal| String::from_utf8(refusal).unwrap()).unwrap()
    }

    /// The code of the refusal, if it is one.
    pub fn try_refusal(&self) -> Option<String> {
        let text: serde_json::Value = serde_json::from_slice(&self.answer().err()?).unwrap();
        text["code"].as_str().map(str::to_owned)
    }

    fn answer(&self) -> Result<Vec<u8>, Vec<u8>> {
        let reply = self.0.recv_timeout(PATIENCE).unwrap().unwrap();
        match reply.into_result() {
            Ok(sample) => Ok(sample.payload().to_bytes().into_owned()),
            Err(error) => Err(error.payload().to_bytes().into_owned()),
        }
    }

    /// The receipt, signed by `by`; `None` when the answer is empty.
    pub fn receipt(&self, by: NodeId) -> Option<Receipt> {
        let bytes = self.answer().map_err(|refusal| String::from_utf8(refusal).unwrap()).unwrap();
        if bytes.is_empty() {
            return None;
        }
        let opened = envelope::open(&bytes, mesh()).unwrap();
        assert_eq!(opened.source, by);
        let Body::Receipt(receipt) = opened.statement.body else { panic!("{:?}", opened.statement.body) };
        Some(receipt)
    }

    /// The code and the sentence of the refusal.
    pub fn refusal(&self) -> (String, String) {
        let text: serde_json::Value = serde_json::from_slice(&self.answer().unwrap_err()).unwrap();
        let field = |name: &str| text[name].as_str().unwrap().to_owned();
        (field("code"), field("sentence"))
    }
}
