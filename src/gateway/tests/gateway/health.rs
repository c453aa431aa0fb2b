//! How the node says it is.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use clawmesh_core::alarms::Priority;
use clawmesh_core::intake::LinkState;
use clawmesh_core::publish::Snapshot;
use clawmesh_gateway::{AlarmCounts, Health, HealthState, NodeState, Status};

use crate::rig::{ADDRESS, NOW_MS, Rig, config, read, rig, snapshot};

async fn health(rig: &Rig) -> (StatusCode, Health) {
    let request = Request::get("/api/health").header("host", ADDRESS).body(Body::empty()).unwrap();
    read(rig.send(request).await).await
}

#[tokio::test(start_paused = true)]
async fn a_node_is_starting_until_its_first_snapshot() {
    let rig = rig();
    let (code, health) = health(&rig).await;
    assert_eq!((code, health.status), (StatusCode::OK, HealthState::Starting));
    assert_eq!(health.version, "0.1.0");

    let (code, status) = rig.get::<Status>("/api/status").await;
    assert_eq!((code, status.state), (StatusCode::OK, NodeState::Starting));
    assert_eq!((status.node, status.wall_ms, status.snapshot_age_ms), (config().node, NOW_MS, None));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_never_begins_is_degraded() {
    let rig = rig();
    tokio::time::advance(Duration::from_secs(31)).await;
    let (code, health) = health(&rig).await;
    assert_eq!((code, health.status), (StatusCode::SERVICE_UNAVAILABLE, HealthState::Degraded));
    assert_eq!(health.reasons, ["the tick has not begun"]);
}

#[tokio::test(start_paused = true)]
async fn a_ticking_node_is_healthy_and_counts_what_it_sees() {
    let rig = rig();
    rig.show(snapshot());
    rig.commits.commit(77);
    tokio::time::advance(Duration::from_millis(1_500)).await;
    let (code, health) = health(&rig).await;
    assert_eq!((code, health.status, health.tick), (StatusCode::OK, HealthState::Healthy, 500));
    assert!(health.reasons.is_empty() && health.uptime_ms == 1_500);

    let (_, status) = rig.get::<Status>("/api/status").await;
    assert_eq!((status.state, status.snapshot_age_ms), (NodeState::Running, Some(1_500)));
    assert_eq!((status.peers.known, status.peers.alive, status.peers.trusted), (2, 1, 1));
    assert_eq!((status.sensors.known, status.sensors.flagged, status.beliefs), (3, 1, 1));
    assert_eq!((status.journal.committed, status.journal.failure), (77, None));
    assert_eq!((status.refused_total, status.refusals.len()), (4, 1));
    let highest = Some(Priority::Critical);
    assert_eq!(status.alarms, AlarmCounts { active: 1, unacknowledged: 2, shelved: 1, highest });
    assert_eq!(status.digest, snapshot().digest);
}

#[tokio::test(start_paused = true)]
async fn a_tick_that_stands_still_shows_whatever_the_wall_clock_does() {
    let rig = rig();
    rig.show(snapshot());
    tokio::time::advance(Duration::from_millis(2_001)).await;
    let (code, health) = health(&rig).await;
    assert_eq!(
        (code, &*health.reasons),
        (StatusCode::SERVICE_UNAVAILABLE, &["the tick stands still".to_owned()][..])
    );
    assert_eq!(rig.get::<Status>("/api/status").await.1.state, NodeState::Stalled);

    rig.show(snapshot());
    assert_eq!(self::health(&rig).await.1.status, HealthState::Healthy);
}

#[tokio::test(start_paused = true)]
async fn stop_journal_and_link_each_degrade_it_and_tell_strangers_no_details() {
    let rig = rig();
    let sentence = "no route to 10.0.0.7".to_owned();
    let link = LinkState::Failed { sentence: sentence.clone() };
    rig.show(Snapshot { stop: Some("smoke in the barn".to_owned()), link, ..snapshot() });
    rig.commits.fail("the disk is full");
    let (code, health) = health(&rig).await;
    assert_eq!((code, health.status), (StatusCode::SERVICE_UNAVAILABLE, HealthState::Degraded));
    assert_eq!(
        health.reasons,
        ["the stop is latched", "the journal cannot commit", "the link to the mesh failed"]
    );

    let (_, status) = rig.get::<Status>("/api/status").await;
    assert_eq!(status.state, NodeState::Stopped);
    assert_eq!(status.stop.as_deref(), Some("smoke in the barn"));
    assert_eq!(status.journal.failure.as_deref(), Some("the disk is full"));
    assert_eq!(status.link, LinkState::Failed { sentence });
}
