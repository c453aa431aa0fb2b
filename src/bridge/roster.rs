//! Who is on the mesh: the trusted, told of at once, and strangers, told of slowly and boundedly.

use std::collections::BTreeSet;

use clawmesh_authority::NodeId;

use crate::crowd::{Change, Crowd};

/// Changes of strangers the world hears of at one time. Each becomes a row of the journal, and a token that
/// comes and goes costs its owner nothing.
const STRANGERS_TOLD_MAX: usize = 16;

/// People name the friends, so a bound of its own is not what keeps them few.
const FRIENDS_MAX: usize = usize::MAX;

/// All nodes but our own. What strangers do never changes what is known of the trusted.
#[derive(Debug)]
pub struct Roster {
    own: NodeId,
    trusted: BTreeSet<NodeId>,
    friends: Crowd,
    /// Friends of whom a change was told in this second.
    told_lately: BTreeSet<NodeId>,
    strangers: Crowd,
}

/// How many events of friends and of strangers there were when a list of tokens was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(u64, u64);

impl Roster {
    /// Nobody is there yet. At most `strangers_max` different nodes outside of `trusted` will ever be.
    pub fn new(own: NodeId, trusted: BTreeSet<NodeId>, strangers_max: usize) -> Self {
        let (friends, strangers) = (Crowd::new(FRIENDS_MAX), Crowd::new(strangers_max));
        Self { own, trusted, friends, told_lately: BTreeSet::new(), strangers }
    }

    /// From now on these are trusted. Who is there stays there, and the world hears nothing of it twice.
    pub fn follow(&mut self, trusted: &BTreeSet<NodeId>) {
        for node in trusted.difference(&self.trusted) {
            self.strangers.hand_over(*node, &mut self.friends);
        }
        for node in self.trusted.difference(trusted) {
            self.friends.hand_over(*node, &mut self.strangers);
        }
        self.trusted.clone_from(trusted);
    }

    /// A token appeared; false when there is no room for one more stranger.
    pub fn appear(&mut self, node: NodeId) -> bool {
        node == self.own || self.crowd(node).appear(node)
    }

    /// A token is gone.
    pub fn vanish(&mut self, node: NodeId) {
        self.crowd(node).vanish(node);
    }

    /// Now, as far as lists of tokens are concerned.
    pub fn moment(&self) -> Moment {
        Moment(self.friends.events(), self.strangers.events())
    }

    /// Compares with a complete list of tokens, asked for at `asked_at`.
    pub fn reconcile(&mut self, tokens: BTreeSet<NodeId>, asked_at: Moment) {
        let (friends, mut strangers): (BTreeSet<_>, BTreeSet<_>) =
            tokens.into_iter().partition(|node| self.trusted.contains(node));
        strangers.remove(&self.own);
        self.friends.reconcile(&friends, asked_at.0);
        self.strangers.reconcile(&strangers, asked_at.1);
    }

    /// Tells what the world has not heard of the trusted: of each of them one change at once, further ones from the
    /// next second on, because anybody may declare a token in their name. `tell` says whether it could be told.
    pub fn settle_friends(&mut self, mut tell: impl FnMut(Change) -> bool) {
        let told_lately = &mut self.told_lately;
        self.friends.settle(usize::MAX, |change| {
            let is_told = !told_lately.contains(&change.node()) && tell(change);
            if is_told {
                told_lately.insert(change.node());
            }
            is_told
        });
    }

    /// A second has passed.
    pub fn begin_second(&mut self) {
        self.told_lately.clear();
    }

    /// Tells some of what the world has not heard of strangers. `tell` says whether it could be told.
    pub fn settle_strangers(&mut self, tell: impl FnMut(Change) -> bool) {
        self.strangers.settle(STRANGERS_TOLD_MAX, tell);
    }

    /// The trusted nodes that are there.
    pub fn friends(&self) -> &BTreeSet<NodeId> {
        self.friends.alive()
    }

    fn crowd(&mut self, node: NodeId) -> &mut Crowd {
        if self.trusted.contains(&node) { &mut self.friends } else { &mut self.strangers }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(n: u8) -> NodeId {
        NodeId([n; 32])
    }

    fn roster() -> Roster {
        Roster::new(node(0), BTreeSet::from([node(1), node(2)]), 100)
    }

    fn strangers_told(roster: &mut Roster) -> Vec<Change> {
        let mut changes = Vec::new();
        roster.settle_strangers(|change| {
            changes.push(change);
            true
        });
        changes
    }

    fn friends_told(roster: &mut Roster) -> Vec<Change> {
        let mut changes = Vec::new();
        roster.settle_friends(|change| {
            changes.push(change);
            true
        });
        changes
    }

    #[test]
    fn we_are_not_our_own_peer() {
        let mut roster = roster();
        assert!(roster.appear(node(0)));
        roster.reconcile(BTreeSet::from([node(0)]), roster.moment());
        assert_eq!(strangers_told(&mut roster), []);
        assert!(roster.friends().is_empty());
    }

    #[test]
    fn friends_find_room_whatever_strangers_do() {
        let mut roster = roster();
        let refused = (3..200).filter(|n| !roster.appear(node(*n))).count();
        assert_eq!(refused, 97);
        assert!(roster.appear(node(1)) && roster.appear(node(2)));
        assert_eq!(roster.friends(), &BTreeSet::from([node(1), node(2)]));
    }

    #[test]
    fn a_stranger_that_comes_and_goes_between_two_tellings_is_not_told() {
        let mut roster = roster();
        for _ in 0..1_000 {
            assert!(roster.appear(node(7)));
            roster.vanish(node(7));
        }
        assert_eq!(strangers_told(&mut roster), []);
    }

    #[test]
    fn of_a_friend_one_change_a_second_is_told_and_the_last_one_in_the_end() {
        let mut roster = roster();
        let mut told = Vec::new();
        for _ in 0..1_000 {
            roster.appear(node(1));
            told.extend(friends_told(&mut roster));
            roster.vanish(node(1));
            told.extend(friends_told(&mut roster));
        }
        assert_eq!(told, [Change::Appeared(node(1))]);
        roster.begin_second();
        assert_eq!(friends_told(&mut roster), [Change::Vanished(node(1))]);
    }

    #[test]
    fn few_strangers_are_told_at_one_time_and_all_in_the_end() {
        let mut roster = roster();
        (3..63).for_each(|n| assert!(roster.appear(node(n))));
        let tellings: Vec<usize> = (0..5).map(|_| strangers_told(&mut roster).len()).collect();
        assert_eq!(tellings, [16, 16, 16, 12, 0]);
    }

    #[test]
    fn who_is_trusted_later_is_a_friend_at_once_and_nobody_hears_of_it_twice() {
        let mut roster = roster();
        roster.appear(node(7));
        roster.appear(node(1));
        assert_eq!(strangers_told(&mut roster), [Change::Appeared(node(7))]);
        assert_eq!(friends_told(&mut roster), [Change::Appeared(node(1))]);
        roster.follow(&BTreeSet::from([node(2), node(7), node(8)]));
        assert_eq!(roster.friends(), &BTreeSet::from([node(7)]));
        assert_eq!((friends_told(&mut roster), strangers_told(&mut roster)), (vec![], vec![]));
        roster.vanish(node(1));
        roster.vanish(node(7));
        assert_eq!(strangers_told(&mut roster), [Change::Vanished(node(1))]);
        assert_eq!(friends_told(&mut roster), [Change::Vanished(node(7))]);
    }

    #[test]
    fn a_restless_stranger_does_not_keep_a_lost_friend_alive() {
        let mut roster = roster();
        roster.appear(node(1));
        for _ in 0..2 {
            let asked_at = roster.moment();
            roster.appear(node(7));
            roster.vanish(node(7));
            roster.reconcile(BTreeSet::new(), asked_at);
        }
        assert!(roster.friends().is_empty());
    }
}
