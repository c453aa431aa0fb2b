//! How much water the air takes from a well-watered meadow.

use crate::trial::Weather;

/// Half of the difference between the warmest and the coolest hour, in the interior of a continent.
const HALF_RANGE_CEL: f64 = 6.0;
/// What the sun sends to the top of the air on the day it stands over the equator, MJ/m² a day, at the equator
/// (FAO-56, equation 21, with a declination of zero).
const SUN_MJ: f64 = 37.59;
/// Stefan and Boltzmann, MJ/(K⁴ m² day).
const RADIATION_MJ: f64 = 4.903e-9;

/// Reference evapotranspiration, mm a day.
///
/// Penman and Monteith as in FAO-56 (Allen et al., 1998), equation 6, with what is not measured taken from the
/// temperature: vapour pressure (equation 48) and radiation (equation 50). The temperature stands for the mean of the
/// day and the sun for that of an equinox, because a snapshot has no date.
#[must_use]
pub fn reference_mm_per_day(weather: &Weather, lat_deg: f64, height_m: f64) -> f64 {
    let mean_cel = weather.temperature_cel;
    let (warmest_cel, coolest_cel) = (mean_cel + HALF_RANGE_CEL, mean_cel - HALF_RANGE_CEL);
    let saturated_kpa = (vapour_kpa(warmest_cel) + vapour_kpa(coolest_cel)) / 2.0;
    let actual_kpa = vapour_kpa(coolest_cel);
    let above_cel = mean_cel + 237.3;
    let slope = 4_098.0 * vapour_kpa(mean_cel) / (above_cel * above_cel);
    let pressure_kpa = 101.3 * libm::pow((293.0 - 0.0065 * height_m).max(1.0) / 293.0, 5.26);
    let gamma = 0.665e-3 * pressure_kpa;
    let net_mj = net_radiation_mj(lat_deg, warmest_cel, coolest_cel, actual_kpa);
    let dry_air = 900.0 / (mean_cel + 273.0) * weather.wind_mps * (saturated_kpa - actual_kpa);
    let taken = 0.408 * slope * net_mj + gamma * dry_air;
    (taken / (slope + gamma * (1.0 + 0.34 * weather.wind_mps))).max(0.0)
}

/// FAO-56, equation 11.
fn vapour_kpa(cel: f64) -> f64 {
    0.6108 * libm::exp(17.27 * cel / (cel + 237.3))
}

/// FAO-56, equations 37 to 40 and 50.
fn net_radiation_mj(lat_deg: f64, warmest_cel: f64, coolest_cel: f64, actual_kpa: f64) -> f64 {
    let top_mj = SUN_MJ * libm::cos(lat_deg.to_radians());
    let ground_mj = 0.16 * (warmest_cel - coolest_cel).sqrt() * top_mj;
    let fourth = |cel: f64| {
        let square = (cel + 273.16) * (cel + 273.16);
        square * square
    };
    let sky_mj = RADIATION_MJ * (fourth(warmest_cel) + fourth(coolest_cel)) / 2.0;
    // The clear-sky share is that of equation 50 over equation 37; the latitude falls out of it.
    let clear = (0.16 * (warmest_cel - coolest_cel).sqrt() / 0.75).min(1.0);
    0.77 * ground_mj - sky_mj * (0.34 - 0.14 * actual_kpa.sqrt()) * (1.35 * clear - 0.35)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(temperature_cel: f64, wind_mps: f64) -> f64 {
        reference_mm_per_day(&Weather { temperature_cel, wind_mps, rain_mm_per_h: 0.0 }, 29.45, 248.0)
    }

    #[test]
    fn a_warm_day_takes_some_millimetres_and_a_windy_one_more() {
        // FAO-56, table 2: warm, semi-arid: 6 to 8 mm a day; cool: 2 to 4 in temperate regions.
        assert!((4.5..8.5).contains(&at(30.0, 2.0)), "{}", at(30.0, 2.0));
        assert!((1.0..4.0).contains(&at(10.0, 2.0)), "{}", at(10.0, 2.0));
        assert!(at(30.0, 6.0) > at(30.0, 1.0));
    }

    proptest! {
        #[test]
        fn any_weather_takes_a_finite_amount(
            temperature_cel in -60.0..70.0_f64, wind_mps in 0.0..120.0_f64, lat_deg in -90.0..90.0_f64,
            height_m in -10_000.0..10_000.0_f64,
        ) {
            let weather = Weather { temperature_cel, wind_mps, rain_mm_per_h: 0.0 };
            let taken = reference_mm_per_day(&weather, lat_deg, height_m);
            prop_assert!((0.0..500.0).contains(&taken), "{taken}");
        }
    }
}
