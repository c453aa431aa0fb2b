//! Reading the world.

use std::time::Duration;

use axum::http::StatusCode;
use clawmesh_core::publish::NodeView;
use clawmesh_gateway::{Capabilities, PeerDetail, Peers, Refused, World};

use crate::rig::{Rig, config, rig, snapshot};

fn showing() -> Rig {
    let rig = rig();
    rig.show(snapshot());
    rig
}

#[tokio::test]
async fn identity_answers_before_and_after_the_first_snapshot() {
    let rig = rig();
    assert_eq!(rig.get::<NodeView>("/api/identity").await, (StatusCode::OK, config().node));
    rig.show(snapshot());
    assert_eq!(rig.get::<NodeView>("/api/identity").await, (StatusCode::OK, snapshot().node));
}

#[tokio::test]
async fn before_the_first_snapshot_there_is_no_world_to_read() {
    for path in ["/api/peers", "/api/peers/ab", "/api/world"] {
        let (status, refusal) = rig().refused(path).await;
        assert_eq!((status, &*refusal.code), (StatusCode::SERVICE_UNAVAILABLE, "STARTING"), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn peers_come_with_the_age_of_the_snapshot() {
    let rig = showing();
    tokio::time::advance(Duration::from_millis(30)).await;
    let (status, peers) = rig.get::<Peers>("/api/peers").await;
    assert_eq!((status, peers.tick, peers.snapshot_age_ms), (StatusCode::OK, 500, 30));
    assert_eq!(peers.peers, snapshot().peers);
}

#[tokio::test]
async fn a_peer_is_found_by_its_id_or_the_beginning_of_it() {
    let rig = showing();
    let id = snapshot().peers[0].id.to_string();
    for path in [&id[..], &id[..4], &id[..4].to_uppercase()] {
        let (status, detail) = rig.get::<PeerDetail>(&format!("/api/peers/{path}")).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(detail.peer, snapshot().peers[0]);
        assert_eq!(detail.sensors, snapshot().sensors[1..]);
    }
}

#[tokio::test]
async fn an_unknown_or_ambiguous_beginning_says_so() {
    let rig = showing();
    let (status, refusal) = rig.refused("/api/peers/ab").await;
    assert_eq!((status, &*refusal.code), (StatusCode::CONFLICT, "AMBIGUOUS_PEER"));
    assert!(
        refusal.sentence.contains("2 peers") && refusal.sentence.contains("\"ab\""),
        "{}",
        refusal.sentence
    );

    let long = "f".repeat(5_000);
    for path in ["ff", "barn", "%3Cscript%3E", "%00", "%E2%80%AE", &long] {
        let (status, refusal) = rig.refused(&format!("/api/peers/{path}")).await;
        assert_eq!((status, &*refusal.code), (StatusCode::NOT_FOUND, "UNKNOWN_PEER"), "{path}");
        assert!(
            refusal.sentence.len() < 400 && !refusal.sentence.contains('\u{202e}'),
            "{}",
            refusal.sentence
        );
    }
    let (status, refusal) = rig.refused("/api/peers/%FF").await;
    assert_eq!((status, &*refusal.code), (StatusCode::BAD_REQUEST, "INVALID_PARAMS"));
}

#[tokio::test]
async fn the_world_can_be_narrowed_and_says_what_it_left_off() {
    let rig = showing();
    let (status, world) = rig.get::<World>("/api/world").await;
    assert_eq!((status, world.sensors.len(), world.beliefs.len(), world.left_off), (StatusCode::OK, 3, 1, 0));

    let (_, world) = rig.get::<World>("/api/world?limit=1").await;
    assert_eq!((world.sensors.len(), world.beliefs.len(), world.left_off), (1, 1, 2));

    let (_, world) = rig.get::<World>("/api/world?flag=stale").await;
    assert_eq!(world.sensors, snapshot().sensors[1..2]);
    assert_eq!(world.left_off, 0);
}

#[tokio::test]
async fn who_can_do_what_is_asked_for_by_a_pattern_and_bounded() {
    let rig = showing();
    let (status, found) = rig.get::<Capabilities>("/api/capabilities?pattern=channel:*").await;
    assert_eq!((status, &*found.pattern, found.left_off), (StatusCode::OK, "channel:*", 0));
    assert_eq!((&*found.capabilities[0].capability, found.capabilities[0].points), ("channel:telegram", 10));
    let (_, all) = rig.get::<Capabilities>("/api/capabilities").await;
    assert_eq!((&*all.pattern, all.capabilities.len(), all.left_off), ("*", 1_000, 1));
    let long = format!("pattern={}", "x".repeat(129));
    for (query, status, code) in [
        ("pattern=later:x", StatusCode::SERVICE_UNAVAILABLE, "STARTING"),
        ("pattern=", StatusCode::BAD_REQUEST, "INVALID_PARAMS"),
        (&*long, StatusCode::BAD_REQUEST, "INVALID_PARAMS"),
        ("who=me", StatusCode::BAD_REQUEST, "INVALID_PARAMS"),
    ] {
        let (found, refusal) = rig.refused(&format!("/api/capabilities?{query}")).await;
        assert_eq!((found, &*refusal.code), (status, code), "{query}");
    }
}

#[tokio::test]
async fn rows_are_chosen_by_name_by_kind_and_by_whose_they_are() {
    let rig = showing();
    let rows = |world: &World| (world.sensors.len(), world.actuators.len(), world.beliefs.len());
    let own = "01".repeat(32);
    for (query, expected) in [
        ("containing=tank", (2, 0, 0)),
        ("containing=gate", (0, 0, 1)),
        ("kind=observation", (3, 1, 1)),
        ("kind=human_input", (0, 0, 0)),
        (&*format!("source={own}"), (1, 1, 1)),
        ("source=abab", (2, 0, 0)),
        ("source=abab&containing=tank-1&kind=observation", (1, 0, 0)),
        ("limit=1", (1, 1, 1)),
    ] {
        let (status, world) = rig.get::<World>(&format!("/api/world?{query}")).await;
        assert_eq!((status, rows(&world)), (StatusCode::OK, expected), "{query}");
    }
}

#[tokio::test]
async fn a_query_that_makes_no_sense_names_its_field() {
    for (query, word) in [
        ("limit=many", "words: limit:"),
        ("limit=-1", "words: limit:"),
        ("limit=1&limit=2", "duplicate field `limit`"),
        ("colour=red", "`colour`"),
    ] {
        let (status, refusal): (_, Refused) = showing().refused(&format!("/api/world?{query}")).await;
        assert_eq!((status, &*refusal.code), (StatusCode::BAD_REQUEST, "INVALID_PARAMS"), "{query}");
        assert!(refusal.sentence.contains(word), "{query}: {}", refusal.sentence);
    }
}
