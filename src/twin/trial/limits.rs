//! What must not happen, and how far, how finely and how often the twin looks.

use serde::{Deserialize, Serialize};

/// The longest horizon: a day.
pub const LENGTH_S_MAX: f64 = 86_400.0;
/// The finest step of time.
pub const STEP_S_MIN: f64 = 0.1;
/// The most steps of time in one rollout.
pub const STEPS_OF_TIME_MAX: f64 = 100_000.0;
/// The most perturbed rollouts of one card.
pub const ROLLOUTS_MAX: u32 = 4_096;

/// What must not happen. The policy of the owner says the numbers; these stand for a farm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// No tank is drawn below this.
    pub tank_level_percent_min: f64,
    /// No part is put under more pressure.
    pub pressure_kpa_max: f64,
    /// No zone is given more within the horizon.
    pub zone_litres_max: f64,
    /// No zone that is watered becomes wetter.
    pub moisture_percent_max: f64,
    /// No pump runs longer than this without moving water; any such time is worth a caution.
    pub pump_without_flow_s_max: f64,
    /// Nothing that drives comes nearer to a person or to another rover.
    pub clearance_m_min: f64,
    /// In at most this share of the perturbed rollouts may a limit be broken before it is a veto.
    pub broken_share_max: f64,
    /// Below this confidence a card is at best a caution.
    pub confidence_min: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tank_level_percent_min: 10.0,
            pressure_kpa_max: 400.0,
            zone_litres_max: 5_000.0,
            moisture_percent_max: 40.0,
            pump_without_flow_s_max: 30.0,
            clearance_m_min: 2.0,
            broken_share_max: 0.1,
            confidence_min: 0.5,
        }
    }
}

impl Limits {
    /// The first limit that is no limit.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let rows = [
            ("tank_level_percent_min", self.tank_level_percent_min, 100.0),
            ("pressure_kpa_max", self.pressure_kpa_max, 1e5),
            ("zone_litres_max", self.zone_litres_max, 1e9),
            ("moisture_percent_max", self.moisture_percent_max, 100.0),
            ("pump_without_flow_s_max", self.pump_without_flow_s_max, LENGTH_S_MAX),
            ("clearance_m_min", self.clearance_m_min, 1e4),
            ("broken_share_max", self.broken_share_max, 1.0),
            ("confidence_min", self.confidence_min, 1.0),
        ];
        rows.into_iter().find_map(|(key, number, highest)| {
            let is_within = (0.0..=highest).contains(&number);
            (!is_within).then(|| format!("`{key}` is {number}, it must be 0 to {highest}"))
        })
    }
}

/// How far, how finely and how often the twin looks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Horizon {
    /// How far ahead.
    pub length_s: f64,
    /// The step of time of water and soil.
    pub step_s: f64,
    /// How many perturbed rollouts, beside the nominal one.
    pub rollouts: u32,
}

impl Default for Horizon {
    fn default() -> Self {
        Self { length_s: 1_800.0, step_s: 10.0, rollouts: 32 }
    }
}

impl Horizon {
    /// What is wrong with its numbers.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let Self { length_s, step_s, rollouts } = *self;
        if !(STEP_S_MIN..=LENGTH_S_MAX).contains(&length_s) {
            return Some(format!("`length_s` is {length_s}, it must be {STEP_S_MIN} to {LENGTH_S_MAX}"));
        }
        if !(STEP_S_MIN..=length_s).contains(&step_s) {
            return Some(format!("`step_s` is {step_s}, it must be {STEP_S_MIN} to `length_s`"));
        }
        if length_s / step_s > STEPS_OF_TIME_MAX {
            return Some(format!(
                "{length_s} s in steps of {step_s} s are more than {STEPS_OF_TIME_MAX} steps"
            ));
        }
        (rollouts > ROLLOUTS_MAX)
            .then(|| format!("`rollouts` is {rollouts}, at most {ROLLOUTS_MAX} are allowed"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_horizon_has_bounds() {
        let horizon = Horizon::default();
        assert_eq!(horizon.fault(), None);
        for (bad, words) in [
            (Horizon { length_s: 86_401.0, ..horizon }, "`length_s`"),
            (Horizon { length_s: f64::NAN, ..horizon }, "`length_s`"),
            (Horizon { step_s: 0.05, ..horizon }, "`step_s`"),
            (Horizon { step_s: f64::INFINITY, ..horizon }, "`step_s`"),
            (Horizon { length_s: 86_400.0, step_s: 0.1, ..horizon }, "more than 100000 steps"),
            (Horizon { rollouts: 4_097, ..horizon }, "`rollouts`"),
        ] {
            assert!(bad.fault().unwrap_or_default().contains(words), "{bad:?}");
        }
    }

    #[test]
    fn a_limit_is_a_number_within_its_range() {
        let limits = Limits::default();
        assert_eq!(limits.fault(), None);
        for (bad, words) in [
            (Limits { tank_level_percent_min: 101.0, ..limits.clone() }, "`tank_level_percent_min`"),
            (Limits { pressure_kpa_max: f64::INFINITY, ..limits.clone() }, "`pressure_kpa_max`"),
            (Limits { clearance_m_min: f64::NAN, ..limits.clone() }, "`clearance_m_min`"),
            (Limits { broken_share_max: -0.1, ..limits.clone() }, "`broken_share_max`"),
        ] {
            assert!(bad.fault().unwrap_or_default().contains(words), "{bad:?}");
        }
    }
}
