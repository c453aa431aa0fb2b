//! From what is known of a site to the beginning of its simulated futures.

use std::collections::BTreeMap;

use clawmesh_authority::policy::{Must, Rule};
use clawmesh_authority::{Capability, Policy, Setpoint};
use clawmesh_twin::site::{Plan, Sensor, SwitchState};
use clawmesh_twin::trial::{Estimate, Limits, Snapshot};

/// What one sensor said, and how long ago.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sight {
    /// The value, in the unit of the site.
    pub value: f64,
    /// How old it is.
    pub age_s: f64,
}

/// How far a level or a moisture may be off when it was just measured, in its own unit. Nothing in the site says so yet.
const SIGMA_PERCENT: f64 = 1.0;

/// The snapshot a fork begins from. `read` gives what a sensor said, if it can be relied on; `position` where an actuator
/// is, if that is known. What is not known stays out, and the twin treats it as unknown.
#[must_use]
pub fn snapshot_of(
    plan: &Plan,
    read: impl Fn(&Sensor) -> Option<Sight>,
    position: impl Fn(&Capability) -> Option<Setpoint>,
) -> Snapshot {
    let mut snapshot = Snapshot::default();
    let rows = plan.sensors.iter().filter_map(|sensor| Some((sensor, read(sensor)?)));
    for (sensor, Sight { value, age_s }) in rows {
        let estimate = Estimate { value, age_s, sigma: SIGMA_PERCENT };
        match sensor.quantity.as_str() {
            "tank level" => drop(snapshot.tank_level_percent.insert(sensor.of.clone(), estimate)),
            "soil moisture" => drop(snapshot.moisture_percent.insert(sensor.of.clone(), estimate)),
            "air temperature" => snapshot.weather.temperature_cel = value,
            "wind speed" => snapshot.weather.wind_mps = value,
            "rain of the last hour" => snapshot.weather.rain_mm_per_h = value,
            _ => {}
        }
    }
    for actuator in &plan.actuators {
        let capability = Capability::new(&actuator.capability).ok();
        if let Some(setpoint) = capability.and_then(|capability| position(&capability)) {
            snapshot.switched.insert(actuator.of.clone(), switch_state(setpoint));
        }
    }
    snapshot
}

/// The state of the twin's switch for a set-point.
#[must_use]
pub fn switch_state(setpoint: Setpoint) -> SwitchState {
    match setpoint {
        Setpoint::On => SwitchState::On,
        Setpoint::Off => SwitchState::Off,
    }
}

/// The limits of a card, as far as the policy says them: the least water of its tanks, the most pressure of its lines, the
/// most litres of its zones. Where several rules say something, the strictest counts.
#[must_use]
pub fn limits_of(plan: &Plan, policy: &Policy) -> Limits {
    let quantity: BTreeMap<&str, &str> =
        plan.sensors.iter().map(|sensor| (sensor.capability.as_str(), sensor.quantity.as_str())).collect();
    let mut limits = Limits::default();
    let interlocks = policy.actuators.iter().flat_map(|rules| &rules.interlocks);
    for interlock in interlocks {
        match (quantity.get(interlock.sensor.as_str()), interlock.must) {
            // The level below which a pump may not start is no limit of what it may leave.
            (Some(&"tank level"), Must::BeAtLeast(low)) if interlock.rule != Rule::SourceBeforePump => {
                limits.tank_level_percent_min = limits.tank_level_percent_min.max(low);
            }
            (Some(&"pressure"), Must::BeAtMost(high)) => {
                limits.pressure_kpa_max = limits.pressure_kpa_max.min(high);
            }
            _ => {}
        }
    }
    let zones = plan.zones.iter().filter_map(|zone| policy.budget(zone.name.as_str()));
    let litres_max = zones.map(|budget| budget.litres_per_day_max).fold(0.0, f64::max);
    if litres_max > 0.0 {
        limits.zone_litres_max = limits.zone_litres_max.min(litres_max);
    }
    limits
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Farm {
        plan: Option<Plan>,
    }

    fn read<T: for<'de> Deserialize<'de>>(text: &str) -> T {
        let options =
            ron::Options::default().with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME);
        options.from_str(text).unwrap()
    }

    fn farm() -> Plan {
        read::<Farm>(include_str!("../../../assets/sites/farm.ron")).plan.unwrap()
    }

    #[test]
    fn what_was_measured_is_in_the_snapshot_and_what_is_unknown_is_not() {
        let plan = farm();
        let sight = |sensor: &Sensor| match sensor.capability.as_str() {
            "sensor:tank-level:tank-01" => Some(Sight { value: 70.0, age_s: 2.0 }),
            "sensor:soil-moisture:flower" => Some(Sight { value: 26.0, age_s: 1.0 }),
            "sensor:temperature:mast" => Some(Sight { value: 31.0, age_s: 1.0 }),
            "sensor:flow:mainline-01" => Some(Sight { value: 8.0, age_s: 1.0 }),
            _ => None,
        };
        let position = |actuator: &Capability| {
            (actuator.as_str() == "actuator:valve:valve-flower").then_some(Setpoint::On)
        };
        let snapshot = snapshot_of(&plan, sight, position);
        assert_eq!(snapshot.fault(), None);
        let tanks: Vec<_> =
            snapshot.tank_level_percent.iter().map(|(name, e)| (name.as_str(), e.value)).collect();
        assert_eq!(tanks, [("tank-01", 70.0)]);
        let zones: Vec<_> = snapshot.moisture_percent.keys().map(|name| name.as_str()).collect();
        assert_eq!(zones, ["z-flower-production"]);
        assert_eq!((snapshot.weather.temperature_cel, snapshot.weather.wind_mps), (31.0, 2.0));
        let switched: Vec<_> =
            snapshot.switched.iter().map(|(name, state)| (name.as_str(), *state)).collect();
        assert_eq!(switched, [("valve-flower", SwitchState::On)]);
        assert_eq!(
            (snapshot.people.len(), snapshot.agreement),
            (0, None),
            "nobody was seen, nothing was compared"
        );
    }

    #[test]
    fn the_policy_of_the_farm_gives_the_limits_of_its_cards() {
        let policy: Policy = read(include_str!("../../../assets/sites/farm.policy.ron"));
        let limits = limits_of(&farm(), &policy);
        assert_eq!(limits.fault(), None);
        let Limits { tank_level_percent_min, pressure_kpa_max, zone_litres_max, .. } = limits;
        // The pump may stand 420 kPa, and the twin's own limit of 400 is stricter.
        assert_eq!((tank_level_percent_min, pressure_kpa_max, zone_litres_max), (10.0, 400.0, 5_000.0));
        let mut strict = policy;
        strict.actuators[0].interlocks[1].must = Must::BeAtMost(300.0);
        assert_eq!(limits_of(&farm(), &strict).pressure_kpa_max, 300.0);
    }
}
