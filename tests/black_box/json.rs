//! Answers for programs: one JSON document each, with the keys the documentation names.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::support::cli::{id_of, json_on, run_on};
use crate::support::node::Node;
use crate::support::wait::until;

fn keys(answer: &Value) -> Vec<&str> {
    let keys = answer.as_object().into_iter().flatten().map(|(key, _)| key.as_str());
    let mut keys: Vec<&str> = keys.collect();
    keys.sort_unstable();
    keys
}

#[test]
fn every_reading_command_answers_a_program_with_one_document() {
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = (folder.path().join("here"), folder.path().join("there"));
    let mut other = Node::start(&there, &["--host-sensors"]);
    let mut node = Node::start(&here, &["--host-sensors", "--connect", &other.endpoint()]);
    node.endpoint();
    let peers = until("the other node is a peer", Duration::from_secs(30), || {
        let peers = node.ask(&["peers"]);
        (!peers["peers"].as_array()?.is_empty()).then_some(peers)
    });
    assert_eq!(
        keys(&peers),
        ["dialled", "guests", "knocks", "nearby", "peers", "snapshot_age_ms", "tick", "wall_ms"]
    );
    let id = peers["peers"][0]["id"].as_str().unwrap();
    assert_eq!(keys(&node.ask(&["peers", &id[..8]])), ["peer", "sensors", "snapshot_age_ms"]);
    check_status(&node.ask(&["status"]));
    check_world(&node);
    check_capabilities(&node);
    check_files(&here);
    node.stop();
    let replay = json_on(&here, &["replay", here.to_str().unwrap(), "--verify"]);
    let of_replay = [
        &[
            "cards_compared",
            "difference",
            "digests_compared",
            "elapsed_ms",
            "inputs",
            "inputs_after_last_digest",
            "journal",
        ][..],
        &["last_tick", "rows", "runs", "ticks", "total_digest", "verified"],
    ];
    assert_eq!(keys(&replay), of_replay.concat());
    other.stop();
}

fn check_status(status: &Value) {
    let expected = [
        &["alarms", "beliefs", "clock", "digest", "gateway", "guests", "journal", "lead", "link", "node"][..],
        &["peers", "people", "refusals", "refused_total", "sensors", "site"],
        &["snapshot_age_ms", "state", "stop", "tick", "uptime_ms", "wall_ms"],
    ];
    assert_eq!(keys(status), expected.concat());
    assert_eq!(keys(&status["alarms"]), ["active", "highest", "shelved", "unacknowledged"]);
    assert_eq!(keys(&status["clock"]), ["agreed_with", "fault", "is_unknown", "kept"]);
    assert_eq!(keys(&status["node"]), ["epoch", "hz", "id", "mesh", "name", "role", "version"]);
    assert_eq!(status["state"], "running");
}

fn check_capabilities(node: &Node) {
    let found = until("what measures the machine is known", Duration::from_secs(30), || {
        let found = node.ask(&["capabilities", "sensor:cpu-load:*"]);
        (!found["capabilities"].as_array()?.is_empty()).then_some(found)
    });
    assert_eq!(keys(&found), ["capabilities", "left_off", "pattern"]);
    let row = &found["capabilities"][0];
    assert_eq!((&row["reach"], &row["capability"]), (&"here".into(), &"sensor:cpu-load:host".into()));
    let of_row = ["capability", "health", "name", "node", "points", "reach", "round_trip_ms", "takes_calls"];
    assert_eq!(keys(row), [&of_row[..], &["waiting_calls"]].concat());
}

fn check_world(node: &Node) {
    let world = until("a reading of the machine", Duration::from_secs(30), || {
        let world = node.ask(&["world", "cpu-load"]);
        (world["sensors"][0]["value"].is_number()).then_some(world)
    });
    assert_eq!(
        keys(&world),
        ["actuators", "beliefs", "left_off", "sensors", "snapshot_age_ms", "tick", "told", "wall_ms"]
    );
    let sensors = world["sensors"].as_array().expect("a world has sensors");
    assert!(sensors.iter().all(|row| row["sensor"] == "sensor:cpu-load:host"), "{world:#}");
    assert_eq!((&sensors[0]["unit"], &sensors[0]["tier"]), (&"%".into(), &"T2".into()));
}

fn check_files(dir: &Path) {
    let identity = json_on(dir, &["identity"]);
    let of_identity =
        ["id", "is_new", "mesh_id", "mesh_name", "name", "role", "state_dir", "tls_fingerprint"];
    assert_eq!(keys(&identity), of_identity);
    let config = json_on(dir, &["config", "show"]);
    assert_eq!(config["hz"], serde_json::json!({ "source": "default", "value": 50 }));
    let said = run_on(dir, &["doctor", "--json"]);
    // On a disk that is nearly full doctor says so and ends with 1; here the form of the answer is the matter.
    assert!(matches!(said.code, Some(0 | 1)), "{said:?}");
    let findings: Value = serde_json::from_str(&said.out).expect("doctor answers in JSON");
    let findings = findings.as_array().expect("doctor lists findings");
    assert!(findings.len() >= 8 && findings.iter().all(|row| keys(row) == ["check", "outcome", "sentence"]));
}

#[test]
fn a_node_that_was_just_started_answers_status_as_itself_and_its_tick_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("node");
    let node = Node::start(&dir, &[]);
    let status = until("status is answered", Duration::from_secs(10), || {
        // Before the address is written there is nobody to ask.
        dir.join("gateway.address").exists().then(|| run_on(&dir, &["status", "--json"]))
    });
    assert_eq!(status.code, Some(0), "{status:?}");
    let answer: Value = serde_json::from_str(&status.out).unwrap();
    assert!(answer["state"] == "running" || answer["state"] == "starting", "{answer:#}");
    assert_eq!(answer["node"]["id"], id_of(&dir));
    let tick_of = |status: &Value| status["tick"].as_u64().unwrap();
    until("the tick goes on", Duration::from_secs(30), || {
        let now = node.ask(&["status"]);
        (now["state"] == "running" && tick_of(&now) > tick_of(&answer)).then_some(())
    });
    node.stop();
    assert!(!dir.join("gateway.address").exists(), "a stopped node has no address");
}

#[test]
fn help_teaches_the_first_commands_and_the_version_is_told() {
    let nowhere = Path::new("unused");
    let help = run_on(nowhere, &["--help"]);
    assert_eq!(help.code, Some(0));
    for command in [
        "demo",
        "start",
        "identity",
        "status",
        "peers",
        "world",
        "replay",
        "doctor",
        "config",
        "plant",
        "site",
        "operator",
        "alarms",
        "info",
        "events",
        "trace",
        "credential",
        "demo-actuate",
        "gateways",
        "gateway-connect",
    ] {
        assert!(
            help.out.lines().any(|line| line.trim_start().starts_with(command)),
            "{command}: {}",
            help.out
        );
    }
    assert!(run_on(nowhere, &["--version"]).out.starts_with("clawmesh "));
}
