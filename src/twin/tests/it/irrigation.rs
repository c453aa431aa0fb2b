//! How zones are watered, and what of it does not fit the site.

use clawmesh_twin::site::{Irrigation, Plan};

use crate::farm::{name, plan};

/// The food forest stands third among the zones of the farm.
const FOREST: usize = 2;

fn irrigation(plan: &mut Plan) -> &mut Irrigation {
    plan.zones[FOREST].irrigation.as_mut().expect("the food forest is watered")
}

fn found(change: impl FnOnce(&mut Plan)) -> Vec<String> {
    let mut plan = plan();
    change(&mut plan);
    plan.faults().into_iter().map(|fault| format!("{}: {}", fault.at, fault.sentence)).collect()
}

#[test]
fn every_zone_of_the_farm_with_a_valve_is_watered_through_it() {
    let plan = plan();
    assert_eq!(plan.faults(), []);
    for zone in &plan.zones {
        let valves = plan.water.parts.iter().filter(|part| part.name.as_str().starts_with("valve-"));
        let valve =
            valves.filter(|part| part.kind.zone() == Some(&zone.name)).map(|part| part.name.as_str()).next();
        let first = zone.irrigation.as_ref().map(|irrigation| irrigation.steps[0].0.as_str());
        assert_eq!(first, valve.map(|valve| format!("actuator:valve:{valve}")).as_deref(), "{}", zone.name);
    }
}

#[test]
fn what_an_irrigation_names_and_the_site_has_not_is_told() {
    for (faults, expected) in [
        (
            found(|plan| irrigation(plan).moisture = "sensor:soil-moisture:gone".to_owned()),
            "zones[2].irrigation.moisture: sensor:soil-moisture:gone is no sensor of this site; correct the name, or add it",
        ),
        (
            found(|plan| irrigation(plan).moisture = "sensor:soil-moisture:flower".to_owned()),
            "zones[2].irrigation.moisture: sensor:soil-moisture:flower tells about z-flower-production, not about \
             z-food-forest-core",
        ),
        (
            found(|plan| plan.sensors[4].unit = "kPa".to_owned()),
            "zones[2].irrigation.moisture: sensor:soil-moisture:food-forest is in \"kPa\", a moisture is in \"%\"",
        ),
        (
            found(|plan| irrigation(plan).steps[1].0 = "actuator:pump:gone".to_owned()),
            "zones[2].irrigation.steps[1]: actuator:pump:gone is no actuator of this site; correct the name, or add it",
        ),
        (
            found(|plan| {
                let step = irrigation(plan).steps[0].clone();
                irrigation(plan).steps[1] = step;
            }),
            "zones[2].irrigation.steps[1]: actuator:valve:valve-food-forest stands in two steps; one thing does one \
             thing at a time",
        ),
        (
            found(|plan| plan.actuators[1].owner = name("command-center")),
            "zones[2].irrigation.steps[1]: actuator:pump:pump-main-01 is of field-node and a step before it of \
             command-center; one node does all",
        ),
        (
            found(|plan| irrigation(plan).steps[0].0 = "actuator:valve:valve-flower".to_owned()),
            "zones[2].irrigation.steps[0]: actuator:valve:valve-flower waters z-flower-production, not z-food-forest-core",
        ),
        (
            found(|plan| irrigation(plan).wilting_percent = 22.0),
            "zones[2].irrigation: `wilting_percent` is 22 and `dry_below_percent` is 22; the first must be below the \
             second, both from 0 to 100",
        ),
    ] {
        assert_eq!(faults, [expected]);
    }
}

#[test]
fn an_irrigation_with_too_many_steps_is_told_once() {
    let faults = found(|plan| {
        let step = irrigation(plan).steps[0].clone();
        irrigation(plan).steps = vec![step; 100_000];
    });
    assert_eq!(faults, ["zones[2].irrigation: `steps` has 1 to 16 entries, this one has 100000"]);
}
