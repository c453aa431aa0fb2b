//! What features want said.

use bevy::prelude::Message;
use clawmesh_authority::Frame;

/// A frame to be said in this tick.
#[derive(Message, Debug, Clone, PartialEq)]
pub struct FrameDue(pub Frame);
