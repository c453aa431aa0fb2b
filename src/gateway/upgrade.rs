//! WebSockets at the root: the port is shared with the edge that speaks to existing nodes, which says who may come and takes
//! the stream. It judges origin and token by its own rules, because whoever calls has no page and no token of ours.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::serve::IncomingStream;
use clawmesh_authority::NodeId;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};
use tungstenite::handshake::derive_accept_key;

use crate::answer::Fault;
use crate::connection::BoundedListener;
use crate::router::Shared;

/// A stream of bytes that was an HTTP connection.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for S {}

/// What becomes of a stream once it is a WebSocket.
pub type Serve = Box<dyn FnOnce(Box<dyn ByteStream>) + Send>;

/// Why somebody may not have a WebSocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoWebSocket {
    /// The HTTP status.
    pub status: u16,
    /// What is wrong and what to do.
    pub sentence: String,
}

/// Who takes WebSockets.
pub trait WebSockets: Send + Sync {
    /// Whether somebody who calls from `from` with these headers may have one, and what becomes of it.
    ///
    /// # Errors
    /// The answer to whoever may not.
    fn admit(&self, headers: &HeaderMap, from: SocketAddr) -> Result<Serve, NoWebSocket>;

    /// How the connections stand.
    fn view(&self) -> LinksView;
}

/// How all connections to existing nodes stand.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LinksView {
    /// How many there are.
    pub connections: usize,
    /// What was taken, dropped and refused since the start, by name.
    pub counts: BTreeMap<String, u64>,
    /// The nodes we dial.
    pub dialled: Vec<DialledView>,
    /// The nodes that were found in the local network.
    pub nearby: Vec<NearbyView>,
    /// Who wanted to connect and was refused.
    pub knocks: Vec<KnockView>,
}

/// An existing node that was found in the local network. Anybody there can say it; only a handshake shows who it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NearbyView {
    /// The id it gives.
    pub id: NodeId,
    /// The name it gives.
    pub name: String,
    /// Where it listens.
    pub url: String,
    /// True when its statements are taken here.
    pub trusted: bool,
}

/// Somebody who wanted to connect as an existing node and was refused. Nobody has proven anything here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnockView {
    /// Who they claimed to be.
    pub id: NodeId,
    /// The code of the refusal.
    pub code: String,
    /// What was wrong and what to do.
    pub sentence: String,
    /// When it was last, Unix milliseconds.
    pub at_ms: u64,
}

/// An existing node that we dial, and how that goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DialledView {
    /// Whom we expect there.
    pub id: NodeId,
    /// Where.
    pub url: String,
    /// What people call the way.
    pub label: Option<String>,
    /// `insecure`, `tls-unpinned` or `tls-pinned`.
    pub posture: String,
    /// True when somebody has configured it, false when it was discovered.
    pub is_static: bool,
    /// `connecting`, `connected`, `waiting` or `refused`.
    pub state: String,
    /// When we try again, Unix milliseconds.
    pub until_ms: Option<u64>,
    /// What went wrong last, until it is connected, for programs: by the names of `Cause` in `src/wire-link/cause.rs`.
    pub cause: Option<String>,
    /// What went wrong and what to do.
    pub sentence: Option<String>,
}

/// What proxies add to a request that they pass on.
const PASSED_ON: [&str; 9] = [
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-server",
    "x-real-ip",
    "x-client-ip",
    "cf-connecting-ip",
];

/// Where a request comes from, and how.
#[derive(Debug, Clone)]
pub(crate) struct From {
    address: SocketAddr,
    is_tls: Arc<AtomicBool>,
}

impl From {
    /// True when the connection of a request speaks TLS.
    pub(crate) fn is_tls(request: &Request) -> bool {
        let from = request.extensions().get::<ConnectInfo<Self>>();
        from.is_some_and(|ConnectInfo(from)| from.is_tls.load(Ordering::Relaxed))
    }

    /// True when whoever asks does so on this machine, and for nobody else: what a proxy passes on comes from somewhere.
    pub(crate) fn is_on_loopback(request: &Request) -> bool {
        let from = request.extensions().get::<ConnectInfo<Self>>();
        let is_near = from.is_some_and(|ConnectInfo(from)| from.address.ip().to_canonical().is_loopback());
        is_near && !PASSED_ON.iter().any(|header| request.headers().contains_key(*header))
    }
}

impl Connected<IncomingStream<'_, BoundedListener>> for From {
    fn connect_info(stream: IncomingStream<'_, BoundedListener>) -> Self {
        Self { address: *stream.remote_addr(), is_tls: stream.io().inner().is_tls() }
    }
}

/// Hands WebSockets over; everything else goes on to the routes.
pub(crate) async fn hand_over(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let from = request.extensions().get::<ConnectInfo<From>>().map(|ConnectInfo(from)| from.address);
    let (Some(taker), Some(from)) = (&shared.ports.web_sockets, from) else {
        return next.run(request).await;
    };
    let Some(key) = asked_for(&request) else { return next.run(request).await };
    let accept = derive_accept_key(key.as_bytes());
    match taker.admit(request.headers(), from) {
        Ok(serve) => upgraded(request, &accept, serve),
        Err(no) => {
            let status = StatusCode::from_u16(no.status).unwrap_or(StatusCode::FORBIDDEN);
            Fault::new(status, "NO_WEB_SOCKET", no.sentence).into_response()
        }
    }
}

/// The key of a request for a WebSocket at the root, if it is one.
fn asked_for(request: &Request) -> Option<HeaderValue> {
    let headers = request.headers();
    let is_upgrade =
        names(headers, header::CONNECTION, "upgrade") && names(headers, header::UPGRADE, "websocket");
    let is_known = headers.get(header::SEC_WEBSOCKET_VERSION).is_some_and(|version| version == "13");
    let is_ours = request.method() == Method::GET && request.uri().path() == "/";
    if is_upgrade && is_known && is_ours { headers.get(header::SEC_WEBSOCKET_KEY).cloned() } else { None }
}

/// True when a header with a list of words has this one.
fn names(headers: &HeaderMap, header: header::HeaderName, word: &str) -> bool {
    let texts = headers.get_all(header).iter().filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).any(|part| part.trim().eq_ignore_ascii_case(word))
}

fn upgraded(request: Request, accept: &str, serve: Serve) -> Response {
    let upgrade = hyper::upgrade::on(request);
    tokio::spawn(async move {
        match upgrade.await {
            Ok(stream) => serve(Box::new(TokioIo::new(stream))),
            Err(fault) => tracing::debug!(%fault, "a connection ended before it was a WebSocket"),
        }
    });
    let headers = [
        (header::CONNECTION, "upgrade"),
        (header::UPGRADE, "websocket"),
        (header::SEC_WEBSOCKET_ACCEPT, accept),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}
