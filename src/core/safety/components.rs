//! Resources of the safety feature.

use bevy::prelude::Resource;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::tally::RefusalBook;
use crate::intake::LinkState;

/// The book of refusals of this node.
#[derive(Resource, Debug, Clone, PartialEq, Default, Serialize, Deserialize, Encode, Decode)]
pub struct Refusals(#[n(0)] pub RefusalBook);

/// What the tick has learned of the latch.
#[derive(Resource, Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, Encode, Decode)]
pub struct StopState {
    /// Why the stop is latched, if it is.
    #[n(0)]
    pub reason: Option<String>,
    /// How often the latch had been set when the tick heard of it last.
    #[n(1)]
    pub stops: u64,
    /// When the newest stop was heard of, Unix milliseconds: no earlier word ends it.
    #[n(2)]
    pub since_ms: u64,
}

/// How the link to the mesh stands.
#[derive(Resource, Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, Encode, Decode)]
pub struct LinkStatus(#[n(0)] pub LinkState);
