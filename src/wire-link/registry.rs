//! Who is connected: one session for each node, the newest.

use std::collections::BTreeMap;

use clawmesh_authority::NodeId;

use crate::host::Session;

/// The sessions; `L` leads to the connection.
#[derive(Debug)]
pub(crate) struct Registry<L> {
    sessions: BTreeMap<NodeId, Entry<L>>,
}

/// One session and the way to its connection.
#[derive(Debug, Clone)]
pub(crate) struct Entry<L> {
    pub session: Session,
    pub link: L,
}

/// What became of a session that was about to join.
#[derive(Debug)]
pub(crate) enum Join<L> {
    /// It is the session of its node now; an earlier one has lost its place.
    Joined { displaced: Option<L> },
    /// We have dialled, and the node with the lower id has meanwhile dialled us: theirs stays.
    StandDown,
}

impl<L> Default for Registry<L> {
    fn default() -> Self {
        Self { sessions: BTreeMap::new() }
    }
}

impl<L: Clone> Registry<L> {
    /// Enters a session; the newest one of a node counts.
    pub fn join(&mut self, own_id: NodeId, session: Session, link: L) -> Join<L> {
        let node = session.node;
        let held = self.sessions.get(&node);
        let is_theirs = held.is_some_and(|held| !held.session.is_outbound);
        if session.is_outbound && is_theirs && !may_dial(own_id, node) {
            return Join::StandDown;
        }
        let displaced = self.sessions.insert(node, Entry { session, link });
        Join::Joined { displaced: displaced.map(|entry| entry.link) }
    }

    /// Ends the session of `connection`; false when the node has another one by now.
    pub fn leave(&mut self, node: NodeId, connection: u64) -> bool {
        let is_this = self.sessions.get(&node).is_some_and(|held| held.session.connection == connection);
        is_this && self.sessions.remove(&node).is_some()
    }

    /// The session of a node.
    pub fn get(&self, node: NodeId) -> Option<&Entry<L>> {
        self.sessions.get(&node)
    }

    /// All sessions, in the order of their nodes.
    pub fn iter(&self) -> impl Iterator<Item = &Entry<L>> {
        self.sessions.values()
    }
}

/// True when it is for us to dial a node that was discovered: of two, the one with the lower id dials.
pub(crate) fn may_dial(own_id: NodeId, node: NodeId) -> bool {
    own_id < node
}

#[cfg(test)]
mod tests {
    use super::*;
    use clawmesh_authority::{NodeKey, NodeRole};
    use proptest::prelude::*;

    fn session(node: u8, connection: u64, is_outbound: bool) -> Session {
        Session {
            node: NodeId([node; 32]),
            connection,
            display_name: None,
            key: NodeKey::from_secret(&[1; 32]).public(),
            role: NodeRole::of_name("field"),
            capabilities: Vec::new(),
            is_outbound,
            transport_label: None,
            address: ([127, 0, 0, 1], 1).into(),
            signed_at_ms: 0,
            connected_at_ms: 0,
        }
    }

    const OWN: NodeId = NodeId([5; 32]);

    #[test]
    fn the_newest_session_of_a_node_wins_and_the_late_end_of_the_older_removes_nothing() {
        let mut registry = Registry::default();
        assert!(matches!(registry.join(OWN, session(9, 1, false), 'a'), Join::Joined { displaced: None }));
        let second = registry.join(OWN, session(9, 2, false), 'b');
        assert!(matches!(second, Join::Joined { displaced: Some('a') }), "{second:?}");
        assert!(!registry.leave(NodeId([9; 32]), 1), "the displaced one ends late");
        assert_eq!(registry.get(NodeId([9; 32])).map(|entry| entry.link), Some('b'));
        assert!(registry.leave(NodeId([9; 32]), 2) && !registry.leave(NodeId([9; 32]), 2));
        assert_eq!(registry.iter().count(), 0);
    }

    #[test]
    fn what_we_have_dialled_stands_down_for_the_link_of_a_node_with_a_lower_id() {
        let mut registry = Registry::default();
        registry.join(OWN, session(1, 1, false), 'a');
        registry.join(OWN, session(9, 2, false), 'b');
        assert!(matches!(registry.join(OWN, session(1, 3, true), 'c'), Join::StandDown));
        let higher = registry.join(OWN, session(9, 4, true), 'd');
        assert!(matches!(higher, Join::Joined { displaced: Some('b') }), "{higher:?}");
        let inbound = registry.join(OWN, session(9, 5, false), 'e');
        assert!(matches!(inbound, Join::Joined { displaced: Some('d') }), "{inbound:?}");
        assert!(may_dial(OWN, NodeId([9; 32])) && !may_dial(OWN, NodeId([1; 32])) && !may_dial(OWN, OWN));
    }

    proptest! {
        #[test]
        fn whoever_joined_last_and_has_not_left_is_there(
            steps in prop::collection::vec((0_u8..3, any::<bool>()), 0..60),
        ) {
            let mut registry = Registry::default();
            let mut last: BTreeMap<u8, u64> = BTreeMap::new();
            for (connection, (node, leaves)) in steps.into_iter().enumerate() {
                let connection = connection as u64;
                if leaves && connection > 0 {
                    let ended = connection / 2;
                    let was_there = last.get(&node) == Some(&ended);
                    prop_assert_eq!(registry.leave(NodeId([node; 32]), ended), was_there);
                    if was_there { last.remove(&node); }
                } else {
                    registry.join(OWN, session(node, connection, false), connection);
                    last.insert(node, connection);
                }
                let there: Vec<(u8, u64)> =
                    registry.iter().map(|entry| (entry.session.node.0[0], entry.link)).collect();
                prop_assert_eq!(there, last.iter().map(|(node, link)| (*node, *link)).collect::<Vec<_>>());
            }
        }
    }
}
