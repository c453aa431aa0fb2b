//! The way to the other nodes, which the gateway has from the beginning and the bridge fills later.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use clawmesh_authority::{Answer, AskKind, Capability, Code, NodeId, Refused};
use clawmesh_core::mesh::{Asking, Neighbours};
use clawmesh_core::safety::StopReport;

const STARTING: &str = "this node is starting and not on the mesh yet; ask again in a moment";

/// The neighbours once the bridge is there; until then nobody answers, and whoever stops is told who was not reached.
pub struct MeshToCome {
    trusted: BTreeSet<NodeId>,
    bridge: OnceLock<Arc<dyn Neighbours>>,
}

impl MeshToCome {
    /// A mesh of these nodes, without a bridge.
    pub fn new(own: NodeId, mut trusted: BTreeSet<NodeId>) -> Self {
        trusted.remove(&own);
        Self { trusted, bridge: OnceLock::new() }
    }

    /// The bridge is there. A node has one in its life.
    pub fn came(&self, bridge: Arc<dyn Neighbours>) {
        let _ = self.bridge.set(bridge);
    }
}

impl Neighbours for MeshToCome {
    fn ask(&self, owner: NodeId, kind: AskKind, bytes: Vec<u8>) -> Asking<Answer> {
        match self.bridge.get() {
            Some(bridge) => bridge.ask(owner, kind, bytes),
            None => Box::pin(async { Refused::new(Code::Busy, "mesh", STARTING).into() }),
        }
    }

    fn evidence(&self, sensor: &Capability) -> Vec<(NodeId, Arc<[u8]>)> {
        self.bridge.get().map(|bridge| bridge.evidence(sensor)).unwrap_or_default()
    }

    fn stop_all(&self, why: &str) -> Asking<Vec<(NodeId, Result<StopReport, String>)>> {
        if let Some(bridge) = self.bridge.get() {
            return bridge.stop_all(why);
        }
        let not_reached = self.trusted.iter().map(|node| (*node, Err(STARTING.to_owned()))).collect();
        Box::pin(async { not_reached })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_the_bridge_is_there_nobody_is_said_to_have_stopped() {
        let (own, other) = (NodeId([1; 32]), NodeId([2; 32]));
        let mesh = MeshToCome::new(own, BTreeSet::from([own, other]));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let stopped = runtime.block_on(mesh.stop_all("smoke"));
        assert_eq!(stopped, [(other, Err(STARTING.to_owned()))]);
        let answer = runtime.block_on(mesh.ask(other, AskKind::Request, Vec::new()));
        assert!(matches!(answer, Answer::Refused { code: Code::Busy, .. }), "{answer:?}");
    }
}
