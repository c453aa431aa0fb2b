//! Our nodes as clients of stock zenoh routers, which relay and can alter nothing unseen.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::python::{self, Talk};
use crate::support::cli::{id_of, json_on, run_on};
use crate::support::node::Node;
use crate::support::wait::until;

/// Generous: a build may run beside us.
const PATIENCE: Duration = Duration::from_secs(60);

fn router(others: &[&str]) -> (Talk, String) {
    let mut router = python::talk("router.py", others);
    let endpoint = router.ask("where")["endpoint"].as_str().expect("it listens").to_owned();
    (router, endpoint)
}

/// A node whose only link is the one to a router.
fn client(dir: &Path, name: &str, router: &str, more: &[&str]) -> Node {
    let link = ["--port", "0", "--name", name, "--zenoh-mode", "client", "--connect", router];
    Node::start_at("start", dir, &[&link, more].concat())
}

/// What a node knows of the only other one.
fn other(dir: &Path) -> Option<Value> {
    let said = run_on(dir, &["peers", "--json"]);
    let peers: Value = serde_json::from_str(&said.out).ok()?;
    peers["peers"].get(0).cloned()
}

fn until_other(dir: &Path, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    until(what, PATIENCE, || other(dir).filter(|other| holds(other)))
}

#[test]
fn two_nodes_behind_two_stock_routers_hear_each_other_signed_and_a_stop_goes_through() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let [center, field] = ["center", "field"].map(|name| folder.path().join(name));
    let ids = [&center, &field].map(|dir| id_of(dir));
    json_on(&center, &["trust", "add", &ids[1]]);
    json_on(&field, &["trust", "add", &ids[0]]);
    // Who has nothing to plan does not lead.
    fs::write(center.join("site.ron"), include_str!("../../assets/sites/farm.ron"))
        .expect("the folder is ours");
    let (_near, near) = router(&[]);
    let (far_router, far) = router(&[&near]);
    let command_center = client(&center, "center", &near, &["--role", "command-center"]);
    let field_node = client(&field, "field", &far, &["--role", "field", "--host-sensors"]);

    // The name comes with a frame that is asked for and delivered by query, and its receipt, all of them signed.
    until_other(&center, "the field node is heard", |other| {
        other["liveness"] == "alive" && other["name"] == "field" && other["sensors"].as_u64() > Some(0)
    });
    let seen = until_other(&field, "the command center is heard", |other| other["name"] == "center");
    assert_eq!((&seen["id"], &seen["trusted"]), (&json!(ids[0]), &json!(true)));
    until("a reading over both routers", PATIENCE, || {
        let world = json_on(&center, &["world", "cpu-load"]);
        world["sensors"][0]["value"].is_number().then_some(())
    });
    let status = json_on(&center, &["status"]);
    assert_eq!(status["link"], json!({"state": "open", "listen": []}), "a client listens nowhere");
    assert_eq!(status["refusals"], json!([]), "nothing was altered on the way");
    // The term of the leader comes the same way.
    until("the field node knows who leads", PATIENCE, || {
        let status = json_on(&field, &["status"]);
        (status["lead"]["leader"]["id"] == json!(ids[0])).then_some(())
    });

    // Without the router in between they miss each other, and find each other again behind another one.
    drop(far_router);
    until_other(&center, "the field node is missed", |other| other["liveness"] != "alive");
    field_node.stop();
    let (_other, elsewhere) = router(&[&near]);
    let field_node = client(&field, "field", &elsewhere, &["--role", "field", "--host-sensors"]);
    until_other(&center, "the field node is back", |other| other["liveness"] == "alive");
    let stopped = json_on(&center, &["stop"]);
    let confirmed = until("the stop over two routers", PATIENCE, || {
        let status = json_on(&field, &["status"]);
        status["stop"].is_string().then_some(status["state"].clone())
    });
    assert_eq!(confirmed, json!("stopped"), "{stopped}");
    for (node, dir) in [(command_center, &center), (field_node, &field)] {
        node.stop();
        let replay = json_on(dir, &["replay", dir.to_str().expect("UTF-8"), "--verify"]);
        assert_eq!(replay["verified"], json!(true), "{}", dir.display());
    }
}
