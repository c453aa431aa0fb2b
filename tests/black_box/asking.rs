//! Asking a running node by its address: who answers, and who gets to see the token.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::bad_input::{empty, expect_sentence};
use crate::running::address;
use crate::support::cli::{id_of, run_on};
use crate::support::node::Node;
use crate::support::wait::until;

#[test]
fn a_node_is_asked_by_its_address_with_the_token_of_the_state_dir_or_of_a_file() {
    let (folder, dir) = empty();
    let mut node = Node::start(&dir, &[]);
    node.endpoint();
    let url = format!("http://{}", address(&dir));
    let id_at = |dir: &Path, more: &[&str]| {
        let said = run_on(dir, &[&["status", "--json", "--url", &url], more].concat());
        let status: Value = serde_json::from_str(&said.out).unwrap_or_else(|why| panic!("{why}: {said:?}"));
        status["node"]["id"].as_str().expect("a node has an id").to_owned()
    };
    assert_eq!(id_at(&dir, &[]), id_of(&dir));
    let token = folder.path().join("token");
    // With its permissions, as its owner would bring it over.
    fs::copy(dir.join("gateway.token"), &token).unwrap();
    let elsewhere = folder.path().join("elsewhere");
    assert_eq!(id_at(&elsewhere, &["--token-file", token.to_str().unwrap()]), id_of(&dir));
    let said = run_on(&elsewhere, &["status", "--url", &url, "--token-file", "/nowhere/token"]);
    expect_sentence(&said, &["there is no token file here: /nowhere/token"]);
    node.stop();
}

#[test]
fn the_token_of_a_state_dir_is_not_sent_to_another_machine() {
    let (_folder, dir) = empty();
    let mut node = Node::start(&dir, &[]);
    node.endpoint();
    // Nobody has these addresses, so a command that called them would say that nobody answers.
    for url in ["http://192.0.2.7:18789", "http://node.invalid", "http://127.0.0.1@node.invalid:1"] {
        for command in ["status", "peers", "world"] {
            let said = run_on(&dir, &[command, "--url", url]);
            expect_sentence(&said, &[url, "is another machine", "--token-file"]);
        }
    }
    node.stop();
}

#[test]
fn without_a_running_node_nobody_is_called() {
    let (_folder, dir) = empty();
    let mut node = Node::start(&dir, &["--host", "127.0.0.1"]);
    node.endpoint();
    let address = address(&dir);
    node.stop();
    // Where the settings say that a node would listen, somebody else does.
    let stranger = TcpListener::bind(&address).unwrap();
    stranger.set_nonblocking(true).unwrap();
    let port = stranger.local_addr().unwrap().port();
    fs::write(dir.join("node.ron"), format!("(port: {port})")).unwrap();
    expect_sentence(&run_on(&dir, &["status"]), &["no node runs in ", "clawmesh start"]);
    assert!(stranger.accept().is_err(), "a command called a stranger");
}

#[test]
fn a_search_that_finds_nothing_says_so() {
    let (_folder, dir) = empty();
    let mut node = Node::start(&dir, &["--host-sensors"]);
    node.endpoint();
    until("a reading", Duration::from_secs(30), || {
        node.ask(&["world"])["sensors"].as_array().is_some_and(|rows| !rows.is_empty()).then_some(())
    });
    let said = run_on(&dir, &["world", "unicorn"]);
    assert_eq!(
        (said.code, said.out.trim()),
        (Some(0), "no sensor, no actuator, no belief and nothing told contains \"unicorn\""),
        "{said:?}"
    );
    node.stop();
}

#[test]
fn an_address_left_behind_is_gone_as_soon_as_a_node_takes_the_state_dir() {
    let (_folder, dir) = empty();
    fs::write(dir.join("gateway.address"), "127.0.0.1:1\n").unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    // It gets no further than its port, and that is far enough.
    let said = run_on(&dir, &["start", "--no-discovery", "--port", &port, "--stop-with-stdin"]);
    expect_sentence(&said, &["is taken"]);
    assert!(!dir.join("gateway.address").exists());
}
