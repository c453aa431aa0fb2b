//! How a zone is watered when it is dry: below which moisture it is, which sensor says so, what is done, and for how long.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::water::PartKind;
use super::{Plan, Sensor, Zone};

/// The most steps of one irrigation, as many as a proposal may have.
pub const IRRIGATION_STEPS_MAX: usize = 16;
/// The longest irrigation, seconds: a day.
pub const IRRIGATION_FOR_S_MAX: u32 = 86_400;
/// The longest name of an operation, bytes.
const OPERATION_BYTES_MAX: usize = 512;
/// The unit in which a moisture is compared with the limits.
const PERCENT: &str = "%";

/// When a zone is dry, and what a planner may propose then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Irrigation {
    /// Below this moisture the zone is dry; on it, it is not.
    pub dry_below_percent: f64,
    /// At or below this moisture its plants wilt.
    pub wilting_percent: f64,
    /// The sensor that tells how moist it is, as a capability.
    pub moisture: String,
    /// What is done, in this order: the actuator, as a capability, and its operation.
    pub steps: Vec<(String, String)>,
    /// For how long, seconds.
    pub for_s: u32,
}

impl Plan {
    /// True when some zone is watered: there is something to plan.
    #[must_use]
    pub fn is_watered(&self) -> bool {
        self.zones.iter().any(|zone| zone.irrigation.is_some())
    }
}

impl Irrigation {
    /// What is wrong with its numbers.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let Self { dry_below_percent: dry, wilting_percent: wilting, steps, for_s, .. } = self;
        // A comparison with what is no number is false, so such a limit is refused here too.
        if !(0.0 <= *wilting && wilting < dry && *dry <= 100.0) {
            return Some(format!(
                "`wilting_percent` is {wilting} and `dry_below_percent` is {dry}; the first must be below the second, \
                 both from 0 to 100"
            ));
        }
        if !(1..=IRRIGATION_STEPS_MAX).contains(&steps.len()) {
            return Some(format!(
                "`steps` has 1 to {IRRIGATION_STEPS_MAX} entries, this one has {}",
                steps.len()
            ));
        }
        if let Some((actuator, _)) = steps.iter().find(|(_, operation)| !is_operation(operation)) {
            return Some(format!("{actuator}: an operation has 1 to {OPERATION_BYTES_MAX} bytes"));
        }
        let is_length = (1..=IRRIGATION_FOR_S_MAX).contains(for_s);
        (!is_length).then(|| format!("`for_s` is {for_s}, it must be 1 to {IRRIGATION_FOR_S_MAX}"))
    }

    /// What of it does not fit the plan: the key in the irrigation of `zone`, and the sentence.
    pub(super) fn disunity(&self, zone: &Zone, plan: &Plan) -> Vec<(String, String)> {
        let sensor = plan.sensors.iter().find(|sensor| sensor.capability == self.moisture);
        let mut faults: Vec<(String, String)> =
            self.unfit(zone, sensor).map(|sentence| ("moisture".to_owned(), sentence)).into_iter().collect();
        let mut owner = None;
        let mut named = BTreeSet::new();
        for (index, (capability, _)) in self.steps.iter().enumerate() {
            let mut note = |sentence: String| faults.push((format!("steps[{index}]"), sentence));
            let Some(actuator) = plan.actuators.iter().find(|known| known.capability == *capability) else {
                note(format!("{capability} is no actuator of this site; correct the name, or add it"));
                continue;
            };
            if !named.insert(capability) {
                note(format!("{capability} stands in two steps; one thing does one thing at a time"));
            }
            let first = owner.get_or_insert(&actuator.owner);
            if **first != actuator.owner {
                let owner = &actuator.owner;
                note(format!(
                    "{capability} is of {owner} and a step before it of {first}; one node does all"
                ));
            }
            let part = plan.water.parts.iter().find(|part| part.name == actuator.of);
            if let Some(PartKind::Valve { zone: watered }) = part.map(|part| &part.kind)
                && *watered != zone.name
            {
                note(format!("{capability} waters {watered}, not {}", zone.name));
            }
        }
        faults
    }

    /// Why this sensor cannot tell how moist the zone is.
    fn unfit(&self, zone: &Zone, sensor: Option<&Sensor>) -> Option<String> {
        let capability = &self.moisture;
        let Some(sensor) = sensor else {
            return Some(format!("{capability} is no sensor of this site; correct the name, or add it"));
        };
        if sensor.of != zone.name {
            return Some(format!("{capability} tells about {}, not about {}", sensor.of, zone.name));
        }
        (sensor.unit != PERCENT)
            .then(|| format!("{capability} is in {:?}, a moisture is in \"%\"", sensor.unit))
    }
}

fn is_operation(text: &str) -> bool {
    (1..=OPERATION_BYTES_MAX).contains(&text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn irrigation() -> Irrigation {
        Irrigation {
            dry_below_percent: 22.0,
            wilting_percent: 10.0,
            moisture: "sensor:soil-moisture:food-forest".to_owned(),
            steps: vec![
                ("actuator:valve:valve-food-forest".to_owned(), "open".to_owned()),
                ("actuator:pump:pump-main-01".to_owned(), "start".to_owned()),
            ],
            for_s: 1_200,
        }
    }

    #[test]
    fn numbers_that_make_no_sense_are_told() {
        assert_eq!(irrigation().fault(), None);
        let step = || irrigation().steps[0].clone();
        let with = |change: fn(&mut Irrigation)| {
            let mut changed = irrigation();
            change(&mut changed);
            changed.fault().unwrap_or_default()
        };
        for (fault, words) in [
            (with(|i| i.wilting_percent = 22.0), "`wilting_percent` is 22 and `dry_below_percent` is 22"),
            (with(|i| i.wilting_percent = -0.1), "both from 0 to 100"),
            (with(|i| i.dry_below_percent = 100.1), "both from 0 to 100"),
            (with(|i| i.dry_below_percent = f64::NAN), "both from 0 to 100"),
            (with(|i| i.steps.clear()), "`steps` has 1 to 16 entries, this one has 0"),
            (with(|i| i.for_s = 0), "`for_s` is 0, it must be 1 to 86400"),
            (with(|i| i.for_s = 86_401), "`for_s` is 86401"),
            (with(|i| i.steps[1].1.clear()), "actuator:pump:pump-main-01: an operation has"),
        ] {
            assert!(fault.contains(words), "{words:?} is not in {fault:?}");
        }
        let long = Irrigation { steps: vec![step(); 17], ..irrigation() };
        assert!(long.fault().unwrap().contains("this one has 17"));
    }

    proptest! {
        #[test]
        fn what_has_no_fault_has_a_share_to_divide_by(dry: f64, wilting: f64) {
            let irrigation = Irrigation { dry_below_percent: dry, wilting_percent: wilting, ..irrigation() };
            if irrigation.fault().is_none() {
                prop_assert!(dry - wilting > 0.0 && dry <= 100.0);
            }
        }
    }
}
