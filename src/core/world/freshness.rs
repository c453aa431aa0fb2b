//! Whether a value can be relied on now: unknown is unsafe.

use bevy::prelude::{Component, Resource};
use clawmesh_authority::{SensorSpec, hlc};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::components::Latest;

/// What is wrong with a sensor now. No flag set means its value may be relied on.
#[derive(Component, Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, Encode, Decode)]
pub struct Quality {
    /// Too old, by the origin's clock or by when it reached us.
    #[n(0)]
    pub is_stale: bool,
    /// The value has not moved for longer than this quantity can rest.
    #[n(1)]
    pub is_stuck: bool,
    /// Outside what is physically possible.
    #[n(2)]
    pub is_out_of_range: bool,
    /// Measured in the future, by more than clocks may differ.
    #[n(3)]
    pub is_from_the_future: bool,
    /// Its node has not said what it measures.
    #[n(4)]
    pub is_undescribed: bool,
    /// It has never said anything.
    #[n(5)]
    pub is_silent: bool,
    /// Its node is not trusted any more.
    #[n(6)]
    pub is_untrusted: bool,
}

impl Quality {
    /// The flags that are set, as words.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        [
            (self.is_stale, "stale"),
            (self.is_stuck, "stuck"),
            (self.is_out_of_range, "out_of_range"),
            (self.is_from_the_future, "future"),
            (self.is_undescribed, "undescribed"),
            (self.is_silent, "silent"),
            (self.is_untrusted, "untrusted"),
        ]
        .into_iter()
        .filter_map(|(is_set, word)| is_set.then_some(word))
    }

    /// The flags for which the sensor is wrong, however fresh its word is: not those that only say that it has not spoken.
    pub fn faults(self) -> impl Iterator<Item = &'static str> {
        Self { is_stale: false, is_silent: false, ..self }.words()
    }
}

/// When a sensor counts as stale.
#[derive(Resource, Debug, Clone, Copy, PartialEq, Eq)]
pub struct FreshnessPolicy {
    /// Periods that may pass without a sample.
    pub periods_max: u32,
    /// The shortest time after which anything is called stale, milliseconds.
    pub stale_after_ms_min: u64,
    /// The period of a sensor that was never described, milliseconds.
    pub period_ms_if_unknown: u32,
}

impl Default for FreshnessPolicy {
    fn default() -> Self {
        Self { periods_max: 3, stale_after_ms_min: 1_000, period_ms_if_unknown: 1_000 }
    }
}

impl FreshnessPolicy {
    /// How old a value may be, milliseconds.
    #[must_use]
    pub fn age_ms_max(&self, spec: Option<&SensorSpec>) -> u64 {
        self.age_ms_of(spec.map_or(self.period_ms_if_unknown, |spec| spec.period_ms))
    }

    /// The same of a sensor that speaks this often.
    #[must_use]
    pub fn age_ms_of(&self, period_ms: u32) -> u64 {
        (u64::from(period_ms) * u64::from(self.periods_max)).max(self.stale_after_ms_min)
    }
}

/// The moment at which a value is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Wall time by our estimate, Unix milliseconds; 0 means unknown.
    pub wall_ms: u64,
    /// Milliseconds since the value reached us, counted in ticks.
    pub since_receipt_ms: u64,
}

/// Judges the last value of a sensor. Whether its node is trusted is for others to say.
#[must_use]
pub fn assess(
    latest: Option<&Latest>,
    spec: Option<&SensorSpec>,
    now: Moment,
    policy: &FreshnessPolicy,
) -> Quality {
    let is_undescribed = spec.is_none();
    let Some(latest) = latest else {
        return Quality { is_silent: true, is_undescribed, ..Quality::default() };
    };
    let age_ms = now.wall_ms.saturating_sub(latest.origin_ms);
    let age_ms_max = policy.age_ms_max(spec);
    let is_outside = |(low, high): (f64, f64)| latest.value < low || latest.value > high;
    // By the origin's clock alone: a sensor that went silent is stale, not stuck.
    let resting_ms = latest.origin_ms.saturating_sub(latest.unchanged_since_ms);
    Quality {
        is_stale: now.wall_ms == 0 || age_ms > age_ms_max || now.since_receipt_ms > age_ms_max,
        is_stuck: spec.and_then(|spec| spec.stuck_after_ms).is_some_and(|max| resting_ms > u64::from(max)),
        is_out_of_range: spec.and_then(|spec| spec.range).is_some_and(is_outside),
        is_from_the_future: latest.origin_ms > now.wall_ms.saturating_add(hlc::AHEAD_MS_MAX),
        is_undescribed,
        is_silent: false,
        is_untrusted: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clawmesh_authority::{Capability, Hlc, Tier, Unit};
    use proptest::prelude::*;

    fn spec() -> SensorSpec {
        SensorSpec {
            sensor: Capability::new("sensor:flow:main").unwrap(),
            quantity: "flow".to_owned(),
            unit: Unit::LitrePerMinute,
            period_ms: 1_000,
            range: Some((0.0, 80.0)),
            stuck_after_ms: Some(10_000),
            about: None,
        }
    }

    fn latest(value: f64, origin_ms: u64) -> Latest {
        Latest {
            value,
            unit: Unit::LitrePerMinute,
            origin_ms,
            unchanged_since_ms: origin_ms,
            sequence: 0,
            tier: Tier::T2,
            hlc: Hlc::default(),
            received_tick: 0,
            samples: 1,
        }
    }

    fn words(latest: &Latest, now: Moment) -> Vec<&'static str> {
        assess(Some(latest), Some(&spec()), now, &FreshnessPolicy::default()).words().collect()
    }

    fn at(wall_ms: u64, since_receipt_ms: u64) -> Moment {
        Moment { wall_ms, since_receipt_ms }
    }

    #[test]
    fn each_flag_has_its_own_cause() {
        let fresh = latest(12.0, 100_000);
        assert_eq!(words(&fresh, at(101_000, 900)), [] as [&str; 0]);
        assert_eq!(words(&fresh, at(103_001, 900)), ["stale"], "old by origin");
        assert_eq!(words(&fresh, at(101_000, 3_001)), ["stale"], "old by receipt");
        assert_eq!(words(&fresh, at(99_499, 0)), ["future"]);
        assert_eq!(
            words(&fresh, at(0, 0)),
            ["stale", "future"],
            "nothing is fresh before the clock is known"
        );
        assert_eq!(words(&latest(80.1, 100_000), at(100_000, 0)), ["out_of_range"]);
        let resting = Latest { unchanged_since_ms: 89_000, ..fresh };
        assert_eq!(words(&resting, at(100_000, 0)), ["stuck"]);
    }

    #[test]
    fn a_sensor_that_never_spoke_or_was_never_described_says_so() {
        let policy = FreshnessPolicy::default();
        let silent = assess(None, Some(&spec()), at(1, 0), &policy);
        assert_eq!(silent.words().collect::<Vec<_>>(), ["silent"]);
        let bare = assess(Some(&latest(1.0, 100)), None, at(100, 0), &policy);
        assert_eq!(bare.words().collect::<Vec<_>>(), ["undescribed"]);
    }

    proptest! {
        #[test]
        fn growing_older_never_makes_a_value_fresh_again(
            origin in 1_u64..1_000_000, wall in 1_u64..1_000_000, later in 0_u64..100_000, receipt in 0_u64..9_000,
        ) {
            let judge = |wall_ms, since| {
                assess(Some(&latest(1.0, origin)), Some(&spec()), at(wall_ms, since), &FreshnessPolicy::default())
            };
            let (before, after) = (judge(wall, receipt), judge(wall + later, receipt + later));
            prop_assert!(!before.is_stale || after.is_stale);
        }
    }
}
