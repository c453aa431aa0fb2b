//! Whether a fault is really in force: tried out on a copy of the plant, so that what runs does not notice.

use std::time::Duration;

use clawmesh_authority::Capability;
use clawmesh_plant::{Fault, Lie, PlannedFault, Plant, Truth};

use super::watering::{FOREST, SPEED};
use crate::proposals::rig::{capability, pump};

/// True when the plant shows that the fault has begun.
pub fn is_in_force(planned: &PlannedFault, plant: &Plant) -> bool {
    if plant.truth().plant_s < f64::from(planned.from_s) {
        return false;
    }
    let forest = capability(FOREST.valve);
    let mut copy = plant.clone();
    match &planned.fault {
        Fault::Leak { .. } => {
            let before_l = copy.ledger().leaked_l;
            switch(&mut copy, &[&forest, &pump()], true, 60);
            copy.ledger().leaked_l > before_l + 1.0
        }
        Fault::CloggedFilter => copy.truth().clog > 0.2,
        Fault::StuckValve { device } | Fault::NeverMoves { device } if *device != "pump-main-01" => {
            let valve = capability(&format!("actuator:valve:{device}"));
            let opened = switch(&mut copy, &[&valve], true, 20).pop().map(positions);
            opened == switch(&mut copy, &[&valve], false, 20).pop().map(positions)
        }
        Fault::StuckValve { .. } | Fault::NeverMoves { .. } => {
            let seen = switch(&mut copy, &[&forest, &pump()], true, 120);
            seen.iter().all(|truth| !truth.is_pump_turning && truth.vessel_kpa < 150.0)
        }
        Fault::DeadDevice { device } => copy.read_back(&named(&copy, device)).is_none(),
        Fault::ManualSwitch { device, .. } => {
            copy.read_back(&named(&copy, device)).is_some_and(|state| state.local_control)
        }
        Fault::LyingSensor { sensor, lie } => lies(&mut copy, sensor, *lie),
        Fault::Dropout { sensor } => (0..100).all(|_| copy.sample(sensor).is_none()),
        Fault::WornPump => {
            let seen = switch(&mut copy, &[&forest, &pump()], true, 300);
            seen.iter().skip(200).all(|truth| truth.is_pump_turning && truth.vessel_kpa < 210.0)
        }
        Fault::DrySource => {
            let before_l = copy.ledger().supplied_l;
            switch(&mut copy, &[], true, 60);
            copy.truth().tank_percent < 75.0 && copy.ledger().supplied_l <= before_l
        }
    }
}

/// Writes to devices and lets seconds of the plant pass; what was true after each of them.
fn switch(plant: &mut Plant, devices: &[&Capability], is_on: bool, plant_s: u32) -> Vec<Truth> {
    let mut seen = Vec::new();
    for _ in 0..plant_s {
        for device in devices {
            let _ = plant.write(device, is_on);
        }
        plant.advance(Duration::from_millis(u64::from(1_000 / SPEED)));
        seen.push(plant.truth());
    }
    seen
}

fn positions(truth: Truth) -> Vec<f64> {
    truth.zones.iter().map(|zone| zone.valve).collect()
}

fn named(plant: &Plant, device: &str) -> Capability {
    let found = plant.devices().find(|known| known.as_str().ends_with(&format!(":{device}")));
    found.expect("the plant has it").clone()
}

fn lies(plant: &mut Plant, sensor: &Capability, lie: Lie) -> bool {
    let mut shown = Vec::new();
    for _ in 0..40 {
        switch(plant, &[], true, 30);
        shown.extend(plant.sample(sensor));
    }
    let is_fixed = shown.windows(2).all(|pair| pair[0] == pair[1]);
    let mean = shown.iter().sum::<f64>() / shown.len() as f64;
    match lie {
        Lie::Frozen => is_fixed,
        Lie::Stuck(at) => is_fixed && (mean - at).abs() < 0.5,
        // No sensor of this farm is off by half of that when it is honest.
        Lie::Offset(by) => (mean - truly(&plant.truth(), sensor)).abs() > 0.5 * by.abs().min(4.0),
    }
}

/// What an honest sensor would show.
fn truly(truth: &Truth, sensor: &Capability) -> f64 {
    match sensor.as_str() {
        "sensor:flow:mainline-01" => truth.mainline_flow_lpm,
        "sensor:pressure:mainline-01" => truth.mainline_kpa,
        "sensor:tank-level:tank-01" => truth.tank_percent,
        "sensor:soil-moisture:food-forest" => truth.zones[0].layers_percent[1],
        other => panic!("nobody has written down what {other} measures"),
    }
}
