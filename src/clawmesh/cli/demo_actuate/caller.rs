//! A node for the time of one call: it shows who it is, and does nothing else.

use std::sync::Arc;
use std::time::Duration;

use clawmesh_authority::{NodeId, NodeKey};
use clawmesh_wire::access::Method;
use clawmesh_wire::connect::About;
use clawmesh_wire::context::ContextFrame;
use clawmesh_wire::handshake::{Moment, PeerTrust};
use clawmesh_wire::{Code, Refusal};
use clawmesh_wire_link::{Host, Later, Peer, Session, Why};
use serde_json::value::RawValue;

use crate::moments::{unix_ms, up_ms};

/// Who calls, and whom.
pub struct Caller {
    /// Our key.
    pub key: NodeKey,
    /// What we say of ourselves.
    pub about: Arc<About>,
    /// The one node that is called; its id is a full pin of its key.
    pub called: NodeId,
}

impl Host for Caller {
    fn key(&self) -> &NodeKey {
        &self.key
    }

    fn about(&self) -> Arc<About> {
        Arc::clone(&self.about)
    }

    fn trust(&self, node: NodeId) -> PeerTrust {
        // Whoever typed the id has said whom they mean.
        if node == self.called { PeerTrust::Trusted } else { PeerTrust::Unknown }
    }

    fn is_operator_token(&self, _token: &str) -> bool {
        false
    }

    fn now(&self) -> Moment {
        Moment { unix_ms: unix_ms(), elapsed: Duration::from_millis(up_ms()) }
    }

    fn newest_frame_ms(&self, _told_by: NodeId) -> Option<u64> {
        // Nothing that was told before is of interest here.
        Some(unix_ms())
    }

    fn call(&self, _from: &Peer, method: Method, _params: Option<Box<RawValue>>) -> Later {
        let sentence = format!("{} is not served by a command that calls once", method.as_str());
        Box::pin(async move { Err(Refusal::new(Code::UnknownMethod, sentence)) })
    }

    fn frame(&self, _from: NodeId, _frame: ContextFrame) {}

    fn joined(&self, _session: &Session) {}

    fn left(&self, _node: NodeId, _why: &Why) {}
}
