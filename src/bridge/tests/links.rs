//! Sessions and liveliness: opening, failing, breaking, healing, closing.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use clawmesh_authority::{Body, Capability, Code, Unit};
use clawmesh_bridge::{BridgeError, BridgeLimits, Decoder, Mapping, spawn};
use clawmesh_core::intake::{InboxLimits, InputBody, LinkState, doors};
use clawmesh_core::publish::outbox;
use clawmesh_core::replay::CommitWatch;
use crossbeam_channel::after;
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::support::{Node, Setup, Stranger, envelope_of, frame, id, many_readings, mesh, outgoing, ports};

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
fn the_last_word_of_a_node_that_closes_arrives_before_its_token_goes() {
    let (mut a, listen) = Node::open(1, Setup::trusting(&[2]));
    let (mut b, _) = Node::open(2, Setup::trusting(&[1]).connecting(&listen));
    a.expect_peer(id(2));
    b.expect_peer(id(1));
    for sequence in 0..64 {
        b.outbox.offer(outgoing(0, sequence, many_readings())).unwrap();
    }
    b.outbox.offer(outgoing(0, 64, Body::Leave)).unwrap();
    b.wait_for_last_word();
    b.close();
    a.expect("the last word", |input| (envelope_of(input, id(2)) == Some(64)).then_some(()));
    a.expect_no_peer(id(2));
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
    let (refusal, _) = a.expect_refused(Code::LimitExceeded);
    assert_eq!(refusal.from, "strangers");
    let _friend = token(9);
    a.expect_peer(id(9));
    let _nobody = stranger.appear(&format!("clawmesh/{}/nobody/alive", mesh()));
    let (refusal, _) = a.expect_refused(Code::InvalidParams);
    assert!(refusal.from.contains("nobody"), "{refusal}");
}

#[test]
fn a_stranger_that_comes_and_goes_all_the_time_is_told_of_rarely_and_a_friend_at_once() {
    let (mut a, listen) = Node::open(1, Setup::trusting(&[9]));
    let stranger = Stranger::connecting(&listen);
    let token = |n: u8| stranger.appear(&format!("clawmesh/{}/{}/alive", mesh(), id(n)));
    for _ in 0..500 {
        drop(token(5));
    }
    let _stays = token(5);
    let _friend = token(9);
    a.expect_peer(id(9));
    a.expect_peer(id(5));
    let told = a.all(|input| match input.body {
        InputBody::PeerAppeared(node) | InputBody::PeerVanished(node) => (node == id(5)).then_some(()),
        _ => None,
    });
    assert!(told.len() < 20, "{} of a thousand changes were told", told.len());
}

#[test]
fn who_asks_and_does_not_read_keeps_nobody_else_waiting() {
    let limits = BridgeLimits { unproven_per_second_max: u32::MAX, ..BridgeLimits::default() };
    let small = vec!["tcp/127.0.0.1:0#so_sndbuf=8192".to_owned()];
    let (_a, listen) = Node::open(1, Setup { limits, listen: small, ..Setup::trusting(&[2]) });
    let listen = listen.split('#').next().unwrap().to_owned();
    let drain = Drain::to(listen.trim_start_matches("tcp/").parse().unwrap());
    let (deaf, friend) = (Stranger::connecting(&drain.endpoint), Stranger::connecting(&listen));
    let ask = |stranger: &Stranger| stranger.ask(id(1), "heard", id(2).to_string());
    assert_eq!(ask(&deaf).receipt(id(1)), None);
    assert_eq!(ask(&friend).receipt(id(1)), None);
    drain.clog.send_replace(true);
    let _unread: Vec<_> = (0..4_000).map(|_| ask(&deaf)).collect();
    // Sooner than zenoh gives up a link that takes nothing, which is after five seconds.
    let soon = Duration::from_secs(3);
    let deadline = after(soon);
    while !ask(&friend).is_answered_within(soon) {
        assert!(deadline.try_recv().is_err(), "no answer while another does not read");
    }
    // First, so that closing waits for nobody.
    drop(drain);
}

#[test]
fn who_poses_as_our_peers_and_does_not_read_keeps_no_frame_of_ours_back() {
    let small = vec!["tcp/127.0.0.1:0#so_sndbuf=8192".to_owned()];
    let (mut a, listen) = Node::open(1, Setup { listen: small, ..Setup::trusting(&[2, 7, 8, 9]) });
    let listen = listen.split('#').next().unwrap().to_owned();
    let drain = Drain::to(listen.trim_start_matches("tcp/").parse().unwrap());
    let deaf = Stranger::connecting(&drain.endpoint);
    let _everything = deaf.listen();
    let pose = |n: u8| {
        let answers = ["heard", "deliver"].map(|method| deaf.answer_as(n, method, |_| Vec::new()));
        (answers, deaf.appear(&format!("clawmesh/{}/{}/alive", mesh(), id(n))))
    };
    let _posing: Vec<_> = (7..10).map(pose).collect();
    (7..10).for_each(|n| a.expect_peer(id(n)));
    let (mut friend, _) = Node::open(2, Setup::trusting(&[1]).connecting(&listen));
    a.expect_peer(id(2));
    a.commits.commit(1);
    drain.clog.send_replace(true);
    for sequence in 0..40 {
        assert_eq!(a.outbox.offer(outgoing(1, sequence, many_readings())), Ok(()));
        // Each one comes through here, so each one was put on the other link too.
        friend.expect_envelope(id(1));
    }
    // Sooner than zenoh gives up a link that takes nothing, which is after five seconds.
    let deadline = after(Duration::from_secs(3));
    for sequence in 0..5 {
        assert_eq!(a.outbox.offer(outgoing(1, sequence, frame(&sequence.to_string()))), Ok(()));
        friend.expect_envelope(id(1)).1.unwrap().answer(Ok(()));
    }
    assert!(deadline.try_recv().is_err(), "the frames came late");
    drop(drain);
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
        let (inbox, outbox) = (doors(InboxLimits::default()).0, outbox(1, 1).1);
        let (ports, _) = ports(1, inbox, outbox, CommitWatch::default());
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

/// A relay that can stop carrying anything back, while it goes on carrying everything there.
struct Drain {
    endpoint: String,
    clog: watch::Sender<bool>,
    _runtime: Runtime,
}

impl Drain {
    fn to(to: SocketAddr) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let endpoint = format!("tcp/{}", listener.local_addr().unwrap());
        let clog = watch::Sender::new(false);
        runtime.spawn(drain(listener, to, clog.subscribe()));
        Self { endpoint, clog, _runtime: runtime }
    }
}

/// One connection. It outlives the asking end, whose patience must not free the answering one.
async fn drain(listener: tokio::net::TcpListener, to: SocketAddr, mut clog: watch::Receiver<bool>) {
    let (near, _) = listener.accept().await.unwrap();
    let far = TcpSocket::new_v4().unwrap();
    far.set_recv_buffer_size(4_096).unwrap();
    let far = far.connect(to).await.unwrap();
    let ((mut near_read, mut near_write), (mut far_read, mut far_write)) =
        (near.into_split(), far.into_split());
    let there = async {
        let _ = tokio::io::copy(&mut near_read, &mut far_write).await;
        std::future::pending::<()>().await;
    };
    let back = async {
        tokio::select! {
            _ = tokio::io::copy(&mut far_read, &mut near_write) => {}
            _ = clog.wait_for(|clogged| *clogged) => {}
        }
        std::future::pending::<()>().await;
    };
    tokio::join!(there, back);
}
