//! Following the world.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::StatusCode;
use clawmesh_core::publish::Snapshot;
use clawmesh_gateway::{Refused, Status};
use futures_util::StreamExt as _;
use tokio::time::{Instant, timeout};

use crate::rig::{Rig, get, read, rig, snapshot};

async fn open(rig: &Rig) -> BodyDataStream {
    let response = rig.send(get("/api/events").body(Body::empty()).unwrap()).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    response.into_body().into_data_stream()
}

/// The next piece of the stream: one event or one comment.
async fn next(stream: &mut BodyDataStream) -> String {
    let bytes = stream.next().await.unwrap().unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn tick_of(event: &str) -> u64 {
    let data = event.strip_prefix("event: snapshot\ndata: ").and_then(|rest| rest.strip_suffix("\n\n"));
    serde_json::from_str::<Snapshot>(data.unwrap_or_else(|| panic!("{event}"))).unwrap().tick
}

fn at(tick: u64) -> Snapshot {
    Snapshot { tick, ..snapshot() }
}

#[tokio::test(start_paused = true)]
async fn a_stream_begins_with_the_newest_snapshot_and_follows_it_five_times_a_second() {
    let rig = rig();
    rig.show(at(1));
    let mut stream = open(&rig).await;
    assert_eq!(tick_of(&next(&mut stream).await), 1);
    let began = Instant::now();
    for tick in 2..=11 {
        rig.show(at(tick));
    }
    assert_eq!(tick_of(&next(&mut stream).await), 11, "only the newest matters");
    assert_eq!(began.elapsed().as_millis(), 200);
    rig.show(at(12));
    assert_eq!(tick_of(&next(&mut stream).await), 12);
    assert_eq!(began.elapsed().as_millis(), 400);
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_a_starting_node_shows_that_it_is_alive() {
    let rig = rig();
    let mut stream = open(&rig).await;
    let began = Instant::now();
    assert!(next(&mut stream).await.starts_with(':'));
    assert_eq!(began.elapsed().as_secs(), 5);
    rig.show(at(1));
    assert_eq!(tick_of(&next(&mut stream).await), 1);
}

#[tokio::test(start_paused = true)]
async fn a_reader_learns_that_the_tick_stands_still_and_for_how_long() {
    let rig = rig();
    rig.show(at(1));
    tokio::time::advance(Duration::from_secs(9)).await;
    let mut stream = open(&rig).await;
    assert_eq!(tick_of(&next(&mut stream).await), 1);
    assert_eq!(next(&mut stream).await, "event: stalled\ndata: {\"snapshot_age_ms\":9200}\n\n");
    rig.show(at(2));
    assert_eq!(tick_of(&next(&mut stream).await), 2);
}

#[tokio::test(start_paused = true)]
async fn the_sixty_fifth_stream_is_refused_until_one_ends() {
    let rig = rig();
    rig.show(at(1));
    let mut streams = Vec::new();
    for _ in 0..64 {
        streams.push(open(&rig).await);
    }
    assert_eq!(rig.get::<Status>("/api/status").await.1.gateway.streams, 64);
    let response = rig.send(get("/api/events").body(Body::empty()).unwrap()).await;
    let (status, refusal) = read::<Refused>(response).await;
    assert_eq!((status, &*refusal.code), (StatusCode::SERVICE_UNAVAILABLE, "BUSY"));
    streams.pop();
    streams.push(open(&rig).await);
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_with_the_node() {
    let rig = rig();
    rig.show(at(1));
    let mut stream = open(&rig).await;
    next(&mut stream).await;
    drop(rig.feeder);
    assert!(timeout(Duration::from_secs(1), stream.next()).await.unwrap().is_none());
}
