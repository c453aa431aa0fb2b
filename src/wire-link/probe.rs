//! Whether a node is there that others say is down.

use std::collections::BTreeMap;
use std::sync::Arc;

use clawmesh_authority::NodeId;
use clawmesh_wire::Code;

use crate::counts::Count;
use crate::host::Why;
use crate::hub::Hub;
use crate::link::{CallFault, Link, locked};

/// Whether somebody has said that a node is down since it was last asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    No,
    Yes,
}

impl Hub {
    /// Asks a node that is said to be down; only who does not answer is removed.
    ///
    /// One question for each node at a time, and then none for a while, so nobody has us ask another node more often than
    /// that. What is said meanwhile is asked about afterwards.
    pub fn probe(self: &Arc<Self>, node: NodeId) {
        let Some(entry) = self.session(node) else { return };
        let mut probed = locked(&self.probed);
        if let Some(again) = probed.get_mut(&node) {
            *again = Again::Yes;
            self.counters.add(Count::ProbesSpared);
            return;
        }
        probed.insert(node, Again::No);
        drop(probed);
        let hub = Arc::clone(self);
        tokio::spawn(async move {
            let mut link = Some(entry.link);
            while let Some(asked) = link {
                if !hub.probe_now(&asked).await {
                    hub.probe_later(node);
                }
                drop(asked);
                let closing = hub.closing.notified();
                if hub.is_closing() {
                    return;
                }
                let rest = tokio::time::sleep(hub.config.timing.probe_rest);
                tokio::select! { () = rest => {}, () = closing => return }
                link = hub.probe_again(node);
            }
        });
    }

    /// The connection to ask on once more; nothing when nobody wants it, or the node is not connected any more.
    fn probe_again(&self, node: NodeId) -> Option<Arc<Link>> {
        let mut probed = locked(&self.probed);
        let is_wanted =
            probed.get_mut(&node).is_some_and(|again| std::mem::replace(again, Again::No) == Again::Yes);
        // The lock is held so that whoever says it now sees either this question or no entry.
        let link = is_wanted.then(|| self.session(node)).flatten().map(|entry| entry.link);
        if link.is_none() {
            probed.remove(&node);
        }
        link
    }

    /// What was asked in vain through no fault of the node is asked once more.
    fn probe_later(&self, node: NodeId) {
        if let Some(again) = locked(&self.probed).get_mut(&node) {
            *again = Again::Yes;
        }
    }

    /// Asks a node; false when that has shown nothing.
    async fn probe_now(&self, link: &Arc<Link>) -> bool {
        let heard = link.heard_count();
        // While it does not take what we write we do not read, so we would not hear its answer.
        let was_filling = link.is_filling();
        link.ping();
        let params = BTreeMap::<&str, ()>::new();
        // Existing nodes answer no call on a link they have dialled, but pings: whatever comes shows that they are there.
        let replied = link.call("mesh.health", &params, self.config.timing.probe_max).await;
        if link.heard_count() != heard {
            self.counters.add(Count::ProbesAnswered);
            return true;
        }
        let has_waited = matches!(&replied, Err(CallFault::Ours(refusal)) if refusal.code == Code::Timeout);
        if !has_waited || was_filling || link.is_filling() {
            return false;
        }
        self.counters.add(Count::ProbesInVain);
        link.end(Why::Down);
        true
    }
}
