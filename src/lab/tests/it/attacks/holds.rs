//! What a person holds back.

use clawmesh_authority::hold::Held;
use clawmesh_authority::request;
use clawmesh_authority::{AskKind, Code, Decision, HazardClass, Maker, RequestBody};
use clawmesh_lab::Lab;

use crate::proposals::rig::{Farm, ann, bo, capability, code, cy, flo, gus, pump, stranger, valve};

fn hold(what: Held) -> RequestBody {
    RequestBody::Hold { what, why: "visitors until noon".to_owned() }
}

fn release(what: Held) -> RequestBody {
    RequestBody::Release { what, why: "they are gone".to_owned() }
}

#[test]
fn what_a_program_asks_for_while_programs_are_frozen() {
    let mut farm = Farm::brief();
    assert_eq!(code(&farm.ask_as(&bo(), hold(Held::Programs))), None);
    farm.repels(Code::Frozen, "on-hold", |farm| farm.propose_with(|_| {}));
    // Bo asks for the same in his own name, and it goes through.
    let mut own = farm.proposal();
    own.maker = Maker::person(own.maker.node, bo().id());
    farm.speak();
    assert_eq!(code(&farm.ask_as(&bo(), RequestBody::Propose(own.clone()))), None);
    farm.run_seconds(1);
    let offer = farm.offer(own.id());
    farm.assert_carried_out(&offer);
    farm.run_seconds(12);
    assert_eq!(code(&farm.ask_as(&bo(), release(Held::Programs))), None);
    let good = farm.proposal();
    farm.carries_out(&good);
}

#[test]
fn a_class_or_an_actuator_that_is_frozen() {
    for what in [Held::Class(HazardClass::Hazardous), Held::Actuator(pump()), Held::Actuator(valve())] {
        let mut farm = Farm::brief();
        assert_eq!(code(&farm.ask_as(&bo(), hold(what.clone()))), None);
        farm.repels(Code::Frozen, "on-hold", |farm| farm.propose_with(|_| {}));
        assert_eq!(code(&farm.ask_as(&bo(), release(what))), None);
        let good = farm.proposal();
        farm.carries_out(&good);
    }
}

#[test]
fn a_yes_to_what_is_on_hold() {
    let mut farm = Farm::brief();
    let offer = farm.asked();
    let what = Held::Proposal(offer.proposal);
    assert_eq!(code(&farm.ask_as(&bo(), hold(what.clone()))), None);
    farm.repels(Code::Frozen, "on-hold", |farm| farm.answer(&ann(), &offer, Decision::Approve));
    assert!(
        farm.last_words(offer.proposal).starts_with("Bo holds proposal"),
        "{}",
        farm.last_words(offer.proposal)
    );
    assert_eq!(farm.state(offer.proposal), "awaiting_approval", "it waits");
    assert_eq!(code(&farm.ask_as(&bo(), release(what))), None);
    farm.assert_carried_out(&offer);
    farm.replays();
}

#[test]
fn a_hold_and_a_yes_in_one_tick() {
    let mut farm = Farm::brief();
    let offer = farm.asked();
    farm.answer_unheard(&ann(), &offer);
    farm.ask_unheard(&bo(), hold(Held::Programs));
    farm.run_seconds(1);
    assert_eq!(farm.switched_on(), []);
    assert_eq!(farm.state(offer.proposal), "awaiting_approval");
    assert_eq!(code(&farm.ask_as(&bo(), release(Held::Programs))), None);
    farm.assert_carried_out(&offer);
    farm.replays();
}

#[test]
fn a_hold_that_somebody_else_releases() {
    let mut farm = Farm::brief();
    let early = farm.request(release(Held::Programs));
    let early = request::seal(&gus(), &early);
    farm.run_seconds(1);
    assert_eq!(code(&farm.ask_as(&cy(), hold(Held::Programs))), None);
    let of_node = farm.request(release(Held::Programs));
    let of_node = request::seal(&Lab::key_of(1), &of_node);
    farm.repels(Code::NotAuthorized, "request.person", |farm| farm.submit(AskKind::Request, of_node));
    farm.repels(Code::NotAuthorized, "operator.role", |farm| farm.ask_as(&flo(), release(Held::Programs)));
    farm.repels(Code::NotAuthorized, "hold.owner", |farm| farm.ask_as(&bo(), release(Held::Programs)));
    farm.repels(Code::NotAuthorized, "request.signer", |farm| {
        farm.ask_as(&stranger(), release(Held::Programs))
    });
    farm.repels(Code::Frozen, "hold.newest", |farm| farm.submit(AskKind::Request, early));
    farm.repels(Code::Frozen, "on-hold", |farm| farm.propose_with(|_| {}));
    assert_eq!(code(&farm.ask_as(&ann(), release(Held::Programs))), None, "a supervisor may");
    farm.repels(Code::InvalidParams, "hold.on", |farm| farm.ask_as(&ann(), release(Held::Programs)));
    let good = farm.proposal();
    farm.carries_out(&good);
}

#[test]
fn a_hold_of_a_node_or_of_what_is_not_there() {
    let mut farm = Farm::brief();
    let of_node = farm.request(hold(Held::Programs));
    let of_node = request::seal(&Lab::key_of(1), &of_node);
    farm.repels(Code::NotAuthorized, "request.person", |farm| farm.submit(AskKind::Request, of_node));
    farm.repels(Code::NotAuthorized, "operator.role", |farm| farm.ask_as(&flo(), hold(Held::Programs)));
    let typo = Held::Actuator(capability("actuator:valve:valve-food-forst"));
    farm.repels(Code::AmbiguousOwner, "one-owner", |farm| farm.ask_as(&bo(), hold(typo)));
    let unknown = Held::Proposal(clawmesh_authority::ProposalId([7; 32]));
    farm.repels(Code::InvalidParams, "proposal.known", |farm| farm.ask_as(&bo(), hold(unknown)));
    let good = farm.proposal();
    farm.carries_out(&good);
}

#[test]
fn a_hold_that_a_restart_would_forget() {
    let mut farm = Farm::brief();
    assert_eq!(code(&farm.ask_as(&bo(), hold(Held::Programs))), None);
    farm.restart();
    farm.run_seconds(3);
    farm.repels(Code::Frozen, "on-hold", |farm| farm.propose_with(|_| {}));
    assert_eq!(code(&farm.ask_as(&bo(), release(Held::Programs))), None);
    let good = farm.proposal();
    farm.carries_out(&good);
}

#[test]
fn what_runs_when_programs_are_frozen_goes_on_and_may_still_be_called_off() {
    let mut farm = Farm::brief();
    let offer = farm.runs();
    assert_eq!(code(&farm.ask_as(&bo(), hold(Held::Programs))), None);
    farm.run_seconds(2);
    assert_eq!(farm.state(offer.proposal), "executing");
    let why = "enough".to_owned();
    assert_eq!(code(&farm.ask_as(&bo(), RequestBody::Withdraw { proposal: offer.proposal, why })), None);
    farm.run_seconds(2);
    assert!(farm.lab.snapshot(crate::proposals::rig::FIELD).actuators.iter().all(|row| row.is_safe));
    farm.replays();
}
