//! Faults drawn by lot: ten seeds in a row have nine different kinds of faults and one time none.

use crate::device::Hands;
use crate::fault::{Fault, Lie, PlannedFault};
use crate::file::{PlantFile, Zone, short_name};
use crate::measures::{Measures, Sensor};
use crate::rng::Stream;
use crate::soil::PROBE_LAYER;

/// How many kinds there are, with "none".
const KINDS: u64 = 10;

/// Faults begin in this span of plant time: late enough for a plant to be seen whole, early enough to be met.
const BEGINS_S: (f64, f64) = (20.0, 300.0);

impl Fault {
    /// The faults of this seed. They hit what the first watering needs, or nobody would meet them.
    #[must_use]
    pub fn of_seed(seed: u64, file: &PlantFile) -> Vec<PlannedFault> {
        let mut stream = Stream::named(seed, "faults");
        let from_s = stream.between(BEGINS_S.0, BEGINS_S.1) as u32;
        let fault = drawn(seed % KINDS, file, &mut stream);
        fault.map(|fault| PlannedFault { fault, from_s }).into_iter().collect()
    }
}

fn drawn(kind: u64, file: &PlantFile, stream: &mut Stream) -> Option<Fault> {
    let driest = driest(file)?;
    let valve = short_name(&driest.device).to_owned();
    Some(match kind {
        1 => Fault::Leak {
            lpm_at_200_kpa: stream.between(6.0, 20.0).round(),
            behind: (stream.below(2) == 0).then_some(valve),
        },
        2 => Fault::CloggedFilter,
        3 => Fault::StuckValve { device: valve },
        4 => {
            let sensor = needed_sensor(file, driest, stream)?;
            Fault::LyingSensor { sensor: sensor.capability.clone(), lie: lie_of(sensor, stream) }
        }
        5 => Fault::Dropout { sensor: needed_sensor(file, driest, stream)?.capability.clone() },
        6 => Fault::ManualSwitch { device: needed_device(file, valve, stream), hands: Hands::HeldOff },
        7 => Fault::DrySource,
        8 => Fault::WornPump,
        9 => Fault::DeadDevice { device: needed_device(file, valve, stream) },
        _ => return None,
    })
}

fn driest(file: &PlantFile) -> Option<&Zone> {
    let probe = |zone: &Zone| zone.soil.layers.get(PROBE_LAYER).map_or(100.0, |layer| layer.at_start_percent);
    file.zones.iter().min_by(|a, b| probe(a).total_cmp(&probe(b)))
}

fn needed_device(file: &PlantFile, valve: String, stream: &mut Stream) -> String {
    if stream.below(2) == 0 { valve } else { short_name(&file.pump.device).to_owned() }
}

fn needed_sensor<'a>(file: &'a PlantFile, driest: &Zone, stream: &mut Stream) -> Option<&'a Sensor> {
    let is_needed = |sensor: &&Sensor| match &sensor.measures {
        Measures::TankLevel | Measures::Flow | Measures::Pressure => true,
        Measures::SoilMoisture { zone } => *zone == driest.zone,
        _ => false,
    };
    let needed: Vec<&Sensor> = file.sensors.iter().filter(is_needed).collect();
    needed.get(stream.below(needed.len())).copied()
}

fn lie_of(sensor: &Sensor, stream: &mut Stream) -> Lie {
    let span = sensor.range.1 - sensor.range.0;
    match stream.below(2) {
        0 => Lie::Frozen,
        _ => Lie::Offset((span * stream.between(0.1, 0.3)).round()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::file::tests::shipped;

    fn kind(fault: &PlannedFault) -> String {
        fault.fault.to_string().split(':').next().unwrap_or_default().to_owned()
    }

    #[test]
    fn ten_seeds_in_a_row_have_every_kind_and_one_has_none() {
        let file = shipped();
        for first in [0, 7, 1234] {
            let drawn: Vec<_> = (first..first + 10).map(|seed| Fault::of_seed(seed, &file)).collect();
            let kinds: BTreeSet<String> = drawn.iter().flatten().map(kind).collect();
            let expected = [
                "clogged-filter",
                "dead-device",
                "dropout",
                "dry-source",
                "leak",
                "lying-sensor",
                "manual-switch",
                "stuck-valve",
                "worn-pump",
            ];
            assert!(kinds.iter().eq(expected.iter()), "{kinds:?}");
            assert_eq!(drawn.iter().filter(|faults| faults.is_empty()).count(), 1);
        }
    }

    #[test]
    fn a_seed_always_draws_the_same_and_of_a_kind_not_always_the_same_one() {
        let file = shipped();
        assert_eq!(Fault::of_seed(9, &file), Fault::of_seed(9, &file));
        let devices: BTreeSet<String> = (0..20)
            .flat_map(|tens| Fault::of_seed(tens * 10 + 9, &file))
            .map(|planned| planned.fault.to_string())
            .collect();
        assert_eq!(devices.len(), 2, "{devices:?}");
    }
}
