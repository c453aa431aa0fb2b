//! Every fault can be seen by somebody who only reads the sensors and asks the devices.

use clawmesh_plant::{Plant, WriteFault};

use crate::bench::{
    FLOW, FOREST, PRESSURE, PUMP, cap, pass, plant, plant_with, shown, switch, water_the_forest,
};

fn watered_with(fault: &str, plant_s: u32) -> Plant {
    let mut plant = plant_with(1, &[fault]);
    let _ = plant.write(&cap(FOREST), true);
    let _ = plant.write(&cap(PUMP), true);
    pass(&mut plant, plant_s);
    plant
}

#[test]
fn a_leak_flows_with_every_valve_closed() {
    let mut plant = plant_with(1, &["leak"]);
    switch(&mut plant, PUMP, true);
    pass(&mut plant, 60);
    let flow = shown(&mut plant, FLOW);
    assert!(flow > 8.0 && plant.ledger().leaked_l > 5.0, "{flow} L/min");
}

#[test]
fn a_leak_behind_a_valve_flows_with_that_valve_open_only() {
    let mut plant = plant_with(1, &["leak:valve-food-forest"]);
    switch(&mut plant, PUMP, true);
    pass(&mut plant, 60);
    assert!(shown(&mut plant, FLOW) < 0.5);
    switch(&mut plant, FOREST, true);
    pass(&mut plant, 60);
    let flow = shown(&mut plant, FLOW);
    assert!(flow > 15.0, "{flow} L/min");
}

#[test]
fn a_clogged_filter_starves_the_mainline() {
    let mut plant = watered_with("clogged-filter", 600);
    let (flow, kpa) = (shown(&mut plant, FLOW), shown(&mut plant, PRESSURE));
    assert!(flow < 6.0 && kpa < 60.0, "{flow} L/min at {kpa} kPa");
    assert!(plant.truth().vessel_kpa > 140.0, "before the filter there is pressure");
}

#[test]
fn a_valve_that_is_stuck_takes_its_set_point_and_stays() {
    let mut plant = watered_with("stuck-valve:valve-food-forest", 60);
    let state = plant.read_back(&cap(FOREST)).unwrap();
    assert_eq!((state.set_point, state.reached), (true, Some(false)));
    assert!(shown(&mut plant, FLOW) < 0.5);
}

#[test]
fn a_valve_that_is_stuck_open_goes_on_flowing() {
    let mut plant = watered_with("stuck-valve:valve-food-forest@30", 60);
    switch(&mut plant, FOREST, false);
    pass(&mut plant, 60);
    assert!(shown(&mut plant, FLOW) > 6.0);
    assert_eq!(plant.read_back(&cap(FOREST)).unwrap().reached, Some(true));
}

#[test]
fn a_device_that_never_moves_says_it_has() {
    let mut plant = watered_with("never-moves:valve-food-forest", 60);
    assert_eq!(plant.read_back(&cap(FOREST)).unwrap().reached, Some(true));
    assert!(shown(&mut plant, FLOW) < 0.5);
    let mut plant = watered_with("never-moves:pump-main-01", 60);
    assert_eq!(plant.read_back(&cap(PUMP)).unwrap().reached, Some(true));
    assert!(shown(&mut plant, PRESSURE) < 50.0, "only the tank presses");
}

#[test]
fn a_dead_device_answers_nobody() {
    let mut plant = watered_with("dead-device:valve-food-forest@30", 60);
    assert_eq!(plant.write(&cap(FOREST), false), Err(WriteFault::NoAnswer));
    assert_eq!(plant.read_back(&cap(FOREST)), None);
    assert!(shown(&mut plant, FLOW) > 6.0, "it stays open until its own watchdog falls");
    pass(&mut plant, 200);
    assert!(shown(&mut plant, FLOW) < 0.5, "its own watchdog has fallen");
}

#[test]
fn a_hand_on_the_switch_refuses_set_points_and_wins() {
    let mut plant = watered_with("manual-switch:pump-main-01", 60);
    let state = plant.read_back(&cap(PUMP)).unwrap();
    assert!(state.local_control && state.reached == Some(false));
    assert_eq!(plant.write(&cap(PUMP), true), Err(WriteFault::LocalControl));
    assert!(shown(&mut plant, PRESSURE) < 50.0);
    let mut plant = plant_with(1, &["manual-switch:valve-food-forest:on", "manual-switch:pump-main-01:on"]);
    pass(&mut plant, 60);
    assert!(shown(&mut plant, FLOW) > 6.0, "nobody but a hand has opened it");
}

#[test]
fn a_lying_sensor_shows_something_else() {
    let mut plant = watered_with("lying-sensor:sensor:flow:mainline-01=40", 60);
    assert_eq!(shown(&mut plant, FLOW), 40.0);
    let mut plant = watered_with("lying-sensor:sensor:flow:mainline-01~5", 60);
    let flow = shown(&mut plant, FLOW);
    assert!((11.0..15.0).contains(&flow), "{flow}");
    let mut plant = plant_with(1, &["lying-sensor:sensor:flow:mainline-01"]);
    pass(&mut plant, 1);
    let first = shown(&mut plant, FLOW);
    water_the_forest(&mut plant);
    pass(&mut plant, 60);
    assert_eq!(shown(&mut plant, FLOW), first);
}

#[test]
fn a_sensor_that_drops_out_says_nothing_from_its_time_on() {
    let mut plant = plant_with(1, &["dropout:sensor:flow:mainline-01@60"]);
    pass(&mut plant, 59);
    shown(&mut plant, FLOW);
    pass(&mut plant, 2);
    assert!((0..100).all(|_| plant.sample(&cap(FLOW)).is_none()));
}

#[test]
fn a_worn_pump_never_satisfies_its_switch() {
    let mut plant = watered_with("worn-pump", 120);
    for _ in 0..300 {
        pass(&mut plant, 1);
        let truth = plant.truth();
        assert!(truth.is_pump_turning && truth.vessel_kpa < 200.0, "{truth:?}");
    }
}

#[test]
fn a_dry_source_lets_the_tank_fall() {
    let level = |plant: &mut Plant| {
        let before = shown(plant, "sensor:tank-level:tank-01");
        pass(plant, 900);
        shown(plant, "sensor:tank-level:tank-01") - before
    };
    assert!(level(&mut plant()) > 5.0, "the source fills");
    let change = level(&mut watered_with("dry-source", 1));
    assert!(change < -0.5, "{change} points in a quarter of an hour");
}
