//! What foreign programs get wrong, by accident or on purpose: refused, counted, and survived.

use crate::python;
use crate::site::{PATIENCE, Site, refused, wait_refused};
use crate::support::cli::id_of;
use crate::support::node::Node;
use crate::support::wait::until;

const MOISTURE: &str = "sensor:soil-moisture:zone-1";

#[test]
fn samples_that_are_no_measurement_are_refused_by_name_and_later_ones_arrive() {
    let site = Site::start();
    python::run("put_bad_samples.py", &[&site.endpoint, "orchard/moisture/1", "orchard/weather"]);
    // Text, nothing, bytes that are no text, JSON that is broken, JSON without the number.
    wait_refused(&site.node, "UNDECODABLE_SAMPLE", 5);
    // NaN, two infinities, a number beyond all.
    wait_refused(&site.node, "NOT_A_NUMBER", 4);
    wait_refused(&site.node, "TOO_LARGE", 1);
    let status = site.node.ask(&["status"]);
    let rows = status["refusals"].as_array().unwrap();
    let sentence_of = |code: &str| {
        let row = rows.iter().find(|row| row["code"] == code && row["from"] == "orchard/moisture/1").unwrap();
        row["sentence"].as_str().unwrap()
    };
    assert!(sentence_of("TOO_LARGE").contains("10000000 bytes, at most 65536"), "{status:#}");
    assert!(sentence_of("NOT_A_NUMBER").contains("orchard/moisture/1"), "{status:#}");
    // What no mapping names is nobody's business, so nothing else was counted.
    // A tick that came late is the machine's doing, not theirs.
    let others = rows.iter().filter(|row| row["code"] != "BUSY").filter_map(|row| row["count"].as_u64());
    assert_eq!(others.sum::<u64>(), 10, "{status:#}");
    let world = site.node.ask(&["world", "--limit", "1000"]);
    let values = world["sensors"].as_array().unwrap().iter().filter(|row| !row["value"].is_null());
    assert_eq!(values.count(), 0, "{world:#}");
    expect_good_sample(&site, 31.5);
    site.node.stop();
}

#[test]
fn a_flood_of_samples_costs_samples_that_are_counted_and_nothing_else() {
    const FLOOD: u64 = 20_000;
    let site = Site::start();
    expect_good_sample(&site, 31.5);
    python::run("flood.py", &[&site.endpoint, "orchard/moisture/1", &FLOOD.to_string()]);
    // zenoh itself drops nothing here, so every sample was either taken or is counted.
    let (taken, skipped) = until("the end of the flood", PATIENCE, || {
        let skipped = refused(&site.node, "STREAM_SKIPPED");
        let taken = site.sensor(MOISTURE, |_| true)["samples"].as_u64()?;
        (taken + skipped > FLOOD).then_some((taken, skipped))
    });
    assert_eq!(taken + skipped, 1 + FLOOD, "{taken} taken, {skipped} skipped");
    expect_good_sample(&site, 32.5);
    assert_eq!(site.node.ask(&["status"])["state"], "running");
    site.node.stop();
}

fn expect_good_sample(site: &Site, value: f64) {
    python::run("put_samples.py", &[&site.endpoint, "orchard/moisture/1", &value.to_string()]);
    site.sensor(MOISTURE, |row| row["value"] == value);
}

#[test]
fn unsigned_bytes_and_repeated_readings_in_the_name_of_a_trusted_peer_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let (near, far) = (folder.path().join("near"), folder.path().join("far"));
    let id = id_of(&far);
    let mut receiver = Node::start(&near, &["--trust", &id]);
    let endpoint = receiver.endpoint();
    let sender = Node::start(&far, &["--host-sensors", "--connect", &endpoint]);
    until("a reading of the trusted peer", PATIENCE, || {
        let sensors = receiver.ask(&["world", "--limit", "1000"])["sensors"].clone();
        sensors.as_array()?.iter().find(|row| row["node"] == id && row["value"].is_number()).map(drop)
    });
    python::run("forge_readings.py", &[&endpoint]);
    for code in ["MALFORMED_ENVELOPE", "REPLAYED"] {
        wait_refused(&receiver, code, 1);
    }
    let status = receiver.ask(&["status"]);
    let rows = status["refusals"].as_array().unwrap();
    let replayed = rows.iter().find(|row| row["code"] == "REPLAYED").unwrap();
    assert_eq!(replayed["from"], id, "{replayed:#}");
    let before = samples_of(&receiver, &id);
    until("readings go on", PATIENCE, || (samples_of(&receiver, &id) > before).then_some(()));
    sender.stop();
    receiver.stop();
}

fn samples_of(receiver: &Node, id: &str) -> u64 {
    let world = receiver.ask(&["world", "--limit", "1000"]);
    let rows = world["sensors"].as_array().into_iter().flatten();
    rows.filter(|row| row["node"] == id).filter_map(|row| row["samples"].as_u64()).sum()
}
