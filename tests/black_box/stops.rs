//! The stop: pressed at one node, latched at every node it trusts, whatever their ticks do.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::bad_input::empty;
use crate::running::{address, expect_proved};
use crate::support::cli::{id_of, json_on};
use crate::support::node::Node;
use crate::support::wait::until;

const PATIENCE: Duration = Duration::from_secs(30);

/// What a running node answers to `POST` with its own token, in JSON.
fn post(dir: &Path, path: &str, body: &str) -> Value {
    let (status, answer) = answer_to(dir, path, body.as_bytes());
    assert_eq!(status, 200, "{answer}");
    answer
}

/// The status and the body in JSON that a running node answers to `POST` with its own token.
pub fn answer_to(dir: &Path, path: &str, body: &[u8]) -> (u16, Value) {
    let token = fs::read_to_string(dir.join("gateway.token")).expect("a running node has a token");
    let (host, token, length) = (address(dir), token.trim(), body.len());
    let mut stream = TcpStream::connect(&host).expect("a running node listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("the patience is no zero");
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\
         content-length: {length}\r\n\r\n"
    );
    stream.write_all(&[request.as_bytes(), body].concat()).expect("the request is small");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the answer is text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, serde_json::from_str(body).expect("a body in JSON"))
}

#[test]
fn a_stop_pressed_at_one_node_latches_every_node_it_trusts_and_says_who_has_confirmed() {
    let ((_one, center), (_two, field)) = (empty(), empty());
    let (center_id, field_id, nobody) = (id_of(&center), id_of(&field), "00".repeat(32));
    let mut pump = Node::start_as("plant", &field, &["--trust", &center_id]);
    let endpoint = pump.endpoint();
    let trust = ["--connect", &endpoint, "--trust", &field_id, "--trust", &nobody];
    let mut desk = Node::start(&center, &trust);
    desk.endpoint();
    until("the field node is heard", PATIENCE, || {
        let peers = desk.ask(&["peers"]);
        let rows = peers["peers"].as_array().expect("a list of peers");
        rows.iter().any(|row| row["id"] == *field_id && row["heard_age_ms"].is_number()).then_some(())
    });

    let answer = post(&center, "/api/stop", r#"{"why":"smoke in the pump house"}"#);
    assert_eq!(answer["reason"], "smoke in the pump house");
    let node = |id: &str| {
        let nodes = answer["nodes"].as_array().expect("a list of nodes");
        nodes.iter().find(|node| node["id"] == *id).expect("every trusted node").clone()
    };
    let own = node(&center_id);
    assert_eq!(
        (&own["is_own"], &own["stopped"], &own["sentence"]),
        (&json!(true), &json!(true), &json!(null))
    );
    let far = node(&field_id);
    assert_eq!(
        (&far["is_own"], &far["stopped"], &far["not_safe"]),
        (&json!(false), &json!(true), &json!([]))
    );
    let safe = far["safe"].as_array().expect("a list of actuators");
    assert!(safe.contains(&json!("actuator:pump:pump-main-01")), "{answer:#}");
    let absent = node(&nobody);
    assert!(absent["stopped"] == json!(false) && absent["sentence"].is_string(), "{answer:#}");
    for (dir, id) in [(&center, &center_id), (&field, &field_id)] {
        let file = fs::read_to_string(dir.join("stop")).expect("it is on the disk when it is confirmed");
        assert!(file.contains("smoke in the pump house"), "{id}: {file}");
        until("the tick knows", PATIENCE, || (json_on(dir, &["status"])["state"] == "stopped").then_some(()));
    }
    desk.stop();
    pump.stop();
    [&center, &field].into_iter().for_each(|dir| expect_proved(dir));
}
