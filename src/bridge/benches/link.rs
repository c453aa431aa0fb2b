//! How fast a link between nodes of ours is, beside one core that verifies the same envelopes.
//!
//! `cargo bench -p clawmesh-bridge --bench link`
//!
//! Real: bridges over loopback TCP, between them another bridge as a router for the chain, and at the receiving end doors, a
//! tick at 50 Hz, components and a journal on the disk. A frame counts when that journal holds it.
//! Not real: the sender has no tick and no journal, its outbox is filled by the bench; the budget of 500 envelopes a second is
//! lifted but for the flood; every frame is kept, where a node keeps the newest of each subject. All of it runs on the
//! machine of the bench at once.
#![expect(clippy::print_stdout, reason = "a bench talks to the terminal")]
#![expect(clippy::disallowed_methods, reason = "a bench measures with the clocks of the machine")]

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use clawmesh_authority::envelope::{FRAMES_PER_BUNDLE_MAX, Said};
use clawmesh_authority::{
    Body, Capability, Frame, Hlc, MeshId, NodeId, NodeKey, Observation, Reading, ReadingBatch, Statement,
    Tier, Unit, Value, canonical, envelope,
};
use clawmesh_bridge::{Bridge, BridgeConfig, BridgeLimits, BridgePorts, Telling, ZenohMode, spawn};
use clawmesh_core::clock::Tick;
use clawmesh_core::intake::{
    InboxHandle, InboxLimits, Inboxes, InputBody, JournalCursor, LinkState, SourceId, doors,
};
use clawmesh_core::mesh::LaneMarks;
use clawmesh_core::proposals::AnswerDesk;
use clawmesh_core::publish::{Outbox, OutboxReader, Outgoing, Snapshot, SnapshotSink, outbox};
use clawmesh_core::replay::CommitWatch;
use clawmesh_core::safety::{Latched, Refusals, StopPort};
use clawmesh_core::world::{Latest, SensorIndex};
use clawmesh_core::{Core, Ports, Settings};
use clawmesh_storage::{Journal, JournalOptions, OpenJournal};
use coset::{CborSerializable, CoseSign1};
use tempfile::TempDir;

const NOW_MS: u64 = 1_730_000_000_000;
const TICK: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(120);
const FRAME_BYTES: usize = 300;
const SUBJECTS: u64 = 1_000;
const ROUNDS: usize = 5;
const FRAMES: u64 = 20_000;
const MISSED: u64 = 100_000;
const READINGS: u64 = 256;
/// Batches of readings that are said in each tick: a fifth more than has to arrive.
const BATCHES_PER_TICK: u64 = 10;
const READING_TICKS: u64 = 150;
/// Four times what a node may say.
const FLOOD_PER_TICK: u64 = 40;
const FLOOD_SAMPLES: u64 = 1_000;
const DIGEST_EVERY_TICKS: u64 = 50;
const EXTERNAL_DATA: &[u8] = b"clawmesh/envelope/v1";

fn main() {
    let mut table = Table::default();
    let verify = verify_rate();
    println!("one core verifies {verify:.0} envelopes of {FRAME_BYTES}-byte frames a second");
    for (name, way, share) in [("one link", Way::Link, 1.0), ("three nodes", Way::Chain, 0.5)] {
        let (alone, verify) = frame_rates(way, 1);
        table.row(
            &format!("{name}, individually signed frames / one core verifying"),
            alone / verify,
            0.6 * share,
            AtLeast,
        );
        println!("  {alone:.0} frames/s, one core verified {verify:.0}/s beside it");
        let (together, _) = frame_rates(way, FRAMES_PER_BUNDLE_MAX);
        println!("  {together:.0} frames/s when they are signed together");
        table.row(&format!("{name}, batch-signed readings/s"), reading_rate(way), 100_000.0 * share, AtLeast);
    }
    let [p50, p99] = latencies_under_flood();
    println!("  state lane under a flood of readings: p50 {p50:.1} ms");
    table.row("state lane under a flood of readings, p99 ms", p99, 50.0, AtMost);
    table.row("catch-up of 100,000 individually signed frames, s", catch_up(1), 8.0, AtMost);
    table.row("catch-up of 100,000 batch-signed frames, s", catch_up(FRAMES_PER_BUNDLE_MAX), 2.0, AtMost);
    table.judge();
}

#[derive(Clone, Copy, PartialEq)]
enum Bound {
    AtLeast,
    AtMost,
}
use Bound::{AtLeast, AtMost};

#[derive(Default)]
struct Table {
    missed: Vec<String>,
}

impl Table {
    fn row(&mut self, what: &str, figure: f64, bound: f64, kind: Bound) {
        let (word, is_kept) = match kind {
            AtLeast => ("at least", figure >= bound),
            AtMost => ("at most", figure <= bound),
        };
        println!("{what}: {figure:.2} ({word} {bound})");
        if !is_kept {
            self.missed.push(what.to_owned());
        }
    }

    fn judge(&self) {
        assert!(self.missed.is_empty(), "too slow: {}", self.missed.join("; "));
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Way {
    Link,
    Chain,
}

fn mesh() -> MeshId {
    MeshId::of_name("bench")
}

fn key(n: u8) -> NodeKey {
    NodeKey::from_secret(&[n; 32])
}

/// An observation whose frame has 300 bytes.
fn frame(sequence: u64) -> Frame {
    let of = |text: usize| {
        Frame::Observation(Observation {
            key: format!("zone-{:04}/note", sequence % SUBJECTS),
            value: Value::Text("x".repeat(text)),
            unit: None,
            origin_ms: NOW_MS,
            tier: Tier::T1,
        })
    };
    let guess = 260;
    let frame = of(guess + FRAME_BYTES - canonical::encode(&of(guess)).len());
    assert_eq!(canonical::encode(&frame).len(), FRAME_BYTES);
    frame
}

fn statement(sequence: u64, body: Body) -> Statement {
    Statement { mesh: mesh(), epoch: 1, sequence, hlc: Hlc { wall_ms: NOW_MS, logical: 0 }, body }
}

fn outgoing(sequence: u64, body: Body) -> Outgoing {
    // Without a subject none takes the place of another.
    Outgoing { cause: 0, subject: None, statement: statement(sequence, body) }
}

/// The sensors of every batch, made once: to make them is no work of a link.
static SENSORS: LazyLock<Vec<Capability>> = LazyLock::new(|| {
    let sensor = |n| Capability::new(&format!("sensor:soil-moisture:zone-{n}")).expect("a capability");
    (0..READINGS).map(sensor).collect()
});

fn batch(sequence: u64) -> Body {
    let reading = |sensor: &Capability| Reading {
        sensor: sensor.clone(),
        value: 20.0 + sequence as f64 / 7.0,
        unit: Unit::Percent,
        origin_ms: NOW_MS,
        sequence,
        tier: Tier::T2,
    };
    Body::Readings(ReadingBatch(SENSORS.iter().map(reading).collect()))
}

/// Envelopes a second that one core verifies, each given as the signed bytes and the signature ready to use.
fn verify_rate() -> f64 {
    let ready: Vec<(Vec<u8>, Vec<u8>)> = (0..2_000)
        .map(|sequence| {
            let said = Said { sequence, hlc: Hlc { wall_ms: NOW_MS, logical: 0 }, frame: frame(sequence) };
            let statement = Statement::of_frames(mesh(), 1, sequence.checked_sub(1), vec![said]);
            let sealed =
                CoseSign1::from_slice(&envelope::seal(&key(2), &statement)).expect("an envelope we made");
            (sealed.tbs_data(EXTERNAL_DATA), sealed.signature)
        })
        .collect();
    let (public, begun) = (key(2).public(), Instant::now());
    let count = 3 * ready.len();
    assert!(
        ready
            .iter()
            .cycle()
            .take(count)
            .all(|(message, signature)| public.verifies(black_box(message), signature))
    );
    count as f64 / begun.elapsed().as_secs_f64()
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Frames a second until the journal at the other end holds them, and what one core verifies between the rounds.
fn frame_rates(way: Way, together_max: usize) -> (f64, f64) {
    let mut line = Line::begin(way, together_max, u32::MAX);
    let (mut rates, mut verified) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        // To make the frames is no work of a link.
        let frames = line.sender.make_frames(FRAMES);
        let begun = Instant::now();
        line.sender.say(frames);
        line.receiver.until_held(line.sender.frames);
        let rate = FRAMES as f64 / begun.elapsed().as_secs_f64();
        // The first round warms links and caches.
        if round > 0 {
            rates.push(rate);
            verified.push(verify_rate());
        }
    }
    (median(rates), median(verified))
}

/// Readings a second that reach the components.
fn reading_rate(way: Way) -> f64 {
    let mut line = Line::begin(way, FRAMES_PER_BUNDLE_MAX, u32::MAX);
    let deadline = Instant::now() + PATIENCE;
    while line.receiver.seen.samples.load(Ordering::Acquire) == 0 {
        line.sender.say_batches(1);
        thread::sleep(TICK);
        assert!(Instant::now() < deadline, "no reading ever came");
    }
    let (before, begun) = (line.receiver.seen.samples.load(Ordering::Acquire), Instant::now());
    let mut due = begun;
    for _ in 0..READING_TICKS {
        line.sender.say_batches(BATCHES_PER_TICK);
        due += TICK;
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    let came = line.receiver.seen.samples.load(Ordering::Acquire) - before;
    came as f64 / begun.elapsed().as_secs_f64()
}

/// From the outbox of one node to the journal of the other, one frame at a time, while the same node floods: median and p99.
fn latencies_under_flood() -> [f64; 2] {
    let mut line =
        Line::begin(Way::Link, FRAMES_PER_BUNDLE_MAX, BridgeLimits::default().envelopes_per_second_max);
    let is_over = AtomicBool::new(false);
    let Line { sender, receiver, .. } = &mut line;
    let Sender { outbox, frames, batches, .. } = sender;
    let mut times_ms = Vec::new();
    thread::scope(|scope| {
        let outbox = &*outbox;
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                for _ in 0..FLOOD_PER_TICK {
                    outbox.offer(outgoing(*batches, batch(*batches))).expect("the oldest make room");
                    *batches += 1;
                }
                thread::sleep(TICK);
            }
        });
        for sample in 0..FLOOD_SAMPLES {
            let begun = Instant::now();
            outbox.offer(outgoing(*frames, Body::Frame(frame(*frames)))).expect("there is room");
            *frames += 1;
            receiver.until_held(*frames);
            times_ms.push(begun.elapsed().as_secs_f64() * 1e3);
            // At another moment between two ticks each time.
            thread::sleep(Duration::from_micros(sample * 7_919 % 20_000));
        }
        is_over.store(true, Ordering::Relaxed);
    });
    let readings = line.receiver.seen.samples.load(Ordering::Acquire);
    println!("  the flood: {} batches were said, {} arrived", line.sender.batches, readings / READINGS);
    times_ms.sort_by(f64::total_cmp);
    [times_ms[times_ms.len() / 2], times_ms[times_ms.len() * 99 / 100]]
}

/// From the start of a node to everything in its journal that another has said while it was not there, seconds.
fn catch_up(together_max: usize) -> f64 {
    let mut sender = Sender::begin(ZenohMode::Peer, None, together_max);
    sender.say_frames(MISSED);
    let deadline = Instant::now() + PATIENCE;
    while !sender.reader.state.is_empty() {
        thread::sleep(TICK);
        assert!(Instant::now() < deadline, "the frames were never shelved");
    }
    let begun = Instant::now();
    let receiver = Receiver::begin(ZenohMode::Peer, &sender.endpoint, u32::MAX);
    receiver.until_held(sender.frames);
    begun.elapsed().as_secs_f64()
}

/// A sender, a receiver, and whoever stands between them.
struct Line {
    sender: Sender,
    receiver: Receiver,
    _relay: Option<Sender>,
}

impl Line {
    fn begin(way: Way, together_max: usize, envelopes_per_second_max: u32) -> Self {
        let relay = (way == Way::Chain).then(|| Sender::begin(ZenohMode::Router, None, 1));
        let to = relay.as_ref().map(|relay| relay.endpoint.clone());
        let mode = if relay.is_some() { ZenohMode::Client } else { ZenohMode::Peer };
        let mut sender = Sender::begin(mode, to.as_deref(), together_max);
        let to = to.unwrap_or_else(|| sender.endpoint.clone());
        let receiver = Receiver::begin(mode, &to, envelopes_per_second_max);
        sender.say_frames(1);
        receiver.until_held(1);
        Self { sender, receiver, _relay: relay }
    }
}

/// A bridge whose outbox is filled by the bench.
struct Sender {
    outbox: Outbox,
    reader: OutboxReader,
    frames: u64,
    batches: u64,
    endpoint: String,
    _bridge: Bridge,
    _inboxes: Inboxes,
}

impl Sender {
    fn begin(mode: ZenohMode, connect: Option<&str>, frames_signed_together_max: usize) -> Self {
        let (inbox, inboxes) = doors(InboxLimits::default());
        let (outbox, reader) = outbox(MISSED as usize + 1, 64);
        let limits = BridgeLimits { frames_signed_together_max, ..BridgeLimits::default() };
        let (n, trusted) =
            if mode == ZenohMode::Router { (3, BTreeSet::new()) } else { (2, BTreeSet::from([key(1).id()])) };
        let ports = bridge_ports(key(n), inbox, reader.clone(), CommitWatch::default());
        let bridge = spawn(config(mode, connect, trusted, limits), ports).expect("a bridge");
        let endpoint = endpoint_of(&inboxes);
        Self { outbox, reader, frames: 0, batches: 0, endpoint, _bridge: bridge, _inboxes: inboxes }
    }

    fn make_frames(&mut self, count: u64) -> Vec<Outgoing> {
        let begin = self.frames;
        self.frames += count;
        (begin..self.frames).map(|sequence| outgoing(sequence, Body::Frame(frame(sequence)))).collect()
    }

    fn say(&self, frames: Vec<Outgoing>) {
        for frame in frames {
            self.outbox.offer(frame).expect("there is room");
        }
    }

    fn say_frames(&mut self, count: u64) {
        let frames = self.make_frames(count);
        self.say(frames);
    }

    fn say_batches(&mut self, count: u64) {
        for sequence in self.batches..self.batches + count {
            self.outbox.offer(outgoing(sequence, batch(sequence))).expect("the oldest make room");
        }
        self.batches += count;
    }
}

fn endpoint_of(inboxes: &Inboxes) -> String {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        for (input, _) in inboxes.take_state(99) {
            if let InputBody::LinkChanged(LinkState::Open { listen }) = input.body {
                return listen.first().cloned().unwrap_or_default();
            }
        }
        thread::sleep(Duration::from_millis(1));
    }
    panic!("the session never opened");
}

fn config(
    mode: ZenohMode,
    connect: Option<&str>,
    trusted: BTreeSet<NodeId>,
    limits: BridgeLimits,
) -> BridgeConfig {
    let listen = if connect.is_some() { Vec::new() } else { vec!["tcp/127.0.0.1:0".to_owned()] };
    BridgeConfig {
        mesh: mesh(),
        mode,
        listen,
        connect: connect.into_iter().map(str::to_owned).collect(),
        discovery: false,
        trusted,
        parts: BTreeMap::new(),
        mappings: Vec::new(),
        limits,
        marks: BTreeMap::new(),
        people: clawmesh_authority::Roster::default(),
    }
}

fn bridge_ports(key: NodeKey, inbox: InboxHandle, outbox: OutboxReader, commits: CommitWatch) -> BridgePorts {
    BridgePorts {
        key,
        epoch: 1,
        inbox,
        outbox,
        commits,
        unix_ms: Arc::new(|| NOW_MS),
        clock: None,
        telling: Arc::new(|| Telling::Time),
        desk: AnswerDesk::default(),
        latch: Arc::new(NoStop),
        papers: Arc::new(|| Ok(None)),
        standing: Arc::new(|| None),
    }
}

/// What the tick of the receiver has taken so far.
#[derive(Default)]
struct Seen {
    /// The next frame it waits for.
    frames: AtomicU64,
    /// The row of the journal that all of them are in or before.
    row: AtomicU64,
    samples: AtomicU64,
    is_over: AtomicBool,
}

/// A node with doors, a tick at 50 Hz and a journal on the disk.
struct Receiver {
    seen: Arc<Seen>,
    commits: CommitWatch,
    ticker: Option<JoinHandle<()>>,
    _bridge: Bridge,
    _folder: TempDir,
}

impl Receiver {
    fn begin(mode: ZenohMode, connect: &str, envelopes_per_second_max: u32) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let path = folder.path().join("journal.db");
        let OpenJournal { writer, watch: commits, .. } =
            Journal::open(&path, JournalOptions::default()).expect("a new journal");
        let (inbox, inboxes) = doors(InboxLimits::default());
        let (outbox, reader) = outbox(16, 16);
        let ports = Ports {
            inboxes,
            journal: Box::new(writer),
            next_sequence: 1,
            outbox,
            snapshots: Box::new(NoReader),
            drivers: None,
            simulator: None,
            latch: None,
            desk: AnswerDesk::default(),
            planner: None,
            fault_handler: |fault, context| panic!("{context}: {fault}"),
        };
        let core = Core::live(settings(key(1).id(), key(2).id()), ports);
        let clock = InputBody::ClockSampled { unix_ms: NOW_MS, up_ms: 0 };
        inbox.offer_own(SourceId::Clock, clock, None).expect("the door is empty");
        let seen = Arc::<Seen>::default();
        let looking = Arc::clone(&seen);
        let ticker = thread::Builder::new().name("tick".to_owned()).spawn(move || beat(core, &looking));
        let limits = BridgeLimits { envelopes_per_second_max, ..BridgeLimits::default() };
        let ports = bridge_ports(key(1), inbox, reader, commits.clone());
        let bridge = spawn(config(mode, Some(connect), BTreeSet::from([key(2).id()]), limits), ports);
        let (ticker, _bridge) = (Some(ticker.expect("a thread")), bridge.expect("a bridge"));
        Self { seen, commits, ticker, _bridge, _folder: folder }
    }

    /// Waits until the journal holds this many frames.
    fn until_held(&self, frames: u64) {
        let deadline = Instant::now() + PATIENCE;
        while self.seen.frames.load(Ordering::Acquire) < frames {
            assert!(Instant::now() < deadline, "{frames} frames never came");
            assert!(!self.ticker.as_ref().is_some_and(JoinHandle::is_finished), "the tick has died");
            thread::sleep(Duration::from_micros(200));
        }
        assert!(
            self.commits.wait_for(self.seen.row.load(Ordering::Acquire), PATIENCE),
            "{:?}",
            self.commits.failure()
        );
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.seen.is_over.store(true, Ordering::Relaxed);
        if let Some(ticker) = self.ticker.take() {
            ticker.join().expect("the tick lives");
        }
    }
}

fn beat(mut core: Core, seen: &Seen) {
    let mut due = Instant::now();
    while !seen.is_over.load(Ordering::Relaxed) {
        core.tick();
        let world = core.world();
        let marks = world.resource::<LaneMarks>().0.get(&key(2).id()).copied().unwrap_or_default();
        let sensors = world.resource::<SensorIndex>().0.values();
        let samples =
            sensors.filter_map(|sensor| world.get::<Latest>(*sensor)).map(|latest| latest.samples).sum();
        // The digest comes behind the frames of its tick, on the stream lane: nothing waits for it.
        let is_digest_last = world.resource::<Tick>().0.is_multiple_of(DIGEST_EVERY_TICKS);
        let row = world.resource::<JournalCursor>().last() - u64::from(is_digest_last);
        seen.row.store(row, Ordering::Release);
        seen.samples.store(samples, Ordering::Release);
        seen.frames.store(marks.state.next, Ordering::Release);
        due = (due + TICK).max(Instant::now());
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    let refusals = world_refusals(&core);
    if !refusals.is_empty() {
        println!("  refused at the receiver: {refusals}");
    }
}

fn world_refusals(core: &Core) -> String {
    format!("{:?}", core.world().resource::<Refusals>())
}

fn settings(node: NodeId, trusted: NodeId) -> Settings {
    Settings {
        digest_every_ticks: DIGEST_EVERY_TICKS,
        trusted: BTreeSet::from([trusted]),
        ..Settings::of_first_run(node, "bench", "bench", "bench")
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
