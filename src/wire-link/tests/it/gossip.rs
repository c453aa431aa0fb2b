//! Context frames go around once, unchanged, and harm nobody.

use clawmesh_authority::Tier;
use clawmesh_wire_link::Count;
use serde_json::json;

use crate::support::{Bare, Node, Told, frame, key, read_frame};

#[tokio::test]
async fn a_frame_goes_through_a_chain_of_three_and_keeps_its_tier_and_does_not_come_back() {
    let (a, b, c) = (key(1), key(2), key(3));
    let mut one = Node::open(&a, &[&b]).await;
    let mut two = Node::open(&b, &[&a, &c]).await;
    let mut three = Node::open(&c, &[&b]).await;
    one.links.dial(two.spec());
    three.links.dial(two.spec());
    for node in [&mut one, &mut three] {
        node.joined().await;
    }
    for _ in 0..2 {
        two.joined().await;
    }
    let sent = frame(a.id(), "moisture-1");
    assert_eq!(one.links.publish(&read_frame(&sent)), 1);
    let (from, came) = three.frame().await;
    assert_eq!((from, came.frame_id.as_str(), came.hops), (b.id(), "moisture-1", 1));
    assert_eq!((came.claimed_tier, came.shown_tier()), (Tier::T2, Tier::T2));
    assert_eq!(came.source_device_id, a.id().to_string());
    let (from, came) = two.frame().await;
    assert_eq!((from, came.hops), (a.id(), 0));
    assert_eq!(serde_json::to_value(&came).unwrap()["data"], sent["data"]);
    // Whatever went back would have arrived before these answers.
    assert!(three.health_of(two.id).await && two.health_of(one.id).await && one.health_of(two.id).await);
    assert_eq!((one.count(Count::FramesSeen), one.count(Count::FramesTaken)), (0, 0));
    assert_eq!(two.count(Count::FramesForwarded), 1);
    while let Ok(told) = one.told.try_recv() {
        assert!(!matches!(told, Told::Frame(..)), "{told:?}");
    }
}

#[tokio::test]
async fn a_frame_that_was_here_before_or_has_come_far_is_not_passed_on() {
    let mut node = Node::open(&key(1), &[&key(2), &key(3)]).await;
    let mut sender = Bare::open_as(&key(2), node.address).await;
    let mut other = Bare::open_as(&key(3), node.address).await;
    for _ in 0..2 {
        node.joined().await;
    }
    let mut far = frame(key(9).id(), "far");
    far["hops"] = json!(3);
    let own = frame(key(1).id(), "own");
    for value in [frame(key(9).id(), "new"), frame(key(9).id(), "new"), far, own] {
        sender.tell("context.frame", value).await;
    }
    assert_eq!(sender.code("mesh.health").await, "OK");
    assert_eq!(other.code("mesh.health").await, "OK");
    assert_eq!(node.count(Count::FramesForwarded), 1);
    assert_eq!((node.count(Count::FramesTaken), node.count(Count::FramesSeen)), (2, 2));
}

#[tokio::test]
async fn a_frame_without_payload_or_data_ends_nothing_and_is_counted() {
    let node = Node::open(&key(1), &[&key(2), &key(3)]).await;
    let mut bare = Bare::open_as(&key(2), node.address).await;
    let mut other = Bare::open_as(&key(3), node.address).await;
    let mut without_data = frame(key(2).id(), "f");
    without_data.as_object_mut().unwrap().remove("data");
    bare.say(r#"{"type":"event","event":"context.frame"}"#).await;
    bare.tell("context.frame", without_data).await;
    bare.tell("context.frame", json!([])).await;
    let mut old = frame(key(2).id(), "g");
    old["gen"] = json!(2);
    bare.tell("context.frame", old).await;
    assert_eq!(bare.code("mesh.health").await, "OK");
    assert_eq!(other.code("mesh.health").await, "OK");
    assert_eq!((node.count(Count::FramesBad), node.count(Count::FramesForwarded)), (4, 0));
}

#[tokio::test]
async fn frames_that_were_missed_are_asked_for_by_both_sides_of_a_new_link() {
    let (a, b) = (key(1), key(2));
    let mut dialler = Node::open(&a, &[&b]).await;
    let mut listener = Node::open(&b, &[&a]).await;
    *listener.host.synced.lock().unwrap() = json!({"frames": [frame(key(8).id(), "at b"), {"gen": 1}]});
    *dialler.host.synced.lock().unwrap() =
        json!({"frames": [frame(b.id(), "of b itself"), frame(key(8).id(), "at a")]});
    dialler.links.dial(listener.spec());
    let (from, came) = dialler.frame().await;
    assert_eq!((from, came.frame_id.as_str()), (b.id(), "at b"));
    let (from, came) = listener.frame().await;
    assert_eq!((from, came.frame_id.as_str()), (a.id(), "at a"));
    assert_eq!(dialler.count(Count::FramesBad), 1);
    assert!(dialler.health_of(b.id()).await && listener.health_of(a.id()).await);
    assert_eq!(listener.count(Count::FramesForwarded), 0, "what was asked for is not passed on");
}

#[tokio::test]
async fn a_frame_without_room_is_not_passed_on_and_may_come_again_another_way() {
    let mut node = Node::open(&key(1), &[&key(2), &key(3), &key(4)]).await;
    let mut flooder = Bare::open_as(&key(2), node.address).await;
    let mut other = Bare::open_as(&key(3), node.address).await;
    let mut reader = Bare::open_as(&key(4), node.address).await;
    for _ in 0..3 {
        node.joined().await;
    }
    node.host.silenced.lock().unwrap().insert(key(2).id());
    flooder.tell("context.frame", frame(key(9).id(), "once")).await;
    assert_eq!(flooder.code("mesh.health").await, "OK");
    assert_eq!((node.count(Count::FramesWithoutRoom), node.count(Count::FramesForwarded)), (1, 0));
    other.tell("context.frame", frame(key(9).id(), "once")).await;
    let (from, came) = node.frame().await;
    assert_eq!((from, came.frame_id.as_str()), (key(3).id(), "once"));
    let heard = reader.next_where(|value| value["event"] == "context.frame").await;
    assert_eq!(heard["payload"]["frameId"], "once");
}

#[tokio::test]
async fn whoever_takes_the_name_of_a_frame_keeps_nobody_from_being_heard() {
    let mut node = Node::open(&key(1), &[&key(2), &key(3)]).await;
    let mut source = Bare::open_as(&key(2), node.address).await;
    let mut relay = Bare::open_as(&key(3), node.address).await;
    for _ in 0..2 {
        node.joined().await;
    }
    let mut forged = frame(key(2).id(), "f");
    forged["data"]["value"] = json!(99);
    relay.tell("context.frame", forged).await;
    assert_eq!(node.frame().await.0, key(3).id());
    source.tell("context.frame", frame(key(2).id(), "f")).await;
    let (from, came) = node.frame().await;
    assert_eq!((from, came.frame_id.as_str()), (key(2).id(), "f"));
    let mut again = frame(key(2).id(), "f");
    again["hops"] = json!(1);
    relay.tell("context.frame", again).await;
    assert_eq!(relay.code("mesh.health").await, "OK");
    assert_eq!((node.count(Count::FramesTaken), node.count(Count::FramesSeen)), (2, 1));
}

#[tokio::test]
async fn what_a_node_says_it_can_do_counts_at_first_hand_whoever_has_brought_a_copy_before() {
    let mut node = Node::open(&key(1), &[&key(2), &key(3)]).await;
    let mut source = Bare::open_as(&key(2), node.address).await;
    let mut relay = Bare::open_as(&key(3), node.address).await;
    for _ in 0..2 {
        node.joined().await;
    }
    let mut update = frame(key(2).id(), "u");
    update["kind"] = json!("capability_update");
    update["data"] = json!({"capabilities": ["channel:telegram"]});
    relay.tell("context.frame", update.clone()).await;
    assert_eq!(node.frame().await.0, key(3).id());
    source.tell("context.frame", update.clone()).await;
    assert_eq!(node.frame().await.0, key(2).id());
    relay.tell("context.frame", update.clone()).await;
    assert_eq!(relay.code("mesh.health").await, "OK");
    assert_eq!((node.count(Count::FramesTaken), node.count(Count::FramesSeen)), (2, 1));
    node.host.silenced.lock().unwrap().insert(key(2).id());
    source.tell("context.frame", update).await;
    assert_eq!(source.code("mesh.health").await, "OK");
    assert_eq!(node.count(Count::FramesWithoutRoom), 1, "it is charged like everything");
}

#[tokio::test]
async fn a_node_that_has_told_too_much_does_not_come_in_until_there_is_room() {
    let (mut node, peer) = (Node::open(&key(1), &[&key(2)]).await, Node::open(&key(2), &[&key(1)]).await);
    node.host.silenced.lock().unwrap().insert(key(2).id());
    let answer = Bare::open(node.address).await.shake(&key(2)).await;
    assert_eq!(answer["error"]["code"], "RATE_LIMITED", "{answer}");
    node.links.dial(peer.spec());
    while node.count(Count::DialsFailed) == 0 {
        tokio::task::yield_now().await;
    }
    assert!(node.links.sessions().is_empty());
    node.host.silenced.lock().unwrap().clear();
    assert_eq!(node.joined().await.node, key(2).id());
}
