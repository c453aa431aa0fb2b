//! How one rollout differs from what is known: within what was measured, how long ago, and what parts are like.

use std::collections::BTreeMap;

use super::Inner;
use crate::seed::Stream;
use crate::site::Name;
use crate::trial::{Estimate, Trial};
use crate::water::{Element, Outlet};

/// How far a tank nobody looks at may drift from what was read, standard deviation in an hour.
const LEVEL_DRIFT_PERCENT_PER_H: f64 = 2.0;
/// The same of soil.
const MOISTURE_DRIFT_PERCENT_PER_H: f64 = 0.5;
/// Nobody knows less than this.
const SIGMA_PERCENT_MAX: f64 = 30.0;
/// From pipe to pipe, and with the years.
const FRICTION_SIGMA: f64 = 0.1;
/// From one emitter line to the next: a good one by ASAE EP405.
const EMITTER_SIGMA: f64 = 0.04;
/// What a worn pump may have lost of its head.
const PUMP_WEAR_MAX: f64 = 0.15;
/// The estimate of evaporation from temperature and wind alone.
const EVAPORATION_SIGMA: f64 = 0.25;

/// The numbers of one rollout.
#[derive(Debug, Clone, PartialEq)]
pub struct Draw {
    /// How full each tank is.
    pub level_percent: BTreeMap<Name, f64>,
    /// How wet each zone is.
    pub moisture_percent: BTreeMap<Name, f64>,
    /// The network.
    pub elements: Vec<Element>,
    /// Whether what nobody knows is on.
    pub unknown_on: Vec<bool>,
    /// Evaporation, as a share of what is expected.
    pub evaporation: f64,
    /// Rain, as a share of what fell in the last hour.
    pub rain: f64,
}

impl Draw {
    /// The numbers of rollout `index`; of number 0 as they are known.
    #[must_use]
    pub fn new(inner: &Inner, trial: &Trial, index: u32) -> Self {
        let snapshot = &trial.snapshot;
        let value = |(name, estimate): (&Name, &Estimate)| (name.clone(), estimate.value);
        let mut draw = Self {
            level_percent: snapshot.tank_level_percent.iter().map(value).collect(),
            moisture_percent: snapshot.moisture_percent.iter().map(value).collect(),
            elements: inner.network.elements.clone(),
            unknown_on: inner.safe_on.clone(),
            evaporation: 1.0,
            rain: 1.0,
        };
        if index > 0 {
            draw.perturb(trial, &mut Stream::new(&trial.seed, "water", index));
        }
        draw
    }

    fn perturb(&mut self, trial: &Trial, stream: &mut Stream) {
        let mut around = |estimate: &Estimate, drift_per_h: f64| {
            let drift = drift_per_h * estimate.age_s / 3_600.0;
            let sigma = libm::hypot(estimate.sigma, drift).min(SIGMA_PERCENT_MAX);
            stream.normal(estimate.value, sigma).clamp(0.0, 100.0)
        };
        for (name, estimate) in &trial.snapshot.tank_level_percent {
            self.level_percent.insert(name.clone(), around(estimate, LEVEL_DRIFT_PERCENT_PER_H));
        }
        for (name, estimate) in &trial.snapshot.moisture_percent {
            self.moisture_percent.insert(name.clone(), around(estimate, MOISTURE_DRIFT_PERCENT_PER_H));
        }
        let friction = stream.normal(1.0, FRICTION_SIGMA).max(0.1);
        for element in &mut self.elements {
            element.friction *= friction;
            element.lift_m *= 1.0 - stream.uniform(0.0, PUMP_WEAR_MAX);
            let gives = stream.normal(1.0, EMITTER_SIGMA).max(0.1);
            if let Outlet::Row { rated_lpm } = &mut element.outlet {
                *rated_lpm *= gives;
            }
        }
        for on in &mut self.unknown_on {
            *on = stream.uniform(0.0, 1.0) < 0.5;
        }
        self.evaporation = stream.normal(1.0, EVAPORATION_SIGMA).max(0.0);
        self.rain = stream.uniform(0.0, 2.0);
    }
}
