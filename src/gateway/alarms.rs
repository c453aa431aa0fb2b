//! Alarms: which there are, and what people do with them. Whoever acts hears of it when the journal has it.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use clawmesh_core::alarms::{KEY_BYTES_MAX, Standing, not_shelved, shelf_fault, unknown};
use clawmesh_core::intake::{AlarmAct, InputBody};
use clawmesh_core::publish::AlarmView;
use serde::{Deserialize, Serialize};
use serde_json::Value as Field;

use crate::answer::Fault;
use crate::observations::{Noted, commit, unreadable};
use crate::router::Shared;

/// The longest name somebody may call themselves, in characters.
const BY_CHARACTERS_MAX: usize = 80;
/// Who acts when they do not say.
const BY_NOBODY: &str = "somebody at the gateway";
/// What is said when the journal does not answer.
const UNCONFIRMED: &str = "the journal has not confirmed it, and it may or may not have happened; \
                           look at /api/alarms before doing it again";

/// What `/api/alarms` answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alarms {
    /// Milliseconds since the tick of the snapshot was shown; all ages below are as of then.
    pub snapshot_age_ms: u64,
    /// The most urgent first, of those the newest first.
    pub alarms: Vec<AlarmView>,
}

/// The body as it comes. Every field is taken as it is and judged by hand, so that a refusal can name it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Deed {
    key: Option<Field>,
    by: Option<Field>,
    for_s: Option<Field>,
}

pub(crate) async fn alarms(State(shared): State<Arc<Shared>>) -> Result<Json<Alarms>, Fault> {
    let newest = shared.ports.snapshots.newest().ok_or_else(Fault::starting)?;
    Ok(Json(Alarms { snapshot_age_ms: newest.age_ms(), alarms: newest.snapshot.alarms.clone() }))
}

pub(crate) async fn acknowledge(
    State(shared): State<Arc<Shared>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Noted>, Fault> {
    let deed = deed_of(body)?;
    no_time(&deed)?;
    handle(&shared, deed, AlarmAct::Acknowledge).await
}

pub(crate) async fn shelve(
    State(shared): State<Arc<Shared>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Noted>, Fault> {
    let deed = deed_of(body)?;
    let for_s = deed.for_s.as_ref().and_then(Field::as_u64).filter(|for_s| *for_s > 0);
    let sentence = "`for_s` must be a whole number of seconds, at least 1";
    let for_s = for_s.ok_or_else(|| Fault::invalid(sentence))?;
    handle(&shared, deed, AlarmAct::Shelve { for_ms: for_s.saturating_mul(1_000) }).await
}

pub(crate) async fn unshelve(
    State(shared): State<Arc<Shared>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Noted>, Fault> {
    let deed = deed_of(body)?;
    no_time(&deed)?;
    handle(&shared, deed, AlarmAct::Unshelve).await
}

fn deed_of(body: Result<Bytes, BytesRejection>) -> Result<Deed, Fault> {
    let body = body.map_err(|rejection| unreadable(&rejection))?;
    serde_json::from_slice(&body).map_err(|fault| {
        let sentence = format!("the body is no JSON object with `key` and perhaps `by`, `for_s`: {fault}");
        Fault::invalid(sentence)
    })
}

fn no_time(deed: &Deed) -> Result<(), Fault> {
    match deed.for_s {
        None => Ok(()),
        Some(_) => Err(Fault::invalid("`for_s` goes with shelving only; leave it out")),
    }
}

/// The tick decides. What it is sure to refuse by what it showed last is refused here, where somebody hears why.
async fn handle(shared: &Shared, deed: Deed, act: AlarmAct) -> Result<Json<Noted>, Fault> {
    let (key, by) = (key_of(deed.key)?, by_of(deed.by)?);
    let newest = shared.ports.snapshots.newest().ok_or_else(Fault::starting)?;
    let found = newest.snapshot.alarms.iter().find(|alarm| alarm.key == key);
    let alarm = found.ok_or_else(|| Fault::new(StatusCode::NOT_FOUND, "UNKNOWN_ALARM", unknown(&key)))?;
    check(alarm, act)?;
    commit(shared, InputBody::AlarmHandled { key, act, by }, UNCONFIRMED).await?;
    Ok(Json(Noted { committed: true }))
}

fn check(alarm: &AlarmView, act: AlarmAct) -> Result<(), Fault> {
    let (status, code, sentence) = match act {
        AlarmAct::Shelve { for_ms } => {
            let sentence = shelf_fault(&alarm.key, alarm.priority, for_ms);
            (StatusCode::UNPROCESSABLE_ENTITY, "SHELF_REFUSED", sentence)
        }
        AlarmAct::Unshelve => {
            let sentence = (alarm.state != Standing::Shelved).then(|| not_shelved(&alarm.key));
            (StatusCode::CONFLICT, "NOT_SHELVED", sentence)
        }
        AlarmAct::Acknowledge => return Ok(()),
    };
    sentence.map_or(Ok(()), |sentence| Err(Fault::new(status, code, sentence)))
}

fn key_of(field: Option<Field>) -> Result<String, Fault> {
    match field {
        Some(Field::String(key)) if (1..=KEY_BYTES_MAX).contains(&key.len()) => Ok(key),
        _ => Err(Fault::invalid("`key` must be the key of an alarm; /api/alarms lists them")),
    }
}

fn by_of(field: Option<Field>) -> Result<String, Fault> {
    let is_name = |name: &str| {
        (1..=BY_CHARACTERS_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control)
    };
    match field {
        None => Ok(BY_NOBODY.to_owned()),
        Some(Field::String(name)) if is_name(name.trim()) => Ok(name.trim().to_owned()),
        Some(_) => {
            let sentence =
                format!("`by` must be a name on one line, of at most {BY_CHARACTERS_MAX} characters");
            Err(Fault::invalid(sentence))
        }
    }
}
