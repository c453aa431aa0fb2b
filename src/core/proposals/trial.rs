//! From a proposal to what is asked of the twin, and whether the world has left what was asked since. Pure.

use std::collections::BTreeSet;

use clawmesh_authority::gate::Live;
use clawmesh_authority::{Capability, Policy, Setpoint, Step, Tier};
use clawmesh_twin::site::{Name, Plan, SwitchState};
use clawmesh_twin::trial::{Act, Estimate, Horizon, LENGTH_S_MAX, Snapshot, Step as Move, Trial};

use super::ledger::seconds_asked;
use crate::site::{Sight, SiteFiles, limits_of, snapshot_of, switch_state};

/// A tank may change by this much before a card is of another world, percent of its height.
pub const TANK_DRIFT_PERCENT_MAX: f64 = 5.0;
/// The soil may change by this much, percent of its volume.
pub const MOISTURE_DRIFT_PERCENT_MAX: f64 = 3.0;

/// What is known now, for a fork; `running` is what is carried out already.
#[must_use]
pub fn snapshot_now(site: &SiteFiles, live: &Live, running: Vec<Move>) -> Snapshot {
    let read = |sensor: &clawmesh_twin::site::Sensor| {
        let node = site.home.nodes.get(sensor.node.as_str())?;
        let reading = live.readings.get(&(*node, Capability::new(&sensor.capability).ok()?))?;
        let age_s = reading.age_ms as f64 / 1_000.0;
        // What was only thought of, or made up, is nothing that was seen.
        let is_seen = reading.doubt.is_none() && reading.tier > Tier::T0;
        is_seen.then_some(Sight { value: reading.value, age_s })
    };
    let position = |actuator: &Capability| live.actuators.get(actuator)?.read_back;
    Snapshot { running, ..snapshot_of(&site.plan, read, position) }
}

/// The steps of a proposal as the twin knows them, each for `seconds_of` it; what the plan or the policy does not know stays
/// out.
#[must_use]
pub fn moves(steps: &[Step], plan: &Plan, policy: &Policy, seconds_of: impl Fn(&Step) -> f64) -> Vec<Move> {
    let of = |step: &Step| {
        let actuator =
            plan.actuators.iter().find(|actuator| actuator.capability == step.actuator.as_str())?;
        let brings = policy.rules_of(&step.actuator)?.operations.get(&step.operation)?.brings;
        let act = Act::Switch { state: switch_state(brings), for_s: seconds_of(step) };
        Some(Move { of: actuator.of.clone(), act })
    };
    steps.iter().filter_map(of).collect()
}

/// What is asked of the twin: as far ahead as the steps last and half as far again, so that their end is seen.
#[must_use]
pub fn trial_of(steps: &[Step], plan: &Plan, policy: &Policy, snapshot: Snapshot, seed: [u8; 32]) -> Trial {
    let longest_s = steps.iter().map(seconds_asked).fold(0.0, f64::max);
    let usual = Horizon::default();
    let horizon = Horizon { length_s: usual.length_s.max(longest_s * 1.5).min(LENGTH_S_MAX), ..usual };
    // What is switched off stays so for as long as anybody looks.
    let seconds_of = |step: &Step| match seconds_asked(step) {
        seconds if seconds > 0.0 => seconds,
        _ => horizon.length_s,
    };
    Trial {
        snapshot,
        steps: moves(steps, plan, policy, seconds_of),
        limits: limits_of(plan, policy),
        horizon,
        seed,
    }
}

/// What has changed since a fork by more than the tolerance, if anything has.
#[must_use]
pub fn drift(before: &Snapshot, now: &Snapshot) -> Option<String> {
    let far = |what: &str, name: &Name, before: &Estimate, now: Option<&Estimate>, most: f64| match now {
        None => Some(format!("nobody knows the {what} of {name} any more")),
        Some(now) => {
            let change = now.value - before.value;
            // A number that is none is as far as can be.
            let is_far = change.is_nan() || change.abs() > most;
            is_far
                .then(|| format!("the {what} of {name} went from {:.1} to {:.1} %", before.value, now.value))
        }
    };
    let tank = before.tank_level_percent.iter().find_map(|(name, level)| {
        far("level", name, level, now.tank_level_percent.get(name), TANK_DRIFT_PERCENT_MAX)
    });
    let soil = || {
        before.moisture_percent.iter().find_map(|(name, wet)| {
            far("moisture", name, wet, now.moisture_percent.get(name), MOISTURE_DRIFT_PERCENT_MAX)
        })
    };
    let switched = || {
        let names: BTreeSet<&Name> = before.switched.keys().chain(now.switched.keys()).collect();
        let changed = names.into_iter().find(|name| before.switched.get(*name) != now.switched.get(*name))?;
        Some(format!("{changed} stands otherwise"))
    };
    let running = || {
        let names = |snapshot: &Snapshot| {
            let states = snapshot.running.iter().map(|step| (step.of.clone(), is_on(&step.act)));
            states.collect::<BTreeSet<_>>()
        };
        (names(before) != names(now)).then(|| "something else is carried out".to_owned())
    };
    tank.or_else(soil).or_else(switched).or_else(running)
}

fn is_on(act: &Act) -> Option<bool> {
    match act {
        Act::Switch { state, .. } => Some(*state == SwitchState::On),
        Act::Drive { .. } => None,
    }
}

/// True for a step that adds energy, motion or flow.
#[must_use]
pub fn adds(step: &Step, policy: &Policy) -> bool {
    brings(step, policy) == Some(Setpoint::On)
}

/// The state a step brings, if the policy knows it.
#[must_use]
pub fn brings(step: &Step, policy: &Policy) -> Option<Setpoint> {
    Some(policy.rules_of(&step.actuator)?.operations.get(&step.operation)?.brings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(value: f64) -> Estimate {
        Estimate { value, age_s: 1.0, sigma: 1.0 }
    }

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn world() -> Snapshot {
        let mut snapshot = Snapshot::default();
        snapshot.tank_level_percent.insert(name("tank"), estimate(70.0));
        snapshot.moisture_percent.insert(name("bed"), estimate(14.0));
        snapshot.switched.insert(name("valve"), SwitchState::Off);
        snapshot
    }

    #[test]
    fn what_has_changed_by_more_than_the_tolerance_is_named() {
        let with = |change: fn(&mut Snapshot)| {
            let mut now = world();
            change(&mut now);
            drift(&world(), &now).unwrap_or_default()
        };
        assert_eq!(with(|_| ()), "");
        assert_eq!(with(|now| now.tank_level_percent.get_mut(&name("tank")).unwrap().value = 65.5), "");
        for (words, expected) in [
            (
                with(|now| now.tank_level_percent.get_mut(&name("tank")).unwrap().value = 64.9),
                "went from 70.0 to 64.9",
            ),
            (
                with(|now| now.tank_level_percent.get_mut(&name("tank")).unwrap().value = f64::NAN),
                "level of tank",
            ),
            (with(|now| now.tank_level_percent.clear()), "nobody knows the level of tank"),
            (with(|now| now.moisture_percent.get_mut(&name("bed")).unwrap().value = 17.1), "moisture of bed"),
            (
                with(|now| {
                    now.switched.insert(name("valve"), SwitchState::On);
                }),
                "valve stands otherwise",
            ),
            (with(|now| now.switched.clear()), "valve stands otherwise"),
            (
                with(|now| {
                    let act = Act::Switch { state: SwitchState::On, for_s: 60.0 };
                    now.running.push(Move { of: name("pump"), act });
                }),
                "something else is carried out",
            ),
        ] {
            assert!(words.contains(expected), "{expected:?} is not in {words:?}");
        }
    }

    #[test]
    fn the_time_that_remains_of_what_runs_is_no_drift() {
        let running = |for_s| {
            let act = Act::Switch { state: SwitchState::On, for_s };
            Snapshot { running: vec![Move { of: name("pump"), act }], ..world() }
        };
        assert_eq!(drift(&running(60.0), &running(55.0)), None);
    }
}
