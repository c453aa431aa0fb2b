//! `hold`, `freeze` and `release`: what a person holds back at its owner or everywhere, and lets go on.

use clawmesh_authority::hold::Held;
use clawmesh_authority::{Capability, HazardClass, NodeId, RequestBody, request};
use serde_json::json;

use super::proposing::{center_of_the_farm, posted};
use super::scene::{ann, asked_id, center, key_file};
use super::stand_in::StandIn;
use super::stopping::center_among_others;
use crate::bad_input::expect_sentence;
use crate::support::cli::Said;

fn holding(stand: &StandIn, args: &[&str]) -> Said {
    let key = key_file(stand);
    stand.run(&[args, &["--key", &key]].concat())
}

fn why() -> String {
    "visitors until noon".to_owned()
}

#[test]
fn a_proposal_or_an_actuator_is_held_and_released_at_its_owner() {
    let pump = Held::Actuator(Capability::new("actuator:pump:pump-main-01").expect("a good capability"));
    let proposal = Held::Proposal(asked_id());
    let (hold, release) = (
        |what: &Held| RequestBody::Hold { what: what.clone(), why: why() },
        |what: &Held| RequestBody::Release { what: what.clone(), why: why() },
    );
    for (args, body) in [
        (&["hold", "2b8a75c7"][..], hold(&proposal)),
        (&["release", "2b8a75c7"], release(&proposal)),
        (&["freeze", "--actuator", "pump-main-01"], hold(&pump)),
        (&["release", "--actuator", "pump-main-01"], release(&pump)),
    ] {
        let (stand, _) = center_of_the_farm(true);
        stand.answers(
            "/api/requests",
            200,
            json!({"outcome": "taken", "proposal": null, "words": "it is so"}),
        );
        let said = holding(&stand, &[args, &["--why", &why()]].concat());
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
        assert!(said.out.contains("it is so"), "{said:?}");
        assert_eq!(posted(&stand).body, body);
    }
}

#[test]
fn whatever_programs_propose_or_a_class_is_frozen_at_every_node_that_is_alive() {
    let others = [0xaa, 0xdd, 0xde].map(|first| NodeId([first; 32]));
    for (args, what) in [
        (&["freeze", "--ai"][..], Held::Programs),
        (&["freeze", "--class", "hazardous"], Held::Class(HazardClass::Hazardous)),
    ] {
        let stand = center_among_others();
        let said = holding(&stand, &[args, &["--why", &why()]].concat());
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
        let told: Vec<NodeId> = stand
            .posted()
            .iter()
            .map(|posted| {
                let signed = request::open(&posted.body).expect("an owner opens it");
                assert_eq!(signed.signer(), &ann().public());
                assert_eq!(signed.request().body, RequestBody::Hold { what: what.clone(), why: why() });
                signed.request().owner
            })
            .collect();
        assert_eq!(told, [vec![center().id()], others.to_vec()].concat());
    }
}

#[test]
fn what_is_not_said_or_not_there_is_told() {
    let (stand, _) = center_of_the_farm(true);
    let bad = |args: &[&str]| holding(&stand, &[args, &["--why", "x"]].concat());
    expect_sentence(&bad(&["freeze"]), &["say what to freeze: --ai, --class or --actuator"]);
    expect_sentence(&bad(&["release"]), &["say what to release: a proposal, --ai, --class or --actuator"]);
    expect_sentence(&bad(&["freeze", "--actuator", "pump-main"]), &["is nothing that this site switches"]);
    expect_sentence(&bad(&["hold", "12345678"]), &["no proposal known here"]);
    expect_sentence(&bad(&["hold", "2b8a75"]), &["too short"]);
    for twice in [&["freeze", "--ai", "--class", "caution"][..], &["release", "2b8a75c7", "--ai"]] {
        assert_eq!(bad(twice).code, Some(2), "{twice:?}");
    }
    assert_eq!(stand.posted().len(), 0);
    let no = json!({"code": "NOT_AUTHORIZED", "rule": "hold.owner", "sentence": "Ann releases it"});
    stand.answers("/api/requests", 422, no);
    expect_sentence(&bad(&["release", "2b8a75c7"]), &["NOT_AUTHORIZED by hold.owner: Ann releases it"]);
}
