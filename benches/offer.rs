//! How soon people are asked: from the moment somebody types `clawmesh propose` to the offer that any reader of the node
//! sees, with its card of 33 simulated futures.
//!
//! `cargo bench -p clawmesh --bench offer`
//!
//! The owner is a real plant node in a process of its own; every proposal is withdrawn once its offer was seen. Beside it
//! the same two programs without a proposal: `clawmesh proposals` typed, and its answer read.
#![expect(clippy::print_stdout, reason = "a bench talks to the terminal")]

#[path = "../tests/support/mod.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod support;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::cli::{end_of, json_on, program, run_on};
use support::node::Node;
use support::wait::{now, until};

/// One maker may bring twelve a minute.
const PROPOSALS: usize = 11;
const OFFER_MS_MAX: f64 = 300.0;
const PATIENCE: Duration = Duration::from_secs(30);

fn main() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let (dir, key) = (folder.path().join("field-node"), folder.path().join("operator.key"));
    fs::create_dir(&dir).expect("the folder is ours");
    let key = key.to_str().expect("a path of ours");
    let new = end_of(program().args(["operator", "new", "--no-passphrase", "--json", "--key", key]));
    let new: Value = serde_json::from_str(&new.out).expect("it answers in JSON");
    let public = new["public_key"].as_str().expect("a key has a public half");
    json_on(&dir, &["operator", "enroll", public, "--name", "Ann", "--role", "operator"]);
    let mut owner = Node::start_as("plant", &dir, &["--seed", "10"]);
    owner.endpoint();
    // Until the sensors have spoken it is refused.
    let first = until("a proposal is taken", PATIENCE, || proposed(&dir, key));
    seen_and_withdrawn(&dir, key, &first);
    let mut times_ms: Vec<f64> = (0..PROPOSALS).map(|_| offer_ms(&dir, key)).collect();
    let mut bare_ms: Vec<f64> = (0..PROPOSALS).map(|_| bare_ms(&dir)).collect();
    times_ms.sort_by(f64::total_cmp);
    bare_ms.sort_by(f64::total_cmp);
    let (median, worst, bare) = (times_ms[PROPOSALS / 2], times_ms[PROPOSALS - 1], bare_ms[PROPOSALS / 2]);
    println!(
        "`clawmesh propose` to the offer shown: median {median:.0} ms, worst of {PROPOSALS} {worst:.0} ms \
         (at most {OFFER_MS_MAX:.0} ms); `clawmesh proposals` alone {bare:.0} ms"
    );
    owner.stop();
    assert!(worst <= OFFER_MS_MAX, "too slow");
}

fn proposed(dir: &Path, key: &str) -> Option<String> {
    let steps = ["propose", "valve-food-forest=open", "pump-main-01=start", "--for", "20m"];
    let said = run_on(dir, &[&steps[..], &["--why", "a bench", "--key", key, "--json"]].concat());
    let answer: Value = serde_json::from_str(&said.out).ok()?;
    Some(answer["proposal"].as_str()?.to_owned())
}

fn offer_ms(dir: &Path, key: &str) -> f64 {
    let begun = now();
    let id = proposed(dir, key).expect("it is taken");
    let seen = seen_and_withdrawn(dir, key, &id);
    (seen - begun).as_secs_f64() * 1e3
}

/// Waits until a reader sees the offer, and takes the proposal back; the moment it was seen.
fn seen_and_withdrawn(dir: &Path, key: &str, id: &str) -> Instant {
    let begun = now();
    while !is_offered(dir, id) {
        assert!(begun.elapsed() < PATIENCE, "nobody is asked");
        thread::sleep(Duration::from_millis(2));
    }
    let seen = now();
    let said = run_on(dir, &["withdraw", id, "--why", "a bench", "--key", key]);
    assert_eq!(said.code, Some(0), "{said:?}");
    seen
}

fn is_offered(dir: &Path, id: &str) -> bool {
    let known: Value = serde_json::from_str(&get(dir, "/api/proposals")).expect("it answers in JSON");
    let proposals = known["proposals"].as_array().expect("a list of proposals");
    proposals.iter().any(|row| row["id"] == *id && row["offer"].is_object())
}

fn bare_ms(dir: &Path) -> f64 {
    let begun = now();
    json_on(dir, &["proposals"]);
    begun.elapsed().as_secs_f64() * 1e3
}

fn get(dir: &Path, path: &str) -> String {
    let read = |name: &str| fs::read_to_string(dir.join(name)).expect("a running node has it");
    let (host, token) = (read("gateway.address").trim().to_owned(), read("gateway.token").trim().to_owned());
    let mut stream = TcpStream::connect(&host).expect("a running node listens");
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("the request is small");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the answer is text");
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).expect("a head and a body")
}
