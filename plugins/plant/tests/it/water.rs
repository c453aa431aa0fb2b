//! Water goes where the valves let it, at its own pace, and none is lost.

use clawmesh_plant::{Ledger, Outlet, Plant};

use crate::bench::{
    FLOW, FLOWER, FOREST, FOREST_MOISTURE, GRAIN, NURSERY, PRESSURE, PUMP, cap, pass, plant, plant_with,
    shown, switch, water_the_forest,
};

fn is_balanced(ledger: &Ledger) {
    let share = ledger.unaccounted_l().abs() / ledger.received_l();
    assert!(share <= 1e-9, "{share} of the water is missing: {ledger:?}");
}

#[test]
fn an_opened_valve_shows_a_flow_within_ten_seconds_and_a_closed_one_none() {
    let mut plant = plant();
    switch(&mut plant, PUMP, true);
    pass(&mut plant, 60);
    let closed = shown(&mut plant, FLOW);
    assert!(closed < 0.5, "closed: {closed} L/min");
    switch(&mut plant, FOREST, true);
    pass(&mut plant, 10);
    let open = shown(&mut plant, FLOW);
    assert!((6.0..11.0).contains(&open), "open: {open} L/min");
    pass(&mut plant, 60);
    let steady = shown(&mut plant, FLOW);
    assert!((7.0..9.5).contains(&steady), "steady: {steady} L/min");
    switch(&mut plant, FOREST, false);
    pass(&mut plant, 30);
    let closed = shown(&mut plant, FLOW);
    assert!(closed < 0.5, "closed again: {closed} L/min");
}

#[test]
fn a_cold_start_shows_the_flow_too() {
    let mut plant = plant();
    water_the_forest(&mut plant);
    pass(&mut plant, 15);
    let flow = shown(&mut plant, FLOW);
    assert!(flow > 6.0, "{flow} L/min");
}

#[test]
fn gravity_alone_gives_a_weak_flow() {
    let mut plant = plant();
    switch(&mut plant, FOREST, true);
    pass(&mut plant, 60);
    let weak = shown(&mut plant, FLOW);
    assert!((1.0..5.0).contains(&weak), "{weak} L/min");
    switch(&mut plant, PUMP, true);
    pass(&mut plant, 60);
    let strong = shown(&mut plant, FLOW);
    assert!(strong > 1.8 * weak, "{weak}, then {strong} L/min");
}

#[test]
fn the_pressure_stays_between_cut_in_and_cut_out_while_a_row_is_watered() {
    let mut plant = plant();
    water_the_forest(&mut plant);
    pass(&mut plant, 60);
    let (mut starts, mut was_turning) = (0, plant.truth().is_pump_turning);
    for _ in 0..600 {
        pass(&mut plant, 1);
        let truth = plant.truth();
        assert!((148.0..225.0).contains(&truth.vessel_kpa), "{} kPa", truth.vessel_kpa);
        starts += u32::from(truth.is_pump_turning && !was_turning);
        was_turning = truth.is_pump_turning;
    }
    assert!((3..60).contains(&starts), "the pump started {starts} times in ten minutes");
}

#[test]
fn the_probe_sees_a_watering_late_and_clearly() {
    let mut plant = plant();
    let dry = plant.truth().zones[0].layers_percent[1];
    assert!((shown(&mut plant, FOREST_MOISTURE) - 14.0).abs() < 1.0);
    water_the_forest(&mut plant);
    pass(&mut plant, 300);
    let layers = plant.truth().zones[0].layers_percent.clone();
    assert!(layers[0] > 14.0 && layers[1] - dry < 0.2, "after 5 minutes: {layers:?}");
    pass(&mut plant, 2400);
    let watered = plant.truth().zones[0].layers_percent[1];
    assert!(watered - dry > 1.5, "after 45 minutes: {dry} to {watered}");
    switch(&mut plant, FOREST, false);
    pass(&mut plant, 900);
    let later = plant.truth().zones[0].layers_percent[1];
    assert!(later > watered + 0.3, "a quarter of an hour after the end: {watered} to {later}");
}

#[test]
fn the_other_zones_stay_as_they_are_while_one_is_watered() {
    let mut plant = plant();
    water_the_forest(&mut plant);
    pass(&mut plant, 1800);
    for zone in &plant.truth().zones[1..] {
        assert_eq!((zone.valve, zone.outflow_lpm), (0.0, 0.0), "{}", zone.zone);
    }
}

#[test]
fn the_open_end_of_the_grain_takes_more_than_the_switch_can_satisfy() {
    let mut plant = plant();
    switch(&mut plant, GRAIN, true);
    switch(&mut plant, PUMP, true);
    pass(&mut plant, 120);
    for _ in 0..120 {
        pass(&mut plant, 1);
        assert!(plant.truth().is_pump_turning, "{:?}", plant.truth());
    }
    let (flow, kpa) = (shown(&mut plant, FLOW), shown(&mut plant, PRESSURE));
    assert!((60.0..120.0).contains(&flow) && kpa > 60.0, "{flow} L/min at {kpa} kPa");
}

#[test]
fn no_water_appears_or_vanishes_on_a_busy_day() {
    let mut file = crate::bench::shipped();
    file.weather.rain_days_percent = 100.0;
    let faults = ["leak:8@600", "leak:5:valve-flower", "clogged-filter@5000"];
    let faults = faults.iter().map(|text| text.parse().unwrap()).collect();
    let mut plant = Plant::new(file, 3, crate::bench::SPEED, faults).unwrap();
    switch(&mut plant, PUMP, true);
    for (at, valve) in [FOREST, GRAIN, FLOWER, NURSERY].into_iter().enumerate() {
        switch(&mut plant, valve, true);
        for _ in 0..6 {
            pass(&mut plant, 300);
            is_balanced(&plant.ledger());
        }
        switch(&mut plant, valve, at % 2 == 0);
    }
    let ledger = plant.ledger();
    assert!(ledger.supplied_l > 100.0 && ledger.leaked_l > 100.0 && ledger.evaporated_l > 1.0, "{ledger:?}");
    assert!(ledger.drained_l > 0.0, "{ledger:?}");
}

#[test]
fn an_empty_tank_stops_the_pump() {
    let mut file = crate::bench::shipped();
    file.tank.level_percent = 7.0;
    file.source.yield_lpm = 0.0;
    file.zones[2].outlet = Outlet::OpenEnd { lpm_at_100_kpa: 110.0 };
    let mut plant = Plant::new(file, 1, crate::bench::SPEED, Vec::new()).unwrap();
    switch(&mut plant, GRAIN, true);
    switch(&mut plant, PUMP, true);
    pass(&mut plant, 15);
    assert!(plant.truth().is_pump_turning);
    pass(&mut plant, 285);
    assert!(!plant.truth().is_pump_turning, "{:?}", plant.truth());
    assert!(plant.truth().tank_percent < 6.0);
    is_balanced(&plant.ledger());
}

/// Run with `--nocapture` to read it.
#[test]
fn an_hour_of_the_plant_makes_sense() {
    let mut plant = plant_with(1, &[]);
    println!("  min  tank%   flow   kPa    pump W   top%  probe%  low%  shown%");
    for minute in 0..=75_u32 {
        match minute {
            5 => water_the_forest(&mut plant),
            50 => {
                switch(&mut plant, PUMP, false);
                switch(&mut plant, FOREST, false);
            }
            _ => {}
        }
        if minute % 5 == 0 || minute == 6 || minute == 51 {
            let (truth, shown) = (plant.truth(), plant.sample(&cap(FOREST_MOISTURE)));
            let (flow, kpa) = (truth.mainline_flow_lpm, truth.mainline_kpa);
            let soil = &truth.zones[0].layers_percent;
            println!(
                "{minute:5} {:6.2} {flow:6.2} {kpa:6.1} {:8.0} {:6.2} {:6.2} {:6.2}  {shown:?}",
                truth.tank_percent, truth.pump_w, soil[0], soil[1], soil[2]
            );
        }
        pass(&mut plant, 60);
    }
    is_balanced(&plant.ledger());
    println!("{:?}", plant.ledger());
    println!("unaccounted: {:e} L", plant.ledger().unaccounted_l());
}
