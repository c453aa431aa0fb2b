//! A node of the mesh as an entity, and what is kept about all of them.

use std::collections::{BTreeMap, BTreeSet};

use bevy::prelude::{Component, Entity, Resource};
use clawmesh_authority::{HlcClock, Lane, LaneMark, NodeId};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::liveness::Liveness;

/// The identity of a node; the entity never becomes another.
#[derive(
    Component, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Encode, Decode,
)]
#[component(immutable)]
#[require(Presence, Liveness, LastHeard, Voice, ClockOffset)]
pub struct Node(#[n(0)] pub NodeId);

/// This very node.
#[derive(Component, Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, Encode, Decode)]
pub struct OwnNode;

/// A node whose statements are taken here.
#[derive(Component, Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, Encode, Decode)]
pub struct Trusted;

/// Whose statements are taken here. It begins with the settings of the run and follows what people change while it lasts.
#[derive(Resource, Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, Encode, Decode)]
pub struct Trust {
    #[n(0)]
    own: Option<NodeId>,
    #[n(1)]
    nodes: BTreeSet<NodeId>,
}

impl Trust {
    /// The trust of a node that is `own`.
    #[must_use]
    pub fn of(own: NodeId, nodes: BTreeSet<NodeId>) -> Self {
        let mut trust = Self { own: Some(own), nodes: BTreeSet::new() };
        trust.set(nodes);
        trust
    }

    /// Trusts these nodes and no others. What comes back under our own name is an echo or a forgery.
    pub fn set(&mut self, mut nodes: BTreeSet<NodeId>) {
        nodes.retain(|node| Some(*node) != self.own);
        self.nodes = nodes;
    }

    /// True for another node whose statements are taken.
    #[must_use]
    pub fn has(&self, node: &NodeId) -> bool {
        self.nodes.contains(node)
    }

    /// True for this node and for those whose statements it takes.
    #[must_use]
    pub fn believes(&self, node: &NodeId) -> bool {
        self.own.as_ref() == Some(node) || self.has(node)
    }
}

/// What a node says about itself.
#[derive(Component, Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct NodeProfile {
    /// Its name.
    #[n(0)]
    pub name: String,
    /// Its role.
    #[n(1)]
    pub role: String,
    /// The version of its software.
    #[n(2)]
    pub version: String,
}

/// Whether the node's liveliness token is there, and since which tick.
#[derive(Component, Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, Encode, Decode)]
pub struct Presence {
    /// True while the token is there.
    #[n(0)]
    pub is_present: bool,
    /// The tick it appeared or vanished in.
    #[n(1)]
    pub since_tick: u64,
}

/// The tick in which a statement of the node was last admitted; `None` before the first.
#[derive(Component, Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, Encode, Decode)]
pub struct LastHeard(#[n(0)] pub Option<u64>);

/// What the words of a node show of it being there. A node that runs says something on the stream lane every few seconds, if only
/// that it measures nothing; a viewer never does.
#[derive(Component, Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
pub enum Voice {
    /// It was never heard on that lane: there is no silence to judge.
    #[n(0)]
    #[default]
    Unheard,
    /// It was heard, last in this tick.
    #[n(1)]
    Heard(#[n(0)] u64),
    /// It has said its last word.
    #[n(2)]
    Left,
    /// Its token came back in this tick, and it has not spoken since.
    #[n(3)]
    Back(#[n(0)] u64),
}

impl Voice {
    /// That of a node whose token appears in this tick: whoever spoke before owes a word anew. A token that comes and goes makes
    /// nobody owe it later, since anybody can declare one.
    #[must_use]
    pub fn of_one_who_is_back(self, tick: u64) -> Self {
        match self {
            Self::Heard(_) | Self::Left => Self::Back(tick),
            Self::Unheard | Self::Back(_) => self,
        }
    }

    /// That of a node that says something on `lane` in this tick. What comes on the state lane shows that it is there, and who
    /// says things there alone owes none on the other; what had yet to be delivered takes no last word back.
    #[must_use]
    pub fn of_one_who_speaks(self, lane: Lane, is_last: bool, tick: u64) -> Self {
        match (lane, self) {
            (Lane::Stream, _) if is_last => Self::Left,
            (Lane::Stream, _) | (Lane::State, Self::Heard(_) | Self::Back(_)) => Self::Heard(tick),
            (Lane::State, Self::Unheard | Self::Left) => self,
        }
    }

    /// Since when it owes a word; `None` where it owes none.
    #[must_use]
    pub fn silent_since_tick(self) -> Option<u64> {
        match self {
            Self::Heard(tick) | Self::Back(tick) => Some(tick),
            Self::Unheard | Self::Left => None,
        }
    }
}

/// The node's clock minus ours when last heard, milliseconds; the way is in it.
#[derive(Component, Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, Encode, Decode)]
pub struct ClockOffset(#[n(0)] pub Option<i64>);

/// How far one node was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, Encode, Decode)]
pub struct NodeMarks {
    /// On the state lane.
    #[n(0)]
    pub state: LaneMark,
    /// On the stream lane.
    #[n(1)]
    pub stream: LaneMark,
}

/// How far every node was heard that is trusted, or was: one that is trusted again must not be able to repeat what it said
/// before. Nobody else gets an entry, so it is bounded by what people trust.
#[derive(Resource, Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, Encode, Decode)]
pub struct LaneMarks(#[n(0)] pub BTreeMap<NodeId, NodeMarks>);

/// The hybrid clock this node stamps its statements with.
#[derive(Resource, Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, Encode, Decode)]
pub struct HlcState(#[n(0)] pub HlcClock);

/// The entity of every node.
#[derive(Resource, Debug, Default)]
pub struct NodeIndex(pub BTreeMap<NodeId, Entity>);

/// The most untrusted nodes one world holds at a time; they cost trusted ones no place.
pub const STRANGERS_MAX: usize = 1_024;
