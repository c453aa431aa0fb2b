//! Well-formed values of each kind, under fixed keys: what seeds are made of.

use std::collections::{BTreeMap, BTreeSet};

use clawmesh_authority::approval::{Approval, Decision};
use clawmesh_authority::envelope::{self, Body, Receipt, Statement};
use clawmesh_authority::leadership::Term;
use clawmesh_authority::offer::nonce_of;
use clawmesh_authority::transition::State;
use clawmesh_authority::{
    Capability, ContentHash, Frame, Hlc, Level, Maker, MeshId, Mind, NodeDescription, Observation, Offer,
    Operator, OperatorId, OperatorKey, Proposal, ProposalReport, Reading, ReadingBatch, Role, Roster,
    SensorSpec, Step, StoryEntry, Tier, Unit, Value,
};
use clawmesh_lab::Lab;
use minicbor::bytes::ByteVec;

use super::NOW_MS;

/// The mesh of all targets: that of a lab.
pub fn mesh() -> MeshId {
    MeshId::of_name("lab")
}

/// Now, in hybrid time.
pub const NOW: Hlc = Hlc { wall_ms: NOW_MS, logical: 0 };

/// The person with the key that the `n`-th node of a lab has as well.
pub fn person(n: u8) -> OperatorKey {
    let mut secret = [0; 32];
    secret[0] = n;
    OperatorKey::from_secret(&secret)
}

/// A capability that is one.
pub fn capability(text: &str) -> Capability {
    Capability::new(text).expect("it is written in this file")
}

/// A statement with this body.
pub fn statement(sequence: u64, body: Body) -> Statement {
    Statement { mesh: mesh(), epoch: 1, sequence, hlc: NOW, body }
}

/// One statement of each kind.
pub fn statements() -> Vec<(&'static str, Statement)> {
    let receipt = Receipt { source: Lab::id_of(1), epoch: 1, sequence: 1 };
    vec![
        ("readings", statement(1, Body::Readings(ReadingBatch(vec![reading(1), reading(2)])))),
        ("description", statement(2, Body::Frame(Frame::Description(description())))),
        ("observation", statement(3, Body::Frame(Frame::Observation(observation())))),
        ("report", statement(4, Body::Frame(Frame::Proposal(Box::new(report()))))),
        ("receipt", statement(5, Body::Receipt(receipt))),
        ("leave", statement(9, Body::Leave)),
        ("bundle", Statement::of_frames(mesh(), 1, Some(4), vec![said(6), said(8)])),
    ]
}

/// A frame of a bundle.
fn said(sequence: u64) -> envelope::Said {
    envelope::Said { sequence, hlc: NOW, frame: Frame::Observation(observation()) }
}

/// A reading.
pub fn reading(sequence: u64) -> Reading {
    Reading {
        sensor: capability("sensor:soil-moisture:zone-1"),
        value: 23.5,
        unit: Unit::Percent,
        origin_ms: NOW_MS,
        sequence,
        tier: Tier::T2,
    }
}

/// What somebody has seen.
pub fn observation() -> Observation {
    Observation {
        key: "zone-1/gate".to_owned(),
        value: Value::Number(1.5),
        unit: Some(Unit::Percent),
        origin_ms: NOW_MS,
        tier: Tier::T1,
    }
}

/// Who a node is.
pub fn description() -> NodeDescription {
    let sensor = SensorSpec {
        sensor: capability("sensor:soil-moisture:zone-1"),
        quantity: "soil moisture".to_owned(),
        unit: Unit::Percent,
        period_ms: 1_000,
        range: Some((0.0, 100.0)),
        stuck_after_ms: Some(60_000),
        about: Some("zone-1/moisture".to_owned()),
    };
    NodeDescription {
        name: "barn".to_owned(),
        role: "field".to_owned(),
        version: "0.1.0".to_owned(),
        sensors: vec![sensor],
    }
}

/// Water for a bed.
pub fn steps() -> Vec<Step> {
    let step = |actuator: &str, operation: &str| Step {
        actuator: capability(actuator),
        operation: operation.to_owned(),
        parameters: BTreeMap::from([("for_s".to_owned(), Value::Number(600.0))]),
    };
    vec![step("actuator:valve:valve-food-forest", "open"), step("actuator:pump:pump-main-01", "start")]
}

/// A proposal by `mind` to the first node, with a signed reading of it as evidence.
pub fn proposal(mind: Mind) -> Proposal {
    let said = statement(1, Body::Readings(ReadingBatch(vec![reading(1)])));
    let evidence = envelope::seal(&Lab::key_of(1), &said);
    Proposal {
        mesh: mesh(),
        owner: Lab::id_of(1),
        site: ContentHash::of("site", b"farm"),
        maker: Maker { node: Lab::id_of(2), term: mind.person().is_none().then_some(Term(1)), mind },
        steps: steps(),
        reason: "the bed is dry".to_owned(),
        evidence: vec![ByteVec::from(evidence)],
        made: NOW,
    }
}

/// The minds that make proposals.
pub fn minds() -> Vec<(&'static str, Mind)> {
    let session_of: Option<OperatorId> = Some(person(3).id());
    vec![
        ("rules", Mind::Utility { name: "dryness".to_owned() }),
        ("model", Mind::Model { name: "small".to_owned(), session_of }),
        ("person", Mind::Operator(person(3).id())),
    ]
}

/// What an owner asks for.
pub fn offer() -> Offer {
    let proposal = proposal(minds()[0].1.clone());
    Offer {
        mesh: proposal.mesh,
        owner: proposal.owner,
        site: proposal.site,
        policy: ContentHash::of("policy", b"careful"),
        proposal: proposal.id(),
        card: ContentHash::of("card", b"pass"),
        nonce: nonce_of(&[9; 32], 0, proposal.id()),
        level: Level::L2,
        steps: proposal.steps,
        expires_after_ms: 120_000,
    }
}

/// What a person answers.
pub fn approval(decision: Decision) -> Approval {
    Approval::answering(&offer(), decision, Some("seen".to_owned()), NOW_MS)
}

/// How a proposal stands.
pub fn report() -> ProposalReport {
    let proposal = proposal(minds()[2].1.clone());
    let entry =
        StoryEntry { at_ms: NOW_MS, state: "draft".to_owned(), words: "taken".to_owned(), code: None };
    ProposalReport {
        slot: 3,
        id: proposal.id(),
        maker: proposal.maker,
        steps: proposal.steps,
        reason: proposal.reason,
        made: proposal.made,
        state: State::Executing { step: 1 },
        story: vec![entry],
        card: Some(vec![0x80]),
        offer: Some(offer()),
        approved_by: vec![person(3).id()],
        blocked: None,
    }
}

/// The people of a farm.
pub fn roster() -> Roster {
    let mut roster = Roster::default();
    for (n, name, role) in [(3, "Ann", Role::Supervisor), (4, "Bo", Role::Operator)] {
        let person = Operator::of_key(*person(n).public().raw(), name, role);
        roster.enroll(person, &BTreeSet::new()).expect("nobody is enrolled twice in this file");
    }
    roster
}
