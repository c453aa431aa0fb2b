//! What several proposals share: actuators, and what a day has of water and time.

use clawmesh_authority::gate::Spent;
use clawmesh_authority::policy::{FOR_S, Parameter};
use clawmesh_authority::{Code, Decision, Offer, Policy, Proposal, RequestBody};
use clawmesh_core::proposals::Spending;

use super::rig::{FIELD, Farm, ann, bo, capability, code, flower, pump, step, valve};

const ZONE: &str = "z-food-forest-core";

/// Ten seconds at once, twenty a day: a farm whose budgets are used up quickly.
fn meagre(policy: &mut Policy) {
    for rules in &mut policy.actuators {
        for operation in rules.operations.values_mut() {
            if let Some(Parameter::Number(_, high_s)) = operation.parameters.get_mut(FOR_S) {
                *high_s = 10.0;
            }
        }
    }
    for budget in &mut policy.budgets {
        match budget.of.as_str() {
            ZONE => budget.seconds_per_day_max = 20.0,
            // Ninety litres a minute for ten seconds, and no more.
            "tank-01" => budget.litres_per_command_max = 15.0,
            _ => {}
        }
    }
}

impl Farm {
    pub fn spent(&self) -> Spent {
        let ledger = &self.lab.core(FIELD).world().resource::<Spending>().ledger;
        ledger.spent(self.lab.now_ms()).get(ZONE).copied().unwrap_or_default()
    }

    #[track_caller]
    fn assert_spent(&self, seconds: f64, within: f64) {
        let spent = self.spent();
        assert!((spent.seconds - seconds).abs() <= within, "{spent:?}, expected about {seconds} s");
        // Twelve litres a minute at the most.
        assert!((spent.litres - spent.seconds / 5.0).abs() < 1e-6, "{spent:?}");
    }

    /// Water for the flowers, with the same pump.
    fn flowers(&mut self) -> Proposal {
        let steps = vec![step(flower(), "open", Some(self.for_s)), step(pump(), "start", Some(self.for_s))];
        self.proposal_for("flower", steps)
    }

    fn offered(&mut self, proposal: &Proposal) -> Offer {
        assert_eq!(code(&self.propose(proposal)), None);
        self.run_seconds(1);
        self.offer(proposal.id())
    }
}

#[test]
fn what_works_for_one_proposal_is_refused_to_every_other() {
    let mut farm = Farm::brief();
    let (mine, theirs) = (farm.proposal(), farm.flowers());
    let (mine, theirs) = (farm.offered(&mine), farm.offered(&theirs));
    farm.assert_carried_out(&mine);
    let later = farm.flowers();
    let mut later = Proposal { steps: later.steps.into_iter().rev().collect(), ..later };
    let answer = farm.propose(&later);
    assert_eq!(code(&answer), Some((Code::AuthorityHeld, "one-plan-at-a-time")));
    farm.assert_shown(Code::AuthorityHeld, "one-plan-at-a-time");
    assert_eq!(code(&farm.answer(&ann(), &theirs, Decision::Approve)), None);
    farm.run_seconds(1);
    farm.assert_failed(theirs.proposal, Code::AuthorityHeld, "(one-plan-at-a-time)");
    assert!(!farm.switched_on().contains(&flower()));
    farm.run_seconds(8);
    assert_eq!(farm.state(mine.proposal), "completed");
    later = farm.flowers();
    farm.assert_goes_through(&later);
    assert!(farm.hardware.is_on(&flower()));
}

#[test]
fn of_two_that_share_a_pump_and_were_approved_in_one_tick_one_runs() {
    let mut farm = Farm::brief();
    let (mine, theirs) = (farm.proposal(), farm.flowers());
    let (mine, theirs) = (farm.offered(&mine), farm.offered(&theirs));
    farm.answer_unheard(&ann(), &theirs);
    farm.answer_unheard(&ann(), &mine);
    farm.run_seconds(1);
    assert_eq!(farm.state(mine.proposal), "executing");
    farm.assert_failed(theirs.proposal, Code::AuthorityHeld, "(one-plan-at-a-time)");
    assert_eq!(farm.switched_on(), [valve(), pump()]);
    farm.run_seconds(8);
    assert_eq!(farm.state(mine.proposal), "completed");
    assert_eq!(farm.lab.replay(FIELD).difference, None);
}

#[test]
fn what_was_run_counts_and_what_was_not_is_given_back() {
    let mut farm = Farm::brief();
    assert_eq!(farm.spent(), Spent::default());
    farm.for_s = 8.0;
    farm.approved();
    farm.assert_spent(8.0, 0.0);
    farm.run_seconds(10);
    farm.assert_spent(8.0, 0.1);
    // Ten of sixty seconds, and until it was shown to be off.
    farm.for_s = 60.0;
    let id = farm.approved();
    farm.assert_spent(68.0, 0.1);
    farm.run_seconds(10);
    let withdraw = RequestBody::Withdraw { proposal: id, why: "it rains".to_owned() };
    assert_eq!(code(&farm.ask_as(&bo(), withdraw)), None);
    farm.run_seconds(1);
    farm.assert_spent(18.0, 0.6);
    // What never came to be driven uses nothing.
    let proposal = farm.proposal();
    let offer = farm.offered(&proposal);
    farm.answer_unheard(&ann(), &offer);
    farm.lab.run_ticks(1);
    farm.hardware.hold(&valve(), true);
    farm.run_seconds(1);
    assert_eq!(farm.state(offer.proposal), "failed");
    farm.assert_spent(18.0, 0.7);
}

#[test]
fn what_is_not_shown_to_be_off_is_not_given_back() {
    let mut farm = Farm::brief();
    farm.for_s = 60.0;
    let id = farm.approved();
    farm.run_seconds(10);
    farm.hardware.cut(&valve(), true);
    let withdraw = RequestBody::Withdraw { proposal: id, why: "it rains".to_owned() };
    assert_eq!(code(&farm.ask_as(&bo(), withdraw)), None);
    farm.run_seconds(2);
    farm.assert_spent(60.0, 0.0);
    farm.run_seconds(70);
    farm.hardware.cut(&valve(), false);
    farm.run_seconds(2);
    farm.assert_spent(60.0, 0.0);
}

#[test]
fn of_what_nobody_knows_all_that_was_asked_counts() {
    let mut farm = Farm::brief();
    farm.for_s = 40.0;
    farm.approved();
    farm.run_seconds(2);
    farm.restart();
    farm.run_seconds(1);
    farm.assert_spent(40.0, 0.0);
    // The driver says nothing: it may have opened the valve, and may not have shut it.
    let proposal = farm.proposal();
    let offer = farm.offered(&proposal);
    farm.hardware.mute();
    assert_eq!(code(&farm.answer(&ann(), &offer, Decision::Approve)), None);
    farm.run_seconds(11);
    assert_eq!(farm.state(offer.proposal), "failed");
    assert_eq!(farm.switched_on().iter().filter(|part| **part == valve()).count(), 2, "it did");
    farm.assert_spent(80.0, 0.0);
}

#[test]
fn a_budget_that_is_used_up_refuses_before_and_after_the_yes_and_across_a_restart() {
    let mut farm = Farm::brief_with(meagre);
    farm.for_s = 8.0;
    let first = farm.proposal();
    let later = farm.proposal_of(vec![step(valve(), "open", Some(9.0))]);
    let later = farm.offered(&later);
    for round in 0..2 {
        let proposal = if round == 0 { first.clone() } else { farm.proposal() };
        let offer = farm.offered(&proposal);
        assert_eq!(code(&farm.answer(&ann(), &offer, Decision::Approve)), None);
        farm.run_seconds(10);
        assert_eq!(farm.state(offer.proposal), "completed");
    }
    farm.assert_spent(16.0, 0.2);
    let (exceeded, rule) = (Code::BudgetExceeded, "zone-bounds");
    let on = farm.switched_on();
    assert_eq!(code(&farm.answer(&ann(), &later, Decision::Approve)), None, "the gate decides");
    farm.run_seconds(1);
    farm.assert_failed(later.proposal, exceeded, "z-food-forest-core has 20 s in 24 hours, 16 are used");
    farm.restart();
    farm.run_seconds(1);
    farm.assert_spent(16.0, 0.2);
    let proposal = farm.proposal();
    let answer = farm.propose(&proposal);
    assert_eq!(code(&answer), Some((exceeded, rule)));
    farm.assert_shown(exceeded, rule);
    assert_eq!(farm.switched_on(), on);
    // What is left may be used.
    farm.for_s = 3.0;
    let good = farm.proposal();
    farm.assert_goes_through(&good);
}

#[test]
fn a_clock_that_is_set_forward_gives_no_budget_back() {
    let mut farm = Farm::brief_with(meagre);
    farm.for_s = 10.0;
    for _ in 0..2 {
        let proposal = farm.proposal();
        farm.assert_goes_through(&proposal);
        farm.run_seconds(12);
    }
    farm.set_clocks_forward(26 * 3_600_000);
    let proposal = farm.proposal();
    let answer = farm.propose(&proposal);
    assert_eq!(code(&answer), Some((Code::BudgetExceeded, "zone-bounds")), "{answer:?}");
    farm.assert_shown(Code::BudgetExceeded, "zone-bounds");
}

#[test]
fn all_steps_of_a_proposal_count_together() {
    let mut farm = Farm::brief_with(meagre);
    let grain = capability("actuator:valve:valve-grain");
    let steps = |for_s| vec![step(valve(), "open", Some(for_s)), step(grain.clone(), "open", Some(for_s))];
    let proposal = farm.proposal_for("grain", steps(10.0));
    let answer = farm.propose(&proposal);
    farm.assert_refused(&answer, Code::LimitExceeded, "zone-bounds");
    let good = farm.proposal_for("grain", steps(8.0));
    farm.assert_goes_through(&good);
}
