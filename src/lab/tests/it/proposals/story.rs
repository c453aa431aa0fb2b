//! How it goes when it goes well, and every way in which what runs is ended.

use clawmesh_authority::Setpoint;
use clawmesh_core::intake::InputBody;
use clawmesh_core::replay::{Record, ReplayReport, Replayer};
use clawmesh_twin::card::Card;

use super::rig::{CENTER, FIELD, Farm, pump, valve};

#[test]
fn a_dry_zone_is_watered_after_a_card_and_a_signature_and_a_sensor_confirms_it() {
    let mut farm = Farm::calm();
    let id = farm.approved();
    farm.run_seconds(70);
    let expected = [
        "simulating",
        "awaiting_approval",
        "approved",
        "dispatched",
        "executing",
        "executing",
        "verifying",
        "completed",
    ];
    assert_eq!(farm.story(id), expected, "{:#?}", farm.report(id).story);
    let (on, off) = (Setpoint::On, Setpoint::Off);
    assert_eq!(farm.hardware.writes(), [(valve(), on), (pump(), on), (pump(), off), (valve(), off)]);
    assert_eq!(farm.report_at(CENTER, id).state, farm.report(id).state, "the command center shows a copy");
    let replay = farm.lab.replay("field-node");
    assert_eq!(replay.difference, None);
    assert!(replay.digests_compared > 1_000);
    assert_eq!((cards_again(farm.lab.records(FIELD)).cards_compared, replay.cards_compared), (1, 0));
}

/// Replays a journal and makes every card again.
fn cards_again(records: Vec<Record>) -> ReplayReport {
    let mut replayer = Replayer::resimulating();
    for (sequence, record) in (1..).zip(records) {
        replayer.take(sequence, record).expect("a journal of the lab is well-formed");
    }
    replayer.finish()
}

#[test]
fn a_card_that_the_twin_does_not_make_again_is_found() {
    let mut farm = Farm::calm();
    let proposal = farm.proposal();
    farm.propose(&proposal);
    farm.run_seconds(1);
    let mut records = farm.lab.records(FIELD);
    assert_eq!(cards_again(records.clone()).difference, None);
    let is_changed = records.iter_mut().any(|record| {
        let Record::Input(stamped) = record else { return false };
        let InputBody::Simulated { outcome: Ok(bytes), .. } = &mut stamped.input.body else { return false };
        let mut card = Card::from_bytes(bytes).expect("it is a card");
        card.otherwise_litres += 0.5;
        *bytes = card.to_bytes();
        true
    });
    assert!(is_changed);
    let found = cards_again(records).difference.expect("it differs");
    assert!(found.types[0].starts_with("card 1 of "), "{found:?}");
}
