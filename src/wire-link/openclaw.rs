//! Connecting to an OpenClaw gateway once: to be let in, to hear what it says, and to leave.

use std::time::Duration;

use clawmesh_authority::NodeKey;
use clawmesh_wire::frame::{Frame, RemoteRefusal, Response, encode_request, parse};
use clawmesh_wire::openclaw::{CHALLENGE, CONNECT, Login, nonce_of};
use clawmesh_wire::peer_spec::PeerUrl;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::value::RawValue;
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::protocol::Message;

use crate::dial::{Stage, carry};
use crate::socket::{Socket, bounds};

/// The most messages that may come before a gateway has answered.
const MESSAGES_MAX: u32 = 64;
/// The id of the one call.
const CALL_ID: &str = "connect";

/// Why a gateway has not let us in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GatewayFault {
    /// It was not reached, or does not speak the protocol.
    #[error("{0}")]
    Unreached(String),
    /// It has refused us.
    #[error("the gateway has refused us: {}: {}", .0.code, .0.message)]
    Refused(RemoteRefusal),
}

/// Where a gateway is.
#[derive(Debug, Clone, Copy)]
pub struct GatewayAddress<'a> {
    /// Its address.
    pub url: &'a PeerUrl,
    /// Its pinned certificate.
    pub fingerprint: Option<&'a str>,
}

/// Connects with this key and login at `unix_ms`, and leaves again. What the gateway has answered, as JSON.
///
/// # Errors
/// Why it has not let us in within `timeout`.
pub async fn greet_gateway(
    at: GatewayAddress<'_>,
    key: &NodeKey,
    login: &Login<'_>,
    unix_ms: u64,
    timeout: Duration,
) -> Result<Box<RawValue>, GatewayFault> {
    let in_time = tokio::time::timeout(timeout, greet(at, key, login, unix_ms)).await;
    in_time.unwrap_or_else(|_| {
        let ms = timeout.as_millis();
        Err(GatewayFault::Unreached(format!("{} has not let us in within {ms} ms", at.url)))
    })
}

async fn greet(
    at: GatewayAddress<'_>,
    key: &NodeKey,
    login: &Login<'_>,
    unix_ms: u64,
) -> Result<Box<RawValue>, GatewayFault> {
    let (carrier, _) = carry(at.url, at.fingerprint, &Stage::default())
        .await
        .map_err(|fault| GatewayFault::Unreached(fault.trouble.sentence))?;
    let upgraded = client_async_with_config(at.url.to_string(), carrier, Some(bounds())).await;
    let (mut socket, _): (Socket, _) = upgraded.map_err(|fault| {
        GatewayFault::Unreached(format!("{} has not upgraded to WebSocket: {fault}", at.url))
    })?;
    let nonce = challenged(&mut socket).await?;
    let text = encode_request(CALL_ID, CONNECT, &login.params(key, unix_ms, &nonce));
    let text = text.map_err(|refusal| GatewayFault::Unreached(refusal.message))?;
    socket.send(Message::Text(text.into())).await.map_err(|fault| broken(&fault))?;
    let answer = answered(&mut socket).await;
    // What it said counts, however it takes our leaving.
    let _ = socket.close(None).await;
    answer
}

async fn challenged(socket: &mut Socket) -> Result<String, GatewayFault> {
    for _ in 0..MESSAGES_MAX {
        let text = next(socket).await?;
        if let Ok(Frame::Event(event)) = parse(text.as_bytes())
            && event.event == CHALLENGE
        {
            return nonce_of(event.payload).map_err(|refusal| GatewayFault::Unreached(refusal.message));
        }
    }
    Err(silent())
}

async fn answered(socket: &mut Socket) -> Result<Box<RawValue>, GatewayFault> {
    for _ in 0..MESSAGES_MAX {
        let text = next(socket).await?;
        if let Ok(Frame::Response(Response { id, outcome })) = parse(text.as_bytes())
            && id == CALL_ID
        {
            let payload = outcome.map_err(GatewayFault::Refused)?;
            return Ok(payload.unwrap_or(RawValue::NULL).to_owned());
        }
    }
    Err(silent())
}

/// The next text.
async fn next(socket: &mut Socket) -> Result<String, GatewayFault> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => return Ok(text.to_string()),
            Some(Ok(Message::Close(frame))) => {
                let why = frame.map(|frame| format!(": {} {}", frame.code, frame.reason)).unwrap_or_default();
                return Err(GatewayFault::Unreached(format!("the gateway has closed the connection{why}")));
            }
            Some(Ok(_)) => {}
            Some(Err(fault)) => return Err(broken(&fault)),
            None => return Err(GatewayFault::Unreached("the gateway has closed the connection".to_owned())),
        }
    }
}

fn broken(fault: &tokio_tungstenite::tungstenite::Error) -> GatewayFault {
    GatewayFault::Unreached(format!("the connection to the gateway broke: {fault}"))
}

fn silent() -> GatewayFault {
    GatewayFault::Unreached(format!(
        "the gateway has sent {MESSAGES_MAX} messages and no answer; it speaks another protocol"
    ))
}
