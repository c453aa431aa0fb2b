//! Sensors and beliefs across nodes.

use clawmesh_authority::{Capability, SensorSpec, Tier, Unit, Value};
use clawmesh_core::intake::{InputBody, Sample, SourceId};
use clawmesh_core::publish::BeliefView;
use clawmesh_core::world::SENSORS_PER_NODE_MAX;
use clawmesh_lab::{Lab, LinkFaults};

use crate::{flow_at, flow_of, flow_spec, pump_and_barn, refusals};

fn belief(lab: &Lab, name: &str, key: &str) -> BeliefView {
    let snapshot = lab.snapshot(name);
    snapshot.beliefs.iter().find(|row| row.key == key).expect("the key is believed").clone()
}

#[test]
fn a_reading_reaches_the_other_node_with_unit_tier_and_age() {
    let mut lab = pump_and_barn();
    lab.set_faults(LinkFaults { delay_ms_min: 60, delay_ms_max: 60, ..LinkFaults::default() });
    lab.sample("pump", flow_of(12.5));
    lab.run_ticks(10);
    let row = flow_at(&lab, "barn");
    assert_eq!((row.value, row.unit, row.tier), (Some(12.5), Some(Unit::LitrePerMinute), Some(Tier::T2)));
    assert_eq!((row.node_name.as_deref(), row.quantity.as_deref()), (Some("pump"), Some("flow")));
    assert!((60..=300).contains(&row.age_ms.unwrap()), "{:?}", row.age_ms);
    assert_eq!(row.flags, [] as [&str; 0]);
}

#[test]
fn a_reading_about_a_key_becomes_a_belief_that_rests_on_the_sensor() {
    let mut lab = pump_and_barn();
    lab.sample("pump", flow_of(12.5));
    lab.run_ticks(10);
    for name in ["pump", "barn"] {
        let row = belief(&lab, name, "main/flow");
        assert_eq!((row.value, row.unit), (Value::Number(12.5), Some(Unit::LitrePerMinute)));
        assert_eq!(row.supported_by, Some(format!("{}/sensor:flow:main", lab.id("pump"))));
    }
    assert_eq!(belief(&lab, "pump", "main/flow").hlc, belief(&lab, "barn", "main/flow").hlc);
}

#[test]
fn a_value_that_is_no_number_is_refused_and_the_last_good_one_stands() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut lab = pump_and_barn();
        lab.sample("pump", flow_of(12.5));
        lab.run_ticks(5);
        lab.sample("pump", flow_of(bad));
        lab.run_ticks(10);
        for name in ["pump", "barn"] {
            assert_eq!(flow_at(&lab, name).value, Some(12.5), "{bad} at {name}");
            assert_eq!(belief(&lab, name, "main/flow").value, Value::Number(12.5));
            let rows = refusals(&lab, name, "NOT_A_NUMBER");
            assert_eq!((rows.len(), rows[0].count), (1, 1));
            assert_eq!(rows[0].from, lab.id("pump").to_string());
            assert!(rows[0].sentence.contains("sensor:flow:main"), "{}", rows[0].sentence);
        }
    }
}

#[test]
fn a_reading_in_another_unit_than_declared_is_refused() {
    let mut lab = pump_and_barn();
    lab.sample("pump", Sample { unit: Unit::Bar, ..flow_of(2.0) });
    lab.run_ticks(5);
    assert_eq!(flow_at(&lab, "barn").value, None);
    assert!(refusals(&lab, "barn", "UNIT_MISMATCH")[0].sentence.contains("declared in L/min"));
}

#[test]
fn a_silent_sensor_becomes_stale_and_fresh_again() {
    let mut lab = pump_and_barn();
    assert_eq!(flow_at(&lab, "barn").flags, ["silent"]);
    lab.sample("pump", flow_of(12.5));
    lab.run_seconds(2);
    assert_eq!(flow_at(&lab, "barn").flags, [] as [&str; 0]);
    lab.run_seconds(2);
    assert_eq!(flow_at(&lab, "barn").flags, ["stale"]);
    lab.sample("pump", flow_of(12.6));
    lab.run_ticks(10);
    assert_eq!(flow_at(&lab, "barn").flags, [] as [&str; 0]);
}

#[test]
fn a_sensor_that_repeats_one_value_is_stuck_and_one_outside_its_range_says_so() {
    let mut lab = pump_and_barn();
    for _ in 0..12 {
        lab.sample("pump", flow_of(12.5));
        lab.run_seconds(1);
    }
    assert_eq!(flow_at(&lab, "barn").flags, ["stuck"]);
    lab.sample("pump", flow_of(80.5));
    lab.run_ticks(10);
    assert_eq!(flow_at(&lab, "barn").flags, ["out_of_range"]);
}

#[test]
fn a_sensor_nobody_described_is_shown_and_flagged() {
    let mut lab = Lab::seeded(1).with_nodes(["pump", "barn"]);
    lab.sample("pump", flow_of(3.0));
    lab.run_ticks(5);
    assert_eq!(flow_at(&lab, "barn").flags, ["undescribed"]);
    lab.offer("pump", SourceId::HostSensors, InputBody::SensorsDeclared(vec![flow_spec()]));
    lab.run_ticks(5);
    assert_eq!(flow_at(&lab, "barn").flags, [] as [&str; 0]);
}

#[test]
fn a_clock_ten_minutes_slow_makes_its_readings_stale_and_shows() {
    let mut lab = pump_and_barn();
    lab.set_clock_offset("pump", -600_000);
    lab.sample("pump", flow_of(12.5));
    lab.run_ticks(10);
    assert_eq!(flow_at(&lab, "barn").flags, ["stale"]);
    let offset_ms = lab.snapshot("barn").peers[0].clock_offset_ms.unwrap();
    assert!((-600_200..=-600_000).contains(&offset_ms), "{offset_ms}");
}

#[test]
fn a_clock_that_was_wrong_once_outranks_nothing_said_after_it_was_set_right_also_across_a_restart() {
    let mut lab = pump_and_barn();
    lab.set_clock_offset("pump", 3_600_000);
    lab.record("pump", "gate", Value::Text("open".to_owned()));
    lab.run_seconds(1);
    lab.set_clock_offset("pump", 0);
    lab.crash("pump");
    lab.start("pump");
    lab.run_seconds(1);
    lab.record("pump", "gate", Value::Text("shut".to_owned()));
    lab.run_seconds(5);
    for name in ["pump", "barn"] {
        assert_eq!(belief(&lab, name, "gate").value, Value::Text("shut".to_owned()), "{name}");
        assert_eq!(lab.replay(name).difference, None);
    }
}

#[test]
fn one_node_cannot_take_the_place_of_everybodys_sensors() {
    let mut lab = Lab::seeded(3).with_nodes(["pump"]);
    let spec =
        |n| SensorSpec { sensor: Capability::new(&format!("sensor:flow:{n}")).unwrap(), ..flow_spec() };
    let specs = (0..SENSORS_PER_NODE_MAX + 3).map(spec).collect();
    lab.offer("pump", SourceId::HostSensors, InputBody::SensorsDeclared(specs));
    lab.run_ticks(10);
    assert_eq!(lab.snapshot("pump").sensors.len(), SENSORS_PER_NODE_MAX);
    let row = &refusals(&lab, "pump", "LIMIT_EXCEEDED")[0];
    assert_eq!((row.count, row.from.clone()), (3, lab.id("pump").to_string()));
}

#[test]
fn a_note_of_a_person_about_the_key_of_a_sensor_does_not_rest_on_the_sensor() {
    let mut lab = pump_and_barn();
    lab.sample("pump", flow_of(3.0));
    lab.run_ticks(5);
    assert!(belief(&lab, "pump", "main/flow").supported_by.is_some());
    lab.record("pump", "main/flow", Value::Number(80.0));
    lab.run_ticks(5);
    let noted = belief(&lab, "pump", "main/flow");
    assert_eq!((noted.value, noted.supported_by), (Value::Number(80.0), None));
}

#[test]
fn all_nodes_end_up_with_the_same_belief_whatever_the_network_did() {
    for seed in 0..8 {
        let faults =
            LinkFaults { delay_ms_min: 0, delay_ms_max: 400, loss_percent: 30, duplicate_percent: 20 };
        let mut lab = Lab::seeded(seed).with_faults(faults).with_nodes(["pump", "barn", "gate"]);
        for round in 0..6 {
            for name in ["pump", "barn", "gate"] {
                lab.record(name, "gate", Value::Text(format!("{name} says {round}")));
            }
            lab.run_ticks(7);
        }
        lab.set_faults(LinkFaults::default());
        lab.run_seconds(10);
        let believed: Vec<BeliefView> =
            ["pump", "barn", "gate"].map(|name| belief(&lab, name, "gate")).to_vec();
        let same =
            |a: &BeliefView, b: &BeliefView| (a.hlc, a.source, &a.value) == (b.hlc, b.source, &b.value);
        assert!(believed.iter().all(|row| same(row, &believed[0])), "seed {seed}: {believed:#?}");
        assert!(believed[0].value.to_string().ends_with('5'), "seed {seed}: {}", believed[0].value);
    }
}
