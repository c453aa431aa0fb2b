//! Whether a node is there that others say is down.

use std::collections::BTreeMap;
use std::sync::Arc;

use clawmesh_authority::NodeId;

use crate::counts::Count;
use crate::host::Why;
use crate::hub::Hub;
use crate::link::{Link, locked};

impl Hub {
    /// Asks a node that is said to be down; only who does not answer is removed.
    pub fn probe(self: &Arc<Self>, node: NodeId) {
        let Some(entry) = self.session(node) else { return };
        // One question for each node at a time, so there are never more of these tasks than sessions.
        if !locked(&self.probed).insert(node) {
            return;
        }
        let hub = Arc::clone(self);
        tokio::spawn(async move {
            hub.probe_now(&entry.link).await;
            locked(&hub.probed).remove(&node);
        });
    }

    async fn probe_now(&self, link: &Arc<Link>) {
        let heard = link.heard_count();
        link.ping();
        let params = BTreeMap::<&str, ()>::new();
        // Existing nodes answer no call on a link they have dialled, but pings: whatever comes shows that they are there.
        let _ = link.call("mesh.health", &params, self.config.timing.probe_max).await;
        if link.heard_count() != heard {
            self.counters.add(Count::ProbesAnswered);
        } else {
            self.counters.add(Count::ProbesInVain);
            link.end(Why::Down);
        }
    }
}
