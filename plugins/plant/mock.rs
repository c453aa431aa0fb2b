//! The mock moisture sensor that existing ClawMesh nodes know too: soil that dries, without a plant behind it.

use crate::rng::Stream;

/// Where it begins, and begins again, percent.
const BEGIN_PERCENT: f64 = 35.0;
/// Below this it begins again.
const EMPTY_PERCENT: f64 = 5.0;
/// It is never wetter than this.
const FULL_PERCENT: f64 = 40.0;
/// How much it dries from one value to the next, percent.
const DRYING_PERCENT: (f64, f64) = (0.3, 0.8);
/// How far noise takes it from there, either way, percent.
const NOISE_PERCENT: f64 = 0.5;

/// Soil that dries and is wet again. The same seed gives the same numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct MockSoil {
    percent: f64,
    stream: Stream,
}

impl MockSoil {
    /// Soil that has not begun to dry.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { percent: BEGIN_PERCENT, stream: Stream::named(seed, "mock-moisture") }
    }

    /// What it shows now, percent.
    #[must_use]
    pub fn percent(&self) -> f64 {
        self.percent
    }

    /// Lets it dry by one step.
    pub fn dry(&mut self) {
        let drying = self.stream.between(DRYING_PERCENT.0, DRYING_PERCENT.1);
        let noise = self.stream.between(-NOISE_PERCENT, NOISE_PERCENT);
        self.percent = (self.percent - drying + noise).min(FULL_PERCENT);
        if self.percent < EMPTY_PERCENT {
            self.percent = BEGIN_PERCENT;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(seed: u64, many: usize) -> Vec<f64> {
        let mut soil = MockSoil::new(seed);
        let step = |_| {
            soil.dry();
            soil.percent()
        };
        (0..many).map(step).collect()
    }

    #[test]
    fn it_begins_at_35_dries_in_small_steps_and_is_wet_again_before_it_is_empty() {
        assert_eq!(MockSoil::new(7).percent(), 35.0);
        let all = shown(7, 1_000);
        assert!(all.iter().all(|percent| (5.0..=40.0).contains(percent)));
        assert!(all.contains(&35.0), "it was wet again");
        for pair in all.windows(2).filter(|pair| pair[1] != 35.0) {
            assert!((-1.3..=0.2).contains(&(pair[1] - pair[0])), "{pair:?}");
        }
    }

    #[test]
    fn a_seed_always_shows_the_same_and_another_one_does_not() {
        assert_eq!(shown(7, 50), shown(7, 50));
        assert_ne!(shown(7, 50), shown(8, 50));
    }
}
