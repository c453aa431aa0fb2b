//! From a `put` of another process to an updated component, beside a raw zenoh subscriber of the same samples.
//!
//! `cargo bench -p clawmesh-bridge --bench latency`
//!
//! The publisher is this program again, as a process of its own. It puts the time as the value, at random phases
//! and further apart than a tick, so that every sample gets a tick to itself. The journal takes the batches and writes
//! nothing: the tick hands a batch over and does not wait for the disk.
#![expect(clippy::print_stdout, reason = "a bench talks to the terminal")]
#![expect(clippy::disallowed_methods, reason = "a bench measures with the clocks of the machine")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::process::Command;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clawmesh_authority::{Capability, NodeKey, Unit};
use clawmesh_bridge::{BridgeConfig, BridgeLimits, BridgePorts, Decoder, Mapping, Telling, ZenohMode};
use clawmesh_core::intake::{InboxHandle, InboxLimits, Input, InputBody, SourceId, StreamKey, doors};
use clawmesh_core::publish::{Snapshot, SnapshotSink, outbox};
use clawmesh_core::replay::{Batch, CommitWatch, JournalWriter};
use clawmesh_core::safety::{Latched, StopPort};
use clawmesh_core::world::{Latest, Sensor, SensorIndex};
use clawmesh_core::{Core, Ports, Settings};
use zenoh::Wait as _;

const SAMPLES: usize = 400;
const HZ: u32 = 50;
const KEY: &str = "bench/latency";

fn main() {
    let args: Vec<String> = std::env::args().collect();
    match args.iter().position(|arg| arg == "publish") {
        Some(at) => publish(&args[at + 1..]),
        None => measure(),
    }
}

fn unix_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(0)
}

fn session(json5: &[(&str, String)]) -> zenoh::Session {
    let mut config = zenoh::Config::default();
    config.insert_json5("scouting/multicast/enabled", "false").expect("a valid setting");
    for (key, value) in json5 {
        config.insert_json5(key, value).expect("a valid setting");
    }
    zenoh::open(config).wait().expect("loopback can be opened")
}

/// The other process: connects to both receivers and puts the time, 400 times.
fn publish(endpoints: &[String]) {
    let endpoints = format!("[{}]", endpoints.iter().map(|e| format!("{e:?}")).collect::<Vec<_>>().join(","));
    let session = session(&[("connect/endpoints", endpoints), ("listen/endpoints", "[]".to_owned())]);
    thread::sleep(Duration::from_secs(1));
    let mut phase = 88_172_645_463_325_252_u64;
    for _ in 0..SAMPLES {
        phase ^= phase << 13;
        phase ^= phase >> 7;
        phase ^= phase << 17;
        thread::sleep(Duration::from_micros(25_000 + phase % 10_000));
        session.put(KEY, unix_us().to_string()).wait().expect("the session is open");
    }
    thread::sleep(Duration::from_millis(500));
}

fn free_endpoint() -> String {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
    format!("tcp/127.0.0.1:{port}")
}

fn measure() {
    let (raw_endpoint, node_endpoint) = (free_endpoint(), free_endpoint());
    let raw = raw_subscriber(&raw_endpoint);
    let (updated_tx, updated) = sync_channel(SAMPLES * 2);
    start_node(&node_endpoint, updated_tx);
    let program = std::env::current_exe().expect("this program has a name");
    let status = Command::new(program).args(["publish", &raw_endpoint, &node_endpoint]).status();
    assert!(status.expect("the publisher runs").success());
    report(&raw, &updated);
}

/// Delays of a subscriber that does nothing but look at the clock.
fn raw_subscriber(endpoint: &str) -> Receiver<u64> {
    let (tx, rx) = sync_channel(SAMPLES * 2);
    let session = session(&[("listen/endpoints", format!("[{endpoint:?}]"))]);
    let subscriber = session.declare_subscriber(KEY).callback(move |sample| {
        let now = unix_us();
        let sent = sample.payload().try_to_string().ok().and_then(|text| text.parse::<u64>().ok());
        let _ = sent.map(|sent| tx.try_send(now.saturating_sub(sent)));
    });
    subscriber.background().wait().expect("a subscriber can be declared");
    // Both live as long as the bench does.
    Box::leak(Box::new(session));
    rx
}

struct Nowhere(CommitWatch);

impl JournalWriter for Nowhere {
    fn append(&mut self, batch: Batch) {
        self.0.commit(batch.first_sequence + batch.records.len() as u64 - 1);
        batch.tickets.into_iter().for_each(|ticket| ticket.answer(Ok(())));
    }
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

struct NoReader;

impl SnapshotSink for NoReader {
    fn publish(&self, _: Arc<Snapshot>) {}
}

fn mapping() -> Mapping {
    Mapping {
        key_expr: KEY.to_owned(),
        sensor: Capability::new("sensor:clock:other-process").expect("it is well-formed"),
        decoder: Decoder::Number,
        quantity: "time".to_owned(),
        unit: Unit::One,
        period_ms: 30,
        range: None,
        stuck_after_ms: None,
        about: None,
    }
}

fn settings_of(key: &NodeKey) -> Settings {
    Settings { hz: HZ, digest_every_ticks: 50, ..Settings::of_first_run(key.id(), "bench", "bench", "bench") }
}

fn start_node(endpoint: &str, updated: SyncSender<u64>) {
    let key = NodeKey::from_secret(&[7; 32]);
    let settings = settings_of(&key);
    let (inbox, inboxes) = doors(InboxLimits::default());
    let (outbox_in, outbox_out) = outbox(1_024, 1_024);
    let commits = CommitWatch::default();
    let core = Core::live(
        settings.clone(),
        Ports {
            inboxes,
            journal: Box::new(Nowhere(commits.clone())),
            next_sequence: 1,
            outbox: outbox_in,
            snapshots: Box::new(NoReader),
            drivers: None,
            simulator: None,
            latch: None,
            desk: clawmesh_core::proposals::AnswerDesk::default(),
            planner: None,
            fault_handler: |fault, context| panic!("{context}: {fault}"),
        },
    );
    let config = BridgeConfig {
        mesh: settings.mesh(),
        mode: ZenohMode::Peer,
        listen: vec![endpoint.to_owned()],
        connect: Vec::new(),
        discovery: false,
        trusted: BTreeSet::new(),
        parts: BTreeMap::new(),
        mappings: vec![mapping()],
        limits: BridgeLimits::default(),
        marks: BTreeMap::new(),
        people: clawmesh_authority::Roster::default(),
    };
    let ports = BridgePorts {
        key,
        epoch: 1,
        inbox: inbox.clone(),
        outbox: outbox_out,
        commits,
        unix_ms: Arc::new(|| unix_us() / 1_000),
        clock: None,
        telling: Arc::new(|| Telling::Time),
        desk: clawmesh_core::proposals::AnswerDesk::default(),
        latch: Arc::new(NoStop),
        papers: Arc::new(|| Ok(None)),
        standing: Arc::new(|| None),
    };
    let bridge = clawmesh_bridge::spawn(config, ports).expect("the bridge starts");
    Box::leak(Box::new(Mutex::new(bridge)));
    let sensor = Sensor { node: settings.node, capability: mapping().sensor };
    thread::Builder::new()
        .name("tick".to_owned())
        .spawn(move || tick(core, &inbox, &sensor, &updated))
        .expect("a thread can be made");
}

/// The tick thread of a node, which also looks whether the component is a new one.
fn tick(mut core: Core, inbox: &InboxHandle, sensor: &Sensor, updated: &SyncSender<u64>) {
    let period = Duration::from_secs(1) / HZ;
    let (mut due, mut seen) = (Instant::now(), 0);
    loop {
        let unix_ms = unix_us() / 1_000;
        let input = Input {
            source: SourceId::Clock,
            sequence: 0,
            body: InputBody::ClockSampled { unix_ms, up_ms: unix_ms },
        };
        inbox.offer_stream(StreamKey { source: SourceId::Clock, what: String::new() }, input);
        core.tick();
        let now = unix_us();
        let world = core.world();
        let latest = world
            .resource::<SensorIndex>()
            .0
            .get(sensor)
            .and_then(|entity| world.get::<Latest>(*entity))
            .filter(|latest| latest.samples > seen);
        if let Some(latest) = latest {
            seen = latest.samples;
            let _ = updated.try_send(now.saturating_sub(latest.value as u64));
        }
        due += period;
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}

fn report(raw: &Receiver<u64>, updated: &Receiver<u64>) {
    let sorted = |delays: &Receiver<u64>| {
        let mut delays: Vec<u64> = delays.try_iter().collect();
        delays.sort_unstable();
        delays
    };
    let (raw, node) = (sorted(raw), sorted(updated));
    assert!(raw.len() > SAMPLES * 9 / 10, "the raw subscriber heard {} of {SAMPLES}", raw.len());
    assert!(node.len() > SAMPLES * 9 / 10, "the node heard {} of {SAMPLES}", node.len());
    let at = |delays: &[u64], percent: usize| delays[(delays.len() - 1) * percent / 100] as f64 / 1_000.0;
    for (name, delays) in [("raw subscriber", &raw), ("component", &node)] {
        println!(
            "{name:>15}: p50 {:.2} ms, p99 {:.2} ms, {} samples",
            at(delays, 50),
            at(delays, 99),
            delays.len()
        );
    }
    let more = |percent| at(&node, percent) - at(&raw, percent);
    let bound_ms = 1_000.0 / f64::from(HZ) + 0.2;
    println!("more than raw: p50 {:.2} ms, p99 {:.2} ms (at most {bound_ms:.1} ms)", more(50), more(99));
    assert!(more(50) <= bound_ms && more(99) <= bound_ms, "too late");
}
