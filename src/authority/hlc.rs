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

/// How far ahead of the wall clock our own may run before it is set back. Whoever is this far ahead is refused
/// everywhere, so to stay there, because a wall clock was wrong once, would be to stay silent. Twice the bound, because
/// what we admitted of others may be ahead of us by all of it, and that is no fault of our clock.
const SET_BACK_MS: u64 = 2 * AHEAD_MS_MAX;

/// How refusals name whom to look at while the time is not known: nobody else is to blame.
pub const OWN_CLOCK: &str = "our own clock";
/// What is said to whoever asks for something that needs the time while it is not known here.
pub const TIME_UNKNOWN: &str = "this node does not know what time it is; `clawmesh status` says why, and once it has agreed with \
                                other nodes the same can be sent again";

impl Hlc {
    /// Milliseconds this point lies ahead of `wall_ms`, or 0.
    #[must_use]
    pub fn ahead_ms(&self, wall_ms: u64) -> u64 {
        self.wall_ms.saturating_sub(wall_ms)
    }

    /// True when our own clock, which shows `wall_ms` now, was wrong when it made this point. While the time is not known,
    /// `wall_ms` being 0, nobody can say so.
    #[must_use]
    pub fn is_of_a_wrong_clock(&self, wall_ms: u64) -> bool {
        wall_ms > 0 && self.ahead_ms(wall_ms) > SET_BACK_MS
    }

    fn successor(self) -> Self {
        match self.logical.checked_add(1) {
            Some(logical) => Self { logical, ..self },
            None => Self { wall_ms: self.wall_ms.saturating_add(1), logical: 0 },
        }
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
    /// A clock that goes on from `wall_ms`, before which everything was stamped that this node has stamped so far.
    #[must_use]
    pub fn after(wall_ms: u64) -> Self {
        Self { last: Hlc { wall_ms, logical: 0 } }
    }

    /// Stamps an event of this node: later than every stamp before, unless the wall clock was set back by seconds. While the time
    /// is not known, `wall_ms` being 0, it goes on from its last.
    pub fn stamp(&mut self, wall_ms: u64) -> Hlc {
        let is_ahead = self.last.wall_ms >= wall_ms && !self.last.is_of_a_wrong_clock(wall_ms);
        self.last = if is_ahead { self.last.successor() } else { Hlc { wall_ms, logical: 0 } };
        self.last
    }

    /// Takes notice of an event that was admitted, so that our next stamp is later. One from the future of
    /// `wall_ms` was stamped, here or elsewhere, by a clock that was wrong: it does not make ours wrong too. While the time is
    /// not known nobody can tell, so nothing is taken notice of: the clock was begun after what is known to be right.
    pub fn observe(&mut self, seen: Hlc, wall_ms: u64) {
        if wall_ms > 0 && !seen.is_of_a_wrong_clock(wall_ms) {
            self.last = self.last.max(seen);
        }
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

    #[test]
    fn a_wall_clock_that_was_wrong_for_a_while_does_not_make_us_wrong_for_ever() {
        let (mut clock, year_2099, now) = (HlcClock::default(), 4_070_908_800_000, 1_800_000_000_000);
        let wrong = clock.stamp(year_2099);
        assert_eq!(clock.stamp(now), Hlc { wall_ms: now, logical: 0 });
        clock.observe(wrong, now);
        assert_eq!(clock.stamp(now), Hlc { wall_ms: now, logical: 1 });
    }

    #[test]
    fn while_the_time_is_not_known_stamps_go_on_from_the_last_and_take_nothing_from_what_comes_after() {
        let (earlier, now) = (1_800_000_000_000, 1_800_000_900_000);
        let mut clock = HlcClock::after(earlier);
        assert_eq!(clock.stamp(0), Hlc { wall_ms: earlier, logical: 1 });
        clock.observe(Hlc { wall_ms: 2_082_758_400_000, logical: 3 }, 0);
        assert_eq!(
            clock.stamp(0),
            Hlc { wall_ms: earlier, logical: 2 },
            "what the journal holds may be of a clock that stood in 2036"
        );
        assert_eq!(clock.stamp(now), Hlc { wall_ms: now, logical: 0 });
        let mut new = HlcClock::default();
        assert_eq!(
            [new.stamp(0), new.stamp(0)].map(|stamp| (stamp.wall_ms, stamp.logical)),
            [(0, 1), (0, 2)]
        );
        assert_eq!(new.stamp(now), Hlc { wall_ms: now, logical: 0 });
    }

    proptest! {
        #[test]
        fn stamps_grow_while_the_wall_clock_is_not_set_back_by_seconds(
            walls in prop::collection::vec(0..SET_BACK_MS / 2, 0..50), start in 0..u64::MAX / 2, logical: u32,
        ) {
            let mut clock = HlcClock::default();
            clock.observe(Hlc { wall_ms: start + SET_BACK_MS / 2, logical }, start);
            let stamps: Vec<Hlc> = walls.into_iter().map(|wall| clock.stamp(start + wall)).collect();
            prop_assert!(stamps.is_sorted_by(|a, b| a < b));
        }

        #[test]
        fn what_we_say_after_hearing_something_is_later(
            seen_ms in 0_u64..1 << 50, ahead in 0..=AHEAD_MS_MAX, logical: u32,
        ) {
            let (mut clock, seen) = (HlcClock::default(), Hlc { wall_ms: seen_ms + ahead, logical });
            clock.observe(seen, seen_ms);
            prop_assert!(clock.stamp(seen_ms) > seen);
        }
    }
}
