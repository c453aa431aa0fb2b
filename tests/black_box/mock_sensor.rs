//! The mock sensor: it says that it is one, wherever it is shown, and is worth nothing.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::bad_input::{START, empty, expect_sentence};
use crate::running::expect_proved;
use crate::support::cli::{json_on, run_on};
use crate::support::node::Node;
use crate::support::wait::until;

const PATIENCE: Duration = Duration::from_secs(30);
const SENSOR: &str = "sensor:mock-moisture:zone-1";

fn row(node: &Node, samples: u64) -> Value {
    until("the mock has shown something", PATIENCE, || {
        let row = node.ask(&["world", "moisture"])["sensors"].as_array()?.first()?.clone();
        (row["samples"].as_u64() >= Some(samples)).then_some(row)
    })
}

#[test]
fn s3_a_mock_sensor_is_named_as_one_everywhere_is_worth_nothing_and_replays() {
    let (_folder, dir) = empty();
    let mut node = Node::start(&dir, &["--mock-sensor", "--sensor-interval", "100", "--host-sensors"]);
    node.endpoint();
    let first = row(&node, 1);
    assert_eq!(
        (&first["sensor"], &first["tier"], &first["unit"]),
        (&json!(SENSOR), &json!("T0"), &json!("%"))
    );
    assert!(first["quantity"].as_str().is_some_and(|quantity| quantity.contains("mock")), "{first}");
    assert_eq!((&first["period_ms"], &first["flags"]), (&json!(100), &json!([])));
    let later = row(&node, 10);
    let percent = later["value"].as_f64().expect("a number");
    assert!((5.0..=40.0).contains(&percent) && percent != 35.0, "{later}");
    // The machine is measured beside it, and is worth more.
    until("the machine is measured", PATIENCE, || {
        let row = node.ask(&["world", "cpu-load"])["sensors"].as_array()?.first()?.clone();
        (row["tier"] == "T2").then_some(())
    });
    assert!(node.log().contains("this node has a mock sensor"), "{}", node.log());
    node.stop();
    expect_proved(&dir);
}

#[test]
fn what_it_shows_first_is_told_at_once_and_no_sensor_is_there_unless_asked_for() {
    let (_folder, dir) = empty();
    // An hour would be too long to wait for.
    fs::write(dir.join("node.ron"), "(mock_sensor: true, sensor_interval_ms: 3600000)").unwrap();
    let mut node = Node::start(&dir, &[]);
    node.endpoint();
    assert_eq!(row(&node, 1)["value"], json!(35.0));
    node.stop();
    fs::write(dir.join("node.ron"), "()").unwrap();
    let mut node = Node::start(&dir, &[]);
    node.endpoint();
    assert_eq!(node.ask(&["world"])["sensors"], json!([]));
    node.stop();
}

#[test]
fn an_interval_has_bounds() {
    let (_folder, dir) = empty();
    for wrong in ["99", "0", "3600001"] {
        let args = [&START[..], &["--mock-sensor", "--sensor-interval", wrong]].concat();
        expect_sentence(&run_on(&dir, &args), &["--sensor-interval: ", "it must be 100 to 3600000"]);
    }
    for wrong in ["soon", "-1", "5s"] {
        assert_eq!(run_on(&dir, &["start", "--sensor-interval", wrong]).code, Some(2), "{wrong}");
    }
    let shown = json_on(&dir, &["config", "show", "--sensor-interval", "250"]);
    assert_eq!(shown["sensor_interval_ms"], json!({ "source": "command line", "value": 250 }));
}
