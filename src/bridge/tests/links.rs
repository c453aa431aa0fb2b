//! Sessions and liveliness: opening, failing, breaking, healing, closing.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use clawmesh_authority::{Capability, Code, Unit};
use clawmesh_bridge::{BridgeError, BridgeLimits, BridgePorts, Decoder, Mapping, spawn};
use clawmesh_core::intake::{InboxLimits, InputBody, LinkState, doors};
use clawmesh_core::publish::outbox;
use clawmesh_core::replay::CommitWatch;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::support::{NOW_MS, Node, Setup, Stranger, id, key, mesh};

#[test]
fn nodes_see_each_other_come_and_go() {
    let (mut a, listen) = Node::open(1, Setup::trusting(&[2]));
    let (mut b, _) = Node::open(2, Setup::trusting(&[]).connecting(&listen));
    a.expect_peer(id(2));
    b.expect_peer(id(1));
    b.close();
    a.expect_no_peer(id(2));
    let (mut b, _) = Node::open(2, Setup::trusting(&[]).connecting(&listen));
    a.expect_peer(id(2));
    b.expect_peer(id(1));
    a.expect_none("nobody is one's own peer", |input| {
        matches!(input.body, InputBody::PeerAppeared(_) | InputBody::PeerVanished(_))
    });
}

#[test]
fn a_link_that_breaks_and_heals_is_a_peer_that_goes_and_comes_back() {
    let (mut a, listen) = Node::open(1, Setup::trusting(&[2]));
    let mut wire = Wire::to(listen.trim_start_matches("tcp/").parse().unwrap());
    let (mut b, _) = Node::open(2, Setup::trusting(&[1]).connecting(&wire.endpoint));
    for _ in 0..2 {
        a.expect_peer(id(2));
        b.expect_peer(id(1));
        wire.cut();
        a.expect_no_peer(id(2));
        b.expect_no_peer(id(1));
        wire.mend();
    }
    a.expect_peer(id(2));
    b.expect_peer(id(1));
}

#[test]
fn nodes_find_the_others_of_the_one_they_are_linked_to() {
    let (_a, listen) = Node::open(1, Setup::trusting(&[]));
    let connect = |setup: Setup| Setup { connect: vec![listen.clone()], ..setup };
    let (mut b, _) = Node::open(2, connect(Setup::trusting(&[3])));
    let (mut c, _) = Node::open(3, connect(Setup::trusting(&[2])));
    b.expect_peer(id(3));
    c.expect_peer(id(2));
}

#[test]
fn a_taken_port_is_said_and_tried_again() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp/{}", taken.local_addr().unwrap());
    let mut node = Node::start(1, Setup { listen: vec![endpoint.clone()], ..Setup::trusting(&[]) });
    let sentence = node.expect("a failed link", |input| match &input.body {
        InputBody::LinkChanged(LinkState::Failed { sentence }) => Some(sentence.clone()),
        _ => None,
    });
    assert!(sentence.contains(&endpoint) && sentence.contains("another program has that port"), "{sentence}");
    drop(taken);
    let listen = node.expect("an open link", |input| match &input.body {
        InputBody::LinkChanged(LinkState::Open { listen }) => Some(listen.clone()),
        _ => None,
    });
    assert_eq!(listen, [endpoint]);
}

#[test]
fn of_two_listeners_the_good_one_is_not_lost_while_the_other_is_taken() {
    let (taken, free) =
        (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let endpoint = |listener: &TcpListener| format!("tcp/{}", listener.local_addr().unwrap());
    let listen = vec![endpoint(&free), endpoint(&taken)];
    drop(free);
    let mut node = Node::start(1, Setup { listen: listen.clone(), ..Setup::trusting(&[]) });
    for _ in 0..2 {
        let sentence = node.expect("a failed link", |input| match &input.body {
            InputBody::LinkChanged(LinkState::Failed { sentence }) => Some(sentence.clone()),
            _ => None,
        });
        assert!(sentence.contains(&listen[1]), "{sentence}");
    }
}

#[test]
fn strangers_beyond_the_bound_are_counted_and_friends_are_not() {
    let limits = BridgeLimits { strangers_max: 2, ..BridgeLimits::default() };
    let (mut a, listen) = Node::open(1, Setup { limits, ..Setup::trusting(&[9]) });
    let stranger = Stranger::connecting(&listen);
    let token = |n: u8| stranger.appear(&format!("clawmesh/{}/{}/alive", mesh(), id(n)));
    let _tokens: Vec<_> = (5..8).map(token).collect();
    a.expect_refused(Code::LimitExceeded);
    let _friend = token(9);
    a.expect_peer(id(9));
    let _nobody = stranger.appear(&format!("clawmesh/{}/nobody/alive", mesh()));
    let (refusal, _) = a.expect_refused(Code::InvalidParams);
    assert!(refusal.from.contains("nobody"), "{refusal}");
}

#[test]
fn a_configuration_that_makes_no_sense_gives_no_bridge() {
    let mapping = |key_expr: &str| Mapping {
        key_expr: key_expr.to_owned(),
        sensor: Capability::new("sensor:level:tank").unwrap(),
        decoder: Decoder::Number,
        quantity: "level".to_owned(),
        unit: Unit::Percent,
        period_ms: 1_000,
        range: None,
        stuck_after_ms: None,
        about: None,
    };
    let fault = |setup: Setup| {
        let unix_ms = std::sync::Arc::new(|| NOW_MS);
        let (inbox, outbox) = (doors(InboxLimits::default()).0, outbox(1, 1).1);
        let ports =
            BridgePorts { key: key(1), epoch: 1, inbox, outbox, commits: CommitWatch::default(), unix_ms };
        spawn(setup.config(), ports).unwrap_err()
    };
    let mappings =
        |key_exprs: [&str; 2]| Setup { mappings: key_exprs.map(mapping).to_vec(), ..Setup::trusting(&[]) };
    let wrong = fault(mappings(["farm/a", "farm//b"]));
    assert!(matches!(&wrong, BridgeError::Mapping { key_expr, .. } if key_expr == "farm//b"), "{wrong}");
    assert!(matches!(fault(mappings(["farm/a", "farm/b"])), BridgeError::SensorTwice { .. }));
    let wrong = fault(Setup { listen: vec!["nonsense".to_owned()], ..Setup::trusting(&[]) });
    assert!(wrong.to_string().contains("nonsense"), "{wrong}");
}

/// A cable between two nodes that can be cut: a TCP relay on a port of its own.
struct Wire {
    endpoint: String,
    runtime: Runtime,
    listener: std::sync::Arc<tokio::net::TcpListener>,
    to: SocketAddr,
    relay: JoinHandle<()>,
}

impl Wire {
    fn to(to: SocketAddr) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let endpoint = format!("tcp/{}", listener.local_addr().unwrap());
        let listener = std::sync::Arc::new(listener);
        let relay = runtime.spawn(relay(std::sync::Arc::clone(&listener), to));
        Self { endpoint, runtime, listener, to, relay }
    }

    fn cut(&self) {
        self.relay.abort();
    }

    fn mend(&mut self) {
        self.relay = self.runtime.spawn(relay(std::sync::Arc::clone(&self.listener), self.to));
    }
}

/// One connection at a time, dropped with the task.
async fn relay(listener: std::sync::Arc<tokio::net::TcpListener>, to: SocketAddr) {
    loop {
        let (mut near, _) = listener.accept().await.unwrap();
        let far = tokio::time::timeout(Duration::from_secs(5), TcpStream::connect(to)).await;
        let mut far = far.unwrap().unwrap();
        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
    }
}
