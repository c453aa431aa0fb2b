//! When a silent node becomes suspect, and when lost.

use bevy::prelude::{Component, Resource};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// What we believe about a node being there.
#[derive(
    Component,
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Default,
    Serialize,
    Deserialize,
    Encode,
    Decode,
)]
#[cbor(index_only)]
#[serde(rename_all = "snake_case")]
pub enum Liveness {
    /// Its token is there.
    #[n(0)]
    Alive,
    /// Its token is gone, not for long.
    #[n(1)]
    Suspect,
    /// Its token is gone for good, or was never seen.
    #[n(2)]
    #[default]
    Lost,
}

/// How patient we are.
#[derive(Resource, Debug, Clone, Copy, PartialEq, Eq)]
pub struct LivenessPolicy {
    /// A token gone for longer than this makes the node lost, milliseconds.
    pub lost_after_ms: u64,
}

impl Default for LivenessPolicy {
    fn default() -> Self {
        Self { lost_after_ms: 5_000 }
    }
}

/// Judges a node by its token: `None` while it is there, else the milliseconds since it was.
#[must_use]
pub fn assess(gone_for_ms: Option<u64>, policy: &LivenessPolicy) -> Liveness {
    match gone_for_ms {
        None => Liveness::Alive,
        Some(ms) if ms <= policy.lost_after_ms => Liveness::Suspect,
        Some(_) => Liveness::Lost,
    }
}

impl Liveness {
    /// The word people see.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Suspect => "suspect",
            Self::Lost => "lost",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_node_is_alive_then_suspect_then_lost() {
        let policy = LivenessPolicy { lost_after_ms: 5_000 };
        for (gone, liveness) in [
            (None, Liveness::Alive),
            (Some(0), Liveness::Suspect),
            (Some(5_000), Liveness::Suspect),
            (Some(5_001), Liveness::Lost),
        ] {
            assert_eq!(assess(gone, &policy), liveness, "{gone:?}");
        }
    }

    proptest! {
        #[test]
        fn more_silence_is_never_healthier(a: u64, b: u64) {
            let policy = LivenessPolicy::default();
            prop_assert!(assess(Some(a.min(b)), &policy) <= assess(Some(a.max(b)), &policy));
        }
    }
}
