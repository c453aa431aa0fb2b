//! Hands win, and nobody takes them off but people.

use clawmesh_authority::request;
use clawmesh_authority::{Capability, Code, RequestBody, Value};
use clawmesh_lab::Lab;

use crate::proposals::rig::{CENTER, FIELD, Farm, ann, bo, capability, code, flo, pump, valve};

fn tag(actuator: Capability) -> RequestBody {
    RequestBody::Tag { actuator, why: "somebody is in the shaft".to_owned() }
}

fn untag(actuator: Capability) -> RequestBody {
    RequestBody::Untag { actuator, why: "everybody is out".to_owned() }
}

#[test]
fn local_control() {
    let mut farm = Farm::brief();
    farm.hardware.hold(&valve(), true);
    farm.run_seconds(1);
    let proposal = farm.proposal();
    farm.repels(Code::LocalControl, "manual-override", |farm| farm.propose(&proposal));
    farm.hardware.hold(&valve(), false);
    farm.run_seconds(1);
    let good = farm.proposal();
    farm.carries_out(&good);
}

#[test]
fn a_note_that_takes_a_tag_off() {
    let mut farm = Farm::brief();
    assert_eq!(code(&farm.ask_as(&flo(), tag(valve()))), None, "whoever sees it may");
    let name = format!("out-of-service/{}", valve());
    for (node, value) in [(CENTER, true), (CENTER, false), (FIELD, true), (FIELD, false)] {
        farm.lab.record(node, &name, Value::Flag(value));
        farm.run_seconds(1);
    }
    farm.assert_shown(Code::NotAuthorized, "tag.person");
    let proposal = farm.proposal();
    farm.repels(Code::OutOfService, "out-of-service", |farm| farm.propose(&proposal));
    farm.restart();
    farm.run_seconds(3);
    let proposal = farm.proposal();
    farm.repels(Code::OutOfService, "out-of-service", |farm| farm.propose(&proposal));
    assert_eq!(code(&farm.ask_as(&ann(), untag(valve()))), None);
    let good = farm.proposal();
    farm.carries_out(&good);
}

#[test]
fn a_tag_that_a_node_or_somebody_else_takes_off() {
    let mut farm = Farm::brief();
    assert_eq!(code(&farm.ask_as(&flo(), tag(valve()))), None);
    let of_node = farm.request(untag(valve()));
    let of_node = request::seal(&Lab::key_of(1), &of_node);
    farm.repels(Code::NotAuthorized, "request.person", |farm| {
        farm.submit(clawmesh_authority::AskKind::Request, of_node)
    });
    farm.repels(Code::NotAuthorized, "operator.role", |farm| farm.ask_as(&flo(), untag(valve())));
    farm.repels(Code::NotAuthorized, "tag.owner", |farm| farm.ask_as(&bo(), untag(valve())));
    assert_eq!(code(&farm.ask_as(&ann(), untag(valve()))), None, "a supervisor may");
    let good = farm.proposal();
    farm.carries_out(&good);
}

#[test]
fn a_tag_and_a_yes_in_one_tick() {
    let mut farm = Farm::brief();
    let offer = farm.asked();
    farm.ask_unheard(&flo(), tag(pump()));
    farm.answer_unheard(&ann(), &offer);
    farm.run_seconds(1);
    assert_eq!(farm.switched_on(), []);
    farm.assert_failed(offer.proposal, Code::OutOfService, "(out-of-service)");
    farm.replays();
}

#[test]
fn a_word_from_before_the_tag_that_takes_it_off() {
    let mut farm = Farm::brief();
    let early = farm.request(untag(valve()));
    let early = request::seal(&ann(), &early);
    farm.run_seconds(1);
    assert_eq!(code(&farm.ask_as(&flo(), tag(valve()))), None);
    farm.repels(Code::OutOfService, "tag.newest", |farm| {
        farm.submit(clawmesh_authority::AskKind::Request, early)
    });
    farm.run_seconds(1);
    assert_eq!(code(&farm.ask_as(&ann(), untag(valve()))), None);
    let good = farm.proposal();
    farm.carries_out(&good);
}

#[test]
fn a_tag_for_what_is_not_there() {
    let mut farm = Farm::brief();
    let typo = capability("actuator:valve:valve-food-forst");
    farm.repels(Code::AmbiguousOwner, "one-owner", |farm| farm.ask_as(&bo(), tag(typo)));
    farm.repels(Code::InvalidParams, "tag.on", |farm| farm.ask_as(&bo(), untag(valve())));
}
