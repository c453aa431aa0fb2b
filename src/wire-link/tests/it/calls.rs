//! Both sides call each other, whoever has dialled.

use std::time::Duration;

use clawmesh_wire::Code;
use clawmesh_wire::access::Method;
use clawmesh_wire_link::{CallFault, Count};
use serde_json::{Value, json};

use crate::support::{Bare, Node, PATIENCE, TOKEN, Told, key};

async fn pair() -> (Node, Node) {
    let (a, b) = (key(1), key(2));
    let mut dialler = Node::open(&a, &[&b]).await;
    let mut listener = Node::open(&b, &[&a]).await;
    dialler.links.dial(listener.spec());
    dialler.joined().await;
    listener.joined().await;
    (dialler, listener)
}

fn code_of(fault: &CallFault) -> Code {
    match fault {
        CallFault::Ours(refusal) => refusal.code,
        CallFault::Theirs(refusal) => Code::of_text(&refusal.code).unwrap(),
    }
}

#[tokio::test]
async fn both_sides_of_one_link_call_each_other() {
    let (dialler, listener) = pair().await;
    for (from, to) in [(&dialler, &listener), (&listener, &dialler)] {
        let answer = from.links.call(to.id, "mesh.health", &json!({}), PATIENCE).await.unwrap();
        assert!(answer.get().contains("healthy"));
        let params = json!({"limit": 7, "from": from.id});
        let echoed = from.links.call(to.id, "mesh.events", &params, PATIENCE).await.unwrap();
        assert_eq!(serde_json::from_str::<Value>(echoed.get()).unwrap(), params);
    }
    assert_eq!((dialler.links.sessions().len(), listener.links.sessions().len()), (1, 1), "on one link");
}

#[tokio::test]
async fn refusals_of_the_other_side_come_back_as_they_are() {
    let (dialler, listener) = pair().await;
    for (method, expected) in [("mesh.ping", Code::UnknownMethod), ("chat.subscribe", Code::NotAuthorized)] {
        let fault = dialler.links.call(listener.id, method, &json!({}), PATIENCE).await.unwrap_err();
        assert!(matches!(fault, CallFault::Theirs(_)) && code_of(&fault) == expected, "{fault}");
    }
    let fault = listener.links.call(dialler.id, "mesh.challenge", &json!({}), PATIENCE).await.unwrap_err();
    assert_eq!(code_of(&fault), Code::NotAuthorized, "who was dialled gives challenges: {fault}");
    assert_eq!(listener.count(Count::Refused), 2);
}

#[tokio::test]
async fn a_call_that_cannot_be_answered_says_why() {
    let (dialler, mut listener) = pair().await;
    let stranger = dialler.links.call(key(9).id(), "mesh.health", &json!({}), PATIENCE).await.unwrap_err();
    assert_eq!(code_of(&stranger), Code::NotConnected);
    let short = Duration::from_millis(20);
    let late = dialler.links.call(listener.id, "mesh.world.query", &json!({}), short).await.unwrap_err();
    assert_eq!(code_of(&late), Code::Timeout);

    let (links, id) = (dialler.links.clone(), listener.id);
    let waiting = tokio::spawn(async move { links.call(id, "mesh.world.query", &json!({}), PATIENCE).await });
    for _ in 0..2 {
        listener.told(|told| matches!(told, Told::Called(Method::WorldQuery)).then_some(())).await;
    }
    listener.links.close().await;
    let ended = waiting.await.unwrap().unwrap_err();
    assert_eq!(code_of(&ended), Code::PeerDisconnected);
}

#[tokio::test]
async fn no_message_breaks_anything_and_what_can_be_answered_is() {
    let node = Node::open(&key(1), &[&key(2)]).await;
    let mut bare = Bare::open_as(&key(2), node.address).await;
    for text in [
        "",
        "{",
        "null",
        "[]",
        "\"x\"",
        "{}",
        r#"{"type":"req"}"#,
        r#"{"type":"res","id":"1","ok":true}"#,
        r#"{"type":"event"}"#,
        r#"{"type":"event","event":"peer.down"}"#,
        r#"{"type":"oops","id":"o"}"#,
        r#"{"type":"req","id":"p","method":5}"#,
        r#"{"type":"event","event":"peer.leaving","payload":{"gen":9}}"#,
    ] {
        bare.say(text).await;
    }
    for (id, code) in [("o", "INVALID_TYPE"), ("p", "INVALID_PARAMS")] {
        let answer = bare.next_where(|value| value["id"] == json!(id)).await;
        assert_eq!(answer["error"]["code"], json!(code), "{answer}");
    }
    bare.socket_binary(vec![0, 159, 146, 150]).await;
    assert_eq!(bare.code("mesh.health").await, "OK");
    assert_eq!(node.count(Count::AnswersToNothing), 1);
    assert_eq!(node.count(Count::NewsBad), 2);
    assert_eq!(node.count(Count::BadMessages), 11);
}

#[tokio::test]
async fn a_message_of_more_than_a_mebibyte_is_too_large_and_one_of_more_than_two_ends_the_connection() {
    let node = Node::open(&key(1), &[]).await;
    let mut bare = Bare::open(node.address).await;
    let call =
        json!({"type": "req", "id": "long", "method": "mesh.health", "params": {"x": "x".repeat(1_048_577)}});
    bare.say(call.to_string()).await;
    let answer = bare.next_where(|value| value["id"] == json!("long")).await;
    assert_eq!(answer["error"]["code"], json!("TOO_LARGE"), "{answer}");
    assert_eq!(bare.code("mesh.health").await, "OK");
    bare.say("x".repeat(2 * 1_048_576 + 1)).await;
    let (code, _) = bare.closed().await;
    assert_eq!((code, node.count(Count::EndedTooLarge)), (1_009, 1));
}

#[tokio::test]
async fn who_follows_the_chat_hears_what_the_others_do_not() {
    let mut node = Node::open(&key(1), &[&key(2)]).await;
    let bearer = format!("Bearer {TOKEN}");
    let mut person = Bare::open_with(node.address, &[("authorization", &bearer)]).await.unwrap();
    assert_eq!(node.links.announce("planner.proposal", &json!({"taskId": "1"})), 0);
    let answer = person.call("chat.subscribe", json!({})).await;
    assert_eq!(answer["payload"], json!({"subscribed": true}));
    let mut peer = Bare::open_as(&key(2), node.address).await;
    node.joined().await;
    assert_eq!(node.links.announce("planner.proposal", &json!({"taskId": "2"})), 2);
    let heard = peer.next_where(|value| value["type"] == "event").await;
    assert_eq!((&heard["event"], &heard["payload"]["taskId"]), (&json!("planner.proposal"), &json!("2")));
    let told = person.next_where(|value| value["type"] == "event").await;
    assert_eq!(told["payload"]["taskId"], json!("2"));
    peer.tell("context.frame", crate::support::frame(key(2).id(), "f1")).await;
    let shown = person.next_where(|value| value["event"] == "context.frame").await;
    assert_eq!(shown["payload"]["frameId"], json!("f1"));
    let from = node.links.sessions()[0].connection;
    assert!(node.links.tell_connection(from, "llm.chunk", &json!({"text": "a"})));
    assert!(!node.links.tell_connection(9_999, "llm.chunk", &json!({})));
    peer.next_where(|value| value["event"] == "llm.chunk").await;
    peer.tell("planner.proposal", json!({"taskId": "3"})).await;
    node.told(|told| matches!(told, Told::Event(event) if event == "planner.proposal").then_some(())).await;
}
