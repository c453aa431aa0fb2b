//! The plant stands in for the farm: same names, same units, same periods, other numbers.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::bench::plant;

#[derive(Deserialize)]
struct Farm {
    name: String,
    plan: Option<Plan>,
}

#[derive(Deserialize)]
struct Plan {
    sensors: Vec<Sensor>,
    actuators: Vec<Actuator>,
}

#[derive(Deserialize)]
struct Sensor {
    capability: String,
    unit: String,
    period_ms: u32,
}

#[derive(Deserialize)]
struct Actuator {
    capability: String,
}

fn farm() -> Farm {
    ron::from_str(include_str!("../../../../assets/sites/farm.ron")).unwrap()
}

#[test]
fn every_sensor_of_the_farm_is_there_with_its_unit_and_period() {
    let plan = farm().plan.unwrap();
    let plant = plant();
    let sensors = plant.sensors().map(|sensor| {
        (sensor.capability.as_str().to_owned(), (sensor.unit.code().to_owned(), sensor.period_ms))
    });
    let mut ours: BTreeMap<String, (String, u32)> = sensors.collect();
    assert!(!plan.sensors.is_empty());
    for sensor in plan.sensors {
        let told = ours.remove(&sensor.capability);
        assert_eq!(told, Some((sensor.unit, sensor.period_ms)), "{}", sensor.capability);
    }
    let more: Vec<String> = ours.into_keys().filter(|name| !name.starts_with("sensor:position-")).collect();
    assert_eq!(more, [] as [&str; 0], "sensors that farm.ron does not know");
}

#[test]
fn the_devices_of_the_plant_are_the_actuators_of_the_farm() {
    let mut theirs: Vec<String> =
        farm().plan.unwrap().actuators.into_iter().map(|actuator| actuator.capability).collect();
    let mut ours: Vec<String> = plant().devices().map(|device| device.as_str().to_owned()).collect();
    theirs.sort();
    ours.sort();
    assert_eq!(ours, theirs);
    assert_eq!(crate::bench::shipped().site, farm().name);
}
