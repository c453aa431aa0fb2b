//! Who is on the mesh by their liveliness tokens, and whom of them we have told the world about.

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

/// The tokens that are there and those the world knows of.
#[derive(Debug)]
pub struct Roster {
    own: NodeId,
    trusted: BTreeSet<NodeId>,
    strangers_max: usize,
    alive: BTreeSet<NodeId>,
    told: BTreeSet<NodeId>,
    /// Alive, but not in the last list of tokens; a second such list makes it gone.
    doubted: BTreeSet<NodeId>,
    events: u64,
}

impl Roster {
    /// Nobody is there yet. At most `strangers_max` nodes outside of `trusted` will ever be.
    pub fn new(own: NodeId, trusted: BTreeSet<NodeId>, strangers_max: usize) -> Self {
        let nobody = BTreeSet::new;
        Self { own, trusted, strangers_max, alive: nobody(), told: nobody(), doubted: nobody(), events: 0 }
    }

    /// A token appeared; false when there is no room for one more stranger.
    pub fn appear(&mut self, node: NodeId) -> bool {
        self.events += 1;
        self.doubted.remove(&node);
        if node == self.own || self.alive.contains(&node) {
            return true;
        }
        let is_room = self.trusted.contains(&node) || self.strangers() < self.strangers_max;
        is_room && self.alive.insert(node)
    }

    /// A token is gone.
    pub fn vanish(&mut self, node: NodeId) {
        self.events += 1;
        self.doubted.remove(&node);
        self.alive.remove(&node);
    }

    /// Counts what has happened; a list of tokens asked for earlier than the last event proves nothing.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Compares with a complete list of tokens, asked for when [`Roster::events`] was `asked_at`.
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
            self.appear(node);
        }
    }

    /// What the world has not heard yet. `tell` says whether it could be told; if not, it comes again.
    pub fn settle(&mut self, mut tell: impl FnMut(Change) -> bool) {
        let vanished: Vec<NodeId> = self.told.difference(&self.alive).copied().collect();
        for node in vanished {
            if tell(Change::Vanished(node)) {
                self.told.remove(&node);
            }
        }
        let appeared: Vec<NodeId> = self.alive.difference(&self.told).copied().collect();
        for node in appeared {
            if tell(Change::Appeared(node)) {
                self.told.insert(node);
            }
        }
    }

    /// The trusted nodes that are there.
    pub fn friends(&self) -> BTreeSet<NodeId> {
        self.alive.intersection(&self.trusted).copied().collect()
    }

    fn strangers(&self) -> usize {
        self.alive.difference(&self.trusted).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn node(n: u8) -> NodeId {
        NodeId([n; 32])
    }

    fn roster() -> Roster {
        Roster::new(node(0), BTreeSet::from([node(1), node(2)]), 2)
    }

    fn told(roster: &mut Roster) -> Vec<Change> {
        let mut changes = Vec::new();
        roster.settle(|change| {
            changes.push(change);
            true
        });
        changes
    }

    #[test]
    fn appearing_and_vanishing_is_told_once_and_we_are_not_our_own_peer() {
        let mut roster = roster();
        assert!(roster.appear(node(0)) && roster.appear(node(1)) && roster.appear(node(1)));
        assert_eq!(told(&mut roster), [Change::Appeared(node(1))]);
        assert_eq!(told(&mut roster), []);
        roster.vanish(node(1));
        assert_eq!(told(&mut roster), [Change::Vanished(node(1))]);
    }

    #[test]
    fn what_could_not_be_told_comes_again() {
        let mut roster = roster();
        roster.appear(node(1));
        roster.settle(|_| false);
        assert_eq!(told(&mut roster), [Change::Appeared(node(1))]);
    }

    #[test]
    fn strangers_have_a_bound_and_friends_have_none() {
        let mut roster = roster();
        assert!(roster.appear(node(7)) && roster.appear(node(8)) && !roster.appear(node(9)));
        assert!(roster.appear(node(1)) && roster.appear(node(2)));
        assert_eq!(roster.friends(), BTreeSet::from([node(1), node(2)]));
    }

    #[test]
    fn a_list_of_tokens_adds_at_once_and_removes_at_the_second_look() {
        let mut roster = roster();
        roster.appear(node(1));
        let list = BTreeSet::from([node(0), node(2)]);
        roster.reconcile(&list, roster.events());
        assert_eq!(roster.friends(), BTreeSet::from([node(1), node(2)]));
        // A list that was asked for before the last event says nothing.
        roster.reconcile(&list, roster.events() - 1);
        assert_eq!(roster.friends(), BTreeSet::from([node(1), node(2)]));
        roster.reconcile(&list, roster.events());
        assert_eq!(roster.friends(), BTreeSet::from([node(2)]));
    }

    proptest! {
        #[test]
        fn the_world_hears_appear_and_vanish_in_turns(
            events in prop::collection::vec((1_u8..5, any::<bool>(), any::<bool>()), 0..200),
        ) {
            let mut roster = roster();
            let mut known = BTreeSet::new();
            for (n, appears, is_room) in events {
                if appears { roster.appear(node(n)); } else { roster.vanish(node(n)); }
                let mut turns = true;
                roster.settle(|change| {
                    if is_room {
                        turns &= match change {
                            Change::Appeared(node) => known.insert(node),
                            Change::Vanished(node) => known.remove(&node),
                        };
                    }
                    is_room
                });
                prop_assert!(turns);
            }
            roster.settle(|change| match change {
                Change::Appeared(node) => known.insert(node),
                Change::Vanished(node) => known.remove(&node),
            });
            prop_assert_eq!(known, roster.alive);
        }
    }
}
