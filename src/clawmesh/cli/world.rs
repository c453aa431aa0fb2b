//! `clawmesh world`: what a running node knows.

use std::path::PathBuf;
use std::process::ExitCode;

use clawmesh_authority::Value;
use clawmesh_core::publish::{ActuatorView, BeliefView, SensorView};
use clawmesh_gateway::{STALLED_AFTER_MS, ToldView, World};
use clawmesh_wire::context::FrameKind;
use clawmesh_wire::trust::Word as _;

use super::args::WorldArgs;
use super::client::{Client, block_on, with_query};
use super::table::{age, plain, quantity, table};
use super::terminal::{complain, say, say_json};

/// Runs the command.
pub fn run(state_dir: Option<PathBuf>, args: &WorldArgs) -> anyhow::Result<ExitCode> {
    args.kind.as_deref().map_or(Ok(()), known_kind)?;
    let source = args.source_device_id.as_deref().map(source_in).transpose()?;
    let client = Client::new(state_dir, &args.target)?;
    let asked = [
        ("limit", Some(args.limit.to_string())),
        ("containing", args.containing.clone()),
        ("kind", args.kind.clone()),
        ("source", source),
    ];
    let world: World = block_on(client.get(&with_query("/api/world", &asked)?))?;
    warn_of_stall(world.snapshot_age_ms);
    if args.target.json {
        say_json(&world)?;
        return Ok(ExitCode::SUCCESS);
    }
    say(&page(&world, &wanted(args)));
    Ok(ExitCode::SUCCESS)
}

/// A kind is one of those that context frames have.
fn known_kind(text: &str) -> anyhow::Result<()> {
    if FrameKind::of_text(text).is_some() {
        return Ok(());
    }
    let known: Vec<&str> = FrameKind::ALL.iter().map(|(_, text)| *text).collect();
    anyhow::bail!("--kind: {text:?} is no kind of what is told; there are {}", known.join(", "))
}

/// The id of a node, or its beginning, as it is compared.
fn source_in(text: &str) -> anyhow::Result<String> {
    let text = text.trim();
    if text.is_empty() || !text.chars().all(|c| c.is_ascii_hexdigit()) {
        anyhow::bail!(
            "--source-device-id: {text:?} is no id; ids have only the characters 0-9 and a-f, see `clawmesh peers`"
        );
    }
    Ok(text.to_ascii_lowercase())
}

/// What was asked for besides everything, in words.
fn wanted(args: &WorldArgs) -> String {
    let containing = args.containing.as_ref().map(|part| format!(" contains {part:?}"));
    let kind = args.kind.as_ref().map(|kind| format!(" is told as {kind}"));
    let source = args.source_device_id.as_ref().map(|id| format!(" comes from {}", plain(id)));
    [containing, kind, source].into_iter().flatten().collect::<Vec<_>>().join(" and")
}

/// The tables that have rows; without any, why there are none. `wanted` is what was asked for besides everything, in words.
fn page(world: &World, wanted: &str) -> String {
    let since_ms = world.snapshot_age_ms;
    let mut tables = Vec::new();
    if !world.sensors.is_empty() {
        tables.push(sensor_table(&world.sensors, since_ms));
    }
    if !world.actuators.is_empty() {
        tables.push(actuator_table(&world.actuators, since_ms));
    }
    if !world.beliefs.is_empty() {
        tables.push(belief_table(&world.beliefs, since_ms));
    }
    if !world.told.is_empty() {
        tables.push(told_table(&world.told, since_ms));
    }
    if world.left_off > 0 {
        tables
            .push(format!("{} more rows are not shown; `clawmesh world --limit` shows more", world.left_off));
    }
    match (tables.is_empty(), wanted) {
        (false, _) => tables.join("\n\n"),
        (true, "") => {
            "nothing is known yet; try `clawmesh start --host-sensors`, or map a topic in site.ron".to_owned()
        }
        (true, wanted) => format!("no sensor, no actuator, no belief and nothing told{wanted}"),
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

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
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
    let guest = row.guest.as_ref().map(|id| format!("on guest {}", id.chars().take(8).collect::<String>()));
    let control = row.control.as_ref().map(|control| format!("{} has control", control.name));
    let notes = [
        guest.as_deref(),
        control.as_deref(),
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
            let age = or_dash(row.age_ms.map(|ms| age(ms.saturating_add(snapshot_age_ms))));
            vec![plain(&row.key), plain(&value), age, row.tier.to_string(), row.source.short()]
        })
        .collect();
    table(&["belief", "value", "age", "tier", "source"], &rows)
}

/// What existing nodes told. Nobody has signed it, so it stands apart from what is measured.
fn told_table(told: &[ToldView], snapshot_age_ms: u64) -> String {
    let rows: Vec<Vec<String>> = told
        .iter()
        .map(|row| {
            let source = row.source_name.clone().unwrap_or_else(|| row.source.chars().take(8).collect());
            let age = age(row.age_ms.saturating_add(snapshot_age_ms));
            let from = row.from.short();
            let (what, tier) = (plain(&content(row)), row.tier.to_string());
            vec![plain(&source), from, plain(&row.kind), what, age, plain(&row.freshness), tier]
        })
        .collect();
    table(&["existing node", "told by", "kind", "what", "age", "is", "tier"], &rows)
}

/// The longest content that is shown, in characters.
const CONTENT_CHARACTERS_MAX: usize = 60;

/// The value of something that was measured, and otherwise the beginning of everything that is told.
fn content(row: &ToldView) -> String {
    let value = row.data.get("value").map(|value| match value.as_str() {
        Some(text) => text.to_owned(),
        None => value.to_string(),
    });
    let unit = row.data.get("unit").and_then(|unit| unit.as_str()).unwrap_or_default();
    let whole = match (&row.zone, &row.metric, value) {
        (Some(zone), Some(metric), Some(value)) => format!("{zone} {metric} {value} {unit}"),
        _ => row.data.to_string(),
    };
    let whole = whole.trim_end();
    if whole.chars().count() <= CONTENT_CHARACTERS_MAX {
        return whole.to_owned();
    }
    let beginning: String = whole.chars().take(CONTENT_CHARACTERS_MAX).collect();
    format!("{beginning}…")
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
            "told": [{
                "source": "cd".repeat(32), "source_name": "old\u{1b}[2Jnode", "from": id, "kind": "observation",
                "zone": "zone-1", "metric": "moisture", "data": {"value": 31.5, "unit": "%"}, "note": null,
                "tier": "T2", "made_ms": 7, "age_ms": 1_000, "freshness": "fresh",
            }],
        });
        serde_json::from_value(answer).unwrap()
    }

    #[test]
    fn every_age_is_as_of_now_not_as_of_the_snapshot() {
        for (snapshot_age_ms, shown) in [(0, "  1.0 s  "), (2_500, "  3.5 s  "), (60_000, "  61 s  ")] {
            let page = page(&world(snapshot_age_ms), "");
            assert_eq!(page.matches(shown).count(), 4, "{page}");
        }
    }

    #[test]
    fn what_is_told_is_shown_by_its_value_or_by_its_beginning_and_moves_no_cursor() {
        let mut world = world(0);
        let page_of = |world: &World| page(world, "");
        let shown = page_of(&world);
        assert!(
            shown.contains(
                "old\u{fffd}[2Jnode    abababab  observation  zone-1 moisture 31.5 %  1.0 s  fresh  T2"
            ),
            "{shown}"
        );
        world.told[0].metric = None;
        world.told[0].data = json!({ "intent": "x".repeat(500) });
        world.left_off = 3;
        let shown = page_of(&world);
        assert!(shown.contains("  {\"intent\":\"xxx") && shown.contains("x…  1.0 s  fresh  T2"), "{shown}");
        assert!(shown.ends_with("3 more rows are not shown; `clawmesh world --limit` shows more"), "{shown}");
    }

    #[test]
    fn an_unknown_kind_and_what_is_no_id_are_told() {
        assert!(known_kind("observation").is_ok());
        let sentence = known_kind("rumour").unwrap_err().to_string();
        assert!(
            sentence.starts_with("--kind: \"rumour\" is no kind of what is told; there are obs"),
            "{sentence}"
        );
        assert_eq!(source_in(" ABC ").unwrap(), "abc");
        for text in ["", "barn", "é"] {
            assert!(source_in(text).unwrap_err().to_string().contains("is no id"), "{text}");
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
        let (sensors, actuators, beliefs, told) = <_>::default();
        let empty = World { sensors, actuators, beliefs, told, ..world(0) };
        assert!(page(&empty, "").starts_with("nothing is known yet; "));
        let nothing = "no sensor, no actuator, no belief and nothing told contains \"foo\"";
        assert_eq!(page(&empty, " contains \"foo\""), nothing);
    }
}
