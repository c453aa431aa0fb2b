//! The root zone of a wetted strip as one bucket.

/// How wide a row of drippers wets the soil.
pub const ROW_WIDTH_M: f64 = 0.6;
/// How deep the roots are that count.
pub const DEPTH_M: f64 = 0.4;

/// Loam (FAO-56, table 19): what it holds against gravity, what plants cannot take, when it is full.
const FIELD_CAPACITY_PERCENT: f64 = 27.0;
const WILTING_PERCENT: f64 = 12.0;
const FULL_PERCENT: f64 = 46.0;
/// What loam takes in (FAO Irrigation Water Management, Training Manual 5, table 2: 10 to 20 mm/h).
const INFILTRATION_MM_PER_H: f64 = 15.0;
/// Above field capacity the surplus falls to a third in this time.
const DRAINAGE_S: f64 = 86_400.0;
/// The share of the water between field capacity and wilting that plants take without effort (FAO-56, table 22).
const EASY_SHARE: f64 = 0.5;

/// The water in the root zone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    area_m2: f64,
    water_mm: f64,
}

/// What went where in a step of time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Went {
    /// Into the soil.
    pub in_mm: f64,
    /// Into plants and air.
    pub air_mm: f64,
    /// Below the roots.
    pub drained_mm: f64,
    /// Off the surface.
    pub run_off_mm: f64,
}

impl Bucket {
    /// The root zone of `area_m2` that is `moisture_percent` wet, by volume.
    #[must_use]
    pub fn new(area_m2: f64, moisture_percent: f64) -> Self {
        Self { area_m2, water_mm: moisture_percent * MM_PER_PERCENT }
    }

    /// How wet it is, by volume.
    #[must_use]
    pub fn moisture_percent(&self) -> f64 {
        self.water_mm / MM_PER_PERCENT
    }

    /// Takes `litres` and rain over `dt_s` while the air takes up to `reference_mm_per_day`.
    pub fn step(&mut self, dt_s: f64, litres: f64, rain_mm_per_h: f64, reference_mm_per_day: f64) -> Went {
        let offered_mm = litres / self.area_m2 + rain_mm_per_h * dt_s / 3_600.0;
        let room_mm = (FULL_PERCENT * MM_PER_PERCENT - self.water_mm).max(0.0);
        let in_mm = offered_mm.min(INFILTRATION_MM_PER_H * dt_s / 3_600.0).min(room_mm);
        self.water_mm += in_mm;
        let wanted_mm = reference_mm_per_day * dt_s / 86_400.0 * self.stress();
        let air_mm = wanted_mm.min((self.water_mm - WILTING_PERCENT * MM_PER_PERCENT).max(0.0));
        self.water_mm -= air_mm;
        let surplus_mm = (self.water_mm - FIELD_CAPACITY_PERCENT * MM_PER_PERCENT).max(0.0);
        let drained_mm = -surplus_mm * libm::expm1(-dt_s / DRAINAGE_S);
        self.water_mm -= drained_mm;
        Went { in_mm, air_mm, drained_mm, run_off_mm: offered_mm - in_mm }
    }

    /// The water stress coefficient `Ks` (FAO-56, equation 84).
    fn stress(&self) -> f64 {
        let available = FIELD_CAPACITY_PERCENT - WILTING_PERCENT;
        let left = (self.moisture_percent() - WILTING_PERCENT) / available;
        (left / (1.0 - EASY_SHARE)).clamp(0.0, 1.0)
    }
}

const MM_PER_PERCENT: f64 = DEPTH_M * 10.0;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn forty_five_litres_on_forty_five_square_metres_are_a_quarter_percent() {
        let mut bucket = Bucket::new(45.0, 20.0);
        for _ in 0..60 {
            bucket.step(10.0, 0.75, 0.0, 0.0);
        }
        assert!((bucket.moisture_percent() - 20.25).abs() < 1e-9, "{}", bucket.moisture_percent());
    }

    #[test]
    fn a_flood_runs_off_and_a_wet_soil_drains() {
        let mut bucket = Bucket::new(10.0, 30.0);
        let went = bucket.step(60.0, 1_000.0, 0.0, 0.0);
        assert!(went.run_off_mm > 99.0 && went.drained_mm > 0.0, "{went:?}");
        let mut full = Bucket::new(10.0, FULL_PERCENT);
        assert_eq!(full.step(60.0, 1.0, 0.0, 0.0).in_mm, 0.0);
    }

    #[test]
    fn nothing_is_taken_from_a_soil_at_wilting() {
        let mut bucket = Bucket::new(10.0, WILTING_PERCENT);
        assert_eq!(bucket.step(3_600.0, 0.0, 0.0, 8.0).air_mm, 0.0);
    }

    proptest! {
        #[test]
        fn what_a_bucket_gains_is_what_came_less_what_went(
            moisture in 0.0..100.0_f64, litres in 0.0..500.0_f64, rain in 0.0..100.0_f64, air in 0.0..12.0_f64,
            dt_s in 0.1..600.0_f64,
        ) {
            let mut bucket = Bucket::new(45.0, moisture);
            let (mut gained_mm, mut offered_mm, mut settled_mm) = (0.0, 0.0, 0.0);
            for _ in 0..50 {
                let went = bucket.step(dt_s, litres, rain, air);
                gained_mm += went.in_mm - went.air_mm - went.drained_mm;
                offered_mm += litres / 45.0 + rain * dt_s / 3_600.0;
                settled_mm += went.in_mm + went.run_off_mm;
                prop_assert!(went.in_mm >= 0.0 && went.air_mm >= 0.0 && went.drained_mm >= 0.0);
            }
            let change_mm = (bucket.moisture_percent() - moisture) * MM_PER_PERCENT;
            prop_assert!((change_mm - gained_mm).abs() < 1e-9, "{change_mm} {gained_mm}");
            prop_assert!((offered_mm - settled_mm).abs() < 1e-9 * (1.0 + offered_mm));
        }
    }
}
