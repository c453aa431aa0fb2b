//! Whose key counts: what was revoked, where, and by whom.

use std::collections::BTreeSet;

use clawmesh_authority::envelope::{self, Body, Statement};
use clawmesh_authority::reading::PassedOn;
use clawmesh_authority::request;
use clawmesh_authority::{
    Answer, AskKind, Code, Decision, Frame, Hlc, Lane, MeshId, Operator, OperatorId, OperatorKey, Request,
    RequestBody, Role,
};
use clawmesh_core::intake::{InputBody, SourceId};
use clawmesh_core::people::{People, Revocations};
use clawmesh_lab::Lab;

use crate::proposals::rig::{CENTER, FIELD, Farm, ann, bo, code, cy, dee, eve, gus, people, pump, stranger};

fn revoke(key: &OperatorKey) -> RequestBody {
    RequestBody::Revoke { key: key.id(), why: "the phone is lost".to_owned() }
}

impl Farm {
    /// A person asks the command center.
    fn ask_center(&mut self, by: &OperatorKey, body: RequestBody) -> Answer {
        let request = Request { owner: self.lab.id(CENTER), ..self.request(body) };
        self.lab.ask(CENTER, AskKind::Request, request::seal(by, &request))
    }

    /// The command center, which is trusted, passes on to the owner what `by` has signed for it.
    fn passes_on(&mut self, sequence: u64, key: OperatorId, by: &OperatorKey, mesh: &str, body: RequestBody) {
        let request =
            Request { owner: self.lab.id(CENTER), mesh: MeshId::of_name(mesh), ..self.request(body) };
        let hlc = Hlc { wall_ms: self.lab.now_ms(), logical: 0 };
        let passed_on = PassedOn { key, request: request::seal(by, &request) };
        let body = Body::Frame(Frame::Revocation(passed_on));
        let statement = Statement { mesh: MeshId::of_name("lab"), epoch: 99, sequence, hlc, body };
        let bytes = envelope::seal(&Lab::key_of(1), &statement);
        let from = SourceId::Node(Lab::id_of(1));
        self.lab.offer(FIELD, from, InputBody::Envelope { lane: Lane::State, bytes });
        self.run_seconds(1);
    }

    fn is_revoked(&self, node: &str, key: &OperatorKey) -> bool {
        self.lab.core(node).world().resource::<People>().0.is_revoked(&key.id())
    }
}

#[test]
fn a_yes_by_a_key_that_was_revoked_at_another_node() {
    let mut farm = Farm::brief();
    let offer = farm.asked();
    assert_eq!(code(&farm.ask_center(&gus(), revoke(&ann()))), None);
    farm.run_seconds(2);
    farm.repels(Code::OperatorRevoked, "operator.not_revoked", |farm| {
        farm.answer(&ann(), &offer, Decision::Approve)
    });
    // Dee stands for Ann, and Cy for nobody.
    farm.repels(Code::OperatorRevoked, "operator.not_revoked", |farm| {
        farm.answer(&dee(), &offer, Decision::Approve)
    });
    assert_eq!(code(&farm.answer(&cy(), &offer, Decision::Approve)), None);
    farm.assert_executing(&offer);
    farm.replays();
}

#[test]
fn a_yes_by_a_key_that_was_revoked_while_its_owner_was_away() {
    let mut farm = Farm::brief();
    farm.lab.partition(&[CENTER], &[FIELD]);
    assert_eq!(code(&farm.ask_center(&gus(), revoke(&ann()))), None);
    farm.run_seconds(3);
    assert!(farm.is_revoked(CENTER, &ann()) && !farm.is_revoked(FIELD, &ann()), "it has not heard of it");
    farm.lab.heal();
    farm.run_seconds(20);
    assert!(farm.is_revoked(FIELD, &ann()), "it is told when it is heard again");
    let offer = farm.asked();
    farm.repels(Code::OperatorRevoked, "operator.not_revoked", |farm| {
        farm.answer(&ann(), &offer, Decision::Approve)
    });
    farm.assert_carried_out_by_cy(&offer);
}

impl Farm {
    fn assert_carried_out_by_cy(&mut self, offer: &clawmesh_authority::Offer) {
        assert_eq!(code(&self.answer(&cy(), offer, Decision::Approve)), None);
        self.assert_executing(offer);
    }
}

#[test]
fn a_revocation_and_a_yes_of_its_key_in_one_tick() {
    let mut farm = Farm::brief();
    let offer = farm.asked();
    farm.answer_unheard(&ann(), &offer);
    farm.ask_unheard(&gus(), revoke(&ann()));
    farm.run_seconds(1);
    assert_eq!((farm.switched_on(), farm.state(offer.proposal).as_str()), (vec![], "awaiting_approval"));
    farm.assert_carried_out_by_cy(&offer);
    farm.replays();
}

#[test]
fn what_runs_by_a_key_that_is_revoked_ends() {
    let mut farm = Farm::brief();
    let offer = farm.asked();
    assert_eq!(code(&farm.answer(&ann(), &offer, Decision::Approve)), None);
    farm.assert_executing(&offer);
    assert_eq!(code(&farm.ask_as(&gus(), revoke(&bo()))), None);
    farm.run_seconds(1);
    assert_eq!(farm.state(offer.proposal), "executing", "Bo has not approved it");
    assert_eq!(code(&farm.ask_as(&gus(), revoke(&ann()))), None);
    farm.run_seconds(2);
    farm.assert_failed(offer.proposal, Code::OperatorRevoked, "who approved it may not any more");
    assert!(!farm.hardware.is_on(&pump()));
    farm.replays();
}

#[test]
fn a_list_that_is_read_anew_or_a_restart_that_brings_a_key_back() {
    let mut farm = Farm::brief();
    // Nobody else heard of it who could tell it again.
    farm.lab.partition(&[CENTER], &[FIELD]);
    assert_eq!(code(&farm.ask_as(&gus(), revoke(&ann()))), None);
    farm.change_people(|roster| *roster = people());
    assert!(farm.is_revoked(FIELD, &ann()), "the list knows nothing of it");
    farm.restart();
    farm.run_seconds(1);
    assert!(farm.is_revoked(FIELD, &ann()) && !farm.is_revoked(CENTER, &ann()), "it was kept");
    farm.lab.heal();
    farm.run_seconds(12);
    let offer = farm.asked();
    farm.repels(Code::OperatorRevoked, "operator.not_revoked", |farm| {
        farm.answer(&ann(), &offer, Decision::Approve)
    });
    farm.assert_carried_out_by_cy(&offer);
    farm.replays();
}

#[test]
fn whoever_may_not_revoke_and_gives_up_their_own_key() {
    let mut farm = Farm::brief();
    for (by, expected) in
        [(cy(), Code::NotAuthorized), (bo(), Code::NotAuthorized), (eve(), Code::OperatorRevoked)]
    {
        farm.repels(expected, "revocation.supervisor", |farm| farm.ask_as(&by, revoke(&gus())));
    }
    farm.repels(Code::NotAuthorized, "request.signer", |farm| farm.ask_as(&stranger(), revoke(&stranger())));
    farm.repels(Code::NotAuthorized, "request.person", |farm| {
        let request = farm.request(revoke(&gus()));
        farm.lab.ask(FIELD, AskKind::Request, request::seal(&Lab::key_of(1), &request))
    });
    assert!(!farm.is_revoked(FIELD, &gus()));
    assert_eq!(code(&farm.ask_as(&cy(), revoke(&cy()))), None);
    let offer = farm.asked();
    farm.repels(Code::OperatorRevoked, "operator.not_revoked", |farm| {
        farm.answer(&cy(), &offer, Decision::Approve)
    });
    farm.assert_carried_out(&offer);
}

#[test]
fn a_trusted_node_that_passes_on_what_nobody_may_or_something_else() {
    let mut farm = Farm::brief();
    farm.passes_on(1, gus().id(), &cy(), "lab", revoke(&gus()));
    farm.assert_shown(Code::NotAuthorized, "revocation.supervisor");
    farm.passes_on(2, gus().id(), &ann(), "barn", revoke(&gus()));
    farm.assert_shown(Code::MeshIdMismatch, "revocation.mesh");
    farm.passes_on(3, gus().id(), &ann(), "lab", RequestBody::Stop { why: "at the center".to_owned() });
    farm.assert_shown(Code::InvalidParams, "revocation.body");
    farm.passes_on(4, stranger().id(), &stranger(), "lab", revoke(&stranger()));
    farm.assert_shown(Code::NotAuthorized, "revocation.supervisor");
    let world = farm.lab.core(FIELD).world();
    assert_eq!(*world.resource::<Revocations>(), Revocations::default());
    let good = farm.proposal();
    farm.carries_out(&good);
    // The twin: a supervisor has signed it, whatever the frame is called.
    farm.passes_on(5, bo().id(), &ann(), "lab", revoke(&gus()));
    assert!(farm.is_revoked(FIELD, &gus()) && !farm.is_revoked(FIELD, &bo()));
}

#[test]
fn a_node_that_is_trusted_after_its_key_was_enrolled_as_that_of_a_person() {
    let mut farm = Farm::brief();
    let program = Lab::key_of(9);
    let key = OperatorKey::from_secret(&program.secret());
    let person = Operator::of_key(*program.public().raw(), "Mallory", Role::Approver);
    farm.change_people(|roster| roster.enroll(person, &BTreeSet::new()).unwrap());
    let offer = farm.asked();
    assert_eq!(code(&farm.answer(&key, &offer, Decision::Approve)), None, "nobody can tell yet");
    farm.assert_executing(&offer);
    // Now that it is known whose key it is, what runs by it ends, and it approves nothing more.
    let trusted = BTreeSet::from([farm.lab.id(CENTER), program.id()]);
    farm.lab.offer(FIELD, SourceId::Runner, InputBody::TrustChanged(trusted));
    farm.run_seconds(2);
    farm.assert_failed(offer.proposal, Code::OperatorRevoked, "who approved it may not any more");
    let offer = farm.asked();
    farm.repels(Code::OperatorRevoked, "operator.not_revoked", |farm| {
        farm.answer(&key, &offer, Decision::Approve)
    });
    farm.assert_carried_out_by_cy(&offer);
    farm.replays();
}
