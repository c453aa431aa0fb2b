//! A node of the wire protocol that was written from its description alone, in Python.

use std::fs;

use clawmesh_authority::NodeKey;
use serde_json::{Value, json};

use crate::python;
use crate::support::cli::{id_of, json_on};
use crate::support::node::Node;

const SEED: [u8; 32] = [7; 32];

#[test]
fn c05_the_shots_of_the_canary_behave_and_a_client_written_from_the_description_is_at_home() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let dir = folder.path().join("field");
    let own = id_of(&dir);
    let guest = NodeKey::from_secret(&SEED).id().to_string();
    json_on(&dir, &["trust", "add", &guest, "--name", "old node"]);
    let mut node = Node::start(&dir, &["--mock-actuator", "--name", "barn"]);
    node.endpoint();
    let address = fs::read_to_string(dir.join("gateway.address")).expect("a running node has one");
    let seed: String = SEED.iter().map(|byte| format!("{byte:02x}")).collect();
    let said = python::run("canary.py", &[address.trim(), &seed, "default", &own]);
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
    assert_eq!(said["synced"].as_array().map(Vec::len), Some(1));
    assert_eq!((&said["peers"], &said["own_id"]), (&json!([guest]), &json!(guest)), "one hash rule");
    assert_eq!(said["health"]["worldModel"], json!({"entries": 1, "frameLogSize": 1}));
    assert_eq!(
        (&said["health"]["displayName"], &said["status"]["localDeviceId"]),
        (&json!("barn"), &json!(own))
    );
    assert_eq!((&said["approve"], &said["nothing"]), (&json!("APPROVAL_REQUIRED"), &json!("UNKNOWN_METHOD")));
    node.stop();
    let replay = json_on(&dir, &["replay", dir.to_str().expect("UTF-8"), "--verify"]);
    assert_eq!(replay["verified"], json!(true), "what guests do replays");
}
