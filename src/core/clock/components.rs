//! Time as the world knows it.

use bevy::prelude::Resource;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::settings::Settings;

/// The number of the current tick; means nothing on another node.
#[derive(
    Resource,
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
pub struct Tick(#[n(0)] pub u64);

/// What time it is, by the last sample of the two clocks of the machine, carried forward by counting ticks.
///
/// Wall time can be set, and a machine can be too slow to tick in time. So there are three: the wall time that people and other
/// nodes know, [`at`](Self::at); the time for what must end in time, [`elapsed_ms`](Self::elapsed_ms); and the time for what
/// must not be forgotten early, [`counted_ms`](Self::counted_ms).
#[derive(Resource, Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, Encode, Decode)]
pub struct WallClock {
    #[n(0)]
    unix_ms: u64,
    #[n(1)]
    up_ms: u64,
    #[n(2)]
    tick: u64,
    /// Wall time of the first sample of the run, and its tick.
    #[n(3)]
    first_unix_ms: u64,
    #[n(4)]
    first_tick: u64,
}

impl WallClock {
    /// Takes a sample: at `tick` the wall clock showed `unix_ms`, and the machine had been up for `up_ms`.
    pub fn sample(&mut self, unix_ms: u64, up_ms: u64, tick: Tick) {
        // The first one that shows a time.
        if self.first_unix_ms == 0 {
            (self.first_unix_ms, self.first_tick) = (unix_ms, tick.0);
        }
        (self.unix_ms, self.up_ms, self.tick) = (unix_ms, up_ms, tick.0);
    }

    /// Unix milliseconds at `tick`; 0 until the first sample, and while samples show no time.
    #[must_use]
    pub fn at(&self, tick: Tick, settings: &Settings) -> u64 {
        match self.unix_ms {
            0 => 0,
            unix_ms => unix_ms.saturating_add(since(self.tick, tick, settings)),
        }
    }

    /// How long the machine has been up, milliseconds: no setting of the clock moves it, and it goes on while ticks are late or
    /// the machine sleeps.
    #[must_use]
    pub fn elapsed_ms(&self, tick: Tick, settings: &Settings) -> u64 {
        self.up_ms.saturating_add(since(self.tick, tick, settings))
    }

    /// Unix milliseconds by the first sample of the run, carried forward by counting ticks alone: a clock that is set makes
    /// nothing older. A first sample before `not_before_ms`, which has passed before, counts as that. 0 until the first sample.
    #[must_use]
    pub fn counted_ms(&self, tick: Tick, settings: &Settings, not_before_ms: u64) -> u64 {
        match self.first_unix_ms {
            0 => 0,
            first_ms => first_ms.max(not_before_ms).saturating_add(since(self.first_tick, tick, settings)),
        }
    }
}

fn since(before: u64, tick: Tick, settings: &Settings) -> u64 {
    settings.ms_of_ticks(tick.0.saturating_sub(before))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::tests::settings;

    const T: u64 = 1_800_000_000_000;

    #[test]
    fn wall_elapsed_and_counted_time_differ_when_the_clock_is_set_or_the_machine_is_slow() {
        let settings = settings();
        assert_eq!(settings.hz, 50);
        // Samples are (tick, Unix milliseconds, milliseconds up); then the tick, and the three times.
        for (samples, tick, expected, case) in [
            (&[][..], 100, (0, 2_000, 0), "never sampled"),
            (&[(1, T, 7_000)], 51, (T + 1_000, 8_000, T + 1_000), "in step"),
            (&[(1, T, 7_000), (51, T + 2_000, 9_000)], 51, (T + 2_000, 9_000, T + 1_000), "half speed"),
            (&[(1, T, 7_000), (51, T + 90_000, 8_000)], 51, (T + 90_000, 8_000, T + 1_000), "set forward"),
            (&[(1, T, 7_000), (51, T - 90_000, 9_000)], 101, (T - 89_000, 10_000, T + 2_000), "set back"),
            (&[(1, T, 7_000), (51, T + 90_000, 97_000)], 51, (T + 90_000, 97_000, T + 1_000), "asleep"),
        ] {
            let mut clock = WallClock::default();
            samples.iter().for_each(|(tick, unix_ms, up_ms)| clock.sample(*unix_ms, *up_ms, Tick(*tick)));
            let tick = Tick(tick);
            let times = (clock.at(tick, &settings), clock.elapsed_ms(tick, &settings));
            let counted_ms = clock.counted_ms(tick, &settings, 0);
            assert_eq!((times.0, times.1, counted_ms), expected, "{case}");
        }
    }

    #[test]
    fn while_samples_show_no_time_there_is_none_and_what_must_end_in_time_goes_on() {
        let (mut clock, settings) = (WallClock::default(), settings());
        clock.sample(0, 7_000, Tick(1));
        let times = |clock: &WallClock, tick| {
            let tick = Tick(tick);
            (
                clock.at(tick, &settings),
                clock.elapsed_ms(tick, &settings),
                clock.counted_ms(tick, &settings, T),
            )
        };
        assert_eq!(times(&clock, 51), (0, 8_000, 0));
        clock.sample(T + 5_000, 8_000, Tick(51));
        assert_eq!(times(&clock, 101), (T + 6_000, 9_000, T + 6_000));
    }

    #[test]
    fn a_clock_that_was_lost_counts_on_from_what_has_passed_before() {
        let (mut clock, settings) = (WallClock::default(), settings());
        assert_eq!(clock.counted_ms(Tick(9), &settings, 5_000), 0, "no sample yet");
        clock.sample(1_000, 0, Tick(9));
        assert_eq!(clock.counted_ms(Tick(59), &settings, 0), 2_000);
        assert_eq!(clock.counted_ms(Tick(59), &settings, 5_000), 6_000);
        clock.sample(T, 1_000, Tick(59));
        assert_eq!(clock.counted_ms(Tick(59), &settings, 5_000), 6_000, "somebody told it the time");
    }
}
