//! Resources of the safety feature.

use bevy::prelude::Resource;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::tally::RefusalBook;
use crate::intake::LinkState;

/// The book of refusals of this node.
#[derive(Resource, Debug, Clone, PartialEq, Default, Serialize, Deserialize, Encode, Decode)]
pub struct Refusals(#[n(0)] pub RefusalBook);

/// Why the stop is latched, if it is; what the tick has learned of the latch.
#[derive(Resource, Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, Encode, Decode)]
pub struct StopState(#[n(0)] pub Option<String>);

/// How the link to the mesh stands.
#[derive(Resource, Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, Encode, Decode)]
pub struct LinkStatus(#[n(0)] pub LinkState);
