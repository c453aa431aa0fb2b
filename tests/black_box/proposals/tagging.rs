//! `tag` and `untag`: a person takes an actuator out of service at its owner, and puts it back.

use clawmesh_authority::{Capability, RequestBody};
use serde_json::json;

use super::proposing::{center_of_the_farm, posted};
use super::scene::key_file;
use super::stand_in::StandIn;
use crate::bad_input::expect_sentence;
use crate::support::cli::Said;

fn tagging(stand: &StandIn, args: &[&str]) -> Said {
    let key = key_file(stand);
    stand.run(&[args, &["--key", &key]].concat())
}

#[test]
fn an_actuator_is_tagged_and_put_back_at_its_owner_by_the_key_of_a_person() {
    let actuator = || Capability::new("actuator:valve:valve-food-forest").expect("a good capability");
    let why = || "the pipe is open".to_owned();
    for (command, called, body) in [
        ("tag", "valve-food-forest", RequestBody::Tag { actuator: actuator(), why: why() }),
        ("tag", actuator().as_str(), RequestBody::Tag { actuator: actuator(), why: why() }),
        ("untag", "valve-food-forest", RequestBody::Untag { actuator: actuator(), why: why() }),
    ] {
        let (stand, _) = center_of_the_farm(true);
        stand.answers(
            "/api/requests",
            200,
            json!({"outcome": "taken", "proposal": null, "words": "it is done"}),
        );
        let said = tagging(&stand, &[command, called, "--why", &why()]);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
        assert!(said.out.contains("it is done"), "{said:?}");
        assert_eq!(posted(&stand).body, body);
    }
}

#[test]
fn what_is_not_there_or_not_allowed_is_told() {
    let (stand, _) = center_of_the_farm(true);
    let said = tagging(&stand, &["tag", "valve-food-forst", "--why", "a typo"]);
    expect_sentence(&said, &["\"valve-food-forst\" is nothing that this site switches", "valve-food-forest"]);
    let said = tagging(&stand, &["tag", "valve-food-forest", "--why", " "]);
    expect_sentence(&said, &["say why"]);
    assert_eq!(stand.posted().len(), 0);
    let no = json!({"code": "NOT_AUTHORIZED", "rule": "tag.owner", "sentence": "Ann takes it off"});
    stand.answers("/api/requests", 422, no);
    let said = tagging(&stand, &["untag", "valve-food-forest", "--why", "it is mended"]);
    expect_sentence(&said, &["NOT_AUTHORIZED by tag.owner: Ann takes it off"]);
}
