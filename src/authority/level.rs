//! How much of a say people have, and how much harm a wrong command can do.

use std::fmt;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// How much of a say people have in an operation.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Encode, Decode,
)]
#[cbor(index_only)]
pub enum Level {
    /// Nothing is moved, only looked at.
    #[n(0)]
    L0,
    /// Within the bounds of a standing permission nobody is asked.
    #[n(1)]
    L1,
    /// One person approves each time.
    #[n(2)]
    L2,
    /// Two people approve each time.
    #[n(3)]
    L3,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// How much harm a wrong command can do.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Encode, Decode,
)]
#[cbor(index_only)]
pub enum HazardClass {
    /// Nothing that matters.
    #[n(0)]
    Routine,
    /// A loss of water, energy or work.
    #[n(1)]
    Caution,
    /// Harm to people, animals or machines.
    #[n(2)]
    Hazardous,
    /// Harm that cannot be undone.
    #[n(3)]
    Irreversible,
}
