//! Noting something seen: from a person or a program at the door into the journal.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use clawmesh_authority::hlc::AHEAD_MS_MAX;
use clawmesh_authority::hlc::TIME_UNKNOWN;
use clawmesh_authority::{Code, Observation, Refusal, Tier, Unit, Value};
use clawmesh_core::intake::{InputBody, SourceId};
use clawmesh_core::replay::Ticket;
use clawmesh_core::world::BELIEFS_MAX;
use serde::{Deserialize, Serialize};
use serde_json::Value as Field;
use tokio::sync::oneshot;

use crate::answer::Fault;
use crate::router::Shared;

/// The largest body of a request.
pub const BODY_BYTES_MAX: usize = 64 * 1_024;

/// How long to wait for the journal; below the patience of a connection.
const COMMIT_WITHIN: Duration = Duration::from_secs(10);

/// What is said when the journal does not answer.
const UNCONFIRMED: &str = "the journal has not confirmed the observation, which may or may not be kept; \
                           look at /api/world before sending it again";

/// What `/api/observations`, and every act on an alarm, answers when it is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    /// Always true: anything else is a refusal.
    pub committed: bool,
}

/// The body as it comes. Every field is taken as it is and judged by hand, so that a refusal can name it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    key: Option<Field>,
    value: Option<Field>,
    unit: Option<Field>,
    origin_ms: Option<Field>,
}

pub(crate) async fn note(
    State(shared): State<Arc<Shared>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Noted>), Fault> {
    let body = body.map_err(|rejection| unreadable(&rejection))?;
    knows_the_time(&shared)?;
    let observation = parse(&body, (shared.ports.unix_ms)())?;
    has_room(&shared, &observation.key)?;
    commit(&shared, InputBody::Recorded { observation, hlc: None }, UNCONFIRMED).await?;
    Ok((StatusCode::CREATED, Json(Noted { committed: true })))
}

/// What is noted while nobody knows the time would bear none.
pub(crate) fn knows_the_time(shared: &Shared) -> Result<(), Refusal> {
    if (shared.ports.unix_ms)() > 0 {
        return Ok(());
    }
    let why = (shared.ports.clock)().fault.unwrap_or_else(|| TIME_UNKNOWN.to_owned());
    Err(Refusal::new(Code::ClockUntrusted, SourceId::Gateway, why))
}

/// A new key needs room in the world. The tick has the last word, and what it refuses is in the refusals; but whoever notes
/// something hears it here.
fn has_room(shared: &Shared, key: &str) -> Result<(), Refusal> {
    let newest = shared.ports.snapshots.newest();
    let beliefs = newest.as_ref().map_or(&[][..], |newest| &newest.snapshot.beliefs);
    let is_known = || beliefs.binary_search_by(|belief| belief.key.as_str().cmp(key)).is_ok();
    if beliefs.len() < BELIEFS_MAX || is_known() {
        return Ok(());
    }
    let sentence = format!(
        "no room for {key:?}: this node keeps {BELIEFS_MAX} beliefs; note it under a key that is there"
    );
    Err(Refusal::new(Code::LimitExceeded, SourceId::Gateway, sentence))
}

pub(crate) fn unreadable(rejection: &BytesRejection) -> Fault {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        let sentence = format!("the body is larger than {BODY_BYTES_MAX} bytes");
        return Fault::new(StatusCode::PAYLOAD_TOO_LARGE, Code::TooLarge.as_str(), sentence);
    }
    Fault::invalid("the body did not arrive whole; send it again")
}

/// Hands the input to the tick and waits until the journal has it; `unconfirmed` is said when the journal does not answer.
pub(crate) async fn commit(
    shared: &Shared,
    body: InputBody,
    unconfirmed: &'static str,
) -> Result<(), Refusal> {
    if let Some(refusal) = shared.ports.commits.refusal() {
        return Err(refusal);
    }
    let (tx, rx) = oneshot::channel();
    // When nobody waits any more there is nobody to tell.
    let ticket = Ticket::new(move |outcome| drop(tx.send(outcome)));
    shared.ports.inbox.offer_own(SourceId::Gateway, body, Some(ticket))?;
    match tokio::time::timeout(COMMIT_WITHIN, rx).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) | Err(_) => Err(Refusal::new(Code::JournalUnavailable, SourceId::Gateway, unconfirmed)),
    }
}

fn parse(body: &[u8], now_ms: u64) -> Result<Observation, Fault> {
    let note: Note = serde_json::from_slice(body).map_err(|fault| {
        let sentence = format!(
            "the body is no JSON object with `key`, `value` and perhaps `unit`, `origin_ms`: {fault}"
        );
        Fault::invalid(sentence)
    })?;
    let value = value_of(note.value)?;
    let observation = Observation {
        key: key_of(note.key)?,
        unit: unit_of(note.unit, &value)?,
        value,
        origin_ms: origin_of(note.origin_ms, now_ms)?,
        tier: Tier::T1,
    };
    match observation.fault() {
        Some(fault) => Err(Fault::invalid(format!("`key` or `value`: {fault}"))),
        None => Ok(observation),
    }
}

fn key_of(field: Option<Field>) -> Result<String, Fault> {
    match field {
        Some(Field::String(key)) if !key.chars().any(char::is_control) => Ok(key),
        _ => Err(Fault::invalid(
            "`key` must be a text on one line that says what was seen, like \"zone-1/gate\"",
        )),
    }
}

fn value_of(field: Option<Field>) -> Result<Value, Fault> {
    let sentence = "`value` must be true or false, a finite number, or a text";
    match field {
        Some(Field::Bool(flag)) => Ok(Value::Flag(flag)),
        Some(Field::String(text)) => Ok(Value::Text(text)),
        Some(Field::Number(number)) => match number.as_f64() {
            Some(number) if number.is_finite() => Ok(Value::Number(number)),
            _ => Err(Fault::invalid(sentence)),
        },
        _ => Err(Fault::invalid(sentence)),
    }
}

fn unit_of(field: Option<Field>, value: &Value) -> Result<Option<Unit>, Fault> {
    let code = match field {
        None => return Ok(None),
        Some(Field::String(code)) => code,
        Some(_) => return Err(Fault::invalid("`unit` must be a text, like \"Cel\"")),
    };
    if !matches!(value, Value::Number(_)) {
        return Err(Fault::invalid("`unit` goes with a number only; leave it out"));
    }
    code.parse().map(Some).map_err(|fault| Fault::invalid(format!("`unit`: {fault}")))
}

fn origin_of(field: Option<Field>, now_ms: u64) -> Result<u64, Fault> {
    let Some(field) = field else { return Ok(now_ms) };
    let Some(origin_ms) = field.as_u64() else {
        return Err(Fault::invalid("`origin_ms` must be a whole number, Unix milliseconds"));
    };
    let ahead_ms = origin_ms.saturating_sub(now_ms);
    if ahead_ms > AHEAD_MS_MAX {
        let sentence =
            format!("`origin_ms` lies {ahead_ms} ms ahead of this node's clock; leave it out to mean now");
        return Err(Fault::invalid(sentence));
    }
    Ok(origin_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW_MS: u64 = 1_730_000_000_000;

    /// Any JSON, of the fields that are known and of others.
    fn body() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            any::<bool>().prop_map(|flag| flag.to_string()),
            any::<f64>().prop_map(|number| serde_json::json!(number).to_string()),
            any::<i64>().prop_map(|number| number.to_string()),
            Just("1e999".to_owned()),
            ".{0,600}".prop_map(|text| serde_json::json!(text).to_string()),
        ];
        let value = leaf.prop_recursive(3, 8, 3, |inner| {
            let list =
                prop::collection::vec(inner.clone(), 0..3).prop_map(|items| format!("[{}]", items.join(",")));
            prop_oneof![inner.prop_map(|value| format!("{{\"key\":{value}}}")), list]
        });
        let field = ("(key|value|unit|origin_ms|other)", value);
        prop::collection::vec(field.prop_map(|(name, value)| format!("\"{name}\":{value}")), 0..5)
            .prop_map(|fields| format!("{{{}}}", fields.join(",")))
    }

    proptest! {
        #[test]
        fn what_is_taken_of_any_body_makes_sense(body in body()) {
            if let Ok(taken) = parse(body.as_bytes(), NOW_MS) {
                prop_assert_eq!(taken.fault(), None);
                prop_assert!(taken.origin_ms <= NOW_MS + AHEAD_MS_MAX && taken.tier == Tier::T1);
                prop_assert!(!taken.key.chars().any(char::is_control));
            }
        }

        #[test]
        fn no_bytes_panic(body: Vec<u8>) {
            prop_assert!(parse(&body, NOW_MS).is_err());
        }
    }
}
