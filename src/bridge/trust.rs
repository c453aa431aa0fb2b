//! Whom this node trusts now. People change that while it runs, and everything here looks before it believes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use clawmesh_authority::NodeId;
use tokio::sync::watch;

use crate::config::Part;
use crate::edge::lock;

/// The other nodes whose statements are taken.
#[derive(Debug)]
pub struct Trust {
    own: NodeId,
    nodes: watch::Sender<BTreeSet<NodeId>>,
    parts: Mutex<BTreeMap<NodeId, Part>>,
}

impl Trust {
    /// The trust of a node that is `own`.
    #[must_use]
    pub fn of(own: NodeId, nodes: &BTreeSet<NodeId>) -> Self {
        Self { own, nodes: watch::Sender::new(without(own, nodes)), parts: Mutex::default() }
    }

    /// True for another node whose statements are taken.
    #[must_use]
    pub fn has(&self, node: &NodeId) -> bool {
        self.nodes.borrow().contains(node)
    }

    /// All of them.
    #[must_use]
    pub fn nodes(&self) -> BTreeSet<NodeId> {
        self.nodes.borrow().clone()
    }

    /// Trusts these nodes from now on, and nobody else.
    pub fn set(&self, nodes: &BTreeSet<NodeId>) {
        let nodes = without(self.own, nodes);
        self.nodes.send_if_modified(|known| {
            let is_new = *known != nodes;
            *known = nodes;
            is_new
        });
    }

    /// What somebody is for our links.
    #[must_use]
    pub fn part(&self, node: &NodeId) -> Part {
        lock(&self.parts).get(node).copied().unwrap_or_default()
    }

    /// What everybody is of whom people here have said something.
    #[must_use]
    pub fn parts(&self) -> BTreeMap<NodeId, Part> {
        lock(&self.parts).clone()
    }

    /// From now on they are this for our links, and everybody else is a node that speaks for itself.
    pub fn set_parts(&self, parts: BTreeMap<NodeId, Part>) {
        let is_new = {
            let mut known = lock(&self.parts);
            let is_new = *known != parts;
            *known = parts;
            is_new
        };
        if is_new {
            // zenoh asks only at the beginning of a session who may say what.
            self.nodes.send_modify(|_| {});
        }
    }

    /// Has secured links opened anew, as the papers of this node are others now.
    pub fn look_at_papers(&self) {
        self.nodes.send_modify(|_| {});
    }

    /// Tells of every change.
    pub(crate) fn follow(&self) -> watch::Receiver<BTreeSet<NodeId>> {
        self.nodes.subscribe()
    }
}

/// What comes back to us under our own name is an echo or a forgery, whatever anybody says.
fn without(own: NodeId, nodes: &BTreeSet<NodeId>) -> BTreeSet<NodeId> {
    nodes.iter().copied().filter(|node| *node != own).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(nodes: &[u8]) -> BTreeSet<NodeId> {
        nodes.iter().map(|n| NodeId([*n; 32])).collect()
    }

    #[test]
    fn a_change_is_told_once_and_we_are_never_among_those_we_trust() {
        let trust = Trust::of(NodeId([1; 32]), &set(&[1, 2]));
        assert_eq!(trust.nodes(), set(&[2]));
        let told = trust.follow();
        trust.set(&set(&[2, 1]));
        assert!(!told.has_changed().unwrap());
        trust.set(&set(&[1, 3]));
        assert!(told.has_changed().unwrap());
        let told = trust.follow();
        let viewer = BTreeMap::from([(NodeId([3; 32]), Part::Viewer)]);
        trust.set_parts(viewer.clone());
        assert!(told.has_changed().unwrap());
        let told = trust.follow();
        trust.set_parts(viewer);
        assert!(!told.has_changed().unwrap() && trust.part(&NodeId([3; 32])) == Part::Viewer);
        assert_eq!(trust.part(&NodeId([4; 32])), Part::Node);
        assert!(trust.has(&NodeId([3; 32])) && !trust.has(&NodeId([2; 32])) && !trust.has(&NodeId([1; 32])));
    }
}
