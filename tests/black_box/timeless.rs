//! A node whose clock nothing keeps: it refuses by name what needs the time, and takes it when others have told the time.

use std::time::Duration;

use clawmesh_authority::{Hlc, MeshId, NodeKey, ProposalId, Request, RequestBody, request};
use clawmesh_core::replay::JOURNAL_FORMAT;
use serde_json::Value;

use crate::bad_input::empty;
use crate::running::expect_proved;
use crate::stops::answer_to;
use crate::support::cli::{id_of, json_on, run_on};
use crate::support::node::Node;
use crate::support::wait::until;

const PATIENCE: Duration = Duration::from_secs(45);
const OBSERVATION: &[u8] = br#"{"key":"gate/open","value":true}"#;

/// Something somebody asks a node for whom it does not know.
fn asked_by_a_stranger(owner: &str) -> Vec<u8> {
    let request = Request {
        mesh: MeshId::of_name("default"),
        owner: owner.parse().expect("an id"),
        body: RequestBody::Withdraw { proposal: ProposalId([3; 32]), why: "no".to_owned() },
        made: Hlc::default(),
    };
    request::seal(&NodeKey::from_secret(&[9; 32]), &request)
}

#[test]
fn alone_it_says_that_it_does_not_know_the_time_and_with_a_second_node_it_agrees() {
    let ((_a, barn), (_b, pump)) = (empty(), empty());
    let (barn_id, pump_id) = (id_of(&barn), id_of(&pump));
    let mut desk = Node::start(&barn, &["--clock", "none", "--host-sensors", "--trust", &pump_id]);
    let endpoint = desk.endpoint();
    let status = desk.ask(&["status"]);
    assert_eq!(
        (&status["clock"]["is_unknown"], &status["clock"]["kept"]),
        (&Value::Bool(true), &"none".into())
    );
    assert_eq!(status["wall_ms"], 0);
    for (path, body) in
        [("/api/observations", OBSERVATION.to_vec()), ("/api/requests", asked_by_a_stranger(&barn_id))]
    {
        let (code, answer) = answer_to(&barn, path, &body);
        assert_eq!((code >= 400, &answer["code"]), (true, &"CLOCK_UNTRUSTED".into()), "{answer}");
        let sentence = answer["sentence"].as_str().unwrap_or_default();
        assert!(sentence.starts_with("this node does not know what time it is: nothing keeps"), "{sentence}");
    }
    until("it has asked in vain", PATIENCE, || {
        run_on(&barn, &["status"])
            .out
            .contains("it has agreed with 0 of 1 nodes (1 asked, 0 of them there, 0 said a time)")
            .then_some(())
    });
    let sensors = until("its own sensors are shown", PATIENCE, || {
        let rows = desk.ask(&["world"])["sensors"].as_array()?.clone();
        (!rows.is_empty() && rows.iter().all(|row| row["value"].is_number())).then_some(rows)
    });
    assert!(sensors.iter().all(|row| row["flags"].to_string().contains("stale")), "{sensors:#?}");

    let mut field = Node::start(&pump, &["--clock", "kept", "--trust", &barn_id, "--connect", &endpoint]);
    field.endpoint();
    let status = until("they agree on the time", PATIENCE, || {
        Some(desk.ask(&["status"])).filter(|status| status["clock"]["is_unknown"] == false)
    });
    assert_eq!(status["clock"]["agreed_with"], serde_json::json!([pump_id]));
    assert_eq!(answer_to(&barn, "/api/observations", OBSERVATION).0, 201);
    let (_, answer) = answer_to(&barn, "/api/requests", &asked_by_a_stranger(&barn_id));
    assert_eq!(answer["code"], "NOT_AUTHORIZED", "it is judged now: {answer}");
    until("the other one hears of it", PATIENCE, || {
        let beliefs = field.ask(&["world"])["beliefs"].as_array()?.clone();
        beliefs.into_iter().find(|row| row["key"] == "gate/open")
    });
    assert!(run_on(&barn, &["status"]).out.contains("clock     nothing keeps it, agreed with 1 nodes"));
    desk.stop();
    expect_proved(&barn);
    field.stop();
}

#[test]
fn the_settings_and_the_doctor_say_what_keeps_the_clock() {
    let (_folder, dir) = empty();
    id_of(&dir);
    std::fs::write(dir.join("node.ron"), "(clock: \"none\", clock_agrees_with: 3)").expect("a disk");
    let shown = json_on(&dir, &["config", "show"]);
    assert_eq!((&shown["clock"]["value"], &shown["clock_agrees_with"]["value"]), (&"none".into(), &3.into()));
    let row = |dir: &std::path::Path| {
        let found: Value = serde_json::from_str(&run_on(dir, &["doctor", "--json"]).out).expect("JSON");
        found.as_array().expect("rows").iter().find(|row| row["check"] == "time").cloned().expect("the row")
    };
    assert!(
        row(&dir)["sentence"].as_str().is_some_and(|sentence| sentence.contains("trusted nodes agree on"))
    );
    std::fs::write(dir.join("node.ron"), "(clock: \"gps\")").expect("a disk");
    let said = run_on(&dir, &["config", "show"]);
    assert!(said.err.contains("`clock` is \"gps\", `kept`, `none` or `believed` is needed"), "{said:?}");
}

#[test]
fn a_journal_that_a_dying_node_left_empty_hinders_no_start() {
    for is_stamped in [false, true] {
        let (_folder, dir) = empty();
        id_of(&dir);
        let file = dir.join("journal.db");
        std::fs::write(&file, b"").expect("a disk");
        if is_stamped {
            let conn = rusqlite::Connection::open(&file).expect("a file");
            let stamp =
                format!("PRAGMA application_id = {}; PRAGMA user_version = {JOURNAL_FORMAT};", 0x434c_4d4a);
            conn.execute_batch(&stamp).expect("a disk");
        }
        let mut node = Node::start(&dir, &[]);
        node.endpoint();
        assert_eq!(node.ask(&["status"])["clock"]["is_unknown"], false, "stamped: {is_stamped}");
        node.stop();
        expect_proved(&dir);
    }
}
