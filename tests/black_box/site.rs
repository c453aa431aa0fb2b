//! `site check`, as a person at a terminal runs it.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::bad_input::{empty, expect_sentence};
use crate::support::cli::{json_on, run_on};

const FARM: &str = include_str!("../../assets/sites/farm.ron");
const POLICY: &str = include_str!("../../assets/sites/farm.policy.ron");

#[test]
fn the_shipped_farm_has_no_fault_and_its_hash_does_not_hang_on_comments() {
    let (folder, dir) = empty();
    let hashes = |name: &str, site: &str| {
        let path = folder.path().join(name);
        fs::write(&path, site).unwrap();
        fs::write(path.with_extension("policy.ron"), POLICY).unwrap();
        let answer = json_on(&dir, &["site", "check", path.to_str().unwrap()]);
        assert_eq!((&answer["is_usable"], &answer["faults"]), (&Value::Bool(true), &Value::Array(vec![])));
        (answer["site_hash"].clone(), answer["policy_hash"].clone())
    };
    let farm = hashes("farm.ron", FARM);
    assert_eq!(farm.0.as_str().map(str::len), Some(64));
    assert_eq!(hashes("same.ron", &format!("// drawn in spring\n{FARM}")), farm);
    assert_ne!(hashes("other.ron", &FARM.replacen("10000", "9000", 1)).0, farm.0);
}

#[test]
fn every_fault_is_told_with_file_and_line_and_the_exit_code_says_so() {
    let (_folder, dir) = empty();
    fs::write(dir.join("site.ron"), FARM.replacen("zone: \"z-flower-production\"", "zone: \"z-gone\"", 1))
        .unwrap();
    fs::write(dir.join("policy.ron"), POLICY.replacen("BeAtLeast(20)", "BeAtLeast(NaN)", 1)).unwrap();
    let said = run_on(&dir, &["site", "check"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let line_of = |text: &str, word: &str| 1 + text[..text.find(word).unwrap()].matches('\n').count();
    for (file, line, words) in [
        ("site.ron", line_of(FARM, "Valve(zone: \"z-flower-production\""), "z-gone is no zone of this site"),
        (
            "policy.ron",
            line_of(POLICY, "BeAtLeast(20)"),
            "nothing is at least NaN; the actuator could never run",
        ),
    ] {
        let begins = format!("{}:{line}:", dir.join(file).display());
        let is_told = said.out.lines().any(|told| told.starts_with(&begins) && told.contains(words));
        assert!(is_told, "{begins} {words:?} is not in {}", said.out);
    }
}

#[test]
fn an_actuator_on_a_guest_that_no_sensor_shows_is_noted() {
    let (_folder, dir) = empty();
    let guest = format!(
        "on_silence: Holds, on_guest: (peer: \"{}\", target: \"actuator:valve:g\", on: \"open\", off: \"close\")",
        "ab".repeat(32)
    );
    fs::write(dir.join("site.ron"), FARM.replacen("on_silence: Holds", &guest, 1)).unwrap();
    fs::write(dir.join("policy.ron"), POLICY).unwrap();
    let answer = json_on(&dir, &["site", "check"]);
    assert_eq!(answer["is_usable"], Value::Bool(true));
    let notes = answer["notes"].as_array().unwrap();
    let note = "on a guest and without `shown_by`, so refused as STATE_UNKNOWN: actuator:valve:valve-grain";
    assert!(notes.iter().any(|told| told == note), "{notes:?}");
}

#[test]
fn without_a_site_one_sentence_says_what_to_name() {
    let (_folder, dir) = empty();
    expect_sentence(&run_on(&dir, &["site", "check"]), &["there is no site to check", "site.ron"]);
    let said = run_on(&dir, &["site", "check", "/nowhere/farm.ron"]);
    expect_sentence(&said, &["there is no site to check", "/nowhere/farm.ron"]);
    assert!(!Path::new(&dir).join("site.ron").exists(), "looking makes nothing");
}
