//! `clawmesh world`: what a running node knows.

use std::path::PathBuf;
use std::process::ExitCode;

use clawmesh_authority::Value;
use clawmesh_core::publish::{ActuatorView, BeliefView, SensorView};
use clawmesh_gateway::{STALLED_AFTER_MS, World};

use super::args::WorldArgs;
use super::client::{Client, block_on};
use super::table::{age, plain, quantity, table};
use super::terminal::{complain, say, say_json};

/// Runs the command.
pub fn run(state_dir: Option<PathBuf>, args: &WorldArgs) -> anyhow::Result<ExitCode> {
    let client = Client::new(state_dir, &args.target)?;
    let mut world: World = block_on(client.get("/api/world"))?;
    warn_of_stall(world.snapshot_age_ms);
    let is_known = !(world.sensors.is_empty() && world.actuators.is_empty() && world.beliefs.is_empty());
    if let Some(part) = &args.containing {
        world.sensors.retain(|row| row.sensor.contains(part));
        world.actuators.retain(|row| row.actuator.contains(part));
        world.beliefs.retain(|row| row.key.contains(part));
    }
    if args.target.json {
        say_json(&world)?;
        return Ok(ExitCode::SUCCESS);
    }
    say(&page(&world, args.containing.as_deref().filter(|_| is_known)));
    Ok(ExitCode::SUCCESS)
}

/// The tables that have rows; without any, why there are none. `containing` is given when it may be the reason.
fn page(world: &World, containing: Option<&str>) -> String {
    let mut tables = Vec::new();
    if !world.sensors.is_empty() {
        tables.push(sensor_table(&world.sensors, world.snapshot_age_ms));
    }
    if !world.actuators.is_empty() {
        tables.push(actuator_table(&world.actuators, world.snapshot_age_ms));
    }
    if !world.beliefs.is_empty() {
        tables.push(belief_table(&world.beliefs, world.snapshot_age_ms));
    }
    match (tables.is_empty(), containing) {
        (false, _) => tables.join("\n\n"),
        (true, Some(part)) => format!("no sensor, no actuator and no belief contains {part:?}"),
        (true, None) => {
            "nothing is known yet; try `clawmesh start --host-sensors`, or map a topic in site.ron".to_owned()
        }
    }
}

/// Tells that what follows is not how things are now; a reader must not take an old picture for a calm one.
pub fn warn_of_stall(snapshot_age_ms: u64) {
    if let Some(sentence) = stall(snapshot_age_ms) {
        complain(&sentence);
    }
}

/// The sentence about a snapshot that is too old, if it is.
pub fn stall(snapshot_age_ms: u64) -> Option<String> {
    let is_stalled = snapshot_age_ms > STALLED_AFTER_MS;
    is_stalled.then(|| {
        format!("clawmesh: the node's tick stands still; what it shows is {} old", age(snapshot_age_ms))
    })
}

/// Sensors as a table: every number with its unit, source, and age now: as of the snapshot, and that of the
/// snapshot itself.
pub fn sensor_table(sensors: &[SensorView], snapshot_age_ms: u64) -> String {
    let rows: Vec<Vec<String>> = sensors.iter().map(|row| sensor_row(row, snapshot_age_ms)).collect();
    table(&["node", "sensor", "value", "age", "tier", "flags"], &rows)
}

fn sensor_row(row: &SensorView, snapshot_age_ms: u64) -> Vec<String> {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let value = match (row.value, row.unit) {
        (Some(value), Some(unit)) => Some(quantity(value, unit)),
        _ => None,
    };
    vec![
        plain(&row.node_name.clone().unwrap_or_else(|| row.node.short())),
        plain(&row.sensor),
        or_dash(value),
        or_dash(row.age_ms.map(|ms| age(ms.saturating_add(snapshot_age_ms)))),
        or_dash(row.tier.map(|tier| tier.to_string())),
        row.flags.join(" "),
    ]
}

fn actuator_table(actuators: &[ActuatorView], snapshot_age_ms: u64) -> String {
    let rows: Vec<Vec<String>> = actuators
        .iter()
        .map(|row| {
            let position = row.position.clone().unwrap_or_else(|| "unknown".to_owned());
            let since = age(row.since_ms.saturating_add(snapshot_age_ms));
            vec![plain(&row.actuator), position, since, plain(&notes_on(row))]
        })
        .collect();
    table(&["actuator", "position", "since", "notes"], &rows)
}

/// What a person should know before they ask anything of it.
fn notes_on(row: &ActuatorView) -> String {
    let notes = [
        (!row.answers).then_some("does not answer"),
        row.local_control.then_some("under local control"),
        row.unsafe_because.as_deref(),
    ];
    notes.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

fn belief_table(beliefs: &[BeliefView], snapshot_age_ms: u64) -> String {
    let rows: Vec<Vec<String>> = beliefs
        .iter()
        .map(|row| {
            let value = match (&row.value, row.unit) {
                (Value::Number(number), Some(unit)) => quantity(*number, unit),
                (value, _) => value.to_string(),
            };
            let age = age(row.age_ms.saturating_add(snapshot_age_ms));
            vec![plain(&row.key), plain(&value), age, row.tier.to_string(), row.source.short()]
        })
        .collect();
    table(&["belief", "value", "age", "tier", "source"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A world as a gateway answers it: one sensor and one belief, both one second old at the snapshot.
    fn world(snapshot_age_ms: u64) -> World {
        let id = "ab".repeat(32);
        let answer = json!({
            "tick": 7, "wall_ms": 7, "snapshot_age_ms": snapshot_age_ms, "left_off": 0,
            "sensors": [{
                "node": id, "node_name": "pump", "sensor": "sensor:flow:pipe", "quantity": "flow", "value": 1.5,
                "unit": "L/min", "period_ms": 1000, "origin_ms": 7, "age_ms": 1_000, "tier": "T2", "flags": [],
                "samples": 1,
            }],
            "actuators": [{
                "actuator": "actuator:valve:main", "position": null, "answers": true, "local_control": true,
                "is_safe": false, "unsafe_because": null, "since_ms": 1_000,
            }],
            "beliefs": [{
                "key": "gate", "value": "open", "unit": null, "age_ms": 1_000, "tier": "T1", "source": id,
                "origin_ms": 7, "hlc": clawmesh_authority::Hlc::default(), "supported_by": null,
            }],
        });
        serde_json::from_value(answer).unwrap()
    }

    #[test]
    fn every_age_is_as_of_now_not_as_of_the_snapshot() {
        for (snapshot_age_ms, shown) in [(0, "  1.0 s  "), (2_500, "  3.5 s  "), (60_000, "  61 s  ")] {
            let page = page(&world(snapshot_age_ms), None);
            assert_eq!(page.matches(shown).count(), 3, "{page}");
        }
    }

    #[test]
    fn a_tick_that_stands_still_is_told_once_it_is_sure() {
        assert_eq!(stall(STALLED_AFTER_MS), None);
        let sentence = stall(3_200).unwrap();
        assert_eq!(sentence, "clawmesh: the node's tick stands still; what it shows is 3.2 s old");
    }

    #[test]
    fn nothing_known_and_nothing_found_are_told_apart() {
        let empty = World { sensors: Vec::new(), actuators: Vec::new(), beliefs: Vec::new(), ..world(0) };
        assert!(page(&empty, None).starts_with("nothing is known yet; "));
        assert_eq!(page(&empty, Some("foo")), "no sensor, no actuator and no belief contains \"foo\"");
    }
}
