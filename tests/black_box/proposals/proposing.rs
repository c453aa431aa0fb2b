//! `propose` and `withdraw`: what a person asks an owner for, with the readings that speak for it.

use std::fs;

use clawmesh_authority::envelope::{self, Body, Statement};
use clawmesh_authority::{
    Capability, Hlc, MeshId, Mind, NodeKey, Reading, ReadingBatch, Request, RequestBody, Tier, Unit, Value,
    request,
};
use serde_json::json;

use super::scene::{MESH, ann, asked_id, awaiting, center, center_showing, key_file, owner, status, unix_ms};
use super::stand_in::StandIn;
use crate::bad_input::expect_sentence;
use crate::support::cli::{Said, json_on, run_on};

const SITE: &str = include_str!("../../../assets/sites/farm.ron");
const POLICY: &str = include_str!("../../../assets/sites/farm.policy.ron");
const SOIL: &str = "sensor:soil-moisture:food-forest";
const TANK: &str = "sensor:tank-level:tank-01";
const DRY: [&str; 6] = ["valve-food-forest=open", "pump-main-01=start", "--for", "20m", "--why", "it is dry"];

/// A signed batch of readings of `key`.
fn signed(key: &NodeKey, sequence: u64, sensors: &[&str]) -> Vec<u8> {
    let reading = |sensor: &&str| Reading {
        sensor: Capability::new(sensor).expect("a good capability"),
        value: 14.0,
        unit: Unit::Percent,
        origin_ms: unix_ms(),
        sequence,
        tier: Tier::T2,
    };
    let body = Body::Readings(ReadingBatch(sensors.iter().map(reading).collect()));
    let hlc = Hlc { wall_ms: unix_ms(), logical: 0 };
    envelope::seal(key, &Statement { mesh: MeshId::of_name(MESH), epoch: 1, sequence, hlc, body })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A command center that runs with the shipped farm, and has a reading of the soil and one of the tank.
pub fn center_of_the_farm(with_policy: bool) -> (StandIn, Vec<Vec<u8>>) {
    let stand = center_showing(&[awaiting()]);
    let planned = "(name: \"field-node\", ";
    let known = format!("{planned}id: \"{}\", ", owner().id());
    fs::write(stand.dir.join("site.ron"), SITE.replacen(planned, &known, 1)).expect("the folder is ours");
    if with_policy {
        fs::write(stand.dir.join("policy.ron"), POLICY).expect("the folder is ours");
    }
    let check = json_on(&stand.dir, &["site", "check"]);
    stand.answers("/api/status", 200, status(check["site_hash"].as_str()));
    let envelopes = vec![signed(&owner(), 1, &[SOIL]), signed(&owner(), 2, &[TANK])];
    let rows = [
        json!({"node": center().id(), "sensor": SOIL, "envelope": hex(&signed(&center(), 1, &[SOIL]))}),
        json!({"node": owner().id(), "sensor": SOIL, "envelope": hex(&envelopes[0])}),
        json!({"node": owner().id(), "sensor": TANK, "envelope": hex(&envelopes[1])}),
    ];
    stand.answers("/api/evidence", 200, json!({"envelopes": rows}));
    (stand, envelopes)
}

fn propose(stand: &StandIn, args: &[&str]) -> Said {
    let key = key_file(stand);
    stand.run(&[&["propose", "--key", &key], args].concat())
}

/// The one request that was posted, judged as an owner judges it.
pub fn posted(stand: &StandIn) -> Request {
    let posted = stand.posted();
    let [one] = &posted[..] else { panic!("not one post: {posted:?}") };
    assert_eq!((one.path.as_str(), one.content_type.as_str()), ("/api/requests", "application/cbor"));
    let signed = request::open(&one.body).expect("an owner opens it");
    assert_eq!(signed.signer(), &ann().public(), "Ann signed it");
    signed.is_for(MeshId::of_name(MESH), owner().id()).expect("it is for the owner");
    signed.request().clone()
}

#[test]
fn a_proposal_of_a_person_reaches_its_owner_with_the_readings_that_its_policy_names() {
    for with_policy in [true, false] {
        let (stand, envelopes) = center_of_the_farm(with_policy);
        let before_ms = unix_ms();
        let said = propose(&stand, &DRY);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
        let request = posted(&stand);
        let RequestBody::Propose(proposal) = request.body else { panic!("{request:?}") };
        assert!(said.out.starts_with(&format!("proposal  {}\n", proposal.id())), "{said:?}");
        assert_eq!((proposal.maker.node, &proposal.maker.mind), (center().id(), &Mind::Operator(ann().id())));
        let hash = json_on(&stand.dir, &["site", "check"])["site_hash"].clone();
        assert_eq!((json!(proposal.site), proposal.reason.as_str()), (hash, "it is dry"));
        assert_eq!(proposal.steps, super::scene::steps());
        assert_eq!((proposal.made, proposal.made.logical), (request.made, 0));
        assert!((before_ms..=unix_ms()).contains(&proposal.made.wall_ms));
        let mut evidence: Vec<Vec<u8>> = proposal.evidence.iter().map(|bytes| bytes.to_vec()).collect();
        evidence.sort_by_key(|bytes| envelopes.iter().position(|known| known == bytes));
        assert_eq!(evidence, envelopes, "one of each, and none of the center, which has no such sensor");
        for bytes in &evidence {
            assert_eq!(envelope::open(bytes, MeshId::of_name(MESH)).unwrap().source, owner().id());
        }
    }
}

#[test]
fn a_proposal_takes_the_place_of_the_one_that_is_named() {
    let (stand, _) = center_of_the_farm(true);
    let said = propose(&stand, &[&DRY[..], &["--instead-of", "2b8a75c7"]].concat());
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    let RequestBody::Supersede { proposal, instead_of } = posted(&stand).body else { panic!("{said:?}") };
    assert_eq!((proposal.steps, instead_of), (super::scene::steps(), asked_id()));
    let said = propose(&stand, &[&DRY[..], &["--instead-of", "12345678"]].concat());
    expect_sentence(&said, &["no proposal known here"]);
}

#[test]
fn only_what_lasts_is_told_for_how_long() {
    for (with_policy, step, lasts) in [
        (true, "valve-flower=close", false),
        (false, "valve-flower=close", false),
        (false, "pump-main-01=stop", false),
        (true, "valve-food-forest=fertigate", true),
        (false, "valve-food-forest=flush", true),
    ] {
        let (stand, _) = center_of_the_farm(with_policy);
        let said = propose(&stand, &[step, "--for", "90s", "--why", "a try"]);
        assert_eq!(said.code, Some(0), "{step}: {said:?}");
        let RequestBody::Propose(proposal) = posted(&stand).body else { panic!("no proposal") };
        let for_s = proposal.steps[0].parameters.get("for_s");
        assert_eq!(for_s, lasts.then_some(&Value::Number(90.0)), "{with_policy} {step}");
    }
}

#[test]
fn a_reading_that_is_not_there_is_told_and_the_owner_decides() {
    let (stand, envelopes) = center_of_the_farm(true);
    let row = json!({"node": owner().id(), "sensor": SOIL, "envelope": hex(&envelopes[0])});
    stand.answers("/api/evidence", 200, json!({"envelopes": [row]}));
    let said = propose(&stand, &DRY);
    assert!(said.err.contains(&format!("note: no signed reading of {TANK} could be attached")), "{said:?}");
    let RequestBody::Propose(proposal) = posted(&stand).body else { panic!("no proposal") };
    assert_eq!(proposal.evidence.len(), 1);
    assert!(
        stand.asked().contains(&format!("/api/evidence?sensor={SOIL}&sensor={TANK}")),
        "{:?}",
        stand.asked()
    );
}

#[test]
fn what_cannot_be_proposed_is_told_with_what_could_and_nothing_is_posted() {
    let (stand, _) = center_of_the_farm(true);
    let why = ["--why", "it is dry"];
    let (id, other) = (owner().id().to_string(), center().id().to_string());
    for (args, words) in [
        (&["valve-food-forest"][..], &["is no step", "valve-flower=open"][..]),
        (&["valve-of-the-moon=open"], &["is nothing that this site switches", "pump-main-01"]),
        (&["valve-flower=toggle"], &["knows no \"toggle\"", "close, open"]),
        (&["valve-flower=open"], &["has to end by itself", "--for 20m"]),
        (
            &["valve-flower=open", "--for", "20m", "--node", "barn"],
            &["belongs to field-node", "not to \"barn\""],
        ),
        (&["valve-flower=open", "--for", "20m", "--node", &other], &["belongs to field-node"]),
        (
            &["valve-flower=open", "valve-flower=close", "--for", "20m"],
            &["stands in two steps", "one thing at a time"],
        ),
    ] {
        expect_sentence(&propose(&stand, &[args, &why].concat()), words);
    }
    let blank = ["valve-flower=open", "--for", "20m", "--why", " "];
    expect_sentence(&propose(&stand, &blank), &["a reason has 1 to 1024 bytes"]);
    assert_eq!(stand.posted().len(), 0);
    let said = propose(&stand, &[&DRY[..], &["--node", &id[..8]]].concat());
    assert_eq!(said.code, Some(0), "{said:?}");
}

#[test]
fn a_site_that_fits_no_owner_or_not_the_running_node_is_told() {
    let (stand, _) = center_of_the_farm(true);
    let site = fs::read_to_string(stand.dir.join("site.ron")).unwrap();
    stand.answers("/api/status", 200, status(Some(&"ab".repeat(32))));
    expect_sentence(&propose(&stand, &DRY), &["site.ron here is ", "command-center runs with abababab"]);
    stand.answers("/api/status", 200, status(None));
    expect_sentence(&propose(&stand, &DRY), &["command-center runs without a site"]);
    fs::write(stand.dir.join("site.ron"), SITE).unwrap();
    expect_sentence(&propose(&stand, &DRY), &["does not say the id of field-node"]);
    let valve = "of: \"valve-food-forest\", owner: \"field-node\"";
    assert!(site.contains(valve));
    let divided = site.replacen(valve, "of: \"valve-food-forest\", owner: \"command-center\"", 1);
    // Its zone is watered by gravity then: one node does all that a zone wants.
    let pumped = "\"open\"), (\"actuator:pump:pump-main-01\", \"start\")";
    let divided = divided.replacen(pumped, "\"open\")", 1);
    fs::write(stand.dir.join("site.ron"), divided).unwrap();
    expect_sentence(
        &propose(&stand, &DRY),
        &["valve-food-forest belongs to command-center", "pump-main-01 to field-node", "one owner at a time"],
    );
    fs::remove_file(stand.dir.join("policy.ron")).unwrap();
    fs::remove_file(stand.dir.join("site.ron")).unwrap();
    expect_sentence(&propose(&stand, &DRY), &["the site has no `plan`"]);
    assert_eq!(stand.posted().len(), 0);
}

#[test]
fn a_proposal_is_taken_back_at_its_home_with_a_reason() {
    let (stand, _) = center_of_the_farm(true);
    let key = key_file(&stand);
    let said = stand.run(&["withdraw", "2b8a75c7", "--why", "it rains", "--key", &key]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let withdrawn = RequestBody::Withdraw { proposal: asked_id(), why: "it rains".to_owned() };
    assert_eq!(posted(&stand).body, withdrawn);
    let no = json!({"code": "NOT_AUTHORIZED", "rule": "operator.role", "sentence": "ask an operator"});
    stand.answers("/api/requests", 422, no);
    let said = stand.run(&["withdraw", "2b8a75c7", "--why", "it rains", "--key", &key]);
    expect_sentence(&said, &["clawmesh: NOT_AUTHORIZED by operator.role: ask an operator"]);
    expect_sentence(&propose(&stand, &DRY), &["clawmesh: NOT_AUTHORIZED by operator.role: ask an operator"]);
}

#[test]
fn every_command_teaches_itself_with_an_example() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["proposals", "show", "approve", "reject", "propose", "withdraw", "stop", "rearm"] {
        let help = run_on(folder.path(), &[command, "--help"]).out;
        assert!(help.contains("Example") && help.contains("--json"), "{help}");
        assert!(help.contains(&format!("\n  clawmesh {command}")), "{help}");
    }
}
