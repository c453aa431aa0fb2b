//! What this crate asks of the node it belongs to, and what it hands over: one trait, and the words in it.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use clawmesh_authority::{NodeId, NodeKey, NodeRole, PublicKey};
use clawmesh_wire::Refusal;
use clawmesh_wire::access::{Caller, Method};
use clawmesh_wire::connect::About;
use clawmesh_wire::context::ContextFrame;
use clawmesh_wire::handshake::{Moment, PeerTrust};
use serde_json::value::RawValue;

/// What came out of a call: the payload as JSON, or a refusal.
pub type Answer = Result<Box<RawValue>, Refusal>;

/// An answer that takes its time.
pub type Later = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// The node. Its methods are called from the tasks of connections, so none of them may block.
///
/// Any method may call [`crate::Links`]; nothing here holds a lock that those need.
pub trait Host: Send + Sync + 'static {
    /// Our key.
    fn key(&self) -> &NodeKey;

    /// What we say of ourselves now.
    fn about(&self) -> Arc<About>;

    /// What the list of trusted nodes says about `node` now.
    fn trust(&self, node: NodeId) -> PeerTrust;

    /// True when `token` is the token of an operator of this node; compared in constant time.
    fn is_operator_token(&self, token: &str) -> bool;

    /// Now, on both clocks.
    fn now(&self) -> Moment;

    /// When the newest frame that `told_by` has told us was made, as far as that can be believed, Unix milliseconds; `None`
    /// when it has told none.
    fn newest_frame_ms(&self, told_by: NodeId) -> Option<u64>;

    /// Answers at once, where that needs no waiting: what comes often, such as `mesh.health`. `None` leads to
    /// [`Host::call`].
    fn read(&self, _from: &Peer, _method: Method, _params: Option<&RawValue>) -> Option<Answer> {
        None
    }

    /// Answers a call that `from` may make by its [`Caller`]. What a message may do is for the gate of `wire` to judge.
    ///
    /// The future is dropped when the connection ends: what must not be left half done belongs to a task of the host.
    fn call(&self, from: &Peer, method: Method, params: Option<Box<RawValue>>) -> Later;

    /// Whether a frame of so many bytes, as it is written, may come from `from` now, or a session of it begin. It is asked for each
    /// frame that is new, before anybody else is told of it: what is not taken is not remembered either, so it may come again,
    /// or another way.
    fn has_room(&self, _from: NodeId, _bytes: usize) -> bool {
        true
    }

    /// Takes a frame that gossip, or the answer to `context.sync`, says is new. It is well-formed, and nobody has signed it.
    fn frame(&self, from: NodeId, frame: ContextFrame);

    /// Takes an event of a connected node that this crate does nothing with, for example `planner.proposal`.
    fn event(&self, _from: &Peer, _event: &str, _payload: Option<&RawValue>) {}

    /// Somebody has tried to show who they are and was refused; who they claimed to be is not proven.
    fn refused_handshake(&self, _from: &Peer, _claimed: Option<NodeId>, _refusal: &Refusal) {}

    /// A session has begun. It may take the place of an earlier one of the same node, whose end is then not told.
    fn joined(&self, session: &Session);

    /// A node has no session any more.
    fn left(&self, node: NodeId, why: &Why);
}

/// Who is on the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Which connection; no two have the same number.
    pub connection: u64,
    /// What they may do.
    pub caller: Caller,
    /// Which node it is, after the handshake.
    pub node: Option<NodeId>,
    /// Where the connection comes from or leads to.
    pub address: SocketAddr,
}

/// A connection with a node that has shown who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The node.
    pub node: NodeId,
    /// Which connection.
    pub connection: u64,
    /// What people call it; covered by no signature.
    pub display_name: Option<String>,
    /// Its key.
    pub key: PublicKey,
    /// What it is for; it says so itself.
    pub role: NodeRole,
    /// What it offers to others; covered by no signature.
    pub capabilities: Vec<String>,
    /// True when we have dialled.
    pub is_outbound: bool,
    /// What the way is called, for one that we have dialled.
    pub transport_label: Option<String>,
    /// Where the connection comes from or leads to.
    pub address: SocketAddr,
    /// When it has signed the handshake, by its own clock, Unix milliseconds.
    pub signed_at_ms: u64,
    /// When the handshake was over, Unix milliseconds.
    pub connected_at_ms: u64,
}

/// Why a connection has ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// The other side has closed it.
    #[error("the other side has closed the connection: {0}")]
    Closed(String),
    /// The transport has failed, or what came is no WebSocket.
    #[error("the connection is broken: {0}")]
    Broken(String),
    /// Nothing came for too long.
    #[error("nothing came for too long; look at the network, or whether the node still runs")]
    Silent,
    /// What was to be written did not get away.
    #[error("the other side reads too slowly")]
    TooSlow,
    /// A message was larger than we take.
    #[error("a message was larger than we take")]
    TooLarge,
    /// A newer connection of the same node has taken its place.
    #[error("superseded by a newer connection")]
    Superseded,
    /// The node is trusted no longer.
    #[error("the node is trusted no longer")]
    Untrusted,
    /// The node has said that it leaves.
    #[error("peer leaving")]
    Leaving,
    /// Another node has told that it is down, and it does not answer us either.
    #[error("peer down")]
    Down,
    /// Too much of what it sent was no message, or was told by nobody.
    #[error("too much of what came is no message of the protocol; look at what is sent")]
    Senseless,
    /// No handshake in time, or too many attempts.
    #[error("{0}")]
    NoHandshake(String),
    /// We have closed everything.
    #[error("this node leaves")]
    WeLeave,
}

impl Why {
    /// The code of the close frame.
    pub(crate) fn close_code(&self) -> u16 {
        match self {
            Self::Superseded | Self::Leaving | Self::Closed(_) => 1_000,
            Self::WeLeave => 1_001,
            Self::Broken(_) => 1_002,
            Self::Silent
            | Self::Untrusted
            | Self::Down
            | Self::TooSlow
            | Self::Senseless
            | Self::NoHandshake(_) => 1_008,
            Self::TooLarge => 1_009,
        }
    }

    /// True when nobody has wanted the end: others should hear of it.
    pub(crate) fn is_unexpected(&self) -> bool {
        matches!(self, Self::Broken(_) | Self::Silent)
    }
}
