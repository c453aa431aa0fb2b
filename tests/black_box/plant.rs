//! `clawmesh plant`: a field node whose hardware is the stand-in plant, as the first thing somebody starts.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::bad_input::{complaints, empty, expect_sentence};
use crate::support::cli::{json_on, run_on};
use crate::support::node::Node;
use crate::support::wait::until;

const PATIENCE: Duration = Duration::from_secs(30);

/// The row of one actuator or sensor, once the world has one of which `is_it` is true.
fn row_of(dir: &Path, list: &str, key: &str, name: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    until(name, PATIENCE, || {
        let world = json_on(dir, &["world"]);
        let rows = world[list].as_array().expect("a world has its lists");
        rows.iter().find(|row| row[key] == name && is_it(row)).cloned()
    })
}

#[test]
fn on_an_empty_state_dir_it_is_the_shipped_farm_with_every_actuator_safe() {
    let (_folder, dir) = empty();
    let mut node = Node::start_as("plant", &dir, &["--seed", "10"]);
    node.endpoint();
    for name in ["pump:pump-main-01", "valve:valve-food-forest", "valve:valve-nursery"] {
        let row = row_of(&dir, "actuators", "actuator", &format!("actuator:{name}"), |row| {
            row["position"] == "off"
        });
        assert_eq!(
            (&row["answers"], &row["local_control"]),
            (&Value::Bool(true), &Value::Bool(false)),
            "{row}"
        );
    }
    let is_spoken = |row: &Value| row["value"].is_number();
    let moisture = row_of(&dir, "sensors", "sensor", "sensor:soil-moisture:food-forest", is_spoken);
    let percent = moisture["value"].as_f64().expect("a number");
    assert!((12.0..16.0).contains(&percent), "the food forest begins dry: {moisture}");
    assert_eq!((&moisture["tier"], &moisture["unit"]), (&"T2".into(), &"%".into()));
    assert_eq!(json_on(&dir, &["site", "check"])["is_usable"], Value::Bool(true));
    let status = json_on(&dir, &["status"]);
    assert_eq!((&status["node"]["name"], &status["node"]["role"]), (&"field-node".into(), &"field".into()));
    node.stop();
    let said = run_on(&dir, &["replay", dir.to_str().expect("a path of ours"), "--verify"]);
    assert_eq!(said.code, Some(0), "{said:?}");
}

#[test]
fn a_hand_on_a_valve_and_a_device_that_never_answers_are_seen() {
    let (_folder, dir) = empty();
    let faults = ["--fault", "manual-switch:valve-flower:on", "--fault", "dead-device:valve-nursery"];
    let mut node = Node::start_as("plant", &dir, &faults);
    node.endpoint();
    // The hand turns it, as fast as the valve goes; nobody turns it back.
    row_of(&dir, "actuators", "actuator", "actuator:valve:valve-flower", |row| {
        row["local_control"] == true && row["position"] == "on"
    });
    let dead =
        row_of(&dir, "actuators", "actuator", "actuator:valve:valve-nursery", |row| row["answers"] == false);
    assert_eq!(dead["position"], Value::Null, "{dead}");
    node.stop();
}

#[test]
fn what_makes_no_sense_is_one_sentence_and_starts_nothing() {
    let (_folder, dir) = empty();
    let said = run_on(&dir, &["plant", "--fault", "earthquake"]);
    assert!(said.code == Some(2) && said.err.contains("earthquake") && said.err.contains("leak"), "{said:?}");
    let said = run_on(&dir, &["plant", "--speed", "0"]);
    assert!(said.code == Some(2) && said.err.contains("3600"), "{said:?}");
    let said = run_on(&dir, &["plant", "--port", "0", "--fault", "dead-device:valve-of-the-neighbour"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(complaints(&said)[0].contains("valve-of-the-neighbour"), "{said:?}");
    // A site somebody drew, in which this node has no place.
    let (_folder, dir) = empty();
    fs::write(dir.join("site.ron"), include_str!("../../assets/sites/farm.ron")).expect("the folder is ours");
    let said = run_on(&dir, &["plant", "--port", "0", "--listen", "tcp/127.0.0.1:0", "--no-discovery"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let told = complaints(&said).join("\n");
    assert!(told.contains("site.ron has no node with the id of this one; write `id: \""), "{told}");
    let (_folder, dir) = empty();
    fs::write(dir.join("plant.ron"), "(").expect("the folder is ours");
    expect_sentence(&run_on(&dir, &["plant", "--port", "0"]), &["plant.ron:1:2"]);
}
