//! `operator revoke --everywhere`: a key that counts for nothing at any node.

use clawmesh_authority::{NodeId, OperatorId, RequestBody, request};
use serde_json::json;

use super::scene::{ann, center, key_file};
use super::stand_in::StandIn;
use super::stopping::center_among_others;
use crate::bad_input::expect_sentence;
use crate::support::cli::Said;

fn revoke(stand: &StandIn, args: &[&str]) -> Said {
    let key = key_file(stand);
    stand.run(
        &[&["operator", "revoke"], args, &["--everywhere", "--why", "the phone is lost", "--key", &key]]
            .concat(),
    )
}

#[test]
fn a_key_is_revoked_at_every_node_that_is_trusted_also_where_nobody_is_heard() {
    let (known, unknown) = (ann().id(), OperatorId([0x5a; 32]));
    let (begins, whole) = (known.to_string(), unknown.to_string());
    for (wanted, key) in [(&begins[..8], known), (&whole, unknown)] {
        let stand = center_among_others();
        let said = revoke(&stand, &[wanted]);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
        let told: Vec<NodeId> = stand
            .posted()
            .iter()
            .map(|posted| {
                let signed = request::open(&posted.body).expect("an owner opens it");
                assert_eq!(signed.signer(), &ann().public());
                let why = "the phone is lost".to_owned();
                assert_eq!(signed.request().body, RequestBody::Revoke { key, why });
                signed.request().owner
            })
            .collect();
        let others = [0xaa, 0xbb, 0xdd, 0xde].map(|first| NodeId([first; 32]));
        assert_eq!(told, [vec![center().id()], others.to_vec()].concat());
    }
}

#[test]
fn who_did_not_confirm_is_told_and_that_others_tell_them_later() {
    let stand = center_among_others();
    stand.answers(
        "/api/requests",
        503,
        json!({"code": "NODE_OFFLINE", "sentence": "it was not heard for 3 min"}),
    );
    let said = revoke(&stand, &[&ann().id().to_string()[..8]]);
    assert_eq!(said.code, Some(1), "{said:?}");
    for words in [
        "not every node has confirmed",
        "it was not heard for 3 min",
        "is told by the others when it is heard again",
    ] {
        assert!(said.err.contains(words), "{said:?}");
    }
}

#[test]
fn what_is_not_said_or_does_not_belong_together_is_told() {
    let stand = center_among_others();
    expect_sentence(&revoke(&stand, &["1234567"]), &["too short"]);
    expect_sentence(&revoke(&stand, &["12345678"]), &["nobody who is enrolled"]);
    let key = key_file(&stand);
    let id = &ann().id().to_string()[..8];
    let said = stand.run(&["operator", "revoke", id, "--everywhere", "--key", &key]);
    expect_sentence(&said, &["say why, with --why"]);
    let said = stand.run(&["operator", "revoke", id, "--key", &key]);
    expect_sentence(&said, &["--key and --url are for --everywhere"]);
    assert_eq!(stand.posted().len(), 0);
}
