//! The door of existing nodes on the port of the gateway, which is open before the links are there.

use std::net::SocketAddr;
use std::sync::OnceLock;

use axum::http::HeaderMap;
use clawmesh_gateway::{NoWebSocket, Serve, WebSockets};
use clawmesh_wire_link::{Head, Links};
use tokio::runtime::Handle;

/// Hands WebSockets to the links once they are there.
#[derive(Default)]
pub struct GuestDoor(OnceLock<(Links, Handle)>);

impl GuestDoor {
    /// The links are there, and `tasks` runs what they serve. A node has them once in its life.
    pub fn came(&self, links: Links, tasks: Handle) {
        let _ = self.0.set((links, tasks));
    }
}

impl WebSockets for GuestDoor {
    fn admit(&self, headers: &HeaderMap, from: SocketAddr) -> Result<Serve, NoWebSocket> {
        let Some((links, tasks)) = self.0.get().cloned() else {
            let sentence = "this node is starting; connect again in a moment".to_owned();
            return Err(NoWebSocket { status: 503, sentence });
        };
        let turned = |turned: clawmesh_wire_link::TurnedAway| NoWebSocket {
            status: turned.status,
            sentence: turned.sentence,
        };
        let ticket = links.admit(&Head::of(headers), from).map_err(turned)?;
        Ok(Box::new(move |stream| {
            tasks.spawn(async move {
                let why = links.serve_admitted(stream, ticket).await;
                tracing::debug!(%from, "a connection of the wire protocol has ended: {why}");
            });
        }))
    }
}
