//! `control`: who commands an actuator while others and programs may not.

use clawmesh_authority::{Capability, RequestBody};
use serde_json::json;

use super::proposing::{center_of_the_farm, posted};
use super::scene::{ann, key_file};
use super::stand_in::StandIn;
use crate::bad_input::expect_sentence;
use crate::support::cli::Said;

fn control(stand: &StandIn, args: &[&str]) -> Said {
    let key = key_file(stand);
    stand.run(&[&["control"], args, &["--why", "we test the new pipe", "--key", &key]].concat())
}

#[test]
fn control_is_taken_granted_and_given_up_at_the_owner() {
    let pump = || Capability::new("actuator:pump:pump-main-01").expect("a good capability");
    let why = || "we test the new pipe".to_owned();
    let id = ann().id().to_string();
    let taken =
        |for_s, is_forced| RequestBody::TakeControl { actuator: pump(), for_s, is_forced, why: why() };
    for (args, body) in [
        (&["take", "pump-main-01"][..], taken(1_800, false)),
        (&["take", "pump-main-01", "--for", "2h", "--force"], taken(7_200, true)),
        (
            &["grant", "actuator:pump:pump-main-01", "--to", &id[..8]],
            RequestBody::GrantControl { actuator: pump(), to: ann().id(), why: why() },
        ),
        (&["release", "pump-main-01"], RequestBody::ReleaseControl { actuator: pump(), why: why() }),
    ] {
        let (stand, _) = center_of_the_farm(true);
        let taken = json!({"outcome": "taken", "proposal": null, "words": "it is so"});
        stand.answers("/api/requests", 200, taken);
        let said = control(&stand, args);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
        assert!(said.out.contains("it is so"), "{said:?}");
        assert_eq!(posted(&stand).body, body);
    }
}

#[test]
fn what_is_not_there_or_refused_is_told() {
    let (stand, _) = center_of_the_farm(true);
    let bad = |args: &[&str]| control(&stand, args);
    expect_sentence(&bad(&["take", "pump-main"]), &["is nothing that this site switches"]);
    expect_sentence(&bad(&["take", "pump-main-01", "--for", "10s"]), &["60 to 43200 s"]);
    expect_sentence(&bad(&["take", "pump-main-01", "--for", "13h"]), &["60 to 43200 s"]);
    expect_sentence(&bad(&["grant", "pump-main-01", "--to", "1234567"]), &["too short"]);
    expect_sentence(&bad(&["grant", "pump-main-01", "--to", "12345678"]), &["nobody who is enrolled"]);
    assert_eq!(stand.posted().len(), 0);
    let no = json!({"code": "AUTHORITY_HELD", "rule": "control.asked", "sentence": "Cy has control"});
    stand.answers("/api/requests", 422, no);
    expect_sentence(&bad(&["take", "pump-main-01"]), &["AUTHORITY_HELD by control.asked: Cy has control"]);
}
