//! How a sensor shows what is true: too strong, off, wandering, noisy, in steps, and sometimes not at all.

use std::f64::consts::TAU;

use clawmesh_authority::{Capability, Unit};

use crate::fault::Lie;
use crate::measures::{Measures, Sensor};
use crate::rng::Stream;

/// How long a wander takes there and back, in seconds of the plant.
const DRIFT_PERIOD_S: (f64, f64) = (4.0 * 3600.0, 16.0 * 3600.0);

/// A sensor of the plant, for whoever reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlantSensor {
    /// Its capability.
    pub capability: Capability,
    /// The unit of its numbers.
    pub unit: Unit,
    /// How often it speaks, in milliseconds of the wall.
    pub period_ms: u32,
}

/// A sensor and what is wrong with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    file: Sensor,
    stream: Stream,
    drift_period_s: f64,
    drift_phase: f64,
    lie: Option<Lie>,
    frozen: Option<f64>,
    is_silent: bool,
}

impl Probe {
    /// A sensor under this seed.
    pub fn new(file: &Sensor, seed: u64) -> Self {
        let mut stream = Stream::named(seed, file.capability.as_str());
        Self {
            file: file.clone(),
            drift_period_s: stream.between(DRIFT_PERIOD_S.0, DRIFT_PERIOD_S.1),
            drift_phase: stream.between(0.0, TAU),
            stream,
            lie: None,
            frozen: None,
            is_silent: false,
        }
    }

    /// What it is, for whoever reads it.
    pub fn told(&self) -> PlantSensor {
        let file = &self.file;
        PlantSensor {
            capability: file.capability.clone(),
            unit: file.measures.unit(),
            period_ms: file.period_ms,
        }
    }

    /// What it senses.
    pub fn measures(&self) -> &Measures {
        &self.file.measures
    }

    /// What it shows of `truth` at this moment; nothing if the sample is lost.
    pub fn show(&mut self, truth: f64, plant_s: f64) -> Option<f64> {
        // Drawn before anything can end this, so that a fault shifts no later sample.
        let (luck_percent, bell) = (self.stream.share() * 100.0, self.stream.bell());
        if self.is_silent || luck_percent < self.file.dropout_percent {
            return None;
        }
        let drift = self.file.drift * libm::sin(plant_s / self.drift_period_s * TAU + self.drift_phase);
        let honest = truth * self.file.gain + self.file.bias + drift + self.file.noise * bell;
        Some(match self.lie {
            None => self.stepped(honest),
            Some(Lie::Frozen) => {
                let honest = self.stepped(honest);
                *self.frozen.get_or_insert(honest)
            }
            Some(Lie::Stuck(at)) => self.stepped(at),
            Some(Lie::Offset(by)) => self.stepped(honest + by),
        })
    }

    fn stepped(&self, value: f64) -> f64 {
        let within = value.clamp(self.file.range.0, self.file.range.1);
        let per_unit = 1.0 / self.file.resolution;
        // Dividing by 10 gives the number that people write as 14.3; multiplying by 0.1 does not.
        if per_unit >= 1.0 {
            (within * per_unit).round() / per_unit
        } else {
            (within / self.file.resolution).round() * self.file.resolution
        }
    }

    /// From now on it lies.
    pub fn lie(&mut self, lie: Lie) {
        self.lie = Some(lie);
        self.frozen = None;
    }

    /// From now on it says nothing.
    pub fn fall_silent(&mut self) {
        self.is_silent = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact() -> Sensor {
        Sensor {
            capability: Capability::new("sensor:flow:mainline-01").unwrap(),
            measures: Measures::Flow,
            period_ms: 500,
            range: (0.0, 300.0),
            gain: 1.0,
            bias: 0.0,
            drift: 0.0,
            noise: 0.0,
            resolution: 0.1,
            dropout_percent: 0.0,
        }
    }

    fn shown(file: &Sensor, truth: f64) -> Option<f64> {
        Probe::new(file, 1).show(truth, 0.0)
    }

    #[test]
    fn numbers_come_in_steps_and_within_the_range() {
        assert_eq!(shown(&exact(), 14.3333), Some(14.3));
        assert_eq!(shown(&Sensor { resolution: 5.0, ..exact() }, 14.3), Some(15.0));
        assert_eq!(shown(&exact(), -1.0), Some(0.0));
        assert_eq!(shown(&exact(), 1e9), Some(300.0));
    }

    #[test]
    fn gain_and_bias_are_always_there() {
        let file = Sensor { gain: 1.1, bias: 2.0, ..exact() };
        assert_eq!(shown(&file, 100.0), Some(112.0));
    }

    #[test]
    fn drift_wanders_slowly_and_never_further_than_it_may() {
        let mut probe = Probe::new(&Sensor { drift: 3.0, resolution: 0.001, ..exact() }, 1);
        let shown: Vec<f64> = (0..48 * 60).filter_map(|m| probe.show(100.0, f64::from(m) * 60.0)).collect();
        let (low, high) = shown.iter().fold((f64::MAX, f64::MIN), |(l, h), x| (l.min(*x), h.max(*x)));
        assert!((97.0..97.5).contains(&low) && (102.5..=103.0).contains(&high), "{low} {high}");
        assert!(shown.windows(2).all(|pair| (pair[1] - pair[0]).abs() < 0.1));
    }

    #[test]
    fn noise_has_its_width() {
        let mut probe = Probe::new(&Sensor { noise: 2.0, resolution: 0.001, ..exact() }, 1);
        let shown: Vec<f64> = (0..5000).filter_map(|_| probe.show(100.0, 0.0)).collect();
        let variance = shown.iter().map(|x| (x - 100.0) * (x - 100.0)).sum::<f64>() / 5000.0;
        assert!((variance - 4.0).abs() < 0.4, "{variance}");
    }

    #[test]
    fn some_samples_are_missing_and_a_silent_sensor_has_none() {
        let mut probe = Probe::new(&Sensor { dropout_percent: 10.0, ..exact() }, 1);
        let missing = (0..2000).filter(|_| probe.show(1.0, 0.0).is_none()).count();
        assert!((150..250).contains(&missing), "{missing}");
        probe.fall_silent();
        assert!((0..2000).all(|_| probe.show(1.0, 0.0).is_none()));
    }

    #[test]
    fn a_lie_is_frozen_or_stuck_or_off() {
        let mut probe = Probe::new(&exact(), 1);
        probe.lie(Lie::Frozen);
        assert_eq!([probe.show(5.0, 0.0), probe.show(9.0, 0.0)], [Some(5.0), Some(5.0)]);
        probe.lie(Lie::Stuck(40.0));
        assert_eq!(probe.show(9.0, 0.0), Some(40.0));
        probe.lie(Lie::Offset(-4.0));
        assert_eq!(probe.show(9.0, 0.0), Some(5.0));
    }

    #[test]
    fn a_fault_shifts_no_later_sample() {
        let file = Sensor { noise: 1.0, dropout_percent: 10.0, ..exact() };
        let (mut honest, mut liar) = (Probe::new(&file, 1), Probe::new(&file, 1));
        liar.lie(Lie::Offset(10.0));
        for _ in 0..500 {
            let (honest, liar) = (honest.show(100.0, 0.0), liar.show(100.0, 0.0));
            assert_eq!(honest.map(|x| (x * 10.0).round()), liar.map(|x| (x * 10.0 - 100.0).round()));
        }
    }
}
