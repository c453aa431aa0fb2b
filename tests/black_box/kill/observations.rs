//! Fifty times `kill -9`, in the middle of everything: what was acknowledged is kept, and every recording replays.
//!
//! A field node takes observations at its gateway and brings them to the command center as beliefs. Both
//! processes are killed at moments of a seed and started again at once, on the same state dirs and ports.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::{Dice, Place, introduce, steady_ports};
use crate::support::cli::run_on;
use crate::support::wait::{POLL, now, until};

const SEED: u64 = 0x000c_1a3e_5000_0009;
const KILLS_OF_EACH: usize = 25;
/// Milliseconds between two kills: some hit a node that is still starting, some one that is long at work.
const BETWEEN_KILLS_MS: std::ops::Range<u64> = 20..700;
/// Each is brought again after every start of the field node, so they bound the length of the test.
const OBSERVATIONS_MAX: u32 = 2_500;
const OBSERVERS: usize = 2;
/// As fast as a node goes: the courier brings one frame a tick.
const NODE: &str = "(hz: 200, digest_every_ticks: 50)";
const DELIVERED_WITHIN: Duration = Duration::from_secs(60);

/// The numbers of the observations that the world of a node holds; none while it does not answer.
fn known(place: &Place) -> BTreeSet<u32> {
    let said = run_on(&place.dir, &["world", "observed/", "--limit", "10000", "--json"]);
    let world: Value = serde_json::from_str(&said.out).unwrap_or_default();
    let beliefs = world["beliefs"].as_array().into_iter().flatten();
    beliefs.filter_map(|row| row["key"].as_str()?.strip_prefix("observed/")?.parse().ok()).collect()
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
        token: field.token(),
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
            until("the first frame arrives", Duration::from_secs(30), || known(&center).pop_first());
            storm(&mut field, &mut center);
        }));
        observers.is_over.store(true, Ordering::Relaxed);
        stormed.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    let (noted, acknowledged) = (observers.next.into_inner(), observers.acknowledged.into_inner().unwrap());
    center.node().endpoint();
    let (count, flowed) = (acknowledged.len(), known(&center).len());
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
    let ports = steady_ports(0);
    let mut field = Place::new(folder, "field-node", ports[0], NODE);
    let mut center = Place::new(folder, "command-center", ports[1], NODE);
    introduce(&mut field, &mut center, ports);
    field.start();
    center.start();
    field.node().endpoint();
    center.node().endpoint();
    [field, center]
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
        let known = known(place);
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
