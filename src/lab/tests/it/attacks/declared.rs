//! What the sender says of a command, its owner and its level.

use clawmesh_authority::approval::{self, Approval};
use clawmesh_authority::{AskKind, Capability, Code, Decision, Level, Value};

use crate::proposals::rig::{CENTER, Farm, ann, capability, code, cy, gus, pump, step, valve};

#[test]
fn an_actuator_in_another_case() {
    let mut farm = Farm::brief();
    for name in [
        "Actuator:valve:valve-food-forest",
        "ACTUATOR:VALVE:VALVE-FOOD-FOREST",
        "actuator:valve:Valve-food-forest",
    ] {
        let proposal = farm.proposal_of(vec![step(capability(name), "open", Some(6.0))]);
        farm.repels(Code::AmbiguousOwner, "one-owner", |farm| farm.propose(&proposal));
    }
    let good = farm.proposal();
    farm.carries_out(&good);
}

#[test]
fn an_actuator_in_other_letters() {
    // Cyrillic letters that look alike, a letter of double width, a blank without width.
    for name in [
        "аctuator:valve:v",
        "actuator:vаlve:v",
        "ａctuator:valve:v",
        "actuator\u{200b}:valve:v",
        "actuator:valve:v\u{202e}",
    ] {
        assert!(Capability::new(name).is_err(), "{name:?}");
    }
    assert!(Capability::new("actuator:valve:v").is_ok());
}

#[test]
fn an_operation_that_is_declared_as_a_harmless_one() {
    let mut farm = Farm::brief();
    for operation in ["Close", "close ", "status", "open;close"] {
        let proposal = farm.proposal_of(vec![step(valve(), operation, None)]);
        farm.repels(Code::UnknownOperation, "known-operation", |farm| farm.propose(&proposal));
    }
    let good = farm.proposal();
    farm.carries_out(&good);
}

#[test]
fn a_toggle_or_an_increment() {
    let mut farm = Farm::brief();
    for operation in ["toggle", "invert", "increment", "open_more"] {
        let proposal = farm.proposal_of(vec![step(valve(), operation, Some(6.0))]);
        farm.repels(Code::UnknownOperation, "known-operation", |farm| farm.propose(&proposal));
    }
    let mut by = step(valve(), "open", Some(6.0));
    by.parameters.insert("by_percent".to_owned(), Value::Number(10.0));
    let proposal = farm.proposal_of(vec![by]);
    farm.repels(Code::InvalidParams, "parameters", |farm| farm.propose(&proposal));
    let good = farm.proposal();
    farm.carries_out(&good);
}

#[test]
fn a_valve_that_is_called_a_mock() {
    let mut farm = Farm::brief();
    for name in ["actuator:mock:valve-food-forest", "actuator:mock"] {
        let proposal = farm.proposal_of(vec![step(capability(name), "open", Some(6.0))]);
        farm.repels(Code::AmbiguousOwner, "one-owner", |farm| farm.propose(&proposal));
    }
    let good = farm.proposal();
    farm.carries_out(&good);
}

#[test]
fn a_plan_without_an_end() {
    let mut farm = Farm::brief();
    for for_s in [None, Some(1e9), Some(0.0), Some(-6.0)] {
        let proposal = farm.proposal_of(vec![step(valve(), "open", for_s), step(pump(), "start", for_s)]);
        farm.repels(Code::LimitExceeded, "bounded-irrigation", |farm| farm.propose(&proposal));
    }
    let good = farm.proposal();
    farm.carries_out(&good);
}

#[test]
fn a_level_that_whoever_approves_chose() {
    let mut farm = Farm::brief_with(|policy| policy.actuators.iter_mut().for_each(|it| it.level = Level::L3));
    let offer = farm.asked();
    assert_eq!(offer.level, Level::L3, "the policy of the owner says so");
    let mut approval = Approval::answering(&offer, Decision::Approve, None, farm.lab.now_ms());
    approval.level = Level::L2;
    let lowered = approval::seal(&ann(), &approval);
    farm.repels(Code::ApprovalMismatch, "approval.level", |farm| farm.submit(AskKind::Approval, lowered));
    for person in [cy(), gus()] {
        assert_eq!(code(&farm.answer(&person, &offer, Decision::Approve)), None);
    }
    farm.assert_executing(&offer);
}

#[test]
fn a_proposal_for_another_owner_or_site() {
    let mut farm = Farm::brief();
    let other = clawmesh_authority::ContentHash([1; 32]);
    farm.repels(Code::SiteMismatch, "same-site", |farm| farm.propose_with(|it| it.site = other));
    let center = farm.lab.id(CENTER);
    farm.repels(Code::InvalidParams, "request.content", |farm| farm.propose_with(|it| it.owner = center));
    let good = farm.proposal();
    farm.carries_out(&good);
}
