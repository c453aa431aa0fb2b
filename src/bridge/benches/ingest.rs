//! How fast signed readings reach the components of a world, beside a subscriber that only checks the same signatures.
//!
//! The way of the readings is the whole one but for the disk: link, bridge, doors, tick (which opens each envelope
//! again), components, digests. The journal takes batches and writes nothing (`append` of `clawmesh-storage` measures
//! that), the rate limit of the bridge is lifted, and the tick runs without a pause.
//! Both listen on loopback TCP to a session that says one batch after the other and waits when the link is
//! full. The baseline is given the signed bytes and the signature ready to use: it parses and copies nothing.
//! Rounds alternate, medians are compared.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clawmesh_authority::{
    Body, Capability, Hlc, MeshId, NodeId, NodeKey, Reading, ReadingBatch, Statement, Tier, Unit, envelope,
};
use clawmesh_bridge::{Bridge, BridgeConfig, BridgeLimits, BridgePorts, Telling, ZenohMode, spawn};
use clawmesh_core::intake::{InboxLimits, InputBody, LinkState, SourceId, doors};
use clawmesh_core::publish::{Snapshot, SnapshotSink, outbox};
use clawmesh_core::replay::{Batch, CommitWatch, JournalWriter};
use clawmesh_core::safety::{Latched, LinkStatus, Refusals, StopPort};
use clawmesh_core::world::{Latest, SensorIndex};
use clawmesh_core::{Core, Ports, Settings};
use coset::{CborSerializable, CoseSign1};
use crossbeam_channel::{after, tick};
use zenoh::bytes::ZBytes;
use zenoh::pubsub::Publisher;
use zenoh::qos::CongestionControl;
use zenoh::{Session, Wait};

const ROUNDS: usize = 9;
const ENVELOPES: usize = 20_000;
const READINGS: usize = 10;
const RATIO_MIN: f64 = 0.5;
const NOW_MS: u64 = 1_730_000_000_000;
const EXTERNAL_DATA: &[u8] = b"clawmesh/envelope/v1";

fn main() {
    let key = NodeKey::from_secret(&[2; 32]);
    let mesh = MeshId::of_name("bench");
    let mut ingest = Ingest::begin(mesh, &key);
    let verify = VerifyOnly::begin(&key);
    // What is said before the subscription of the other side is known is said to nobody.
    let greetings = greetings(&key, mesh);
    ingest.greet(&greetings);
    verify.greet(&greetings);
    let (mut ingest_rates, mut verify_rates) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let sealed = envelopes(&key, mesh, round);
        let ready: Vec<Vec<u8>> = sealed.iter().map(|bytes| signed_bytes_and_signature(bytes)).collect();
        let rates = (rate(|| ingest.round(&sealed)), rate(|| verify.round(&ready)));
        // The first round warms links and caches.
        if round > 0 {
            ingest_rates.push(rates.0);
            verify_rates.push(rates.1);
        }
    }
    report(median(ingest_rates), median(verify_rates));
}

#[expect(clippy::print_stdout, reason = "the result of the bench")]
fn report(ingest: f64, verify: f64) {
    println!("{ENVELOPES} envelopes of {READINGS} readings a round, {ROUNDS} rounds, medians");
    println!("ingest: {ingest:.0} envelopes/s, {:.0} readings/s", ingest * READINGS as f64);
    println!("verify-only subscriber: {verify:.0} envelopes/s");
    let ratio = ingest / verify;
    println!("ingest / verify-only subscriber = {ratio:.2} (at least {RATIO_MIN})");
    assert!(ratio >= RATIO_MIN, "too slow");
}

#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
fn rate(round: impl FnOnce()) -> f64 {
    let begin = Instant::now();
    round();
    ENVELOPES as f64 / begin.elapsed().as_secs_f64()
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// Batches of an earlier run, to be said until one is heard.
fn greetings(key: &NodeKey, mesh: MeshId) -> Vec<Vec<u8>> {
    let of = |sequence| Statement { epoch: 0, ..batch(mesh, sequence) };
    (0..10_000).map(|sequence| envelope::seal(key, &of(sequence))).collect()
}

/// The batches of one round; every round has sequences of its own, or they would be replays.
fn envelopes(key: &NodeKey, mesh: MeshId, round: usize) -> Vec<Vec<u8>> {
    let first = (round * ENVELOPES) as u64;
    (first..first + ENVELOPES as u64).map(|sequence| envelope::seal(key, &batch(mesh, sequence))).collect()
}

fn batch(mesh: MeshId, sequence: u64) -> Statement {
    let reading = |n: usize| Reading {
        sensor: Capability::new(&format!("sensor:soil-moisture:zone-{n}")).expect("a capability"),
        value: 20.0 + sequence as f64 / 7.0,
        unit: Unit::Percent,
        origin_ms: NOW_MS,
        sequence,
        tier: Tier::T2,
    };
    let body = Body::Readings(ReadingBatch((0..READINGS).map(reading).collect()));
    Statement { mesh, epoch: 1, sequence, hlc: Hlc { wall_ms: NOW_MS, logical: 0 }, body }
}

/// What the signature of an envelope is over, then the signature.
fn signed_bytes_and_signature(sealed: &[u8]) -> Vec<u8> {
    let sign1 = CoseSign1::from_slice(sealed).expect("an envelope we made");
    [sign1.tbs_data(EXTERNAL_DATA), sign1.signature].concat()
}

fn sender(endpoint: &str) -> Session {
    let mut config = zenoh::Config::default();
    for (setting, value) in [
        ("mode", "\"client\"".to_owned()),
        ("connect/endpoints", format!("[\"{endpoint}\"]")),
        ("scouting/multicast/enabled", "false".to_owned()),
    ] {
        config.insert_json5(setting, &value).expect("a zenoh setting");
    }
    zenoh::open(config).wait().expect("a session")
}

fn publisher(session: &Session, key: String) -> Publisher<'static> {
    let publisher = session.declare_publisher(key).congestion_control(CongestionControl::Block);
    publisher.wait().expect("a publisher")
}

fn say(publisher: &Publisher<'_>, payloads: &[Vec<u8>]) {
    for payload in payloads {
        publisher.put(ZBytes::from(payload.as_slice())).wait().expect("a put");
    }
}

/// Takes batches and forgets them.
struct Nowhere(CommitWatch);

impl JournalWriter for Nowhere {
    fn append(&mut self, batch: Batch) {
        self.0.commit(batch.first_sequence + batch.records.len() as u64 - 1);
        batch.tickets.into_iter().for_each(|ticket| ticket.answer(Ok(())));
    }
}

struct NoReader;

impl SnapshotSink for NoReader {
    fn publish(&self, _: Arc<Snapshot>) {}
}

/// Nobody stops a bench.
struct NoStop;

impl StopPort for NoStop {
    fn latch(&self, why: &str) -> Latched {
        Latched { reason: why.to_owned(), unkept: None }
    }

    fn is_latched(&self) -> bool {
        false
    }
}

/// A node without a disk.
struct Ingest {
    core: Core,
    publisher: Publisher<'static>,
    _sender: Session,
    _bridge: Bridge,
}

impl Ingest {
    fn begin(mesh: MeshId, key: &NodeKey) -> Self {
        let limits = InboxLimits { stream_inputs_per_key_max: 4 * ENVELOPES, ..InboxLimits::default() };
        let (inbox, inboxes) = doors(limits);
        let (outbox, reader) = outbox(16, 16);
        let own = NodeKey::from_secret(&[1; 32]);
        let commits = CommitWatch::default();
        let ports = Ports {
            inboxes,
            journal: Box::new(Nowhere(commits.clone())),
            next_sequence: 1,
            outbox,
            snapshots: Box::new(NoReader),
            drivers: None,
            simulator: None,
            latch: None,
            desk: clawmesh_core::proposals::AnswerDesk::default(),
            planner: None,
            fault_handler: |fault, context| panic!("{context}: {fault}"),
        };
        let mut core = Core::live(settings(own.id(), key.id()), ports);
        let clock = InputBody::ClockSampled { unix_ms: NOW_MS, up_ms: 0 };
        inbox.offer_own(SourceId::Clock, clock, None).expect("the door is empty");
        let config = BridgeConfig {
            mesh,
            mode: ZenohMode::Peer,
            listen: vec!["tcp/127.0.0.1:0".to_owned()],
            connect: Vec::new(),
            discovery: false,
            trusted: BTreeSet::from([key.id()]),
            parts: BTreeMap::new(),
            mappings: Vec::new(),
            limits: BridgeLimits { envelopes_per_second_max: u32::MAX, ..BridgeLimits::default() },
            marks: BTreeMap::new(),
            people: clawmesh_authority::Roster::default(),
        };
        let ports = BridgePorts {
            key: own,
            epoch: 1,
            inbox,
            outbox: reader,
            commits,
            unix_ms: Arc::new(|| NOW_MS),
            clock: None,
            telling: Arc::new(|| Telling::Time),
            desk: clawmesh_core::proposals::AnswerDesk::default(),
            latch: Arc::new(NoStop),
            papers: Arc::new(|| Ok(None)),
            standing: Arc::new(|| None),
        };
        let bridge = spawn(config, ports).expect("a bridge");
        let session = sender(&endpoint_of(&mut core));
        let publisher = publisher(&session, format!("clawmesh/{mesh}/{}/reading/batch", key.id()));
        Self { core, publisher, _sender: session, _bridge: bridge }
    }

    fn greet(&mut self, greetings: &[Vec<u8>]) {
        let mut greetings = greetings.iter();
        until(|| {
            say(&self.publisher, greetings.next().cloned().as_slice());
            self.core.tick();
            samples_in(&self.core) > 0
        });
    }

    fn round(&mut self, sealed: &[Vec<u8>]) {
        let before = self.samples();
        std::thread::scope(|scope| {
            scope.spawn(|| say(&self.publisher, sealed));
            let due = before + (sealed.len() * READINGS) as u64;
            let deadline = after(Duration::from_secs(60));
            while samples_in(&self.core) < due {
                self.core.tick();
                assert!(
                    deadline.try_recv().is_err(),
                    "they never came: {:?}",
                    self.core.world().resource::<Refusals>()
                );
            }
        });
    }

    fn samples(&self) -> u64 {
        samples_in(&self.core)
    }
}

/// Readings taken since the start, by the components themselves.
fn samples_in(core: &Core) -> u64 {
    let world = core.world();
    let sensors = world.resource::<SensorIndex>().0.values();
    sensors.filter_map(|sensor| world.get::<Latest>(*sensor)).map(|latest| latest.samples).sum()
}

fn settings(node: NodeId, trusted: NodeId) -> Settings {
    Settings {
        digest_every_ticks: 50,
        trusted: BTreeSet::from([trusted]),
        ..Settings::of_first_run(node, "bench", "bench", "bench")
    }
}

fn endpoint_of(core: &mut Core) -> String {
    let mut endpoint = None;
    until(|| {
        core.tick();
        if let LinkState::Open { listen } = &core.world().resource::<LinkStatus>().0 {
            endpoint = listen.first().cloned();
        }
        endpoint.is_some()
    });
    endpoint.expect("an endpoint")
}

/// A subscriber of plain zenoh that checks signatures and counts.
struct VerifyOnly {
    verified: Arc<AtomicUsize>,
    publisher: Publisher<'static>,
    _sender: Session,
    _receiver: Session,
}

impl VerifyOnly {
    fn begin(key: &NodeKey) -> Self {
        let mut config = zenoh::Config::default();
        for (setting, value) in
            [("listen/endpoints", "[\"tcp/127.0.0.1:0\"]"), ("scouting/multicast/enabled", "false")]
        {
            config.insert_json5(setting, value).expect("a zenoh setting");
        }
        let receiver = zenoh::open(config).wait().expect("a session");
        let (public, verified) = (key.public(), Arc::<AtomicUsize>::default());
        let counter = Arc::clone(&verified);
        let subscriber = receiver.declare_subscriber("bench/verify").callback(move |sample| {
            let payload = sample.payload().to_bytes();
            let (message, signature) = payload.split_at(payload.len() - 64);
            assert!(public.verifies(message, signature));
            counter.fetch_add(1, Ordering::Release);
        });
        subscriber.background().wait().expect("a subscriber");
        let endpoint = receiver.info().locators().wait().first().expect("a locator").to_string();
        let session = sender(&endpoint);
        let publisher = publisher(&session, "bench/verify".to_owned());
        Self { verified, publisher, _sender: session, _receiver: receiver }
    }

    fn greet(&self, greetings: &[Vec<u8>]) {
        let mut greetings = greetings.iter().map(|bytes| signed_bytes_and_signature(bytes));
        until(|| {
            say(&self.publisher, greetings.next().as_slice());
            self.verified.load(Ordering::Acquire) > 0
        });
    }

    fn round(&self, ready: &[Vec<u8>]) {
        self.verified.store(0, Ordering::Release);
        say(&self.publisher, ready);
        until(|| self.verified.load(Ordering::Acquire) >= ready.len());
    }
}

/// Looks every millisecond until it is so.
fn until(mut is_so: impl FnMut() -> bool) {
    let (deadline, beat) = (after(Duration::from_secs(60)), tick(Duration::from_millis(1)));
    while !is_so() {
        assert!(deadline.try_recv().is_err(), "it never was so");
        beat.recv().expect("a tick");
    }
}
