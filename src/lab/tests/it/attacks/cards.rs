//! Simulations that somebody would like better than their own.

use clawmesh_authority::transition::Round;
use clawmesh_authority::{Code, Decision, ProposalId};
use clawmesh_core::intake::{InputBody, SourceId};

use crate::proposals::rig::{FIELD, Farm, ann, capability, code, flower, pump, step, valve};

impl Farm {
    fn slip_in(&mut self, source: SourceId, proposal: ProposalId, card: Vec<u8>) {
        let body = InputBody::Simulated { proposal, round: Round::FIRST, outcome: Ok(card) };
        self.lab.offer(FIELD, source, body);
    }

    /// The card of a proposal that was asked for and turned down.
    fn card_of_another(&mut self) -> Vec<u8> {
        let offer = self.asked();
        let card = self.report(offer.proposal).card.expect("it was simulated");
        assert_eq!(code(&self.answer(&ann(), &offer, Decision::Reject)), None);
        card
    }

    /// More water for the grain than is above the last fifth of the tank.
    fn too_much(&mut self, for_s: f64) -> clawmesh_authority::Proposal {
        let grain = capability("actuator:valve:valve-grain");
        let steps = vec![step(grain, "open", Some(for_s)), step(pump(), "start", Some(for_s))];
        self.proposal_for("grain", steps)
    }
}

#[test]
fn a_forged_card() {
    let mut farm = Farm::brief();
    let proposal = farm.proposal();
    farm.propose_unheard(&proposal);
    farm.slip_in(SourceId::Simulator, proposal.id(), b"all is well".to_vec());
    farm.run_seconds(1);
    assert_eq!((farm.state(proposal.id()).as_str(), farm.switched_on()), ("failed", vec![]));
    assert!(farm.report(proposal.id()).offer.is_none(), "nobody is asked");
    let good = farm.proposal();
    farm.carries_out(&good);
}

#[test]
fn a_card_of_another_seed() {
    let mut farm = Farm::brief();
    let card = farm.card_of_another();
    let proposal = farm.proposal();
    farm.propose_unheard(&proposal);
    farm.slip_in(SourceId::Simulator, proposal.id(), card);
    farm.run_seconds(1);
    assert!(farm.last_words(proposal.id()).contains("made with another seed"));
    assert_eq!((farm.state(proposal.id()).as_str(), farm.switched_on()), ("failed", vec![]));
    let good = farm.proposal();
    farm.carries_out(&good);
}

#[test]
fn a_card_that_does_not_come_from_the_pool() {
    let mut farm = Farm::brief();
    let card = farm.card_of_another();
    let proposal = farm.proposal();
    farm.propose_unheard(&proposal);
    for source in [SourceId::Gateway, SourceId::Bridge, SourceId::Planner, SourceId::Guests] {
        farm.slip_in(source, proposal.id(), card.clone());
    }
    farm.lab.run_ticks(1);
    farm.assert_shown(Code::NotAuthorized, "card.simulator");
    // Its own card comes, as if nobody had said anything.
    farm.run_seconds(1);
    let offer = farm.offer(proposal.id());
    farm.assert_carried_out(&offer);
    farm.replays();
}

#[test]
fn seed_shopping() {
    let mut farm = Farm::brief();
    farm.weather.tank_percent = 40.0;
    farm.run_seconds(1);
    let vetoed = farm.too_much(2_400.0);
    assert_eq!(code(&farm.propose(&vetoed)), None);
    farm.run_seconds(1);
    assert_eq!(farm.state(vetoed.id()), "vetoed");
    // Each would draw a seed of its own.
    for for_s in [2_400.0, 2_399.0, 2_161.0] {
        let again = farm.too_much(for_s);
        farm.repels(Code::CardVeto, "proposal.vetoed", |farm| farm.propose(&again));
    }
    let less = farm.too_much(6.0);
    farm.carries_out(&less);
    // A veto does not stand for ever.
    let mut farm = Farm::brief();
    farm.weather.tank_percent = 40.0;
    farm.run_seconds(1);
    let vetoed = farm.too_much(2_400.0);
    assert_eq!(code(&farm.propose(&vetoed)), None);
    farm.run_seconds(1);
    farm.set_clocks_forward(3_600_000);
    farm.run_seconds(4);
    let later = farm.too_much(2_400.0);
    assert_eq!(code(&farm.propose(&later)), None);
}

#[test]
fn two_approvals_of_which_each_is_fine_alone() {
    let mut farm = Farm::brief();
    let first = farm.asked();
    let steps = vec![step(flower(), "open", Some(6.0))];
    let second = farm.proposal_for("flower", steps);
    let second = farm.asked_for(&second);
    for offer in [&first, &second] {
        farm.answer_unheard(&ann(), offer);
    }
    farm.run_seconds(1);
    assert_eq!(farm.switched_on(), [valve(), pump()], "nobody has simulated the two together");
    farm.assert_shown(Code::CardStale, "simulated");
    farm.run_seconds(12);
    assert_eq!(farm.state(first.proposal), "completed");
    // What it was simulated with has ended since.
    let beside = farm.offer(second.proposal);
    assert_eq!(code(&farm.answer(&ann(), &beside, Decision::Approve)), None);
    farm.run_seconds(1);
    let alone = farm.offer(second.proposal);
    farm.assert_carried_out(&alone);
    assert!(farm.switched_on().contains(&flower()));
    farm.replays();
}

#[test]
fn a_dispatch_after_the_world_has_drifted() {
    let mut farm = Farm::brief();
    let offer = farm.asked();
    farm.weather.tank_percent = 64.0;
    farm.run_seconds(1);
    assert_eq!(code(&farm.answer(&ann(), &offer, Decision::Approve)), None, "the gate decides");
    farm.run_seconds(1);
    assert_eq!(farm.switched_on(), []);
    farm.assert_shown(Code::CardStale, "simulated");
    let anew = farm.offer(offer.proposal);
    farm.assert_carried_out(&anew);
    farm.replays();
}
