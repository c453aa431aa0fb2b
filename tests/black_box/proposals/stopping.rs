//! `stop` and `rearm`: who has confirmed, who has not, and who says that it is safe again.

use std::io::Read as _;
use std::net::TcpListener;

use clawmesh_authority::{MeshId, NodeId, RequestBody, request};
use serde_json::{Value, json};

use super::scene::{MESH, ann, center, center_showing, key_file, owner};
use super::stand_in::StandIn;
use crate::bad_input::{complaints, expect_sentence};
use crate::support::cli::{Said, run_on};

fn node(id: NodeId, name: &str, safe: &[&str], not_safe: &[&str], sentence: Option<&str>) -> Value {
    json!({
        "id": id, "name": name, "is_own": id == center().id(), "stopped": sentence.is_none(), "safe": safe,
        "not_safe": not_safe, "sentence": sentence,
    })
}

fn stopping(nodes: &[Value]) -> StandIn {
    let stand = StandIn::new();
    stand.answers("/api/stop", 200, json!({"reason": "smoke in the pump house", "nodes": nodes}));
    stand
}

#[test]
fn a_stop_is_one_call_without_a_key_and_tells_what_is_safe() {
    let valves = ["actuator:pump:pump-main-01", "actuator:valve:valve-flower"];
    let all = [
        node(center().id(), "command-center", &[], &[], None),
        node(owner().id(), "field-node", &valves, &[], None),
    ];
    let stand = stopping(&all);
    let said = stand.run(&["stop", "--why", "smoke in the pump house"]);
    let page = "STOP: smoke in the pump house\n\n\
                node            stopped  safe                        NOT SAFE\n\
                command-center  yes      -                           -\n\
                field-node      yes      pump-main-01, valve-flower  -\n";
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (Some(0), page, ""), "{said:?}");
    assert_eq!(stand.asked(), ["/api/stop"], "nothing is asked before or after");
    let [posted] = &stand.posted()[..] else { panic!("not one post") };
    assert_eq!(posted.content_type, "application/json");
    let body: Value = serde_json::from_slice(&posted.body).unwrap();
    assert_eq!(body, json!({"why": "smoke in the pump house"}));
    assert_eq!(stand.json(&["stop"])["nodes"], json!(all));
    let body: Value = serde_json::from_slice(&stand.posted()[1].body).unwrap();
    assert!(!body["why"].as_str().unwrap().is_empty(), "a stop without a word has a reason all the same");
}

#[test]
fn who_has_not_confirmed_a_stop_is_named_and_the_exit_code_tells() {
    let away = node(owner().id(), "field-node", &[], &[], Some("it did not answer within 2 s"));
    let open = node(owner().id(), "field-node", &[], &["actuator:valve:valve-flower"], None);
    let unnamed = json!({
        "id": owner().id(), "name": null, "is_own": false, "stopped": false, "safe": [], "not_safe": [],
        "sentence": null,
    });
    let mut unsure = open.clone();
    (unsure["not_safe"], unsure["sentence"]) = (json!([]), "its journal has failed".into());
    let short = owner().id().short();
    for (nodes, row, words) in [
        (vec![away], "field-node  NO ", "field-node: it did not answer within 2 s; go there"),
        (
            vec![open],
            "field-node  yes      -     valve-flower",
            "not confirmed the stop: field-node; go there",
        ),
        (vec![unsure], "field-node  yes ", "field-node: its journal has failed; go there"),
        (vec![unnamed], &*format!("{short}  NO "), &*format!("{short}; go there")),
        (vec![], "", "nobody has confirmed the stop; go there"),
    ] {
        let stand = stopping(&nodes);
        for more in [&["stop"][..], &["stop", "--json"]] {
            let said = stand.run(more);
            assert_eq!(said.code, Some(1), "{said:?}");
            let [sentence] = complaints(&said)[..] else { panic!("not one sentence: {said:?}") };
            assert!(sentence.starts_with("clawmesh: ") && sentence.contains(words), "{sentence}");
            assert!(more.len() > 1 || said.out.contains(row), "{said:?}");
        }
    }
}

#[test]
fn a_stop_that_does_not_get_out_says_so_first() {
    let stand = stopping(&[]);
    stand.answers("/api/stop", 503, json!({"code": "BUSY", "sentence": "ask again"}));
    expect_sentence(&stand.run(&["stop"]), &["clawmesh: the stop is not confirmed: BUSY: ask again"]);
    stand.answers("/api/stop", 200, json!("stopped"));
    expect_sentence(
        &stand.run(&["stop"]),
        &["clawmesh: the stop is not confirmed: ", "not like a clawmesh node"],
    );
    let said = run_on(&stand.dir, &["stop"]);
    expect_sentence(&said, &["clawmesh: nothing was stopped: there is no node in "]);
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let token = stand.folder.path().join("token");
    let args = ["stop", "--url", &url, "--token-file", token.to_str().unwrap()];
    let said = run_on(&stand.dir, &args);
    expect_sentence(&said, &["clawmesh: the stop is not confirmed: no node answers at "]);
}

#[test]
fn an_answer_that_gets_lost_is_no_answer_and_nobody_is_told_to_just_repeat_it() {
    let stand = center_showing(&[]);
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", deaf.local_addr().unwrap());
    let hangs_up = std::thread::Builder::new().name("deaf".to_owned()).spawn(move || {
        // The head of the request is read, so that the end is no reset of an unread connection.
        let (mut called, _) = deaf.accept().unwrap();
        called.read(&mut [0; 4_096]).unwrap()
    });
    let token = stand.folder.path().join("token");
    let said = run_on(&stand.dir, &["stop", "--url", &url, "--token-file", token.to_str().unwrap()]);
    let words = [
        "the stop is not confirmed: ",
        "hung up before it answered",
        "is not known",
        "look before you repeat",
    ];
    expect_sentence(&said, &words);
    assert!(hangs_up.unwrap().join().unwrap() > 0);
}

fn peer(first: u8, name: &str, liveness: &str, trusted: bool) -> Value {
    json!({
        "id": NodeId([first; 32]), "name": name, "role": "field", "version": null, "liveness": liveness,
        "trusted": trusted, "heard_age_ms": 1_000, "clock_offset_ms": 0, "stream_skipped": 0, "sensors": 0,
    })
}

/// A command center that knows a field node, one that is away, and a stranger that poses as the field node.
pub fn center_among_others() -> StandIn {
    let stand = center_showing(&[]);
    let peers = [
        peer(0xaa, "field-node", "alive", true),
        peer(0xbb, "barn", "lost", true),
        peer(0xcc, "field-node", "alive", false),
        peer(0xdd, "twin", "alive", true),
        peer(0xde, "twin", "alive", true),
    ];
    let answer = json!({
        "tick": 7, "wall_ms": 7, "snapshot_age_ms": 0, "peers": peers, "guests": [], "dialled": [], "nearby": [],
    });
    stand.answers("/api/peers", 200, answer);
    let taken = json!({"outcome": "taken", "proposal": null, "words": "the stop is over"});
    stand.answers("/api/requests", 200, taken);
    stand
}

fn rearm(stand: &StandIn, more: &[&str]) -> Said {
    let key = key_file(stand);
    stand.run(&[&["rearm", "--why", "the pipe is mended", "--key", &key], more].concat())
}

/// Whom the posted requests are for; each is a re-arm that Ann signed.
fn told(stand: &StandIn) -> Vec<NodeId> {
    let owner_of = |body: &[u8]| {
        let signed = request::open(body).expect("an owner opens it");
        assert_eq!(signed.signer(), &ann().public());
        let asked = signed.request();
        assert_eq!(asked.mesh, MeshId::of_name(MESH));
        assert_eq!(asked.body, RequestBody::Rearm { why: "the pipe is mended".to_owned() });
        asked.owner
    };
    stand.posted().iter().map(|posted| owner_of(&posted.body)).collect()
}

#[test]
fn the_stop_is_ended_here_there_or_everywhere_by_the_key_of_a_person() {
    let [field, twin, other] = [0xaa, 0xdd, 0xde].map(|first| NodeId([first; 32]));
    for (more, owners) in [
        (&[][..], vec![center().id()]),
        (&["--node", "field-node"], vec![field]),
        (&["--node", &field.to_string()[..8]], vec![field]),
        (&["--node", "command-center"], vec![center().id()]),
        (&["--all"], vec![center().id(), field, twin, other]),
    ] {
        let stand = center_among_others();
        let said = rearm(&stand, more);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
        assert_eq!(told(&stand), owners, "{more:?}");
        assert_eq!(said.out.matches(": the stop is over\n").count(), owners.len(), "{said:?}");
    }
}

#[test]
fn a_node_that_cannot_be_meant_is_refused_and_a_refusal_to_rearm_is_told_by_node() {
    let stand = center_among_others();
    for (wanted, words) in [
        ("moon", &["no trusted node is called \"moon\"", "clawmesh peers"][..]),
        ("cccccccc", &["no trusted node is called"]),
        ("aaaaaaa", &["no trusted node is called", "8 characters"]),
        ("twin", &["2 nodes are called \"twin\"", "dddd", "dede"]),
    ] {
        expect_sentence(&rearm(&stand, &["--node", wanted]), words);
    }
    assert_eq!(stand.posted().len(), 0);
    let no = json!({"code": "NOT_AUTHORIZED", "rule": "operator.role", "sentence": "ask a supervisor"});
    stand.answers("/api/requests", 422, no);
    let refusal = "NOT_AUTHORIZED by operator.role: ask a supervisor";
    expect_sentence(&rearm(&stand, &[]), &[&format!("clawmesh: command-center: {refusal}")]);
    let said = rearm(&stand, &["--all", "--json"]);
    assert!(said.code == Some(1) && said.err.contains(&format!("; field-node: {refusal}")), "{said:?}");
    let nodes: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(nodes["nodes"][1]["answer"]["outcome"], "refused");
    assert_eq!(nodes["nodes"].as_array().unwrap().len(), 4);
}
