//! An approval is a capability: whose it is, for what, for how long.

use clawmesh_authority::approval::{self, Approval, Decision};
use clawmesh_authority::leadership::Term;
use clawmesh_authority::signed::{self, Purpose};
use clawmesh_authority::{
    AskKind, Code, ContentHash, HazardClass, KeyId as _, Level, Maker, MeshId, Mind, NodeId, Offer,
    OperatorKey, ProposalId, RequestBody, canonical,
};

use super::rig::{CENTER, FIELD, Farm, ann, bo, code, cy, dee, eve, flo, gus, step, stranger, valve};

/// A farm on which somebody is asked for a proposal in which everything is right.
fn asked() -> (Farm, Offer) {
    asked_on(Farm::brief())
}

fn asked_on(mut farm: Farm) -> (Farm, Offer) {
    let proposal = farm.proposal();
    assert_eq!(code(&farm.propose(&proposal)), None);
    farm.run_seconds(1);
    let offer = farm.offer(proposal.id());
    (farm, offer)
}

/// A key like the one of the `n`-th node, in the hands of a program that poses as a person.
fn key_of_node(n: u8) -> OperatorKey {
    let mut secret = [0; 32];
    secret[0] = n;
    OperatorKey::from_secret(&secret)
}

impl Farm {
    fn bring(&mut self, key: &OperatorKey, approval: &Approval) -> clawmesh_authority::Answer {
        self.lab.ask(FIELD, AskKind::Approval, approval::seal(key, approval))
    }
}

#[test]
fn s4_an_approval_that_is_not_field_by_field_its_offer_is_refused_by_the_rule_of_that_field() {
    let (mut farm, offer) = asked();
    let now_ms = farm.lab.now_ms();
    let with = |change: &dyn Fn(&mut Approval)| {
        let mut approval = Approval::answering(&offer, Decision::Approve, None, now_ms);
        change(&mut approval);
        approval
    };
    let center = farm.lab.id(CENTER);
    let (mismatch, replayed) = (Code::ApprovalMismatch, Code::ApprovalReplayed);
    for (approval, code, rule) in [
        (with(&|it| it.mesh = MeshId::of_name("another")), mismatch, "approval.mesh"),
        (with(&|it| it.owner = center), mismatch, "approval.owner"),
        (with(&|it| it.site = ContentHash([1; 32])), mismatch, "approval.site"),
        (with(&|it| it.policy = ContentHash([1; 32])), mismatch, "approval.policy"),
        (with(&|it| it.proposal = ProposalId([1; 32])), mismatch, "approval.proposal"),
        (with(&|it| it.card = ContentHash([1; 32])), mismatch, "approval.card"),
        (with(&|it| it.level = Level::L3), mismatch, "approval.level"),
        (with(&|it| drop(it.steps.pop())), mismatch, "approval.steps"),
        (with(&|it| it.steps.reverse()), mismatch, "approval.steps"),
        (with(&|it| it.steps[0] = step(valve(), "open", Some(2_400.0))), mismatch, "approval.steps"),
        (with(&|it| it.nonce = [1; 32]), replayed, "approval.nonce"),
    ] {
        let answer = farm.bring(&ann(), &approval);
        farm.assert_refused(&answer, code, rule);
    }
    farm.assert_carried_out(&offer);
}

#[test]
fn s4_an_approval_for_another_offer_is_refused_by_its_own_rule() {
    let (mut farm, offer) = asked();
    let other = farm.proposal_of(vec![step(valve(), "open", Some(9.0))]);
    assert_eq!(code(&farm.propose(&other)), None);
    farm.run_seconds(1);
    let other = farm.offer(other.id());
    for (mut approval, nonce) in [(&offer, other.nonce), (&other, offer.nonce)]
        .map(|(offer, nonce)| (Approval::answering(offer, Decision::Approve, None, 0), nonce))
    {
        approval.nonce = nonce;
        let answer = farm.bring(&ann(), &approval);
        assert_eq!(code(&answer), Some((Code::ApprovalMismatch, "approval.proposal")));
        assert_eq!(farm.switched_on(), []);
    }
    farm.assert_carried_out(&offer);
}

#[test]
fn s4_only_an_enrolled_person_who_may_says_yes_and_no_key_of_a_program_does() {
    let (mut farm, offer) = asked();
    for (key, code, rule) in [
        (stranger(), Code::NotAuthorized, "operator.enrolled"),
        (key_of_node(1), Code::NotAuthorized, "operator.enrolled"),
        (key_of_node(2), Code::NotAuthorized, "approval.not_the_owner"),
        (eve(), Code::OperatorRevoked, "operator.not_revoked"),
        (flo(), Code::NotAuthorized, "operator.role"),
        (bo(), Code::NotAuthorized, "operator.role"),
    ] {
        let answer = farm.answer(&key, &offer, Decision::Approve);
        farm.assert_refused(&answer, code, rule);
    }
    farm.assert_carried_out(&offer);
}

#[test]
fn s4_an_operator_may_say_no_and_that_settles_it() {
    let (mut farm, offer) = asked();
    let answer = farm.answer(&flo(), &offer, Decision::Reject);
    farm.assert_refused(&answer, Code::NotAuthorized, "operator.role");
    assert_eq!(code(&farm.answer(&bo(), &offer, Decision::Reject)), None);
    farm.run_seconds(1);
    assert_eq!(farm.state(offer.proposal), "rejected");
    assert!(farm.last_words(offer.proposal).contains("Bo says no: not today"));
    let answer = farm.answer(&ann(), &offer, Decision::Approve);
    farm.assert_refused(&answer, Code::ApprovalReplayed, "approval.nonce");
    let again = farm.proposal();
    farm.assert_goes_through(&again);
}

#[test]
fn s4_bytes_that_were_altered_or_signed_for_something_else_are_no_approval() {
    let (mut farm, offer) = asked();
    let approval = Approval::answering(&offer, Decision::Approve, None, 0);
    let good = approval::seal(&ann(), &approval);
    let mut altered = good.clone();
    *altered.last_mut().expect("it has bytes") ^= 1;
    let mut no = approval.clone();
    no.decision = Decision::Reject;
    no.reason = Some("not today".to_owned());
    let no = approval::seal(&ann(), &no);
    // The signature of a no under the content of a yes.
    let mut spliced = good[..good.len() - 64].to_vec();
    spliced.extend(&no[no.len() - 64..]);
    let as_request = signed::seal(&ann(), Purpose::REQUEST, canonical::encode(&approval));
    for (bytes, code, rule) in [
        (altered, Code::BadSignature, "approval.signature"),
        (spliced, Code::BadSignature, "approval.signature"),
        (as_request, Code::BadSignature, "approval.signature"),
        (canonical::encode(&approval), Code::MalformedEnvelope, "approval.form"),
        (Vec::new(), Code::MalformedEnvelope, "approval.form"),
    ] {
        let answer = farm.lab.ask(FIELD, AskKind::Approval, bytes);
        farm.assert_refused(&answer, code, rule);
    }
    let answer = farm.lab.ask(FIELD, AskKind::Request, good);
    farm.assert_refused(&answer, Code::MalformedEnvelope, "request.form");
    farm.assert_carried_out(&offer);
}

#[test]
fn s4_an_approval_counts_once() {
    let (mut farm, offer) = asked();
    farm.assert_carried_out(&offer);
    let on = farm.switched_on();
    for key in [ann(), cy()] {
        let answer = farm.answer(&key, &offer, Decision::Approve);
        assert_eq!(code(&answer), Some((Code::ApprovalReplayed, "approval.nonce")));
    }
    farm.run_seconds(12);
    assert_eq!(farm.state(offer.proposal), "completed");
    let answer = farm.answer(&ann(), &offer, Decision::Approve);
    assert_eq!(code(&answer), Some((Code::ApprovalReplayed, "approval.nonce")));
    farm.run_seconds(2);
    assert_eq!(farm.switched_on(), on, "nothing is switched on a second time");
    assert_eq!(farm.lab.replay(FIELD).difference, None);
}

#[test]
fn s4_an_offer_dies_by_the_clock_of_its_owner() {
    let offer = asked_on(Farm::calm()).1;
    assert_eq!(offer.expires_after_ms, 300_000, "the shipped farm gives five minutes for a pump");
    let brief = Farm::brief_with(|policy| {
        policy.offer_expires_s.insert(HazardClass::Hazardous, 4);
    });
    let (mut farm, offer) = asked_on(brief);
    farm.run_seconds(4);
    assert_eq!(farm.state(offer.proposal), "expired");
    let answer = farm.answer(&ann(), &offer, Decision::Approve);
    farm.assert_refused(&answer, Code::ApprovalExpired, "approval.in_time");
    let (mut farm, offer) = asked_on(farm);
    farm.run_seconds(2);
    farm.assert_carried_out(&offer);
}

#[test]
fn s4_an_offer_dies_in_time_although_its_owner_does_not_tick_and_lives_although_a_clock_is_set() {
    let mut farm = Farm::brief_with(|policy| {
        policy.offer_expires_s.insert(HazardClass::Hazardous, 8);
    });
    let offer;
    (farm, offer) = asked_on(farm);
    farm.lab.stall_seconds(8);
    let answer = farm.answer(&ann(), &offer, Decision::Approve);
    farm.assert_refused(&answer, Code::ApprovalExpired, "approval.in_time");
    assert_eq!(farm.state(offer.proposal), "expired");
    farm.run_seconds(2);
    let (mut farm, offer) = asked_on(farm);
    farm.set_clocks_forward(3_600_000);
    farm.assert_carried_out(&offer);
}

#[test]
fn s4_at_l3_two_persons_approve_and_a_delegate_is_none() {
    let level = |policy: &mut clawmesh_authority::Policy| {
        policy.actuators.iter_mut().for_each(|rules| rules.level = Level::L3);
    };
    let (mut farm, offer) = asked_on(Farm::brief_with(level));
    assert_eq!(offer.level, Level::L3);
    assert_eq!(code(&farm.answer(&ann(), &offer, Decision::Approve)), None);
    farm.run_seconds(1);
    let report = farm.report(offer.proposal);
    assert_eq!(
        (farm.state(offer.proposal).as_str(), report.approved_by),
        ("awaiting_approval", vec![ann().id()])
    );
    for key in [ann(), dee()] {
        let answer = farm.answer(&key, &offer, Decision::Approve);
        farm.assert_refused(&answer, Code::TwoPersonRequired, "approval.two_people");
    }
    assert_eq!(code(&farm.answer(&cy(), &offer, Decision::Approve)), None);
    farm.assert_executing(&offer);
}

#[test]
fn s4_whoever_asked_or_owns_the_session_that_asked_does_not_approve_where_others_must() {
    let four_eyes = |policy: &mut clawmesh_authority::Policy| {
        policy.actuators.iter_mut().for_each(|rules| rules.four_eyes = true);
    };
    for mind in [
        Mind::Operator(ann().id()),
        Mind::Model { name: "some-model".to_owned(), session_of: Some(ann().id()) },
    ] {
        let mut farm = Farm::brief_with(four_eyes);
        let mut proposal = farm.proposal();
        let answer = match mind {
            Mind::Operator(person) => {
                proposal.maker = Maker::person(proposal.maker.node, person);
                farm.ask_as(&ann(), RequestBody::Propose(proposal.clone()))
            }
            model => {
                proposal.maker.mind = model;
                farm.propose(&proposal)
            }
        };
        assert_eq!(code(&answer), None);
        farm.run_seconds(1);
        let offer = farm.offer(proposal.id());
        for key in [ann(), dee()] {
            let answer = farm.answer(&key, &offer, Decision::Approve);
            farm.assert_refused(&answer, Code::SelfApproval, "approval.not_own");
        }
        assert_eq!(code(&farm.answer(&gus(), &offer, Decision::Approve)), None);
        farm.assert_executing(&offer);
    }
}

#[test]
fn s4_where_one_pair_of_eyes_is_enough_a_farmer_approves_what_they_asked_for() {
    let mut farm = Farm::brief();
    let mut proposal = farm.proposal();
    proposal.maker = Maker::person(proposal.maker.node, ann().id());
    assert_eq!(code(&farm.ask_as(&ann(), RequestBody::Propose(proposal.clone()))), None);
    farm.run_seconds(1);
    let offer = farm.offer(proposal.id());
    farm.assert_carried_out(&offer);
}

#[test]
fn s4_nobody_hides_behind_the_name_of_a_program_or_of_somebody_else() {
    let mut farm = Farm::brief();
    let program = Mind::Utility { name: "dryness".to_owned() };
    let of_key = NodeId::of_public_key(ann().public().raw());
    // Who poses as a program could approve their own where others must.
    let posing = Maker { node: of_key, mind: program.clone(), term: Some(Term(1)) };
    let session = Mind::Model { name: "some-model".to_owned(), session_of: None };
    let posing_as_a_model = Maker { node: of_key, mind: session, term: Some(Term(1)) };
    let at_another_node = Maker { node: farm.lab.id(CENTER), mind: program, term: Some(Term(1)) };
    let somebody_else = Maker::person(farm.lab.id(CENTER), bo().id());
    for maker in [posing, posing_as_a_model, at_another_node, somebody_else] {
        let mut proposal = farm.proposal();
        proposal.maker = maker;
        let answer = farm.ask_as(&ann(), RequestBody::Propose(proposal));
        farm.assert_refused(&answer, Code::NotAuthorized, "request.maker");
    }
    // A node in the name of a person.
    let mut proposal = farm.proposal();
    proposal.maker = Maker::person(proposal.maker.node, ann().id());
    let answer = farm.propose(&proposal);
    farm.assert_refused(&answer, Code::NotAuthorized, "request.maker");
    let good = farm.proposal();
    farm.assert_goes_through(&good);
}
