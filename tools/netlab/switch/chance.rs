//! What happens to the n-th frame of a link: a function of the seed, the link and n, and of nothing else.

use super::link::LinkSettings;

/// A frame that is held back, so that later ones overtake it, waits at least this long.
pub const HOLD_US_MIN: u64 = 10_000;

/// A frame that is held back waits at most this long.
pub const HOLD_US_MAX: u64 = 50_000;

/// What happens to one frame on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fate {
    /// It never arrives.
    pub is_lost: bool,
    /// It arrives twice.
    pub is_duplicated: bool,
    /// From the end of sending to arrival, if nothing holds it back.
    pub delay_us: u64,
    /// How long it is held back after that; 0 for nearly all frames.
    pub hold_us: u64,
}

/// The fate of frame `number` on the link between two ports. Every draw is made every time, so that another loss does
/// not change which frames are late, and a higher loss only adds to what a lower one takes.
#[must_use]
pub fn fate(seed: u64, link: (usize, usize), number: u64, settings: &LinkSettings) -> Fate {
    let mut chance = Chance::of_frame(seed, link, number);
    let is_lost = chance.permille(settings.loss_permille);
    let is_duplicated = chance.permille(settings.duplicate_permille);
    let is_held = chance.permille(settings.reorder_permille);
    let jitter_us = us(settings.jitter_ms);
    let delay_us = (us(settings.delay_ms) + chance.up_to(2 * jitter_us)).saturating_sub(jitter_us);
    let hold_us = HOLD_US_MIN + chance.up_to(HOLD_US_MAX - HOLD_US_MIN);
    Fate { is_lost, is_duplicated, delay_us, hold_us: if is_held { hold_us } else { 0 } }
}

fn us(ms: u32) -> u64 {
    u64::from(ms) * 1_000
}

/// SplitMix64: small, without a table, and good enough for dice.
struct Chance(u64);

impl Chance {
    fn of_frame(seed: u64, (from, to): (usize, usize), number: u64) -> Self {
        let link = ((from as u64) << 32) | to as u64;
        Self(mix(mix(mix(seed).wrapping_add(link)).wrapping_add(number)))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    fn permille(&mut self, share: u16) -> bool {
        self.next() % 1_000 < u64::from(share)
    }

    fn up_to(&mut self, max: u64) -> u64 {
        self.next() % (max + 1)
    }
}

fn mix(state: u64) -> u64 {
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lost_of(frames: u64, seed: u64, loss_permille: u16) -> u64 {
        let settings = LinkSettings { loss_permille, ..LinkSettings::default() };
        (0..frames).map(|number| u64::from(fate(seed, (0, 1), number, &settings).is_lost)).sum()
    }

    /// The first values of SplitMix64 with seed 0, as its author published them.
    #[test]
    fn the_dice_are_those_of_splitmix64() {
        let mut chance = Chance(0);
        let values = [chance.next(), chance.next(), chance.next()];
        assert_eq!(values, [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f]);
    }

    #[test]
    fn no_frame_is_lost_at_zero_and_every_one_at_a_thousand_permille() {
        assert_eq!(lost_of(100_000, 7, 0), 0);
        assert_eq!(lost_of(100_000, 7, 1_000), 100_000);
    }

    #[test]
    fn the_share_of_lost_frames_is_near_the_one_that_is_set() {
        for (seed, loss_permille) in [(1, 5), (2, 50), (3, 300), (4, 900)] {
            let lost = lost_of(100_000, seed, loss_permille);
            let expected = u64::from(loss_permille) * 100;
            // Five standard deviations of a binomial of 100,000 are at most 791.
            assert!(lost.abs_diff(expected) < 800, "{loss_permille} permille: {lost} of 100000");
        }
    }

    #[test]
    fn the_two_directions_and_the_seeds_have_dice_of_their_own() {
        let settings = LinkSettings { loss_permille: 500, ..LinkSettings::default() };
        let lost = |seed, link| -> Vec<bool> {
            (0..200).map(|number| fate(seed, link, number, &settings).is_lost).collect()
        };
        assert_ne!(lost(1, (0, 1)), lost(1, (1, 0)));
        assert_ne!(lost(1, (0, 1)), lost(2, (0, 1)));
        assert_eq!(lost(1, (0, 1)), lost(1, (0, 1)));
    }

    proptest! {
        #[test]
        fn a_delay_stays_within_delay_and_jitter(
            seed: u64, number: u64, delay_ms in 0_u32..60_000, jitter_ms in 0_u32..60_000, reorder in 0_u16..=1_000,
        ) {
            let settings = LinkSettings { delay_ms, jitter_ms, reorder_permille: reorder, ..LinkSettings::default() };
            let fate = fate(seed, (0, 1), number, &settings);
            prop_assert!(fate.delay_us >= us(delay_ms.saturating_sub(jitter_ms)));
            prop_assert!(fate.delay_us <= us(delay_ms + jitter_ms));
            prop_assert!(fate.hold_us == 0 || (HOLD_US_MIN..=HOLD_US_MAX).contains(&fate.hold_us));
            prop_assert!(reorder > 0 || fate.hold_us == 0);
            prop_assert!(reorder < 1_000 || fate.hold_us > 0);
        }

        #[test]
        fn a_higher_loss_takes_what_a_lower_one_takes_and_changes_no_delay(
            seed: u64, number: u64, low in 0_u16..=1_000, more in 0_u16..=1_000,
        ) {
            let at = |loss_permille| {
                let settings = LinkSettings { loss_permille, delay_ms: 50, jitter_ms: 20, ..LinkSettings::default() };
                fate(seed, (2, 5), number, &settings)
            };
            let (low, high) = (at(low.min(more)), at(low.max(more)));
            prop_assert!(!low.is_lost || high.is_lost);
            prop_assert_eq!(low.delay_us, high.delay_us);
        }
    }
}
