//! The sky as a function of the seed and the time of the plant: warm by day, windy in the afternoon, now and then rain.

use std::f64::consts::{PI, TAU};

use crate::file::Weather;
use crate::rng::Stream;

/// The hour at which it is warmest.
const WARMEST_HOUR: f64 = 15.0;

/// The periods of gusts, in seconds: unequal, so that they do not meet often.
const GUST_PERIODS_S: [f64; 3] = [47.0, 173.0, 611.0];

/// A shower begins so early that it ends before midnight; no day has to know of the day before.
const SHOWER_BEGINS_HOUR_MAX: f64 = 20.0;
const SHOWER_HOURS: (f64, f64) = (0.3, 3.0);

/// The sky above a plant.
#[derive(Debug, Clone, PartialEq)]
pub struct Sky {
    file: Weather,
    seed: u64,
    phases: [f64; 3],
}

/// The air at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Air {
    /// How warm it is.
    pub temperature_c: f64,
    /// How fast it moves.
    pub wind_mps: f64,
    /// What fell in the last hour.
    pub rain_of_last_hour_mm: f64,
    /// What falls now.
    pub rain_mm_per_s: f64,
    /// What the air takes from ground that has enough.
    pub takes_mm_per_s: f64,
}

impl Sky {
    /// The sky of this seed.
    pub fn new(file: &Weather, seed: u64) -> Self {
        let mut stream = Stream::named(seed, "gusts");
        Self { file: file.clone(), seed, phases: [(); 3].map(|()| stream.between(0.0, TAU)) }
    }

    /// The air at a moment of the plant.
    pub fn at(&self, plant_s: f64) -> Air {
        let hour = self.file.begins_at_hour + plant_s / 3600.0;
        let temperature_c = self.temperature_c(hour);
        let wind_mps = self.wind_mps(hour, plant_s);
        let rain_mm_per_s = self.rained_mm(hour, hour + 1.0 / 3600.0);
        let thirst = (1.0 + 0.03 * (temperature_c - 25.0)) * (1.0 + 0.05 * (wind_mps - 2.0));
        let sun = sunshine(hour) * if rain_mm_per_s > 0.0 { 0.2 } else { 1.0 };
        Air {
            temperature_c,
            wind_mps,
            rain_of_last_hour_mm: self.rained_mm(hour - 1.0, hour),
            rain_mm_per_s,
            takes_mm_per_s: self.file.takes_at_noon_mm_per_h / 3600.0 * sun * thirst.max(0.0),
        }
    }

    fn temperature_c(&self, hour: f64) -> f64 {
        let day = (hour / 24.0).floor();
        let (today, tomorrow) = (self.difference_c(day), self.difference_c(day + 1.0));
        let difference_c = today + (tomorrow - today) * (hour / 24.0 - day);
        let swing_c = self.file.swing_c * libm::cos((hour - WARMEST_HOUR) / 24.0 * TAU);
        self.file.mean_c + difference_c + swing_c
    }

    fn difference_c(&self, day: f64) -> f64 {
        Stream::numbered(self.seed, "temperature", number(day)).bell() * self.file.day_to_day_c
    }

    fn wind_mps(&self, hour: f64, plant_s: f64) -> f64 {
        let of_the_day = 0.6 + 0.4 * libm::cos((hour - WARMEST_HOUR) / 24.0 * TAU);
        let gust = |(phase, period_s): (f64, f64)| libm::sin(plant_s / period_s * TAU + phase);
        let gusts: f64 = self.phases.into_iter().zip(GUST_PERIODS_S).map(gust).sum();
        (self.file.wind_mps * of_the_day + self.file.gust_mps * gusts / 3.0).max(0.0)
    }

    fn rained_mm(&self, from_hour: f64, to_hour: f64) -> f64 {
        let days = [(from_hour / 24.0).floor(), (to_hour / 24.0).floor()];
        let first = self.shower_mm(days[0], from_hour, to_hour);
        first + if days[1] > days[0] { self.shower_mm(days[1], from_hour, to_hour) } else { 0.0 }
    }

    fn shower_mm(&self, day: f64, from_hour: f64, to_hour: f64) -> f64 {
        let mut stream = Stream::numbered(self.seed, "rain", number(day));
        if stream.share() * 100.0 >= self.file.rain_days_percent {
            return 0.0;
        }
        let begins = day * 24.0 + stream.between(0.0, SHOWER_BEGINS_HOUR_MAX);
        let lasts = stream.between(SHOWER_HOURS.0, SHOWER_HOURS.1);
        let brings_mm = stream.between(0.1, 1.0) * self.file.shower_mm_max;
        let overlap = (to_hour.min(begins + lasts) - from_hour.max(begins)).max(0.0);
        brings_mm * overlap / lasts
    }
}

/// Days before the first one have numbers too.
fn number(day: f64) -> u64 {
    (day as i64).cast_unsigned()
}

/// 0 at night, 1 at noon.
fn sunshine(hour: f64) -> f64 {
    let of_day = hour - (hour / 24.0).floor() * 24.0;
    libm::sin((of_day - 6.0) / 12.0 * PI).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::tests::shipped;

    fn sky(seed: u64, rain_days_percent: f64) -> Sky {
        Sky::new(&Weather { rain_days_percent, begins_at_hour: 0.0, ..shipped().weather }, seed)
    }

    #[test]
    fn afternoons_are_warmer_than_nights_and_nothing_evaporates_in_the_dark() {
        for seed in 0..20 {
            let sky = sky(seed, 0.0);
            let (night, noon) = (sky.at(3.0 * 3600.0), sky.at(13.0 * 3600.0));
            assert!(noon.temperature_c > night.temperature_c + 5.0, "{seed}");
            assert!(night.takes_mm_per_s == 0.0 && noon.takes_mm_per_s > 0.0, "{seed}");
        }
    }

    #[test]
    fn the_air_changes_without_jumps_also_at_midnight() {
        let sky = sky(3, 0.0);
        for second in 86_300..86_500 {
            let (now, next) = (sky.at(f64::from(second)), sky.at(f64::from(second + 1)));
            assert!((now.temperature_c - next.temperature_c).abs() < 0.01, "{second}");
            assert!((now.wind_mps - next.wind_mps).abs() < 0.2, "{second}");
        }
    }

    #[test]
    fn the_rain_of_the_last_hour_is_what_fell_in_it() {
        let sky = sky(5, 100.0);
        let (mut fell_mm, mut seen_mm) = (0.0, 0.0);
        for hour in 0..72 {
            let seconds = (0..3600).map(|second| sky.at(f64::from(hour * 3600 + second)).rain_mm_per_s);
            let of_hour: f64 = seconds.sum();
            let told = sky.at(f64::from((hour + 1) * 3600)).rain_of_last_hour_mm;
            assert!((of_hour - told).abs() < 1e-6, "hour {hour}: fell {of_hour}, told {told}");
            fell_mm += of_hour;
            seen_mm += told;
        }
        assert!(fell_mm > 1.0 && (fell_mm - seen_mm).abs() < 1e-6, "{fell_mm} mm in three wet days");
    }

    #[test]
    fn some_days_are_wet_and_some_are_dry() {
        let wet = |day: u32| {
            let sky = sky(9, 40.0);
            sky.rained_mm(f64::from(day) * 24.0, f64::from(day) * 24.0 + 23.9) > 0.0
        };
        let wet_days = (0..100).filter(|day| wet(*day)).count();
        assert!((25..=55).contains(&wet_days), "{wet_days}");
    }

    #[test]
    fn another_seed_is_another_sky() {
        assert_eq!(sky(1, 20.0).at(1000.0), sky(1, 20.0).at(1000.0));
        assert_ne!(sky(1, 20.0).at(1000.0), sky(2, 20.0).at(1000.0));
    }
}
