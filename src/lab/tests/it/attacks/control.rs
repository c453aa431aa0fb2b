//! What a person has exclusive control of.

use clawmesh_authority::request::{self, CONTROL_S_MAX};
use clawmesh_authority::{AskKind, Capability, Code, Decision, Maker, Offer, OperatorKey, RequestBody};
use clawmesh_lab::Lab;

use crate::proposals::rig::{FIELD, Farm, ann, bo, capability, code, cy, flo, gus, pump, stranger, valve};

fn take(actuator: Capability) -> RequestBody {
    taking(actuator, 1_800, false)
}

fn taking(actuator: Capability, for_s: u32, is_forced: bool) -> RequestBody {
    RequestBody::TakeControl { actuator, for_s, is_forced, why: "we test the new pipe".to_owned() }
}

fn release(actuator: Capability) -> RequestBody {
    RequestBody::ReleaseControl { actuator, why: "the pipe is tight".to_owned() }
}

fn grant(actuator: Capability, to: &OperatorKey) -> RequestBody {
    RequestBody::GrantControl { actuator, to: to.id(), why: "end of my shift".to_owned() }
}

/// The offer of what a person asks for in their own name.
fn asked_by(farm: &mut Farm, person: &OperatorKey) -> Offer {
    farm.speak();
    let mut own = farm.proposal();
    own.maker = Maker::person(own.maker.node, person.id());
    assert_eq!(code(&farm.ask_as(person, RequestBody::Propose(own.clone()))), None);
    farm.run_seconds(1);
    farm.offer(own.id())
}

#[test]
fn a_program_asks_for_what_a_person_has_control_of() {
    for actuator in [pump(), valve()] {
        let mut farm = Farm::brief();
        assert_eq!(code(&farm.ask_as(&bo(), take(actuator.clone()))), None);
        farm.repels(Code::AuthorityHeld, "control", |farm| farm.propose_with(|_| {}));
        // Bo asks for the same in his own name, and it goes through.
        let offer = asked_by(&mut farm, &bo());
        farm.assert_carried_out(&offer);
        farm.run_seconds(12);
        assert_eq!(code(&farm.ask_as(&bo(), release(actuator))), None);
        let good = farm.proposal();
        farm.carries_out(&good);
    }
}

#[test]
fn another_person_asks_for_what_a_person_has_control_of() {
    let mut farm = Farm::brief();
    assert_eq!(code(&farm.ask_as(&bo(), take(pump()))), None);
    farm.repels(Code::AuthorityHeld, "control", |farm| {
        let mut own = farm.proposal();
        own.maker = Maker::person(own.maker.node, cy().id());
        farm.ask_as(&cy(), RequestBody::Propose(own))
    });
    assert_eq!(code(&farm.ask_as(&bo(), grant(pump(), &cy()))), None, "he hands it to her");
    let offer = asked_by(&mut farm, &cy());
    farm.assert_carried_out(&offer);
    farm.replays();
}

#[test]
fn a_yes_to_what_somebody_has_taken_since() {
    let mut farm = Farm::brief();
    let offer = farm.asked();
    assert_eq!(code(&farm.ask_as(&bo(), take(pump()))), None);
    farm.repels(Code::AuthorityHeld, "control", |farm| farm.answer(&ann(), &offer, Decision::Approve));
    assert_eq!(farm.state(offer.proposal), "awaiting_approval", "it waits");
    assert_eq!(code(&farm.ask_as(&bo(), release(pump()))), None);
    farm.assert_carried_out(&offer);
    farm.replays();
}

#[test]
fn a_taking_and_a_yes_in_one_tick() {
    let mut farm = Farm::brief();
    let offer = farm.asked();
    farm.answer_unheard(&ann(), &offer);
    farm.ask_unheard(&bo(), take(valve()));
    farm.run_seconds(1);
    assert_eq!(farm.switched_on(), []);
    assert_eq!(code(&farm.ask_as(&bo(), release(valve()))), None);
    farm.assert_carried_out(&offer);
    farm.replays();
}

#[test]
fn what_runs_for_a_program_when_a_person_takes_control_ends() {
    let mut farm = Farm::brief();
    let offer = farm.runs();
    assert_eq!(code(&farm.ask_as(&bo(), take(pump()))), None);
    farm.run_seconds(2);
    farm.assert_failed(offer.proposal, Code::AuthorityHeld, "Bo has control of actuator:pump:");
    assert!(farm.lab.snapshot(FIELD).actuators.iter().all(|row| row.is_safe));
    farm.replays();
    // The twin: what runs for Bo himself goes on.
    let mut farm = Farm::brief();
    farm.for_s = 20.0;
    let offer = asked_by(&mut farm, &bo());
    farm.assert_carried_out(&offer);
    assert_eq!(code(&farm.ask_as(&bo(), take(pump()))), None);
    farm.run_seconds(2);
    assert_eq!(farm.state(offer.proposal), "executing");
}

#[test]
fn control_that_somebody_else_takes_gives_or_ends() {
    let mut farm = Farm::brief();
    let of_node = |farm: &mut Farm, body| {
        let request = farm.request(body);
        request::seal(&Lab::key_of(1), &request)
    };
    for body in [take(pump()), grant(pump(), &cy()), release(pump())] {
        let bytes = of_node(&mut farm, body);
        farm.repels(Code::NotAuthorized, "request.person", |farm| farm.submit(AskKind::Request, bytes));
    }
    farm.repels(Code::NotAuthorized, "operator.role", |farm| farm.ask_as(&flo(), take(pump())));
    farm.repels(Code::NotAuthorized, "request.signer", |farm| farm.ask_as(&stranger(), take(pump())));
    let typo = capability("actuator:pump:pump-main-1");
    farm.repels(Code::AmbiguousOwner, "one-owner", |farm| farm.ask_as(&bo(), take(typo)));
    farm.repels(Code::InvalidParams, "request.content", |farm| {
        farm.ask_as(&bo(), taking(pump(), CONTROL_S_MAX + 1, false))
    });
    assert_eq!(code(&farm.ask_as(&cy(), take(pump()))), None);
    farm.repels(Code::NotAuthorized, "control.force", |farm| farm.ask_as(&bo(), taking(pump(), 1_800, true)));
    farm.repels(Code::NotAuthorized, "control.owner", |farm| farm.ask_as(&bo(), grant(pump(), &bo())));
    farm.repels(Code::NotAuthorized, "control.owner", |farm| farm.ask_as(&bo(), release(pump())));
    farm.repels(Code::NotAuthorized, "operator.role", |farm| farm.ask_as(&cy(), grant(pump(), &flo())));
    farm.repels(Code::AuthorityHeld, "control", |farm| farm.propose_with(|_| {}));
    assert_eq!(code(&farm.ask_as(&ann(), taking(pump(), 1_800, true))), None, "a supervisor may");
    let offer = asked_by(&mut farm, &ann());
    farm.assert_carried_out(&offer);
    farm.replays();
}

#[test]
fn control_that_is_asked_for_passes_on_after_five_minutes_and_not_before() {
    let mut farm = Farm::brief();
    assert_eq!(code(&farm.ask_as(&cy(), take(pump()))), None);
    assert_eq!(code(&farm.ask_as(&bo(), take(pump()))), None, "he asks for it");
    farm.repels(Code::AuthorityHeld, "control.asked", |farm| farm.ask_as(&gus(), take(pump())));
    farm.run_seconds(295);
    farm.repels(Code::AuthorityHeld, "control", |farm| {
        let mut own = farm.proposal();
        own.maker = Maker::person(own.maker.node, bo().id());
        farm.ask_as(&bo(), RequestBody::Propose(own))
    });
    farm.run_seconds(10);
    let offer = asked_by(&mut farm, &bo());
    farm.assert_carried_out(&offer);
    farm.replays();
}

#[test]
fn control_that_a_restart_or_a_clock_would_end() {
    let mut farm = Farm::brief();
    assert_eq!(code(&farm.ask_as(&bo(), taking(pump(), 600, false))), None);
    farm.restart();
    farm.run_seconds(3);
    farm.repels(Code::AuthorityHeld, "control", |farm| farm.propose_with(|_| {}));
    farm.set_clocks_forward(3_600_000);
    farm.run_seconds(3);
    farm.repels(Code::AuthorityHeld, "control", |farm| farm.propose_with(|_| {}));
    // The twin: when its time is over, it is over.
    farm.run_seconds(600);
    let good = farm.proposal();
    farm.carries_out(&good);
}

#[test]
fn control_after_a_stop() {
    let mut farm = Farm::brief();
    assert_eq!(code(&farm.ask_as(&bo(), take(pump()))), None);
    assert_eq!(code(&farm.ask_as(&gus(), RequestBody::Stop { why: "smoke".to_owned() })), None);
    farm.run_seconds(1);
    let row = |farm: &Farm| {
        let snapshot = farm.lab.snapshot(FIELD);
        snapshot
            .actuators
            .iter()
            .find(|row| row.actuator == pump().as_str())
            .and_then(|row| row.control.clone())
    };
    assert_eq!(row(&farm), None, "nobody has more than anybody else");
    assert_eq!(code(&farm.ask_as(&ann(), RequestBody::Rearm { why: "it was dust".to_owned() })), None);
    farm.run_seconds(3);
    let good = farm.proposal();
    farm.carries_out(&good);
    assert_eq!(code(&farm.ask_as(&bo(), take(pump()))), None);
    farm.run_seconds(1);
    assert_eq!(row(&farm).map(|control| control.name), Some("Bo".to_owned()));
}
