//! Which valves of the farm wait for a pump that stands on a guest.

use clawmesh_twin::site::{Line, OnGuest, Plan, SwitchState};

use crate::farm::{name, plan};

const PUMP: usize = 0;
const FLOWER: usize = 2;

fn on_guest() -> Option<OnGuest> {
    let [peer, target] = ["ab".repeat(32), "actuator:pump:well".to_owned()];
    Some(OnGuest { peer, target, on: "start".to_owned(), off: "stop".to_owned() })
}

fn valves(change: impl FnOnce(&mut Plan)) -> Vec<String> {
    let mut plan = plan();
    plan.actuators[PUMP].on_guest = on_guest();
    change(&mut plan);
    let found = plan.shuts_after("field-node");
    assert!(found.values().all(|pumps| pumps.iter().eq(["actuator:pump:pump-main-01"].iter())), "{found:?}");
    found
        .into_keys()
        .filter_map(|valve| valve.strip_prefix("actuator:valve:valve-"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_valves_of_a_node_that_shut_wait_for_the_pumps_on_its_guests_that_feed_them_and_for_nothing_else() {
    assert_eq!(valves(|_| ()), ["flower", "food-forest", "grain", "nursery"]);
    let dry = |plan: &mut Plan| plan.water.lines.retain(|line| line.to != name("valve-flower"));
    assert_eq!(valves(dry), ["food-forest", "grain", "nursery"], "the pump does not feed it");
    let elsewhere = |plan: &mut Plan| plan.actuators[FLOWER].on_guest = on_guest();
    assert_eq!(
        valves(elsewhere),
        ["flower", "food-forest", "grain", "nursery"],
        "it may obey when the pump does not"
    );
    let sucked = |plan: &mut Plan| {
        plan.water.lines.retain(|line| line.to != name("valve-flower"));
        let pump = plan.actuators[PUMP].of.clone();
        let line =
            plan.water.lines.iter_mut().find(|line| line.to == pump).expect("something feeds the pump");
        line.to = name("valve-flower");
        let to_pump = Line { from: name("valve-flower"), to: pump, ..line.clone() };
        plan.water.lines.push(to_pump);
    };
    assert_eq!(valves(sucked), ["flower", "food-forest", "grain", "nursery"], "the pump draws through it");
    let of_others = |plan: &mut Plan| plan.actuators[FLOWER].owner = name("command-center");
    assert_eq!(valves(of_others), ["food-forest", "grain", "nursery"]);
    let opens = |plan: &mut Plan| plan.actuators[FLOWER].safe_state = SwitchState::On;
    assert_eq!(valves(opens), ["food-forest", "grain", "nursery"], "it opens");
    for nobody_waits in [
        (|plan: &mut Plan| plan.actuators[PUMP].on_guest = None) as fn(&mut Plan),
        |plan| plan.actuators[PUMP].owner = name("command-center"),
        |plan| plan.actuators[PUMP].safe_state = SwitchState::On,
    ] {
        assert_eq!(valves(nobody_waits), [""; 0]);
    }
}
