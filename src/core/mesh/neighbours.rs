//! The other nodes, as an edge of this one asks them through another edge.

use std::pin::Pin;
use std::sync::Arc;

use clawmesh_authority::{Answer, AskKind, Capability, NodeId};

use crate::safety::StopReport;

/// An answer on its way.
pub type Asking<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The way from one edge, through the link to the mesh, to other nodes. Everything it gives ends by itself in bounded time.
pub trait Neighbours: Send + Sync + 'static {
    /// Brings signed bytes to the owner they name. Only what that owner has signed is an answer; when none comes, the
    /// refusal has the rule `mesh`.
    fn ask(&self, owner: NodeId, kind: AskKind, bytes: Vec<u8>) -> Asking<Answer>;

    /// The newest signed envelope of each node, this one included, that holds a reading of this sensor; by node.
    fn evidence(&self, sensor: &Capability) -> Vec<(NodeId, Arc<[u8]>)>;

    /// Asks every trusted node, all at once, to latch its stop. `Err` says why a node has not confirmed that it did; by node.
    fn stop_all(&self, why: &str) -> Asking<Vec<(NodeId, Result<StopReport, String>)>>;
}
