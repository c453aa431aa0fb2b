//! One errand from the wish to the answer, with owners that answer as they are told.

use super::*;
use std::sync::{Arc, Mutex};

use clawmesh_authority::gate::{self, ActuatorState, Live, LiveReading, Moment};
use clawmesh_authority::leadership::Term;
use clawmesh_authority::{
    Hlc, Policy, Reading, ReadingBatch, Setpoint, SignedRequest, Statement, Tier, Unit,
};
use clawmesh_core::Settings;
use clawmesh_core::planner::{Attention, Watering};
use clawmesh_core::settings::SiteText;
use clawmesh_core::site::SiteFiles;

use crate::headless::planner::scenario::site_of;
use crate::moments::now;

const MEASURED_MS: u64 = 1_700_000_000_000;
const ZONES: [(&str, &str); 4] = [
    ("z-food-forest-core", "food-forest"),
    ("z-flower-production", "flower"),
    ("z-rice-or-seasonal-grain", "grain"),
    ("z-nursery-grafting-trials", "nursery"),
];

fn center() -> NodeKey {
    NodeKey::from_secret(&[1; 32])
}

fn field() -> NodeKey {
    NodeKey::from_secret(&[2; 32])
}

fn mesh() -> MeshId {
    MeshId::of_name("farm")
}

fn capability(text: &str) -> Capability {
    Capability::new(text).unwrap()
}

/// The farm as its field node holds it.
fn farm() -> (SiteFiles, Plan) {
    let (SiteText { plan: text, .. }, plan) = site_of(center().id(), field().id());
    let policy = include_str!("../../../../../assets/sites/farm.policy.ron");
    let options = ron::Options::default().with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME);
    let policy: Policy = options.from_str(policy).unwrap();
    let site = SiteText { plan: text, policy: Some(serde_json::to_string(&policy).unwrap()) };
    let settings = Settings {
        trusted: [center().id()].into(),
        site: Some(site),
        ..Settings::of_first_run(field().id(), "field-node", "field", "farm")
    };
    (SiteFiles::of(&settings).unwrap().unwrap(), plan)
}

/// What the tick wishes for a zone that is at 9.9 %.
fn wish(zone: &str) -> Wish {
    let (site, _) = farm();
    let watering = Watering::of(&site, zone).unwrap();
    let owner = watering.owner.unwrap();
    let attention = Attention { moisture_permille: Some(99), ..Attention::default() };
    let wish = watering.wish(zone, owner, &attention, Hlc { wall_ms: MEASURED_MS, logical: 3 }, Term(3));
    Wish { cause: 7, ..wish }
}

/// Readings of these sensors at 9.9 %, signed by this key.
fn signed(key: &NodeKey, sensors: &[&str]) -> Vec<u8> {
    let reading = |sensor: &&str| Reading {
        sensor: capability(sensor),
        value: 9.9,
        unit: Unit::Percent,
        origin_ms: MEASURED_MS,
        sequence: 1,
        tier: Tier::T2,
    };
    let body = Body::Readings(ReadingBatch(sensors.iter().map(reading).collect()));
    let hlc = Hlc { wall_ms: MEASURED_MS, logical: 0 };
    envelope::seal(key, &Statement { mesh: mesh(), epoch: 1, sequence: 1, hlc, body })
}

fn moisture(of: &str) -> String {
    format!("sensor:soil-moisture:{of}")
}

const TANK: &str = "sensor:tank-level:tank-01";

type Asked = Arc<Mutex<Vec<(NodeId, Vec<u8>)>>>;

/// An envoy whose owners answer so, one after the other, and the last answer from then on.
fn envoy_with(
    evidence: impl Fn(&Capability) -> Vec<Vec<u8>> + Send + 'static,
    answers: Vec<Answer>,
) -> (Envoy, Asked, CommitWatch) {
    let (site, plan) = farm();
    let asked = Asked::default();
    let by_the_owner = Arc::clone(&asked);
    let ask = move |owner, bytes| {
        let mut asked = by_the_owner.lock().unwrap();
        asked.push((owner, bytes));
        answers[asked.len().min(answers.len()) - 1].clone()
    };
    let ways = PlannerWays { evidence: Box::new(evidence), ask: Box::new(ask) };
    let commits = CommitWatch::default();
    let envoy = Envoy::new(center(), mesh(), site.home.site, &plan, commits.clone(), ways);
    (envoy, asked, commits)
}

fn taken() -> Answer {
    Answer::Taken { proposal: None, words: "it is simulated".to_owned() }
}

fn no(code: Code) -> Answer {
    Answer::Refused { code, rule: "some-rule".to_owned(), sentence: "not now".to_owned() }
}

/// A shelf with the newest readings of the field node.
fn shelf(sensor: &Capability) -> Vec<Vec<u8>> {
    vec![signed(&field(), &[sensor.as_str()])]
}

/// Goes until nothing is left to do, as fast as the waits allow, and gives what came of it with the waits.
fn go(envoy: &mut Envoy, wish: Wish) -> (Option<Refusal>, Vec<Duration>) {
    let begun = now();
    let (mut errand, mut at, mut waits) = (Errand::new(wish, begun), begun, Vec::new());
    loop {
        assert!(errand.is_due(at));
        match envoy.go(errand, at) {
            Outcome::Done => return (None, waits),
            Outcome::Refused(refusal) => return (Some(refusal), waits),
            Outcome::Later(later) => {
                waits.push(later.due - at);
                at += *waits.last().unwrap();
                errand = *later;
            }
        }
    }
}

fn opened(asked: &Asked) -> Vec<SignedRequest> {
    asked.lock().unwrap().iter().map(|(_, bytes)| request::open(bytes).unwrap()).collect()
}

fn proposal_in(request: &SignedRequest) -> Proposal {
    let RequestBody::Propose(proposal) = &request.request().body else { panic!("a planner only proposes") };
    proposal.clone()
}

#[test]
fn what_is_asked_is_signed_by_this_node_and_rests_on_what_was_measured() {
    let (mut envoy, asked, commits) = envoy_with(shelf, vec![taken()]);
    commits.commit(7);
    let wish = wish(ZONES[0].0);
    assert_eq!(go(&mut envoy, wish.clone()), (None, Vec::new()));
    assert_eq!(asked.lock().unwrap()[0].0, field().id(), "the owner is asked");
    let request = opened(&asked).remove(0);
    assert_eq!(*request.signer(), center().public());
    assert_eq!(request.is_for(mesh(), field().id()), Ok(()));
    assert!(request.request().made > wish.made);
    let proposal = proposal_in(&request);
    let mind = Mind::Utility { name: "dryness".to_owned() };
    assert_eq!(proposal.maker, Maker { node: center().id(), mind, term: Some(Term(3)) });
    assert_eq!((&proposal.steps, &proposal.reason, proposal.made), (&wish.steps, &wish.reason, wish.made));
    let evidence: Vec<&[u8]> = proposal.evidence.iter().map(|envelope| envelope.as_slice()).collect();
    assert_eq!(evidence, [signed(&field(), &[&moisture("food-forest")]), signed(&field(), &[TANK])]);
}

#[test]
fn what_is_proposed_for_any_zone_of_the_farm_passes_the_gate_of_its_owner() {
    let (site, _) = farm();
    let policy = site.policy.as_ref().unwrap();
    let reading =
        |value| LiveReading { value, tier: Tier::T2, age_ms: 500, unchanged_ms: 0, doubt: None, fault: None };
    let off = ActuatorState { read_back: Some(Setpoint::Off), answers: true, ..ActuatorState::default() };
    let live = Live {
        can_write_down: true,
        readings: [
            ((field().id(), capability(TANK)), reading(70.0)),
            ((field().id(), capability("sensor:pressure:mainline-01")), reading(20.0)),
        ]
        .into(),
        actuators: site.home.actuators.iter().map(|actuator| (actuator.clone(), off)).collect(),
        wall_ms: MEASURED_MS + 5_000,
        ..Live::default()
    };
    for (zone, sensor) in ZONES {
        let (mut envoy, asked, commits) = envoy_with(shelf, vec![taken()]);
        commits.commit(7);
        assert_eq!(go(&mut envoy, wish(zone)).0, None);
        let proposal = proposal_in(&opened(&asked)[0]);
        let evidence = gate::resolve(&proposal, &site.home, |node| *node == field().id()).unwrap();
        assert!(evidence.iter().any(|signed| signed.reading.sensor == capability(&moisture(sensor))));
        let judged = gate::judge(&proposal, &evidence, Moment::Proposing, &site.home, policy, &live);
        assert_eq!(judged, Ok(()), "{zone}");
    }
}

#[test]
fn one_envelope_with_both_readings_is_attached_once() {
    let both = || signed(&field(), &[&moisture("food-forest"), TANK]);
    let (mut envoy, asked, commits) = envoy_with(move |_| vec![both()], vec![taken()]);
    commits.commit(7);
    assert_eq!(go(&mut envoy, wish(ZONES[0].0)).0, None);
    assert_eq!(proposal_in(&opened(&asked)[0]).evidence.len(), 1);
}

#[test]
fn what_is_no_evidence_for_the_owner_is_left_out() {
    let stranger = NodeKey::from_secret(&[3; 32]);
    let altered = || {
        let mut bytes = signed(&field(), &[&moisture("food-forest")]);
        *bytes.last_mut().unwrap() ^= 1;
        bytes
    };
    let many: Vec<String> =
        (0..250).map(|n| format!("sensor:soil-moisture:{}-{n}", "x".repeat(100))).collect();
    let mut many: Vec<&str> = many.iter().map(String::as_str).collect();
    let forest = moisture("food-forest");
    many.push(&forest);
    let large = signed(&field(), &many);
    assert!(large.len() > EVIDENCE_BYTES_MAX && envelope::open(&large, mesh()).is_ok());
    let bad = vec![
        signed(&stranger, &[&forest]),
        altered(),
        large,
        signed(&field(), &[&moisture("flower")]),
        b"21.5".to_vec(),
    ];
    let good = signed(&field(), &[&forest]);
    let known = [bad, vec![good.clone()]].concat();
    let (mut envoy, asked, commits) = envoy_with(move |_| known.clone(), vec![taken()]);
    commits.commit(7);
    assert_eq!(go(&mut envoy, wish(ZONES[0].0)).0, None);
    let proposal = proposal_in(&opened(&asked)[0]);
    assert_eq!(proposal.evidence.iter().map(|e| e.to_vec()).collect::<Vec<_>>(), [good]);
}

#[test]
fn more_evidence_than_a_proposal_may_hold_is_left_out() {
    let known = |sensor: &Capability| {
        let with = |n: usize| signed(&field(), &[sensor.as_str(), &format!("sensor:other:{n}")]);
        (0..EVIDENCE_MAX).map(with).collect()
    };
    let (mut envoy, asked, commits) = envoy_with(known, vec![taken()]);
    commits.commit(7);
    assert_eq!(go(&mut envoy, wish(ZONES[0].0)).0, None);
    assert_eq!(proposal_in(&opened(&asked)[0]).evidence.len(), EVIDENCE_MAX);
}

#[test]
fn without_a_reading_of_the_zone_nobody_is_asked_and_a_later_one_is_waited_for() {
    let nothing = |sensor: &Capability| if sensor.as_str() == TANK { shelf(sensor) } else { Vec::new() };
    let (mut envoy, asked, commits) = envoy_with(nothing, vec![taken()]);
    commits.commit(7);
    let (refusal, waits) = go(&mut envoy, wish(ZONES[0].0));
    let refusal = refusal.unwrap();
    assert_eq!((refusal.code, refusal.from.as_str()), (Code::EvidenceUnresolved, "planner"));
    assert!(refusal.sentence.contains("no signed reading of sensor:soil-moisture:food-forest"), "{refusal}");
    assert_eq!((waits.len(), asked.lock().unwrap().len()), (3, 0));
    let looked = Mutex::new(0);
    let later = move |sensor: &Capability| {
        let mut looked = looked.lock().unwrap();
        *looked += 1;
        if *looked > 2 { shelf(sensor) } else { Vec::new() }
    };
    let (mut envoy, asked, commits) = envoy_with(later, vec![taken()]);
    commits.commit(7);
    assert_eq!(go(&mut envoy, wish(ZONES[0].0)).0, None);
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[test]
fn nobody_is_asked_before_the_cause_is_durable() {
    let (mut envoy, asked, commits) = envoy_with(shelf, vec![taken()]);
    commits.commit(6);
    let begun = now();
    let Outcome::Later(errand) = envoy.go(Errand::new(wish(ZONES[0].0), begun), begun) else {
        panic!("row 7 is not durable")
    };
    assert_eq!(asked.lock().unwrap().len(), 0);
    assert!(!errand.is_due(begun) && errand.is_due(begun + COMMIT_NAP));
    commits.commit(7);
    assert!(matches!(envoy.go(*errand, begun + COMMIT_NAP), Outcome::Done));
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[test]
fn a_cause_that_does_not_become_durable_is_told() {
    let (mut envoy, asked, commits) = envoy_with(shelf, vec![taken()]);
    let (refusal, waits) = go(&mut envoy, wish(ZONES[0].0));
    assert_eq!(refusal.map(|refusal| refusal.code), Some(Code::JournalUnavailable));
    assert_eq!(waits.iter().sum::<Duration>(), COMMIT_PATIENCE);
    commits.fail("the disk is full");
    let (refusal, waits) = go(&mut envoy, wish(ZONES[0].0));
    assert!(refusal.unwrap().sentence.contains("the disk is full"));
    assert_eq!((waits.len(), asked.lock().unwrap().len()), (0, 0));
}

#[test]
fn who_is_busy_is_asked_again_for_the_same_with_a_later_request_and_not_for_ever() {
    let seconds = |waits: Vec<Duration>| waits.iter().map(Duration::as_secs).collect::<Vec<_>>();
    let (mut envoy, asked, commits) = envoy_with(shelf, vec![no(Code::Busy), no(Code::Replayed), taken()]);
    commits.commit(7);
    let (refusal, waits) = go(&mut envoy, wish(ZONES[0].0));
    assert_eq!((refusal, seconds(waits)), (None, vec![1, 2]));
    let requests = opened(&asked);
    assert!(requests.is_sorted_by(|a, b| a.request().made < b.request().made));
    let ids: Vec<_> = requests.iter().map(|request| proposal_in(request).id()).collect();
    assert_eq!(ids, [ids[0]; 3]);
    let (mut never, asked, commits) = envoy_with(shelf, vec![no(Code::Busy)]);
    commits.commit(7);
    let (refusal, waits) = go(&mut never, wish(ZONES[0].0));
    assert_eq!((refusal.unwrap().code, seconds(waits)), (Code::Busy, vec![1, 2, 4]));
    assert_eq!(asked.lock().unwrap().len(), 4);
}

#[test]
fn a_refusal_is_an_answer_and_is_told_with_its_rule() {
    let (mut envoy, asked, commits) = envoy_with(shelf, vec![no(Code::InterlockOpen)]);
    commits.commit(7);
    let (refusal, waits) = go(&mut envoy, wish(ZONES[0].0));
    let expected = "what is wished for z-food-forest-core: not now (some-rule)";
    assert_eq!(refusal, Some(Refusal::new(Code::InterlockOpen, "planner", expected)));
    assert_eq!((waits.len(), asked.lock().unwrap().len()), (0, 1));
    let sentence = "x".repeat(16 * 1024);
    let endless = Answer::Refused { code: Code::Frozen, rule: String::new(), sentence };
    let (mut envoy, _, commits) = envoy_with(shelf, vec![endless]);
    commits.commit(7);
    assert!(go(&mut envoy, wish(ZONES[0].0)).0.unwrap().sentence.len() < 600);
}

#[test]
fn what_is_there_already_after_an_answer_was_lost_is_no_refusal() {
    let (mut envoy, _, commits) = envoy_with(shelf, vec![no(Code::Busy), no(Code::Duplicate)]);
    commits.commit(7);
    assert_eq!(go(&mut envoy, wish(ZONES[0].0)).0, None);
    let (mut at_once, _, commits) = envoy_with(shelf, vec![no(Code::Duplicate)]);
    commits.commit(7);
    assert_eq!(go(&mut at_once, wish(ZONES[0].0)).0.unwrap().code, Code::Duplicate);
}
