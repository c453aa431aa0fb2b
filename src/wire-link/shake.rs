//! The handshake on a connection that we have made, before it is driven like any other.

use std::sync::Arc;

use clawmesh_authority::NodeId;
use clawmesh_wire::frame::{Frame, RemoteRefusal, Response, encode_refusal, encode_request, parse};
use clawmesh_wire::handshake::{Admitted, CLOSE_CODE, Close, CloseReason, Dialler, Ourselves};
use clawmesh_wire::{Code, Refusal};
use futures_util::{SinkExt as _, StreamExt as _};
use serde::Serialize;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message};

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
pub(crate) enum DialFault {
    /// It was not reached, or the connection broke; try again soon.
    Unreached(String),
    /// It has refused us, or has not shown who it is; that takes a person.
    Refused(String),
}

impl DialFault {
    pub fn sentence(&self) -> &str {
        match self {
            Self::Unreached(sentence) | Self::Refused(sentence) => sentence,
        }
    }
}

#[derive(Serialize)]
struct Nothing {}

/// Shows `node`, on the other end of `socket`, who we are, and has it do the same.
pub(crate) async fn shake(hub: &Arc<Hub>, socket: &mut Socket, node: NodeId) -> Result<Admitted, DialFault> {
    let book = |node| hub.trust(node);
    let mut dialler = Dialler::new(node, &book).map_err(|refusal| DialFault::Refused(refusal.message))?;
    let host = Arc::clone(&hub.host);
    let about = host.about();
    let ours = Ourselves { key: host.key(), about: &about };

    let text = encode_request(CHALLENGE_ID, "mesh.challenge", &Nothing {});
    let challenged = ask(socket, text, CHALLENGE_ID).await?;
    let random = random_bytes().map_err(|refusal| DialFault::Unreached(refusal.message))?;
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
    let text = text.map_err(|refusal| DialFault::Unreached(refusal.message))?;
    socket.send(Message::Text(text.into())).await.map_err(|fault| unreached(&fault))?;
    for _ in 0..MESSAGES_MAX {
        let message = match socket.next().await {
            Some(Ok(message)) => message,
            Some(Err(fault)) => return Err(unreached(&fault)),
            None => {
                return Err(DialFault::Unreached("it closed the connection before the handshake".to_owned()));
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
    Err(DialFault::Unreached(format!("it sent {MESSAGES_MAX} messages and no answer to the handshake")))
}

fn unreached(fault: &tokio_tungstenite::tungstenite::Error) -> DialFault {
    DialFault::Unreached(format!("the connection broke during the handshake: {fault}"))
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
    if may_retry {
        DialFault::Unreached(close.sentence.clone())
    } else {
        DialFault::Refused(close.sentence.clone())
    }
}
