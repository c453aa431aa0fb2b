//! What admitted statements say, one message for each thing said.

use bevy::prelude::Message;
use clawmesh_authority::{
    Capability, Hlc, Lane, NodeDescription, NodeId, Observation, ProposalReport, Reading,
};

/// A statement of a node was admitted.
#[derive(Message, Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeHeard {
    /// Which node.
    pub node: NodeId,
    /// The hybrid time of the statement.
    pub hlc: Hlc,
    /// The lane it came on.
    pub lane: Lane,
    /// True when it was the last word of a run.
    pub is_last: bool,
}

/// A node said who it is and what it measures.
#[derive(Message, Debug, Clone, PartialEq)]
pub struct NodeDescribed {
    /// Which node.
    pub node: NodeId,
    /// What it said.
    pub description: NodeDescription,
}

/// A sensor gave a value.
#[derive(Message, Debug, Clone, PartialEq)]
pub struct ReadingTaken {
    /// The node it is mounted on.
    pub node: NodeId,
    /// The reading.
    pub reading: Reading,
    /// The hybrid time of the statement it came in.
    pub hlc: Hlc,
}

/// The home of a proposal said how it stands.
#[derive(Message, Debug, Clone, PartialEq)]
pub struct ProposalReported {
    /// The home.
    pub home: NodeId,
    /// How it stands.
    pub report: ProposalReport,
    /// When it was said.
    pub hlc: Hlc,
}

/// Somebody said something about a key.
#[derive(Message, Debug, Clone, PartialEq)]
pub struct ObservationMade {
    /// The node that signed it.
    pub source: NodeId,
    /// What was said.
    pub observation: Observation,
    /// The sensor of `source` that measured it; none when somebody noted it.
    pub sensor: Option<Capability>,
    /// When, in hybrid time.
    pub hlc: Hlc,
}
