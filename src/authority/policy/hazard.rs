//! How much harm a wrong command can do.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

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
