//! A node of the wire protocol that was written from its description alone, in Python.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clawmesh_authority::NodeKey;
use serde_json::{Value, json};

use crate::python;
use crate::support::cli::{id_of, json_on};
use crate::support::node::Node;
use crate::support::wait::until;

/// Generous: a build may run beside us.
const PATIENCE: Duration = Duration::from_secs(30);
const SEED: [u8; 32] = [7; 32];

fn seed() -> String {
    SEED.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn guest() -> String {
    NodeKey::from_secret(&SEED).id().to_string()
}

/// Where a running node serves.
fn address(dir: &Path) -> String {
    fs::read_to_string(dir.join("gateway.address")).expect("a running node has one").trim().to_owned()
}

/// Three nodes of ours, each with a mock actuator; the second dials the first, the third the second.
struct Row {
    dirs: [PathBuf; 3],
    ids: [String; 3],
    nodes: [Node; 3],
    to_two: String,
}

/// The row, of which these trust the guest.
fn row_of_three(folder: &Path, trusting: &[usize]) -> Row {
    let dirs = ["one", "two", "three"].map(|name| folder.join(name));
    let ids = dirs.each_ref().map(|dir| id_of(dir));
    for (at, trusted) in [(0, 1), (1, 0), (1, 2), (2, 1)] {
        json_on(&dirs[at], &["trust", "add", &ids[trusted]]);
    }
    for at in trusting {
        json_on(&dirs[*at], &["trust", "add", &guest()]);
    }
    let start = |at: usize, way: &[&str]| {
        let mut node = Node::start(&dirs[at], &[&["--mock-actuator"], way].concat());
        node.endpoint();
        (node, format!("{}=ws://{}||lan", ids[at], address(&dirs[at])))
    };
    let (one, to_one) = start(0, &[]);
    let (two, to_two) = start(1, &["--peer", &to_one]);
    let (three, _) = start(2, &["--peer", &to_two]);
    Row { dirs, ids, nodes: [one, two, three], to_two }
}

/// The guest of a node with this id, as soon as it is there; the node in the middle has several, in the order of their ids.
fn linked(dir: &Path, id: &str) -> Value {
    until("the link is there", PATIENCE, || {
        let peers = json_on(dir, &["peers"]);
        peers["guests"].as_array()?.iter().find(|guest| guest["id"] == json!(id)).cloned()
    })
}

#[test]
fn c05_the_canary_behaves_at_each_of_three_of_our_nodes_in_a_row_and_each_command_stays_where_it_was_sent() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let Row { dirs, ids, nodes, .. } = row_of_three(folder.path(), &[0, 1, 2]);
    linked(&dirs[1], &ids[0]);
    linked(&dirs[2], &ids[1]);
    let shots = json!({
        "A": "ACTUATION_DECLARATION_REQUIRED", "B": "LLM_ONLY_ACTUATION_BLOCKED", "C": "ok", "D": "NOT_AUTHORIZED",
    });
    for (dir, id) in dirs.iter().zip(&ids) {
        let said = python::run("canary.py", &[&address(dir), &seed(), "default", id]);
        let said: Value = serde_json::from_str(&said).expect("it prints JSON");
        assert_eq!(said["shots"], shots, "{said:#}");
        // Neither a refused shot nor one that was sent to the nodes before has moved anything here.
        assert_eq!(said["moved_before"], json!(0), "{said:#}");
        assert_eq!(said["state"].as_array().map(Vec::len), Some(1), "{said:#}");
    }
    for (node, dir) in nodes.into_iter().zip(&dirs) {
        node.stop();
        let replay = json_on(dir, &["replay", dir.to_str().expect("UTF-8"), "--verify"]);
        assert_eq!(replay["verified"], json!(true), "{}", dir.display());
    }
}

#[test]
fn c05_the_shots_of_the_canary_behave_and_a_client_written_from_the_description_is_at_home() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let dir = folder.path().join("field");
    let own = id_of(&dir);
    let guest = guest();
    json_on(&dir, &["trust", "add", &guest, "--name", "old node"]);
    let mut node = Node::start(&dir, &["--mock-actuator", "--name", "barn"]);
    node.endpoint();
    let address = address(&dir);
    let seed = seed();
    let said = python::run("canary.py", &[&address, &seed, "default", &own]);
    let said: Value = serde_json::from_str(&said).expect("it prints JSON");

    let shots = json!({
        "A": "ACTUATION_DECLARATION_REQUIRED", "B": "LLM_ONLY_ACTUATION_BLOCKED", "C": "ok", "D": "NOT_AUTHORIZED",
    });
    assert_eq!(said["shots"], shots, "{said:#}");
    assert_eq!(
        (&said["again"], &said["by_model"]),
        (&json!("DUPLICATE"), &json!("LLM_ONLY_ACTUATION_BLOCKED"))
    );
    assert_eq!(said["moved_before"], json!(0), "what was refused has moved nothing");
    assert_eq!(said["state"].as_array().map(Vec::len), Some(1));
    assert_eq!(said["state"][0]["status"], "active");
    assert_eq!(said["frames"][0]["data"]["value"], json!(31.5), "{said:#}");
    assert_eq!(said["frames"][0]["trust"]["evidence_trust_tier"], "T2_operational_observation");
    let synced: Vec<&Value> =
        said["synced"].as_array().into_iter().flatten().map(|frame| &frame["kind"]).collect();
    assert_eq!(synced.len(), 2, "what a node told, and what ours can do: {synced:?}");
    assert!(synced.contains(&&json!("observation")) && synced.contains(&&json!("capability_update")));
    assert_eq!((&said["peers"], &said["own_id"]), (&json!([guest]), &json!(guest)), "one hash rule");
    assert_eq!(said["health"]["worldModel"], json!({"entries": 2, "frameLogSize": 2}));
    assert_eq!(
        (&said["health"]["displayName"], &said["status"]["localDeviceId"]),
        (&json!("barn"), &json!(own))
    );
    assert_eq!((&said["approve"], &said["nothing"]), (&json!("APPROVAL_REQUIRED"), &json!("UNKNOWN_METHOD")));
    node.stop();
    let replay = json_on(&dir, &["replay", dir.to_str().expect("UTF-8"), "--verify"]);
    assert_eq!(replay["verified"], json!(true), "what guests do replays");
}

#[test]
fn a_client_in_python_comes_over_tls_by_the_pin_that_the_node_prints() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let dir = folder.path().join("field");
    let own = id_of(&dir);
    let guest = guest();
    json_on(&dir, &["trust", "add", &guest]);
    let mut node = Node::start(&dir, &["--tls"]);
    node.endpoint();
    let identity = json_on(&dir, &["identity"]);
    let pin = identity["tls_fingerprint"].as_str().expect("it has a certificate");
    let said = python::run("secure.py", &[&address(&dir), &seed(), "default", pin]);
    let said: Value = serde_json::from_str(&said).expect("it prints JSON");
    assert_eq!((&said["version"], &said["refused"]), (&json!("TLSv1.3"), &Value::Null), "{said:#}");
    assert_eq!((&said["listener"], &said["peers"]), (&json!(own), &json!([guest])));
    let wrong = said["wrong"].as_str().expect("a sentence");
    assert!(wrong.starts_with("another certificate") && wrong.contains(pin), "{wrong}");
    node.stop();
}

#[test]
fn an_existing_node_hears_of_us_in_time_and_loses_its_link_with_our_trust() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let dir = folder.path().join("field");
    let own = id_of(&dir);
    let guest = guest();
    json_on(&dir, &["trust", "add", &guest]);
    let mut node = Node::start(&dir, &["--mock-actuator", "--name", "barn"]);
    node.endpoint();
    let address = address(&dir);
    let seed = seed();
    let (binary, state) = (env!("CARGO_BIN_EXE_clawmesh"), dir.to_str().expect("UTF-8"));
    let said = python::run("guest_life.py", &[&address, &seed, "default", binary, state]);
    let said: Value = serde_json::from_str(&said).expect("it prints JSON");

    assert_eq!(said["names"], json!(["context.frame", "context.frame"]), "{said:#}");
    let silences = said["silences_s"].as_array().expect("there are some");
    assert!(silences.iter().all(|silence| silence.as_f64().is_some_and(|s| s < 45.0)), "{said:#}");
    let frame = &said["heard"][0];
    assert_eq!((&frame["sourceDeviceId"], &frame["sourceDisplayName"]), (&json!(own), &json!("barn")));
    assert_eq!(frame["data"], json!({"capabilities": ["channel:clawmesh", "actuator:mock"]}));
    assert!(said["closed"].as_str().is_some_and(|why| why.contains("trusted no longer")), "{said:#}");
    assert!(said["closed_after_s"].as_f64().is_some_and(|seconds| seconds < 2.0), "{said:#}");
    assert_eq!(said["refused"]["error"]["code"], "UNTRUSTED_PEER");
    assert_eq!(said["peers"], json!([guest]), "whoever gets through is a node at once");
    let events: Vec<&str> =
        said["events"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for kind in ["startup", "peer.connect", "peer.disconnect", "error"] {
        assert!(events.contains(&kind), "{kind} in {events:?}");
    }
    assert_eq!(said["trace"]["chain"]["steps"][0]["stage"], "sensor.ingest");

    // Edges tell what they refused once a second.
    let row = until("the refusal is seen", PATIENCE, || {
        let status = json_on(&dir, &["status"]);
        assert!(status["guests"]["counts"]["handshakes_refused"].as_u64().is_some_and(|many| many >= 1));
        let refusals = status["refusals"].as_array().expect("they are listed");
        refusals.iter().find(|row| row["code"] == "UNTRUSTED_PEER").cloned()
    });
    assert!(row["sentence"].as_str().is_some_and(|text| text.contains("127.0.0.1")), "{row}");
    node.stop();
    let replay = json_on(&dir, &["replay", dir.to_str().expect("UTF-8"), "--verify"]);
    assert_eq!(replay["verified"], json!(true), "what guests do replays");
}

#[test]
fn c10_a_message_goes_once_to_the_one_node_that_has_its_channel_and_a_command_to_its_owner_or_nowhere() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let dir = folder.path().join("field");
    let own = id_of(&dir);
    let office = NodeKey::from_secret(&[8; 32]).id().to_string();
    for trusted in [&guest(), &office] {
        json_on(&dir, &["trust", "add", trusted]);
    }
    fs::write(dir.join("node.ron"), "(relay: [\"channel:telegram\"])").expect("it can be written");
    let mut node = Node::start(&dir, &[]);
    node.endpoint();
    let (binary, state) = (env!("CARGO_BIN_EXE_clawmesh"), dir.to_str().expect("UTF-8"));
    let said =
        python::run("relay.py", &[&address(&dir), &seed(), &"08".repeat(32), "default", binary, state]);
    let said: Value = serde_json::from_str(&said).expect("it prints JSON");

    assert_eq!((&said["found"][0]["node"], &said["found"][0]["points"]), (&json!(office), &json!(15)));
    assert_eq!(said["taken"]["channel"], "telegram", "{said:#}");
    let passed = json!({
        "channel": "telegram", "to": "chat:7", "originGatewayId": guest(), "relayedBy": own,
        "message": "the tank is full",
    });
    assert_eq!(said["came"][0], passed, "who wrote it, who has passed it on, the words, and nothing else");
    assert_eq!(said["command"]["code"], "NOT_FOUND");
    assert!(said["command"]["message"].as_str().is_some_and(|why| why.contains(&office)), "{said:#}");
    assert_eq!(said["again"]["code"], "LOOP_DETECTED");
    assert_eq!(said["unknown"]["code"], "DELIVERY_FAILED", "nobody has said that this channel is passed on");
    assert_eq!(said["moved"]["code"], "RATE_LIMITED", "before anybody is looked for");
    let many = said["many"].as_array().expect("there are some");
    assert_eq!((&many[0], &many[11]), (&Value::Null, &json!("RATE_LIMITED")), "{said:#}");
    assert_eq!(said["came"].as_array().map(Vec::len), Some(10), "ten a minute, and no command among them");
    assert_eq!(said["mail"], json!([office]), "what a node can do, it says itself");

    until("the one that broke off is suspect and the one that said goodbye has left", PATIENCE, || {
        let peers = json_on(&dir, &["peers"]);
        let state = |id: &str| {
            peers["guests"].as_array()?.iter().find(|row| row["id"] == json!(id))?["state"].as_str()
        };
        (state(&office) == Some("suspect") && state(&guest()) == Some("left")).then_some(())
    });
    let counts = &json_on(&dir, &["status"])["guests"]["counts"];
    assert_eq!((&counts["messages_passed_on"], &counts["messages_not_passed_on"]), (&json!(10), &json!(6)));
    let events = json_on(&dir, &["events", "--kind", "message.relayed"]);
    let first = events["events"][0]["sentence"].as_str().expect("a sentence");
    assert!(
        first.contains(&guest()[..8]) && first.contains(&office[..8]) && first.contains("telegram"),
        "{first}"
    );
    node.stop();
    let replay = json_on(&dir, &["replay", dir.to_str().expect("UTF-8"), "--verify"]);
    assert_eq!(replay["verified"], json!(true), "what guests do replays");
}

#[test]
fn c06_what_a_node_tells_at_one_end_of_three_of_ours_is_known_at_the_other_also_after_it_was_killed() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let Row { dirs, ids, nodes: [one, two, three], to_two } = row_of_three(folder.path(), &[0]);
    let last = dirs[2].join("gateway.address");
    let mut end =
        python::talk("chain.py", &[&address(&dirs[0]), last.to_str().expect("UTF-8"), &seed(), "default"]);
    for (dir, id) in [(&dirs[1], &ids[0]), (&dirs[2], &ids[1])] {
        assert_eq!(linked(dir, id)["is_outbound"], json!(true));
        let dialled = &json_on(dir, &["peers"])["dialled"][0];
        assert_eq!((&dialled["state"], &dialled["posture"]), (&json!("connected"), &json!("insecure")));
    }

    for n in 1..=3 {
        end.ask(&format!("tell live-{n} {n}.5"));
        let known = end.ask(&format!("know live-{n}"));
        assert_eq!(known["frameId"], json!(format!("live-{n}")), "{known}");
        assert_eq!(known["hops"], json!(2), "over two of ours");
        assert_eq!(known["trust"]["evidence_trust_tier"], "T2_operational_observation");
        assert_eq!(
            (&known["sourceDeviceId"], &known["data"]["value"]),
            (&json!(guest()), &json!(n as f64 + 0.5))
        );
    }
    // The last one is killed; what it missed it asks for when it is back.
    drop(three);
    end.ask("tell missed 9.5");
    let mut three = Node::start(&dirs[2], &["--peer", &to_two]);
    three.endpoint();
    for name in ["missed", "live-1", "live-3"] {
        until("what was missed is known", PATIENCE, || {
            (end.ask(&format!("know {name}"))["frameId"] == json!(name)).then_some(())
        });
    }

    for (node, dir) in [(one, &dirs[0]), (two, &dirs[1]), (three, &dirs[2])] {
        node.stop();
        let replay = json_on(dir, &["replay", dir.to_str().expect("UTF-8"), "--verify"]);
        assert_eq!(replay["verified"], json!(true), "{}", dir.display());
    }
}
