//! What nodes say of who leads.

use bevy::prelude::Message;
use clawmesh_authority::NodeId;
use clawmesh_authority::leadership::Say;

/// A node said something of who leads.
#[derive(Message, Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeadershipSaid {
    /// Who.
    pub by: NodeId,
    /// What.
    pub say: Say,
    /// Just now; else to an earlier run of ours.
    pub is_live: bool,
}
