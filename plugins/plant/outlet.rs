//! Where water leaves the pipes for the ground: emitters that keep their flow, or an open end.

use crate::file::Outlet;
use crate::opening;

/// Below this pressure the power law of an emitter is replaced by a straight line, or its slope would have no bound.
const STRAIGHT_BELOW_KPA: f64 = 1.0;

impl Outlet {
    /// What it gives at this pressure, in litres per second.
    #[must_use]
    pub fn gives_lps(&self, kpa: f64) -> f64 {
        match *self {
            _ if kpa <= 0.0 => 0.0,
            Self::Emitters { count, lph, full_from_kpa, exponent_below, creep_per_100_kpa } => {
                let share = if kpa < full_from_kpa {
                    share_below(kpa, full_from_kpa, exponent_below)
                } else {
                    1.0 + creep_per_100_kpa * (kpa - full_from_kpa) / 100.0
                };
                f64::from(count) * lph / 3600.0 * share
            }
            Self::OpenEnd { lpm_at_100_kpa } => opening::passes_lps(lpm_at_100_kpa, kpa),
        }
    }

    /// The most that one more kilopascal can add, in litres per second.
    pub(crate) fn steepest_lps_per_kpa(&self) -> f64 {
        match *self {
            Self::Emitters { .. } => self.gives_lps(STRAIGHT_BELOW_KPA) / STRAIGHT_BELOW_KPA,
            Self::OpenEnd { lpm_at_100_kpa } => opening::steepest_lps_per_kpa(lpm_at_100_kpa),
        }
    }
}

fn share_below(kpa: f64, full_from_kpa: f64, exponent: f64) -> f64 {
    if kpa < STRAIGHT_BELOW_KPA {
        return kpa / STRAIGHT_BELOW_KPA * libm::pow(STRAIGHT_BELOW_KPA / full_from_kpa, exponent);
    }
    libm::pow(kpa / full_from_kpa, exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: Outlet = Outlet::Emitters {
        count: 250,
        lph: 2.0,
        full_from_kpa: 100.0,
        exponent_below: 0.6,
        creep_per_100_kpa: 0.02,
    };

    #[test]
    fn emitters_keep_their_flow_above_their_pressure_and_weaken_below() {
        let lpm = |kpa| ROW.gives_lps(kpa) * 60.0;
        assert!((lpm(100.0) - 8.333).abs() < 0.001, "{}", lpm(100.0));
        assert!((lpm(200.0) / lpm(100.0) - 1.02).abs() < 1e-9, "{}", lpm(200.0));
        assert!(lpm(17.0) > 2.0 && lpm(17.0) < 4.0, "{}", lpm(17.0));
        assert_eq!(lpm(0.0), 0.0);
        assert_eq!(lpm(-5.0), 0.0);
    }

    #[test]
    fn more_pressure_never_gives_less_and_never_jumps() {
        for outlet in [ROW, Outlet::OpenEnd { lpm_at_100_kpa: 60.0 }] {
            for tenth in 0..3000 {
                let kpa = f64::from(tenth) / 10.0;
                let added = outlet.gives_lps(kpa + 0.1) - outlet.gives_lps(kpa);
                let steepest = outlet.steepest_lps_per_kpa() * 0.1 + 1e-9;
                assert!(added >= 0.0 && added <= steepest, "at {kpa} kPa: {added}");
            }
        }
    }
}
