//! Hybrid logical clock: close to wall time, never backwards, total together with the source.
//!
//! After Kulkarni et al., "Logical Physical Clocks" (2014), in whole milliseconds of Unix time.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// A point in hybrid time. Across nodes, events order by (HLC, source id) and by nothing else.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, Encode, Decode,
)]
pub struct Hlc {
    /// Unix time, milliseconds.
    #[n(0)]
    pub wall_ms: u64,
    /// Counts events within one millisecond, and while the wall clock stands or runs backwards.
    #[n(1)]
    pub logical: u32,
}

/// How far ahead of ours another node's clock may be before what it says is refused.
pub const AHEAD_MS_MAX: u64 = 500;

impl Hlc {
    /// Milliseconds this point lies ahead of `wall_ms`, or 0.
    #[must_use]
    pub fn ahead_ms(&self, wall_ms: u64) -> u64 {
        self.wall_ms.saturating_sub(wall_ms)
    }

    /// True when a node whose clock shows `wall_ms` must refuse this point.
    #[must_use]
    pub fn is_from_the_future(&self, wall_ms: u64) -> bool {
        self.ahead_ms(wall_ms) > AHEAD_MS_MAX
    }
}

/// The clock a node stamps its own events with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, Encode, Decode)]
pub struct HlcClock {
    #[n(0)]
    last: Hlc,
}

impl HlcClock {
    /// Stamps an event of this node.
    pub fn stamp(&mut self, wall_ms: u64) -> Hlc {
        self.last = if wall_ms > self.last.wall_ms {
            Hlc { wall_ms, logical: 0 }
        } else {
            Hlc { wall_ms: self.last.wall_ms, logical: self.last.logical.saturating_add(1) }
        };
        self.last
    }

    /// Takes notice of an admitted event of another node, so that our next stamp is later.
    pub fn observe(&mut self, seen: Hlc) {
        self.last = self.last.max(seen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn half_a_second_ahead_is_the_limit() {
        let at = |wall_ms| Hlc { wall_ms, logical: 0 };
        assert!(!at(1_500).is_from_the_future(1_000));
        assert!(at(1_501).is_from_the_future(1_000));
        assert!(!at(0).is_from_the_future(1_000));
    }

    proptest! {
        #[test]
        fn stamps_always_grow_whatever_the_wall_clock_does(walls: Vec<u64>, seen_ms: u64, logical: u32) {
            let mut clock = HlcClock::default();
            clock.observe(Hlc { wall_ms: seen_ms / 2, logical: logical / 2 });
            let stamps: Vec<Hlc> = walls.into_iter().map(|wall| clock.stamp(wall)).collect();
            prop_assert!(stamps.is_sorted_by(|a, b| a < b));
        }

        #[test]
        fn what_we_say_after_hearing_something_is_later(seen_ms in 0_u64..1 << 50, wall in 0_u64..1 << 50) {
            let (mut clock, seen) = (HlcClock::default(), Hlc { wall_ms: seen_ms, logical: 7 });
            clock.observe(seen);
            prop_assert!(clock.stamp(wall) > seen);
        }
    }
}
