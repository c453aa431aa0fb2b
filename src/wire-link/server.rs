//! The side that is dialled: who is let in, before the upgrade and after it.

use std::net::SocketAddr;
use std::sync::Arc;

use clawmesh_wire::access::Caller;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

use crate::connection::Connection;
use crate::counts::Count;
use crate::host::Why;
use crate::hub::Hub;
use crate::limits::{Class, Who};
use crate::origin::{Head, TurnedAway};
use crate::places::Held;
use crate::socket::{Carrier, Socket, bounds};

/// A connection that may be upgraded: it holds its place until it is dropped.
pub struct Ticket {
    caller: Caller,
    from: SocketAddr,
    held: Held,
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ticket")
            .field("caller", &self.caller)
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}

/// Judges an upgrade request.
pub(crate) fn admit(hub: &Arc<Hub>, head: &Head, from: SocketAddr) -> Result<Ticket, TurnedAway> {
    let admitted = hub.enter(from).and_then(|held| judged(hub, head, from, held));
    admitted.inspect_err(|turned| turned_away(hub, from, turned))
}

fn judged(hub: &Hub, head: &Head, from: SocketAddr, mut held: Held) -> Result<Ticket, TurnedAway> {
    // To show a token is a way to show who one is, so it may be tried as often as that.
    if head.has_token() && !hub.may(Who::at(from.ip()), Class::Handshake) {
        return Err(TurnedAway::new(429, "too many tokens came from your address; slow down"));
    }
    let is_token = |token: &str| hub.host.is_operator_token(token);
    let caller = head.judge(from, &hub.config.allowed_origins, is_token)?;
    if caller == Caller::Operator {
        held.proven();
    }
    Ok(Ticket { caller, from, held })
}

fn turned_away(hub: &Hub, from: SocketAddr, turned: &TurnedAway) {
    hub.counters.add(Count::TurnedAway);
    tracing::debug!(%from, status = turned.status, why = turned.sentence, "a connection was turned away");
}

/// Serves a stream that was upgraded with a ticket, to its end.
pub(crate) async fn serve_admitted<S>(hub: &Arc<Hub>, stream: S, ticket: Ticket) -> Why
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let carrier: Box<dyn Carrier> = Box::new(stream);
    let socket = WebSocketStream::from_raw_socket(carrier, Role::Server, Some(bounds())).await;
    run(hub, socket, ticket).await
}

/// Serves a stream that was upgraded before anybody was asked; whoever may not stay hears it as a close code.
pub(crate) async fn serve<S>(hub: &Arc<Hub>, stream: S, head: &Head, from: SocketAddr) -> Why
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    match admit(hub, head, from) {
        Ok(ticket) => serve_admitted(hub, stream, ticket).await,
        Err(turned) => {
            let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(bounds())).await;
            let code = if turned.status == 503 { 1_013 } else { 1_008 };
            let frame = CloseFrame { code: code.into(), reason: turned.sentence.clone().into() };
            let _ = timeout(hub.config.timing.goodbye_max, socket.close(Some(frame))).await;
            Why::NoHandshake(turned.sentence)
        }
    }
}

async fn run(hub: &Arc<Hub>, socket: Socket, ticket: Ticket) -> Why {
    let Ticket { caller, from, held } = ticket;
    let link = hub.begin(from);
    Connection::inbound(Arc::clone(hub), socket, caller, held, link).run().await
}

/// Takes connections from a port until everything is closed, over TLS if there is a configuration for it.
pub(crate) async fn listen(hub: Arc<Hub>, listener: TcpListener, tls: Option<Arc<ServerConfig>>) {
    loop {
        let closing = hub.closing.notified();
        if hub.is_closing() {
            return;
        }
        let accepted = tokio::select! {
            () = closing => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) => begin(&hub, stream, from, tls.clone()),
            Err(fault) => {
                // Mostly too many open files; it passes when connections end.
                tracing::warn!(%fault, "a connection could not be taken; more open files may be needed");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
}

/// One task for a connection, if there is a place for it, or a few seconds to say that there is none.
fn begin(hub: &Arc<Hub>, stream: TcpStream, from: SocketAddr, tls: Option<Arc<ServerConfig>>) {
    let Some(entered) = enter(hub, from) else { return };
    let hub = Arc::clone(hub);
    tokio::spawn(async move { take(&hub, stream, from, tls, entered).await });
}

fn enter(hub: &Arc<Hub>, from: SocketAddr) -> Option<Entered> {
    match hub.enter(from) {
        Ok(held) => Some(Ok(held)),
        Err(turned) => {
            turned_away(hub, from, &turned);
            hub.turn_one_away().map(|permit| Err((turned, permit)))
        }
    }
}

/// A place, or the reason why there is none and the right to say so.
type Entered = Result<Held, (TurnedAway, OwnedSemaphorePermit)>;

async fn take(
    hub: &Arc<Hub>,
    stream: TcpStream,
    from: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
    entered: Entered,
) {
    let upgraded = timeout(hub.config.timing.handshake_max, upgrade(hub, stream, from, tls, entered)).await;
    match upgraded {
        Ok(Some((socket, ticket))) => {
            run(hub, socket, ticket).await;
        }
        Ok(None) => {}
        Err(_) => hub.counters.add(Count::UpgradesFailed),
    }
}

/// Takes one TCP connection that somebody else has accepted.
pub(crate) async fn accept_tcp(
    hub: &Arc<Hub>,
    stream: TcpStream,
    from: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
) {
    let Some(entered) = enter(hub, from) else { return };
    take(hub, stream, from, tls, entered).await;
}

async fn upgrade(
    hub: &Arc<Hub>,
    stream: TcpStream,
    from: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
    entered: Entered,
) -> Option<(Socket, Ticket)> {
    // Messages are small and somebody waits for each: they leave at once.
    let _ = stream.set_nodelay(true);
    let carrier: Box<dyn Carrier> = match tls {
        None => Box::new(stream),
        Some(config) => match TlsAcceptor::from(config).accept(stream).await {
            Ok(stream) => Box::new(stream),
            Err(fault) => {
                hub.counters.add(Count::UpgradesFailed);
                tracing::debug!(%from, %fault, "a connection has no TLS");
                return None;
            }
        },
    };
    let mut entered = Some(entered);
    let mut ticket = None;
    #[expect(clippy::result_large_err, reason = "the form of the callback is given")]
    let callback = |request: &Request, response: Response| {
        let decided = match entered.take() {
            Some(Ok(held)) => {
                let judged = judged(hub, &Head::of(request.headers()), from, held);
                judged.inspect_err(|turned| turned_away(hub, from, turned))
            }
            Some(Err((turned, _permit))) => Err(turned),
            None => Err(TurnedAway::new(500, "the request was judged already")),
        };
        ticket = Some(decided.map_err(|turned| answer_to(&turned))?);
        Ok(response)
    };
    match accept_hdr_async_with_config(carrier, callback, Some(bounds())).await {
        Ok(socket) => ticket.map(|ticket| (socket, ticket)),
        Err(fault) => {
            hub.counters.add(Count::UpgradesFailed);
            tracing::debug!(%from, %fault, "a connection was not upgraded");
            None
        }
    }
}

fn answer_to(turned: &TurnedAway) -> ErrorResponse {
    let mut response = ErrorResponse::new(Some(turned.sentence.clone()));
    *response.status_mut() = StatusCode::from_u16(turned.status).unwrap_or(StatusCode::FORBIDDEN);
    response
}
