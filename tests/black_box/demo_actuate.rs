//! One plain command to the mock actuator of another node, from the command line.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::bad_input::{empty, expect_sentence};
use crate::running::{address, expect_proved};
use crate::support::cli::{id_of, json_on, run_on};
use crate::support::node::Node;
use crate::support::wait::until;

const PATIENCE: Duration = Duration::from_secs(30);
const TARGET: &str = "actuator:mock:valve-1";

fn told(dir: &Path, peer: &str, more: &[&str]) -> (Option<i32>, Value) {
    let said = run_on(dir, &[&["demo-actuate", "--peer", peer, "--json"], more].concat());
    let answer = serde_json::from_str(&said.out).unwrap_or_else(|why| panic!("no JSON ({why}): {said:?}"));
    (said.code, answer)
}

#[test]
fn a_person_moves_the_mock_actuator_of_another_node_and_a_model_alone_does_not() {
    let ((_one, desk), (_two, field)) = (empty(), empty());
    let (own, peer_id) = (id_of(&desk), id_of(&field));
    let mut node = Node::start(&field, &["--mock-actuator"]);
    node.endpoint();
    let peer = format!("{peer_id}=ws://{}", address(&field));
    let untrusted = run_on(&desk, &["demo-actuate", "--peer", &peer]);
    expect_sentence(&untrusted, &["UNTRUSTED_PEER", &format!("clawmesh trust add {own}")]);
    json_on(&field, &["trust", "add", &own]);

    // A node that runs hears of it a moment later.
    let opened = until("the command is taken", PATIENCE, || {
        let wanted = ["demo-actuate", "--peer", &peer, "--duration-sec", "5", "--note", "by hand", "--json"];
        let said = run_on(&desk, &wanted);
        (said.code == Some(0)).then(|| serde_json::from_str::<Value>(&said.out).expect("it answers in JSON"))
    });
    assert_eq!(opened["delivered"], json!(true), "{opened:#}");
    assert!(opened["message_id"].as_str().is_some_and(|id| id.starts_with("mesh-fwd-")), "{opened:#}");
    let record = &opened["state"]["records"][0];
    assert_eq!((&record["targetRef"], &record["status"]), (&json!(TARGET), &json!("active")));
    assert_eq!(record["commandId"], opened["command_id"]);

    let (code, blocked) = told(&desk, &peer, &["--llm-only", "--operation", "close"]);
    assert_eq!((code, &blocked["delivered"]), (Some(1), &json!(false)), "{blocked:#}");
    assert_eq!((&blocked["code"], &blocked["state"]), (&json!("LLM_ONLY_ACTUATION_BLOCKED"), &json!(null)));
    let said = run_on(&desk, &["demo-actuate", "--peer", &peer, "--llm-only"]);
    expect_sentence(&said, &["actuator:mock:valve-1 was not moved: LLM_ONLY_ACTUATION_BLOCKED: "]);
    // Plain commands reach nothing else, whatever stands behind them.
    let said = run_on(&desk, &["demo-actuate", "--peer", &peer, "--target", "actuator:valve:main"]);
    expect_sentence(&said, &["actuator:valve:main was not moved: "]);

    let said = run_on(&desk, &["demo-actuate", "--peer", &peer, "--operation", "close"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.starts_with("delivered  actuator:mock:valve-1 close\n"), "{said:?}");
    assert!(said.out.contains("stands     inactive"), "{said:?}");
    let (_, last) = told(&desk, &peer, &[]);
    let done = last["state"]["history"].as_array().expect("a list").clone();
    let done: Vec<&Value> = done.iter().map(|record| &record["operation"]).collect();
    assert_eq!(done, [&json!("open"), &json!("close"), &json!("open")], "what was refused moved nothing");
    node.stop();
    expect_proved(&field);
}

#[test]
fn what_keeps_a_command_from_its_node_is_one_sentence() {
    let ((_one, desk), (_two, field)) = (empty(), empty());
    let stranger = "ab".repeat(32);
    let nowhere = format!("{stranger}=ws://127.0.0.1:1");
    expect_sentence(
        &run_on(&desk, &["demo-actuate", "--peer", &nowhere]),
        &["there is no node in ", "identity"],
    );
    let (own, peer_id) = (id_of(&desk), id_of(&field));
    json_on(&field, &["trust", "add", &own]);
    let mut node = Node::start(&field, &[]);
    node.endpoint();
    let peer = format!("{peer_id}=ws://{}", address(&field));
    for (spec, words) in [
        ("barn", "--peer: \"barn\" has no `=`"),
        (&*format!("{own}=ws://127.0.0.1:1"), "is this node itself"),
        (&*format!("{stranger}=ws://192.0.2.7:1||relay"), "--peer: insecure"),
        (&*nowhere, "abababab at ws://127.0.0.1:1: "),
        // Another node listens there than the one that is meant.
        (&*format!("{stranger}=ws://{}", address(&field)), "abababab at ws://"),
        (&*peer, "there is no mock actuator here"),
    ] {
        expect_sentence(&run_on(&desk, &["demo-actuate", "--peer", spec]), &[words]);
    }
    let other_mesh = ["demo-actuate", "--peer", &peer, "--mesh-name", "elsewhere"];
    expect_sentence(&run_on(&desk, &other_mesh), &[&peer_id[..8]]);
    expect_sentence(
        &run_on(&desk, &["demo-actuate", "--peer", &peer, "--mesh-name", " "]),
        &["--mesh-name: "],
    );
    for args in [&["demo-actuate"][..], &["demo-actuate", "--peer", &peer, "--timeout-ms", "1"]] {
        assert_eq!(run_on(&desk, args).code, Some(2), "{args:?}");
    }
    node.stop();
}
