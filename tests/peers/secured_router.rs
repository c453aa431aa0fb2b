//! Stock zenoh routers with papers: two nodes of ours link to one with papers of their mesh, and none to one of another mesh.

use std::fs;
use std::path::Path;
use std::time::Duration;

use clawmesh_authority::{MeshId, NodeKey};
use clawmesh_bridge::{MeshRoot, Papers};
use serde_json::{Value, json};

use crate::python::{self, Talk};
use crate::support::cli::{id_of, json_on, run_on};
use crate::support::node::Node;
use crate::support::wait::until;

/// Generous: a build may run beside us.
const PATIENCE: Duration = Duration::from_secs(60);
const MESH: &str = MeshId::DEFAULT_NAME;

/// Papers of a router, made at this node; the folder they are in, and its id.
fn router_papers(dir: &Path, out: &Path) -> String {
    let out = out.to_str().expect("UTF-8");
    let made = json_on(dir, &["papers", "router", "hub", "--out", out]);
    made["id"].as_str().expect("an id").to_owned()
}

fn router(folder: &Path) -> (Talk, String) {
    let settings = folder.join("zenohd.json5");
    let mut router = python::talk("router.py", &[settings.to_str().expect("UTF-8")]);
    let endpoint = router.ask("where")["endpoint"].as_str().expect("it listens").to_owned();
    (router, endpoint)
}

fn key_in(dir: &Path, file: &str) -> NodeKey {
    let pem = fs::read_to_string(dir.join("identity").join(file)).expect("there is a key");
    NodeKey::from_pem(&pem).expect("it is a key")
}

/// Gives a node the papers that pairing with the issuer would give it.
fn give_papers(issuer: &Path, dir: &Path) {
    let own = fs::read(issuer.join("identity/papers.pem")).expect("the issuer has papers");
    let own = Papers::from_pem(&own, &key_in(issuer, "node.pem").public(), MESH).expect("they are its own");
    let root = MeshRoot::of(&own, key_in(issuer, "mesh.pem"), MESH).expect("it issues");
    let papers = root.issue(&key_in(dir, "node.pem").public()).expect("papers");
    fs::write(dir.join("identity/papers.pem"), papers.as_pem().concat()).expect("the folder is ours");
}

fn client(dir: &Path, name: &str, router: &str, more: &[&str]) -> Node {
    let link = ["--port", "0", "--name", name, "--zenoh-mode", "client", "--connect", router];
    Node::start_at("start", dir, &[&link, more].concat())
}

/// How the link of a node stands, once it answers.
fn link_of(dir: &Path) -> Option<String> {
    let said = run_on(dir, &["status", "--json"]);
    let status: Value = serde_json::from_str(&said.out).ok()?;
    status["link"]["state"].as_str().map(str::to_owned)
}

fn until_heard(dir: &Path, name: &str) -> Value {
    until(&format!("{name} is heard"), PATIENCE, || {
        let said = run_on(dir, &["peers", "--json"]);
        let peers: Value = serde_json::from_str(&said.out).ok()?;
        peers["peers"]
            .as_array()?
            .iter()
            .find(|row| row["name"] == name && row["liveness"] == "alive")
            .cloned()
    })
}

#[test]
fn two_nodes_hear_each_other_through_a_stock_router_with_papers_of_their_mesh_and_none_of_another() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let [center, field, other, hub, foreign] =
        ["center", "field", "other", "hub", "foreign"].map(|name| folder.path().join(name));
    let ids = [&center, &field, &other].map(|dir| id_of(dir));
    json_on(&center, &["trust", "add", &ids[1], "--name", "field"]);
    json_on(&field, &["trust", "add", &ids[0]]);
    let hub_id = router_papers(&center, &hub);
    give_papers(&center, &field);
    json_on(&field, &["trust", "add", &hub_id, "--name", "hub", "--as", "router"]);
    let listed = json_on(&field, &["trust", "list"]);
    let hub_row = listed["nodes"].as_array().expect("rows").iter().find(|row| row["id"] == hub_id.as_str());
    assert_eq!(hub_row.map(|row| &row["is_trusted"]), Some(&json!(false)), "a router is nobody");

    // The same mesh name, and another root: to it a node of ours shows papers in vain, and believes none.
    router_papers(&other, &foreign);
    let (_foreign, elsewhere) = router(&foreign);
    let lost = client(&field, "field", &elsewhere, &[]);

    let (_router, endpoint) = router(&hub);
    let command_center = client(&center, "center", &endpoint, &["--role", "command-center"]);
    until("the command center is linked", PATIENCE, || (link_of(&center)? == "open").then_some(()));
    let lost_link = until("the other one answers", PATIENCE, || link_of(&field));
    assert_ne!(lost_link, "open", "a router with papers of another mesh");
    lost.stop();

    let field_node = client(&field, "field", &endpoint, &["--role", "field", "--host-sensors"]);
    until_heard(&center, "field");
    until_heard(&field, "center");
    until("a reading through the router", PATIENCE, || {
        let world = json_on(&center, &["world", "cpu-load"]);
        world["sensors"][0]["value"].is_number().then_some(())
    });
    let status = json_on(&center, &["status"]);
    assert_eq!(status["refusals"], json!([]), "nothing was altered on the way");
    json_on(&center, &["stop"]);
    until("the stop through the router", PATIENCE, || {
        json_on(&field, &["status"])["stop"].is_string().then_some(())
    });
    for node in [command_center, field_node] {
        node.stop();
    }
}
