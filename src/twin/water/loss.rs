//! What water loses on its way, and what a pump gives it, as coefficients of its flow.
//!
//! Heads are metres of water, flows are litres a minute.

use std::f64::consts::PI;

use crate::site::{Line, Material};

/// The pressure of a metre of water at 1,000 kg/m³ and 9.80665 m/s².
pub const KPA_PER_M: f64 = 9.806_65;
/// The exponent of the flow in the equation of Hazen and Williams.
pub const HAZEN_WILLIAMS_EXPONENT: f64 = 1.852;
/// The loss of an open irrigation valve in velocity heads, about that of an open diaphragm valve.
pub const VALVE_VELOCITY_HEADS: f64 = 5.0;

const GRAVITY_MPS2: f64 = 9.806_65;
const LPM_PER_M3PS: f64 = 60_000.0;

/// The coefficient `r` of the friction `r · Q^1.852` over `length_m` of a line.
///
/// Hazen and Williams in SI units, `h = 10.67 · L · Q^1.852 / (C^1.852 · d^4.8704)` with `Q` in m³/s and `d` in m, as
/// in the manual of EPANET 2.2 (Rossman et al., 2020, table 3.1).
#[must_use]
pub fn friction(line: &Line, length_m: f64) -> f64 {
    let smoothness = libm::pow(roughness(line.material) * LPM_PER_M3PS, HAZEN_WILLIAMS_EXPONENT);
    10.67 * length_m / (smoothness * libm::pow(line.diameter_mm / 1_000.0, 4.8704))
}

/// The coefficient `C` of Hazen and Williams.
fn roughness(material: Material) -> f64 {
    match material {
        Material::Hdpe | Material::Pvc => 150.0,
        Material::Ldpe => 140.0,
        Material::Steel => 120.0,
    }
}

/// The length of plain pipe that costs the mean emitter of a row as much as a line and the row itself do.
///
/// A row gives its water away along its length and so loses only a share `F` of what a plain pipe would
/// (Christiansen, 1942), and its mean pressure lies three quarters of that below its inlet (Keller and Karmeli, 1974).
/// A line at least as long as its row is the row's own pipe.
#[must_use]
pub fn row_length_m(line: &Line, row_length_m: f64, emitters: f64) -> f64 {
    let m = HAZEN_WILLIAMS_EXPONENT;
    let share = 1.0 / (m + 1.0) + 1.0 / (2.0 * emitters) + (m - 1.0).sqrt() / (6.0 * emitters * emitters);
    (line.length_m - row_length_m).max(0.0) + 0.75 * share.min(1.0) * row_length_m
}

/// The coefficient `s` of the loss `s · Q²` of a fitting that costs `velocity_heads` of `v² / 2g`.
#[must_use]
pub fn fitting(diameter_mm: f64, velocity_heads: f64) -> f64 {
    let area_m2 = area_m2(diameter_mm) * LPM_PER_M3PS;
    velocity_heads / (2.0 * GRAVITY_MPS2 * area_m2 * area_m2)
}

/// The flow of an open end under one metre of head: all of it becomes speed (Torricelli).
#[must_use]
pub fn open_end_lpm(diameter_mm: f64) -> f64 {
    area_m2(diameter_mm) * LPM_PER_M3PS * (2.0 * GRAVITY_MPS2).sqrt()
}

fn area_m2(diameter_mm: f64) -> f64 {
    let diameter_m = diameter_mm / 1_000.0;
    PI * diameter_m * diameter_m / 4.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::Name;

    fn line(diameter_mm: f64, length_m: f64) -> Line {
        let name = Name::new("pipe").unwrap();
        Line { from: name.clone(), to: name.clone(), name, diameter_mm, length_m, material: Material::Hdpe }
    }

    #[test]
    fn a_hundred_metres_of_fifty_millimetres_lose_what_the_tables_say() {
        // 2 L/s through 50 mm with C = 150: 10.67 · 100 · 0.002^1.852 / (150^1.852 · 0.05^4.8704) = 2.18 m.
        let lost_m = friction(&line(50.0, 100.0), 100.0) * libm::pow(120.0, HAZEN_WILLIAMS_EXPONENT);
        assert!((lost_m - 2.18).abs() < 0.05, "{lost_m}");
    }

    #[test]
    fn a_row_with_many_emitters_loses_about_a_quarter_of_a_plain_pipe() {
        let row = row_length_m(&line(16.0, 75.0), 75.0, 250.0);
        assert!((row / 75.0 - 0.75 * 0.353).abs() < 0.005, "{row}");
        let with_supply = row_length_m(&line(16.0, 95.0), 75.0, 250.0);
        assert!((with_supply - row - 20.0).abs() < 1e-9, "{with_supply}");
    }

    #[test]
    fn a_velocity_head_of_one_metre_is_the_flow_of_an_open_end() {
        let flow_lpm = open_end_lpm(40.0);
        assert!((fitting(40.0, 1.0) * flow_lpm * flow_lpm - 1.0).abs() < 1e-12);
        assert!((flow_lpm - 333.9).abs() < 0.5, "{flow_lpm}");
    }
}
