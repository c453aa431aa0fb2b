//! How sessions end, and what others hear of it.

use std::time::Duration;

use clawmesh_wire::Code;
use clawmesh_wire::access::Method;
use clawmesh_wire_link::{CallFault, Count, Host as _, PeerState, Why};
use futures_util::StreamExt as _;
use serde_json::json;
use tokio::net::TcpListener;

use crate::support::{Bare, Node, PATIENCE, Told, config, key};

fn down(node: clawmesh_authority::NodeId) -> serde_json::Value {
    json!({"gen": 1, "deviceId": node, "reportedAtMs": 5})
}

#[tokio::test]
async fn a_newer_connection_of_a_node_takes_the_place_of_the_older_and_its_calls_fail() {
    let mut node = Node::open(&key(1), &[&key(2)]).await;
    let mut older = Bare::open_as(&key(2), node.address).await;
    let first = node.joined().await;
    let (links, id) = (node.links.clone(), key(2).id());
    let waiting = tokio::spawn(async move { links.call(id, "mesh.health", &json!({}), PATIENCE).await });
    older.next_where(|value| value["method"] == "mesh.health").await;
    let mut newer = Bare::open_as(&key(2), node.address).await;
    let second = node.joined().await;
    assert_eq!(older.closed().await, (1_000, "superseded by a newer connection".to_owned()));
    let fault = waiting.await.unwrap().unwrap_err();
    assert!(matches!(&fault, CallFault::Ours(refusal) if refusal.code == Code::PeerDisconnected), "{fault}");
    assert_eq!(newer.code("mesh.health").await, "OK");
    let connections: Vec<u64> = node.links.sessions().iter().map(|session| session.connection).collect();
    assert!(connections == [second.connection] && first.connection != second.connection);
    drop(newer);
    assert_eq!(node.left().await.0, id, "told once, when none is left");
    assert_eq!(node.count(Count::Superseded), 1);
}

#[tokio::test(start_paused = true)]
async fn silence_ends_a_link_after_thirty_seconds_and_an_answer_to_a_ping_is_none() {
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::protocol::Role;

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let node = Node::open_at(&key(1), &[], config(), listener, None);
    let serve = |stream| {
        let links = node.links.clone();
        let here = ([127, 0, 0, 1], 5_000).into();
        tokio::spawn(async move { links.serve(stream, &clawmesh_wire_link::Head::default(), here).await })
    };
    let ((ours, _deaf), (ours2, theirs2)) = (tokio::io::duplex(65_536), tokio::io::duplex(65_536));
    let begun = tokio::time::Instant::now();
    let (silent, mut lively) = (serve(ours), serve(ours2));
    let mut answering = WebSocketStream::from_raw_socket(theirs2, Role::Client, None).await;
    let reading = tokio::spawn(async move { while let Some(Ok(_)) = answering.next().await {} });
    let ended = tokio::time::timeout(Duration::from_secs(600), silent).await;
    assert_eq!(ended.expect("silence ends it").unwrap(), Why::Silent);
    assert!((30..=33).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    let still = tokio::time::timeout(Duration::from_secs(300), &mut lively).await;
    assert!(still.is_err(), "who answers pings stays");
    reading.abort();
}

#[tokio::test]
async fn trust_that_is_withdrawn_ends_the_link_at_once() {
    let mut node = Node::open(&key(1), &[&key(2), &key(3)]).await;
    let mut untrusted = Bare::open_as(&key(2), node.address).await;
    let mut trusted = Bare::open_as(&key(3), node.address).await;
    node.trust_no_more(key(2).id());
    node.links.trust_changed();
    assert_eq!(untrusted.closed().await, (1_008, "the node is trusted no longer".to_owned()));
    assert_eq!(node.left().await, (key(2).id(), Why::Untrusted));
    assert_eq!(trusted.code("mesh.health").await, "OK");
    assert_eq!(node.links.sessions().len(), 1);
}

#[tokio::test]
async fn what_waits_for_a_node_when_its_trust_is_withdrawn_never_leaves() {
    let mut node = Node::open(&key(1), &[&key(2)]).await;
    let mut peer = Node::open(&key(2), &[&key(1)]).await;
    node.links.dial(peer.spec());
    node.joined().await;
    peer.joined().await;
    assert!(node.health_of(key(2).id()).await);
    // All in one turn, so that it waits.
    let call = node.links.begin(key(2).id(), "mesh.world.query", &json!({})).unwrap();
    node.links.tell(key(2).id(), "secret", &json!({})).unwrap();
    node.trust_no_more(key(2).id());
    node.links.trust_changed();
    let fault = call.answer(PATIENCE).await.unwrap_err();
    assert!(matches!(&fault, CallFault::Ours(refusal) if refusal.code == Code::SendFailed), "{fault}");
    let came = |told| match told {
        Told::Left(node, _) => Some(node),
        Told::Event(event) => panic!("{event} has left"),
        Told::Called(method) if method != Method::ContextSync => panic!("{method:?} has left"),
        _ => None,
    };
    assert_eq!(peer.told(came).await, key(1).id());
}

#[tokio::test]
async fn a_call_that_waits_when_its_link_ends_never_leaves_and_other_last_words_do() {
    let mut node = Node::open(&key(1), &[&key(2)]).await;
    let mut peer = Node::open(&key(2), &[&key(1)]).await;
    node.links.dial(peer.spec());
    node.joined().await;
    peer.joined().await;
    assert!(node.health_of(key(2).id()).await);
    // The link is to end before its task has had a turn.
    let call = node.links.begin(key(2).id(), "mesh.world.query", &json!({})).unwrap();
    node.links.close().await;
    let fault = call.answer(PATIENCE).await.unwrap_err();
    assert!(matches!(&fault, CallFault::Ours(refusal) if refusal.code == Code::SendFailed), "{fault}");
    let came = |told| match told {
        Told::Left(_, why) => Some(why),
        Told::Called(method) if method != Method::ContextSync => panic!("{method:?} has left"),
        _ => None,
    };
    assert_eq!(peer.told(came).await, Why::Leaving);
}

#[tokio::test]
async fn news_that_a_reachable_peer_is_down_change_nothing() {
    let (a, b) = (key(2), key(3));
    let node = Node::open(&key(1), &[&a, &b]).await;
    let mut teller = Bare::open_as(&a, node.address).await;
    let mut peer = Node::open(&b, &[&key(1)]).await;
    peer.links.dial(node.spec());
    peer.joined().await;
    teller.tell("peer.down", down(b.id())).await;
    while node.count(Count::ProbesAnswered) == 0 {
        assert_eq!(teller.code("mesh.health").await, "OK");
    }
    assert_eq!(node.count(Count::ProbesInVain), 0);
    assert!(node.health_of(b.id()).await);
    assert_eq!(node.links.sessions().len(), 2);
}

#[tokio::test]
async fn a_peer_that_answers_no_calls_as_existing_nodes_do_stays_because_it_answers_pings() {
    let mut settings = config();
    settings.timing.probe_max = Duration::from_millis(200);
    let node = Node::open_with(&key(1), &[&key(2), &key(3)], settings).await;
    let mut teller = Bare::open_as(&key(2), node.address).await;
    let mut mute = Bare::open_as(&key(3), node.address).await;
    let reading = tokio::spawn(async move { while let Some(Ok(_)) = mute.socket.next().await {} });
    teller.tell("peer.down", down(key(3).id())).await;
    teller.tell("peer.down", down(key(9).id())).await;
    while node.count(Count::ProbesAnswered) == 0 {
        assert_eq!(teller.code("mesh.health").await, "OK");
        assert_eq!(node.count(Count::ProbesInVain), 0);
    }
    assert_eq!(node.links.sessions().len(), 2);
    reading.abort();
}

#[tokio::test]
async fn a_peer_that_is_said_to_be_down_and_does_not_answer_us_is_removed() {
    let mut settings = config();
    settings.timing.probe_max = Duration::from_millis(50);
    let mut node = Node::open_with(&key(1), &[&key(2), &key(3)], settings).await;
    let mut teller = Bare::open_as(&key(2), node.address).await;
    // It reads nothing any more, so it does not even answer a ping.
    let mut gone = Bare::open_as(&key(3), node.address).await;
    for _ in 0..2 {
        node.joined().await;
    }
    // What is on its way from it has arrived.
    gone.code("mesh.health").await;
    teller.tell("peer.down", down(key(3).id())).await;
    assert_eq!(node.left().await, (key(3).id(), Why::Down));
    assert_eq!(node.count(Count::ProbesInVain), 1);
    assert_eq!(teller.code("mesh.health").await, "OK");
}

#[tokio::test]
async fn a_flood_of_news_that_a_node_is_down_has_it_asked_once() {
    let mut settings = config();
    settings.timing.probe_max = Duration::from_millis(50);
    let node = Node::open_with(&key(1), &[&key(2), &key(3)], settings).await;
    let mut teller = Bare::open_as(&key(2), node.address).await;
    let mut mute = Bare::open_as(&key(3), node.address).await;
    let reading = tokio::spawn(async move {
        let mut asked = 0;
        while let Ok(text) = mute.socket.next().await.transpose() {
            let Some(message) = text else { break };
            asked += usize::from(message.to_text().is_ok_and(|text| text.contains("mesh.health")));
        }
        asked
    });
    for _ in 0..200 {
        teller.tell("peer.down", down(key(3).id())).await;
    }
    while node.count(Count::ProbesAnswered) == 0 {
        assert_eq!(teller.code("mesh.health").await, "OK");
    }
    assert_eq!((node.count(Count::ProbesAnswered), node.count(Count::ProbesSpared)), (1, 199));
    node.links.close().await;
    assert_eq!(reading.await.unwrap(), 1);
}

#[tokio::test]
async fn what_is_said_while_a_node_is_asked_is_asked_about_afterwards() {
    let mut settings = config();
    settings.timing.probe_max = Duration::from_millis(20);
    settings.timing.probe_rest = Duration::from_millis(50);
    let mut node = Node::open_with(&key(1), &[&key(2), &key(3)], settings).await;
    let mut teller = Bare::open_as(&key(2), node.address).await;
    let mut gone = Bare::open_as(&key(3), node.address).await;
    for _ in 0..2 {
        node.joined().await;
    }
    teller.tell("peer.down", down(key(3).id())).await;
    teller.tell("peer.down", down(key(3).id())).await;
    // It answers the first time, and then no more.
    gone.next_where(|value| value["method"] == "mesh.health").await;
    gone.code("mesh.health").await;
    while node.count(Count::ProbesAnswered) == 0 {
        assert_eq!(teller.code("mesh.health").await, "OK");
    }
    assert_eq!(node.left().await, (key(3).id(), Why::Down));
}

#[tokio::test]
async fn a_link_knows_how_long_a_ping_takes_and_whether_calls_are_answered() {
    let (a, b) = (key(1), key(2));
    let mut settings = config();
    settings.timing.keepalive = Duration::from_millis(20);
    let mut one = Node::open_with(&a, &[&b], settings).await;
    let two = Node::open(&b, &[&a]).await;
    one.links.dial(two.spec());
    one.joined().await;
    assert!(one.health_of(b.id()).await);
    let measured = async {
        loop {
            let vitals = one.links.vitals().remove(0);
            if vitals.quality.round_trip_ms.is_some() {
                return vitals;
            }
            tokio::task::yield_now().await;
        }
    };
    let vitals = tokio::time::timeout(PATIENCE, measured).await.expect("a pong comes");
    assert_eq!((vitals.node, vitals.quality.takes_calls), (b.id(), Some(true)));
    assert!(vitals.heard_count > 0);
}

#[tokio::test]
async fn a_node_that_leaves_says_so_and_whoever_hears_it_does_not_call_it_down() {
    let (a, b, c) = (key(1), key(2), key(3));
    let mut one = Node::open(&a, &[&b, &c]).await;
    let mut two = Node::open(&b, &[&a]).await;
    let mut watching = Bare::open_as(&c, one.address).await;
    one.links.dial(two.spec());
    two.joined().await;
    while one.joined().await.node != b.id() {}
    two.links.close().await;
    let (left, why) = one.left().await;
    assert_eq!(left, b.id());
    assert!(matches!(why, Why::Leaving | Why::Closed(_)), "{why:?}");
    assert_eq!(two.links.connections(), 0);
    assert!(Bare::open_with_refused(two.address).await, "nothing is begun any more");
    let late = two.links.admit(&clawmesh_wire_link::Head::default(), ([127, 0, 0, 1], 9).into());
    assert_eq!(late.unwrap_err().status, 503);
    watching.ask("mesh.health", json!({})).await;
    let next = watching.next_where(|value| value["type"] == "res" || value["event"] == "peer.down").await;
    assert_eq!(next["type"], json!("res"), "{next}");
}

#[tokio::test]
async fn a_peer_that_breaks_off_again_and_again_is_dialled_ever_more_rarely_and_told_of_once() {
    let (a, b, c) = (key(1), key(2), key(3));
    let mut settings = config();
    settings.timing.redial_first = Duration::from_millis(100);
    settings.timing.redial_longest = Duration::from_secs(600);
    let mut one = Node::open_with(&a, &[&b, &c], settings).await;
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let spec = format!("{}=ws://{}", b.id(), port.local_addr().unwrap());
    let two = Node::open(&b, &[&a]).await;
    let (behind, cut) = (two.address, std::sync::Arc::new(tokio::sync::Notify::new()));
    let cutting = std::sync::Arc::clone(&cut);
    tokio::spawn(async move {
        loop {
            let (mut left, _) = port.accept().await.unwrap();
            let mut right = tokio::net::TcpStream::connect(behind).await.unwrap();
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut left, &mut right) => {}
                () = cutting.notified() => {}
            }
        }
    });
    let mut watching = Bare::open_as(&c, one.address).await;
    one.joined().await;
    one.links.dial(clawmesh_wire::peer_spec::PeerSpec::read(&spec).unwrap());
    let mut cut_ms = 0;
    for _ in 0..5 {
        assert_eq!(one.joined().await.node, b.id());
        cut_ms = one.host.now().unix_ms;
        cut.notify_one();
        assert_eq!(one.left().await.0, b.id());
    }
    let until_ms = loop {
        match one.links.peers().remove(0).state {
            PeerState::Waiting { until_ms, .. } if until_ms > cut_ms => break until_ms,
            _ => tokio::task::yield_now().await,
        }
    };
    assert!(until_ms >= cut_ms + 1_200, "the fifth wait is sixteen times the first: {}", until_ms - cut_ms);
    watching.ask("mesh.health", json!({})).await;
    let mut told = 0;
    loop {
        let next = watching.next_where(|value| value["type"] == "res" || value["event"] == "peer.down").await;
        if next["type"] == "res" {
            break;
        }
        told += 1;
    }
    assert_eq!(told, 1);
}

#[tokio::test]
async fn a_peer_that_breaks_off_is_told_to_the_others_as_down() {
    let (a, b, c) = (key(1), key(2), key(3));
    let mut one = Node::open(&a, &[&b, &c]).await;
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let relay = port.local_addr().unwrap();
    let mut two = Node::open(&b, &[&a]).await;
    let behind = two.address;
    // A way between the two that can be cut.
    let cut = tokio::spawn(async move {
        let (mut left, _) = port.accept().await.unwrap();
        let mut right = tokio::net::TcpStream::connect(behind).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut left, &mut right).await;
    });
    let mut watching = Bare::open_as(&c, one.address).await;
    let spec = format!("{}=ws://{relay}", b.id());
    one.links.dial(clawmesh_wire::peer_spec::PeerSpec::read(&spec).unwrap());
    two.joined().await;
    while one.joined().await.node != b.id() {}
    cut.abort();
    let told = watching.next_where(|value| value["event"] == "peer.down").await;
    assert_eq!(told["payload"]["deviceId"], json!(b.id()));
    assert!(matches!(one.left().await, (node, Why::Broken(_)) if node == b.id()));
}
