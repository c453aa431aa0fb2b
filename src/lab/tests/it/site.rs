//! A site and the ways in which it can be out of order, as its nodes see them.

use std::collections::BTreeSet;

use clawmesh_authority::policy::Mode;
use clawmesh_authority::{Capability, Policy, SensorSpec, Tier, Unit, Value};
use clawmesh_core::intake::{InputBody, Sample, SourceId};
use clawmesh_core::settings::SiteText;
use clawmesh_core::site::SiteModes;
use clawmesh_lab::Lab;
use clawmesh_twin::site::Plan;
use serde::Deserialize;

#[derive(Deserialize)]
struct Farm {
    name: String,
    plan: Option<Plan>,
}

fn read<T: for<'de> Deserialize<'de>>(text: &str) -> T {
    let options = ron::Options::default().with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME);
    options.from_str(text).expect("what is shipped can be read")
}

/// The shipped farm, in which the first node of the lab is the command center and the second the field node.
pub fn farm() -> SiteText {
    farm_with(|_| ())
}

/// The same, with a policy that was changed.
pub fn farm_with(change: impl FnOnce(&mut Policy)) -> SiteText {
    farm_of(|_| (), change)
}

/// The same, with a plan that was changed too.
pub fn farm_of(redraw: impl FnOnce(&mut Plan), change: impl FnOnce(&mut Policy)) -> SiteText {
    let mut farm: Farm = read(include_str!("../../../../assets/sites/farm.ron"));
    let mut policy: Policy = read(include_str!("../../../../assets/sites/farm.policy.ron"));
    change(&mut policy);
    let plan = farm.plan.as_mut().expect("the farm is drawn");
    for (n, node) in (1..).zip(&mut plan.nodes) {
        node.id = Some(Lab::id_of(n).to_string());
    }
    // The sensors of the lab speak every half second, and pause while somebody is asked.
    plan.sensors.iter_mut().for_each(|sensor| sensor.period_ms = sensor.period_ms.max(1_000));
    redraw(plan);
    SiteText::of(&farm.name, plan, Some(&policy)).expect("what is shipped has no fault")
}

/// The plan of the shipped farm, whose nodes have no ids yet.
pub fn plan() -> Plan {
    let farm: Farm = read(include_str!("../../../../assets/sites/farm.ron"));
    farm.plan.expect("the farm is drawn")
}

/// The actuators of the farm, in the order in which they are made safe.
pub fn actuators() -> Vec<Capability> {
    let actuators = plan().actuators;
    actuators.iter().map(|actuator| Capability::new(&actuator.capability).expect("well-formed")).collect()
}

/// The sensors that the policy names, well and speaking.
pub fn speak(lab: &mut Lab) {
    for (sensor, unit, value) in sensors() {
        lab.sample("field-node", Sample { sensor, value, unit, origin_ms: 0, tier: Tier::T2 });
    }
}

pub fn sensors() -> Vec<(Capability, Unit, f64)> {
    let sensors = [
        ("sensor:tank-level:tank-01", Unit::Percent, 70.0),
        ("sensor:flow:mainline-01", Unit::LitrePerMinute, 0.0),
        ("sensor:pressure:mainline-01", Unit::Kilopascal, 20.0),
        ("sensor:power:pump-main-01", Unit::Watt, 0.0),
        ("sensor:soil-moisture:food-forest", Unit::Percent, 14.0),
        ("sensor:soil-moisture:flower", Unit::Percent, 26.0),
        ("sensor:soil-moisture:grain", Unit::Percent, 31.0),
        ("sensor:soil-moisture:nursery", Unit::Percent, 24.0),
    ];
    let named = sensors.into_iter();
    named.map(|(name, unit, value)| (Capability::new(name).expect("well-formed"), unit, value)).collect()
}

pub fn specs() -> InputBody {
    let specs = sensors().into_iter().map(|(sensor, unit, _)| SensorSpec {
        sensor,
        quantity: "something".to_owned(),
        unit,
        period_ms: 1_000,
        range: None,
        stuck_after_ms: None,
        about: None,
    });
    InputBody::SensorsDeclared(specs.collect())
}

fn modes(lab: &mut Lab, name: &str) -> BTreeSet<Mode> {
    lab.core_mut(name).world().resource::<SiteModes>().0.clone()
}

/// A farm on which everything is well, half a minute old.
pub fn calm_farm() -> Lab {
    let mut lab = Lab::seeded(3).at_site(farm()).with_nodes(["command-center", "field-node"]);
    lab.offer("field-node", SourceId::HostSensors, specs());
    run_speaking(&mut lab, 10);
    lab
}

fn run_speaking(lab: &mut Lab, seconds: u32) {
    for _ in 0..seconds {
        speak(lab);
        lab.run_seconds(1);
    }
}

#[test]
fn a_farm_on_which_everything_is_well_is_in_no_mode_on_both_nodes() {
    let mut lab = calm_farm();
    assert_eq!(modes(&mut lab, "field-node"), BTreeSet::new());
    assert_eq!(modes(&mut lab, "command-center"), BTreeSet::new());
}

#[test]
fn who_is_not_heard_is_away_until_heard_again() {
    let mut lab = calm_farm();
    lab.partition(&["command-center"], &["field-node"]);
    run_speaking(&mut lab, 40);
    assert_eq!(modes(&mut lab, "field-node"), BTreeSet::from([Mode::CommandCenterAway]));
    let at_the_center = modes(&mut lab, "command-center");
    // What is not heard is neither there nor reliable.
    assert_eq!(at_the_center, BTreeSet::from([Mode::FieldNodeAway, Mode::SensorFault]));
    lab.heal();
    run_speaking(&mut lab, 10);
    assert_eq!(modes(&mut lab, "field-node"), BTreeSet::new());
    assert_eq!(modes(&mut lab, "command-center"), BTreeSet::new());
}

#[test]
fn a_sensor_that_a_rule_names_and_that_falls_silent_is_a_fault_of_the_site() {
    let mut lab = calm_farm();
    lab.run_seconds(10);
    assert_eq!(modes(&mut lab, "field-node"), BTreeSet::from([Mode::SensorFault]));
    run_speaking(&mut lab, 2);
    assert_eq!(modes(&mut lab, "field-node"), BTreeSet::new());
}

#[test]
fn a_supply_that_somebody_notes_as_unsteady_is_a_mode_until_it_is_noted_as_stable() {
    let mut lab = calm_farm();
    for (value, is_unstable) in [
        (Value::Text("flickering".to_owned()), true),
        (Value::Text("stable".to_owned()), false),
        (Value::Flag(false), true),
        (Value::Flag(true), false),
    ] {
        lab.record("command-center", "site/power", value.clone());
        run_speaking(&mut lab, 2);
        let expected = if is_unstable { BTreeSet::from([Mode::PowerUnstable]) } else { BTreeSet::new() };
        assert_eq!(modes(&mut lab, "field-node"), expected, "{value:?}");
    }
}

#[test]
fn a_node_without_a_site_is_in_no_mode() {
    let mut lab = Lab::seeded(3).with_nodes(["command-center", "field-node"]);
    lab.run_ticks(200);
    assert_eq!(modes(&mut lab, "field-node"), BTreeSet::new());
}
