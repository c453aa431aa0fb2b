//! What an actuator is told to be: an absolute state, never a change.

use std::fmt;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// The two states of something that is switched.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Encode, Decode,
)]
#[cbor(index_only)]
pub enum Setpoint {
    /// Lets nothing pass, or stands.
    #[n(0)]
    Off,
    /// Lets pass, or runs.
    #[n(1)]
    On,
}

impl fmt::Display for Setpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::On => "on",
        })
    }
}
