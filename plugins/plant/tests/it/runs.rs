//! A run is a function of the file, the seed, the faults and the calls, and no call breaks it.

use std::time::Duration;

use clawmesh_authority::Capability;
use clawmesh_plant::{Fault, Hands, PlannedFault, Plant, PlantError, WriteFault};
use proptest::prelude::*;

use crate::bench::{
    FLOW, FOREST, GRAIN, NURSERY, PUMP, cap, pass, plant, shipped, shown, switch, water_the_forest,
};

fn recorded(seed: u64) -> Vec<Option<f64>> {
    let mut plant = Plant::new(shipped(), seed, 60, Fault::of_seed(seed, &shipped())).unwrap();
    let sensors: Vec<Capability> = plant.sensors().map(|sensor| sensor.capability).collect();
    let mut shown = Vec::new();
    for _ in 0..20 {
        let _ = plant.write(&cap(FOREST), true);
        let _ = plant.write(&cap(PUMP), true);
        plant.advance(Duration::from_millis(700));
        shown.extend(sensors.iter().map(|sensor| plant.sample(sensor)));
    }
    shown
}

#[test]
fn a_run_is_a_function_of_its_seed() {
    for seed in 0..10 {
        assert_eq!(recorded(seed), recorded(seed), "seed {seed}");
        assert_ne!(recorded(seed), recorded(seed + 10), "seed {seed}");
    }
}

#[test]
fn no_split_of_a_wait_changes_the_outcome() {
    let begun = || {
        let mut plant = Plant::new(shipped(), 4, 60, vec!["leak:9@333".parse().unwrap()]).unwrap();
        water_the_forest(&mut plant);
        switch(&mut plant, GRAIN, true);
        plant
    };
    let (mut whole, mut split, mut crumbs) = (begun(), begun(), begun());
    whole.advance(Duration::from_secs(12));
    for _ in 0..120 {
        split.advance(Duration::from_millis(100));
    }
    for _ in 0..12_000 {
        crumbs.advance(Duration::from_nanos(333_333));
        crumbs.advance(Duration::from_nanos(666_667));
    }
    assert!(whole == split && whole == crumbs);
    assert_eq!(whole.truth().plant_s, 720.0);
    assert_eq!(whole.read_back(&cap(PUMP)).map(|state| state.set_point), Some(false), "in silence");
}

#[test]
fn a_sensor_more_changes_no_noise_of_the_others() {
    let mut fewer = shipped();
    fewer.sensors.retain(|sensor| sensor.capability.as_str() == FLOW);
    let (mut alone, mut among) =
        (Plant::new(fewer, 1, 10, Vec::new()).unwrap(), Plant::new(shipped(), 1, 10, Vec::new()).unwrap());
    let all: Vec<Capability> = among.sensors().map(|sensor| sensor.capability).collect();
    for _ in 0..100 {
        let shown: Vec<Option<f64>> = all
            .iter()
            .map(|sensor| (sensor, among.sample(sensor)))
            .filter(|s| s.0.as_str() == FLOW)
            .map(|s| s.1)
            .collect();
        assert_eq!(shown, [alone.sample(&cap(FLOW))]);
    }
}

#[test]
fn the_rover_stands_at_home_and_the_person_walks_about() {
    let mut plant = plant();
    let mut east = Vec::new();
    for _ in 0..60 {
        pass(&mut plant, 60);
        let rover =
            ["east", "north"].map(|axis| shown(&mut plant, &format!("sensor:position-{axis}:rover-01")));
        assert!((rover[0] - 12.0).abs() < 0.6 && (rover[1] - 16.0).abs() < 0.6, "{rover:?}");
        east.push(shown(&mut plant, "sensor:position-east:farmer-01"));
    }
    let (low, high) = east.iter().fold((f64::MAX, f64::MIN), |(l, h), x| (l.min(*x), h.max(*x)));
    assert!(high - low > 10.0 && low > -5.0 && high < 205.0, "{low} to {high} m east");
}

#[test]
fn silence_closes_what_closes_and_leaves_what_holds() {
    for speed in [1, 3600] {
        let mut plant = Plant::new(shipped(), 1, speed, Vec::new()).unwrap();
        for device in [PUMP, FOREST, GRAIN, NURSERY] {
            switch(&mut plant, device, true);
        }
        let set = |plant: &Plant| {
            [PUMP, FOREST, GRAIN, NURSERY].map(|device| plant.read_back(&cap(device)).unwrap().set_point)
        };
        plant.advance(Duration::from_millis(4_900));
        assert_eq!(set(&plant), [true; 4], "speed {speed}, 4.9 s");
        plant.advance(Duration::from_millis(200));
        assert_eq!(set(&plant), [false, true, true, true], "speed {speed}, 5.1 s");
        plant.advance(Duration::from_millis(5_000));
        assert_eq!(set(&plant), [false, false, true, true], "speed {speed}, 10.1 s");
    }
}

#[test]
fn a_valve_tells_of_its_ends_and_nothing_on_its_way() {
    let mut plant = plant();
    let reached = |plant: &Plant| plant.read_back(&cap(FOREST)).unwrap().reached;
    assert_eq!(reached(&plant), Some(false));
    switch(&mut plant, FOREST, true);
    assert_eq!(reached(&plant), Some(false), "it has not moved yet");
    pass(&mut plant, 1);
    assert_eq!(reached(&plant), None);
    pass(&mut plant, 4);
    assert_eq!(reached(&plant), None);
    pass(&mut plant, 2);
    assert_eq!(reached(&plant), Some(true));
    switch(&mut plant, FOREST, true);
    pass(&mut plant, 1);
    assert_eq!(reached(&plant), Some(true), "the same set point again moves nothing");
}

#[test]
fn what_the_plant_does_not_have_is_refused() {
    let mut plant = plant();
    let stranger = cap("actuator:valve:valve-sea");
    assert_eq!(plant.write(&stranger, true), Err(WriteFault::UnknownDevice));
    assert_eq!(plant.keep_alive(&stranger), Err(WriteFault::UnknownDevice));
    assert_eq!(plant.read_back(&stranger), None);
    assert!(!plant.hands(&stranger, Hands::HeldOn));
    assert_eq!(plant.sample(&cap("sensor:flow:sea")), None);
    for text in ["stuck-valve:valve-sea", "stuck-valve:pump-main-01", "dead-device:sea", "dropout:sensor:sea"]
    {
        let fault: PlannedFault = text.parse().unwrap();
        assert!(Plant::new(shipped(), 1, 1, vec![fault.clone()]).is_err(), "{text}");
        assert!(plant.plan(fault).is_err(), "{text}");
    }
    assert_eq!(Plant::new(shipped(), 1, 0, Vec::new()).unwrap_err(), PlantError::Speed(0));
    let mut wrong = shipped();
    wrong.tank.capacity_l = -1.0;
    let refusal = Plant::new(wrong, 1, 1, Vec::new()).unwrap_err().to_string();
    assert!(refusal.contains("capacity_l"), "{refusal}");
}

#[derive(Debug, Clone)]
enum Call {
    Advance(u64),
    Write(usize, bool),
    KeepAlive(usize),
    Hands(usize, Hands),
    Sample(usize),
    Plan(u64, u32),
}

fn call() -> impl Strategy<Value = Call> {
    let hands = prop_oneof![Just(Hands::Auto), Just(Hands::HeldOn), Just(Hands::HeldOff)];
    prop_oneof![
        3 => (0..20_000_u64).prop_map(Call::Advance),
        4 => (0..6_usize, any::<bool>()).prop_map(|(device, on)| Call::Write(device, on)),
        1 => (0..6_usize).prop_map(Call::KeepAlive),
        1 => (0..6_usize, hands).prop_map(|(device, hands)| Call::Hands(device, hands)),
        2 => (0..16_usize).prop_map(Call::Sample),
        1 => (any::<u64>(), 0..60_u32).prop_map(|(seed, from_s)| Call::Plan(seed, from_s)),
    ]
}

fn do_one(plant: &mut Plant, call: &Call) {
    let devices: Vec<Capability> =
        plant.devices().cloned().chain([cap("actuator:valve:valve-sea")]).collect();
    let sensors: Vec<Capability> = plant.sensors().map(|sensor| sensor.capability).collect();
    match call {
        Call::Advance(wall_ms) => plant.advance(Duration::from_millis(*wall_ms)),
        Call::Write(device, on) => {
            let _ = plant.write(&devices[*device], *on);
        }
        Call::KeepAlive(device) => {
            let _ = plant.keep_alive(&devices[*device]);
        }
        Call::Hands(device, hands) => {
            plant.hands(&devices[*device], *hands);
        }
        Call::Sample(sensor) => {
            let shown = sensors.get(*sensor).and_then(|sensor| plant.sample(sensor));
            assert!(shown.is_none_or(f64::is_finite), "{shown:?}");
        }
        Call::Plan(seed, from_s) => {
            for planned in Fault::of_seed(*seed, &shipped()) {
                plant.plan(PlannedFault { from_s: *from_s, ..planned }).unwrap();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn no_order_of_calls_panics_or_loses_water(
        calls in prop::collection::vec(call(), 1..40), seed in any::<u64>(),
    ) {
        let mut plant = Plant::new(shipped(), seed, 10, Vec::new()).unwrap();
        for call in &calls {
            do_one(&mut plant, call);
        }
        let (ledger, truth) = (plant.ledger(), plant.truth());
        prop_assert!(ledger.unaccounted_l().abs() <= 1e-9 * ledger.received_l(), "{ledger:?}");
        prop_assert!((0.0..=100.0).contains(&truth.tank_percent), "{truth:?}");
        prop_assert!((0.0..400.0).contains(&truth.mainline_kpa), "{truth:?}");
        prop_assert!(truth.zones.iter().all(|zone| (0.0..400.0).contains(&zone.line_kpa)), "{truth:?}");
    }
}
