//! A plant on a bench: the shipped one, with its devices in reach.

use std::time::Duration;

use clawmesh_authority::Capability;
use clawmesh_plant::{Plant, PlantFile};

pub const PUMP: &str = "actuator:pump:pump-main-01";
pub const FOREST: &str = "actuator:valve:valve-food-forest";
pub const FLOWER: &str = "actuator:valve:valve-flower";
pub const GRAIN: &str = "actuator:valve:valve-grain";
pub const NURSERY: &str = "actuator:valve:valve-nursery";
pub const FLOW: &str = "sensor:flow:mainline-01";
pub const PRESSURE: &str = "sensor:pressure:mainline-01";
pub const FOREST_MOISTURE: &str = "sensor:soil-moisture:food-forest";

/// Ten times as fast as the wall: a second of the wall is far from every watchdog.
pub const SPEED: u32 = 10;

pub fn shipped() -> PlantFile {
    ron::from_str(include_str!("../../../../assets/sites/farm.plant.ron")).unwrap()
}

pub fn cap(text: &str) -> Capability {
    Capability::new(text).unwrap()
}

pub fn plant_with(seed: u64, faults: &[&str]) -> Plant {
    let faults = faults.iter().map(|text| text.parse().unwrap()).collect();
    Plant::new(shipped(), seed, SPEED, faults).unwrap()
}

pub fn plant() -> Plant {
    plant_with(1, &[])
}

/// Lets seconds of the plant pass and keeps every watchdog fed.
pub fn pass(plant: &mut Plant, plant_s: u32) {
    let devices: Vec<Capability> = plant.devices().cloned().collect();
    for _ in 0..plant_s {
        for device in &devices {
            let _ = plant.keep_alive(device);
        }
        plant.advance(Duration::from_millis(u64::from(1000 / SPEED)));
    }
}

pub fn switch(plant: &mut Plant, device: &str, on: bool) {
    plant.write(&cap(device), on).unwrap();
}

/// Opens the valve of the food forest and enables the pump.
pub fn water_the_forest(plant: &mut Plant) {
    switch(plant, FOREST, true);
    switch(plant, PUMP, true);
}

/// What a sensor shows, patient with lost samples.
pub fn shown(plant: &mut Plant, sensor: &str) -> f64 {
    (0..50).find_map(|_| plant.sample(&cap(sensor))).expect("a sensor shows something")
}
