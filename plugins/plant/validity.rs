//! What is wrong with a plant file: numbers that no plant has, names that lead nowhere, steps that are too long.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use clawmesh_authority::Capability;

use crate::file::{Layer, Outlet, PlantFile, Pump, Soil, Weather, Zone, short_name};
use crate::measures::{Measures, Sensor};
use crate::opening::{in_series, steepest_lps_per_kpa};
use crate::time::STEP_S;

/// More zones, sensors or people than this are no farm but a mistake.
const ENTRIES_MAX: usize = 256;

const LAYERS: RangeInclusive<usize> = 3..=8;

const PERCENT: RangeInclusive<f64> = 0.0..=100.0;

/// Any number that is above nothing and below nonsense.
const SOME: RangeInclusive<f64> = 1e-9..=1e9;

/// Any such number, or nothing.
const NONE_OR_SOME: RangeInclusive<f64> = 0.0..=1e9;

const ANY: RangeInclusive<f64> = -1e9..=1e9;

impl PlantFile {
    /// Everything wrong with it: where, and a sentence.
    #[must_use]
    pub fn faults(&self) -> Vec<(String, String)> {
        let mut found = Found::default();
        self.water(&mut found);
        pump(&self.pump, &mut found);
        for (index, zone) in self.zones.iter().enumerate() {
            self.zone(index, zone, &mut found);
        }
        weather(&self.weather, &mut found);
        self.movers(&mut found);
        for (index, sensor) in self.sensors.iter().enumerate() {
            self.sensor(index, sensor, &mut found);
        }
        self.names(&mut found);
        found.0
    }

    fn water(&self, found: &mut Found) {
        let (source, tank) = (&self.source, &self.tank);
        found.number("source", "yield_lpm", source.yield_lpm, NONE_OR_SOME);
        found.number("source", "opens_below_percent", source.opens_below_percent, PERCENT);
        found.number("source", "closes_at_percent", source.closes_at_percent, PERCENT);
        found.order("source", "opens_below_percent", source.opens_below_percent, source.closes_at_percent);
        found.number("tank", "capacity_l", tank.capacity_l, SOME);
        found.number("tank", "depth_m", tank.depth_m, SOME);
        found.number("tank", "floor_m", tank.floor_m, 0.0..=100.0);
        found.number("tank", "level_percent", tank.level_percent, PERCENT);
        found.number("filter", "clean_lpm_at_100_kpa", self.filter.clean_lpm_at_100_kpa, SOME);
        found.number("filter", "clogs_after_l", self.filter.clogs_after_l, SOME);
        let mainline = &self.mainline;
        found.number("mainline", "lpm_at_100_kpa", mainline.lpm_at_100_kpa, NONE_OR_SOME);
        found.number("mainline", "l_per_kpa", mainline.l_per_kpa, SOME);
        let way = steepest_lps_per_kpa(in_series(self.filter.clean_lpm_at_100_kpa, mainline.lpm_at_100_kpa));
        let lines = self.zones.iter().map(|zone| steepest_lps_per_kpa(zone.line_lpm_at_100_kpa));
        found.stiff("mainline", mainline.l_per_kpa, way + lines.sum::<f64>());
        let standing = steepest_lps_per_kpa(self.pump.standing_lpm_at_100_kpa);
        found.stiff("pump", self.pump.vessel_l_per_kpa, way + standing + steepest_of_motor(&self.pump));
    }

    fn zone(&self, index: usize, zone: &Zone, found: &mut Found) {
        let at = &format!("zones[{index}]");
        found.number(at, "stroke_s", zone.stroke_s, STEP_S..=3600.0);
        found.number(at, "line_lpm_at_100_kpa", zone.line_lpm_at_100_kpa, SOME);
        found.number(at, "line_l_per_kpa", zone.line_l_per_kpa, SOME);
        match zone.outlet {
            Outlet::Emitters { count: _, lph, full_from_kpa, exponent_below, creep_per_100_kpa } => {
                let at = &format!("{at}.outlet");
                found.number(at, "lph", lph, NONE_OR_SOME);
                found.number(at, "full_from_kpa", full_from_kpa, 1.0..=1e4);
                found.number(at, "exponent_below", exponent_below, 0.1..=2.0);
                found.number(at, "creep_per_100_kpa", creep_per_100_kpa, 0.0..=0.5);
            }
            Outlet::OpenEnd { lpm_at_100_kpa } => {
                found.number(&format!("{at}.outlet"), "lpm_at_100_kpa", lpm_at_100_kpa, NONE_OR_SOME);
            }
        }
        let steepest = steepest_lps_per_kpa(zone.line_lpm_at_100_kpa) + zone.outlet.steepest_lps_per_kpa();
        found.stiff(at, zone.line_l_per_kpa, steepest);
        soil(&format!("{at}.soil"), &zone.soil, found);
    }

    fn movers(&self, found: &mut Found) {
        for (index, rover) in self.rovers.iter().enumerate() {
            let at = &format!("rovers[{index}].home");
            found.place(at, rover.home);
        }
        for (index, person) in self.people.iter().enumerate() {
            let at = &format!("people[{index}]");
            found.number(at, "speed_mps", person.speed_mps, 0.01..=10.0);
            found.number(at, "stays_s_max", person.stays_s_max, 1.0..=1e9);
            found.unless(!person.places.is_empty(), at, "has no place to be".into());
            for place in &person.places {
                found.place(at, *place);
            }
        }
    }

    fn sensor(&self, index: usize, sensor: &Sensor, found: &mut Found) {
        let at = &format!("sensors[{index}]");
        let is_sensor = sensor.capability.as_str().starts_with("sensor:");
        found.unless(is_sensor, at, "a sensor begins with `sensor:`".into());
        found.unless(sensor.period_ms > 0, at, "`period_ms` is 0".into());
        let (low, high) = sensor.range;
        found.number(at, "range", low, ANY);
        found.number(at, "range", high, ANY);
        found.order(at, "range", low, high);
        found.number(at, "gain", sensor.gain, 0.01..=100.0);
        found.number(at, "bias", sensor.bias, ANY);
        found.number(at, "drift", sensor.drift, NONE_OR_SOME);
        found.number(at, "noise", sensor.noise, NONE_OR_SOME);
        found.number(at, "resolution", sensor.resolution, 1e-6..=1e6);
        found.number(at, "dropout_percent", sensor.dropout_percent, PERCENT);
        let missing = match &sensor.measures {
            Measures::SoilMoisture { zone } if !self.zones.iter().any(|known| known.zone == *zone) => zone,
            Measures::East { of } | Measures::North { of } if !self.has_mover(of) => of,
            _ => return,
        };
        found.unless(false, at, format!("there is no {missing:?} to measure"));
    }

    fn has_mover(&self, name: &str) -> bool {
        let rover = self.rovers.iter().any(|rover| rover.name == name);
        rover || self.people.iter().any(|person| person.name == name)
    }

    fn names(&self, found: &mut Found) {
        let counts = [self.zones.len(), self.sensors.len(), self.rovers.len(), self.people.len()];
        let is_small = counts.iter().all(|count| *count <= ENTRIES_MAX);
        found.unless(is_small, "file", format!("a list has more than {ENTRIES_MAX} entries"));
        let devices = std::iter::once(&self.pump.device).chain(self.zones.iter().map(|zone| &zone.device));
        let devices: Vec<&Capability> = devices.collect();
        for device in &devices {
            let is_actuator = device.as_str().starts_with("actuator:");
            found.unless(is_actuator, device.as_str(), "a device begins with `actuator:`".into());
        }
        found.once("devices", devices.into_iter().map(short_name));
        found.once("zones", self.zones.iter().map(|zone| zone.zone.as_str()));
        found.once("sensors", self.sensors.iter().map(|sensor| sensor.capability.as_str()));
        let rovers = self.rovers.iter().map(|rover| rover.name.as_str());
        found.once("rovers and people", rovers.chain(self.people.iter().map(|person| person.name.as_str())));
    }
}

fn pump(pump: &Pump, found: &mut Found) {
    let at = "pump";
    found.number(at, "flow_lpm_max", pump.flow_lpm_max, SOME);
    found.number(at, "shut_kpa", pump.shut_kpa, SOME);
    found.number(at, "slip_exponent", pump.slip_exponent, 1.0..=10.0);
    found.number(at, "power_w", pump.power_w, SOME);
    found.number(at, "inrush_times", pump.inrush_times, 1.0..=20.0);
    found.number(at, "starts_in_s", pump.starts_in_s, STEP_S..=60.0);
    found.number(at, "wear_percent_per_hour", pump.wear_percent_per_hour, PERCENT);
    found.number(at, "worn_percent", pump.worn_percent, PERCENT);
    found.number(at, "cut_in_kpa", pump.cut_in_kpa, SOME);
    found.order(at, "cut_in_kpa", pump.cut_in_kpa, pump.cut_out_kpa);
    found.order(at, "cut_out_kpa", pump.cut_out_kpa, pump.shut_kpa);
    found.number(at, "dry_below_percent", pump.dry_below_percent, PERCENT);
    found.number(at, "dry_until_percent", pump.dry_until_percent, PERCENT);
    found.order(at, "dry_below_percent", pump.dry_below_percent, pump.dry_until_percent);
    found.number(at, "standing_lpm_at_100_kpa", pump.standing_lpm_at_100_kpa, NONE_OR_SOME);
    found.number(at, "vessel_l_per_kpa", pump.vessel_l_per_kpa, SOME);
}

/// The steepest place of what a motor gives is where it is shut.
fn steepest_of_motor(pump: &Pump) -> f64 {
    pump.flow_lpm_max / 60.0 * pump.slip_exponent / pump.shut_kpa
}

fn soil(at: &str, soil: &Soil, found: &mut Found) {
    found.number(at, "area_m2", soil.area_m2, SOME);
    found.number(at, "infiltration_mm_per_h", soil.infiltration_mm_per_h, NONE_OR_SOME);
    found.number(at, "ponds_mm", soil.ponds_mm, NONE_OR_SOME);
    found.number(at, "crop_factor", soil.crop_factor, 0.0..=3.0);
    let count = soil.layers.len();
    let (least, most) = (LAYERS.start(), LAYERS.end());
    let is_layered = LAYERS.contains(&count);
    found.unless(is_layered, at, format!("the soil has {count} layers, it needs {least} to {most}"));
    for (index, layer) in soil.layers.iter().enumerate() {
        let thinnest_mm = soil.layers.get(index + 1).map_or(layer.thickness_mm, |below| below.thickness_mm);
        layer_faults(&format!("{at}.layers[{index}]"), layer, thinnest_mm.min(layer.thickness_mm), found);
    }
    let roots: f64 = soil.layers.iter().map(|layer| layer.roots).sum();
    found.unless((roots - 1.0).abs() < 1e-6, at, format!("the roots of all layers are {roots}, not 1"));
}

fn layer_faults(at: &str, layer: &Layer, thinnest_mm: f64, found: &mut Found) {
    found.number(at, "thickness_mm", layer.thickness_mm, 10.0..=1e4);
    found.number(at, "wilting_percent", layer.wilting_percent, PERCENT);
    found.number(at, "saturated_percent", layer.saturated_percent, PERCENT);
    found.number(at, "at_start_percent", layer.at_start_percent, 0.0..=layer.saturated_percent.max(0.0));
    found.order(at, "wilting_percent", layer.wilting_percent, layer.field_capacity_percent);
    found.order(at, "field_capacity_percent", layer.field_capacity_percent, layer.saturated_percent);
    found.number(at, "sinks_in_s", layer.sinks_in_s, 2.0..=1e9);
    found.number(at, "roots", layer.roots, 0.0..=1.0);
    // More in a second would pass the balance of the two layers and swing back.
    let spreads_max = 3600.0 * thinnest_mm / 100.0 / 4.0;
    found.number(at, "spreads_mm_per_h", layer.spreads_mm_per_h, 0.0..=spreads_max);
}

fn weather(weather: &Weather, found: &mut Found) {
    let at = "weather";
    found.number(at, "begins_at_hour", weather.begins_at_hour, 0.0..=24.0);
    found.number(at, "mean_c", weather.mean_c, -60.0..=60.0);
    found.number(at, "swing_c", weather.swing_c, 0.0..=40.0);
    found.number(at, "day_to_day_c", weather.day_to_day_c, 0.0..=20.0);
    found.number(at, "wind_mps", weather.wind_mps, 0.0..=100.0);
    found.number(at, "gust_mps", weather.gust_mps, 0.0..=100.0);
    found.number(at, "rain_days_percent", weather.rain_days_percent, PERCENT);
    found.number(at, "shower_mm_max", weather.shower_mm_max, 0.0..=1000.0);
    found.number(at, "takes_at_noon_mm_per_h", weather.takes_at_noon_mm_per_h, 0.0..=10.0);
}

#[derive(Default)]
struct Found(Vec<(String, String)>);

impl Found {
    fn unless(&mut self, is_right: bool, at: &str, sentence: String) {
        if !is_right {
            self.0.push((at.to_owned(), sentence));
        }
    }

    fn number(&mut self, at: &str, key: &str, number: f64, within: RangeInclusive<f64>) {
        let sentence = format!("`{key}` is {number}, it must be {} to {}", within.start(), within.end());
        self.unless(within.contains(&number), &format!("{at}.{key}"), sentence);
    }

    fn order(&mut self, at: &str, key: &str, low: f64, high: f64) {
        self.unless(low < high, &format!("{at}.{key}"), format!("`{key}` is {low}, it must be below {high}"));
    }

    fn place(&mut self, at: &str, place: (f64, f64)) {
        self.number(at, "east", place.0, ANY);
        self.number(at, "north", place.1, ANY);
    }

    /// A pressure that one step can carry past its balance would swing, and in the end fly apart.
    fn stiff(&mut self, at: &str, l_per_kpa: f64, lps_per_kpa: f64) {
        let least = lps_per_kpa * STEP_S;
        let sentence = format!("it takes {l_per_kpa} litres for a kilopascal, it must be above {least:.4}");
        self.unless(l_per_kpa > least, at, sentence);
    }

    fn once<'a>(&mut self, at: &str, names: impl Iterator<Item = &'a str>) {
        let mut known = BTreeSet::new();
        for name in names {
            self.unless(known.insert(name), at, format!("{name:?} is there twice"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::tests::shipped;

    fn faults_with(change: impl FnOnce(&mut PlantFile)) -> Vec<(String, String)> {
        let mut file = shipped();
        change(&mut file);
        file.faults()
    }

    #[test]
    fn the_shipped_file_has_no_faults() {
        assert_eq!(shipped().faults(), []);
    }

    #[test]
    fn each_mistake_is_named_where_it_is() {
        let changes: &[(&str, &str, fn(&mut PlantFile))] = &[
            ("tank", "capacity_l", |file| file.tank.capacity_l = 0.0),
            ("tank", "level_percent", |file| file.tank.level_percent = f64::NAN),
            ("source", "opens_below_percent", |file| file.source.opens_below_percent = 99.0),
            ("pump", "cut_in_kpa", |file| file.pump.cut_in_kpa = 230.0),
            ("pump", "cut_out_kpa", |file| file.pump.cut_out_kpa = 300.0),
            ("pump", "litres for a kilopascal", |file| file.pump.vessel_l_per_kpa = 1e-4),
            ("mainline", "litres for a kilopascal", |file| file.mainline.l_per_kpa = 1e-3),
            ("zones[1]", "litres for", |file| file.zones[1].line_l_per_kpa = 1e-4),
            ("zones[1].soil", "2 layers", |file| file.zones[1].soil.layers.truncate(2)),
            ("zones[1].soil.layers[1]", "at_start", |file| {
                file.zones[1].soil.layers[1].at_start_percent = 99.0;
            }),
            ("zones[1].soil", "roots", |file| file.zones[1].soil.layers[0].roots = 0.0),
            ("weather", "mean_c", |file| file.weather.mean_c = f64::INFINITY),
            ("people[0]", "no place", |file| file.people[0].places.clear()),
            ("rovers and people", "twice", |file| file.rovers[0].name = "farmer-01".into()),
            ("devices", "twice", |file| file.zones[0].device = file.zones[1].device.clone()),
            ("sensors", "twice", |file| file.sensors[0] = file.sensors[1].clone()),
            ("sensors[0]", "resolution", |file| file.sensors[0].resolution = 0.0),
            ("sensors[0]", "no \"z\"", |file| {
                file.sensors[0].measures = Measures::SoilMoisture { zone: "z".into() };
            }),
            ("pump:main", "actuator:", |file| file.pump.device = Capability::new("pump:main").unwrap()),
        ];
        for (at, part, change) in changes {
            let found = faults_with(change);
            let is_named =
                found.iter().any(|(found_at, what)| found_at.starts_with(at) && what.contains(part));
            assert!(is_named, "{at}, {part}: {found:?}");
        }
    }
}
