//! What begins as it should and goes on otherwise.

use clawmesh_authority::policy::{FOR_S, Must, Parameter};
use clawmesh_authority::{Code, Level, Maker, Policy, RequestBody, Tier, Value};

use crate::proposals::rig::{CENTER, Farm, ann, code};

#[test]
fn the_tank_runs_empty() {
    let mut farm = Farm::brief();
    let offer = farm.runs();
    farm.weather.tank_percent = 19.9;
    farm.run_seconds(3);
    farm.ends(offer.proposal, Code::InterlockOpen, "(source-before-pump)");
    let mut farm = Farm::brief();
    let offer = farm.runs();
    farm.weather.tank_percent = 66.0;
    farm.run_seconds(3);
    assert_eq!(farm.state(offer.proposal), "executing");
}

#[test]
fn a_hand_takes_the_valve() {
    let mut farm = Farm::brief();
    let offer = farm.runs();
    farm.lab.record(CENTER, "out-of-service/actuator:valve:valve-food-forest", Value::Flag(true));
    farm.run_seconds(3);
    farm.ends(offer.proposal, Code::OutOfService, "(out-of-service)");
}

/// What runs, after the policy has become another.
fn under(change: impl FnOnce(&mut Policy)) -> (Farm, clawmesh_authority::ProposalId) {
    let mut farm = Farm::brief();
    let offer = farm.runs();
    farm.change_policy(change);
    farm.run_seconds(3);
    (farm, offer.proposal)
}

#[test]
fn the_policy_wants_two_people_now() {
    let (mut farm, id) = under(|policy| policy.actuators[0].level = Level::L3);
    farm.ends(id, Code::TwoPersonRequired, "2 people have to approve it now");
}

#[test]
fn the_policy_wants_other_eyes_now() {
    let mut farm = Farm::brief();
    farm.for_s = 20.0;
    let own = farm.changed(|it| it.maker = Maker::person(it.maker.node, ann().id()));
    assert_eq!(code(&farm.ask_as(&ann(), RequestBody::Propose(own.clone()))), None);
    farm.run_seconds(1);
    let offer = farm.offer(own.id());
    farm.assert_carried_out(&offer);
    farm.change_policy(|policy| policy.actuators[1].four_eyes = true);
    farm.run_seconds(3);
    farm.ends(own.id(), Code::SelfApproval, "ask somebody else");
    // Somebody else had approved this one.
    let (farm, id) = under(|policy| policy.actuators[1].four_eyes = true);
    assert_eq!(farm.state(id), "executing");
}

#[test]
fn the_policy_wants_other_evidence_now() {
    let (mut farm, id) = under(|policy| policy.actuators[1].evidence[0].age_s_max = 0);
    farm.ends(id, Code::EvidenceStale, "older than 0 s");
    let (mut farm, id) = under(|policy| policy.actuators[1].tier_min = Tier::T3);
    farm.ends(id, Code::InsufficientTrustTier, "worth less than T3");
    let (farm, id) = under(|policy| policy.actuators[1].evidence[0].age_s_max = 5);
    assert_eq!(farm.state(id), "executing", "it was fresh by that too");
}

#[test]
fn the_policy_gives_less_water_now() {
    for (a_day_s, state) in [(25.0, "failed"), (40.0, "executing")] {
        let mut farm = Farm::brief();
        let offer = farm.runs();
        farm.run_seconds(20);
        assert_eq!(farm.state(offer.proposal), "completed");
        farm.for_s = 10.0;
        let again = farm.asked();
        farm.assert_carried_out(&again);
        // Twenty seconds are used and ten are booked.
        farm.change_policy(|policy| {
            let zone = policy.budgets.iter_mut().find(|budget| budget.of == "z-food-forest-core");
            zone.expect("it has a budget").seconds_per_day_max = a_day_s;
            for operation in policy.actuators[1].operations.values_mut() {
                if let Some(for_s) = operation.parameters.get_mut(FOR_S) {
                    *for_s = Parameter::Number(1.0, 20.0);
                }
            }
        });
        farm.run_seconds(2);
        assert_eq!(farm.state(again.proposal), state);
        if state == "failed" {
            farm.ends(again.proposal, Code::BudgetExceeded, "has 25 s in 24 hours");
        }
    }
}

#[test]
fn the_policy_wants_a_fuller_tank_now() {
    let (mut farm, id) = under(|policy| policy.actuators[0].interlocks[0].must = Must::BeAtLeast(71.0));
    farm.ends(id, Code::InterlockOpen, "must be at least 71");
    let (farm, id) = under(|policy| policy.actuators[0].interlocks[0].must = Must::BeAtLeast(69.0));
    assert_eq!(farm.state(id), "executing");
}
