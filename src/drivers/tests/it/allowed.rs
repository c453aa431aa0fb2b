//! Commands that the gate allowed, made the way they are always made: proposed, offered, approved by a person, judged.

use std::collections::{BTreeMap, BTreeSet};

use clawmesh_authority::approval;
use clawmesh_authority::gate::{ActuatorState, Home, Live, SimulatedCard, authorize};
use clawmesh_authority::judgement::{Standing, Wanted, answer};
use clawmesh_authority::policy::{OperationRule, Parameter};
use clawmesh_authority::transition::Verdict;
use clawmesh_authority::{
    Approval, AuthorizedCommand, Capability, ContentHash, Decision, HazardClass, Hlc, KeyId as _, Level,
    Maker, MeshId, NodeId, Offer, OfferBook, Operator, OperatorKey, Policy, Proposal, Role, Roster, Setpoint,
    Step, Tier, Value,
};

const NOW_MS: u64 = 1_730_000_000_000;

pub fn pump() -> Capability {
    Capability::new("actuator:pump:main").expect("the rig is well-formed")
}

pub fn valve() -> Capability {
    Capability::new("actuator:valve:main").expect("the rig is well-formed")
}

/// A pump beside the valve.
pub fn booster() -> Capability {
    Capability::new("actuator:pump:booster").expect("the rig is well-formed")
}

/// The command to switch `actuator` on for `for_s` seconds.
pub fn command(actuator: &Capability, for_s: f64) -> AuthorizedCommand {
    plan(&[(actuator, for_s)]).pop().expect("the rig is well-formed")
}

/// The command to switch `actuator` off.
pub fn off(actuator: &Capability) -> AuthorizedCommand {
    let step = Step { actuator: actuator.clone(), operation: "off".to_owned(), parameters: BTreeMap::new() };
    authorized(vec![step]).pop().expect("the rig is well-formed")
}

/// The commands of one proposal that switches these on, one after the other.
pub fn plan(steps: &[(&Capability, f64)]) -> Vec<AuthorizedCommand> {
    authorized(steps.iter().map(|(actuator, for_s)| on(actuator, *for_s)).collect())
}

fn authorized(steps: Vec<Step>) -> Vec<AuthorizedCommand> {
    let farmer = farmer();
    let (home, policy) = (home(), policy());
    let proposal = Proposal {
        mesh: home.mesh,
        owner: home.owner,
        site: home.site,
        maker: Maker::person(home.owner, farmer.id()),
        steps,
        reason: "a test of the driver layer".to_owned(),
        evidence: Vec::new(),
        made: Hlc { wall_ms: NOW_MS, logical: 0 },
    };
    let card = SimulatedCard {
        card: ContentHash::of("card", b"pass"),
        proposal: proposal.id(),
        by: home.owner,
        verdict: Verdict::Pass,
        drift: None,
    };
    let grant = approved(&farmer, &proposal, &card, &home);
    let live = live();
    let authorized = |step| authorize(&proposal, step, (&[], NOW_MS), (&card, &grant), &home, &policy, &live);
    (0..proposal.steps.len()).map(|step| authorized(step).expect("the rig is well-formed")).collect()
}

fn on(actuator: &Capability, for_s: f64) -> Step {
    Step {
        actuator: actuator.clone(),
        operation: "on".to_owned(),
        parameters: BTreeMap::from([("for_s".to_owned(), Value::Number(for_s))]),
    }
}

fn approved(
    farmer: &OperatorKey,
    proposal: &Proposal,
    card: &SimulatedCard,
    home: &Home,
) -> clawmesh_authority::gate::Grant {
    let mut book = OfferBook::new([7; 32]);
    let offer = Offer {
        mesh: home.mesh,
        owner: home.owner,
        site: home.site,
        policy: home.policy,
        proposal: proposal.id(),
        card: card.card,
        nonce: book.draw(proposal.id()).expect("the rig is well-formed"),
        level: Level::L2,
        steps: proposal.steps.clone(),
        expires_after_ms: 60_000,
    };
    book.make(offer.clone(), 0).expect("the rig is well-formed");
    let said = approval::seal(farmer, &Approval::answering(&offer, Decision::Approve, None, 0));
    let signed = approval::open(&said).expect("the rig is well-formed");
    let wanted = Wanted { proposer: proposal.maker.mind.person(), ..Wanted::default() };
    match answer(&mut book, &signed, &home.people, &wanted, 1) {
        Ok(Standing::Complete(grant)) => grant,
        other => panic!("{other:?}"),
    }
}

fn farmer() -> OperatorKey {
    OperatorKey::from_secret(&[5; 32])
}

fn people() -> Roster {
    let mut people = Roster::default();
    let person = Operator::of_key(*farmer().public().raw(), "Farmer", Role::Approver);
    people.enroll(person, &BTreeSet::new()).expect("the rig is well-formed");
    people
}

fn home() -> Home {
    Home {
        mesh: MeshId::of_name("test"),
        owner: NodeId::of_public_key(&[1; 32]),
        site: ContentHash::of("site", b"test"),
        policy: ContentHash::of("policy", b"test"),
        nodes: BTreeMap::new(),
        actuators: BTreeSet::from([pump(), valve(), booster()]),
        sensors: BTreeMap::new(),
        simulators: BTreeSet::new(),
        people: people(),
    }
}

fn live() -> Live {
    let off = ActuatorState { read_back: Some(Setpoint::Off), answers: true, ..ActuatorState::default() };
    Live {
        can_write_down: true,
        actuators: BTreeMap::from([(pump(), off), (valve(), off), (booster(), off)]),
        wall_ms: NOW_MS,
        ..Live::default()
    }
}

fn policy() -> Policy {
    let on = OperationRule {
        brings: Setpoint::On,
        serves: "testing".to_owned(),
        parameters: BTreeMap::from([("for_s".to_owned(), Parameter::Number(0.05, 3_600.0))]),
        substance: None,
    };
    let off = OperationRule { brings: Setpoint::Off, parameters: BTreeMap::new(), ..on.clone() };
    let rules = |actuator| clawmesh_authority::policy::ActuatorRules {
        actuator,
        class: HazardClass::Caution,
        level: Level::L2,
        tier_min: Tier::T2,
        operations: BTreeMap::from([("on".to_owned(), on.clone()), ("off".to_owned(), off.clone())]),
        evidence: Vec::new(),
        interlocks: Vec::new(),
        draws: Vec::new(),
        draws_lpm_max: 0.0,
        verified_by: None,
        shown_by: None,
        bands: Vec::new(),
        four_eyes: false,
        approvers: Vec::new(),
    };
    Policy {
        site: "test".to_owned(),
        actuators: vec![rules(pump()), rules(valve()), rules(booster())],
        budgets: Vec::new(),
        dosages: Vec::new(),
        degraded: BTreeMap::new(),
        offer_expires_s: BTreeMap::new(),
        proposal_expires_s: 1_800,
    }
}
