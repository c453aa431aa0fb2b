//! The stop at the door.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::StatusCode;
use clawmesh_authority::NodeId;
use clawmesh_core::intake::InboxLimits;
use clawmesh_core::publish::Snapshot;
use clawmesh_core::safety::StopReport;
use clawmesh_gateway::{BODY_BYTES_MAX, StopAnswer, StoppedNode};
use tokio::task::JoinHandle;
use tokio::time::{Instant, advance};

use crate::rig::{Rig, config, post, read, rig, rig_with, snapshot};

const STOP: &str = "/api/stop";
const SMOKE: &str = r#"{"why":"smoke"}"#;
const VALVE: &str = "actuator:valve:valve-1";

fn press(rig: &Arc<Rig>) -> JoinHandle<StopAnswer> {
    let rig = Arc::clone(rig);
    tokio::spawn(async move { answer(&rig, SMOKE).await })
}

async fn answer(rig: &Rig, body: &str) -> StopAnswer {
    let (status, answer) = read(rig.send(post(STOP, body.to_owned())).await).await;
    assert_eq!(status, StatusCode::OK);
    answer
}

/// Waits until the stop is latched.
async fn latched(rig: &Rig) {
    while rig.latch.reason.lock().unwrap().is_none() {
        tokio::task::yield_now().await;
    }
}

/// What the tick shows once it knows of the stop.
fn stopped(is_safe: bool) -> Snapshot {
    let mut shown = Snapshot { stop: Some("smoke".to_owned()), ..snapshot() };
    shown.actuators[0].is_safe = is_safe;
    shown
}

fn own(answer: &StopAnswer) -> &StoppedNode {
    answer.nodes.first().unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_latch_comes_first_and_safe_is_what_is_shown_after_it() {
    let (rig, began) = (Arc::new(rig()), Instant::now());
    let pressed = press(&rig);
    latched(&rig).await;
    assert_eq!(rig.latch.reason.lock().unwrap().as_deref(), Some("smoke"));
    advance(Duration::from_millis(400)).await;
    rig.show(stopped(true));
    let answer = pressed.await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(1), "it is told as soon as it is known");
    let node = StoppedNode {
        id: config().node.id,
        name: Some("barn".to_owned()),
        is_own: true,
        stopped: true,
        safe: vec![VALVE.to_owned()],
        not_safe: Vec::new(),
        sentence: None,
    };
    assert_eq!(answer, StopAnswer { reason: "smoke".to_owned(), nodes: vec![node] });
}

#[tokio::test(start_paused = true)]
async fn what_was_shown_before_the_stop_or_shows_otherwise_is_not_safe() {
    for (shown, at_ms) in [(snapshot(), 400), (stopped(true), 100), (stopped(false), 400)] {
        let (rig, began) = (Arc::new(rig()), Instant::now());
        let pressed = press(&rig);
        latched(&rig).await;
        advance(Duration::from_millis(at_ms)).await;
        rig.show(shown);
        let answer = pressed.await.unwrap();
        assert!(began.elapsed() >= Duration::from_secs(2), "it was not waited for");
        assert_eq!((own(&answer).stopped, own(&answer).safe.len()), (true, 0));
        assert_eq!(own(&answer).not_safe, [VALVE]);
        assert!(own(&answer).sentence.as_ref().unwrap().contains("look at them"), "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_tick_that_stands_still_does_not_keep_the_stop_waiting() {
    let (rig, began) = (rig(), Instant::now());
    let answer = answer(&rig, SMOKE).await;
    assert!(rig.latch.reason.lock().unwrap().is_some() && began.elapsed() < Duration::from_secs(3));
    assert!(own(&answer).stopped && own(&answer).sentence.is_some(), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn everybody_who_confirmed_is_told_and_everybody_who_did_not() {
    let rig = rig();
    let (pump, gone) = (snapshot().peers[0].id, NodeId([0xee; 32]));
    let confirmed = StopReport { safe: vec!["actuator:pump:p".to_owned()], ..StopReport::default() };
    let silent = "it does not answer".to_owned();
    *rig.mesh.stopped.lock().unwrap() = vec![(pump, Ok(confirmed)), (gone, Err(silent.clone()))];
    rig.show(snapshot());
    let answer = answer(&rig, SMOKE).await;
    assert_eq!(*rig.mesh.told_to_stop.lock().unwrap(), ["smoke"]);
    let none = Vec::new;
    let expected = [
        StoppedNode {
            id: pump,
            name: Some("pump".to_owned()),
            is_own: false,
            stopped: true,
            safe: vec!["actuator:pump:p".to_owned()],
            not_safe: none(),
            sentence: None,
        },
        StoppedNode {
            id: gone,
            name: None,
            is_own: false,
            stopped: false,
            safe: none(),
            not_safe: none(),
            sentence: Some(silent),
        },
    ];
    assert_eq!(answer.nodes[1..], expected);
}

#[tokio::test(start_paused = true)]
async fn no_stop_is_refused_for_its_words_and_the_first_reason_counts() {
    let long = format!(r#"{{"why":"{}"}}"#, "ü".repeat(2_000));
    let huge = "x".repeat(BODY_BYTES_MAX + 1);
    for body in ["", "{", "null", r#"{"why":7}"#, r#"{"why":" "}"#, &huge, &long] {
        let rig = rig();
        let reason = answer(&rig, body).await.reason;
        assert_eq!(rig.latch.stops.load(Ordering::SeqCst), 1);
        if body == long {
            assert_eq!(reason, "ü".repeat(512));
        } else {
            assert_eq!(reason, "somebody stopped and gave no reason", "{body}");
        }
    }
    let rig = rig();
    answer(&rig, SMOKE).await;
    assert_eq!(answer(&rig, r#"{"why":"again"}"#).await.reason, "smoke");
    assert_eq!(rig.latch.stops.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn whoever_stops_and_hangs_up_has_still_told_everybody() {
    let rig = Arc::new(rig());
    let pressed = press(&rig);
    latched(&rig).await;
    pressed.abort();
    assert!(pressed.await.unwrap_err().is_cancelled());
    while rig.mesh.told_to_stop.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_inbox_keeps_nobody_from_stopping() {
    let rig = rig_with(InboxLimits { state_inputs_max: 0, ..InboxLimits::default() });
    assert!(own(&answer(&rig, SMOKE).await).stopped);
    assert!(rig.latch.reason.lock().unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_would_not_outlive_the_process_says_so() {
    let rig = Arc::new(rig());
    *rig.latch.unkept.lock().unwrap() = Some("the disk is full".to_owned());
    let pressed = press(&rig);
    latched(&rig).await;
    advance(Duration::from_millis(400)).await;
    rig.show(stopped(true));
    let answer = pressed.await.unwrap();
    assert_eq!(own(&answer).safe, [VALVE]);
    assert_eq!(own(&answer).sentence.as_deref(), Some("the disk is full"));
}
