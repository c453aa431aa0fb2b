//! People and the policy of an owner change while it runs: from the next tick on everything is judged by what holds then.

use std::collections::BTreeSet;

use clawmesh_authority::approval::Decision;
use clawmesh_authority::policy::{FOR_S, Must, Parameter};
use clawmesh_authority::{Code, Level, Operator, Policy, ProposalId, Role};
use clawmesh_core::intake::{InputBody, SourceId};

use super::rig::{FIELD, Farm, ann, code, cy, gus, pump, stranger, valve};

fn asked(farm: &mut Farm) -> ProposalId {
    let proposal = farm.proposal();
    assert_eq!(code(&farm.propose(&proposal)), None);
    farm.run_seconds(1);
    proposal.id()
}

/// A farm on which what Ann has approved runs.
fn running() -> (Farm, ProposalId) {
    let mut farm = Farm::brief_with(|_| ());
    farm.for_s = 20.0;
    let (id, offer) = farm.approved_offer();
    farm.assert_executing(&offer);
    farm.run_seconds(2);
    (farm, id)
}

fn replays(farm: &Farm) {
    assert_eq!(farm.lab.replay(FIELD).difference, None);
}

#[test]
fn s4_a_key_that_is_revoked_counts_for_nothing_from_that_tick_on() {
    let mut farm = Farm::brief();
    let id = asked(&mut farm);
    let offer = farm.offer(id);
    farm.change_people(|people| people.revoke(&ann().id()).unwrap());
    let answer = farm.answer(&ann(), &offer, Decision::Approve);
    farm.assert_refused(&answer, Code::OperatorRevoked, "operator.not_revoked");
    // Dee stands for Ann.
    let answer = farm.answer(&super::rig::dee(), &offer, Decision::Approve);
    farm.assert_refused(&answer, Code::OperatorRevoked, "operator.not_revoked");
    assert_eq!(code(&farm.answer(&cy(), &offer, Decision::Approve)), None);
    farm.assert_executing(&offer);
    replays(&farm);
}

#[test]
fn s4_an_approval_and_the_news_that_its_key_is_revoked_in_one_tick_move_nothing() {
    let mut farm = Farm::brief();
    let id = asked(&mut farm);
    let offer = farm.offer(id);
    farm.answer_unheard(&ann(), &offer);
    farm.change_people(|people| people.revoke(&ann().id()).unwrap());
    farm.run_seconds(1);
    assert_eq!((farm.switched_on(), farm.state(id).as_str()), (vec![], "awaiting_approval"));
    farm.assert_shown(Code::OperatorRevoked, "operator.not_revoked");
    assert_eq!(code(&farm.answer(&gus(), &offer, Decision::Approve)), None);
    farm.assert_executing(&offer);
}

#[test]
fn s13_what_a_key_has_approved_ends_when_it_is_revoked_and_what_others_have_approved_goes_on() {
    let (mut farm, id) = running();
    farm.change_people(|people| people.revoke(&cy().id()).unwrap());
    farm.run_seconds(2);
    assert_eq!(farm.state(id), "executing", "Cy has not approved it");
    farm.change_people(|people| people.revoke(&ann().id()).unwrap());
    farm.run_seconds(2);
    farm.assert_failed(id, Code::OperatorRevoked, "who approved it may not any more");
    assert!(!farm.hardware.is_on(&pump()) && !farm.hardware.is_on(&valve()));
    replays(&farm);
}

#[test]
fn s4_at_l3_one_of_two_who_is_revoked_before_the_second_says_yes_does_not_count() {
    let mut farm =
        Farm::brief_with(|policy| policy.actuators.iter_mut().for_each(|rules| rules.level = Level::L3));
    let id = asked(&mut farm);
    let offer = farm.offer(id);
    assert_eq!(code(&farm.answer(&ann(), &offer, Decision::Approve)), None);
    farm.change_people(|people| people.revoke(&ann().id()).unwrap());
    assert_eq!(code(&farm.answer(&cy(), &offer, Decision::Approve)), None);
    farm.run_seconds(1);
    assert_eq!((farm.state(id).as_str(), farm.switched_on()), ("awaiting_approval", vec![]));
    assert_eq!(code(&farm.answer(&gus(), &offer, Decision::Approve)), None);
    farm.assert_executing(&offer);
}

#[test]
fn s4_who_is_enrolled_while_it_runs_may_approve_and_only_the_runner_enrolls() {
    let mut farm = Farm::brief();
    let id = asked(&mut farm);
    let offer = farm.offer(id);
    let newcomer = Operator::of_key(*stranger().public().raw(), "Hal", Role::Approver);
    let mut people = super::rig::people();
    people.enroll(newcomer.clone(), &BTreeSet::new()).unwrap();
    for source in [SourceId::Gateway, SourceId::Bridge, SourceId::Journal] {
        farm.lab.offer(FIELD, source, InputBody::PeopleChanged(people.clone()));
    }
    let answer = farm.answer(&stranger(), &offer, Decision::Approve);
    farm.assert_refused(&answer, Code::NotAuthorized, "operator.enrolled");
    farm.change_people(|known| known.enroll(newcomer, &BTreeSet::new()).unwrap());
    assert_eq!(code(&farm.answer(&stranger(), &offer, Decision::Approve)), None);
    farm.assert_executing(&offer);
    replays(&farm);
}

#[test]
fn s4_what_was_asked_under_another_policy_is_simulated_and_asked_anew() {
    let mut farm = Farm::brief();
    let id = asked(&mut farm);
    let before = farm.offer(id);
    farm.change_policy(|policy| policy.budgets[0].litres_per_day_max -= 1.0);
    farm.run_seconds(1);
    let after = farm.offer(id);
    assert!(after.policy != before.policy && after.nonce != before.nonce);
    assert_eq!(
        farm.story(id),
        ["simulating", "awaiting_approval", "stale", "simulating", "awaiting_approval"]
    );
    let answer = farm.answer(&ann(), &before, Decision::Approve);
    farm.assert_refused(&answer, Code::ApprovalReplayed, "approval.nonce");
    farm.assert_carried_out(&after);
    replays(&farm);
}

#[test]
fn s4_an_approval_and_another_policy_in_one_tick_move_nothing() {
    let mut farm = Farm::brief();
    let id = asked(&mut farm);
    let offer = farm.offer(id);
    farm.answer_unheard(&ann(), &offer);
    farm.change_policy(|policy| policy.budgets[0].litres_per_day_max -= 1.0);
    farm.run_seconds(1);
    assert_eq!((farm.switched_on(), farm.state(id).as_str()), (vec![], "awaiting_approval"));
    let offer = farm.offer(id);
    farm.assert_carried_out(&offer);
}

#[test]
fn s13_a_policy_that_is_tightened_ends_what_it_no_longer_allows() {
    let shorter = |policy: &mut Policy| {
        let open = policy.actuators[1].operations.get_mut("open").unwrap();
        open.parameters.insert(FOR_S.to_owned(), Parameter::Number(1.0, 10.0));
    };
    let without = |policy: &mut Policy| policy.actuators.retain(|rules| rules.actuator != valve());
    let no_start = |policy: &mut Policy| drop(policy.actuators[0].operations.remove("start"));
    let fuller = |policy: &mut Policy| policy.actuators[0].interlocks[0].must = Must::BeAtLeast(71.0);
    type Change<'a> = &'a dyn Fn(&mut Policy);
    let changes: [(Change<'_>, Code, &str); 4] = [
        (&shorter, Code::LimitExceeded, "a number from 1 to 10"),
        (&without, Code::UnknownOperation, "no rules for actuator:valve:valve-food-forest"),
        (&no_start, Code::UnknownOperation, "knows no `start`"),
        (&fuller, Code::InterlockOpen, "must be at least 71"),
    ];
    for (change, code, words) in changes {
        let (mut farm, id) = running();
        farm.change_policy(change);
        farm.run_seconds(2);
        farm.assert_failed(id, code, words);
        assert!(!farm.hardware.is_on(&pump()) && !farm.hardware.is_on(&valve()), "{words}");
        replays(&farm);
    }
    // What is tightened and still met ends nothing.
    let (mut farm, id) = running();
    farm.change_policy(|policy| policy.actuators[0].interlocks[0].must = Must::BeAtLeast(69.0));
    farm.run_seconds(2);
    assert_eq!(farm.state(id), "executing");
}

#[test]
fn s10_a_policy_that_is_bad_or_comes_from_elsewhere_changes_nothing_and_a_bad_one_is_shown() {
    let mut farm = Farm::brief();
    let id = asked(&mut farm);
    let offer = farm.offer(id);
    let contradictory = farm.policy_with(|policy| policy.actuators[0].evidence.clear());
    let foreign = farm.policy_with(|policy| policy.site = "another farm".to_owned());
    let good = farm.policy_with(|policy| policy.actuators.clear());
    for (text, words) in [
        (contradictory, "`evidence` is missing"),
        (foreign, "another farm"),
        ("{".to_owned(), "cannot be read"),
    ] {
        farm.lab.offer(FIELD, SourceId::Runner, InputBody::PolicyChanged(text));
        farm.lab.run_ticks(8);
        let refusals = farm.lab.snapshot(FIELD).refusals.clone();
        let is_told = |sentence: &str| sentence.contains(words) && sentence.contains("stays in force");
        assert!(refusals.iter().any(|row| is_told(&row.sentence)), "{words}: {refusals:#?}");
    }
    for source in [SourceId::Gateway, SourceId::Bridge, SourceId::Journal] {
        farm.lab.offer(FIELD, source, InputBody::PolicyChanged(good.clone()));
    }
    farm.run_seconds(1);
    farm.assert_carried_out(&offer);
}
