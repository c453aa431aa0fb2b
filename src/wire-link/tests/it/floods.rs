//! Who says too much, and who reads too little, harms nobody else.

use clawmesh_wire_link::{Config, Count, Rates, Why};
use futures_util::SinkExt as _;
use serde_json::json;
use tokio_tungstenite::tungstenite::protocol::Message;

use crate::support::{Bare, Came, Node, config, frame, key};

#[tokio::test]
async fn a_flood_of_one_node_is_answered_rate_limited_and_the_others_are_served() {
    let rates =
        Rates { reads: 50, queries: 3, handshakes: 1_000, messages: 5, frames: 10, ..Rates::default() };
    let node = Node::open_with(&key(1), &[&key(2), &key(3)], Config { rates, ..config() }).await;
    let mut flood = Bare::open_as(&key(2), node.address).await;
    let mut calm = Bare::open_as(&key(3), node.address).await;
    let mut last = String::new();
    for _ in 0..400 {
        last = flood.ask("mesh.health", json!({})).await;
    }
    assert_eq!(calm.code("mesh.health").await, "OK");
    let (mut served, mut limited) = (0, 0);
    loop {
        let answer = flood.next_where(|value| value["type"] == "res").await;
        match answer["error"]["code"].as_str() {
            None => served += 1,
            Some(code) => {
                assert_eq!(code, "RATE_LIMITED");
                limited += 1;
            }
        }
        if answer["id"] == json!(last) {
            break;
        }
    }
    assert_eq!(served + limited, 400);
    assert!(served >= 48 && limited > 100, "{served} served, {limited} limited");
    assert_eq!(node.count(Count::RateLimited), limited);
    assert_eq!(calm.code("mesh.message.forward").await, "OK", "messages have their own bucket");
}

#[tokio::test]
async fn what_looks_through_everything_has_a_rate_of_its_own() {
    let rates = Rates { queries: 3, handshakes: 1_000, ..Rates::default() };
    let node = Node::open_with(&key(1), &[&key(2)], Config { rates, ..config() }).await;
    let mut bare = Bare::open_as(&key(2), node.address).await;
    let mut codes = Vec::new();
    for _ in 0..100 {
        codes.push(bare.code("context.sync").await);
    }
    assert_eq!(codes[..3], ["OK"; 3]);
    assert!(codes.iter().filter(|code| *code == "RATE_LIMITED").count() > 50, "{codes:?}");
    assert_eq!(bare.code("mesh.health").await, "OK", "to look at one thing costs nothing of it");
}

#[tokio::test]
async fn a_flood_of_frames_is_dropped_and_counted_and_calls_go_on() {
    let rates = Rates { frames: 10, handshakes: 1_000, ..Rates::default() };
    let mut node = Node::open_with(&key(1), &[&key(2)], Config { rates, ..config() }).await;
    let mut bare = Bare::open_as(&key(2), node.address).await;
    node.joined().await;
    for n in 0..300 {
        bare.tell("context.frame", frame(key(2).id(), &n.to_string())).await;
    }
    assert_eq!(bare.code("mesh.health").await, "OK");
    let (taken, limited) = (node.count(Count::FramesTaken), node.count(Count::FramesLimited));
    assert_eq!(taken + limited, 300);
    assert!(taken >= 10 && limited > 100, "{taken} taken, {limited} limited");
}

#[tokio::test]
async fn who_sends_nothing_but_what_is_none_is_ended_and_a_few_cost_nothing() {
    let mut node = Node::open(&key(1), &[&key(2)]).await;
    let mut clumsy = Bare::open_as(&key(2), node.address).await;
    node.joined().await;
    for _ in 0..50 {
        clumsy.say("{").await;
    }
    assert_eq!(clumsy.code("mesh.health").await, "OK");
    for _ in 0..2_000 {
        let _ = clumsy.socket.feed(Message::Text("{".into())).await;
    }
    let _ = clumsy.socket.flush().await;
    let (code, reason) = clumsy.closed().await;
    assert_eq!((code, node.count(Count::EndedSenseless)), (1_008, 1), "{reason}");
    assert!(node.count(Count::BadMessages) < 1_000);
    for (ended, senseless) in [
        (2, Message::Text(r#"{"type":"event","event":"x"}"#.into())),
        (3, Message::Text(r#"{"type":"res","id":"1","ok":true,"payload":{}}"#.into())),
        (4, Message::Binary(vec![0].into())),
    ] {
        let mut stranger = Bare::open(node.address).await;
        for _ in 0..2_000 {
            let _ = stranger.socket.feed(senseless.clone()).await;
        }
        let _ = stranger.socket.flush().await;
        assert_eq!((stranger.closed().await.0, node.count(Count::EndedSenseless)), (1_008, ended));
    }
}

#[tokio::test]
async fn a_node_that_does_not_read_is_ended_and_the_others_hear_everything() {
    let mut node = Node::open(&key(1), &[&key(2), &key(3)]).await;
    let mut slow = Bare::open_as(&key(2), node.address).await;
    let mut quick = Bare::open_as(&key(3), node.address).await;
    let large = json!({"fill": "x".repeat(200_000)});
    let reading = tokio::spawn(async move {
        let mut heard = 0;
        while let Came::Value(value) = quick.next().await {
            heard += u32::from(value["event"] == "planner.proposal");
            if value["event"] == "end" {
                break;
            }
        }
        heard
    });
    let mut told = 0;
    while node.links.sessions().iter().any(|session| session.node == key(2).id()) {
        assert!(told < 20_000, "the slow one is not ended");
        assert!(node.links.tell(key(3).id(), "planner.proposal", &json!({})).is_ok());
        let _ = node.links.tell(key(2).id(), "planner.proposal", &large);
        told += 1;
        tokio::task::yield_now().await;
    }
    let (left, why) = node.left().await;
    assert_eq!((left, why), (key(2).id(), Why::TooSlow));
    node.links.tell(key(3).id(), "end", &json!({})).unwrap();
    assert_eq!(reading.await.unwrap(), told);
    assert_eq!(node.count(Count::EndedTooSlow), 1);
    let _ = slow.socket.close(None).await;
}

#[tokio::test]
async fn who_asks_and_does_not_read_is_not_asked_for_more_and_the_others_are_served() {
    let node = Node::open(&key(1), &[&key(3)]).await;
    let mut greedy = Bare::open(node.address).await;
    let mut asked = 0_u64;
    // Until the node takes no more of them.
    let full = async {
        loop {
            let text = format!(r#"{{"type":"req","id":"{asked}","method":"mesh.health"}}"#);
            greedy.socket.feed(Message::Text(text.into())).await.unwrap();
            greedy.socket.flush().await.unwrap();
            asked += 1;
        }
    };
    let _ = tokio::time::timeout(std::time::Duration::from_secs(2), full).await;
    let mut calm = Bare::open_as(&key(3), node.address).await;
    assert_eq!(calm.code("mesh.health").await, "OK");
    assert_eq!(node.count(Count::EndedTooSlow), 0, "it may still read");
    assert!(asked > 1_000, "{asked}");
}
