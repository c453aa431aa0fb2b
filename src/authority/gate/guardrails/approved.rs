//! What was simulated and approved, and what becomes of that when people or policies change.

use super::*;

#[test]
fn a_card_is_of_this_proposal_by_somebody_trusted_still_true_and_no_veto() {
    let offered = |change: fn(&mut SimulatedCard)| {
        let mut farm = Farm::in_order();
        change(&mut farm.card);
        let evidence = farm.evidence().unwrap();
        let moment = Moment::Offering { card: &farm.card, asked_ms: NOW_MS };
        judge(&farm.proposal, &evidence, moment, &farm.home, &farm.policy, &farm.live)
    };
    let rule = Rule::Simulated;
    assert_eq!(offered(|_| {}), Ok(()));
    assert_eq!(offered(|card| card.verdict = Verdict::Caution), Ok(()), "a person decides");
    assert_refused(offered(|card| card.verdict = Verdict::Veto), Code::CardVeto, rule, "breaks a limit");
    let of_another = |card: &mut SimulatedCard| card.proposal = ProposalId([3; 32]);
    assert_refused(offered(of_another), Code::CardRequired, rule, "simulate this one");
    let by_stranger = |card: &mut SimulatedCard| card.by = NodeId::of_public_key(&[9; 32]);
    assert_refused(offered(by_stranger), Code::CardRequired, rule, "whom the policy does not name");
    let drifted = |card: &mut SimulatedCard| card.drift = Some("another valve was opened".to_owned());
    assert_refused(offered(drifted), Code::CardStale, rule, "another valve was opened since the simulation");
}

#[test]
fn what_is_carried_out_is_exactly_what_was_approved() {
    let farm = Farm::in_order();
    let (mismatch, rule) = (Code::ApprovalMismatch, Rule::Approved);
    for step in [0, 1] {
        let with = |change: fn(&mut Offer)| {
            let mut offer = farm.offer();
            change(&mut offer);
            farm.authorized(step, &offer)
        };
        assert!(with(|_| {}).is_ok());
        let proposal = |offer: &mut Offer| offer.proposal = ProposalId([3; 32]);
        assert_refused(with(proposal), mismatch, rule, "another proposal was approved");
        let card = |offer: &mut Offer| offer.card = ContentHash::of("card", b"2");
        assert_refused(with(card), mismatch, rule, "another card was approved");
        let site = |offer: &mut Offer| offer.site = ContentHash::of("site", b"2");
        assert_refused(with(site), mismatch, rule, "another site was approved");
        let policy = |offer: &mut Offer| offer.policy = ContentHash::of("policy", b"2");
        assert_refused(with(policy), mismatch, rule, "another policy was approved");
        let fewer = |offer: &mut Offer| drop(offer.steps.pop());
        assert_refused(with(fewer), mismatch, rule, "another set of steps was approved");
    }
}

#[test]
fn what_a_key_has_approved_counts_for_nothing_once_it_is_revoked() {
    let in_order = Farm::in_order();
    assert_eq!(in_order.runs_on(), Ok(()));
    let revoked = Farm::with(|farm| farm.home.people.revoke(&farmer().id).unwrap());
    for step in [0, 1] {
        assert!(in_order.authorized(step, &in_order.offer()).is_ok());
        let judged = revoked.authorized(step, &revoked.offer());
        assert_refused(judged, Code::OperatorRevoked, Rule::Approved, "Ann");
    }
    assert_refused(
        revoked.runs_on(),
        Code::OperatorRevoked,
        Rule::Approved,
        "who approved it may not any more",
    );
    let gone = Farm::with(|farm| farm.home.people = Roster::default());
    assert_refused(gone.runs_on(), Code::NotAuthorized, Rule::Approved, "who approved it may not any more");
}

#[test]
fn a_policy_that_is_tightened_while_something_runs_holds_for_it_too() {
    let shorter = Farm::with(|farm| {
        let open = farm.policy.actuators.iter_mut().find(|rules| rules.actuator == valve()).unwrap();
        let open = open.operations.get_mut("open").unwrap();
        open.parameters.insert("for_s".to_owned(), crate::policy::Parameter::Number(20.0, 1_199.0));
    });
    assert_refused(
        shorter.runs_on(),
        Code::LimitExceeded,
        Rule::BoundedIrrigation,
        "a number from 20 to 1199",
    );
    let unlisted = Farm::with(|farm| farm.policy.actuators.retain(|rules| rules.actuator != pump()));
    assert_refused(unlisted.runs_on(), Code::UnknownOperation, Rule::KnownOperation, "no rules for");
}

#[test]
fn what_runs_stands_by_another_policy_only_if_that_would_have_let_it_begin() {
    let stands = |change: fn(&mut Farm)| {
        let mut farm = Farm::with(change);
        let evidence = farm.evidence().unwrap();
        let grant = granted(&farm.offer());
        farm.home.policy = ContentHash::of("policy", b"another");
        let asked = (evidence.as_slice(), NOW_MS);
        stands_by(&farm.proposal, asked, &grant, &farm.home, &farm.policy, &farm.live)
    };
    let rules_of_pump = |farm: &mut Farm, change: fn(&mut crate::policy::ActuatorRules)| {
        change(farm.policy.actuators.iter_mut().find(|rules| rules.actuator == pump()).unwrap());
    };
    assert_eq!(stands(|_| {}), Ok(()));
    let two = stands(|farm| farm.policy.actuators[0].level = Level::L3);
    assert_refused(
        two,
        Code::TwoPersonRequired,
        Rule::Approved,
        "2 people have to approve it now, and 1 have",
    );
    let own = |four_eyes: bool| {
        let mut farm = Farm::in_order();
        farm.proposal.maker.mind = Mind::Operator(farmer().id);
        rules_of_pump(&mut farm, |rules| rules.four_eyes = true);
        farm.policy.actuators.iter_mut().for_each(|rules| rules.four_eyes &= four_eyes);
        let (evidence, grant) = (farm.evidence().unwrap(), granted(&farm.offer()));
        stands_by(&farm.proposal, (&evidence, NOW_MS), &grant, &farm.home, &farm.policy, &farm.live)
    };
    assert_eq!(own(false), Ok(()));
    assert_refused(own(true), Code::SelfApproval, Rule::Approved, "ask somebody else");
    let others = stands(|farm| farm.policy.actuators[0].approvers = vec![OperatorId([9; 32])]);
    assert_refused(others, Code::NotAuthorized, Rule::Approved, "not among those whom the policy names now");
    let tier = stands(|farm| farm.policy.actuators[0].tier_min = Tier::T3);
    assert_refused(tier, Code::InsufficientTrustTier, Rule::Evidence, "worth less than T3");
    let other = stands(|farm| {
        farm.policy.actuators[0].evidence[0].sensors = vec![capability("sensor:flow:mainline-01")]
    });
    assert_refused(other, Code::EvidenceUnresolved, Rule::Evidence, "sensor:flow:mainline-01 of field-node");
    let smaller =
        stands(|farm| farm.policy.budgets.iter_mut().for_each(|budget| budget.litres_per_command_max = 0.5));
    assert_refused(smaller, Code::LimitExceeded, Rule::ZoneBounds, "at once is more than the 0.5 L");
    // What it uses itself is booked already, and does not count twice.
    let booked: fn(&mut Farm) = |farm| {
        let spent = Spent { litres: 240.0, seconds: 1_200.0 };
        farm.live.spent.insert("z-food-forest-core".to_owned(), spent);
        farm.policy.budgets.iter_mut().for_each(|budget| {
            if budget.of == "z-food-forest-core" {
                budget.litres_per_day_max = 240.0;
            }
        });
    };
    assert_eq!(stands(booked), Ok(()));
    let used_up = stands(|farm| {
        farm.live.spent.insert("z-food-forest-core".to_owned(), Spent { litres: 240.1, seconds: 0.0 });
        farm.policy.budgets.iter_mut().for_each(|budget| {
            if budget.of == "z-food-forest-core" {
                budget.litres_per_day_max = 240.0;
            }
        });
    });
    assert_refused(used_up, Code::BudgetExceeded, Rule::ZoneBounds, "has 240 L in 24 hours");
    let unlisted = stands(|farm| farm.policy.actuators.retain(|rules| rules.actuator != pump()));
    assert_refused(unlisted, Code::UnknownOperation, Rule::KnownOperation, "no rules for");
}
