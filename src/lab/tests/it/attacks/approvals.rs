//! A yes that is none, or is one for something else.

use clawmesh_authority::approval::{self, Approval};
use clawmesh_authority::{
    AskKind, Code, ContentHash, Decision, Level, Maker, MeshId, Mind, Offer, OperatorKey, ProposalId,
    RequestBody,
};
use clawmesh_core::intake::{InputBody, SourceId};

use super::model;
use crate::proposals::rig::{
    CENTER, FIELD, Farm, ann, bo, code, cy, dee, eve, flo, gus, step, stranger, valve,
};

impl Farm {
    fn signed(&self, key: &OperatorKey, offer: &Offer, change: impl FnOnce(&mut Approval)) -> Vec<u8> {
        let mut approval = Approval::answering(offer, Decision::Approve, None, self.lab.now_ms());
        change(&mut approval);
        approval::seal(key, &approval)
    }

    fn repels_yes(&mut self, expected: Code, rule: &str, bytes: Vec<u8>) {
        self.repels(expected, rule, |farm| farm.submit(AskKind::Approval, bytes));
    }
}

fn at_l3() -> Farm {
    Farm::brief_with(|policy| policy.actuators.iter_mut().for_each(|rules| rules.level = Level::L3))
}

#[test]
fn an_approval_that_is_brought_again() {
    let mut farm = Farm::brief();
    let offer = farm.asked();
    let bytes = farm.signed(&ann(), &offer, |_| ());
    assert_eq!(code(&farm.submit(AskKind::Approval, bytes.clone())), None);
    farm.assert_executing(&offer);
    farm.repels_yes(Code::ApprovalReplayed, "approval.nonce", bytes.clone());
    farm.run_seconds(10);
    let again = farm.asked();
    farm.repels_yes(Code::ApprovalReplayed, "approval.nonce", bytes);
    farm.assert_carried_out(&again);
}

#[test]
fn an_approval_for_another_proposal() {
    let mut farm = Farm::brief();
    let offer = farm.asked();
    for id in [ProposalId([1; 32]), farm.proposal().id()] {
        let bytes = farm.signed(&ann(), &offer, |it| it.proposal = id);
        farm.repels_yes(Code::ApprovalMismatch, "approval.proposal", bytes);
    }
    farm.assert_carried_out(&offer);
}

#[test]
fn an_approval_for_another_mesh_owner_site_policy_or_card() {
    let mut farm = Farm::brief();
    let (offer, center) = (farm.asked(), farm.lab.id(CENTER));
    let other = ContentHash([1; 32]);
    let changes: [(&str, &dyn Fn(&mut Approval)); 5] = [
        ("approval.mesh", &|it| it.mesh = MeshId::of_name("another")),
        ("approval.owner", &|it| it.owner = center),
        ("approval.site", &|it| it.site = other),
        ("approval.policy", &|it| it.policy = other),
        ("approval.card", &|it| it.card = other),
    ];
    for (rule, change) in changes {
        let bytes = farm.signed(&ann(), &offer, change);
        farm.repels_yes(Code::ApprovalMismatch, rule, bytes);
    }
    farm.assert_carried_out(&offer);
}

#[test]
fn an_approval_for_other_parameters() {
    let mut farm = Farm::brief();
    let offer = farm.asked();
    let changes: [&dyn Fn(&mut Approval); 4] = [
        &|it| it.steps[0] = step(valve(), "open", Some(6.000_001)),
        &|it| it.steps.reverse(),
        &|it| drop(it.steps.pop()),
        &|it| it.steps[1].operation = "stop".to_owned(),
    ];
    for change in changes {
        let bytes = farm.signed(&ann(), &offer, change);
        farm.repels_yes(Code::ApprovalMismatch, "approval.steps", bytes);
    }
    farm.assert_carried_out(&offer);
}

#[test]
fn an_approval_that_comes_too_late() {
    let brief =
        || Farm::brief_with(|policy| policy.offer_expires_s.values_mut().for_each(|seconds| *seconds = 4));
    for (seconds, is_late) in [(3, false), (6, true)] {
        let mut farm = brief();
        let offer = farm.asked();
        let bytes = farm.signed(&ann(), &offer, |_| ());
        farm.run_seconds(seconds - 1);
        if is_late {
            farm.repels_yes(Code::ApprovalExpired, "approval.in_time", bytes);
            assert_eq!(farm.state(offer.proposal), "expired");
        } else {
            assert_eq!(code(&farm.submit(AskKind::Approval, bytes)), None);
            farm.assert_executing(&offer);
        }
        farm.replays();
    }
}

#[test]
fn an_approval_that_a_clock_set_back_would_revive() {
    let mut farm =
        Farm::brief_with(|policy| policy.offer_expires_s.values_mut().for_each(|seconds| *seconds = 4));
    let offer = farm.asked();
    let bytes = farm.signed(&ann(), &offer, |_| ());
    farm.run_seconds(6);
    for node in [CENTER, FIELD] {
        farm.lab.set_clock_offset(node, -3_600_000);
    }
    farm.run_seconds(2);
    farm.repels_yes(Code::ApprovalExpired, "approval.in_time", bytes);
}

#[test]
fn an_approval_that_a_restart_would_revive() {
    let mut farm = Farm::brief();
    let offer = farm.asked();
    let bytes = farm.signed(&ann(), &offer, |_| ());
    farm.restart();
    farm.run_seconds(3);
    farm.repels_yes(Code::ApprovalReplayed, "approval.nonce", bytes);
    let anew = farm.offer(offer.proposal);
    farm.assert_carried_out(&anew);
}

#[test]
fn a_key_that_was_revoked() {
    let mut farm = Farm::brief();
    let offer = farm.asked();
    let earlier = farm.signed(&eve(), &offer, |_| ());
    farm.repels_yes(Code::OperatorRevoked, "operator.not_revoked", earlier);
    let kept = farm.signed(&cy(), &offer, |_| ());
    farm.change_people(|people| people.revoke(&cy().id()).unwrap());
    farm.repels_yes(Code::OperatorRevoked, "operator.not_revoked", kept);
    farm.assert_carried_out(&offer);
    farm.replays();
}

#[test]
fn a_key_that_nobody_knows_or_that_may_not() {
    let mut farm = Farm::brief();
    let offer = farm.asked();
    for (key, rule) in [(stranger(), "operator.enrolled"), (flo(), "operator.role"), (bo(), "operator.role")]
    {
        let bytes = farm.signed(&key, &offer, |_| ());
        farm.repels_yes(Code::NotAuthorized, rule, bytes);
    }
    farm.assert_carried_out(&offer);
}

#[test]
fn the_proposer_at_l3() {
    let mut farm = at_l3();
    let proposal = farm.changed(|it| it.maker = Maker::person(it.maker.node, ann().id()));
    assert_eq!(code(&farm.ask_as(&ann(), RequestBody::Propose(proposal.clone()))), None);
    farm.run_seconds(1);
    let offer = farm.offer(proposal.id());
    // Dee stands for Ann.
    for key in [ann(), dee()] {
        let bytes = farm.signed(&key, &offer, |_| ());
        farm.repels_yes(Code::SelfApproval, "approval.not_own", bytes);
    }
    for key in [cy(), gus()] {
        assert_eq!(code(&farm.answer(&key, &offer, Decision::Approve)), None);
    }
    farm.assert_executing(&offer);
    farm.replays();
}

#[test]
fn the_owner_of_the_session_at_l3_and_a_session_that_is_nobodys() {
    let mut farm = at_l3();
    farm.repels(Code::NotAuthorized, "proposal.session", |farm| {
        farm.propose_with(|it| it.maker.mind = model())
    });
    let mind = Mind::Model { name: "some-model".to_owned(), session_of: Some(ann().id()) };
    let proposal = farm.changed(|it| it.maker.mind = mind);
    let offer = farm.asked_for(&proposal);
    let bytes = farm.signed(&ann(), &offer, |_| ());
    farm.repels_yes(Code::SelfApproval, "approval.not_own", bytes);
    for key in [cy(), gus()] {
        assert_eq!(code(&farm.answer(&key, &offer, Decision::Approve)), None);
    }
    farm.assert_executing(&offer);
}

#[test]
fn the_same_person_twice() {
    let mut farm = at_l3();
    let offer = farm.asked();
    assert_eq!(code(&farm.answer(&ann(), &offer, Decision::Approve)), None);
    let bytes = farm.signed(&ann(), &offer, |it| it.signed_ms += 1);
    farm.repels_yes(Code::TwoPersonRequired, "approval.two_people", bytes);
    assert_eq!(code(&farm.answer(&gus(), &offer, Decision::Approve)), None);
    farm.assert_executing(&offer);
}

#[test]
fn a_delegate_and_who_they_stand_for() {
    let mut farm = at_l3();
    let offer = farm.asked();
    assert_eq!(code(&farm.answer(&dee(), &offer, Decision::Approve)), None);
    let bytes = farm.signed(&ann(), &offer, |_| ());
    farm.repels_yes(Code::TwoPersonRequired, "approval.two_people", bytes);
    assert_eq!(code(&farm.answer(&cy(), &offer, Decision::Approve)), None);
    farm.assert_executing(&offer);
}

#[test]
fn people_that_somebody_else_than_the_console_enrolls() {
    let mut farm = Farm::brief();
    let offer = farm.asked();
    let mut roster = crate::proposals::rig::people();
    let person = clawmesh_authority::Operator::of_key(
        *stranger().public().raw(),
        "Mallory",
        clawmesh_authority::Role::Supervisor,
    );
    roster.enroll(person, &std::collections::BTreeSet::new()).unwrap();
    for source in [SourceId::Gateway, SourceId::Bridge, SourceId::Journal, SourceId::Guests] {
        farm.lab.offer(FIELD, source, InputBody::PeopleChanged(roster.clone()));
    }
    farm.lab.run_ticks(2);
    let bytes = farm.signed(&stranger(), &offer, |_| ());
    farm.repels_yes(Code::NotAuthorized, "operator.enrolled", bytes);
    farm.lab.offer(FIELD, SourceId::Runner, InputBody::PeopleChanged(roster));
    farm.lab.run_ticks(2);
    assert_eq!(code(&farm.answer(&stranger(), &offer, Decision::Approve)), None);
    farm.assert_executing(&offer);
}

#[test]
fn a_yes_of_somebody_whom_the_policy_does_not_name() {
    let mut farm = Farm::brief_with(|policy| {
        policy.actuators[0].approvers = vec![ann().id(), gus().id()];
        policy.actuators[1].approvers = vec![gus().id(), cy().id()];
    });
    let offer = farm.asked();
    // Each of them is named for one of the two.
    for by in [cy(), ann(), dee()] {
        let bytes = farm.signed(&by, &offer, |_| ());
        farm.repels_yes(Code::NotAuthorized, "approval.approver", bytes);
    }
    let bytes = farm.signed(&gus(), &offer, |_| ());
    assert_eq!(code(&farm.lab.ask(FIELD, AskKind::Approval, bytes)), None);
    farm.assert_executing(&offer);
    // A policy that does not name him any more ends what runs by him.
    farm.change_policy(|policy| policy.actuators[0].approvers = vec![ann().id()]);
    farm.run_seconds(2);
    farm.assert_failed(offer.proposal, Code::NotAuthorized, "not among those whom the policy names now");
    farm.replays();
}
