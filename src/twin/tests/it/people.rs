//! Rovers among people: who was not seen for a while may be anywhere they can have gone.

use std::collections::BTreeMap;

use clawmesh_twin::card::{Card, Degree, Rule, Verdict};
use clawmesh_twin::site::Point;
use clawmesh_twin::trial::{LastSeen, Trial};

use crate::farm::{drive, fork, name, trial};

/// A drive of some sixty metres, far from where the farmer is.
fn errand(seen: Option<LastSeen>) -> Trial {
    let mut trial = trial(vec![drive(25.0, 75.0)]);
    trial.snapshot.people = seen.map(|seen| (name("farmer-01"), seen)).into_iter().collect();
    trial.horizon.rollouts = 16;
    trial
}

fn card(seen: Option<LastSeen>) -> Card {
    fork(errand(seen)).card()
}

#[test]
fn a_rover_far_from_people_seen_just_now_may_drive() {
    let card = card(Some(LastSeen { at: Point(165.0, 120.0), age_s: 1.0 }));
    assert_eq!(card.verdict, Verdict::Pass, "{:?}", card.reasons);
    let clearance = card.clearance.unwrap();
    assert_eq!((clearance.of, clearance.to), (name("rover-01"), name("farmer-01")));
    assert!((10.0..160.0).contains(&clearance.clearance_m), "{}", clearance.clearance_m);
    let ghost = &card.ghosts[&name("rover-01")];
    assert!(ghost.len() > 20 && ghost.len() <= 64, "{}", ghost.len());
    let end = ghost.last().unwrap();
    assert!((end.0 - 25.0).abs() < 0.2 && (end.1 - 75.0).abs() < 0.2, "{end:?}");
    assert!(card.not_modelled.iter().any(|phrase| phrase.contains("obstacles")));
    assert_eq!((card.litres.p95, card.energy_wh.p95), (0.0, 0.0));
}

#[test]
fn a_person_last_seen_long_ago_blocks_the_drive() {
    // At 2 m/s the farmer can be anywhere within 200 m after 100 s.
    let card = card(Some(LastSeen { at: Point(165.0, 120.0), age_s: 100.0 }));
    assert_eq!(card.verdict, Verdict::Veto, "{:?}", card.reasons);
    let reason = &card.reasons[0];
    assert!(
        (reason.rule, reason.degree, reason.is_nominal) == (Rule::Clearance, Degree::Broken, true),
        "{reason:?}"
    );
    assert!(card.touches_person_or_keep_out());
}

#[test]
fn a_person_nobody_has_seen_blocks_the_drive() {
    let card = card(None);
    assert_eq!((card.verdict, card.reasons[0].rule), (Verdict::Veto, Rule::Clearance));
}

#[test]
fn a_person_in_the_way_is_touched_with_a_force() {
    let card = card(Some(LastSeen { at: Point(18.5, 45.5), age_s: 0.0 }));
    assert_eq!(card.verdict, Verdict::Veto);
    let rules: Vec<Rule> = card.reasons.iter().map(|reason| reason.rule).collect();
    assert!(rules.contains(&Rule::Contact) && rules.contains(&Rule::NotArrived), "{rules:?}");
    assert!(card.peak_force_n > 500.0, "{}", card.peak_force_n);
    assert_eq!(card.clearance.unwrap().clearance_m, 0.0);
}

#[test]
fn who_walks_about_near_the_way_is_met_in_some_futures() {
    let card = card(Some(LastSeen { at: Point(24.0, 45.0), age_s: 0.0 }));
    assert!(card.collision_odds < 1.0, "{}", card.collision_odds);
    let near = card.reasons.iter().find(|reason| reason.rule == Rule::Clearance).unwrap();
    assert!(!near.is_nominal && near.broken_share > 0.0, "{near:?}");
    assert_ne!(card.verdict, Verdict::Pass);
}

#[test]
fn a_drive_through_the_bee_yard_is_a_breach() {
    let mut trial = trial(vec![drive(165.0, 190.0)]);
    trial.horizon.rollouts = 4;
    let rover = trial.snapshot.rovers.get_mut(&name("rover-01")).unwrap();
    rover.at = Point(165.0, 150.0);
    trial.snapshot.people = [(name("farmer-01"), LastSeen { at: Point(10.0, 40.0), age_s: 0.0 })].into();
    let card = fork(trial).card();
    assert_eq!(card.verdict, Verdict::Veto);
    assert_eq!(card.breaches.len(), 1);
    assert_eq!((&card.breaches[0].keep_out, card.breaches[0].share), (&name("bee-yard"), 1.0));
    assert!(card.touches_person_or_keep_out());
}

#[test]
fn a_valve_alone_moves_no_body_and_tells_who_is_near_it() {
    let card = crate::farm::card(crate::farm::forest());
    let clearance = card.clearance.unwrap();
    assert_eq!(clearance.of, name("valve-food-forest"));
    // From (30, 12) to (165, 120), less one second at 2 m/s.
    assert!((clearance.clearance_m - 170.88).abs() < 0.01, "{}", clearance.clearance_m);
    assert!(card.not_modelled.iter().any(|phrase| phrase == "people beside what is switched"));
    assert!(fork(trial(crate::farm::forest())).rollout(3).drives.is_empty());
}

#[test]
fn a_rover_under_way_is_in_the_future_of_another_proposal() {
    let mut trial = trial(crate::farm::forest());
    trial.horizon.rollouts = 2;
    trial.snapshot.running = vec![drive(25.0, 75.0)];
    let card = fork(trial).card();
    assert!(card.ghosts.contains_key(&name("rover-01")), "{:?}", BTreeMap::from_iter(card.ghosts));
}
