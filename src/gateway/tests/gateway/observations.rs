//! Noting something seen.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use clawmesh_authority::{Code, Observation, Refusal, Tier, Unit, Value};
use clawmesh_core::intake::{InboxLimits, InputBody, SourceId};
use clawmesh_core::publish::BeliefView;
use clawmesh_core::world::BELIEFS_MAX;
use clawmesh_gateway::{BODY_BYTES_MAX, Noted, Refused};

use crate::rig::{ADDRESS, NOW_MS, Rig, TOKEN, read, rig, rig_with, snapshot};

fn post(body: impl Into<Body>) -> Request<Body> {
    Request::post("/api/observations")
        .header("host", ADDRESS)
        .header("authorization", format!("Bearer {TOKEN}"))
        .body(body.into())
        .unwrap()
}

/// Posts, and plays the tick and the journal: takes what arrived and answers its ticket.
async fn post_and_answer(
    rig: &Rig,
    body: &str,
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
    let (response, taken) = tokio::join!(rig.send(post(body.to_owned())), played);
    let (status, answer) = read::<serde_json::Value>(response).await;
    (status, answer.to_string(), taken)
}

async fn refused(rig: &Rig, body: impl Into<Body>) -> (StatusCode, Refused) {
    let refused = read(rig.send(post(body)).await).await;
    assert!(rig.inboxes.take_state(1).is_empty(), "a refused observation reached the tick");
    refused
}

#[tokio::test]
async fn what_was_seen_is_committed_before_it_is_confirmed() {
    let body = r#"{"key":"tank-1/level","value":61.5,"unit":"%","origin_ms":1799999990000}"#;
    let (status, answer, taken) = post_and_answer(&rig(), body, Ok(())).await;
    assert_eq!((status, &*answer), (StatusCode::CREATED, r#"{"committed":true}"#));
    let observation = Observation {
        key: "tank-1/level".to_owned(),
        value: Value::Number(61.5),
        unit: Some(Unit::Percent),
        origin_ms: 1_799_999_990_000,
        tier: Tier::T1,
    };
    assert_eq!(taken, InputBody::Recorded { observation, hlc: None });
}

#[tokio::test]
async fn without_a_time_it_was_seen_now_and_words_and_flags_are_values_too() {
    for (value, expected) in [("true", Value::Flag(true)), ("\"open\"", Value::Text("open".to_owned()))] {
        let body = format!(r#"{{"key":"zone-1/gate","value":{value}}}"#);
        let (_, _, taken) = post_and_answer(&rig(), &body, Ok(())).await;
        let InputBody::Recorded { observation, hlc: None } = taken else { panic!("{taken:?}") };
        assert_eq!((observation.value, observation.origin_ms, observation.unit), (expected, NOW_MS, None));
    }
}

#[tokio::test]
async fn a_ticket_that_is_refused_is_not_confirmed() {
    let refusal = Refusal::new(Code::JournalUnavailable, "journal", "the disk is full");
    let (status, answer, _) = post_and_answer(&rig(), r#"{"key":"a","value":1}"#, Err(refusal)).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer, r#"{"code":"JOURNAL_UNAVAILABLE","sentence":"the disk is full"}"#);
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_never_answers_is_not_waited_for_forever() {
    let rig = rig();
    let (status, refusal) = read::<Refused>(rig.send(post(r#"{"key":"a","value":1}"#)).await).await;
    assert_eq!((status, &*refusal.code), (StatusCode::SERVICE_UNAVAILABLE, "JOURNAL_UNAVAILABLE"));
    assert!(refusal.sentence.contains("may or may not"), "{}", refusal.sentence);
    assert_eq!(rig.inboxes.take_state(9).len(), 1);
}

#[tokio::test]
async fn a_full_inbox_and_a_failed_journal_refuse_at_once() {
    let busy = rig_with(InboxLimits { state_inputs_max: 0, ..InboxLimits::default() });
    let (status, refusal) = refused(&busy, r#"{"key":"a","value":1}"#).await;
    assert_eq!((status, &*refusal.code), (StatusCode::SERVICE_UNAVAILABLE, "BUSY"));

    let failed = rig();
    failed.commits.fail("the disk is full");
    let (status, refusal) = refused(&failed, r#"{"key":"a","value":1}"#).await;
    assert_eq!((status, &*refusal.code), (StatusCode::SERVICE_UNAVAILABLE, "JOURNAL_UNAVAILABLE"));
    assert_eq!(refusal.sentence, "the disk is full");
}

#[tokio::test]
async fn a_new_key_without_room_in_the_world_is_refused_and_a_known_one_is_taken() {
    let rig = rig();
    let mut full = snapshot();
    let belief = full.beliefs.remove(0);
    let keys = (0..BELIEFS_MAX).map(|at| format!("key-{at:05}"));
    full.beliefs.extend(keys.map(|key| BeliefView { key, ..belief.clone() }));
    rig.show(full);
    let (status, refusal) = refused(&rig, r#"{"key":"key-65536","value":1}"#).await;
    assert_eq!((status, &*refusal.code), (StatusCode::BAD_REQUEST, "LIMIT_EXCEEDED"));
    assert!(refusal.sentence.contains("key-65536"), "{}", refusal.sentence);
    let (status, ..) = post_and_answer(&rig, r#"{"key":"key-65535","value":1}"#, Ok(())).await;
    assert_eq!(status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_body_that_makes_no_sense_is_refused_with_the_field_named() {
    let long = format!(r#"{{"key":"{}","value":1}}"#, "k".repeat(513));
    let wordy = format!(r#"{{"key":"a","value":"{}"}}"#, "v".repeat(513));
    let later = format!(r#"{{"key":"a","value":1,"origin_ms":{}}}"#, NOW_MS + 600_000);
    for (body, word) in [
        ("", "JSON"),
        ("{", "JSON"),
        ("[]", "JSON"),
        ("null", "JSON"),
        (r#"{"key":"a","value":1}}"#, "JSON"),
        (r#"{"key":"a","value":NaN}"#, "JSON"),
        (r#"{"key":"a","value":1e999}"#, "JSON"),
        (r#"{"key":"a","key":"b","value":1}"#, "`key`"),
        (r#"{"key":"a","value":1,"tier":"T3"}"#, "`tier`"),
        (r#"{"value":1}"#, "`key`"),
        (r#"{"key":7,"value":1}"#, "`key`"),
        (r#"{"key":"","value":1}"#, "key"),
        (r#"{"key":"a\nb","value":1}"#, "`key`"),
        (&long, "key"),
        (r#"{"key":"a"}"#, "`value`"),
        (r#"{"key":"a","value":null}"#, "`value`"),
        (r#"{"key":"a","value":[1]}"#, "`value`"),
        (&wordy, "512"),
        (r#"{"key":"a","value":1,"unit":"furlong"}"#, "`unit`"),
        (r#"{"key":"a","value":1,"unit":4}"#, "`unit`"),
        (r#"{"key":"a","value":true,"unit":"%"}"#, "`unit`"),
        (r#"{"key":"a","value":1,"origin_ms":-5}"#, "`origin_ms`"),
        (r#"{"key":"a","value":1,"origin_ms":1.5}"#, "`origin_ms`"),
        (&later, "600000 ms ahead"),
    ] {
        let (status, refusal) = refused(&rig(), body.to_owned()).await;
        assert_eq!((status, &*refusal.code), (StatusCode::BAD_REQUEST, "INVALID_PARAMS"), "{body}");
        assert!(refusal.sentence.contains(word), "{body}: {}", refusal.sentence);
    }
    let (status, _) = refused(&rig(), vec![0xff, 0xfe, 0x00]).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_body_of_ten_megabytes_is_refused_and_one_at_the_limit_is_judged() {
    let (status, refusal) = refused(&rig(), vec![b' '; 10 << 20]).await;
    assert_eq!((status, &*refusal.code), (StatusCode::PAYLOAD_TOO_LARGE, "TOO_LARGE"));
    let (status, _) = refused(&rig(), vec![b' '; BODY_BYTES_MAX]).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_deeply_nested_body_does_not_exhaust_the_stack() {
    let (status, _) = refused(&rig(), format!(r#"{{"key":"a","value":{}"#, "[".repeat(60_000))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_answer_is_what_the_client_library_reads() {
    let played = rig();
    let (_, answer, _) = post_and_answer(&played, r#"{"key":"a","value":1}"#, Ok(())).await;
    assert_eq!(serde_json::from_str::<Noted>(&answer).unwrap(), Noted { committed: true });
}
