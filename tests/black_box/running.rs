//! A running process: how it ends, what it tells those who watch it, and what outlives it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use serde_json::Value;

use crate::bad_input::{START, empty};
use crate::support::cli::{json_on, run_on};
use crate::support::node::Node;
use crate::support::wait::until;

const PATIENCE: Duration = Duration::from_secs(30);
const FREE: [&str; 4] = ["--port", "0", "--listen", "tcp/127.0.0.1:0"];

/// Sends a process of ours a signal by name, for example `TERM`.
pub fn signal(process: &Child, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &process.id().to_string()]).status();
    assert!(sent.expect("every unix has a kill").success(), "{name} did not arrive");
}

/// The signals that end a process at once and in order. Under `nohup`, which is passed on to what the tests start,
/// a hang-up ends nothing; nor does it where the system does not tell.
pub fn signals_that_end_all() -> impl Iterator<Item = &'static str> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let hears_hang_up = ignored.is_some_and(|mask| mask.ends_with(['0', '2', '4', '6', '8', 'a', 'c', 'e']));
    ["TERM"].into_iter().chain(hears_hang_up.then_some("HUP"))
}

/// Where the gateway of the node that runs on `dir` listens, for example `127.0.0.1:18789`.
pub fn address(dir: &Path) -> String {
    let address = fs::read_to_string(dir.join("gateway.address"));
    address.expect("a running node has an address").trim().to_owned()
}

/// What a running node answers to `GET`, as status code and JSON; with `token` in the header, if any.
fn get(dir: &Path, path: &str, token: &str) -> (u16, Value) {
    let host = address(dir);
    let mut stream = TcpStream::connect(&host).expect("a running node listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a second is no zero");
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("the request is small");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the answer is text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status code");
    (code, serde_json::from_str(body).expect("a body in JSON"))
}

/// What a run that ended in order leaves: a recording that is proved to its very end.
pub fn expect_proved(dir: &Path) {
    let replay = json_on(dir, &["replay", dir.to_str().expect("a path in UTF-8"), "--verify"]);
    assert_eq!(
        (&replay["verified"], &replay["inputs_after_last_digest"]),
        (&true.into(), &0.into()),
        "{replay:#}"
    );
}

#[test]
fn a_signal_to_end_ends_a_node_in_order() {
    for name in ["INT"].into_iter().chain(signals_that_end_all()) {
        let (_folder, dir) = empty();
        let mut node = Node::start(&dir, &[]);
        node.endpoint();
        signal(&node.child, name);
        let status = node.end();
        assert!(status.success(), "{name}: {status}: {}", node.log());
        assert!(!dir.join("gateway.address").exists(), "{name}: a stopped node has no address");
        expect_proved(&dir);
    }
}

#[test]
fn a_node_started_with_hang_ups_ignored_survives_the_end_of_its_terminal() {
    let (_folder, dir) = empty();
    let mut shell = Command::new("sh");
    // What `nohup` does.
    shell.args(["-c", r#"trap "" HUP; exec "$0" "$@""#, env!("CARGO_BIN_EXE_clawmesh")]);
    let mut node = Node::start_by(shell, "start", &dir, &FREE);
    node.endpoint();
    signal(&node.child, "HUP");
    let tick = node.ask(&["status"])["tick"].as_u64().unwrap();
    until("the tick goes on", PATIENCE, || {
        (node.ask(&["status"])["tick"].as_u64()? > tick + 10).then_some(())
    });
    assert!(node.ended().is_none(), "{}", node.log());
    signal(&node.child, "TERM");
    let status = node.end();
    assert!(status.success() && status.signal().is_none(), "{status}: {}", node.log());
}

#[test]
fn a_node_whose_address_cannot_be_removed_is_closed_all_the_same_and_says_so() {
    let (_folder, dir) = empty();
    let mut node = Node::start(&dir, &[]);
    node.endpoint();
    let address = dir.join("gateway.address");
    fs::remove_file(&address).unwrap();
    fs::create_dir(&address).unwrap();
    signal(&node.child, "TERM");
    let status = node.end();
    assert_eq!(status.code(), Some(1), "{}", node.log());
    assert!(node.log().contains("clawmesh: cannot remove the file: "), "{}", node.log());
    expect_proved(&dir);
}

#[test]
fn a_latched_stop_outlives_the_process_and_is_told_to_everybody_who_asks() {
    let (_folder, dir) = empty();
    fs::write(dir.join("stop"), r#"(reason:"smoke in the pump house",at_unix_ms:7)"#).unwrap();
    for _ in 0..2 {
        let mut node = Node::start(&dir, &[]);
        until("the stop is known", PATIENCE, || {
            assert!(node.ended().is_none(), "{}", node.log());
            let status: Value = serde_json::from_str(&run_on(&dir, &["status", "--json"]).out).ok()?;
            (status["state"] == "stopped").then(|| assert_eq!(status["stop"], "smoke in the pump house"))
        });
        let page = run_on(&dir, &["status"]).out;
        assert!(page.contains("STOP      latched: smoke in the pump house"), "{page}");
        let (code, health) = get(&dir, "/api/health", "");
        assert_eq!((code, &health["status"]), (503, &"degraded".into()), "{health:#}");
        assert!(health["reasons"].as_array().unwrap().contains(&"the stop is latched".into()), "{health:#}");
        node.stop();
        assert!(dir.join("stop").exists(), "only a person ends a stop");
    }
}

#[test]
fn health_is_told_to_anybody_and_wrong_tokens_are_told_to_whoever_looks_after_the_node() {
    let (_folder, dir) = empty();
    let mut node = Node::start(&dir, &[]);
    node.endpoint();
    let (code, health) = get(&dir, "/api/health", "");
    assert_eq!((code, &health["status"]), (200, &"healthy".into()), "{health:#}");
    assert_eq!(health["reasons"], Value::Array(Vec::new()));
    assert!(health["tick"].as_u64().unwrap() > 0, "{health:#}");
    for _ in 0..2 {
        assert_eq!(get(&dir, "/api/status", "wrong").0, 401);
    }
    let page = run_on(&dir, &["status"]).out;
    assert!(page.contains("requests refused: 2 × NOT_AUTHORIZED"), "{page}");
    node.stop();
}

#[test]
fn the_token_is_in_no_log_and_on_no_output_that_is_not_a_terminal() {
    let (_folder, dir) = empty();
    let mut node = Node::start(&dir, &["--host-sensors"]);
    node.endpoint();
    let token = fs::read_to_string(dir.join("gateway.token")).unwrap();
    assert!(node.log().contains(&format!("gateway at http://{}/", address(&dir))), "{}", node.log());
    assert!(!node.log().contains(token.trim()), "the log holds the token");
    node.stop();
    // Its standard input has ended already, so it starts and stops.
    let said = run_on(&dir, &START);
    assert_eq!((said.code, said.out.as_str()), (Some(0), ""), "{said:?}");
}

#[test]
fn a_taken_zenoh_port_is_told_and_the_node_goes_on_and_takes_it_once_it_is_free() {
    let (_folder, dir) = empty();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp/{}", taken.local_addr().unwrap());
    let mut node = Node::start_at("start", &dir, &["--port", "0", "--listen", &endpoint]);
    let sentence = until("the failure is told", PATIENCE, || {
        assert!(node.ended().is_none(), "{}", node.log());
        let status: Value = serde_json::from_str(&run_on(&dir, &["status", "--json"]).out).ok()?;
        Some(status["link"]["sentence"].as_str()?.to_owned())
    });
    assert!(sentence.contains(&endpoint), "{sentence}");
    let page = run_on(&dir, &["status"]).out;
    assert!(page.contains("link      FAILED: "), "{page}");
    drop(taken);
    assert_eq!(node.endpoint(), endpoint);
    node.stop();
}
