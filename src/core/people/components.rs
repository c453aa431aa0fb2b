//! Who is known.

use bevy::prelude::Resource;
use clawmesh_authority::Roster;
use minicbor::Encode;

/// Everybody this node knows now, as people at its console have enrolled and revoked them.
#[derive(Resource, Debug, Clone, PartialEq, Eq, Default, Encode)]
pub struct People(#[n(0)] pub Roster);
