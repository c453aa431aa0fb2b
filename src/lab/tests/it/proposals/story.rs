//! How it goes when it goes well, and every way in which what runs is ended.

use clawmesh_authority::Setpoint;

use super::rig::{CENTER, Farm, pump, valve};

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
}
