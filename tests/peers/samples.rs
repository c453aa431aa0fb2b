//! What a foreign program measures becomes a reading with unit, tier and age.

use crate::python;
use crate::site::Site;

#[test]
fn numbers_and_json_of_a_python_program_become_readings_with_unit_tier_and_age() {
    let site = Site::start();
    let weather = r#"{"air": {"celsius": 21.25, "humidity": 40}}"#;
    let pairs = ["orchard/moisture/1", "23.5", "orchard/weather", weather];
    python::run("put_samples.py", &[&[site.endpoint.as_str()], &pairs[..]].concat());
    for (name, quantity, value, unit) in [
        ("sensor:soil-moisture:zone-1", "soil moisture", 23.5, "%"),
        ("sensor:temperature:mast", "air temperature", 21.25, "Cel"),
    ] {
        let row = site.sensor(name, |row| row["value"] == value);
        assert_eq!((&row["unit"], &row["tier"]), (&unit.into(), &"T1".into()), "{row:#}");
        assert_eq!((&row["quantity"], &row["samples"]), (&quantity.into(), &1.into()), "{row:#}");
        assert!(row["age_ms"].as_u64().is_some_and(|age| age < 5_000), "{row:#}");
    }
    site.node.stop();
}
