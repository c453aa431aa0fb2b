//! Simulated, by somebody who is trusted, and still true.

use clawmesh_authority::transition::Round;
use clawmesh_authority::{Code, Decision, Proposal, ProposalId};
use clawmesh_core::intake::{InputBody, SourceId};
use clawmesh_twin::card::{Card, Verdict};

use super::rig::{FIELD, Farm, ann, capability, code, flower, pump, step, valve};

impl Farm {
    /// A card comes before the one of the pool does.
    fn forge_card(&mut self, proposal: ProposalId, round: u32, outcome: Result<Vec<u8>, String>) {
        let body = InputBody::Simulated { proposal, round: Round(round), outcome };
        self.lab.offer(FIELD, SourceId::Simulator, body);
    }

    fn card(&self, id: ProposalId) -> Card {
        let bytes = self.report(id).card.expect("it was simulated");
        Card::from_bytes(&bytes).expect("it is a card")
    }

    /// A dry flower bed, whose valve alone is to open.
    fn valve_of_flowers(&mut self) -> Proposal {
        let steps = vec![step(flower(), "open", Some(self.for_s))];
        self.proposal_for("flower", steps)
    }
}

#[test]
fn s5_a_card_of_another_seed_or_that_is_none_is_refused() {
    let mut farm = Farm::brief();
    let other = farm.proposal();
    assert_eq!(code(&farm.propose(&other)), None);
    farm.run_seconds(1);
    let offer = farm.offer(other.id());
    assert_eq!(code(&farm.answer(&ann(), &offer, Decision::Reject)), None);
    let of_another = farm.card(other.id());
    let mut longer = of_another.to_bytes();
    longer.push(0);
    for (outcome, words) in [
        (Ok(of_another.to_bytes()), "made with another seed"),
        (Ok(b"all is well".to_vec()), "no card"),
        (Ok(longer), "not in canonical form"),
        (Ok(vec![0; 65 * 1_024]), "at most 65536 are taken"),
        (Err("the model has no answer".to_owned()), "the model has no answer"),
    ] {
        let proposal = farm.proposal();
        farm.propose_unheard(&proposal);
        farm.forge_card(proposal.id(), 1, outcome);
        farm.run_seconds(1);
        assert_eq!(farm.state(proposal.id()), "failed");
        assert!(farm.last_words(proposal.id()).contains(words), "{}", farm.last_words(proposal.id()));
        assert!(farm.report(proposal.id()).offer.is_none(), "nobody is asked");
        assert_eq!(farm.switched_on(), []);
    }
    // A card of a simulation that nobody ordered is none of this proposal.
    let good = farm.proposal();
    farm.propose_unheard(&good);
    farm.forge_card(good.id(), 2, Ok(of_another.to_bytes()));
    farm.run_seconds(1);
    let offer = farm.offer(good.id());
    farm.assert_carried_out(&offer);
}

#[test]
fn s5_the_seed_follows_from_the_proposal_and_the_nonce_so_nobody_shops_for_one() {
    let mut farm = Farm::brief();
    let mut seeds = Vec::new();
    for _ in 0..2 {
        let proposal = farm.proposal();
        assert_eq!(code(&farm.propose(&proposal)), None);
        farm.run_seconds(1);
        let (offer, card) = (farm.offer(proposal.id()), farm.card(proposal.id()));
        assert_eq!(card.seed, clawmesh_twin::seed::seed_of(&offer.proposal.0, &offer.nonce));
        assert_eq!(offer.card.0, card.hash(), "people are asked about this card");
        assert_eq!(code(&farm.answer(&ann(), &offer, Decision::Reject)), None);
        seeds.push(card.seed);
    }
    assert_ne!(seeds[0], seeds[1]);
}

#[test]
fn s5_nobody_is_asked_about_what_the_twin_says_ends_badly() {
    let mut farm = Farm::brief();
    farm.weather.tank_percent = 40.0;
    farm.run_seconds(1);
    // Ninety litres a minute for forty minutes are more than what is above the last fifth of the tank.
    let grain = capability("actuator:valve:valve-grain");
    let mut proposal_of = |for_s| {
        let steps = vec![step(grain.clone(), "open", Some(for_s)), step(pump(), "start", Some(for_s))];
        let proposal = farm.proposal_for("grain", steps);
        assert_eq!(code(&farm.propose(&proposal)), None);
        farm.run_seconds(1);
        proposal.id()
    };
    let (long, brief) = (proposal_of(2_400.0), proposal_of(6.0));
    assert_eq!((farm.state(long).as_str(), farm.card(long).verdict), ("vetoed", Verdict::Veto));
    assert!(farm.report(long).offer.is_none());
    assert_eq!(farm.switched_on(), []);
    let offer = farm.offer(brief);
    farm.assert_carried_out(&offer);
}

#[test]
fn s5_a_card_of_another_world_is_stale_and_the_approval_of_it_void() {
    let mut farm = Farm::brief();
    let proposal = farm.proposal();
    assert_eq!(code(&farm.propose(&proposal)), None);
    farm.run_seconds(1);
    let old = farm.offer(proposal.id());
    farm.weather.tank_percent = 64.9;
    farm.run_seconds(1);
    assert_eq!(code(&farm.answer(&ann(), &old, Decision::Approve)), None, "the gate decides");
    farm.run_seconds(1);
    farm.assert_shown(Code::CardStale, "simulated");
    let story = farm.story(proposal.id());
    let expected =
        ["simulating", "awaiting_approval", "approved", "stale", "simulating", "awaiting_approval"];
    assert_eq!(story, expected);
    let answer = farm.answer(&ann(), &old, Decision::Approve);
    farm.assert_refused(&answer, Code::ApprovalReplayed, "approval.nonce");
    let new = farm.offer(proposal.id());
    assert!(new.nonce != old.nonce && new.card != old.card);
    // Within the tolerance a card stays true.
    farm.weather.tank_percent = 60.5;
    farm.run_seconds(1);
    farm.assert_carried_out(&new);
    assert_eq!(farm.lab.replay(FIELD).difference, None);
}

#[test]
fn s5_what_began_since_the_simulation_makes_it_stale() {
    let mut farm = Farm::brief();
    let (first, second) = (farm.proposal(), farm.valve_of_flowers());
    for proposal in [&first, &second] {
        assert_eq!(code(&farm.propose(proposal)), None);
    }
    farm.run_seconds(1);
    let (first, alone) = (farm.offer(first.id()), farm.offer(second.id()));
    farm.assert_carried_out(&first);
    // Until everything of it has arrived.
    farm.run_seconds(1);
    assert_eq!(code(&farm.answer(&ann(), &alone, Decision::Approve)), None);
    farm.run_seconds(1);
    farm.assert_shown(Code::CardStale, "simulated");
    assert!(!farm.switched_on().contains(&flower()));
    let together = farm.offer(second.id());
    farm.assert_carried_out(&together);
    assert!(farm.hardware.is_on(&flower()) && farm.hardware.is_on(&valve()));
}

#[test]
fn s5_of_two_that_were_approved_in_one_tick_one_runs_and_the_other_is_simulated_with_it() {
    let mut farm = Farm::brief();
    let (first, second) = (farm.proposal(), farm.valve_of_flowers());
    for proposal in [&first, &second] {
        assert_eq!(code(&farm.propose(proposal)), None);
    }
    farm.run_seconds(1);
    let (first, second) = (farm.offer(first.id()), farm.offer(second.id()));
    for offer in [&first, &second] {
        farm.answer_unheard(&ann(), offer);
    }
    farm.run_seconds(1);
    assert_eq!(farm.state(first.proposal), "executing");
    assert_eq!(farm.switched_on(), [valve(), pump()], "nobody has simulated the two together");
    farm.assert_shown(Code::CardStale, "simulated");
    // Simulated while the pump was about to start, and that has happened since: once more.
    farm.run_seconds(1);
    let too_early = farm.offer(second.proposal);
    assert_eq!(code(&farm.answer(&ann(), &too_early, Decision::Approve)), None);
    farm.run_seconds(1);
    assert!(!farm.switched_on().contains(&flower()));
    let together = farm.offer(second.proposal);
    farm.assert_carried_out(&together);
    assert!(farm.switched_on().contains(&flower()));
}
