//! Why a node is not connected, as `doctor mesh` tells it. Each test breaks one thing, and that one thing is told.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clawmesh_authority::{NodeId, NodeKey};
use clawmesh_wire::access::Method;
use clawmesh_wire::connect::About;
use clawmesh_wire::context::ContextFrame;
use clawmesh_wire::handshake::{Moment, PeerTrust};
use clawmesh_wire::{Code, Refusal};
use clawmesh_wire_link::{Config, Host, Later, Links, Peer, Session, Why};
use serde_json::Value;
use serde_json::value::RawValue;
use tempfile::TempDir;

use crate::bad_input::{empty, expect_sentence};
use crate::support::cli::{id_of, json_on, run_on};
use crate::support::node::Node;
use crate::support::wait::until;
use crate::tls::{address, pin_of};

const PATIENCE: Duration = Duration::from_secs(30);

/// What is told of a node: how it is, why, and the sentence. The exit code fits to it.
fn told(dir: &Path, id: &str) -> (String, Option<String>, String) {
    let said = run_on(dir, &["doctor", "mesh", id, "--json"]);
    let findings: Value = serde_json::from_str(&said.out).unwrap_or_else(|why| panic!("{why}: {said:?}"));
    let [finding] = findings.as_array().expect("a list").as_slice() else { panic!("not one: {said:?}") };
    let outcome = finding["outcome"].as_str().expect("an outcome").to_owned();
    assert_eq!(said.code, Some(i32::from(outcome == "bad")), "{said:?}");
    let cause = finding["cause"].as_str().map(str::to_owned);
    (outcome, cause, finding["sentence"].as_str().expect("a sentence").to_owned())
}

/// Exactly this cause is told of a node that should be connected, in these words; a node that runs hears of what was broken a
/// moment later, and what was connected until then has ended first.
fn expect_cause(dir: &Path, id: &str, cause: &str, words: &str) {
    let sentence = until(&format!("the cause is {cause}"), PATIENCE, || {
        let (outcome, told_cause, sentence) = told(dir, id);
        (outcome == "bad" && told_cause.as_deref() == Some(cause)).then_some(sentence)
    });
    assert!(sentence.contains(words), "{sentence}");
}

/// Two nodes that trust each other; the second one runs.
struct Two {
    _folders: [TempDir; 2],
    barn: PathBuf,
    pump: PathBuf,
    barn_id: String,
    pump_id: String,
    _running: Node,
}

impl Two {
    fn with(pump_args: &[&str]) -> Self {
        let ((one, barn), (two, pump)) = (empty(), empty());
        let (barn_id, pump_id) = (id_of(&barn), id_of(&pump));
        json_on(&barn, &["trust", "add", &pump_id]);
        json_on(&pump, &["trust", "add", &barn_id]);
        let mut running = Node::start(&pump, pump_args);
        running.endpoint();
        Self { _folders: [one, two], barn, pump, barn_id, pump_id, _running: running }
    }

    /// Starts the first node, which dials the second one by `scheme`, with `rest` behind the address.
    fn dial(&self, scheme: &str, rest: &str) -> Node {
        let way = format!("{}={scheme}://{}{rest}", self.pump_id, address(&self.pump));
        dialling(&self.barn, &way)
    }
}

fn dialling(dir: &Path, way: &str) -> Node {
    let mut node = Node::start(dir, &["--peer", way]);
    node.endpoint();
    node
}

#[test]
fn who_is_connected_is_good_and_everybody_is_listed() {
    let two = Two::with(&["--tls"]);
    let _barn = two.dial("wss", &format!("|{}|relay", pin_of(&two.pump)));
    for (dir, other) in [(&two.barn, &two.pump_id), (&two.pump, &two.barn_id)] {
        until("it is connected", PATIENCE, || (told(dir, other).0 == "good").then_some(()));
    }
    let page = run_on(&two.barn, &["doctor", "mesh"]);
    assert!(page.code == Some(0) && page.out.contains("connected over the wire protocol"), "{page:?}");
    expect_sentence(&run_on(&two.barn, &["doctor", "mesh", "nobody"]), &["no node \"nobody\" is trusted"]);
}

#[test]
fn label_a_way_that_leaves_the_site_in_clear_is_told() {
    let (_folder, dir) = empty();
    let (_other, pump) = empty();
    let id = id_of(&pump);
    let text = format!("(peers: [\"{id}=ws://127.0.0.1:1||relay\"])");
    fs::write(dir.join("node.ron"), text).unwrap();
    expect_cause(&dir, &id, "label", "in clear");
}

#[test]
fn certificate_a_way_that_leaves_the_site_without_a_pin_is_told() {
    let (_folder, dir) = empty();
    let (_other, pump) = empty();
    let id = id_of(&pump);
    fs::write(dir.join("node.ron"), format!("(peers: [\"{id}=wss://127.0.0.1:1||relay\"])")).unwrap();
    expect_cause(&dir, &id, "certificate", "no certificate is pinned");
}

#[test]
fn certificate_another_one_than_the_pinned_one_is_told() {
    let two = Two::with(&["--tls"]);
    let _barn = two.dial("wss", &format!("|{}|relay", "ab".repeat(32)));
    expect_cause(&two.barn, &two.pump_id, "certificate", "another certificate than the pinned one");
}

#[test]
fn certificate_a_node_without_any_is_told() {
    let two = Two::with(&[]);
    let _barn = two.dial("wss", "");
    expect_cause(&two.barn, &two.pump_id, "certificate", "speaks no TLS");
}

#[test]
fn certificate_missing_papers_of_the_mesh_are_told() {
    let ((_a, barn), (_b, pump)) = (empty(), empty());
    let id = id_of(&pump);
    json_on(&barn, &["trust", "add", &id]);
    fs::write(barn.join("node.ron"), "(connect: [\"tls/127.0.0.1:1\"])").unwrap();
    let _node = Node::start(&barn, &[]);
    until("it runs", PATIENCE, || {
        let said = run_on(&barn, &["status", "--json"]);
        let status: Value = serde_json::from_str(&said.out).ok()?;
        (status["state"] != "starting").then_some(())
    });
    expect_cause(&barn, &id, "certificate", "pair it with `clawmesh pair`");
}

#[test]
fn trust_that_we_lack_is_told_at_both_ends() {
    let two = Two::with(&[]);
    json_on(&two.barn, &["trust", "remove", &two.pump_id]);
    let barn = two.dial("ws", "");
    let words = format!("`clawmesh trust add {}`", two.pump_id);
    expect_cause(&two.barn, &two.pump_id, "trust", &words);
    barn.stop();

    json_on(&two.barn, &["trust", "add", &two.pump_id]);
    json_on(&two.pump, &["trust", "remove", &two.barn_id]);
    let _barn = two.dial("ws", "");
    let words = format!("over there, say `clawmesh trust add {}`", two.barn_id);
    expect_cause(&two.barn, &two.pump_id, "trust", &words);
    // Over there nobody waits for it, so it is only noted.
    let (outcome, cause, sentence) = told(&two.pump, &two.barn_id);
    assert_eq!((outcome.as_str(), cause.as_deref()), ("note", Some("trust")), "{sentence}");
    assert!(sentence.contains("wants to connect and is not trusted here"), "{sentence}");
}

#[test]
fn mesh_another_one_is_told_at_both_ends() {
    let two = Two::with(&["--mesh-name", "elsewhere"]);
    let _barn = two.dial("ws", "");
    expect_cause(&two.barn, &two.pump_id, "mesh", "in another mesh");
    expect_cause(&two.pump, &two.barn_id, "mesh", "in another mesh");
}

#[test]
fn port_where_nobody_listens_is_told() {
    let ((_a, barn), (_b, pump)) = (empty(), empty());
    let id = id_of(&pump);
    json_on(&barn, &["trust", "add", &id]);
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let _node = dialling(&barn, &format!("{id}=ws://{free}"));
    expect_cause(&barn, &id, "port", "cannot be reached");
}

#[test]
fn port_where_something_else_listens_is_told() {
    let ((_a, barn), (_b, pump)) = (empty(), empty());
    let id = id_of(&pump);
    json_on(&barn, &["trust", "add", &id]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let there = listener.local_addr().unwrap();
    let answering = std::thread::Builder::new().name("something else".to_owned()).spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 1_024]);
            let _ = stream.write_all(b"220 mail.example ready\r\n");
        }
    });
    answering.unwrap();
    let _node = dialling(&barn, &format!("{id}=ws://{there}"));
    expect_cause(&barn, &id, "port", "something else listens there");
}

#[test]
fn port_of_an_endpoint_where_nobody_listens_is_told() {
    let ((_a, barn), (_b, pump)) = (empty(), empty());
    let id = id_of(&pump);
    json_on(&barn, &["trust", "add", &id]);
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    fs::write(barn.join("node.ron"), format!("(connect: [\"tcp/{free}\"])")).unwrap();
    let mut node = Node::start(&barn, &[]);
    node.endpoint();
    expect_cause(&barn, &id, "port", &format!("nobody listens at tcp/{free}"));
}

#[test]
fn name_of_a_host_that_leads_nowhere_is_told() {
    let ((_a, barn), (_b, pump)) = (empty(), empty());
    let id = id_of(&pump);
    json_on(&barn, &["trust", "add", &id]);
    let _node = dialling(&barn, &format!("{id}=ws://no-such-host.invalid:18789"));
    expect_cause(&barn, &id, "name", "write a name that this machine can look up");
}

#[test]
fn name_and_address_that_are_another_nodes_are_told() {
    let two = Two::with(&["--name", "pump"]);
    let (_folder, other) = empty();
    let other_id = id_of(&other);
    json_on(&two.barn, &["trust", "add", &other_id, "--name", "old pump"]);
    let wrong = dialling(&two.barn, &format!("{other_id}=ws://{}", address(&two.pump)));
    expect_cause(&two.barn, &other_id, "name", "leads to another node");
    wrong.stop();

    // It was set up anew, and its name is trusted with the id it had before.
    json_on(&two.barn, &["trust", "add", &other_id, "--name", "pump"]);
    let _barn = two.dial("ws", "");
    until("it is connected", PATIENCE, || (told(&two.barn, &two.pump_id).0 == "good").then_some(()));
    let words = format!("is {}, and", two.pump_id);
    expect_cause(&two.barn, &other_id, "name", &words);
}

/// A node whose clock is ten minutes ahead, and that trusts everybody.
struct Early {
    key: NodeKey,
    about: Arc<About>,
}

impl Host for Early {
    fn key(&self) -> &NodeKey {
        &self.key
    }

    fn about(&self) -> Arc<About> {
        Arc::clone(&self.about)
    }

    fn trust(&self, _: NodeId) -> PeerTrust {
        PeerTrust::Trusted
    }

    fn is_operator_token(&self, _: &str) -> bool {
        false
    }

    #[expect(clippy::disallowed_methods, reason = "its clock is wrong by a known amount")]
    fn now(&self) -> Moment {
        let elapsed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
        Moment { unix_ms: elapsed.as_millis() as u64 + 600_000, elapsed }
    }

    fn newest_frame_ms(&self, _: NodeId) -> Option<u64> {
        None
    }

    fn call(&self, _: &Peer, _: Method, _: Option<Box<RawValue>>) -> Later {
        Box::pin(async { Err(Refusal::new(Code::UnknownMethod, "this node answers nothing")) })
    }

    fn frame(&self, _: NodeId, _: ContextFrame) {}

    fn joined(&self, _: &Session) {}

    fn left(&self, _: NodeId, _: &Why) {}
}

#[test]
fn clock_of_the_other_node_is_told_whoever_dials() {
    let (_folder, barn) = empty();
    let barn_id: NodeId = id_of(&barn).parse().unwrap();
    let key = NodeKey::from_secret(&[9; 32]);
    let early = key.id();
    json_on(&barn, &["trust", "add", &early.to_string()]);
    let tasks = tokio::runtime::Runtime::new().unwrap();
    let about = Arc::new(About::default());
    let links = tasks.block_on(async { Links::start(Config::default(), Arc::new(Early { key, about })) });
    let listener = tasks.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let there = listener.local_addr().unwrap();
    let serving = links.clone();
    tasks.spawn(async move { serving.listen(listener, None).await });

    let node = dialling(&barn, &format!("{early}=ws://{there}"));
    expect_cause(&barn, &early.to_string(), "clock", "set both clocks");
    node.stop();

    // The other way round it is refused at our door.
    let mut node = Node::start(&barn, &[]);
    node.endpoint();
    let way = format!("{barn_id}=ws://{}", address(&barn));
    let spec = clawmesh_wire::peer_spec::PeerSpec::read(&way).unwrap();
    tasks.block_on(async { links.dial(spec) });
    until("it has knocked", PATIENCE, || {
        let peers = json_on(&barn, &["peers"]);
        (peers["knocks"][0]["code"] == "AUTH_FAILED").then_some(())
    });
    expect_cause(&barn, &early.to_string(), "clock", "s away from our time");
    tasks.block_on(links.close());
}
