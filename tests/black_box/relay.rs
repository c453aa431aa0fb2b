//! A node of ours as the router of others, who do not have to trust it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::cli::{id_of, json_on, run_on};
use crate::support::node::Node;
use crate::support::wait::until;

/// Generous: a build may run beside us.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn two_clients_of_a_router_that_nobody_trusts_hear_each_other_and_it_hears_neither() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let [hub, center, field] = ["hub", "center", "field"].map(|name| folder.path().join(name));
    let ids = [&center, &field].map(|dir| id_of(dir));
    json_on(&center, &["trust", "add", &ids[1]]);
    json_on(&field, &["trust", "add", &ids[0]]);
    let mut relay = Node::start(&hub, &["--name", "hub", "--zenoh-mode", "router"]);
    let endpoint = relay.endpoint();
    let link = ["--port", "0", "--zenoh-mode", "client", "--connect", &endpoint];
    let clients = [(&center, "center"), (&field, "field")]
        .map(|(dir, name)| Node::start_at("start", dir, &[&link[..], &["--name", name]].concat()));
    for (dir, name) in [(&center, "field"), (&field, "center")] {
        until(&format!("{name} is heard over the hub"), PATIENCE, || {
            let said = run_on(dir, &["peers", "--json"]);
            let peers: Value = serde_json::from_str(&said.out).ok()?;
            let is_heard = |row: &Value| row["name"] == name && row["trusted"] == json!(true);
            peers["peers"].as_array()?.iter().any(is_heard).then_some(())
        });
    }
    let peers = json_on(&hub, &["peers"]);
    for row in peers["peers"].as_array().expect("they are listed") {
        assert_eq!((&row["name"], &row["trusted"]), (&json!(null), &json!(false)), "seen, and not heard");
    }
    for node in clients.into_iter().chain([relay]) {
        node.stop();
    }
}
