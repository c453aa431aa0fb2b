//! Who is a node, and who is not.

use clawmesh_wire::connect::About;
use clawmesh_wire::frame::{Frame, encode_response, parse};
use clawmesh_wire::handshake::{Listener, Moment, PeerTrust};
use clawmesh_wire_link::{Count, PeerState, Why};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::json;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::protocol::Message;

use crate::support::{Bare, NOW_MS, Node, PATIENCE, connect_params, key, ourselves};

#[tokio::test]
async fn two_nodes_that_trust_each_other_connect_and_both_know_who_the_other_is() {
    let (a, b) = (key(1), key(2));
    let mut dialler = Node::open(&a, &[&b]).await;
    let mut listener = Node::open(&b, &[&a]).await;
    dialler.links.dial(listener.spec());
    let (there, here) = (dialler.joined().await, listener.joined().await);
    assert_eq!((there.node, there.is_outbound, there.key), (b.id(), true, b.public()));
    assert_eq!((here.node, here.is_outbound, here.key), (a.id(), false, a.public()));
    assert_eq!(here.display_name, Some(format!("node {}", a.id().short())));
    assert_eq!(dialler.links.peers()[0].state, PeerState::Connected);
}

#[tokio::test]
async fn an_impostor_that_has_the_id_of_a_trusted_node_and_another_key_is_refused() {
    let node = Node::open(&key(1), &[&key(2)]).await;
    let mut bare = Bare::open(node.address).await;
    for _ in 0..2 {
        let challenge = bare.call("mesh.challenge", json!({})).await;
        let nonce = challenge["payload"]["nonce"].as_str().unwrap().to_owned();
        let answer = bare.call("mesh.connect", connect_params(&key(3), key(2).id(), &nonce)).await;
        assert_eq!(answer["error"]["code"], json!("PUBLIC_KEY_MISMATCH"), "{answer}");
    }
    assert_eq!(bare.shake(&key(3)).await["error"]["code"], json!("UNTRUSTED_PEER"));
    assert!(node.links.sessions().is_empty());
    assert_eq!(node.count(Count::HandshakesRefused), 3);
    assert_eq!(bare.shake(&key(2)).await["ok"], json!(true), "the right key is taken on the same connection");
}

/// Somebody who listens where `key` is expected, and answers with `answers`; returns why the other side has closed.
async fn listen_as(listener: TcpListener, answers: clawmesh_authority::NodeKey) -> (u16, String) {
    let (stream, _) = listener.accept().await.unwrap();
    let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
    let about = About { mesh_id: Some("mesh".to_owned()), ..About::default() };
    let (mut shaking, now) = (Listener::default(), Moment { unix_ms: NOW_MS, elapsed: Duration::ZERO });
    loop {
        let text = match socket.next().await.unwrap().unwrap() {
            Message::Text(text) => text,
            Message::Close(frame) => {
                let frame = frame.unwrap();
                return (frame.code.into(), frame.reason.to_string());
            }
            _ => continue,
        };
        let Frame::Request(request) = parse(text.as_bytes()).unwrap() else { continue };
        let answer = match &*request.method {
            "mesh.challenge" => encode_response(&request.id, &shaking.challenge(&[7; 24], now)).unwrap(),
            "mesh.connect" => {
                let everybody = |_| PeerTrust::Trusted;
                let ours = ourselves(&answers, &about);
                let (_, answer) = shaking.connect(request.params, ours, &everybody, now).unwrap();
                encode_response(&request.id, &answer).unwrap()
            }
            _ => continue,
        };
        socket.send(Message::Text(answer.into())).await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_has_not_the_key_of_the_node_we_have_dialled_is_closed_with_1008() {
    let dialler = Node::open(&key(1), &[&key(2)]).await;
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let spec = format!("{}=ws://{}", key(2).id(), port.local_addr().unwrap());
    let impostor = tokio::spawn(listen_as(port, key(3)));
    dialler.links.dial(clawmesh_wire::peer_spec::PeerSpec::read(&spec).unwrap());
    let closed = tokio::time::timeout(PATIENCE, impostor).await.unwrap().unwrap();
    assert_eq!(closed, (1_008, "device ID mismatch".to_owned()));
    assert!(dialler.links.sessions().is_empty());
}

#[tokio::test]
async fn eight_failed_attempts_end_a_connection() {
    let node = Node::open(&key(1), &[]).await;
    let mut bare = Bare::open(node.address).await;
    for _ in 0..8 {
        assert_eq!(bare.shake(&key(2)).await["error"]["code"], json!("UNTRUSTED_PEER"));
    }
    let (code, reason) = bare.closed().await;
    assert!(code == 1_008 && reason.contains("8 attempts"), "{code} {reason}");
    assert_eq!(node.count(Count::EndedUnproven), 1);
}

#[tokio::test]
async fn a_node_does_not_connect_to_itself() {
    let node = Node::open(&key(1), &[&key(1)]).await;
    let mut bare = Bare::open(node.address).await;
    assert_eq!(bare.shake(&key(1)).await["error"]["code"], json!("UNTRUSTED_PEER"));
}

#[tokio::test(start_paused = true)]
async fn a_stranger_from_elsewhere_has_ten_seconds_for_the_handshake() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let node = Node::open_at(&key(1), &[], crate::support::config(), listener, None);
    let begun = tokio::time::Instant::now();
    let (ours, _theirs) = tokio::io::duplex(65_536);
    let head = clawmesh_wire_link::Head::default();
    let why = node.links.serve(ours, &head, ([10, 0, 0, 9], 5_000).into()).await;
    assert!(matches!(&why, Why::NoHandshake(sentence) if sentence.contains("mesh.challenge")), "{why:?}");
    let seconds = begun.elapsed().as_secs();
    assert!((10..=13).contains(&seconds), "{seconds} s");
}
