//! The watered strip of soil in layers: water enters at the top, sinks by its weight, spreads from wet to dry, is taken
//! by roots, and leaves below. What is poured on top is therefore seen late where the probe is.

use crate::file::{Layer, Soil};

/// The layer that holds the probe: the second.
pub const PROBE_LAYER: usize = 1;

/// The soil of one zone.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    file: Soil,
    layers_l: Vec<f64>,
    ponded_l: f64,
    rained_l: f64,
    evaporated_l: f64,
    drained_l: f64,
    ran_off_l: f64,
}

impl Profile {
    /// The soil as it is at the beginning.
    pub fn new(file: &Soil) -> Self {
        let litres = |layer: &Layer| litres(file.area_m2, layer, layer.at_start_percent);
        Self {
            layers_l: file.layers.iter().map(litres).collect(),
            file: file.clone(),
            ponded_l: 0.0,
            rained_l: 0.0,
            evaporated_l: 0.0,
            drained_l: 0.0,
            ran_off_l: 0.0,
        }
    }

    /// Pours water on top.
    pub fn pour(&mut self, poured_l: f64) {
        self.ponded_l += poured_l;
    }

    /// Moves the water for a moment in which this much rained and the air asked for this much.
    pub fn step(&mut self, step_s: f64, rain_mm: f64, asked_mm: f64) {
        let rain_l = rain_mm * self.file.area_m2;
        self.rained_l += rain_l;
        self.ponded_l += rain_l;
        self.soak(step_s);
        for upper in 0..self.layers_l.len() {
            self.sink(upper, step_s);
        }
        self.evaporate(asked_mm);
        let run_off_l = (self.ponded_l - self.file.ponds_mm * self.file.area_m2).max(0.0);
        self.ponded_l -= run_off_l;
        self.ran_off_l += run_off_l;
    }

    fn soak(&mut self, step_s: f64) {
        let at_most_l = self.file.infiltration_mm_per_h / 3600.0 * step_s * self.file.area_m2;
        let soaked_l = self.ponded_l.min(at_most_l).min(self.room_l(0));
        self.ponded_l -= soaked_l;
        self.layers_l[0] += soaked_l;
    }

    /// Moves water between a layer and the one below it, or out of the lowest one.
    fn sink(&mut self, upper: usize, step_s: f64) {
        let layer = &self.file.layers[upper];
        let heavy_l =
            (self.layers_l[upper] - litres(self.file.area_m2, layer, layer.field_capacity_percent)).max(0.0);
        let sinks_l = heavy_l * (step_s / layer.sinks_in_s).min(1.0);
        let lower = upper + 1;
        if lower == self.layers_l.len() {
            self.layers_l[upper] -= sinks_l;
            self.drained_l += sinks_l;
            return;
        }
        let wetter_percent = self.percent(upper) - self.percent(lower);
        let spreads_l = wetter_percent * layer.spreads_mm_per_h / 3600.0 * step_s * self.file.area_m2;
        let down_l = sinks_l + spreads_l;
        // Downwards no more than there is and fits; upwards, below 0, the same the other way round.
        let down_l = down_l.min(self.layers_l[upper]).min(self.room_l(lower));
        let down_l = down_l.max(-self.layers_l[lower]).max(-self.room_l(upper));
        self.layers_l[upper] -= down_l;
        self.layers_l[lower] += down_l;
    }

    fn evaporate(&mut self, asked_mm: f64) {
        let asked_l = asked_mm * self.file.crop_factor * self.file.area_m2;
        for (at, layer) in self.file.layers.iter().enumerate() {
            let percent = percent(self.file.area_m2, layer, self.layers_l[at]);
            let ease =
                (percent - layer.wilting_percent) / (layer.field_capacity_percent - layer.wilting_percent);
            let taken_l = (asked_l * layer.roots * ease.clamp(0.0, 1.0)).min(self.layers_l[at]);
            self.layers_l[at] -= taken_l;
            self.evaporated_l += taken_l;
        }
    }

    fn room_l(&self, at: usize) -> f64 {
        let layer = &self.file.layers[at];
        (litres(self.file.area_m2, layer, layer.saturated_percent) - self.layers_l[at]).max(0.0)
    }

    fn percent(&self, at: usize) -> f64 {
        percent(self.file.area_m2, &self.file.layers[at], self.layers_l[at])
    }

    /// The water in each layer, from the top down.
    pub fn percents(&self) -> Vec<f64> {
        (0..self.layers_l.len()).map(|at| self.percent(at)).collect()
    }

    /// The water where the probe is.
    pub fn probe_percent(&self) -> f64 {
        self.percent(PROBE_LAYER)
    }

    /// What the soil holds.
    pub fn held_l(&self) -> f64 {
        self.layers_l.iter().sum()
    }

    /// What stands on top.
    pub fn ponded_l(&self) -> f64 {
        self.ponded_l
    }

    /// What rained on it so far.
    pub fn rained_l(&self) -> f64 {
        self.rained_l
    }

    /// What roots and sun have taken so far.
    pub fn evaporated_l(&self) -> f64 {
        self.evaporated_l
    }

    /// What left below so far.
    pub fn drained_l(&self) -> f64 {
        self.drained_l
    }

    /// What ran off so far.
    pub fn ran_off_l(&self) -> f64 {
        self.ran_off_l
    }
}

/// A millimetre on a square metre is a litre.
fn litres(area_m2: f64, layer: &Layer, percent: f64) -> f64 {
    area_m2 * layer.thickness_mm * percent / 100.0
}

fn percent(area_m2: f64, layer: &Layer, layer_l: f64) -> f64 {
    layer_l / (area_m2 * layer.thickness_mm) * 100.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::file::tests::shipped;

    fn dry_strip() -> Profile {
        Profile::new(&shipped().zones[0].soil)
    }

    fn watered(soil: &mut Profile, seconds: u32, lpm: f64) {
        for _ in 0..seconds {
            soil.pour(lpm / 60.0);
            soil.step(1.0, 0.0, 0.0);
        }
    }

    fn total_l(soil: &Profile) -> f64 {
        soil.held_l() + soil.ponded_l() + soil.evaporated_l() + soil.drained_l() + soil.ran_off_l()
    }

    #[test]
    fn the_probe_sees_water_later_than_the_top_and_still_after_it_has_ended() {
        let mut soil = dry_strip();
        let (top, probe) = (soil.percents()[0], soil.probe_percent());
        watered(&mut soil, 300, 8.0);
        let (top_5, probe_5) = (soil.percents()[0] - top, soil.probe_percent() - probe);
        assert!(top_5 > 1.0 && probe_5 < 0.15, "after 5 minutes: top +{top_5}, probe +{probe_5}");
        watered(&mut soil, 1500, 8.0);
        let at_the_end = soil.probe_percent();
        watered(&mut soil, 900, 0.0);
        assert!(soil.probe_percent() > at_the_end + 0.3, "{at_the_end}, then {}", soil.probe_percent());
    }

    #[test]
    fn an_hour_of_water_is_clearly_seen_by_the_probe() {
        let mut soil = dry_strip();
        let before = soil.probe_percent();
        watered(&mut soil, 2700, 8.0);
        let rise = soil.probe_percent() - before;
        assert!(rise > 1.5 && rise < 8.0, "{rise} points in 45 minutes");
    }

    #[test]
    fn what_is_too_much_ponds_and_then_runs_off() {
        let mut soil = dry_strip();
        watered(&mut soil, 3 * 3600, 500.0);
        assert!(soil.ponded_l() > 0.0 && soil.ran_off_l() > 0.0 && soil.drained_l() > 0.0);
        let layers = shipped().zones[0].soil.layers.clone();
        for (percent, layer) in soil.percents().iter().zip(layers) {
            assert!(*percent <= layer.saturated_percent + 1e-9, "{percent}");
        }
    }

    #[test]
    fn roots_take_no_water_below_wilting() {
        let mut soil = dry_strip();
        for _ in 0..24 * 3600 {
            soil.step(1.0, 0.0, 0.01);
        }
        let wilting = shipped().zones[0].soil.layers[0].wilting_percent;
        assert!(soil.percents().iter().all(|percent| *percent > wilting - 0.1), "{:?}", soil.percents());
    }

    proptest! {
        #[test]
        fn soil_loses_and_makes_no_water(
            poured in prop::collection::vec((0.0..40.0_f64, 0.0..0.05_f64, 0.0..0.001_f64), 1..300),
            lowest in 0.0..41.0_f64,
        ) {
            let mut file = shipped().zones[0].soil.clone();
            file.layers[2].at_start_percent = lowest;
            let mut soil = Profile::new(&file);
            let mut given_l = total_l(&soil);
            for (lpm, rain_mm, asked_mm) in poured {
                soil.pour(lpm);
                soil.step(1.0, rain_mm, asked_mm);
                given_l += lpm + rain_mm * soil.file.area_m2;
            }
            prop_assert!((total_l(&soil) - given_l).abs() <= 1e-9 * given_l, "{} {given_l}", total_l(&soil));
            prop_assert!(soil.layers_l.iter().all(|layer_l| *layer_l >= 0.0));
        }
    }
}
