//! Looking at alarms, and doing something with them.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use clawmesh_authority::{Code, Refusal};
use clawmesh_core::intake::{AlarmAct, InboxLimits, InputBody, SourceId};
use clawmesh_gateway::{Alarms, Noted, Refused};

use crate::rig::{ADDRESS, Rig, TOKEN, read, rig, rig_with, snapshot};

const LIMIT: &str = "limit/barn/sensor:level:tank-1/at-least-20";
const SHELVED: &str = "stale/barn/sensor:level:tank-2";

fn post(path: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(format!("/api/alarms/{path}"))
        .header("host", ADDRESS)
        .header("authorization", format!("Bearer {TOKEN}"))
        .body(body.into())
        .unwrap()
}

fn showing() -> Rig {
    let rig = rig();
    rig.show(snapshot());
    rig
}

/// Posts, and plays the tick and the journal: takes what arrived and answers its ticket.
async fn post_and_answer(
    rig: &Rig,
    path: &str,
    body: String,
    outcome: Result<(), Refusal>,
) -> (StatusCode, String, InputBody) {
    let played = async {
        loop {
            if let Some((input, ticket)) = rig.inboxes.take_state(1).pop() {
                assert_eq!(input.source, SourceId::Gateway);
                ticket.unwrap().answer(outcome);
                return input.body;
            }
            tokio::task::yield_now().await;
        }
    };
    let (response, taken) = tokio::join!(rig.send(post(path, body)), played);
    let (status, answer) = read::<serde_json::Value>(response).await;
    (status, answer.to_string(), taken)
}

async fn refused(rig: &Rig, path: &str, body: impl Into<Body>) -> (StatusCode, Refused) {
    let refused = read(rig.send(post(path, body)).await).await;
    assert!(rig.inboxes.take_state(1).is_empty(), "a refused act reached the tick");
    refused
}

#[tokio::test(start_paused = true)]
async fn alarms_come_in_the_order_of_the_snapshot_and_with_its_age() {
    let rig = showing();
    tokio::time::advance(Duration::from_millis(40)).await;
    let (status, answer) = rig.get::<Alarms>("/api/alarms").await;
    assert_eq!((status, answer.snapshot_age_ms), (StatusCode::OK, 40));
    assert_eq!(answer.alarms, snapshot().alarms);
    let (_, json) = rig.get::<serde_json::Value>("/api/alarms").await;
    assert_eq!(
        (&json["alarms"][0]["priority"], &json["alarms"][1]["state"]),
        (&"critical".into(), &"returned".into())
    );
}

#[tokio::test]
async fn before_the_first_snapshot_there_is_no_alarm_to_look_at_or_to_handle() {
    let (status, refusal) = rig().refused("/api/alarms").await;
    assert_eq!((status, &*refusal.code), (StatusCode::SERVICE_UNAVAILABLE, "STARTING"));
    let (status, refusal) = refused(&rig(), "acknowledge", r#"{"key":"stop"}"#).await;
    assert_eq!((status, &*refusal.code), (StatusCode::SERVICE_UNAVAILABLE, "STARTING"));
}

#[tokio::test]
async fn what_somebody_does_with_an_alarm_is_committed_before_it_is_confirmed() {
    for (path, key, more, act) in [
        ("acknowledge", "stop", "", AlarmAct::Acknowledge),
        ("shelve", LIMIT, r#","for_s":1800"#, AlarmAct::Shelve { for_ms: 1_800_000 }),
        ("unshelve", SHELVED, "", AlarmAct::Unshelve),
    ] {
        let body = format!(r#"{{"key":"{key}","by":" Asha "{more}}}"#);
        let (status, answer, taken) = post_and_answer(&showing(), path, body, Ok(())).await;
        assert_eq!((status, &*answer), (StatusCode::OK, r#"{"committed":true}"#), "{path}");
        assert_eq!(serde_json::from_str::<Noted>(&answer).unwrap(), Noted { committed: true });
        let expected = InputBody::AlarmHandled { key: key.to_owned(), act, by: "Asha".to_owned() };
        assert_eq!(taken, expected);
    }
}

#[tokio::test]
async fn who_does_not_say_who_they_are_is_somebody() {
    let body = r#"{"key":"stop"}"#.to_owned();
    let (_, _, taken) = post_and_answer(&showing(), "acknowledge", body, Ok(())).await;
    let InputBody::AlarmHandled { by, .. } = taken else { panic!("{taken:?}") };
    assert_eq!(by, "somebody at the gateway");
}

#[tokio::test]
async fn an_act_that_the_journal_refuses_is_not_confirmed() {
    let refusal = Refusal::new(Code::JournalUnavailable, "journal", "the disk is full");
    let body = r#"{"key":"stop"}"#.to_owned();
    let (status, answer, _) = post_and_answer(&showing(), "acknowledge", body, Err(refusal)).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer, r#"{"code":"JOURNAL_UNAVAILABLE","sentence":"the disk is full"}"#);

    let failed = showing();
    failed.commits.fail("the disk is full");
    let (status, refusal) = refused(&failed, "acknowledge", r#"{"key":"stop"}"#).await;
    assert_eq!((status, &*refusal.code), (StatusCode::SERVICE_UNAVAILABLE, "JOURNAL_UNAVAILABLE"));

    let busy = rig_with(InboxLimits { state_inputs_max: 0, ..InboxLimits::default() });
    busy.show(snapshot());
    let (status, refusal) = refused(&busy, "acknowledge", r#"{"key":"stop"}"#).await;
    assert_eq!((status, &*refusal.code), (StatusCode::SERVICE_UNAVAILABLE, "BUSY"));
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_never_answers_an_act_is_not_waited_for_forever() {
    let rig = showing();
    let response = rig.send(post("acknowledge", r#"{"key":"stop"}"#)).await;
    let (status, refusal) = read::<Refused>(response).await;
    assert_eq!((status, &*refusal.code), (StatusCode::SERVICE_UNAVAILABLE, "JOURNAL_UNAVAILABLE"));
    assert!(refusal.sentence.contains("look at /api/alarms"), "{}", refusal.sentence);
}

#[tokio::test]
async fn what_the_tick_is_sure_to_refuse_is_refused_with_its_reason() {
    let hours = format!(r#"{{"key":"{LIMIT}","for_s":28801}}"#);
    let still = format!(r#"{{"key":"{LIMIT}"}}"#);
    for (path, body, expected, code, words) in [
        (
            "acknowledge",
            r#"{"key":"limit/nowhere"}"#,
            StatusCode::NOT_FOUND,
            "UNKNOWN_ALARM",
            "no alarm \"limit/no",
        ),
        (
            "shelve",
            r#"{"key":"stop","for_s":60}"#,
            StatusCode::UNPROCESSABLE_ENTITY,
            "SHELF_REFUSED",
            "the stop cannot",
        ),
        ("shelve", &hours, StatusCode::UNPROCESSABLE_ENTITY, "SHELF_REFUSED", "for at most 480 min"),
        ("unshelve", &still, StatusCode::CONFLICT, "NOT_SHELVED", "is not shelved"),
    ] {
        let (status, refusal) = refused(&showing(), path, body.to_owned()).await;
        assert_eq!((status, &*refusal.code), (expected, code), "{body}");
        assert!(refusal.sentence.contains(words), "{body}: {}", refusal.sentence);
    }
}

#[tokio::test]
async fn an_act_that_makes_no_sense_is_refused_with_the_field_named() {
    let long = format!(r#"{{"key":"{}"}}"#, "k".repeat(321));
    let named = format!(r#"{{"key":"stop","by":"{}"}}"#, "b".repeat(81));
    for (path, body, word) in [
        ("acknowledge", "", "JSON"),
        ("acknowledge", "[]", "JSON"),
        ("acknowledge", r#"{"key":"stop","key":"stop"}"#, "`key`"),
        ("acknowledge", r#"{"key":"stop","who":"asha"}"#, "`who`"),
        ("acknowledge", "{}", "`key`"),
        ("acknowledge", r#"{"key":7}"#, "`key`"),
        ("acknowledge", r#"{"key":""}"#, "`key`"),
        ("acknowledge", &long, "`key`"),
        ("acknowledge", r#"{"key":"stop","by":""}"#, "`by`"),
        ("acknowledge", r#"{"key":"stop","by":"a\nb"}"#, "`by`"),
        ("acknowledge", &named, "`by`"),
        ("acknowledge", r#"{"key":"stop","for_s":1}"#, "`for_s`"),
        ("unshelve", r#"{"key":"stop","for_s":1}"#, "`for_s`"),
        ("shelve", r#"{"key":"stop"}"#, "`for_s`"),
        ("shelve", r#"{"key":"stop","for_s":0}"#, "`for_s`"),
        ("shelve", r#"{"key":"stop","for_s":-1}"#, "`for_s`"),
        ("shelve", r#"{"key":"stop","for_s":1.5}"#, "`for_s`"),
    ] {
        let (status, refusal) = refused(&showing(), path, body.to_owned()).await;
        assert_eq!((status, &*refusal.code), (StatusCode::BAD_REQUEST, "INVALID_PARAMS"), "{body}");
        assert!(refusal.sentence.contains(word), "{body}: {}", refusal.sentence);
    }
}
