//! Who may ask for what: the owner decides, by its own rules, on evidence that others have signed.

use clawmesh_authority::envelope::{self, Body, Statement};
use clawmesh_authority::request::{self, Request, RequestBody};
use clawmesh_authority::{
    Answer, AskKind, Code, ContentHash, Frame, Hlc, Maker, MeshId, Mind, Observation, OperatorKey, Proposal,
    Step, Tier, Unit, Value,
};
use clawmesh_core::intake::{InputBody, SourceId};
use clawmesh_lab::Lab;
use minicbor::bytes::ByteVec;

use super::rig::{CENTER, FIELD, Farm, ann, bo, capability, code, eve, flo, pump, step, stranger, valve};

const SOIL: &str = "sensor:soil-moisture:food-forest";
const TANK: &str = "sensor:tank-level:tank-01";
const DRY: [(&str, Unit, f64); 2] = [(SOIL, Unit::Percent, 14.0), (TANK, Unit::Percent, 70.0)];

impl Farm {
    /// A proposal that was changed.
    fn proposal_with(&mut self, change: impl FnOnce(&mut Proposal)) -> Proposal {
        let mut proposal = self.proposal();
        change(&mut proposal);
        proposal
    }

    fn ask_node(&mut self, node: &str, request: &Request) -> Answer {
        self.lab.ask(node, AskKind::Request, request::seal(&Lab::key_of(1), request))
    }
}

#[test]
fn s2_only_the_owner_of_an_actuator_takes_a_proposal_for_it() {
    let mut farm = Farm::brief();
    let center = farm.lab.id(CENTER);
    let good = farm.proposal();
    let mut request = farm.request(RequestBody::Propose(good.clone()));
    let answer = farm.ask_node(CENTER, &request);
    assert_eq!(code(&answer), Some((Code::SourceMismatch, "request.owner")), "and nothing is passed on");
    // Who is asked in the name of another owner, or has no actuator of this name, is not the owner.
    request.owner = center;
    let answer = farm.ask_node(FIELD, &request);
    farm.assert_refused(&answer, Code::InvalidParams, "request.content");
    let for_center = farm.proposal_with(|proposal| proposal.owner = center);
    let mut request = farm.request(RequestBody::Propose(for_center));
    request.owner = center;
    let answer = farm.ask_node(CENTER, &request);
    assert_eq!(code(&answer), Some((Code::AmbiguousOwner, "one-owner")));
    let answer = farm.ask_node(FIELD, &request);
    farm.assert_refused(&answer, Code::SourceMismatch, "request.owner");
    let elsewhere = step(capability("actuator:valve:valve-of-the-neighbours"), "open", Some(6.0));
    let proposal = farm.proposal_of(vec![elsewhere]);
    let answer = farm.propose(&proposal);
    farm.assert_refused(&answer, Code::AmbiguousOwner, "one-owner");
    // A copy decides nothing.
    assert_eq!(code(&farm.propose(&good)), None);
    farm.run_seconds(1);
    let offer = farm.offer(good.id());
    let approval =
        clawmesh_authority::Approval::answering(&offer, clawmesh_authority::Decision::Approve, None, 0);
    let bytes = clawmesh_authority::approval::seal(&ann(), &approval);
    let answer = farm.lab.ask(CENTER, AskKind::Approval, bytes);
    assert_eq!(code(&answer), Some((Code::ApprovalMismatch, "approval.proposal")));
    farm.assert_carried_out(&offer);
}

#[test]
fn s2_owner_and_proposer_have_the_same_mesh_and_the_same_site_in_mind() {
    let mut farm = Farm::brief();
    let other = MeshId::of_name("another");
    let mut request = farm.request(RequestBody::Stop { why: "smoke".to_owned() });
    request.mesh = other;
    let answer = farm.ask_node(FIELD, &request);
    farm.assert_refused(&answer, Code::MeshIdMismatch, "request.mesh");
    let proposal = farm.proposal_with(|proposal| proposal.mesh = other);
    let answer = farm.propose(&proposal);
    farm.assert_refused(&answer, Code::InvalidParams, "request.content");
    let proposal = farm.proposal_with(|proposal| proposal.site = ContentHash([1; 32]));
    let answer = farm.propose(&proposal);
    farm.assert_refused(&answer, Code::SiteMismatch, "same-site");
    let good = farm.proposal();
    farm.assert_goes_through(&good);
}

#[test]
fn s2_the_owner_judges_what_is_asked_by_its_own_policy() {
    let mut farm = Farm::brief();
    let open = |parameters: Vec<(&str, Value)>| {
        let parameters = parameters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        vec![Step { actuator: valve(), operation: "open".to_owned(), parameters }]
    };
    let for_s = |seconds| ("for_s", Value::Number(seconds));
    let (limit, invalid) = (Code::LimitExceeded, Code::InvalidParams);
    for (steps, expected, rule) in [
        (vec![step(valve(), "toggle", Some(6.0))], Code::UnknownOperation, "known-operation"),
        (vec![step(pump(), "open", Some(6.0))], Code::UnknownOperation, "known-operation"),
        (open(vec![]), limit, "bounded-irrigation"),
        (open(vec![for_s(2_400.1)]), limit, "bounded-irrigation"),
        (open(vec![for_s(0.9)]), limit, "bounded-irrigation"),
        (open(vec![for_s(-6.0)]), limit, "bounded-irrigation"),
        (open(vec![for_s(f64::MAX)]), limit, "bounded-irrigation"),
        (open(vec![for_s(f64::NAN)]), invalid, "request.content"),
        (open(vec![for_s(f64::INFINITY)]), invalid, "request.content"),
        (open(vec![("for_s", Value::Text("6".to_owned()))]), invalid, "parameters"),
        (open(vec![("for_s", Value::Flag(true))]), invalid, "parameters"),
        (open(vec![for_s(6.0), ("again", Value::Flag(true))]), invalid, "parameters"),
        (vec![step(valve(), "close", Some(6.0))], invalid, "parameters"),
        (vec![step(valve(), "fertigate", Some(60.0))], Code::NotAuthorized, "dosage-first"),
        (vec![], invalid, "request.content"),
        (vec![step(pump(), "start", Some(6.0)); 17], invalid, "request.content"),
        (
            [step(valve(), "open", Some(6.0)), step(valve(), "close", None)].to_vec(),
            invalid,
            "request.content",
        ),
    ] {
        farm.speak();
        let proposal = farm.proposal_of(steps.clone());
        let answer = farm.propose(&proposal);
        assert_eq!(code(&answer), Some((expected, rule)), "{steps:?}");
        farm.assert_refused(&answer, expected, rule);
    }
    let good = farm.proposal();
    farm.assert_goes_through(&good);
}

#[test]
fn s2_who_is_not_known_or_may_not_asks_in_vain() {
    let mut farm = Farm::brief();
    for (key, expected, rule) in [
        (stranger(), Code::NotAuthorized, "request.signer"),
        (eve(), Code::OperatorRevoked, "operator.not_revoked"),
        (flo(), Code::NotAuthorized, "operator.role"),
    ] {
        let proposal =
            farm.proposal_with(|proposal| proposal.maker = Maker::person(proposal.maker.node, key.id()));
        let answer = farm.ask_as(&key, RequestBody::Propose(proposal));
        farm.assert_refused(&answer, expected, rule);
    }
    // A node that nobody trusts here.
    let proposal = farm.proposal_with(|proposal| proposal.maker.node = Lab::id_of(9));
    let request = farm.request(RequestBody::Propose(proposal));
    let answer = farm.lab.ask(FIELD, AskKind::Request, request::seal(&Lab::key_of(9), &request));
    farm.assert_refused(&answer, Code::NotAuthorized, "request.signer");
    let proposal =
        farm.proposal_with(|proposal| proposal.maker = Maker::person(proposal.maker.node, bo().id()));
    assert_eq!(code(&farm.ask_as(&bo(), RequestBody::Propose(proposal.clone()))), None);
    farm.run_seconds(1);
    let offer = farm.offer(proposal.id());
    farm.assert_carried_out(&offer);
}

#[test]
fn s2_who_is_trusted_no_longer_asks_in_vain_and_its_readings_are_no_evidence() {
    let mut farm = Farm::with_soil_at_the_center();
    let trust = |farm: &mut Farm, nodes: &[usize]| {
        let nodes = nodes.iter().map(|n| Lab::id_of(*n)).collect();
        farm.lab.offer(FIELD, SourceId::Runner, InputBody::TrustChanged(nodes));
        farm.run_seconds(1);
    };
    let by_bo = |farm: &mut Farm| {
        let evidence = vec![farm.evidence_of(1, &DRY[..1])];
        let mut proposal = farm.proposal_of(vec![step(valve(), "open", Some(6.0))]);
        (proposal.maker, proposal.evidence) = (Maker::person(proposal.maker.node, bo().id()), evidence);
        proposal
    };
    trust(&mut farm, &[]);
    let proposal = by_bo(&mut farm);
    let answer = farm.ask_as(&bo(), RequestBody::Propose(proposal));
    farm.assert_refused(&answer, Code::EvidenceUnresolved, "evidence");
    let proposal = farm.proposal();
    let answer = farm.propose(&proposal);
    farm.assert_refused(&answer, Code::NotAuthorized, "request.signer");
    trust(&mut farm, &[1]);
    let good = by_bo(&mut farm);
    assert_eq!(code(&farm.ask_as(&bo(), RequestBody::Propose(good.clone()))), None);
    farm.run_seconds(1);
    let offer = farm.offer(good.id());
    farm.assert_carried_out(&offer);
    assert_eq!(farm.lab.replay(FIELD).difference, None);
}

#[test]
fn s3_evidence_is_resolved_and_counts_only_as_the_policy_says() {
    let mut farm = Farm::brief();
    let now_ms = farm.lab.now_ms();
    let good = farm.evidence(2);
    let changed = |change: &dyn Fn(&mut clawmesh_authority::Reading)| farm.evidence_with(2, &DRY, change);
    let mut altered = good.clone();
    altered[200] ^= 1;
    let observation = Observation {
        key: "soil".to_owned(),
        value: Value::Number(14.0),
        unit: None,
        origin_ms: now_ms,
        tier: Tier::T3,
    };
    let note = Statement {
        mesh: MeshId::of_name("lab"),
        epoch: 1,
        sequence: 8,
        hlc: Hlc { wall_ms: now_ms, logical: 0 },
        body: Body::Frame(Frame::Observation(observation)),
    };
    let note = ByteVec::from(envelope::seal(&Lab::key_of(2), &note));
    let flower = [("sensor:soil-moisture:flower", Unit::Percent, 14.0), DRY[1]];
    let (unresolved, model) = (Code::EvidenceUnresolved, Code::LlmOnlyActuationBlocked);
    for (evidence, expected, rule, why) in [
        (vec![], model, "no-model-alone", "none"),
        (vec![note], model, "no-model-alone", "what somebody noted"),
        (vec![farm.evidence(9)], model, "no-model-alone", "signed by a stranger"),
        (vec![changed(&|it| it.tier = Tier::T0)], model, "no-model-alone", "thought"),
        (vec![altered], unresolved, "evidence", "altered"),
        (vec![ByteVec::from(b"14 %".to_vec())], unresolved, "evidence", "not signed"),
        (vec![farm.evidence(1)], unresolved, "evidence", "of another node than the policy names"),
        (vec![farm.evidence_of(2, &flower)], unresolved, "evidence", "of another sensor"),
        (vec![farm.evidence_of(2, &DRY[..1])], unresolved, "evidence", "of one of two sensors"),
        (vec![changed(&|it| it.tier = Tier::T1)], Code::InsufficientTrustTier, "evidence", "relayed"),
        (vec![changed(&|it| it.origin_ms -= 61_000)], Code::EvidenceStale, "evidence", "old"),
        (vec![changed(&|it| it.origin_ms += 60_000)], Code::EvidenceStale, "evidence", "of the future"),
        (vec![good; 9], Code::InvalidParams, "request.content", "too much"),
    ] {
        farm.speak();
        let proposal = farm.proposal_with(|proposal| proposal.evidence = evidence);
        let answer = farm.propose(&proposal);
        assert_eq!(code(&answer), Some((expected, rule)), "{why}: {answer:?}");
        farm.assert_refused(&answer, expected, rule);
    }
    // Each of the two readings in an envelope of its own.
    let apart = DRY.map(|reading| farm.evidence_of(2, &[reading])).to_vec();
    let good = farm.proposal_with(|proposal| proposal.evidence = apart);
    farm.assert_goes_through(&good);
}

#[test]
fn s3_what_a_model_thinks_moves_nothing_and_what_is_measured_does() {
    let mut farm = Farm::brief();
    let model = Mind::Model { name: "some-model".to_owned(), session_of: None };
    for evidence in
        [vec![], vec![farm.evidence_with(2, &DRY, |it| it.tier = Tier::T0)], vec![farm.evidence(9)]]
    {
        let proposal = farm.proposal_with(|proposal| {
            proposal.maker.mind = model.clone();
            proposal.evidence = evidence;
        });
        let answer = farm.propose(&proposal);
        farm.assert_refused(&answer, Code::LlmOnlyActuationBlocked, "no-model-alone");
    }
    // A person's word is no measurement either, where the policy wants one.
    let word = farm.proposal_with(|proposal| {
        proposal.maker = Maker::person(proposal.maker.node, ann().id());
        proposal.evidence.clear();
    });
    let answer = farm.ask_as(&ann(), RequestBody::Propose(word));
    farm.assert_refused(&answer, Code::EvidenceUnresolved, "evidence");
    let good = farm.proposal_with(|proposal| proposal.maker.mind = model.clone());
    farm.assert_goes_through(&good);
}

#[test]
fn s10_a_refusal_is_an_answer_counted_journaled_and_shown() {
    let mut farm = Farm::brief();
    let before = farm.lab.snapshot(FIELD).refusals.len();
    for n in 1..=3 {
        let proposal = farm.proposal_of(vec![step(valve(), "toggle", None)]);
        let Answer::Refused { code, rule, sentence } = farm.propose(&proposal) else {
            panic!("it is refused")
        };
        assert_eq!((code, rule.as_str()), (Code::UnknownOperation, "known-operation"));
        assert!(sentence.contains("knows no `toggle`, it knows close, fertigate, open"), "{sentence}");
        farm.lab.run_ticks(6);
        let snapshot = farm.lab.snapshot(FIELD);
        let row = snapshot.refusals.iter().find(|row| row.code == code).expect("it is shown");
        assert_eq!((row.count, row.from.as_str()), (n, "gateway"));
        assert!(row.sentence.contains(&sentence), "{row:?}");
    }
    assert_eq!(farm.lab.snapshot(FIELD).refusals.len(), before + 1);
    // What is asked twice is answered twice, and a refusal does not wear out.
    let proposal = farm.proposal_of(vec![step(valve(), "toggle", None)]);
    let asked = farm.request(RequestBody::Propose(proposal));
    assert_eq!(code(&farm.ask_node(FIELD, &asked)), Some((Code::UnknownOperation, "known-operation")));
    assert_eq!(code(&farm.ask_node(FIELD, &asked)), Some((Code::Replayed, "request.once")));
    assert_eq!(farm.switched_on(), []);
    assert_eq!(farm.lab.replay(FIELD).difference, None, "the refusals are in the journal");
}

#[test]
fn a_storm_of_proposals_is_bounded_and_the_node_still_answers() {
    let mut farm = Farm::brief();
    let good = farm.proposal();
    assert_eq!(code(&farm.propose(&good)), None);
    assert_eq!(code(&farm.propose(&good)), Some((Code::Duplicate, "proposal.once")));
    let same = farm.proposal();
    assert_eq!(code(&farm.propose(&same)), Some((Code::Duplicate, "proposal.same_steps")));
    let mut opened = 1;
    let mut storm = |farm: &mut Farm, key: Option<&OperatorKey>, at_most: u32| {
        for n in 1..=at_most {
            farm.speak();
            let for_s = f64::from(100 + opened);
            let mut proposal = farm.proposal_of(vec![step(valve(), "open", Some(for_s))]);
            let answer = if let Some(key) = key {
                proposal.maker = Maker::person(proposal.maker.node, key.id());
                // Who signs for themselves may write any node into it.
                proposal.maker.node = clawmesh_authority::NodeId([n as u8; 32]);
                farm.ask_as(key, RequestBody::Propose(proposal))
            } else {
                // A name is quickly made up; the key that signs is not.
                proposal.maker.mind = Mind::Utility { name: format!("planner-{n}") };
                farm.propose(&proposal)
            };
            if let Some((code, rule)) = code(&answer) {
                return Some((code, rule.to_owned(), n));
            }
            opened += 1;
        }
        None
    };
    let limited = |n| Some((Code::RateLimited, "proposal.rate".to_owned(), n));
    assert_eq!(storm(&mut farm, None, 20), limited(12), "twelve within a minute, with the one above");
    assert_eq!(storm(&mut farm, Some(&ann()), 20), limited(13));
    assert_eq!(storm(&mut farm, Some(&bo()), 20), Some((Code::Busy, "proposal.bound".to_owned(), 9)));
    farm.run_seconds(1);
    assert_eq!(farm.lab.snapshot(FIELD).proposals.len(), 32);
    let offer = farm.offer(good.id());
    farm.assert_carried_out(&offer);
}
