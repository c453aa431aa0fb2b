//! The examples for people do what they promise.

use crate::python;
use crate::site::Site;

#[test]
fn the_python_example_publishes_a_number_every_second_until_it_is_stopped() {
    let site = Site::start();
    let mut example = python::start("examples/python/publish.py", &[&site.endpoint, "orchard/moisture/1"]);
    let row = site.sensor("sensor:soil-moisture:zone-1", |row| row["samples"].as_u64() >= Some(3));
    assert!(row["value"].is_number() && row["tier"] == "T1", "{row:#}");
    assert!(row["age_ms"].as_u64().is_some_and(|age| age < 5_000), "{row:#}");
    assert!(example.is_running(), "it goes on until it is stopped");
    drop(example);
    site.node.stop();
}
