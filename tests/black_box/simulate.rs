//! `simulate`: what would happen if, asked beside a plant that runs.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::bad_input::{empty, expect_sentence};
use crate::support::cli::{json_on, run_on};
use crate::support::node::Node;
use crate::support::wait::until;

/// A plant whose tank was measured and whose valves were read back.
fn plant(dir: &Path) -> Node {
    let mut node = Node::start_as("plant", dir, &[]);
    node.endpoint();
    until("everything was measured", Duration::from_secs(30), || {
        let world = json_on(dir, &["world"]);
        let has_all = |list: &str, key: &str, count: usize| {
            world[list]
                .as_array()
                .is_some_and(|rows| rows.iter().filter(|row| !row[key].is_null()).count() >= count)
        };
        (has_all("sensors", "value", 11) && has_all("actuators", "position", 5)).then_some(())
    });
    node
}

fn number(card: &Value, pointer: &str) -> f64 {
    card.pointer(pointer)
        .and_then(Value::as_f64)
        .unwrap_or_else(|| panic!("no number at {pointer}: {card:#}"))
}

#[test]
fn the_future_of_a_dry_zone_has_real_numbers_and_nothing_is_moved() {
    let (_folder, dir) = empty();
    let node = plant(&dir);
    let ask = ["simulate", "valve-food-forest=open", "pump-main-01=start", "--for", "20m"];
    let card = json_on(&dir, &ask);
    assert_eq!(card["verdict"], "Pass", "{card:#}");
    // One row of 250 emitters of 2 L/h, for twenty minutes.
    let litres = number(&card, "/litres/p50");
    assert!((140.0..220.0).contains(&litres), "{litres}");
    assert!(number(&card, "/bands/manifold-01/flow_lpm/low") > 6.0, "{card:#}");
    assert!(
        number(&card, "/tanks/tank-01/after_percent/p50") < number(&card, "/tanks/tank-01/before_percent")
    );
    assert_eq!(number(&card, "/rollouts_reached"), 33.0);
    // By gravity alone it is less; with all valves shut the pump has nowhere to go.
    let alone = json_on(&dir, &["simulate", "valve-food-forest=open", "--for", "20m"]);
    assert!(number(&alone, "/litres/p50") < litres * 0.8, "{alone:#}");
    let shut = run_on(&dir, &["simulate", "pump-main-01=start"]);
    assert!(shut.out.contains("VETO") && shut.out.contains("against shut valves"), "{shut:?}");
    let world = json_on(&dir, &["world"]);
    let actuators = world["actuators"].as_array().expect("the plant has actuators");
    assert!(actuators.iter().all(|row| row["position"] == "off"), "{world:#}");
    node.stop();
}

#[test]
fn a_question_that_makes_no_sense_is_answered_with_what_would() {
    let (_folder, dir) = empty();
    expect_sentence(&run_on(&dir, &["simulate", "valve-flower=open"]), &["has no `plan`"]);
    let node = plant(&dir);
    for (ask, words) in [
        (&["simulate", "valve-flower"][..], &["\"valve-flower\" is no step", "valve-flower=open"][..]),
        (&["simulate", "valve-of-the-moon=open"], &["is nothing that this site switches", "pump-main-01"]),
        (&["simulate", "valve-flower=toggle"], &["knows no \"toggle\"", "close, open"]),
        (&["simulate", "valve-flower=open", "--for", "25h"], &["for_s", "86400"]),
    ] {
        expect_sentence(&run_on(&dir, ask), words);
    }
    node.stop();
    expect_sentence(&run_on(&dir, &["simulate", "valve-flower=open"]), &["no node runs in"]);
}
