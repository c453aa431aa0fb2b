//! Where a sensor of ours shows an actuator on a guest to be. What the guest says of it, in an answer, a frame or a reading of
//! its own, shows nothing. Pure.

use clawmesh_authority::policy::Showing;
use clawmesh_authority::{Setpoint, Tier};

use crate::world::{Latest, Quality};

/// What the sensor said last, and when.
#[derive(Debug, Clone, Copy)]
pub struct Said<'a> {
    /// What it said.
    pub latest: &'a Latest,
    /// What is wrong with it.
    pub quality: &'a Quality,
    /// How old that is, by its origin or by its receipt, whichever is more, milliseconds.
    pub age_ms: u64,
    /// The elapsed time, milliseconds: no clock that is set makes an old word new.
    pub now_ms: u64,
}

/// Where the actuator is by the rule: only by a reading without a flag, fresh, of T2 or better, and newer than the last time
/// the actuator was told to be safe.
#[must_use]
pub fn shown(by: &Showing, said: Said<'_>, told_safe_ms: Option<u64>) -> Option<Setpoint> {
    let Said { latest, quality, age_ms, now_ms } = said;
    let is_newer = told_safe_ms.is_none_or(|told_ms| now_ms.saturating_sub(age_ms) > told_ms);
    let is_fresh = age_ms <= u64::from(by.age_s_max) * 1_000;
    let counts = is_newer && is_fresh && latest.tier >= Tier::T2 && quality.words().next().is_none();
    counts.then(|| by.position(latest.value)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clawmesh_authority::policy::Must;
    use clawmesh_authority::{Capability, Hlc, Unit};

    const NOW_MS: u64 = 1_000_000;

    fn position(
        change: impl FnOnce(&mut Latest, &mut Quality, &mut u64),
        told_safe_ms: Option<u64>,
    ) -> Option<Setpoint> {
        let by = Showing {
            sensor: Capability::new("sensor:flow:line").unwrap(),
            node: "field-node".to_owned(),
            on: Must::BeAtLeast(4.0),
            off: Must::BeAtMost(1.0),
            age_s_max: 5,
        };
        let mut latest = Latest {
            value: 0.2,
            unit: Unit::LitrePerMinute,
            origin_ms: NOW_MS - 1_000,
            unchanged_since_ms: NOW_MS - 1_000,
            sequence: 1,
            tier: Tier::T2,
            hlc: Hlc { wall_ms: NOW_MS - 1_000, logical: 0 },
            received_tick: 1,
            samples: 1,
        };
        let (mut quality, mut age_ms) = (Quality::default(), 1_000);
        change(&mut latest, &mut quality, &mut age_ms);
        let said = Said { latest: &latest, quality: &quality, age_ms, now_ms: NOW_MS };
        shown(&by, said, told_safe_ms)
    }

    #[test]
    fn only_a_good_fresh_reading_shows_where_it_is() {
        assert_eq!(position(|_, _, _| (), None), Some(Setpoint::Off));
        assert_eq!(position(|latest, _, _| latest.value = 8.7, None), Some(Setpoint::On));
        assert_eq!(position(|latest, _, _| latest.value = 2.0, None), None, "neither on nor off");
        assert_eq!(position(|latest, _, _| latest.tier = Tier::T1, None), None);
        assert_eq!(position(|_, quality, _| quality.is_stuck = true, None), None);
        assert_eq!(position(|_, quality, _| quality.is_untrusted = true, None), None);
        assert_eq!(position(|_, _, age_ms| *age_ms = 5_001, None), None);
    }

    #[test]
    fn what_was_measured_before_it_was_told_to_be_safe_shows_nothing() {
        assert_eq!(position(|_, _, _| (), Some(NOW_MS - 1_001)), Some(Setpoint::Off));
        assert_eq!(position(|_, _, _| (), Some(NOW_MS - 1_000)), None);
        assert_eq!(position(|_, _, age_ms| *age_ms = 3_000, Some(NOW_MS - 2_000)), None, "it came late");
    }
}
