//! What the door is told when it is made, and what it is connected to.

use std::net::IpAddr;
use std::sync::Arc;

use clawmesh_core::clock::ClockView;
use clawmesh_core::intake::InboxHandle;
use clawmesh_core::mesh::Neighbours;
use clawmesh_core::proposals::AnswerDesk;
use clawmesh_core::publish::NodeView;
use clawmesh_core::replay::CommitWatch;
use clawmesh_core::safety::StopPort;
use rustls::ServerConfig;

use crate::capabilities::Abilities;
use crate::error::GatewayError;
use crate::feed::SnapshotFeed;
use crate::history::History;
use crate::upgrade::WebSockets;

/// The shortest token that is taken; an empty one would open the door to everybody.
pub const TOKEN_BYTES_MIN: usize = 16;

/// Where the door is and who may come in.
#[derive(Clone)]
pub struct GatewayConfig {
    /// The address to listen on. Without TLS anything but a loopback address is plain HTTP for the whole network to read.
    pub host: IpAddr,
    /// The port; 0 lets the system choose one.
    pub port: u16,
    /// The bearer token, at least [`TOKEN_BYTES_MIN`] visible ASCII characters.
    pub token: String,
    /// The certificate to show. With it only programs of this machine may go on to speak plain HTTP.
    pub tls: Option<Arc<ServerConfig>>,
    /// This node, for the time before its first snapshot.
    pub node: NodeView,
}

/// The rest of the node, as the door sees it.
#[derive(Clone)]
pub struct GatewayPorts {
    /// Where snapshots come from.
    pub snapshots: SnapshotFeed,
    /// Where observations, requests and approvals, and what people do with alarms, go.
    pub inbox: InboxHandle,
    /// How far the journal is durable.
    pub commits: CommitWatch,
    /// The wall clock, Unix milliseconds; 0 while the time is not known.
    pub unix_ms: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// What is known of the time.
    pub clock: Arc<dyn Fn() -> ClockView + Send + Sync>,
    /// Where whoever asks this node waits for the answer.
    pub desk: AnswerDesk,
    /// The stop latch.
    pub stop: Arc<dyn StopPort>,
    /// The way to the other nodes.
    pub neighbours: Arc<dyn Neighbours>,
    /// Who takes WebSockets at the root, if anybody does.
    pub web_sockets: Option<Arc<dyn WebSockets>>,
    /// Who remembers what has happened.
    pub history: Arc<dyn History>,
    /// Who knows what all nodes can do.
    pub abilities: Arc<dyn Abilities>,
}

impl GatewayConfig {
    pub(crate) fn check_token(&self) -> Result<(), GatewayError> {
        let is_visible = self.token.bytes().all(|byte| byte.is_ascii_graphic());
        if is_visible && self.token.len() >= TOKEN_BYTES_MIN { Ok(()) } else { Err(GatewayError::WeakToken) }
    }
}
