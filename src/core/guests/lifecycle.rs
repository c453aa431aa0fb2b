//! When a guest that is silent becomes suspect, and when lost; one that said goodbye is neither. Pure.

use bevy::prelude::Component;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// How often an edge says which guests were heard, milliseconds.
pub const HEARD_EVERY_MS: u64 = 5_000;
/// The most guests one input says that they were heard.
pub const HEARD_AT_ONCE_MAX: usize = 256;
/// Silence after which a connected guest is suspect, milliseconds: a ping a guest answers goes out every ten seconds, and that
/// is told up to [`HEARD_EVERY_MS`] later.
pub const SUSPECT_AFTER_MS: u64 = 20_000;
/// Silence after which a guest is lost, milliseconds; a link ends before, and a guest that comes back in time was not lost.
pub const LOST_AFTER_MS: u64 = 60_000;
/// How long one that said goodbye is still shown, milliseconds.
pub const LEFT_SHOWN_MS: u64 = 600_000;

/// How a guest stands.
#[derive(Component, Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, Encode, Decode)]
#[cbor(index_only)]
#[serde(rename_all = "snake_case")]
pub enum GuestState {
    /// It was heard not long ago.
    #[n(0)]
    #[default]
    Alive,
    /// It is silent, or its connection has ended without a goodbye.
    #[n(1)]
    Suspect,
    /// It was silent for too long, or did not answer when others said that it is down.
    #[n(2)]
    Lost,
    /// It said that it leaves.
    #[n(3)]
    Left,
}

/// How the connection of a guest has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, Encode, Decode)]
#[cbor(index_only)]
#[serde(rename_all = "snake_case")]
pub enum GuestEnd {
    /// Without a goodbye; it may come back at any moment.
    #[n(0)]
    #[default]
    Ended,
    /// It said that it leaves.
    #[n(1)]
    Left,
    /// Others said that it is down, and it did not answer us either.
    #[n(2)]
    Down,
}

/// What is known of the connection with a guest.
#[derive(Component, Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, Encode, Decode)]
pub struct GuestContact {
    /// The tick in which it was last known to be there.
    #[n(0)]
    pub heard_tick: u64,
    /// How its connection has ended; nothing while it has one.
    #[n(1)]
    pub end: Option<GuestEnd>,
    /// When the newest word of its own about what it can do was made, Unix milliseconds by its own clock: what it says is
    /// compared with what it said, and never with our time.
    #[n(2)]
    pub abilities_ms: u64,
}

impl GuestState {
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
}

/// Judges a guest by how its connection has ended, if it has, and by the milliseconds since it was heard.
#[must_use]
pub fn assess(end: Option<GuestEnd>, silent_ms: u64) -> GuestState {
    match end {
        Some(GuestEnd::Left) => GuestState::Left,
        Some(GuestEnd::Down) => GuestState::Lost,
        _ if silent_ms > LOST_AFTER_MS => GuestState::Lost,
        Some(GuestEnd::Ended) => GuestState::Suspect,
        None if silent_ms > SUSPECT_AFTER_MS => GuestState::Suspect,
        None => GuestState::Alive,
    }
}

/// True for one that is not shown any more: it said goodbye a while ago, or it is gone and nobody trusts it.
#[must_use]
pub fn is_forgotten(end: Option<GuestEnd>, silent_ms: u64, is_trusted: bool) -> bool {
    match end {
        None => false,
        Some(_) if !is_trusted => true,
        Some(end) => end == GuestEnd::Left && silent_ms > LEFT_SHOWN_MS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_guest_is_alive_then_suspect_then_lost_and_one_that_left_is_neither() {
        for (end, silent_ms, state) in [
            (None, SUSPECT_AFTER_MS, GuestState::Alive),
            (None, SUSPECT_AFTER_MS + 1, GuestState::Suspect),
            (None, LOST_AFTER_MS, GuestState::Suspect),
            (None, LOST_AFTER_MS + 1, GuestState::Lost),
            (Some(GuestEnd::Ended), 0, GuestState::Suspect),
            (Some(GuestEnd::Ended), LOST_AFTER_MS, GuestState::Suspect),
            (Some(GuestEnd::Ended), LOST_AFTER_MS + 1, GuestState::Lost),
            (Some(GuestEnd::Down), 0, GuestState::Lost),
            (Some(GuestEnd::Left), 0, GuestState::Left),
            (Some(GuestEnd::Left), u64::MAX, GuestState::Left),
        ] {
            assert_eq!(assess(end, silent_ms), state, "{end:?} after {silent_ms} ms");
        }
    }

    #[test]
    fn who_has_left_is_forgotten_in_time_and_who_is_gone_with_the_trust_in_it() {
        for (end, silent_ms, is_trusted, forgotten) in [
            (Some(GuestEnd::Left), LEFT_SHOWN_MS, true, false),
            (Some(GuestEnd::Left), LEFT_SHOWN_MS + 1, true, true),
            (Some(GuestEnd::Ended), u64::MAX, true, false),
            (Some(GuestEnd::Down), 0, false, true),
            // Its link ends first, and that is told.
            (None, u64::MAX, false, false),
        ] {
            assert_eq!(is_forgotten(end, silent_ms, is_trusted), forgotten, "{end:?} after {silent_ms} ms");
        }
    }

    proptest! {
        #[test]
        fn more_silence_is_never_healthier(a: u64, b: u64, ended: bool) {
            let end = ended.then_some(GuestEnd::Ended);
            let rank = |silent_ms| assess(end, silent_ms) as u8;
            prop_assert!(rank(a.min(b)) <= rank(a.max(b)));
        }
    }
}
