//! The water and the soil over time.

use super::draw::Draw;
use super::outcome::{Band, Outcome, Peak, PlaceRun, PumpRun, SoilRun, TankRun, ZoneRun};
use super::timeline::Timeline;
use super::{Fork, Inner};
use crate::soil::Bucket;
use crate::water::{Flow, KPA_PER_M, Role, solve};

/// Less than this is no flow.
pub const FLOW_LPM_MIN: f64 = 0.05;

/// The water of a site at one moment of a rollout. Vectors have one entry for each node, or for each zone.
struct Irrigation<'a> {
    inner: &'a Inner,
    draw: &'a Draw,
    flow: Flow,
    is_on: Vec<bool>,
    root_head_m: Vec<Option<f64>>,
    /// What share of its flow a tank or source can give for the whole of this step of time.
    given_share: Vec<f64>,
    stored_l: Vec<f64>,
    tanks: Vec<Option<TankRun>>,
    pumps: Vec<PumpRun>,
    places: Vec<Option<PlaceRun>>,
    peak: Option<(usize, f64)>,
    zone_l: Vec<f64>,
    /// What came to each zone in this step of time.
    poured_l: Vec<f64>,
    soils: Vec<Option<(Bucket, SoilRun)>>,
    outcome: Outcome,
}

/// Water and soil over the horizon.
#[must_use]
pub fn irrigate(fork: &Fork, timeline: &Timeline, draw: &Draw) -> Outcome {
    let inner = &*fork.inner;
    let meant: Vec<bool> = {
        let names = fork.meant_zones();
        inner.zones.iter().map(|zone| names.is_empty() || names.contains(&zone.name)).collect()
    };
    let weather = &fork.trial.snapshot.weather;
    let (air_mm, rain_mm) = (fork.reference_mm * draw.evaporation, weather.rain_mm_per_h * draw.rain);
    let mut water = Irrigation::new(inner, draw);
    let horizon = &fork.trial.horizon;
    for (begin_s, end_s) in timeline.spans(horizon.length_s, horizon.step_s) {
        let dt_s = end_s - begin_s;
        timeline.states(begin_s, &draw.unknown_on, &inner.safe_on, &mut water.is_on);
        water.settle(dt_s);
        water.pour(dt_s);
        water.run_pumps(dt_s);
        water.measure(begin_s < timeline.in_effect_s);
        water.soak(dt_s, rain_mm, air_mm);
        if water.outcome.first_flow_s.is_none() && water.reaches(&meant, dt_s) {
            water.outcome.first_flow_s = Some(begin_s);
        }
    }
    water.finish(fork)
}

impl<'a> Irrigation<'a> {
    fn new(inner: &'a Inner, draw: &'a Draw) -> Self {
        let (nodes, zones) = (inner.network.nodes.len(), inner.zones.len());
        let mut water = Self {
            inner,
            draw,
            flow: Flow::new(nodes),
            is_on: vec![false; nodes],
            root_head_m: vec![None; nodes],
            given_share: vec![0.0; nodes],
            stored_l: vec![0.0; nodes],
            tanks: vec![None; nodes],
            pumps: vec![PumpRun::default(); nodes],
            places: vec![None; nodes],
            peak: None,
            zone_l: vec![0.0; zones],
            poured_l: vec![0.0; zones],
            soils: vec![None; zones],
            outcome: Outcome { is_solved: true, ..Outcome::default() },
        };
        water.fill();
        water
    }

    /// Tanks and soils as they are at the beginning.
    fn fill(&mut self) {
        for (index, node) in self.inner.network.nodes.iter().enumerate() {
            let Role::Tank { capacity_l, .. } = node.role else { continue };
            let Some(percent) = self.draw.level_percent.get(&node.name).copied() else { continue };
            self.stored_l[index] = capacity_l * percent / 100.0;
            let (before_percent, low_percent, after_percent) = (percent, percent, percent);
            self.tanks[index] = Some(TankRun { before_percent, low_percent, after_percent, overflow_l: 0.0 });
        }
        for (index, zone) in self.inner.zones.iter().enumerate() {
            let Some(percent) = self.draw.moisture_percent.get(&zone.name).copied() else { continue };
            let (before_percent, highest_percent, after_percent) = (percent, percent, percent);
            let run = SoilRun { before_percent, highest_percent, after_percent, run_off_l: 0.0 };
            self.soils[index] = Some((Bucket::new(zone.area_m2, percent), run));
        }
    }

    /// The flows for these switches and levels, and how much of them there is water for.
    fn settle(&mut self, dt_s: f64) {
        for (index, node) in self.inner.network.nodes.iter().enumerate() {
            self.root_head_m[index] = match node.role {
                Role::Tank { capacity_l, depth_m } if self.stored_l[index] > 0.0 => {
                    Some(self.stored_l[index] / capacity_l * depth_m)
                }
                Role::Source { .. } => Some(0.0),
                _ => None,
            };
        }
        solve(&self.draw.elements, &self.is_on, &self.root_head_m, &mut self.flow);
        self.outcome.is_solved &= self.flow.is_solved;
        for (index, node) in self.inner.network.nodes.iter().enumerate() {
            let wanted_lpm = self.flow.through_lpm[index];
            let there_lpm = match node.role {
                Role::Tank { .. } => self.stored_l[index] / dt_s * 60.0,
                Role::Source { yield_lpm } => yield_lpm,
                _ => continue,
            };
            self.given_share[index] = if wanted_lpm > there_lpm { there_lpm / wanted_lpm } else { 1.0 };
        }
    }

    /// What a node really lets through, of what it would.
    fn share(&self, index: usize) -> f64 {
        self.given_share[self.inner.root_of[index]]
    }

    /// Moves the water: out of tanks, into zones and other tanks.
    fn pour(&mut self, dt_s: f64) {
        self.poured_l.fill(0.0);
        for (index, node) in self.inner.network.nodes.iter().enumerate() {
            let share = self.share(index);
            let out_l = self.flow.out_lpm[index] * share * dt_s / 60.0;
            match (node.role, self.inner.zone_of[index]) {
                (Role::Tank { .. } | Role::Source { .. }, _) => {
                    let drawn_l = self.flow.through_lpm[index] * share * dt_s / 60.0;
                    self.stored_l[index] -= drawn_l;
                    self.outcome.drawn_l += drawn_l;
                }
                (Role::Inlet { tank }, _) => self.stored_l[tank] += out_l,
                (_, Some(zone)) => self.poured_l[zone] += out_l,
                (_, None) => {}
            }
        }
        for (index, node) in self.inner.network.nodes.iter().enumerate() {
            let (Role::Tank { capacity_l, .. }, Some(run)) = (node.role, &mut self.tanks[index]) else {
                continue;
            };
            let left_l = self.stored_l[index].clamp(0.0, capacity_l);
            run.overflow_l += (self.stored_l[index] - capacity_l).max(0.0);
            self.stored_l[index] = left_l;
            run.after_percent = left_l / capacity_l * 100.0;
            run.low_percent = run.low_percent.min(run.after_percent);
        }
    }

    fn run_pumps(&mut self, dt_s: f64) {
        for (index, node) in self.inner.network.nodes.iter().enumerate() {
            let Role::Pump { power_w } = node.role else { continue };
            if !self.is_on[index] {
                continue;
            }
            let (share, root) = (self.share(index), self.inner.root_of[index]);
            let run = &mut self.pumps[index];
            run.on_s += dt_s;
            self.outcome.energy_wh += power_w * dt_s / 3_600.0;
            if self.root_head_m[root].is_none() {
                run.dry_s += dt_s;
            } else if self.flow.through_lpm[index] < FLOW_LPM_MIN {
                run.dead_head_s += dt_s;
            } else if share < 1.0 && matches!(self.inner.network.nodes[root].role, Role::Tank { .. }) {
                run.dry_s += dt_s * (1.0 - share);
            } else if share < 1.0 {
                run.starved_s += dt_s;
            }
        }
    }

    fn measure(&mut self, is_in_effect: bool) {
        for (index, is_wet) in self.flow.is_wet.iter().enumerate() {
            let pressure_kpa = self.flow.head_m[index] * KPA_PER_M;
            if *is_wet && self.peak.is_none_or(|(_, highest)| pressure_kpa > highest) {
                self.peak = Some((index, pressure_kpa));
            }
        }
        for index in self.inner.places.iter().copied().filter(|_| is_in_effect) {
            let flow_lpm = Band::of(self.flow.through_lpm[index] * self.share(index));
            let pressure_kpa = Band::of(self.flow.head_m[index] * KPA_PER_M);
            let now = PlaceRun { flow_lpm, pressure_kpa };
            self.places[index] = Some(self.places[index].map_or(now, |before| before.with(now)));
        }
    }

    fn soak(&mut self, dt_s: f64, rain_mm_per_h: f64, air_mm: f64) {
        for (index, soil) in self.soils.iter_mut().enumerate() {
            self.zone_l[index] += self.poured_l[index];
            self.outcome.litres += self.poured_l[index];
            let Some((bucket, run)) = soil else { continue };
            let went = bucket.step(dt_s, self.poured_l[index], rain_mm_per_h, air_mm);
            run.run_off_l += went.run_off_mm * self.inner.zones[index].area_m2;
            run.after_percent = bucket.moisture_percent();
            run.highest_percent = run.highest_percent.max(run.after_percent);
        }
    }

    fn reaches(&self, meant: &[bool], dt_s: f64) -> bool {
        let least_l = FLOW_LPM_MIN * dt_s / 60.0;
        self.poured_l.iter().zip(meant).any(|(poured_l, is_meant)| *is_meant && *poured_l > least_l)
    }

    /// Everything under its name.
    fn finish(self, fork: &Fork) -> Outcome {
        let (mut outcome, meant) = (self.outcome, fork.meant_zones());
        let nodes = &self.inner.network.nodes;
        outcome.peak =
            self.peak.map(|(index, pressure_kpa)| Peak { at: nodes[index].name.clone(), pressure_kpa });
        for (index, node) in nodes.iter().enumerate() {
            outcome.tanks.extend(self.tanks[index].map(|run| (node.name.clone(), run)));
            outcome.places.extend(self.places[index].map(|run| (node.name.clone(), run)));
            let pump = Some(self.pumps[index]).filter(|run| run.on_s > 0.0);
            outcome.pumps.extend(pump.map(|run| (node.name.clone(), run)));
        }
        for (index, zone) in self.inner.zones.iter().enumerate() {
            let litres = self.zone_l[index];
            if litres > 0.0 || meant.contains(&zone.name) {
                let soil = self.soils[index].map(|(_, run)| run);
                outcome.zones.insert(zone.name.clone(), ZoneRun { litres, soil });
            }
        }
        outcome
    }
}

impl PlaceRun {
    fn with(self, other: Self) -> Self {
        Self {
            flow_lpm: self.flow_lpm.with(other.flow_lpm),
            pressure_kpa: self.pressure_kpa.with(other.pressure_kpa),
        }
    }
}
