//! Who comes in without a handshake, and what they may do.

use clawmesh_wire_link::{Config, Count, Rates};
use serde_json::json;

use crate::support::{Bare, Node, TOKEN, config, key};

#[tokio::test]
async fn a_web_page_from_elsewhere_is_refused_and_an_allowed_one_is_taken() {
    let settings = Config { allowed_origins: vec!["https://farm.example".to_owned()], ..config() };
    let node = Node::open_with(&key(1), &[], settings).await;
    let open = async |origin: &str| Bare::open_with(node.address, &[("origin", origin)]).await.map(|_| ());
    assert_eq!(open("https://evil.example").await, Err(403));
    assert_eq!(open("null").await, Err(403));
    assert_eq!(open("https://farm.example").await, Ok(()));
    assert_eq!(open(&format!("http://{}", node.address)).await, Ok(()));
    let bent = [("host", "evil.example"), ("origin", "http://evil.example")];
    assert_eq!(Bare::open_with(node.address, &bent).await.map(|_| ()), Err(403));
    assert_eq!(node.count(Count::TurnedAway), 3);
}

#[tokio::test]
async fn a_page_that_may_connect_is_a_stranger_until_its_handshake() {
    let node = Node::open(&key(1), &[&key(2)]).await;
    let origin = format!("http://{}", node.address);
    let mut page = Bare::open_with(node.address, &[("origin", &origin)]).await.unwrap();
    assert_eq!(page.code("mesh.health").await, "NOT_AUTHORIZED");
    assert_eq!(page.shake(&key(2)).await["ok"], json!(true));
    assert_eq!(page.code("mesh.health").await, "OK");
}

#[tokio::test]
async fn a_program_on_this_machine_may_look_and_move_nothing() {
    let node = Node::open(&key(1), &[]).await;
    let mut bare = Bare::open(node.address).await;
    for (method, expected) in [
        ("mesh.health", "OK"),
        ("mesh.peers", "OK"),
        ("context.sync", "OK"),
        ("mesh.message.forward", "NOT_AUTHORIZED"),
        ("llm.infer", "NOT_AUTHORIZED"),
        ("chat.subscribe", "NOT_AUTHORIZED"),
    ] {
        assert_eq!(bare.code(method).await, expected, "{method}");
    }
    bare.tell("context.frame", crate::support::frame(key(2).id(), "f")).await;
    assert_eq!(bare.code("mesh.health").await, "OK");
    assert_eq!(node.count(Count::FramesOfStrangers), 1);
}

#[tokio::test]
async fn the_operator_token_opens_everything_and_a_wrong_one_nothing() {
    let node = Node::open(&key(1), &[]).await;
    let with = async |token: &str| Bare::open_with(node.address, &[("authorization", token)]).await;
    let mut person = with(&format!("Bearer {TOKEN}")).await.unwrap();
    for method in ["mesh.health", "mesh.message.forward", "chat.subscribe", "chat.proposal.approve"] {
        assert_eq!(person.code(method).await, "OK", "{method}");
    }
    assert_eq!(with("Bearer wrong").await.map(|_| ()), Err(401));
    assert_eq!(with("Basic eHh4").await.map(|_| ()), Err(400));
}

#[tokio::test]
async fn tokens_are_not_guessed_faster_than_handshakes() {
    let rates = Rates { handshakes: 3, ..Rates::default() };
    let node = Node::open_with(&key(1), &[], Config { rates, ..config() }).await;
    let mut refused = Vec::new();
    for _ in 0..20 {
        let guess = Bare::open_with(node.address, &[("authorization", "Bearer guess")]).await;
        refused.push(guess.map(|_| ()).unwrap_err());
    }
    assert!(refused.starts_with(&[401, 401, 401]) && refused.contains(&429), "{refused:?}");
    assert!(Bare::open_with(node.address, &[]).await.is_ok(), "whoever shows no token is not kept out");
}

#[tokio::test]
async fn when_all_places_are_taken_the_next_one_hears_503_and_a_place_that_is_left_is_free() {
    let node = Node::open_with(&key(1), &[], Config { connections_max: 2, ..config() }).await;
    let (first, mut second) = (Bare::open(node.address).await, Bare::open(node.address).await);
    assert_eq!(Bare::open_with(node.address, &[]).await.map(|_| ()), Err(503));
    drop(first);
    // The place is free when the server has seen the end of the first one.
    while Bare::open_with(node.address, &[]).await.is_err() {}
    assert_eq!(second.code("mesh.health").await, "OK");
    assert!(node.count(Count::TurnedAway) >= 1);
}

#[tokio::test]
async fn who_connects_and_asks_for_nothing_loses_the_place_in_time() {
    use tokio::io::AsyncReadExt as _;

    let mut settings = Config { connections_max: 1, ..config() };
    settings.timing.handshake_max = std::time::Duration::from_millis(50);
    let node = Node::open_with(&key(1), &[], settings).await;
    let mut idle = tokio::net::TcpStream::connect(node.address).await.unwrap();
    let ended = tokio::time::timeout(crate::support::PATIENCE, idle.read(&mut [0; 16])).await;
    assert!(matches!(ended, Ok(Ok(0) | Err(_))), "{ended:?}");
    assert_eq!((node.links.connections(), node.count(Count::UpgradesFailed)), (0, 1));
}

#[tokio::test]
async fn a_stream_that_was_upgraded_elsewhere_is_served_or_closed_with_1013_when_there_is_no_room() {
    use clawmesh_wire_link::Head;
    use futures_util::StreamExt as _;
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::protocol::{Message, Role};

    let node = Node::open_with(&key(1), &[], Config { connections_max: 1, ..config() }).await;
    let from = ([127, 0, 0, 1], 5_000).into();
    let ticket = node.links.admit(&Head::default(), from).unwrap();
    assert_eq!(node.links.admit(&Head::default(), from).unwrap_err().status, 503);
    let (ours, theirs) = tokio::io::duplex(65_536);
    let links = node.links.clone();
    let served = tokio::spawn(async move { links.serve(ours, &Head::default(), from).await });
    let mut client = WebSocketStream::from_raw_socket(theirs, Role::Client, None).await;
    let Some(Ok(Message::Close(Some(frame)))) = client.next().await else { panic!("it is closed") };
    assert_eq!(u16::from(frame.code), 1_013);
    served.await.unwrap();
    drop(ticket);
    assert!(node.links.admit(&Head::default(), from).is_ok());
}
