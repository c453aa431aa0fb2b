//! TLS at the gateway: a certificate of the node's own, the pin by which others know it, and what is wrong with it in words.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::bad_input::{START, empty, expect_sentence};
use crate::support::cli::{id_of, json_on, run_on};
use crate::support::node::Node;
use crate::support::wait::until;

const PATIENCE: Duration = Duration::from_secs(30);

/// Where the gateway of a running node listens.
pub fn address(dir: &Path) -> String {
    fs::read_to_string(dir.join("gateway.address")).expect("a running node has one").trim().to_owned()
}

/// The fingerprint of the certificate of a node that has one.
pub fn pin_of(dir: &Path) -> String {
    let identity = json_on(dir, &["identity"]);
    identity["tls_fingerprint"].as_str().expect("it has a certificate").to_owned()
}

/// The one node that the node on `dir` dials, once it stands like this.
fn until_dialled(dir: &Path, state: &str) -> Value {
    until("the dialled node stands so", PATIENCE, || {
        let dialled = json_on(dir, &["peers"])["dialled"][0].clone();
        (dialled["state"] == state).then_some(dialled)
    })
}

#[test]
fn a_node_is_dialled_over_tls_by_its_pin_and_has_the_same_one_after_a_restart() {
    let ((_a, barn), (_b, pump)) = (empty(), empty());
    let (barn_id, pump_id) = (id_of(&barn), id_of(&pump));
    assert_eq!(json_on(&barn, &["identity"])["tls_fingerprint"], Value::Null);
    json_on(&barn, &["trust", "add", &pump_id]);
    json_on(&pump, &["trust", "add", &barn_id]);
    let mut served = Node::start(&barn, &["--tls"]);
    // What the command line asks on this machine it asks in clear.
    served.endpoint();
    let pin = pin_of(&barn);
    assert!(pin.len() == 64 && served.log().contains(&pin), "{}", served.log());
    assert_eq!(fs::metadata(barn.join("identity/tls.pem")).unwrap().permissions().mode() & 0o777, 0o600);

    let way = |pin: &str| format!("{barn_id}=wss://{}|{pin}|relay", address(&barn));
    let mut wrong = Node::start(&pump, &["--peer", &way(&"ab".repeat(32))]);
    wrong.endpoint();
    let refused = until_dialled(&pump, "refused");
    let sentence = refused["sentence"].as_str().expect("it says why");
    assert!(sentence.contains("another certificate than the pinned one"), "{sentence}");
    assert_eq!(json_on(&pump, &["peers"])["guests"], json!([]));
    wrong.stop();

    let mut right = Node::start(&pump, &["--peer", &way(&pin)]);
    right.endpoint();
    assert_eq!(until_dialled(&pump, "connected")["posture"], "tls-pinned");
    for (dir, other) in [(&barn, &pump_id), (&pump, &barn_id)] {
        until("the other one is a guest", PATIENCE, || {
            let peers = json_on(dir, &["peers"]);
            (peers["guests"][0]["id"] == other.as_str()).then_some(())
        });
    }
    right.stop();
    served.stop();

    // Also when a file says so.
    fs::write(barn.join("node.ron"), "(tls: true)").unwrap();
    let mut again = Node::start(&barn, &[]);
    again.endpoint();
    assert_eq!(pin_of(&barn), pin);
    assert!(again.log().matches(&pin).count() >= 2, "it is told at each start: {}", again.log());
    let page = run_on(&barn, &["identity"]).out;
    assert!(page.contains(&format!("--peer '{barn_id}=wss://HOST:18789|{pin}'")), "{page}");
    again.stop();
}

#[test]
fn a_node_is_asked_over_tls_by_the_pin_of_its_certificate_and_by_no_other() {
    let (folder, dir) = empty();
    let mut node = Node::start(&dir, &["--tls"]);
    node.endpoint();
    let token = folder.path().join("token");
    fs::copy(dir.join("gateway.token"), &token).unwrap();
    let (elsewhere, url) = (folder.path().join("elsewhere"), format!("https://{}", address(&dir)));
    let ask = |pin: &[&str]| {
        let asked = ["status", "--json", "--url", &url, "--token-file", token.to_str().unwrap()];
        run_on(&elsewhere, &[&asked, pin].concat())
    };
    let status: Value = serde_json::from_str(&ask(&["--fingerprint", &pin_of(&dir)]).out).unwrap();
    assert_eq!(status["node"]["id"], id_of(&dir).as_str());
    expect_sentence(&ask(&[]), &["only its fingerprint tells", "--fingerprint"]);
    let other = "ab".repeat(32);
    expect_sentence(&ask(&["--fingerprint", &other]), &["no node with the certificate of --fingerprint"]);
    node.stop();
}

#[test]
fn a_damaged_certificate_is_one_sentence_and_is_never_replaced() {
    let (_folder, dir) = empty();
    fs::write(dir.join("node.ron"), "(tls: true)").unwrap();
    pin_of(&dir);
    let path = dir.join("identity/tls.pem");
    let good = fs::read(&path).unwrap();
    for damage in [&b""[..], b"no key", &good[..good.len() / 2]] {
        fs::write(&path, damage).unwrap();
        for command in [&START[..], &["identity"]] {
            let words =
                ["the TLS certificate of this node is damaged", "restore it from a backup", "tls.pem"];
            expect_sentence(&run_on(&dir, command), &words);
            assert_eq!(fs::read(&path).unwrap(), damage);
        }
    }
    fs::write(&path, &good).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    expect_sentence(&run_on(&dir, &START), &["(mode 644)", "chmod 600"]);
}

#[test]
fn a_certificate_of_ones_own_is_shown_with_its_own_pin() {
    let ((_a, maker), (_b, dir)) = (empty(), empty());
    fs::write(maker.join("node.ron"), "(tls: true)").unwrap();
    let pin = pin_of(&maker);
    let pem = fs::read(maker.join("identity/tls.pem")).unwrap();
    fs::write(dir.join("server.pem"), pem).unwrap();
    fs::set_permissions(dir.join("server.pem"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(dir.join("node.ron"), "(tls: (cert: \"server.pem\", key: \"server.pem\"))").unwrap();
    assert_eq!(pin_of(&dir), pin);
    assert!(!dir.join("identity/tls.pem").exists());
    fs::write(dir.join("node.ron"), "(tls: (cert: \"server.pem\", key: \"node.ron\"))").unwrap();
    fs::set_permissions(dir.join("node.ron"), fs::Permissions::from_mode(0o600)).unwrap();
    expect_sentence(&run_on(&dir, &START), &["the key is no PEM", "server.pem", "node.ron"]);
}
