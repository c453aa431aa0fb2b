//! The judge: what a watering came to by what really happened in the plant, whatever its node believes.

use clawmesh_plant::Plant;

use super::autopsy::is_in_force;
use super::watering::{Case, FOR_S, Outcome, SPEED};
use crate::proposals::rig::pump;

/// How far the water may be from what was asked: the band that the policy gives the flow.
const WATER_SHARE: f64 = 0.3;
/// How long a pump may turn with less in the tank than the policy asks for: until its sensor has said so, twice.
const DRY_S_MAX: f64 = 3.0;

/// What is silently wrong about an outcome; nothing when it ended as it may.
pub fn breaches(case: &Case, outcome: &Outcome) -> Vec<String> {
    let mut found: Vec<String> = case
        .faults
        .iter()
        .filter(|fault| !is_in_force(fault, &outcome.plant))
        .map(|fault| format!("{fault} was not in force"))
        .collect();
    found.extend(match outcome.end.state.as_str() {
        "completed" => wrong_completion(case, outcome),
        "failed" => hidden_failure(outcome),
        "refused" | "vetoed" => wrong_refusal(case, outcome),
        other => Some(format!("it ended as {other}")),
    });
    found.extend(still_on(outcome));
    if outcome.trace.dry_s > DRY_S_MAX {
        found.push(format!("the pump turned {:.1} s without enough water", outcome.trace.dry_s));
    }
    let ledger = outcome.plant.ledger();
    if outcome.trace.tank_percent_max > 100.0 || ledger.ran_off_l > ledger.rained_l {
        found.push(format!("water ran over: {ledger:?}"));
    }
    found.extend(outcome.difference.iter().map(|found| format!("the replay differs: {found}")));
    found
}

/// The share of the water that was asked for which reached the zone.
pub fn share(case: &Case, outcome: &Outcome) -> f64 {
    outcome.trace.litres.get(case.zone.name).copied().unwrap_or_default() / asked_l(case)
}

/// What the site says that the zone takes in the time that was asked for; in the stand-in, time runs faster.
fn asked_l(case: &Case) -> f64 {
    case.zone.lpm * FOR_S / 60.0 * f64::from(SPEED)
}

fn wrong_completion(case: &Case, outcome: &Outcome) -> Option<String> {
    let share = share(case, outcome);
    if (share - 1.0).abs() > WATER_SHARE {
        return Some(format!("completed with {:.0} % of the water", share * 100.0));
    }
    let leaked_l = outcome.plant.ledger().leaked_l;
    (leaked_l > WATER_SHARE * asked_l(case)).then(|| format!("completed, and {leaked_l:.0} L leaked"))
}

fn hidden_failure(outcome: &Outcome) -> Option<String> {
    let end = &outcome.end;
    if end.words.is_empty() || end.cause.is_none() {
        return Some(format!("nobody is told why: {end:?}"));
    }
    let is_shown = outcome.snapshot.alarms.iter().any(|alarm| {
        (alarm.key.starts_with("failed/") || alarm.key.starts_with("divergence/")) && !alarm.is_acknowledged
    });
    (!is_shown).then(|| "no alarm rings".to_owned())
}

fn wrong_refusal(case: &Case, outcome: &Outcome) -> Option<String> {
    let end = &outcome.end;
    let rows = &outcome.snapshot.refusals;
    let is_in_book = rows.iter().any(|row| Some(row.code) == end.code && row.sentence == end.words);
    // A veto is no refusal of a sender: it stands in the story of the proposal, with the card.
    if end.state == "refused" && !is_in_book {
        return Some(format!("the refusal is not in the book: {end:?}, {rows:?}"));
    }
    // What a hand moves is not moved by the node.
    let is_held = case.faults.iter().any(|planned| planned.to_string().starts_with("manual-switch"));
    let opened = outcome.trace.opened.values().copied().fold(0.0, f64::max);
    let has_moved = opened > 0.0 || outcome.trace.turned_s > 0.0;
    (has_moved && !is_held).then(|| format!("refused, and a valve opened to {opened:.2}"))
}

/// What really goes on after the end, and no word or alarm names it.
fn still_on(outcome: &Outcome) -> Vec<String> {
    let truth = outcome.plant.truth();
    let mut on: Vec<String> = Vec::new();
    if truth.is_pump_turning {
        on.push(pump().to_string());
    }
    let valves = outcome.plant.devices().skip(1).zip(&truth.zones);
    on.extend(valves.filter(|(_, zone)| zone.valve > 0.0).map(|(valve, _)| valve.to_string()));
    on.retain(|device| !is_named(device, outcome) && !is_held(device, outcome, &outcome.plant));
    on.into_iter().map(|device| format!("{device} is still on and nobody is told")).collect()
}

fn is_named(device: &str, outcome: &Outcome) -> bool {
    let alarms = outcome.snapshot.alarms.iter().map(|alarm| &alarm.sentence);
    alarms.chain([&outcome.end.words]).any(|sentence| sentence.contains(device))
}

/// A hand holds it, and the owner shows that.
fn is_held(device: &str, outcome: &Outcome, plant: &Plant) -> bool {
    let row = outcome.snapshot.actuators.iter().find(|row| row.actuator == device);
    let is_really = plant
        .devices()
        .filter(|known| known.as_str() == device)
        .any(|known| plant.read_back(known).is_some_and(|state| state.local_control));
    is_really && row.is_some_and(|row| row.local_control)
}
