//! A proposal does not wait for ever, whatever keeps it.

use clawmesh_authority::Decision;

use crate::proposals::rig::{Farm, ann, code};

fn lives_a_minute() -> Farm {
    Farm::brief_with(|policy| policy.proposal_expires_s = 60)
}

#[test]
fn a_proposal_of_last_week_that_a_restart_would_offer_anew() {
    for (away_s, state) in [(30, "awaiting_approval"), (70, "expired")] {
        let mut farm = lives_a_minute();
        let offer = farm.asked();
        farm.lab.crash(crate::proposals::rig::FIELD);
        farm.lab.run_seconds(away_s);
        farm.restart();
        farm.run_seconds(3);
        assert_eq!(farm.state(offer.proposal), state, "after {away_s} s");
        assert_eq!(farm.switched_on(), []);
        farm.replays();
    }
}

#[test]
fn a_proposal_that_is_simulated_again_and_again() {
    let mut farm = lives_a_minute();
    let offer = farm.asked();
    // The tank sinks faster than anybody says yes.
    for _ in 0..6 {
        let newest = farm.offer(offer.proposal);
        farm.weather.tank_percent -= 6.0;
        farm.run_seconds(9);
        if farm.state(offer.proposal) == "expired" {
            break;
        }
        assert_eq!(code(&farm.answer(&ann(), &newest, Decision::Approve)), None, "the gate decides");
        farm.run_seconds(2);
    }
    assert_eq!((farm.state(offer.proposal).as_str(), farm.switched_on()), ("expired", vec![]));
    assert!(farm.last_words(offer.proposal).contains("as long as it may"));
    farm.replays();
}
