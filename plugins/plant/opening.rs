//! What passes through an opening: an orifice law, told by what passes at a loss of 100 kPa.

/// Below about this loss the flow becomes laminar: it grows with the loss and no longer with its root.
const LAMINAR_KPA: f64 = 9.0;

/// What passes at `loss_kpa`, in litres per second; against the direction when the loss is negative.
pub fn passes_lps(lpm_at_100_kpa: f64, loss_kpa: f64) -> f64 {
    factor(lpm_at_100_kpa) * loss_kpa / (loss_kpa.abs() + LAMINAR_KPA).sqrt()
}

/// The most that one more kilopascal can add, in litres per second. A time step must be short against it.
pub fn steepest_lps_per_kpa(lpm_at_100_kpa: f64) -> f64 {
    factor(lpm_at_100_kpa) / LAMINAR_KPA.sqrt()
}

/// Two openings, one after the other, as one.
pub fn in_series(a_lpm_at_100_kpa: f64, b_lpm_at_100_kpa: f64) -> f64 {
    let (a, b) = (a_lpm_at_100_kpa, b_lpm_at_100_kpa);
    if a <= 0.0 || b <= 0.0 { 0.0 } else { a * b / (a * a + b * b).sqrt() }
}

fn factor(lpm_at_100_kpa: f64) -> f64 {
    lpm_at_100_kpa / 60.0 * (100.0 + LAMINAR_KPA).sqrt() / 100.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn at_100_kpa_it_passes_what_it_is_told_by() {
        assert!((passes_lps(60.0, 100.0) - 1.0).abs() < 1e-12);
        assert_eq!(passes_lps(60.0, 0.0), 0.0);
        assert_eq!(passes_lps(0.0, 100.0), 0.0);
    }

    #[test]
    fn four_times_the_loss_is_about_twice_the_flow() {
        let ratio = passes_lps(60.0, 400.0) / passes_lps(60.0, 100.0);
        assert!((ratio - 2.0).abs() < 0.1, "{ratio}");
    }

    #[test]
    fn two_equal_openings_in_a_row_share_the_loss() {
        let both = in_series(100.0, 100.0);
        assert!((both - 100.0 / 2.0_f64.sqrt()).abs() < 1e-9, "{both}");
        assert_eq!(in_series(0.0, 100.0), 0.0);
    }

    proptest! {
        #[test]
        fn no_kilopascal_adds_more_than_the_steepest(
            lpm in 0.0..1000.0, loss in -500.0..500.0, more in 0.001..10.0,
        ) {
            let added = passes_lps(lpm, loss + more) - passes_lps(lpm, loss);
            prop_assert!(added >= -1e-12 && added <= steepest_lps_per_kpa(lpm) * more + 1e-9, "{added}");
        }
    }
}
