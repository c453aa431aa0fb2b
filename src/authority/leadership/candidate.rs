//! Who may lead the planning, and who of them comes first.

use std::cmp::Reverse;

use minicbor::Encode;
use serde::{Deserialize, Serialize};

use crate::ids::NodeId;
use crate::node_role::NodeRole;

/// How strong a claim to lead is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Encode)]
#[cbor(index_only)]
#[serde(rename_all = "snake_case")]
pub enum Rank {
    /// It plans when no planner is there.
    #[n(0)]
    Standby,
    /// It plans.
    #[n(1)]
    Planner,
}

/// A node that may lead. There is none of a node with another role: such a node never leads, whatever it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Encode)]
pub struct Candidate {
    #[n(0)]
    node: NodeId,
    #[n(1)]
    rank: Rank,
}

/// Who leads, as one node sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Leader {
    /// Nobody.
    None,
    /// This node.
    Local,
    /// Another node.
    Peer(Candidate),
}

impl Rank {
    /// The rank of a role; `None` for one that is not eligible.
    #[must_use]
    pub fn of_role(role: NodeRole) -> Option<Self> {
        match role.planner_rank() {
            0 => None,
            1 => Some(Self::Standby),
            _ => Some(Self::Planner),
        }
    }
}

impl Candidate {
    /// The candidate that a node with this role is; `None` when it is not eligible.
    #[must_use]
    pub fn new(node: NodeId, role: NodeRole) -> Option<Self> {
        Rank::of_role(role).map(|rank| Self { node, rank })
    }

    /// Which node.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// How strong its claim is.
    #[must_use]
    pub fn rank(&self) -> Rank {
        self.rank
    }

    /// True when it comes before `other`: a higher rank, or the same rank and a lower id.
    #[must_use]
    pub fn precedes(&self, other: &Self) -> bool {
        let order = |candidate: &Self| (candidate.rank, Reverse(candidate.node));
        order(self) > order(other)
    }
}

/// The first of these candidates, and of ourselves if we are one.
#[must_use]
pub fn choose(own: Option<Candidate>, peers: impl IntoIterator<Item = Candidate>) -> Leader {
    let first = peers.into_iter().reduce(|best, next| if next.precedes(&best) { next } else { best });
    match (own, first) {
        (None, None) => Leader::None,
        (None, Some(peer)) => Leader::Peer(peer),
        (Some(own), Some(peer)) if peer.precedes(&own) => Leader::Peer(peer),
        (Some(_), _) => Leader::Local,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn candidate(id: u8, role: NodeRole) -> Candidate {
        Candidate::new(NodeId([id; 32]), role).unwrap()
    }

    #[test]
    fn only_planners_and_standbys_are_candidates() {
        let ranks: Vec<Option<Rank>> = NodeRole::ALL.into_iter().map(Rank::of_role).collect();
        let expected = NodeRole::ALL.map(|role| match role {
            NodeRole::Planner => Some(Rank::Planner),
            NodeRole::StandbyPlanner => Some(Rank::Standby),
            _ => None,
        });
        assert_eq!(ranks, expected);
        assert!(Candidate::new(NodeId([1; 32]), NodeRole::Viewer).is_none());
    }

    #[test]
    fn a_higher_rank_comes_first_and_then_the_lower_id() {
        let (planner, standby) =
            (|id| candidate(id, NodeRole::Planner), |id| candidate(id, NodeRole::StandbyPlanner));
        for (own, peers, leader) in [
            (None, vec![], Leader::None),
            (Some(standby(5)), vec![], Leader::Local),
            (None, vec![standby(5)], Leader::Peer(standby(5))),
            (Some(planner(5)), vec![planner(4)], Leader::Peer(planner(4))),
            (Some(planner(5)), vec![planner(6), standby(1)], Leader::Local),
            (Some(standby(1)), vec![standby(2), planner(9)], Leader::Peer(planner(9))),
        ] {
            assert_eq!(choose(own, peers.clone()), leader, "{own:?} {peers:?}");
        }
    }

    proptest! {
        #[test]
        fn all_who_see_each_other_choose_the_same(ids in prop::collection::btree_map(0_u8..20, any::<bool>(), 1..8)) {
            let role = |is_planner| if is_planner { NodeRole::Planner } else { NodeRole::StandbyPlanner };
            let all: Vec<Candidate> = ids.into_iter().map(|(id, is_planner)| candidate(id, role(is_planner))).collect();
            let Leader::Peer(first) = choose(None, all.iter().rev().copied()) else { panic!() };
            for own in &all {
                let others = all.iter().copied().filter(|other| other != own);
                let expected = if *own == first { Leader::Local } else { Leader::Peer(first) };
                prop_assert_eq!(choose(Some(*own), others), expected);
            }
        }
    }
}
