//! When a silent node becomes suspect, and when lost: by its token, which is there while it is linked, and by its own signed word,
//! which ends when its tick stands still.

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
    /// Its token is there, and it speaks.
    #[n(0)]
    Alive,
    /// Its token is gone, or it has not spoken, but not for long.
    #[n(1)]
    Suspect,
    /// Its token is gone for good, or was never seen, or it does not speak any more.
    #[n(2)]
    #[default]
    Lost,
    /// It has ended in order, and said so.
    #[n(3)]
    Left,
}

/// How patient we are.
#[derive(Resource, Debug, Clone, Copy, PartialEq, Eq)]
pub struct LivenessPolicy {
    /// A token gone for longer than this makes the node lost, milliseconds.
    pub lost_after_ms: u64,
    /// Silence for longer than this makes a node suspect whose token is there, milliseconds.
    pub suspect_after_silence_ms: u64,
    /// Silence for longer than this makes it lost, milliseconds.
    pub lost_after_silence_ms: u64,
}

/// How often a node says something on the stream lane even if it measures nothing, milliseconds. Two in a row may be lost
/// before anybody suspects it.
pub const SIGN_OF_LIFE_MS: u64 = 5_000;

impl Default for LivenessPolicy {
    fn default() -> Self {
        Self {
            lost_after_ms: 5_000,
            suspect_after_silence_ms: 3 * SIGN_OF_LIFE_MS,
            lost_after_silence_ms: 6 * SIGN_OF_LIFE_MS,
        }
    }
}

/// Judges a node that has not left: by the milliseconds since its token was there, `None` while it is, and by those since it
/// spoke, `None` where it owes us no word. The worse of the two counts.
#[must_use]
pub fn assess(gone_for_ms: Option<u64>, silent_for_ms: Option<u64>, policy: &LivenessPolicy) -> Liveness {
    let by_token = match gone_for_ms {
        None => Liveness::Alive,
        Some(ms) if ms <= policy.lost_after_ms => Liveness::Suspect,
        Some(_) => Liveness::Lost,
    };
    let by_voice = match silent_for_ms {
        Some(ms) if ms > policy.lost_after_silence_ms => Liveness::Lost,
        Some(ms) if ms > policy.suspect_after_silence_ms => Liveness::Suspect,
        _ => Liveness::Alive,
    };
    by_token.max(by_voice)
}

impl Liveness {
    /// The word people see.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Suspect => "suspect",
            Self::Lost => "lost",
            Self::Left => "left",
        }
    }

    /// True of a node that may still be there.
    #[must_use]
    pub fn may_be_there(self) -> bool {
        matches!(self, Self::Alive | Self::Suspect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_node_is_alive_then_suspect_then_lost() {
        let policy = LivenessPolicy::default();
        for (gone, silent, liveness) in [
            (None, None, Liveness::Alive),
            (Some(0), None, Liveness::Suspect),
            (Some(5_000), None, Liveness::Suspect),
            (Some(5_001), None, Liveness::Lost),
            (None, Some(15_000), Liveness::Alive),
            (None, Some(15_001), Liveness::Suspect),
            (None, Some(30_000), Liveness::Suspect),
            (None, Some(30_001), Liveness::Lost),
            (Some(1), Some(30_001), Liveness::Lost),
            (Some(5_001), Some(0), Liveness::Lost),
        ] {
            assert_eq!(assess(gone, silent, &policy), liveness, "{gone:?} {silent:?}");
        }
    }

    proptest! {
        #[test]
        fn more_silence_is_never_healthier(a in 0_u64..60_000, b in 0_u64..60_000, other: Option<u16>) {
            let (policy, other, less, more) =
                (LivenessPolicy::default(), other.map(u64::from), Some(a.min(b)), Some(a.max(b)));
            prop_assert!(assess(less, other, &policy) <= assess(more, other, &policy));
            prop_assert!(assess(other, less, &policy) <= assess(other, more, &policy));
        }
    }
}
