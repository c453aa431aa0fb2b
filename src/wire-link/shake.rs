//! The handshake on a connection that we have made, before it is driven like any other.

use std::sync::Arc;

use clawmesh_authority::NodeId;
use clawmesh_wire::frame::{Frame, RemoteRefusal, Response, encode_refusal, encode_request, parse};
use clawmesh_wire::handshake::{Admitted, CLOSE_CODE, Close, CloseReason, Dialler, Ourselves};
use clawmesh_wire::{Code, Refusal};
use futures_util::{SinkExt as _, StreamExt as _};
use serde::Serialize;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message};

use crate::cause::{Cause, Trouble};
use crate::hub::Hub;
use crate::requests::random_bytes;
use crate::socket::Socket;

/// The most messages that may come before the handshake is over.
const MESSAGES_MAX: u32 = 64;

/// The ids of our two calls.
const CHALLENGE_ID: &str = "challenge";
const CONNECT_ID: &str = "connect";

/// Why a node is not connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DialFault {
    pub trouble: Trouble,
    /// False for what may pass by itself.
    pub takes_a_person: bool,
}

impl DialFault {
    /// It was not reached, or the connection broke; try again soon.
    pub fn unreached(cause: Cause, sentence: impl Into<String>) -> Self {
        Self { trouble: Trouble { cause, sentence: sentence.into() }, takes_a_person: false }
    }

    /// It has refused us, or has not shown who it is.
    pub fn refused(cause: Cause, sentence: impl Into<String>) -> Self {
        Self { takes_a_person: true, ..Self::unreached(cause, sentence) }
    }
}

#[derive(Serialize)]
struct Nothing {}

/// Shows `node`, on the other end of `socket`, who we are, and has it do the same.
pub(crate) async fn shake(hub: &Arc<Hub>, socket: &mut Socket, node: NodeId) -> Result<Admitted, DialFault> {
    let book = |node| hub.trust(node);
    let mut dialler = Dialler::new(node, &book)
        .map_err(|refusal| DialFault::refused(Cause::UntrustedHere, refusal.message))?;
    let host = Arc::clone(&hub.host);
    let about = host.about();
    let ours = Ourselves { key: host.key(), about: &about };

    let text = encode_request(CHALLENGE_ID, "mesh.challenge", &Nothing {});
    let challenged = ask(socket, text, CHALLENGE_ID).await?;
    let random = random_bytes().map_err(ours_to_mend)?;
    let params = match dialler.challenged(&outcome_of(&challenged), ours, &random, host.now()) {
        Ok(params) => params,
        Err(close) => return Err(closed(socket, &close, &challenged).await),
    };
    let text = encode_request(CONNECT_ID, "mesh.connect", &params);
    let answered = ask(socket, text, CONNECT_ID).await?;
    match dialler.answered(&outcome_of(&answered), ours, &book, host.now()) {
        Ok(admitted) => Ok(admitted),
        Err(close) => Err(closed(socket, &close, &answered).await),
    }
}

/// An answer that outlives the message it came in.
type Kept = Result<Option<Box<serde_json::value::RawValue>>, RemoteRefusal>;

fn outcome_of(kept: &Kept) -> clawmesh_wire::frame::Outcome<'_> {
    kept.as_ref().map(Option::as_deref).map_err(Clone::clone)
}

async fn ask(socket: &mut Socket, text: Result<String, Refusal>, id: &str) -> Result<Kept, DialFault> {
    let text = text.map_err(ours_to_mend)?;
    socket.send(Message::Text(text.into())).await.map_err(|fault| unreached(&fault))?;
    for _ in 0..MESSAGES_MAX {
        let message = match socket.next().await {
            Some(Ok(message)) => message,
            Some(Err(fault)) => return Err(unreached(&fault)),
            None => {
                let sentence = "it closed the connection before the handshake";
                return Err(DialFault::unreached(Cause::NotANode, sentence));
            }
        };
        let Message::Text(text) = message else { continue };
        match parse(text.as_bytes()) {
            Ok(Frame::Response(Response { id: answered, outcome })) if answered == id => {
                return Ok(outcome.map(|payload| payload.map(ToOwned::to_owned)));
            }
            Ok(Frame::Request(request)) => {
                let sentence = "we have not finished the handshake with you; ask later";
                let refusal = encode_refusal(&request.id, &Refusal::new(Code::NotAuthorized, sentence));
                socket.send(Message::Text(refusal.into())).await.map_err(|fault| unreached(&fault))?;
            }
            Ok(Frame::Response(_) | Frame::Event(_)) | Err(_) => {}
        }
    }
    let sentence = format!("it sent {MESSAGES_MAX} messages and no answer to the handshake");
    Err(DialFault::unreached(Cause::NotANode, sentence))
}

fn unreached(fault: &tokio_tungstenite::tungstenite::Error) -> DialFault {
    DialFault::unreached(Cause::NotANode, format!("the connection broke during the handshake: {fault}"))
}

/// Nothing of the other side: it passes, or the log tells.
fn ours_to_mend(refusal: Refusal) -> DialFault {
    DialFault::unreached(Cause::NoPlace, refusal.message)
}

/// Says over the wire why we close, and tells apart who has refused us from who is only busy.
async fn closed(socket: &mut Socket, close: &Close, kept: &Kept) -> DialFault {
    let frame = CloseFrame { code: CLOSE_CODE.into(), reason: close.reason.as_str().into() };
    let _ = socket.close(Some(frame)).await;
    let is_busy = |refusal: &RemoteRefusal| {
        let code = Code::of_text(&refusal.code);
        matches!(code, Some(Code::RateLimited | Code::Busy | Code::InternalError | Code::AuthNonceInvalid))
    };
    let may_retry = matches!(close.reason, CloseReason::ChallengeFailed | CloseReason::ConnectRejected)
        && kept.as_ref().is_err_and(is_busy);
    let cause = cause_of(close.reason, kept.as_ref().err().and_then(|refusal| Code::of_text(&refusal.code)));
    DialFault { takes_a_person: !may_retry, ..DialFault::refused(cause, close.sentence.clone()) }
}

/// What a handshake ended with, and with which code the other side has refused us, if it did.
fn cause_of(reason: CloseReason, refused: Option<Code>) -> Cause {
    match (reason, refused) {
        (_, Some(Code::UntrustedPeer | Code::PublicKeyMismatch)) => Cause::UntrustedThere,
        // The key fits our id wherever the id is known, so what does not fit is the time.
        (_, Some(Code::AuthFailed)) | (CloseReason::AnotherTime, _) => Cause::Clock,
        (_, Some(Code::MeshIdMismatch)) | (CloseReason::MeshIdMismatch, _) => Cause::OtherMesh,
        (CloseReason::DeviceIdMismatch, _) => Cause::OtherNode,
        (CloseReason::ConnectRejected, _) | (_, Some(_)) => Cause::RefusedThere,
        (
            CloseReason::ChallengeFailed
            | CloseReason::InvalidResponse
            | CloseReason::UnexpectedResponse
            | CloseReason::SignatureMismatch,
            None,
        ) => Cause::NotANode,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_of_a_handshake_has_its_cause() {
        use CloseReason as End;
        for (reason, refused, cause) in [
            (End::ConnectRejected, Some(Code::UntrustedPeer), Cause::UntrustedThere),
            (End::ConnectRejected, Some(Code::PublicKeyMismatch), Cause::UntrustedThere),
            (End::ConnectRejected, Some(Code::AuthFailed), Cause::Clock),
            (End::ConnectRejected, Some(Code::MeshIdMismatch), Cause::OtherMesh),
            (End::ConnectRejected, Some(Code::Busy), Cause::RefusedThere),
            (End::ConnectRejected, None, Cause::RefusedThere),
            (End::ChallengeFailed, Some(Code::RateLimited), Cause::RefusedThere),
            (End::ChallengeFailed, None, Cause::NotANode),
            (End::InvalidResponse, None, Cause::NotANode),
            (End::UnexpectedResponse, None, Cause::NotANode),
            (End::SignatureMismatch, None, Cause::NotANode),
            (End::DeviceIdMismatch, None, Cause::OtherNode),
            (End::AnotherTime, None, Cause::Clock),
            (End::MeshIdMismatch, None, Cause::OtherMesh),
        ] {
            assert_eq!(cause_of(reason, refused), cause, "{reason:?} {refused:?}");
        }
    }
}
