//! Whoever asks for much.

use clawmesh_authority::{Code, Decision, Maker, OperatorKey, RequestBody};

use crate::proposals::rig::{FIELD, Farm, ann, bo, code, step, valve};

impl Farm {
    fn ask_for_seconds(&mut self, key: &OperatorKey, for_s: f64) -> clawmesh_authority::Answer {
        let mut proposal = self.proposal_of(vec![step(valve(), "open", Some(for_s))]);
        proposal.maker = Maker::person(proposal.maker.node, key.id());
        self.ask_as(key, RequestBody::Propose(proposal))
    }
}

#[test]
fn one_key_that_takes_all_the_places() {
    let mut farm = Farm::brief();
    for at in 0..12 {
        farm.speak();
        assert_eq!(code(&farm.ask_for_seconds(&ann(), 10.0 + f64::from(at))), None);
    }
    farm.repels(Code::RateLimited, "proposal.rate", |farm| farm.ask_for_seconds(&ann(), 30.0));
    // However slowly: the other places are for others.
    farm.run_seconds(61);
    farm.repels(Code::Busy, "proposal.share", |farm| farm.ask_for_seconds(&ann(), 31.0));
    farm.speak();
    assert_eq!(code(&farm.ask_for_seconds(&bo(), 32.0)), None);
    let good = farm.proposal();
    let offer = farm.asked_for(&good);
    assert_eq!(code(&farm.answer(&ann(), &offer, Decision::Approve)), None);
    farm.assert_executing(&offer);
    farm.replays();
}

#[test]
fn the_same_again_and_again() {
    let mut farm = Farm::brief();
    let good = farm.proposal();
    let offer = farm.asked_for(&good);
    farm.repels(Code::Duplicate, "proposal.once", |farm| farm.propose(&good));
    let same = farm.proposal();
    farm.repels(Code::Duplicate, "proposal.same_steps", |farm| farm.propose(&same));
    farm.assert_carried_out(&offer);
}

#[test]
fn ten_thousand_proposals() {
    let mut farm = Farm::brief();
    let mut for_s = 10.0;
    for _ in 0..100 {
        for _ in 0..50 {
            for key in [ann(), bo()] {
                for_s += 0.001;
                let mut proposal = farm.proposal_of(vec![step(valve(), "open", Some(for_s))]);
                proposal.maker = Maker::person(proposal.maker.node, key.id());
                farm.ask_unheard(&key, RequestBody::Propose(proposal));
            }
        }
        farm.lab.run_ticks(1);
    }
    farm.run_seconds(1);
    let snapshot = farm.lab.snapshot(FIELD);
    let open = snapshot.proposals.iter().filter(|view| !view.report.state.is_final()).count();
    assert_eq!(open, 24, "twelve of each of the two");
    let refused =
        |code| snapshot.refusals.iter().filter(|row| row.code == code).map(|row| row.count).sum::<u64>();
    assert_eq!(
        refused(Code::RateLimited) + refused(Code::Busy),
        10_000 - 24,
        "each of the others was counted"
    );
    assert_eq!(farm.switched_on(), []);
    // Everybody else has a place.
    let good = farm.proposal();
    farm.carries_out(&good);
}
