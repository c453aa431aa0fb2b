//! `clawmesh world`: what a running node knows.

use std::path::PathBuf;
use std::process::ExitCode;

use clawmesh_authority::Value;
use clawmesh_core::publish::{BeliefView, SensorView};
use clawmesh_gateway::World;

use super::args::WorldArgs;
use super::client::{Client, block_on};
use super::table::{age, plain, quantity, table};
use super::terminal::{say, say_json};

/// Runs the command.
pub fn run(state_dir: Option<PathBuf>, args: &WorldArgs) -> anyhow::Result<ExitCode> {
    let client = Client::new(state_dir, &args.target)?;
    let mut world: World = block_on(client.get("/api/world"))?;
    if let Some(part) = &args.containing {
        world.sensors.retain(|row| row.sensor.contains(part));
        world.beliefs.retain(|row| row.key.contains(part));
    }
    if args.target.json {
        say_json(&world)?;
        return Ok(ExitCode::SUCCESS);
    }
    if world.sensors.is_empty() && world.beliefs.is_empty() {
        say("nothing is known yet; try `clawmesh start --host-sensors`, or map a topic in site.ron");
    }
    if !world.sensors.is_empty() {
        say(&sensor_table(&world.sensors));
    }
    if !world.beliefs.is_empty() {
        say("");
        say(&belief_table(&world.beliefs));
    }
    Ok(ExitCode::SUCCESS)
}

/// Sensors as a table: every number with its unit, age and source.
pub fn sensor_table(sensors: &[SensorView]) -> String {
    let rows: Vec<Vec<String>> = sensors.iter().map(sensor_row).collect();
    table(&["node", "sensor", "value", "age", "tier", "flags"], &rows)
}

fn sensor_row(row: &SensorView) -> Vec<String> {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let value = match (row.value, row.unit) {
        (Some(value), Some(unit)) => Some(quantity(value, unit)),
        _ => None,
    };
    vec![
        plain(&row.node_name.clone().unwrap_or_else(|| row.node.short())),
        plain(&row.sensor),
        or_dash(value),
        or_dash(row.age_ms.map(age)),
        or_dash(row.tier.map(|tier| tier.to_string())),
        row.flags.join(" "),
    ]
}

fn belief_table(beliefs: &[BeliefView]) -> String {
    let rows: Vec<Vec<String>> = beliefs
        .iter()
        .map(|row| {
            let value = match (&row.value, row.unit) {
                (Value::Number(number), Some(unit)) => quantity(*number, unit),
                (value, _) => value.to_string(),
            };
            vec![plain(&row.key), plain(&value), age(row.age_ms), row.tier.to_string(), row.source.short()]
        })
        .collect();
    table(&["belief", "value", "age", "tier", "source"], &rows)
}
