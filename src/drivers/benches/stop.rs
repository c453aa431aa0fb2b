//! How soon after a stop the last actuator was written to: with a tick beside it, and with a tick that stands still.
//!
//! `cargo bench -p clawmesh-drivers --bench stop`
//!
//! The stop is kept on a disk as a node keeps it, and the hardware has the five actuators of the shipped farm, all on.
#![expect(clippy::print_stdout, reason = "a bench talks to the terminal")]
#![expect(clippy::disallowed_methods, reason = "a bench measures with the monotonic clock")]

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use clawmesh_authority::{AuthorizedCommand, Capability, NodeId, SafeStates, SafingCommand, Setpoint};
use clawmesh_core::intake::{InboxLimits, Inboxes, doors};
use clawmesh_core::proposals::AnswerDesk;
use clawmesh_core::publish::{Snapshot, SnapshotSink, outbox};
use clawmesh_core::replay::{Batch, CommitWatch, JournalWriter};
use clawmesh_core::{Core, Ports, Settings};
use clawmesh_drivers::{
    Driver, DriverFault, DriverLayer, DriverPorts, KeepStop, Orders, ReadBack, StopLatch, Taken,
};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

const STOPS: u64 = 400;
/// More than the system itself takes.
const MORE_MS_MAX: f64 = 10.0;
const PATIENCE: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(20);
/// As a node's own.
const LEASE_MS: u64 = 1_000;
const ACTUATORS: [&str; 5] = [
    "actuator:pump:pump-main-01",
    "actuator:valve:valve-food-forest",
    "actuator:valve:valve-flower",
    "actuator:valve:valve-grain",
    "actuator:valve:valve-nursery",
];

fn main() {
    for (what, is_held) in [("a tick at 50 Hz beside it", false), ("the tick held", true)] {
        let (mut times, mut bare) = stops(is_held);
        let (median_ms, p99_ms) = (percentile(&mut times, 0.5), percentile(&mut times, 0.99));
        let (bare_median_ms, bare_p99_ms) = (percentile(&mut bare, 0.5), percentile(&mut bare, 0.99));
        println!(
            "stop to the last of {} writes, {what}: p50 {median_ms:.2} ms, p99 {p99_ms:.2} ms; a bare wake of a thread \
             beside it: p50 {bare_median_ms:.2} ms, p99 {bare_p99_ms:.2} ms (at most {MORE_MS_MAX:.0} ms more)",
            ACTUATORS.len()
        );
        assert!(p99_ms < bare_p99_ms + MORE_MS_MAX, "too slow");
    }
}

fn percentile(times: &mut [Duration], share: f64) -> f64 {
    times.sort();
    let at = ((times.len() - 1) as f64 * share).round() as usize;
    times[at].as_secs_f64() * 1e3
}

/// What the system itself takes to wake a thread and to hear from it as often as there are actuators.
struct Bare {
    wake: Sender<()>,
    told: Receiver<Instant>,
}

impl Bare {
    fn start() -> Self {
        let (wake, woken) = bounded::<()>(1);
        let (tell, told) = bounded(ACTUATORS.len());
        // It ends when nobody can wake it any more.
        thread::spawn(move || {
            while woken.recv().is_ok() {
                (0..ACTUATORS.len()).for_each(|_| tell.send(Instant::now()).expect("somebody listens"));
            }
        });
        Self { wake, told }
    }

    fn time(&self) -> Duration {
        let begun = Instant::now();
        self.wake.send(()).expect("the thread is there");
        last_of(&self.told) - begun
    }
}

fn last_of(told: &Receiver<Instant>) -> Instant {
    let next = |_| told.recv_timeout(PATIENCE).expect("everything is written");
    (0..ACTUATORS.len()).map(next).max().expect("there are actuators")
}

/// The times of many stops, each from the call to the last write, and of as many bare wakes between them.
fn stops(is_held: bool) -> (Vec<Duration>, Vec<Duration>) {
    let (rig, bare) = (Rig::start(), Bare::start());
    let times = (0..STOPS).map(|at| {
        rig.switch_everything_on();
        let held = is_held.then(|| rig.held_tick());
        // The layer has a beat of its own; each stop comes at another moment of it.
        thread::sleep(Duration::from_micros(20_000 + at * 37));
        let begun = Instant::now();
        rig.latch.set("bench").expect("the disk keeps it");
        let last = last_of(&rig.writes);
        drop(held);
        rig.latch.rearm().expect("the disk forgets it");
        thread::sleep(Duration::from_micros(2_000));
        (last - begun, bare.time())
    });
    let times = times.unzip();
    rig.close();
    times
}

/// Hardware that is on until somebody writes, and says when that was.
#[derive(Clone)]
struct Hardware {
    positions: Arc<Mutex<BTreeMap<Capability, Setpoint>>>,
    writes: Sender<Instant>,
}

impl Hardware {
    fn positions(&self) -> MutexGuard<'_, BTreeMap<Capability, Setpoint>> {
        self.positions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Driver for Hardware {
    fn drive(&mut self, command: &AuthorizedCommand) -> Result<Taken, DriverFault> {
        Err(DriverFault::Unknown(command.actuator().clone()))
    }

    fn make_safe(&mut self, command: &SafingCommand) -> Result<Taken, DriverFault> {
        self.positions().insert(command.actuator().clone(), command.setpoint());
        self.writes.send(Instant::now()).expect("somebody listens");
        Ok(Taken::Done)
    }

    fn read_back(&mut self, actuator: &Capability) -> Option<ReadBack> {
        let position = self.positions().get(actuator).copied();
        Some(ReadBack { position, local_control: false })
    }
}

/// Keeps the stop as a node does: written, and on the disk before anybody is told.
struct OnDisk(PathBuf);

impl KeepStop for OnDisk {
    fn keep(&self, reason: &str) -> Result<String, String> {
        let write = || {
            std::fs::write(&self.0, reason)?;
            File::open(&self.0)?.sync_all()
        };
        write().map(|()| reason.to_owned()).map_err(|fault| fault.to_string())
    }

    fn forget(&self) -> Result<(), String> {
        std::fs::remove_file(&self.0).map_err(|fault| fault.to_string())
    }
}

/// Takes everything at once.
struct Memory(CommitWatch);

impl JournalWriter for Memory {
    fn append(&mut self, batch: Batch) {
        self.0.commit(batch.first_sequence + batch.records.len() as u64 - 1);
        batch.tickets.into_iter().for_each(|ticket| ticket.answer(Ok(())));
    }
}

struct Unseen;

impl SnapshotSink for Unseen {
    fn publish(&self, _: Arc<Snapshot>) {}
}

/// A tick in a thread of its own. Whoever sends it a receiver holds it until the other end of that is dropped.
fn tick_in_a_thread(
    inboxes: Inboxes,
    orders: Orders,
    commits: CommitWatch,
) -> (Sender<Receiver<()>>, JoinHandle<()>) {
    let (hold, holds) = bounded::<Receiver<()>>(0);
    let thread = thread::spawn(move || {
        let (outbox, _reader) = outbox(64, 64);
        let ports = Ports {
            inboxes,
            journal: Box::new(Memory(commits)),
            next_sequence: 1,
            outbox,
            snapshots: Box::new(Unseen),
            drivers: Some(Box::new(orders)),
            simulator: None,
            latch: None,
            desk: AnswerDesk::default(),
            planner: None,
            fault_handler: |error, context| panic!("{context}: {error}"),
        };
        let mut core = Core::live(settings(), ports);
        loop {
            core.tick();
            match holds.recv_timeout(TICK) {
                Ok(release) => drop(release.recv()),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    });
    (hold, thread)
}

fn settings() -> Settings {
    Settings { digest_every_ticks: 50, ..Settings::of_first_run(NodeId([7; 32]), "bench", "field", "bench") }
}

/// A driver layer with hardware, a latch on a disk, and a tick.
struct Rig {
    hardware: Hardware,
    writes: Receiver<Instant>,
    latch: StopLatch,
    hold: Sender<Receiver<()>>,
    tick: JoinHandle<()>,
    layer: DriverLayer,
    _folder: tempfile::TempDir,
}

impl Rig {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let actuators = || ACTUATORS.iter().map(|text| Capability::new(text).expect("it is well-formed"));
        let off = actuators().map(|actuator| (actuator, Setpoint::Off));
        let (tell, writes) = bounded(64);
        let hardware = Hardware { positions: Arc::new(Mutex::new(off.clone().collect())), writes: tell };
        let (inbox, inboxes) = doors(InboxLimits::default());
        let (latch, commits) =
            (StopLatch::new(None, OnDisk(folder.path().join("stop"))), CommitWatch::default());
        let ports = DriverPorts {
            driver: Box::new(hardware.clone()),
            safe_states: SafeStates::in_order(off),
            shuts_after: BTreeMap::new(),
            latch: latch.clone(),
            inbox,
            commits: commits.clone(),
            lease_ms: LEASE_MS,
        };
        let (layer, orders) = DriverLayer::start(ports).expect("the layer gets a thread");
        let (hold, tick) = tick_in_a_thread(inboxes, orders, commits);
        Self { hardware, writes, latch, hold, tick, layer, _folder: folder }
    }

    fn switch_everything_on(&self) {
        self.hardware.positions().values_mut().for_each(|position| *position = Setpoint::On);
    }

    /// Holds the tick until what is returned is dropped.
    fn held_tick(&self) -> Sender<()> {
        let (release, released) = bounded(0);
        self.hold.send(released).expect("the tick is there");
        release
    }

    fn close(self) {
        drop(self.hold);
        self.tick.join().expect("the tick ends");
        self.layer.close();
    }
}
