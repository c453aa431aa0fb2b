//! What a bridge needs to know and to hold, in plain types.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use clawmesh_authority::envelope::FRAMES_PER_BUNDLE_MAX;
use clawmesh_authority::{LaneMark, MeshId, NodeId, NodeKey, Roster};
use clawmesh_core::clock::Timekeeper;
use clawmesh_core::intake::InboxHandle;
use clawmesh_core::proposals::AnswerDesk;
use clawmesh_core::publish::OutboxReader;
use clawmesh_core::replay::CommitWatch;
use clawmesh_core::safety::{Standing, StopPort};
use clawmesh_core::world::BELIEFS_MAX;
use serde::Serialize;

use crate::mapping::Mapping;
use crate::papers::Papers;

/// What a node is for the others on zenoh, beside what it says itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ZenohMode {
    /// It links to everybody it can reach, and relays nothing.
    #[default]
    Peer,
    /// It has one link, to a router or a peer that relays for it, and listens nowhere.
    Client,
    /// It relays for those that link to it, and for other routers.
    Router,
}

impl ZenohMode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Peer, Self::Client, Self::Router];

    /// The word for it, in zenoh as well.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Client => "client",
            Self::Router => "router",
        }
    }
}

/// What somebody of the mesh is for our links, as people here say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// A node that speaks for itself.
    #[default]
    Node,
    /// A node that speaks for itself, and brings what others say.
    Relay,
    /// It brings what others say and is nobody itself: a stock zenoh router. Nothing it signs counts.
    Router,
    /// A node that looks on: its readings count nowhere here.
    Viewer,
}

impl Part {
    /// Every part.
    pub const ALL: [Self; 4] = [Self::Node, Self::Relay, Self::Router, Self::Viewer];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Relay => "relay",
            Self::Router => "router",
            Self::Viewer => "viewer",
        }
    }

    /// The part, if it is anything but a node.
    #[must_use]
    pub fn beyond_node(self) -> Option<Self> {
        (self != Self::Node).then_some(self)
    }

    /// The part with this word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.as_str() == word)
    }
}

/// How a node is on the mesh.
#[derive(Debug, Clone)]
pub struct BridgeConfig {
    /// The mesh.
    pub mesh: MeshId,
    /// What it is for the others on zenoh.
    pub mode: ZenohMode,
    /// Where to listen, as zenoh endpoints, for example `tcp/0.0.0.0:7447`. Port 0 takes a free one.
    pub listen: Vec<String>,
    /// Whom to connect to, as zenoh endpoints; tried for ever.
    pub connect: Vec<String>,
    /// Whether other nodes are looked for by multicast.
    pub discovery: bool,
    /// The nodes whose statements are taken.
    pub trusted: BTreeSet<NodeId>,
    /// What they, and routers, are for our links; who is not named is a node that speaks for itself.
    pub parts: BTreeMap<NodeId, Part>,
    /// What foreign programs say, and which sensors of ours it becomes.
    pub mappings: Vec<Mapping>,
    /// The bounds.
    pub limits: BridgeLimits,
    /// How far earlier runs have heard the state lane and the stream lane of other nodes.
    pub marks: BTreeMap<NodeId, (LaneMark, LaneMark)>,
    /// The people who may ask this node for something, and stop it, over the mesh.
    pub people: Roster,
}

/// The bounds of a bridge. What exceeds one is refused and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BridgeLimits {
    /// Envelopes a second that one node signed and that are new, and as many at once after a pause.
    pub envelopes_per_second_max: u32,
    /// Messages a second under the name of one trusted node, or under all other names together, that may turn
    /// out to be forged, repeated or out of place; and questions how far a name was heard.
    pub unproven_per_second_max: u32,
    /// The largest sample of a foreign program, in bytes.
    pub sample_bytes_max: usize,
    /// Different nodes we do not trust whose presence is reported in one run; those we trust always are.
    pub strangers_max: usize,
    /// Frames of ours that are kept for nodes which have not heard them yet.
    pub frames_retained_max: usize,
    /// Frames of ours that go under one signature when several wait for a node.
    pub frames_signed_together_max: usize,
    /// New requests and approvals a second that one key signed, and as many at once after a pause.
    pub asks_per_second_max: u32,
    /// Askers from the mesh that wait for an answer of this node, and questions of this node that wait for others.
    pub asks_in_flight_max: usize,
    /// How long the tick and the journal may take to answer one of them, milliseconds.
    pub answer_within_ms: u64,
}

/// Twice as many keys as a world may hold beliefs about, so that nobody who comes late misses one for want of room here.
const FRAMES_RETAINED_MAX: usize = 2 * BELIEFS_MAX;

impl Default for BridgeLimits {
    fn default() -> Self {
        Self {
            envelopes_per_second_max: 500,
            unproven_per_second_max: 2_000,
            sample_bytes_max: 64 * 1024,
            strangers_max: 1_024,
            frames_retained_max: FRAMES_RETAINED_MAX,
            frames_signed_together_max: FRAMES_PER_BUNDLE_MAX,
            asks_per_second_max: 20,
            asks_in_flight_max: 64,
            answer_within_ms: 10_000,
        }
    }
}

/// What others are told who ask for the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Telling {
    /// What the clock of this machine shows.
    Time,
    /// Nothing, because it is not known yet whether that is right; they count this node among those that could say it.
    NotYet,
    /// Nothing, because nothing keeps that clock: what is told on would come back as if somebody knew it.
    Never,
}

/// What the bridge is connected to inside the node.
#[derive(Clone)]
pub struct BridgePorts {
    /// The key we sign with.
    pub key: NodeKey,
    /// Which run of this node it is.
    pub epoch: u64,
    /// Where everything goes in.
    pub inbox: InboxHandle,
    /// Where everything comes out.
    pub outbox: OutboxReader,
    /// How far the journal is durable.
    pub commits: CommitWatch,
    /// Wall time, Unix milliseconds; 0 while it is not known.
    pub unix_ms: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// Who looks for the time by asking other nodes; `None` where the machine keeps its clock.
    pub clock: Option<Arc<dyn Timekeeper>>,
    /// What others are told who ask for the time.
    pub telling: Arc<dyn Fn() -> Telling + Send + Sync>,
    /// Where whoever asks this node waits for the answer.
    pub desk: AnswerDesk,
    /// The stop latch.
    pub latch: Arc<dyn StopPort>,
    /// The papers of this node, read each time a session is opened: `None` when it was never paired, or a sentence.
    pub papers: Arc<dyn Fn() -> Result<Option<Papers>, String> + Send + Sync>,
    /// How our actuators stand by the newest picture, if there is one. It must not wait.
    pub standing: Arc<dyn Fn() -> Option<Standing> + Send + Sync>,
}

impl fmt::Debug for BridgePorts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BridgePorts")
            .field("key", &self.key)
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}
