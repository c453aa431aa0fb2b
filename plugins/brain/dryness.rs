//! How urgently a zone needs water: a total function of its facts.

use std::ops::RangeInclusive;

use crate::ZoneFacts;

/// The urgency of a zone that has only just become dry, and so the score from which irrigation beats waiting.
///
/// Above zero, because the distance to the line may vanish in rounding while the zone is dry all the same.
pub const URGENCY_DRY_MIN: f32 = 0.01;

/// What a moisture probe in working order can report.
const MOISTURE_PERCENT: RangeInclusive<f64> = 0.0..=100.0;

/// 0 for a zone that is not dry or not known; otherwise [`URGENCY_DRY_MIN`] at the dry line, rising to 1 at wilting.
pub fn urgency(facts: &ZoneFacts) -> f32 {
    let limits_known = facts.dry_below_percent.is_finite() && facts.wilting_percent.is_finite();
    match known_moisture_percent(facts) {
        Some(moisture) if limits_known && moisture < facts.dry_below_percent => {
            dry_urgency(moisture, facts.dry_below_percent, facts.wilting_percent)
        }
        _ => 0.0,
    }
}

fn known_moisture_percent(facts: &ZoneFacts) -> Option<f64> {
    // A comparison with NaN is false, so the range refuses it together with the infinities.
    facts.moisture_percent.filter(|moisture| MOISTURE_PERCENT.contains(moisture))
}

/// Expects `moisture < dry_below`, all finite.
fn dry_urgency(moisture: f64, dry_below: f64, wilting: f64) -> f32 {
    // Judged first: with a wilting point on or above the dry line the share below would divide by zero or less.
    if moisture <= wilting {
        return 1.0;
    }
    // The divisor may overflow to infinity for absurd limits; the share is then 0 and never NaN.
    let share = (dry_below - moisture) / (dry_below - wilting);
    (share as f32).clamp(URGENCY_DRY_MIN, 1.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn facts(moisture_percent: Option<f64>, dry_below: f64, wilting: f64) -> ZoneFacts {
        ZoneFacts {
            zone: "north".into(),
            moisture_percent,
            dry_below_percent: dry_below,
            wilting_percent: wilting,
        }
    }

    #[test]
    fn urgency_rises_from_the_dry_line_to_wilting() {
        let table = [
            (100.0, 0.0),
            (30.0, 0.0),
            (20.0, 0.0),
            (19.999, URGENCY_DRY_MIN),
            (17.5, 0.25),
            (15.0, 0.5),
            (10.0, 1.0),
            (0.0, 1.0),
        ];
        for (moisture, expected) in table {
            let urgency = urgency(&facts(Some(moisture), 20.0, 10.0));
            assert_eq!(urgency, expected, "at {moisture} %");
        }
    }

    #[test]
    fn what_a_probe_cannot_measure_is_unknown() {
        let impossible = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.001, 100.001, f64::MIN];
        for moisture in impossible {
            let urgency = urgency(&facts(Some(moisture), 200.0, 10.0));
            assert_eq!(urgency, 0.0, "{moisture}");
        }
    }

    #[test]
    fn limits_that_are_not_numbers_make_no_zone_dry() {
        for limit in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(urgency(&facts(Some(5.0), limit, 10.0)), 0.0, "{limit}");
            assert_eq!(urgency(&facts(Some(5.0), 20.0, limit)), 0.0, "{limit}");
        }
    }

    #[test]
    fn a_wilting_point_on_or_above_the_dry_line_leaves_the_line_in_charge() {
        for wilting in [20.0, 25.0] {
            assert_eq!(urgency(&facts(Some(19.9), 20.0, wilting)), 1.0, "wilting at {wilting} %");
            assert_eq!(urgency(&facts(Some(20.0), 20.0, wilting)), 0.0, "wilting at {wilting} %");
        }
    }

    #[test]
    fn limits_too_far_apart_to_subtract_are_still_judged() {
        assert_eq!(urgency(&facts(Some(50.0), f64::MAX, f64::MIN)), URGENCY_DRY_MIN);
    }

    fn any_bits() -> impl Strategy<Value = f64> {
        any::<u64>().prop_map(f64::from_bits)
    }

    fn limit() -> impl Strategy<Value = f64> {
        prop_oneof![-10.0..110.0, any_bits()]
    }

    proptest! {
        #[test]
        fn drier_is_never_less_urgent(
            a in 0.0..=100.0, b in 0.0..=100.0, dry_below in limit(), wilting in limit(),
        ) {
            let drier = urgency(&facts(Some(f64::min(a, b)), dry_below, wilting));
            let wetter = urgency(&facts(Some(f64::max(a, b)), dry_below, wilting));
            prop_assert!(drier >= wetter, "{drier} < {wetter}");
        }

        #[test]
        fn urgency_stays_between_zero_and_one(
            moisture in proptest::option::of(any_bits()), dry_below in any_bits(), wilting in any_bits(),
        ) {
            let urgency = urgency(&facts(moisture, dry_below, wilting));
            prop_assert!((0.0..=1.0).contains(&urgency), "{urgency}");
        }

        #[test]
        fn unknown_is_never_urgent(dry_below in limit(), wilting in limit()) {
            prop_assert_eq!(urgency(&facts(None, dry_below, wilting)), 0.0);
        }

        #[test]
        fn every_dry_zone_is_urgent_and_no_other(
            moisture in 0.0..=100.0, dry_below in 0.0..=100.0, wilting in 0.0..=100.0,
        ) {
            let urgency = urgency(&facts(Some(moisture), dry_below, wilting));
            prop_assert_eq!(urgency >= URGENCY_DRY_MIN, moisture < dry_below);
        }
    }
}
