//! What a decision of the gate costs, with the policy of the shipped farm: before people are asked, before the first
//! command, and in every tick of a run; beside it the signatures it rests on.
//!
//! `cargo bench -p clawmesh-authority --bench gate`
#![expect(clippy::print_stdout, reason = "a bench talks to the terminal")]
#![expect(clippy::disallowed_methods, reason = "a bench measures with the monotonic clock")]

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::time::Instant;

use clawmesh_authority::envelope::{self, Body, Statement};
use clawmesh_authority::gate::{
    ActuatorState, DeclaredSensor, Grant, Home, Live, LiveReading, Moment, SignedReading, SimulatedCard,
    authorize, judge, may_go_on, resolve,
};
use clawmesh_authority::judgement::{Standing, Wanted, answer};
use clawmesh_authority::transition::Verdict;
use clawmesh_authority::{
    Approval, Capability, ContentHash, Decision, Hlc, KeyId as _, Level, Maker, MeshId, Mind, NodeId,
    NodeKey, Offer, OfferBook, Operator, OperatorKey, Policy, Proposal, Reading, ReadingBatch, Role, Roster,
    Setpoint, Step, Tier, Unit, Value, approval,
};
use minicbor::bytes::ByteVec;

const NOW_MS: u64 = 1_730_000_000_000;
const DECISION_US_MAX: f64 = 20.0;
const ROUNDS: usize = 20_001;

fn main() {
    let farm = Farm::in_order();
    let evidence = farm.resolved();
    let signature = median_us(2_001, || farm.verify_once());
    let resolving = median_us(2_001, || farm.resolved());
    let decisions = [
        ("before people are asked", median_us(ROUNDS, || farm.may_offer(&evidence))),
        ("before the first command", median_us(ROUNDS, || farm.commands(&evidence))),
        ("in a tick of a run", median_us(ROUNDS, || farm.goes_on())),
    ];
    for (when, us) in decisions {
        println!(
            "gate, {when}: {us:.1} µs (under {DECISION_US_MAX:.0}), {:.2} × one signature",
            us / signature
        );
    }
    println!(
        "to open the evidence of one envelope {resolving:.0} µs, to verify one signature {signature:.0} µs"
    );
    assert!(decisions.iter().all(|(_, us)| *us < DECISION_US_MAX), "too slow");
}

/// The median of many calls, in microseconds.
fn median_us<T>(rounds: usize, mut call: impl FnMut() -> T) -> f64 {
    let mut times: Vec<f64> = (0..rounds)
        .map(|_| {
            let begun = Instant::now();
            black_box(call());
            begun.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[rounds / 2]
}

/// A dry zone of the farm, everything in order, and an approved proposal to water it.
struct Farm {
    policy: Policy,
    home: Home,
    live: Live,
    proposal: Proposal,
    card: SimulatedCard,
    grant: Grant,
}

fn field() -> NodeKey {
    NodeKey::from_secret(&[1; 32])
}

fn capability(text: &str) -> Capability {
    Capability::new(text).expect("it is well-formed")
}

fn step(actuator: &str, operation: &str, for_s: f64) -> Step {
    let parameters = BTreeMap::from([("for_s".to_owned(), Value::Number(for_s))]);
    Step { actuator: capability(actuator), operation: operation.to_owned(), parameters }
}

fn policy() -> Policy {
    let text = include_str!("../../../assets/sites/farm.policy.ron");
    let options = ron::Options::default().with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME);
    options.from_str(text).expect("it is a policy")
}

/// What the site of the farm says of a sensor.
fn declared(sensor: &Capability) -> DeclaredSensor {
    let (unit, high) = match sensor.as_str().split(':').nth(1) {
        Some("flow") => (Unit::LitrePerMinute, 200.0),
        Some("pressure") => (Unit::Kilopascal, 600.0),
        _ => (Unit::Percent, 100.0),
    };
    DeclaredSensor { unit, range: (0.0, high), period_ms: 1_000 }
}

fn home(policy: &Policy) -> Home {
    Home {
        mesh: MeshId::of_name("farm"),
        owner: field().id(),
        site: ContentHash::of("site", b"farm"),
        policy: ContentHash::of("policy", b"farm"),
        nodes: BTreeMap::from([("field-node".to_owned(), field().id())]),
        actuators: policy.actuators.iter().map(|rules| rules.actuator.clone()).collect(),
        sensors: policy
            .sensors()
            .map(|(_, sensor)| ((field().id(), sensor.clone()), declared(sensor)))
            .collect(),
        simulators: BTreeSet::new(),
        people: people(),
    }
}

fn farmer() -> OperatorKey {
    OperatorKey::from_secret(&[5; 32])
}

fn people() -> Roster {
    let mut people = Roster::default();
    let person = Operator::of_key(*farmer().public().raw(), "Farmer", Role::Approver);
    people.enroll(person, &BTreeSet::new()).expect("the person has no fault");
    people
}

fn live(home: &Home) -> Live {
    let closed = ActuatorState { read_back: Some(Setpoint::Off), answers: true, ..ActuatorState::default() };
    let says = |sensor, value| {
        let reading =
            LiveReading { value, tier: Tier::T2, age_ms: 1_000, unchanged_ms: 0, doubt: None, fault: None };
        ((field().id(), capability(sensor)), reading)
    };
    Live {
        can_write_down: true,
        readings: [says("sensor:tank-level:tank-01", 70.0), says("sensor:pressure:mainline-01", 25.0)].into(),
        actuators: home.actuators.iter().map(|actuator| (actuator.clone(), closed)).collect(),
        wall_ms: NOW_MS,
        ..Live::default()
    }
}

fn envelope() -> ByteVec {
    let reading = |sensor, value| Reading {
        sensor: capability(sensor),
        value,
        unit: Unit::Percent,
        origin_ms: NOW_MS - 1_000,
        sequence: 7,
        tier: Tier::T2,
    };
    let readings =
        vec![reading("sensor:soil-moisture:food-forest", 14.0), reading("sensor:tank-level:tank-01", 70.0)];
    let statement = Statement {
        mesh: MeshId::of_name("farm"),
        epoch: 1,
        sequence: 7,
        hlc: Hlc { wall_ms: NOW_MS - 1_000, logical: 0 },
        body: Body::Readings(ReadingBatch(readings)),
    };
    ByteVec::from(envelope::seal(&field(), &statement))
}

impl Farm {
    fn in_order() -> Self {
        let policy = policy();
        let home = home(&policy);
        let planner = NodeId::of_public_key(&[9; 32]);
        let proposal = Proposal {
            mesh: home.mesh,
            owner: home.owner,
            site: home.site,
            maker: Maker { node: planner, mind: Mind::Utility { name: "dryness".to_owned() }, term: None },
            steps: vec![
                step("actuator:valve:valve-food-forest", "open", 1_200.0),
                step("actuator:pump:pump-main-01", "start", 1_190.0),
            ],
            reason: "the food forest is at 14 %".to_owned(),
            evidence: vec![envelope()],
            made: Hlc { wall_ms: NOW_MS - 500, logical: 0 },
        };
        let card = SimulatedCard {
            card: ContentHash::of("card", b"1"),
            proposal: proposal.id(),
            by: home.owner,
            verdict: Verdict::Pass,
            drift: None,
        };
        let (live, grant) = (live(&home), approved(&proposal, &card, &home));
        Self { policy, home, live, proposal, card, grant }
    }

    fn resolved(&self) -> Vec<SignedReading> {
        resolve(&self.proposal, &self.home, |node| *node == field().id()).expect("the evidence is in order")
    }

    fn verify_once(&self) -> bool {
        let signed = clawmesh_authority::signed::Signed::parse(&self.proposal.evidence[0]);
        signed.is_ok_and(|signed| signed.holds_for(clawmesh_authority::signed::Purpose::ENVELOPE))
    }

    fn may_offer(&self, evidence: &[SignedReading]) {
        let moment = Moment::Offering { card: &self.card, asked_ms: NOW_MS };
        judge(&self.proposal, evidence, moment, &self.home, &self.policy, &self.live)
            .expect("it may be offered");
    }

    fn commands(&self, evidence: &[SignedReading]) {
        let by = (&self.card, &self.grant);
        let command =
            authorize(&self.proposal, 0, (evidence, NOW_MS), by, &self.home, &self.policy, &self.live);
        black_box(command.expect("it goes through"));
    }

    fn goes_on(&self) {
        for step in &self.proposal.steps {
            may_go_on(
                (step, &self.proposal.maker.mind),
                false,
                &self.grant,
                &self.home,
                &self.policy,
                &self.live,
            )
            .expect("it may go on");
        }
    }
}

fn approved(proposal: &Proposal, card: &SimulatedCard, home: &Home) -> Grant {
    let farmer = farmer();
    let mut book = OfferBook::new([7; 32]);
    let offer = Offer {
        mesh: home.mesh,
        owner: home.owner,
        site: home.site,
        policy: home.policy,
        proposal: proposal.id(),
        card: card.card,
        nonce: book.draw(proposal.id()).expect("a nonce is free"),
        level: Level::L2,
        steps: proposal.steps.clone(),
        expires_after_ms: 60_000,
    };
    book.make(offer.clone(), 0).expect("the offer has no fault");
    let said = approval::seal(&farmer, &Approval::answering(&offer, Decision::Approve, None, 0));
    let signed = approval::open(&said).expect("the approval has no fault");
    match answer(&mut book, &signed, &home.people, &Wanted::default(), 1) {
        Ok(Standing::Complete(grant)) => grant,
        other => panic!("{other:?}"),
    }
}
