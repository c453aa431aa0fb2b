//! How sure the twin is, and what it did not think of.

use std::collections::BTreeSet;

use crate::rollout::{Fork, Outcome};
use crate::site::{Name, PartKind};
use crate::trial::{Act, Snapshot};

/// A twin that was never compared with the plant deserves so much trust.
const NEVER_COMPARED: f64 = 0.8;
/// So does a plan that nobody compared with the field.
const NOT_VALIDATED: f64 = 0.8;
/// What is this old is worth half.
const HALF_AGE_S: f64 = 3_600.0;

/// How sure, 0 to 1: how well the twin did lately, times how much of what matters is known and fresh, times how much
/// of the work was done.
#[must_use]
pub fn confidence(fork: &Fork, reached: u32) -> f64 {
    let trial = fork.trial();
    let agreement = trial.snapshot.agreement.unwrap_or(NEVER_COMPARED);
    let validated = if fork.plan().needs_field_validation { NOT_VALIDATED } else { 1.0 };
    let asked = f64::from(trial.horizon.rollouts) + 1.0;
    let done = (f64::from(reached) / asked).min(1.0);
    (agreement * validated * known(fork) * done.sqrt()).clamp(0.0, 1.0)
}

/// The mean worth of what should be known: 1 for something just measured, 0 for something nobody knows.
fn known(fork: &Fork) -> f64 {
    let snapshot = &fork.trial().snapshot;
    let mut worth: Vec<f64> = Vec::new();
    let mut count =
        |age_s: Option<f64>| worth.push(age_s.map_or(0.0, |age_s| HALF_AGE_S / (HALF_AGE_S + age_s)));
    if switches(fork) {
        for part in &fork.plan().water.parts {
            match part.kind {
                PartKind::Tank { .. } => {
                    count(snapshot.tank_level_percent.get(&part.name).map(|level| level.age_s))
                }
                PartKind::Pump { .. } | PartKind::Valve { .. } => {
                    count(snapshot.switched.get(&part.name).map(|_| 0.0));
                }
                _ => {}
            }
        }
        fork.meant_zones()
            .iter()
            .for_each(|zone| count(snapshot.moisture_percent.get(zone).map(|wet| wet.age_s)));
    }
    if drives(fork) {
        let rovers = fork.plan().rovers.iter();
        rovers.for_each(|rover| count(snapshot.rovers.get(&rover.name).map(|_| 0.0)));
        let people = fork.plan().people.iter();
        people.for_each(|person| count(snapshot.people.get(&person.name).map(|seen| seen.age_s)));
    }
    if worth.is_empty() { 1.0 } else { worth.iter().sum::<f64>() / worth.len() as f64 }
}

fn switches(fork: &Fork) -> bool {
    fork.trial().steps.iter().any(|step| matches!(step.act, Act::Switch { .. }))
}

fn drives(fork: &Fork) -> bool {
    fork.trial().steps.iter().any(|step| matches!(step.act, Act::Drive { .. }))
}

/// What the twin did not think of, in short phrases.
#[must_use]
pub fn not_modelled(fork: &Fork, nominal: Option<&Outcome>) -> Vec<String> {
    let mut phrases: BTreeSet<String> = BTreeSet::new();
    let mut say = |phrase: &str| phrases.extend([phrase.to_owned()]);
    if fork.plan().needs_field_validation {
        say("what differs between the plan and the field, which nobody has compared");
    }
    if switches(fork) {
        say("heights of the ground: all water is taken as level with the tank's foot");
        say("the filling of empty pipes, water hammer, leaks and clogging");
        say("soils other than loam and roots other than 0.4 m deep");
        say("the season and the daily course of sun and temperature");
        say("people beside what is switched");
        fork.network_left_out().iter().for_each(|phrase| say(phrase));
    }
    if nominal.is_some_and(|outcome| !outcome.drives.is_empty()) {
        say("slope and grip of the ground, and turning on the spot");
        say("obstacles that are not in the plan");
        say("what people do when they see a rover coming: each walks straight on");
    }
    unknown(fork, &fork.trial().snapshot).iter().for_each(|phrase| say(phrase));
    phrases.into_iter().collect()
}

/// What should have been known.
fn unknown(fork: &Fork, snapshot: &Snapshot) -> Vec<String> {
    let mut phrases = Vec::new();
    let mut need = |is_known: bool, what: &str, name: &Name| {
        phrases.extend((!is_known).then(|| format!("{what} of {name}, which nobody knows")));
    };
    for part in fork.plan().water.parts.iter().filter(|_| switches(fork)) {
        match part.kind {
            PartKind::Tank { .. } => {
                need(snapshot.tank_level_percent.contains_key(&part.name), "the level", &part.name);
            }
            PartKind::Pump { .. } | PartKind::Valve { .. } => {
                need(snapshot.switched.contains_key(&part.name), "the state", &part.name);
            }
            _ => {}
        }
    }
    for zone in fork.meant_zones() {
        need(snapshot.moisture_percent.contains_key(&zone), "the soil", &zone);
    }
    for rover in fork.plan().rovers.iter().filter(|_| drives(fork)) {
        need(snapshot.rovers.contains_key(&rover.name), "the place", &rover.name);
    }
    phrases
}
