//! What an outlet gives at a head: rows of emitters, and open ends.

/// The head for which the flow of an emitter is stated.
pub const RATED_HEAD_M: f64 = 10.0;

/// From this head on the emitter keeps its flow.
const COMPENSATES_FROM_M: f64 = 5.0;
/// The exponent of a compensating emitter; 0 would be perfect.
const EXPONENT: f64 = 0.05;
/// Below this head a flow is taken as proportional to it: the slope of a square root has no end at zero.
const STRAIGHT_BELOW_M: f64 = 0.01;

/// The flow at a head, and its slope. Both are for all heads, so that a solver may step past zero and come back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Given {
    /// The flow.
    pub flow_lpm: f64,
    /// How much more flows for one more metre.
    pub slope_lpm_per_m: f64,
}

/// What a row gives that gives `rated_lpm` at [`RATED_HEAD_M`].
///
/// `q = k · h^x` (Keller and Karmeli, Trickle irrigation design parameters, 1974). Emitters of drip lines under a pump
/// compensate pressure, `x` = 0.05; below their working range they are plain orifices, `x` = 0.5.
#[must_use]
pub fn row(rated_lpm: f64, head_m: f64) -> Given {
    if head_m >= COMPENSATES_FROM_M {
        let flow_lpm = rated_lpm * libm::pow(head_m / RATED_HEAD_M, EXPONENT);
        return Given { flow_lpm, slope_lpm_per_m: EXPONENT * flow_lpm / head_m };
    }
    // The factor joins the two ranges.
    let at_the_joint = libm::pow(COMPENSATES_FROM_M / RATED_HEAD_M, EXPONENT);
    orifice(rated_lpm * at_the_joint / COMPENSATES_FROM_M.sqrt(), head_m)
}

/// What an orifice gives that gives `at_one_metre_lpm` under one metre.
#[must_use]
pub fn orifice(at_one_metre_lpm: f64, head_m: f64) -> Given {
    if head_m < STRAIGHT_BELOW_M {
        let slope_lpm_per_m = at_one_metre_lpm / STRAIGHT_BELOW_M.sqrt();
        return Given { flow_lpm: slope_lpm_per_m * head_m, slope_lpm_per_m };
    }
    let flow_lpm = at_one_metre_lpm * head_m.sqrt();
    Given { flow_lpm, slope_lpm_per_m: flow_lpm / (2.0 * head_m) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_row_gives_its_rated_flow_at_its_rated_head_and_little_more_at_three_times_that() {
        assert_eq!(row(8.0, RATED_HEAD_M).flow_lpm, 8.0);
        let under_the_pump = row(8.0, 3.0 * RATED_HEAD_M).flow_lpm;
        assert!((8.3..8.6).contains(&under_the_pump), "{under_the_pump}");
        let under_the_tank = row(8.0, 1.25).flow_lpm;
        assert!((3.0..5.0).contains(&under_the_tank), "{under_the_tank}");
    }

    #[test]
    fn the_ranges_of_an_outlet_join() {
        for (given, at) in [
            (row as fn(f64, f64) -> Given, COMPENSATES_FROM_M),
            (row, STRAIGHT_BELOW_M),
            (orifice, STRAIGHT_BELOW_M),
        ] {
            let (below, above) = (given(8.0, at - 1e-12), given(8.0, at + 1e-12));
            assert!((below.flow_lpm - above.flow_lpm).abs() < 1e-8, "{at}: {below:?} {above:?}");
        }
        assert_eq!(orifice(8.0, 0.0).flow_lpm, 0.0);
    }

    proptest! {
        #[test]
        fn more_head_never_gives_less(rated in 0.01..1e4_f64, low in -10.0..100.0_f64, more in 0.0..100.0_f64) {
            prop_assert!(row(rated, low + more).flow_lpm >= row(rated, low).flow_lpm);
            prop_assert!(orifice(rated, low + more).flow_lpm >= orifice(rated, low).flow_lpm);
            prop_assert!(row(rated, low).slope_lpm_per_m > 0.0);
        }
    }
}
