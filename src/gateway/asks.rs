//! Signed requests and approvals: to the tick of this node, or through the mesh to the owner they name.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use clawmesh_authority::approval::{self, APPROVAL_BYTES_MAX};
use clawmesh_authority::request::{self, REQUEST_BYTES_MAX};
use clawmesh_authority::{Answer, AskKind, Code, NodeId, Refusal, Refused, RequestBody};
use clawmesh_core::intake::SourceId;
use tokio::sync::oneshot;

use crate::answer::Fault;
use crate::observations::knows_the_time;
use crate::router::Shared;
use crate::stop;

/// How long to wait for the tick and the journal; below the patience of a connection.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

pub(crate) async fn request(
    State(shared): State<Arc<Shared>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Answer>, Fault> {
    ask(&shared, AskKind::Request, body).await
}

pub(crate) async fn approve(
    State(shared): State<Arc<Shared>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Answer>, Fault> {
    ask(&shared, AskKind::Approval, body).await
}

async fn ask(
    shared: &Arc<Shared>,
    kind: AskKind,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Answer>, Fault> {
    let bytes = body.map_err(|rejection| unreadable(kind, &rejection))?;
    let Addressed { owner, stop } = open(kind, &bytes).map_err(ruled)?;
    let answer = if owner == shared.node.id {
        if let Some(why) = &stop {
            // Whoever holds the token may stop; that the tick judges the request does not keep it waiting.
            stop::latch(shared, why);
        }
        if stop.is_none() {
            knows_the_time(shared)?;
        }
        ask_here(shared, kind, bytes.into()).await?
    } else {
        shared.ports.neighbours.ask(owner, kind, bytes.into()).await
    };
    match answer {
        Answer::Taken { .. } => Ok(Json(answer)),
        Answer::Refused { code, rule, sentence } => Err(Fault::ruled(code, rule, sentence)),
    }
}

/// To whom something signed goes, and whether it is a stop, with the reason.
struct Addressed {
    owner: NodeId,
    stop: Option<String>,
}

/// Opens it as its owner will: what is broken is refused here, in the same words.
fn open(kind: AskKind, bytes: &[u8]) -> Result<Addressed, Refused> {
    Ok(match kind {
        AskKind::Request => {
            let signed = request::open(bytes)?;
            let stop = match &signed.request().body {
                RequestBody::Stop { why } => Some(why.clone()),
                _ => None,
            };
            Addressed { owner: signed.request().owner, stop }
        }
        AskKind::Approval => Addressed { owner: approval::open(bytes)?.approval().owner, stop: None },
    })
}

/// Hands it to the tick and waits until the journal holds what the answer follows from.
async fn ask_here(shared: &Shared, kind: AskKind, bytes: Vec<u8>) -> Result<Answer, Refusal> {
    if let Some(refusal) = shared.ports.commits.refusal() {
        return Err(refusal);
    }
    let (tx, rx) = oneshot::channel();
    // When nobody waits any more there is nobody to tell.
    let tell = move |answer| drop(tx.send(answer));
    // Held as long as somebody waits here: a caller who hangs up leaves a free place.
    let _place = shared.ports.desk.ask(&shared.ports.inbox, SourceId::Gateway, kind, bytes, tell)?;
    match tokio::time::timeout(ANSWER_WITHIN, rx).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) | Err(_) => Err(unconfirmed()),
    }
}

fn unconfirmed() -> Refusal {
    let sentence = "the node has not answered, and what was asked may or may not be taken; \
                    look at /api/proposals before sending it again";
    Refusal::new(Code::JournalUnavailable, SourceId::Gateway, sentence)
}

fn ruled(refused: Refused) -> Fault {
    Fault::ruled(refused.code, refused.rule.to_owned(), refused.sentence)
}

/// A body that is too large is not read, so that only its size is known to be wrong.
fn unreadable(kind: AskKind, rejection: &BytesRejection) -> Fault {
    if rejection.status() != StatusCode::PAYLOAD_TOO_LARGE {
        return Fault::invalid("the body did not arrive whole; send it again");
    }
    let (rule, what, max) = match kind {
        AskKind::Request => ("request.size", "a request", REQUEST_BYTES_MAX),
        AskKind::Approval => ("approval.size", "an approval", APPROVAL_BYTES_MAX),
    };
    let sentence = format!("the body is too large, {what} has at most {max} bytes");
    Fault::new(StatusCode::PAYLOAD_TOO_LARGE, Code::TooLarge.as_str(), sentence).by(rule)
}
