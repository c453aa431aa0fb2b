//! What a node holds of all its connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clawmesh_authority::NodeId;
use clawmesh_wire::context::ContextFrame;
use clawmesh_wire::frame::encode_event;
use clawmesh_wire::handshake::PeerTrust;
use clawmesh_wire::peer_news::{LEAVING, PeerLeaving};
use clawmesh_wire::peer_spec::PeerSpec;
use clawmesh_wire::{Code, Refusal};
use rustls::ServerConfig;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::config::Config;
use crate::counts::Counts;
use crate::host::{Host, Session, Why};
use crate::hub::Hub;
use crate::link::{CallFault, Link, LinkQuality, Pending, locked};
use crate::origin::{Head, TurnedAway};
use crate::peers::{PeerState, PeerView};
use crate::server::Ticket;
use crate::{dial, server};

/// How the connection of a node is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vitals {
    /// The node.
    pub node: NodeId,
    /// How often something came from it on this connection, pongs too.
    pub heard_count: u64,
    /// How good the connection is.
    pub quality: LinkQuality,
}

/// All connections of a node. Copies of it are the same.
#[derive(Clone)]
pub struct Links {
    hub: Arc<Hub>,
}

impl std::fmt::Debug for Links {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Links").field("connections", &self.hub.connections()).finish_non_exhaustive()
    }
}

impl Links {
    /// Begins; nothing is dialled and nobody is served yet. All that follows needs a tokio runtime around it.
    ///
    /// To drop it ends nothing: that is for [`Links::close`].
    #[must_use]
    pub fn start(config: Config, host: Arc<dyn Host>) -> Self {
        Self { hub: Arc::new(Hub::new(config, host)) }
    }

    /// Judges an upgrade request; the ticket is for [`Links::serve_admitted`].
    ///
    /// # Errors
    /// The status and the sentence to answer with instead of the upgrade.
    pub fn admit(&self, head: &Head, from: SocketAddr) -> Result<Ticket, TurnedAway> {
        server::admit(&self.hub, head, from)
    }

    /// Serves a stream that was upgraded with a ticket, to its end.
    pub async fn serve_admitted<S>(&self, stream: S, ticket: Ticket) -> Why
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        server::serve_admitted(&self.hub, stream, ticket).await
    }

    /// Serves a stream that was upgraded before anybody was asked; whoever may not stay is closed with 1008 or 1013.
    pub async fn serve<S>(&self, stream: S, head: &Head, from: SocketAddr) -> Why
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        server::serve(&self.hub, stream, head, from).await
    }

    /// Upgrades and serves one TCP connection, to its end.
    pub async fn accept_tcp(&self, stream: TcpStream, from: SocketAddr, tls: Option<Arc<ServerConfig>>) {
        server::accept_tcp(&self.hub, stream, from, tls).await;
    }

    /// Serves a port until [`Links::close`], over TLS if there is a configuration for it.
    pub async fn listen(&self, listener: TcpListener, tls: Option<Arc<ServerConfig>>) {
        server::listen(Arc::clone(&self.hub), listener, tls).await;
    }

    /// Dials a node that somebody has configured, from now on, or takes its new address. False when there are too many.
    pub fn dial(&self, spec: PeerSpec) -> bool {
        dial::dial(&self.hub, spec, true)
    }

    /// Dials a node whose address was discovered, or takes its new address: only one that is trusted, and whose id is
    /// higher than ours. False when it is not dialled.
    pub fn discovered(&self, spec: PeerSpec) -> bool {
        dial::dial_discovered(&self.hub, spec)
    }

    /// A node whose address was discovered has gone: it is dialled no more, until it is discovered again. A connection that
    /// it has stays, and so does a node that somebody has configured.
    pub fn lost(&self, node: NodeId) {
        dial::lost(&self.hub, node);
    }

    /// True while statements of this node are taken.
    #[must_use]
    pub fn trusts(&self, node: NodeId) -> bool {
        self.hub.trust(node) != PeerTrust::Unknown
    }

    /// Dials a node no more; a connection that it has stays.
    pub fn forget(&self, node: NodeId) {
        dial::forget(&self.hub, node);
    }

    /// Dials a node now instead of waiting.
    pub fn poke(&self, node: NodeId) {
        if let Some(peer) = locked(&self.hub.dialled).get(&node) {
            peer.poked.notify_one();
        }
    }

    /// The nodes we dial, and how they stand.
    #[must_use]
    pub fn peers(&self) -> Vec<PeerView> {
        let mut views: Vec<PeerView> = locked(&self.hub.dialled).values().map(|peer| peer.view()).collect();
        for view in &mut views {
            // Its task may still wait for the next attempt while the node has connected by itself.
            if self.hub.session(view.spec.node).is_some() {
                (view.state, view.trouble) = (PeerState::Connected, None);
            }
        }
        views
    }

    /// Who is connected, in the order of their ids.
    #[must_use]
    pub fn sessions(&self) -> Vec<Session> {
        self.hub.sessions()
    }

    /// How the connection of each connected node is, in the order of their ids.
    #[must_use]
    pub fn vitals(&self) -> Vec<Vitals> {
        let vitals = |(node, link): (NodeId, Arc<Link>)| Vitals {
            node,
            heard_count: link.heard_count(),
            quality: link.quality(),
        };
        self.hub.peers().into_iter().map(vitals).collect()
    }

    /// True while a node is connected over a link that we have opened, on which it answers calls.
    #[must_use]
    pub fn is_reached(&self, node: NodeId) -> bool {
        self.hub.session(node).is_some_and(|entry| entry.session.is_outbound)
    }

    /// How many connections there are, with and without a session.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.hub.connections()
    }

    /// What was counted so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.hub.counters.read()
    }

    /// Calls a method of a connected node. A payload that is missing in the answer is `null`.
    ///
    /// # Errors
    /// Its refusal, or ours: `NOT_CONNECTED`, `SEND_FAILED`, `TIMEOUT`, `PEER_DISCONNECTED`, `BUSY`, `TOO_LARGE`.
    pub async fn call(
        &self,
        node: NodeId,
        method: &str,
        params: &impl Serialize,
        timeout: Duration,
    ) -> Result<Box<RawValue>, CallFault> {
        let Some(entry) = self.hub.session(node) else { return Err(CallFault::Ours(not_connected(node))) };
        entry.link.call(method, params, timeout).await
    }

    /// Begins to call a method of a node over the link that we have opened to it; it waits for nothing.
    ///
    /// # Errors
    /// Nothing was sent: `NOT_CONNECTED`, `SEND_FAILED`, `BUSY`, `TOO_LARGE`.
    pub fn begin(&self, node: NodeId, method: &str, params: &impl Serialize) -> Result<Pending, CallFault> {
        let entry = self.hub.session(node).filter(|entry| entry.session.is_outbound);
        entry.ok_or_else(|| CallFault::Ours(not_connected(node)))?.link.begin(method, params)
    }

    /// Tells a connected node something that is not dropped.
    ///
    /// # Errors
    /// `NOT_CONNECTED`, `SEND_FAILED`, or what is wrong with the payload.
    pub fn tell(&self, node: NodeId, event: &str, payload: &impl Serialize) -> Result<(), Refusal> {
        let text = encode_event(event, payload)?;
        let entry = self.hub.session(node).ok_or_else(|| not_connected(node))?;
        if entry.link.push(text.into()) {
            return Ok(());
        }
        let sentence = "the connection ends, or the node does not read; nothing was sent";
        Err(Refusal::new(Code::SendFailed, sentence))
    }

    /// Tells one connection something that is not dropped, for example whoever has asked the model; false when it is gone.
    pub fn tell_connection(&self, connection: u64, event: &str, payload: &impl Serialize) -> bool {
        let Ok(text) = encode_event(event, payload) else { return false };
        self.hub.link(connection).is_some_and(|link| link.push(text.into()))
    }

    /// Tells all connected nodes something that is not dropped; returns how many.
    pub fn tell_all(&self, event: &str, payload: &impl Serialize) -> usize {
        self.hub.tell_all(event, payload)
    }

    /// Tells all connected nodes and all who have called `chat.subscribe`, each connection once; returns how many.
    pub fn announce(&self, event: &str, payload: &impl Serialize) -> usize {
        let Ok(text) = encode_event(event, payload) else { return 0 };
        let text = Utf8Bytes::from(text);
        self.hub.audience().into_values().filter(|link| link.push(text.clone())).count()
    }

    /// Gives a frame of our own to all connected nodes; returns how many. The host has it already.
    pub fn publish(&self, frame: &ContextFrame) -> usize {
        self.hub.gossip(|gossip| gossip.note(frame));
        self.hub.spread(Some(frame), frame, None)
    }

    /// Asks the host again whom it trusts: sessions of others end, and refused nodes are dialled again.
    pub fn trust_changed(&self) {
        for session in self.hub.sessions() {
            if !self.hub.is_trusted(session.node, &session.key)
                && let Some(entry) = self.hub.session(session.node)
            {
                entry.link.end(Why::Untrusted);
            }
        }
        for peer in locked(&self.hub.dialled).values() {
            peer.poked.notify_one();
        }
    }

    /// Says goodbye to everybody, ends every connection and dials nobody any more. Nothing can be begun afterwards.
    pub async fn close(&self) {
        self.hub.begin_closing();
        locked(&self.hub.dialled).clear();
        let leaving = PeerLeaving::new(self.hub.own_id, self.hub.host.now().unix_ms);
        self.hub.tell_all(LEAVING, &leaving);
        for link in self.hub.links() {
            link.end(Why::WeLeave);
        }
        // A little more than the last words of one connection may take; they are said at the same time.
        let goodbye_max = self.hub.config.timing.goodbye_max.saturating_mul(2);
        let _ = tokio::time::timeout(goodbye_max, self.hub.emptied()).await;
    }
}

fn not_connected(node: NodeId) -> Refusal {
    let sentence = format!("there is no connection to {}; look at the peers", node.short());
    Refusal::new(Code::NotConnected, sentence)
}
