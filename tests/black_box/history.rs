//! What has happened to a node, what followed from what, and who it is: asked for at the command line.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::bad_input::{empty, expect_sentence, start_and_stop};
use crate::running::address;
use crate::support::cli::{id_of, json_on, run_on};
use crate::support::node::Node;
use crate::support::wait::until;

const PATIENCE: Duration = Duration::from_secs(30);

/// The kinds of the events that a question is answered with.
fn kinds(node: &Node, args: &[&str]) -> Vec<String> {
    let answer = node.ask(&[&["events"], args].concat());
    let events = answer["events"].as_array().expect("events are a list");
    events.iter().filter_map(|event| event["kind"].as_str().map(str::to_owned)).collect()
}

#[test]
fn what_has_happened_is_listed_by_kind_by_time_and_beside_the_status() {
    let ((_one, here), (_two, there)) = (empty(), empty());
    let ids = [&here, &there].map(|dir| id_of(dir));
    json_on(&here, &["trust", "add", &ids[1]]);
    json_on(&there, &["trust", "add", &ids[0]]);
    let mut node = Node::start(&here, &[]);
    node.endpoint();
    let peer = format!("{}=ws://{}", ids[0], address(&here));
    let mut other = Node::start(&there, &["--peer", &peer, "--mock-actuator"]);
    other.endpoint();
    until("the other node is there", PATIENCE, || {
        kinds(&node, &[]).contains(&"peer.connect".to_owned()).then_some(())
    });
    assert_eq!(kinds(&node, &["--kind", "startup"]), ["startup"]);
    assert_eq!(kinds(&node, &["--limit", "1", "--kind", "peer.connect"]), ["peer.connect"]);
    assert_eq!(kinds(&node, &["--since", "1h"]).first().map(String::as_str), Some("startup"));
    let page = run_on(&here, &["events"]).out;
    assert!(page.starts_with("when ") && page.contains(&format!("peer.connect  {}", &ids[1][..8])), "{page}");
    let status = node.ask(&["status", "--events"]);
    assert!(status["events"]["events"].as_array().is_some_and(|events| events.len() >= 2), "{status:#}");
    assert_eq!(node.ask(&["status"])["events"], Value::Null);
    let page = run_on(&here, &["status", "--events"]).out;
    assert!(page.contains("tick ") && page.contains("startup"), "{page}");

    check_told(&node, &here, &ids[1]);
    other.stop();
    until("the other node is gone", PATIENCE, || {
        kinds(&node, &[]).contains(&"peer.disconnect".to_owned()).then_some(())
    });
    node.stop();
}

/// What the other node told is in the world, and can be traced.
fn check_told(node: &Node, dir: &std::path::Path, other: &str) {
    let told = until("what the other node can do is told", PATIENCE, || {
        let world = node.ask(&["world", "--kind", "capability_update", "--source-device-id", &other[..8]]);
        world["told"].as_array()?.first().cloned()
    });
    assert_eq!((&told["source"], &told["from"]), (&json!(other), &json!(other)));
    assert_eq!(told["data"]["capabilities"][1], "actuator:mock");
    let page = run_on(dir, &["world", "--kind", "capability_update"]).out;
    assert!(page.starts_with("existing node  told by ") && page.contains("actuator:mock"), "{page}");
    let other_kind = node.ask(&["world", "--kind", "human_input"]);
    assert_eq!(other_kind["told"], json!([]));

    let listed = node.ask(&["trace", "--stage", "sensor.ingest"]);
    let chains = listed["chains"].as_array().expect("chains are a list").clone();
    let chain = chains.iter().find(|chain| chain["steps"][0]["node"] == json!(other));
    let id = chain.and_then(|chain| chain["id"].as_str()).expect("its frame is there").to_owned();
    for wanted in [&id[..], &id[..8]] {
        let found = node.ask(&["trace", wanted]);
        assert_eq!((&found["chains"][0]["id"], &found["total"]), (&json!(id), &json!(1)), "{wanted}");
    }
    let page = run_on(dir, &["trace", &id]).out;
    assert!(page.starts_with(&format!("frame  {id}\n")) && page.contains("sensor.ingest"), "{page}");
    assert!(run_on(dir, &["trace"]).out.contains(&id));
    assert_eq!(node.ask(&["trace", "--proposals"])["total"], json!(0));
    for (args, words) in [
        (&["trace", "nobody-knows-it"][..], "no frame and no proposal is known as \"nobody-knows-it\""),
        (&["trace", "--proposal", &id], "no proposal is known as "),
        (&["trace", " "], "the id is blank"),
        (&["events", "--kind", "hello"], "\"hello\" is no kind of event; there are peer.connect"),
        (
            &["world", "--kind", "rumour"],
            "--kind: \"rumour\" is no kind of what is told; there are observation",
        ),
        (&["world", "--source-device-id", "barn"], "--source-device-id: \"barn\" is no id"),
    ] {
        expect_sentence(&run_on(dir, args), &[words]);
    }
    for args in [["events", "--limit", "0"], ["events", "--since", "soon"], ["world", "--limit", "0"]] {
        assert_eq!(run_on(dir, &args).code, Some(2), "{args:?}");
    }
}

#[test]
fn info_is_one_screen_about_a_node_whether_it_runs_or_not() {
    let (_folder, dir) = empty();
    expect_sentence(&run_on(&dir, &["info"]), &["there is no node in ", "clawmesh start"]);
    let id = id_of(&dir);
    fs::write(dir.join("node.ron"), "(name: \"barn\", role: \"field\", port: 18999)").unwrap();
    json_on(&dir, &["trust", "add", &"ab".repeat(32)]);
    let info = json_on(&dir, &["info"]);
    assert_eq!(
        (&info["is_running"], &info["status"], &info["url"]),
        (&json!(false), &json!(null), &json!(null))
    );
    assert_eq!(
        (&info["id"], &info["name"], &info["kept"]["trusted"]),
        (&json!(id), &json!("barn"), &json!(1))
    );
    let page = run_on(&dir, &["info"]).out;
    for line in [
        "name       barn",
        "is         not running; ",
        "gateway    127.0.0.1, port 18999",
        "trusts     1 other",
    ] {
        assert!(page.contains(line), "{line}: {page}");
    }
    let mut node = Node::start(&dir, &[]);
    node.endpoint();
    let info = node.ask(&["info"]);
    assert_eq!((&info["is_running"], &info["status"]["state"]), (&json!(true), &json!("running")));
    assert_eq!(info["url"], json!(format!("http://{}", address(&dir))));
    let page = run_on(&dir, &["info"]).out;
    assert!(page.contains("is         running for ") && page.contains("link       open"), "{page}");
    // Asked over its address it says what it says of itself, and nothing of the state dir.
    let url = format!("http://{}", address(&dir));
    let token = dir.join("gateway.token");
    let from_elsewhere = ["info", "--url", &url, "--token-file", token.to_str().unwrap(), "--json"];
    let said = run_on(&dir.join("nobody"), &from_elsewhere);
    let info: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&info["id"], &info["kept"]), (&json!(id), &json!(null)));
    node.stop();
    assert_eq!(json_on(&dir, &["info"])["is_running"], json!(false));
}

#[test]
fn a_node_that_does_not_run_tells_no_events() {
    let (_folder, dir) = empty();
    start_and_stop(&dir);
    for command in [&["events"][..], &["trace"], &["status", "--events"]] {
        expect_sentence(&run_on(&dir, command), &["no node runs in ", "clawmesh start"]);
    }
}
