//! `policy check` and `policy explain`, as a person at a terminal runs them, and what a running node takes of a changed file.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::bad_input::{empty, expect_sentence};
use crate::support::cli::{json_on, run_on};
use crate::support::node::Node;
use crate::support::wait;

const FARM: &str = include_str!("../../assets/sites/farm.ron");
const POLICY: &str = include_str!("../../assets/sites/farm.policy.ron");
const PUMP: &str = "actuator:pump:pump-main-01";

#[test]
fn the_shipped_policy_is_shown_actuator_by_actuator_and_explained_rule_by_rule() {
    let (_folder, dir) = empty();
    fs::write(dir.join("site.ron"), FARM).unwrap();
    fs::write(dir.join("policy.ron"), POLICY).unwrap();
    let answer = json_on(&dir, &["policy", "check"]);
    assert_eq!((&answer["is_usable"], &answer["notes"]), (&Value::Bool(true), &Value::Array(vec![])));
    assert_eq!(answer["policy_hash"], json_on(&dir, &["site", "check"])["policy_hash"]);
    let pump = &answer["actuators"][0];
    assert_eq!((&pump["actuator"], &pump["class"]), (&PUMP.into(), &"Hazardous".into()), "{answer}");
    let page = run_on(&dir, &["policy", "check"]).out;
    assert!(page.contains("start, stop") && page.contains("no faults"), "{page}");

    let explained = json_on(&dir, &["policy", "explain", PUMP, "start"]);
    let rules: Vec<&str> =
        explained["demands"].as_array().unwrap().iter().map(|row| row["rule"].as_str().unwrap()).collect();
    assert!(rules.contains(&"source-before-pump") && rules.contains(&"approved"), "{rules:?}");
    let page = run_on(&dir, &["policy", "explain", PUMP, "start"]).out;
    assert!(page.contains("at least 20, not older than 10 s"), "{page}");
    let farm = dir.join("policy.ron");
    let page = run_on(&dir, &["policy", "explain", PUMP, "stop", "--policy", farm.to_str().unwrap()]).out;
    assert!(page.contains("brings it off") && !page.contains("at least 20"), "{page}");
}

#[test]
fn what_is_wrong_is_told_with_its_line_and_what_is_unknown_with_what_is_known() {
    let (folder, dir) = empty();
    expect_sentence(&run_on(&dir, &["policy", "check"]), &["there is no policy at", "name a file"]);
    let alone = folder.path().join("alone.policy.ron");
    fs::write(&alone, POLICY.replacen("BeAtLeast(20)", "BeWithin(9, 3)", 1)).unwrap();
    let said = run_on(&dir, &["policy", "check", alone.to_str().unwrap()]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let line = 1 + POLICY[..POLICY.find("BeAtLeast(20)").unwrap()].matches('\n').count();
    let begins = format!("{}:{line}:", alone.display());
    assert!(said.out.lines().any(|told| told.starts_with(&begins)), "{begins} is not in {}", said.out);
    assert!(
        said.out.contains("no site beside it") && said.out.contains("keeps the policy before"),
        "{said:?}"
    );
    let explain = ["policy", "explain", PUMP, "start", "--policy", alone.to_str().unwrap()];
    expect_sentence(&run_on(&dir, &explain), &["nothing is between 9 and 3"]);
    fs::write(dir.join("policy.ron"), POLICY).unwrap();
    let toggle = run_on(&dir, &["policy", "explain", PUMP, "toggle"]);
    expect_sentence(&toggle, &["UNKNOWN_OPERATION", "it knows start, stop"]);
    expect_sentence(&run_on(&dir, &["policy", "explain", "actuator:pump:none", "start"]), &["no rules for"]);
}

#[test]
fn a_running_node_takes_a_good_policy_within_moments_and_keeps_it_when_the_next_one_is_bad() {
    let (_folder, dir) = empty();
    let mut node = Node::start_as("plant", &dir, &[]);
    node.endpoint();
    let in_force = || node.ask(&["status"])["site"]["policy_hash"].clone();
    let first = in_force();
    let text = fs::read_to_string(dir.join("policy.ron")).unwrap();
    fs::write(dir.join("policy.ron"), text.replacen("BeAtLeast(20)", "BeAtLeast(30)", 1)).unwrap();
    let expected = json_on(&dir, &["policy", "check"])["policy_hash"].clone();
    assert_ne!(first, expected);
    wait::until("the new policy holds", Duration::from_secs(10), || (in_force() == expected).then_some(()));
    fs::write(dir.join("policy.ron"), text.replacen("BeAtLeast(20)", "BeWithin(9, 3)", 1)).unwrap();
    wait::until("the bad policy is shown as refused", Duration::from_secs(10), || {
        let refusals = node.ask(&["status"])["refusals"].to_string();
        (refusals.contains("nothing is between 9 and 3") && refusals.contains("stays in force")).then_some(())
    });
    assert_eq!(in_force(), expected);
    node.stop();
}
