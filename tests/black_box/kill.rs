//! Fifty times `kill -9`, in the middle of everything: what was acknowledged is kept, and every recording replays.
//!
//! A field node takes observations at its gateway and brings them to the command center as beliefs. Both
//! processes are killed at moments of a seed and started again at once, on the same state dirs and ports.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::support::cli::{id_of, run_on};
use crate::support::node::Node;
use crate::support::wait::{POLL, now, until};

const SEED: u64 = 0x000c_1a3e_5000_0009;
const KILLS_OF_EACH: usize = 25;
/// Milliseconds between two kills: some hit a node that is still starting, some one that is long at work.
const BETWEEN_KILLS_MS: std::ops::Range<u64> = 20..700;
/// Each is brought again after every start of the field node, so they bound the length of the test.
const OBSERVATIONS_MAX: u32 = 2_500;
const OBSERVERS: usize = 2;
const DELIVERED_WITHIN: Duration = Duration::from_secs(60);

/// Random numbers that are a function of the seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn within(&mut self, range: std::ops::Range<u64>) -> u64 {
        range.start + self.roll() % (range.end - range.start)
    }
}

/// One of the two nodes: what it needs to come up as the same one again.
struct Place {
    name: &'static str,
    dir: PathBuf,
    port: u16,
    settings: Vec<String>,
    node: Option<Node>,
}

impl Place {
    fn new(folder: &Path, name: &'static str, port: u16) -> Self {
        let dir = folder.join(name);
        fs::create_dir(&dir).expect("the folder is ours");
        // As fast as a node goes: the courier brings one frame a tick.
        fs::write(dir.join("node.ron"), "(hz: 200, digest_every_ticks: 50)").expect("the folder is ours");
        Self { name, dir, port, settings: Vec::new(), node: None }
    }

    fn settle(&mut self, endpoint: &str, other_endpoint: &str, other_id: &str) {
        let port = self.port.to_string();
        let settings =
            ["--port", &port, "--listen", endpoint, "--connect", other_endpoint, "--trust", other_id];
        self.settings = settings.map(str::to_owned).to_vec();
    }

    fn start(&mut self) {
        let settings: Vec<&str> = self.settings.iter().map(String::as_str).collect();
        self.node = Some(Node::start_at("start", &self.dir, &settings));
    }

    /// Kills the node; one that ended by itself before is a failed start.
    fn kill(&mut self) {
        let name = self.name;
        let node = self.node();
        if let Some(status) = node.ended() {
            panic!("a {name} ended by itself with {status}: {}", node.log());
        }
        // To drop it is to kill it, and to wait until its lock and its ports are free.
        self.node = None;
    }

    fn node(&mut self) -> &mut Node {
        self.node.as_mut().expect("it was started")
    }

    /// The numbers of the observations that its world holds; none while it does not answer.
    fn known(&self) -> BTreeSet<u32> {
        let said = run_on(&self.dir, &["world", "observed/", "--json"]);
        let world: Value = serde_json::from_str(&said.out).unwrap_or_default();
        let beliefs = world["beliefs"].as_array().into_iter().flatten();
        beliefs.filter_map(|row| row["key"].as_str()?.strip_prefix("observed/")?.parse().ok()).collect()
    }
}

/// Programs that note observations at the gateway of the field node, each under a key of its own.
struct Observers {
    port: u16,
    token: String,
    next: AtomicU32,
    is_over: AtomicBool,
    acknowledged: Mutex<BTreeSet<u32>>,
}

impl Observers {
    fn observe(&self) {
        while !self.is_over.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= OBSERVATIONS_MAX {
                return;
            }
            if self.note_when_somebody_listens(number) {
                self.acknowledged.lock().expect("no observer panics").insert(number);
            }
            // So that they last for the whole storm.
            thread::sleep(POLL);
        }
    }

    /// True when it was acknowledged. While the node is down nothing is said, so the number is still free.
    fn note_when_somebody_listens(&self, number: u32) -> bool {
        while !self.is_over.load(Ordering::Relaxed) {
            match self.note(number) {
                Note::NobodyThere => thread::sleep(POLL),
                Note::Acknowledged => return true,
                Note::Unknown => return false,
            }
        }
        false
    }

    fn note(&self, number: u32) -> Note {
        let Ok(stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return Note::NobodyThere };
        match self.ask(stream, number) {
            Ok(answer) if answer.starts_with("HTTP/1.1 201 ") && answer.contains("\"committed\":true") => {
                Note::Acknowledged
            }
            _ => Note::Unknown,
        }
    }

    fn ask(&self, mut stream: TcpStream, number: u32) -> std::io::Result<String> {
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let body = format!("{{\"key\": \"observed/{number}\", \"value\": {number}}}");
        let head = format!(
            "POST /api/observations HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            self.port,
            self.token,
            body.len()
        );
        stream.write_all((head + &body).as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}

enum Note {
    Acknowledged,
    /// Taken or not: only the journal knows.
    Unknown,
    NobodyThere,
}

#[test]
fn fifty_kills_at_random_moments_lose_nothing_acknowledged_and_spoil_no_recording() {
    let folder = tempfile::tempdir().unwrap();
    let [mut field, mut center] = two_places(folder.path());
    let observers = Observers {
        port: field.port,
        token: fs::read_to_string(field.dir.join("gateway.token")).unwrap().trim().to_owned(),
        next: AtomicU32::new(0),
        is_over: AtomicBool::new(false),
        acknowledged: Mutex::default(),
    };
    thread::scope(|scope| {
        for _ in 0..OBSERVERS {
            scope.spawn(|| observers.observe());
        }
        // Even when a kill finds a node dead, the observers end and the scope with them.
        let stormed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            until("the first frame arrives", Duration::from_secs(30), || center.known().pop_first());
            storm(&mut field, &mut center);
        }));
        observers.is_over.store(true, Ordering::Relaxed);
        stormed.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    let (noted, acknowledged) = (observers.next.into_inner(), observers.acknowledged.into_inner().unwrap());
    center.node().endpoint();
    let (count, flowed) = (acknowledged.len(), center.known().len());
    eprintln!(
        "seed {SEED:#x}: {noted} noted, {count} acknowledged, {flowed} delivered while the nodes were killed"
    );
    assert!(count > 100 && flowed > 10, "too little was under way; the test shows nothing");
    expect_all(&field, &acknowledged);
    expect_all(&center, &acknowledged);
    for mut place in [center, field] {
        place.node.take().unwrap().stop();
        let said = run_on(&place.dir, &["replay", place.dir.to_str().unwrap(), "--verify"]);
        assert_eq!(said.code, Some(0), "seed {SEED:#x}, {}: {said:?}", place.name);
    }
}

/// Both nodes, running, with ports that stay theirs.
fn two_places(folder: &Path) -> [Place; 2] {
    let [a, b, c, d] = steady_ports();
    let mut field = Place::new(folder, "field-node", a);
    let mut center = Place::new(folder, "command-center", b);
    let (field_endpoint, center_endpoint) = (format!("tcp/127.0.0.1:{c}"), format!("tcp/127.0.0.1:{d}"));
    field.settle(&field_endpoint, &center_endpoint, &id_of(&center.dir));
    center.settle(&center_endpoint, &field_endpoint, &id_of(&field.dir));
    field.start();
    center.start();
    field.node().endpoint();
    center.node().endpoint();
    [field, center]
}

/// Ports below those the system hands out by itself: nobody takes them while a node is down for a moment.
fn steady_ports() -> [u16; 4] {
    let first = 20_000 + u16::try_from(std::process::id() % 10_000).expect("below 10,000");
    let mut free = (first..32_000).filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    [0; 4].map(|_| free.next().expect("four of thousands of ports are free"))
}

/// Kills both nodes as often as the other, in an order and at moments of the seed.
fn storm(field: &mut Place, center: &mut Place) {
    let mut dice = Dice(SEED);
    let mut left = [KILLS_OF_EACH; 2];
    while left != [0, 0] {
        thread::sleep(Duration::from_millis(dice.within(BETWEEN_KILLS_MS)));
        let total = (left[0] + left[1]) as u64;
        let which = usize::from(dice.within(0..total) >= left[0] as u64);
        left[which] -= 1;
        let place = if which == 0 { &mut *field } else { &mut *center };
        place.kill();
        place.start();
    }
}

fn expect_all(place: &Place, acknowledged: &BTreeSet<u32>) {
    let begun = now();
    let mut missing = acknowledged.clone();
    while !missing.is_empty() && begun.elapsed() < DELIVERED_WITHIN {
        thread::sleep(POLL);
        let known = place.known();
        missing.retain(|number| !known.contains(number));
    }
    assert!(
        missing.is_empty(),
        "seed {SEED:#x}: {} of {} acknowledged observations are not in the world of the {}: {missing:?}",
        missing.len(),
        acknowledged.len(),
        place.name
    );
}
