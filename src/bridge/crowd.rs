//! One kind of nodes by their liveliness tokens: who is there, and of whom the world has been told.

use std::collections::BTreeSet;

use clawmesh_authority::NodeId;

/// A change the world has to hear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// The token of a node is there.
    Appeared(NodeId),
    /// The token of a node is gone.
    Vanished(NodeId),
}

impl Change {
    /// Whose token it is.
    pub fn node(self) -> NodeId {
        match self {
            Self::Appeared(node) | Self::Vanished(node) => node,
        }
    }
}

/// The tokens that are there and those the world knows of.
#[derive(Debug)]
pub struct Crowd {
    members_max: usize,
    /// All that ever came. Nobody leaves: who could make room by leaving could be told of without end.
    members: BTreeSet<NodeId>,
    alive: BTreeSet<NodeId>,
    told: BTreeSet<NodeId>,
    /// Alive, but not in the last list of tokens; a second such list makes it gone.
    doubted: BTreeSet<NodeId>,
    events: u64,
}

impl Crowd {
    /// Nobody is there yet. At most `members_max` different nodes will ever be.
    pub fn new(members_max: usize) -> Self {
        let nobody = BTreeSet::new;
        Self { members_max, members: nobody(), alive: nobody(), told: nobody(), doubted: nobody(), events: 0 }
    }

    /// A token appeared; false when there is no room for one more node.
    pub fn appear(&mut self, node: NodeId) -> bool {
        let is_member = self.members.contains(&node);
        if !is_member && self.members.len() >= self.members_max {
            return false;
        }
        self.events += 1;
        self.members.insert(node);
        self.doubted.remove(&node);
        self.alive.insert(node);
        true
    }

    /// A token is gone.
    pub fn vanish(&mut self, node: NodeId) {
        if self.alive.remove(&node) {
            self.events += 1;
            self.doubted.remove(&node);
        }
    }

    /// The node belongs to another crowd from now on, as it is.
    pub fn hand_over(&mut self, node: NodeId, to: &mut Self) {
        self.members.remove(&node);
        self.doubted.remove(&node);
        let (is_alive, is_told) = (self.alive.remove(&node), self.told.remove(&node));
        if is_told {
            to.told.insert(node);
        }
        if is_alive {
            self.events += 1;
            to.appear(node);
        }
    }

    /// Counts what has happened; a list of tokens asked for earlier than the last event proves nothing.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The nodes that are there.
    pub fn alive(&self) -> &BTreeSet<NodeId> {
        &self.alive
    }

    /// Compares with a complete list of tokens, asked for when [`Crowd::events`] was `asked_at`.
    ///
    /// A token may be missing from one list while its link is being made, so one absence is only a doubt.
    pub fn reconcile(&mut self, tokens: &BTreeSet<NodeId>, asked_at: u64) {
        if asked_at != self.events {
            return;
        }
        let missing: BTreeSet<NodeId> = self.alive.difference(tokens).copied().collect();
        let gone: Vec<NodeId> = missing.intersection(&self.doubted).copied().collect();
        self.doubted = missing;
        gone.into_iter().for_each(|node| self.vanish(node));
        let new: Vec<NodeId> = tokens.difference(&self.alive).copied().collect();
        for node in new {
            // One too many was counted when it came.
            self.appear(node);
        }
    }

    /// Tells at most `changes_max` of what the world has not heard yet. `tell` says whether it could be told;
    /// if not, it comes again.
    pub fn settle(&mut self, changes_max: usize, mut tell: impl FnMut(Change) -> bool) {
        let vanished = self.told.difference(&self.alive).copied().map(Change::Vanished);
        let appeared = self.alive.difference(&self.told).copied().map(Change::Appeared);
        let changes: Vec<Change> = vanished.chain(appeared).take(changes_max).collect();
        for change in changes {
            if tell(change) {
                match change {
                    Change::Appeared(node) => self.told.insert(node),
                    Change::Vanished(node) => self.told.remove(&node),
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn node(n: u8) -> NodeId {
        NodeId([n; 32])
    }

    fn told(crowd: &mut Crowd) -> Vec<Change> {
        let mut changes = Vec::new();
        crowd.settle(usize::MAX, |change| {
            changes.push(change);
            true
        });
        changes
    }

    #[test]
    fn appearing_and_vanishing_is_told_once() {
        let mut crowd = Crowd::new(9);
        assert!(crowd.appear(node(1)) && crowd.appear(node(1)));
        assert_eq!(told(&mut crowd), [Change::Appeared(node(1))]);
        assert_eq!(told(&mut crowd), []);
        crowd.vanish(node(1));
        assert_eq!(told(&mut crowd), [Change::Vanished(node(1))]);
    }

    #[test]
    fn what_could_not_be_told_comes_again() {
        let mut crowd = Crowd::new(9);
        crowd.appear(node(1));
        crowd.settle(9, |_| false);
        assert_eq!(told(&mut crowd), [Change::Appeared(node(1))]);
    }

    #[test]
    fn who_leaves_makes_no_room_and_may_come_back() {
        let mut crowd = Crowd::new(2);
        assert!(crowd.appear(node(7)) && crowd.appear(node(8)));
        crowd.vanish(node(7));
        assert!(!crowd.appear(node(9)) && crowd.appear(node(7)));
        assert_eq!(crowd.alive(), &BTreeSet::from([node(7), node(8)]));
    }

    #[test]
    fn a_list_of_tokens_adds_at_once_and_removes_at_the_second_look() {
        let mut crowd = Crowd::new(2);
        crowd.appear(node(1));
        let list = BTreeSet::from([node(2), node(3)]);
        crowd.reconcile(&list, crowd.events());
        assert_eq!(crowd.alive(), &BTreeSet::from([node(1), node(2)]));
        // A list that was asked for before the last event says nothing.
        crowd.reconcile(&list, crowd.events() - 1);
        assert_eq!(crowd.alive(), &BTreeSet::from([node(1), node(2)]));
        crowd.reconcile(&list, crowd.events());
        assert_eq!(crowd.alive(), &BTreeSet::from([node(2)]));
    }

    proptest! {
        #[test]
        fn the_world_hears_appear_and_vanish_in_turns_and_never_of_too_many(
            events in prop::collection::vec((1_u8..9, any::<bool>(), any::<bool>(), 0_usize..4), 0..200),
        ) {
            let mut crowd = Crowd::new(5);
            let (mut known, mut ever) = (BTreeSet::new(), BTreeSet::new());
            for (n, appears, is_room, changes_max) in events {
                if appears { crowd.appear(node(n)); } else { crowd.vanish(node(n)); }
                let (mut turns, mut changes) = (true, 0);
                crowd.settle(changes_max, |change| {
                    changes += 1;
                    if is_room {
                        turns &= match change {
                            Change::Appeared(node) => { ever.insert(node); known.insert(node) },
                            Change::Vanished(node) => known.remove(&node),
                        };
                    }
                    is_room
                });
                prop_assert!(turns && changes <= changes_max && ever.len() <= 5);
            }
            for change in told(&mut crowd) {
                match change {
                    Change::Appeared(node) => known.insert(node),
                    Change::Vanished(node) => known.remove(&node),
                };
            }
            prop_assert_eq!(&known, crowd.alive());
        }
    }
}
