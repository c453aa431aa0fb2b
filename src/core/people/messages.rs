//! What people say about people.

use bevy::prelude::*;
use clawmesh_authority::OperatorId;

/// Somebody revokes a key: asked of this node, or passed on by another one. Nothing of it was judged for good.
#[derive(Message, Debug, Clone, PartialEq, Eq)]
pub struct RevocationHeard {
    /// Who brought it.
    pub from: String,
    /// The signed request.
    pub bytes: Vec<u8>,
    /// True when it was asked of this node: then all others are told, also those who were told before.
    pub is_asked: bool,
}

/// The key of somebody who is enrolled here counts for nothing from now on.
#[derive(Message, Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyRevoked(pub OperatorId);
