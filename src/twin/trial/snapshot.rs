//! What is known at the moment of the fork, and how well.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::step::Step;
use crate::site::{ENTRIES_MAX, Name, Point, SwitchState};

/// The oldest that anything known may be, about thirty years.
pub const AGE_S_MAX: f64 = 1e9;
/// The furthest from the origin that anything may be.
pub const METRES_MAX: f64 = 20_000.0;

/// What is known at the moment of the fork.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// How full each tank is.
    pub tank_level_percent: BTreeMap<Name, Estimate>,
    /// How wet the soil of each zone is, by volume.
    pub moisture_percent: BTreeMap<Name, Estimate>,
    /// The state of each valve and pump as read back; of what is missing nobody knows it.
    pub switched: BTreeMap<Name, SwitchState>,
    /// Everything that is executing or approved, with the time that remains.
    pub running: Vec<Step>,
    /// Where each rover is.
    pub rovers: BTreeMap<Name, Pose>,
    /// Where each person was last seen; who is missing may be anywhere.
    pub people: BTreeMap<Name, LastSeen>,
    /// What the weather is.
    pub weather: Weather,
    /// How well the twin agreed with the plant lately, 0 to 1; `None` if they were never compared.
    pub agreement: Option<f64>,
}

/// A number that was measured some time ago.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Estimate {
    /// The number.
    pub value: f64,
    /// How long ago.
    pub age_s: f64,
    /// The standard deviation when it was measured.
    pub sigma: f64,
}

/// Where a rover is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pose {
    /// The place.
    pub at: Point,
    /// Where its front looks, degrees from east towards north.
    pub heading_deg: f64,
    /// The standard deviation of the place.
    pub sigma_m: f64,
}

/// Where somebody was, and when.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastSeen {
    /// The place.
    pub at: Point,
    /// How long ago; until now they may have gone anywhere within that time.
    pub age_s: f64,
}

/// What the weather is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weather {
    /// Air temperature, degrees Celsius.
    pub temperature_cel: f64,
    /// Wind speed.
    pub wind_mps: f64,
    /// Rain of the last hour.
    pub rain_mm_per_h: f64,
}

impl Default for Weather {
    /// A warm, calm, dry day.
    fn default() -> Self {
        Self { temperature_cel: 25.0, wind_mps: 2.0, rain_mm_per_h: 0.0 }
    }
}

impl Snapshot {
    /// The first number that is none, or that no site can have.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let lengths = [
            self.tank_level_percent.len(),
            self.moisture_percent.len(),
            self.switched.len(),
            self.rovers.len(),
            self.people.len(),
        ];
        if lengths.into_iter().any(|length| length > ENTRIES_MAX) {
            return Some(format!("a list of the snapshot has more than {ENTRIES_MAX} entries"));
        }
        let of = |what: &str, name: &Name, found: Option<String>| {
            found.map(|sentence| format!("{what} of {name}: {sentence}"))
        };
        let levels = self.tank_level_percent.iter().map(|(name, level)| of("level", name, level.fault()));
        let moistures = self.moisture_percent.iter().map(|(name, wet)| of("moisture", name, wet.fault()));
        let poses = self.rovers.iter().map(|(name, pose)| of("pose", name, pose.fault()));
        let people = self.people.iter().map(|(name, seen)| of("last sight", name, seen.fault()));
        let mut all = levels.chain(moistures).chain(poses).chain(people);
        let agreement = self.agreement.unwrap_or(1.0);
        all.find_map(|found| found)
            .or_else(|| self.weather.fault())
            .or_else(|| out_of("agreement", agreement, 0.0, 1.0))
    }
}

impl Estimate {
    /// A number just measured, without error.
    #[must_use]
    pub fn exact(value: f64) -> Self {
        Self { value, age_s: 0.0, sigma: 0.0 }
    }

    /// What is wrong with it, as a number of percent.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        out_of("value", self.value, 0.0, 100.0)
            .or_else(|| out_of("age_s", self.age_s, 0.0, AGE_S_MAX))
            .or_else(|| out_of("sigma", self.sigma, 0.0, 100.0))
    }
}

impl Pose {
    /// What is wrong with its numbers.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        place_fault(self.at)
            .or_else(|| out_of("heading_deg", self.heading_deg, -360.0, 360.0))
            .or_else(|| out_of("sigma_m", self.sigma_m, 0.0, 1_000.0))
    }
}

impl LastSeen {
    /// What is wrong with its numbers.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        place_fault(self.at).or_else(|| out_of("age_s", self.age_s, 0.0, AGE_S_MAX))
    }
}

impl Weather {
    /// What is wrong with its numbers.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        out_of("temperature_cel", self.temperature_cel, -60.0, 70.0)
            .or_else(|| out_of("wind_mps", self.wind_mps, 0.0, 120.0))
            .or_else(|| out_of("rain_mm_per_h", self.rain_mm_per_h, 0.0, 500.0))
    }
}

fn place_fault(at: Point) -> Option<String> {
    out_of("east", at.0, -METRES_MAX, METRES_MAX).or_else(|| out_of("north", at.1, -METRES_MAX, METRES_MAX))
}

fn out_of(key: &str, number: f64, low: f64, high: f64) -> Option<String> {
    let is_within = (low..=high).contains(&number);
    (!is_within).then(|| format!("`{key}` is {number}, it must be {low} to {high}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name() -> Name {
        Name::new("it").unwrap()
    }

    #[test]
    fn what_is_no_number_or_out_of_bounds_is_refused_with_its_name() {
        let level =
            |estimate| Snapshot { tank_level_percent: [(name(), estimate)].into(), ..Snapshot::default() };
        let exact = Estimate::exact(50.0);
        assert_eq!(level(exact).fault(), None);
        for (bad, words) in [
            (level(Estimate { value: f64::NAN, ..exact }), "level of it: `value` is NaN"),
            (level(Estimate { age_s: -1.0, ..exact }), "level of it: `age_s` is -1"),
            (level(Estimate { sigma: f64::INFINITY, ..exact }), "level of it: `sigma` is inf"),
            (Snapshot { agreement: Some(1.5), ..Snapshot::default() }, "`agreement` is 1.5"),
        ] {
            assert!(bad.fault().unwrap_or_default().contains(words), "{words}: {:?}", bad.fault());
        }
        let seen = LastSeen { at: Point(0.0, f64::NAN), age_s: 0.0 };
        let lost = Snapshot { people: [(name(), seen)].into(), ..Snapshot::default() };
        assert!(lost.fault().unwrap().contains("last sight of it: `north`"));
    }

    proptest! {
        #[test]
        fn weather_without_fault_is_finite(temperature_cel: f64, wind_mps: f64, rain_mm_per_h: f64) {
            let weather = Weather { temperature_cel, wind_mps, rain_mm_per_h };
            if weather.fault().is_none() {
                prop_assert!(temperature_cel.is_finite() && wind_mps.is_finite() && rain_mm_per_h.is_finite());
            }
        }
    }
}
