//! Who must agree before an operation.

use std::fmt;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// Who must agree before an operation. The owner's policy sets it; nothing a sender claims lowers it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Encode, Decode,
)]
#[cbor(index_only)]
pub enum Level {
    /// Read-only: nothing moves, so there is nothing to agree to.
    #[n(0)]
    L0,
    /// Bounded automatic: a person agreed before, by a standing capability that expires.
    #[n(1)]
    L1,
    /// One person.
    #[n(2)]
    L2,
    /// Two persons, neither of whom asked for it.
    #[n(3)]
    L3,
}

impl Level {
    /// How many persons have to approve each single proposal.
    #[must_use]
    pub fn approvals_needed(self) -> usize {
        match self {
            Self::L0 | Self::L1 => 0,
            Self::L2 => 1,
            Self::L3 => 2,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_higher_level_never_needs_fewer_people() {
        let levels = [Level::L0, Level::L1, Level::L2, Level::L3];
        assert!(levels.is_sorted() && levels.map(Level::approvals_needed).is_sorted());
        assert_eq!((Level::L2.approvals_needed(), Level::L3.approvals_needed()), (1, 2));
    }
}
