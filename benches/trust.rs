//! How soon a running node follows its people: from the end of `clawmesh trust add` to the node shown as trusted, and from
//! the end of `clawmesh trust remove` to links closed and open again for the others.
//!
//! `cargo bench -p clawmesh --bench trust`
//!
//! Two real nodes with papers of one mesh on one machine, linked by TLS. Beside it `clawmesh status` typed and answered,
//! which is how the bench looks.
#![expect(clippy::print_stdout, reason = "a bench talks to the terminal")]

#[path = "../tests/support/mod.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod support;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clawmesh_authority::{NodeId, NodeKey};
use clawmesh_bridge::MeshRoot;
use serde_json::Value;
use support::cli::{json_on, run_on};
use support::node::Node;
use support::wait::now;

const ROUNDS: usize = 11;
const ADDED_MS_MAX: f64 = 500.0;
const REMOVED_MS_MAX: f64 = 2_000.0;
const PATIENCE: Duration = Duration::from_secs(30);

fn main() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let (desk, desk_id) = with_papers(folder.path(), "desk", 1);
    let (field, field_id) = with_papers(folder.path(), "field", 2);
    // A port that stays the same when the session is opened anew.
    let port =
        TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
    let here = format!("tls/127.0.0.1:{port}");
    let (desk_id, field_id) = (desk_id.to_string(), field_id.to_string());
    json_on(&desk, &["trust", "add", &field_id]);
    let mut center = Node::start_at("start", &desk, &["--port", "0", "--listen", &here]);
    center.endpoint();
    let linked = ["--port", "0", "--listen", "tls/127.0.0.1:0", "--connect", &here, "--trust", &desk_id];
    let mut pump = Node::start_at("start", &field, &linked);
    pump.endpoint();
    until_is(&desk, |status| status["peers"]["alive"] == 1);
    let (mut added_ms, mut removed_ms, mut bare_ms) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        removed_ms.push(removed(&desk, &field, &field_id));
        added_ms.push(added(&desk, &field_id));
        until_is(&desk, |status| status["peers"]["alive"] == 1);
        let begun = now();
        json_on(&desk, &["status"]);
        bare_ms.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    pump.stop();
    center.stop();
    let [(added, added_worst), (removed, removed_worst), (bare, _)] =
        [added_ms, removed_ms, bare_ms].map(median_and_worst);
    println!(
        "`clawmesh trust add` to trusted: median {added:.0} ms, worst of {ROUNDS} {added_worst:.0} ms (at most {ADDED_MS_MAX:.0} ms); \
         `clawmesh trust remove` to all links closed and the session open again: median {removed:.0} ms, worst \
         {removed_worst:.0} ms (at most {REMOVED_MS_MAX:.0} ms); `clawmesh status` alone {bare:.0} ms"
    );
    assert!(added_worst <= ADDED_MS_MAX && removed_worst <= REMOVED_MS_MAX, "too slow");
}

/// A state dir with an identity and papers of the mesh of this bench.
fn with_papers(folder: &Path, name: &str, secret: u8) -> (PathBuf, NodeId) {
    let (dir, key) = (folder.join(name), NodeKey::from_secret(&[secret; 32]));
    let root = MeshRoot::found(NodeKey::from_secret(&[9; 32]), "default").expect("a certificate can be made");
    let papers = root.issue(&key.public()).expect("a certificate can be made");
    fs::create_dir_all(dir.join("identity")).expect("the folder is ours");
    let secret_file = |name: &str, text: &str| {
        let path = dir.join("identity").join(name);
        fs::write(&path, text).expect("there is room");
        let only_owner = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(&path, only_owner).expect("it is ours");
    };
    secret_file("node.pem", &key.to_pem().expect("a key has a text"));
    secret_file("papers.pem", &papers.as_pem().concat());
    (dir, key.id())
}

/// From the end of the command to the node shown as trusted, milliseconds.
fn added(dir: &Path, id: &str) -> f64 {
    json_on(dir, &["trust", "add", id]);
    let begun = now();
    let is_trusted = |peers: &Value| {
        let rows = peers["peers"].as_array().expect("a list of peers");
        rows.iter().any(|row| row["id"] == *id && row["trusted"] == true)
    };
    (until(dir, "peers", is_trusted) - begun).as_secs_f64() * 1e3
}

/// From the end of the command to the other node seeing this one go, and the session here open again, milliseconds.
fn removed(dir: &Path, other: &Path, id: &str) -> f64 {
    json_on(dir, &["trust", "remove", id]);
    let begun = now();
    until_is(other, |status| status["peers"]["alive"] == 0);
    (until_is(dir, |status| status["link"]["state"] == "open") - begun).as_secs_f64() * 1e3
}

fn until_is(dir: &Path, is_so: impl Fn(&Value) -> bool) -> Instant {
    until(dir, "status", is_so)
}

/// The moment at which a reading command answers so.
fn until(dir: &Path, command: &str, is_so: impl Fn(&Value) -> bool) -> Instant {
    let begun = now();
    loop {
        let said = run_on(dir, &[command, "--json"]);
        if serde_json::from_str(&said.out).is_ok_and(|answer: Value| is_so(&answer)) {
            return now();
        }
        assert!(begun.elapsed() < PATIENCE, "{command} does not come to be so: {said:?}");
    }
}

fn median_and_worst(mut times_ms: Vec<f64>) -> (f64, f64) {
    times_ms.sort_by(f64::total_cmp);
    (times_ms[times_ms.len() / 2], times_ms[times_ms.len() - 1])
}
