//! Which path leads where, and what all of them share.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use clawmesh_authority::approval::APPROVAL_BYTES_MAX;
use clawmesh_authority::request::REQUEST_BYTES_MAX;
use clawmesh_core::publish::NodeView;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use crate::answer::{Fault, RefusedRequests, finish};
use crate::config::{GatewayConfig, GatewayPorts};
use crate::events::{STREAMS_MAX, follow};
use crate::guards::{check_caller, check_may_stop, check_token};
use crate::hosts::Hosts;
use crate::observations::{BODY_BYTES_MAX, note};
use crate::upgrade::{LinksView, hand_over};
use crate::{alarms, asks, capabilities, evidence, history, page, reads, status, stop};

/// What every request can see.
pub(crate) struct Shared {
    pub(crate) node: NodeView,
    pub(crate) token: String,
    pub(crate) hosts: Hosts,
    pub(crate) ports: GatewayPorts,
    /// Places for event streams.
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) refused: Arc<RefusedRequests>,
    started: Instant,
    closing: watch::Sender<bool>,
}

impl Shared {
    pub(crate) fn new(config: &GatewayConfig, address: SocketAddr, ports: GatewayPorts) -> Self {
        Self {
            node: config.node.clone(),
            token: config.token.clone(),
            hosts: Hosts::of(address),
            ports,
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            refused: Arc::default(),
            started: Instant::now(),
            closing: watch::Sender::new(false),
        }
    }

    /// How the links to existing nodes stand; nothing where nobody takes WebSockets.
    pub(crate) fn links_view(&self) -> LinksView {
        self.ports.web_sockets.as_ref().map(|taker| taker.view()).unwrap_or_default()
    }

    pub(crate) fn uptime_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn close(&self) {
        self.closing.send_replace(true);
    }

    pub(crate) fn closing(&self) -> watch::Receiver<bool> {
        self.closing.subscribe()
    }

    /// Ready once the node shuts down.
    pub(crate) async fn closed(&self) {
        // The sender is our own field, so this cannot fail.
        let _ = self.closing().wait_for(|closing| *closing).await;
    }
}

/// Everything the door answers, without the door: for tests, or to be served elsewhere. `address` is where
/// callers believe they call.
///
/// # Errors
/// When the token is too short.
pub fn router(
    config: &GatewayConfig,
    address: SocketAddr,
    ports: GatewayPorts,
) -> Result<Router, crate::GatewayError> {
    config.check_token()?;
    Ok(routes(Arc::new(Shared::new(config, address, ports))))
}

pub(crate) fn routes(shared: Arc<Shared>) -> Router {
    let guarded = Router::new()
        .route("/api/status", get(status::status))
        .route("/api/identity", get(reads::identity))
        .route("/api/peers", get(reads::peers))
        .route("/api/peers/{id}", get(reads::peer))
        .route("/api/world", get(reads::world))
        .route("/api/capabilities", get(capabilities::capabilities))
        .route("/api/observations", post(note))
        .route("/api/events", get(follow))
        .route("/api/system-events", get(history::events))
        .route("/api/trace", get(history::trace))
        .route("/api/alarms", get(alarms::alarms))
        .route("/api/alarms/acknowledge", post(alarms::acknowledge))
        .route("/api/alarms/shelve", post(alarms::shelve))
        .route("/api/alarms/unshelve", post(alarms::unshelve))
        .route("/api/proposals", get(reads::proposals))
        .route("/api/evidence", get(evidence::evidence))
        // The innermost limit counts.
        .route("/api/requests", post(asks::request).layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX)))
        .route("/api/approvals", post(asks::approve).layer(DefaultBodyLimit::max(APPROVAL_BYTES_MAX)))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .route_layer(from_fn_with_state(Arc::clone(&shared), check_token));
    let stop = Router::new()
        .route("/api/stop", post(stop::stop))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .route_layer(from_fn_with_state(Arc::clone(&shared), check_may_stop));
    Router::new()
        .route("/api/health", get(status::health))
        .merge(page::routes())
        .merge(guarded)
        .merge(stop)
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(from_fn_with_state(Arc::clone(&shared), check_caller))
        .layer(from_fn_with_state(Arc::clone(&shared), hand_over))
        .layer(from_fn_with_state(Arc::clone(&shared), finish))
        .with_state(shared)
}

async fn no_route(uri: Uri) -> Fault {
    let sentence = format!("there is nothing at {}; the node's documentation lists the routes", shown(&uri));
    Fault::new(StatusCode::NOT_FOUND, "NOT_FOUND", sentence)
}

async fn no_method(method: Method, uri: Uri) -> Fault {
    let sentence = format!("{} does not take {method}", shown(&uri));
    Fault::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", sentence)
}

fn shown(uri: &Uri) -> String {
    uri.path().chars().take(80).collect()
}
