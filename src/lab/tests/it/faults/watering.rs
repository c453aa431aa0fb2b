//! One watering on a farm on which something is broken: proposed, approved, and followed to its end and beyond.

use clawmesh_authority::approval::{self, Approval, Decision};
use clawmesh_authority::envelope::{self, Body};
use clawmesh_authority::leadership::Term;
use clawmesh_authority::request::{self, Request, RequestBody};
use clawmesh_authority::transition::State;
use clawmesh_authority::{
    Answer, AskKind, Code, Hlc, Lane, Maker, MeshId, Mind, Proposal, ProposalReport, SafeStates, SensorSpec,
    Setpoint,
};
use clawmesh_core::intake::{InputBody, LinkState, SourceId};
use clawmesh_core::publish::Snapshot;
use clawmesh_core::replay::{Record, Replayer};
use clawmesh_lab::Lab;
use clawmesh_plant::{Fault, PlannedFault, Plant, PlantFile};
use clawmesh_twin::site::Plan;
use minicbor::bytes::ByteVec;

use super::machinery::{Trace, Yard};
use crate::proposals::rig::{CENTER, FIELD, ann, capability, people, pump, step};
use crate::site;

/// How much faster than the wall the plant runs, as in the demo: its water is that much more.
pub const SPEED: u32 = 10;
/// How long water is asked for, seconds: long enough that whatever begins in its first half is found out.
pub const FOR_S: f64 = 180.0;
/// When the watering is proposed, seconds.
const PROPOSED_AFTER_S: u64 = 3;
/// When a proposal that still is not over is a defect, seconds: its time, and twice the minute the policy gives a sensor.
const OVER_WITHIN_S: u64 = 320;
/// How long the farm is watched after the end, seconds: every watchdog of the plant has fallen by then.
const WATCHED_S: u64 = 20;

/// A zone and what waters it.
#[derive(Debug, Clone, Copy)]
pub struct Zone {
    /// Its name.
    pub name: &'static str,
    /// Its valve.
    pub valve: &'static str,
    soil: &'static str,
    /// What the site says that flows there, litres per minute.
    pub lpm: f64,
}

pub const FOREST: Zone = Zone {
    name: "z-food-forest-core",
    valve: "actuator:valve:valve-food-forest",
    soil: "sensor:soil-moisture:food-forest",
    lpm: 75.0 / 0.3 * 2.0 / 60.0,
};
pub const NURSERY: Zone = Zone {
    name: "z-nursery-grafting-trials",
    valve: "actuator:valve:valve-nursery",
    soil: "sensor:soil-moisture:nursery",
    lpm: 60.0 / 0.3 * 2.0 / 60.0,
};

/// What is broken while what is watered.
#[derive(Debug, Clone)]
pub struct Case {
    pub seed: u64,
    pub faults: Vec<PlannedFault>,
    pub zone: Zone,
    /// How full the tank is at the beginning, percent; the plant's own if absent.
    pub tank_percent: Option<f64>,
}

impl Case {
    /// The forest, with the faults that a seed draws.
    pub fn of_seed(seed: u64) -> Self {
        Self { seed, faults: Fault::of_seed(seed, &shipped()), zone: FOREST, tank_percent: None }
    }

    /// The forest, with these faults and no others.
    pub fn of(faults: &[&str]) -> Self {
        let read = |text: &&str| text.parse().expect("it is a fault");
        Self { seed: 0, faults: faults.iter().map(read).collect(), zone: FOREST, tank_percent: None }
    }
}

/// How it ended, and all that an independent judge needs.
pub struct Outcome {
    /// What was said at the end.
    pub end: End,
    /// What had really happened a while later.
    pub trace: Trace,
    /// The plant a while later.
    pub plant: Plant,
    /// What the owner showed a while later.
    pub snapshot: std::sync::Arc<Snapshot>,
    /// What a replay found, with every card made again.
    pub difference: Option<String>,
}

/// How a watering ended, as a person is told.
#[derive(Debug, Clone)]
pub struct End {
    /// `refused` if the owner did not take it, else the last state.
    pub state: String,
    /// The cause of a failure.
    pub cause: Option<String>,
    /// The code, if there was one.
    pub code: Option<Code>,
    /// The rule, if it was refused at once, and the sentence.
    pub words: String,
}

struct Farm {
    lab: Lab,
    yard: Yard,
    made: u32,
}

pub fn shipped() -> PlantFile {
    ron::from_str(include_str!("../../../../../assets/sites/farm.plant.ron"))
        .expect("what is shipped can be read")
}

/// Lets a case come to its end.
pub fn run(case: &Case) -> Outcome {
    let mut farm = Farm::of(case);
    farm.lab.run_seconds(PROPOSED_AFTER_S);
    let end = farm.water(case.zone);
    farm.lab.run_seconds(WATCHED_S);
    Outcome {
        end,
        trace: farm.yard.trace(),
        plant: farm.yard.plant(),
        snapshot: farm.lab.snapshot(FIELD),
        difference: farm.difference(),
    }
}

impl Farm {
    fn of(case: &Case) -> Self {
        let mut file = shipped();
        if let Some(percent) = case.tank_percent {
            file.tank.level_percent = percent;
        }
        let plant =
            Plant::new(file, case.seed, SPEED, case.faults.clone()).expect("what is shipped has no fault");
        let plan = site::plan();
        let specs = specs(&plan, &plant);
        let yard = Yard::new(plant, specs.clone(), safe_states(&plan));
        let mut lab = Lab::seeded(case.seed)
            .ticking(5)
            .at_site(site::farm())
            .with_people(people())
            .with_roles([(CENTER, CENTER)])
            .with_nodes([CENTER, FIELD]);
        lab.equip(FIELD, yard.clone());
        lab.offer(FIELD, SourceId::HostSensors, InputBody::SensorsDeclared(specs));
        let open = LinkState::Open { listen: vec!["tcp/127.0.0.1:7447".to_owned()] };
        lab.offer(FIELD, SourceId::Bridge, InputBody::LinkChanged(open));
        // Until the command center is heard to lead the planning.
        lab.run_seconds(12);
        Self { lab, yard, made: 0 }
    }

    /// Proposes, approves whatever is offered, and waits for the end.
    fn water(&mut self, zone: Zone) -> End {
        let proposal = self.proposal(zone);
        let id = proposal.id();
        let body = RequestBody::Propose(proposal);
        let request = Request { mesh: mesh(), owner: self.lab.id(FIELD), body, made: self.stamp() };
        let answer = self.lab.ask(FIELD, AskKind::Request, request::seal(&Lab::key_of(1), &request));
        if let Answer::Refused { code, rule, sentence } = answer {
            let words = format!("{sentence} ({rule})");
            return End { state: "refused".to_owned(), cause: None, code: Some(code), words };
        }
        let mut answered = None;
        for _ in 0..OVER_WITHIN_S {
            self.lab.run_seconds(1);
            let snapshot = self.lab.snapshot(FIELD);
            let row = snapshot.proposals.iter().find(|row| row.report.id == id);
            let report = &row.expect("what was taken is shown").report;
            if report.state.is_final() {
                return End::of(report);
            }
            let offer = report.offer.as_ref().filter(|offer| answered != Some(offer.nonce)).cloned();
            if let Some(offer) = offer {
                answered = Some(offer.nonce);
                let approval = Approval::answering(&offer, Decision::Approve, None, self.lab.now_ms());
                self.lab.ask(FIELD, AskKind::Approval, approval::seal(&ann(), &approval));
            }
        }
        End { state: "not over".to_owned(), cause: None, code: None, words: String::new() }
    }

    /// As the planner of the command center makes it: with the newest signed readings that it has.
    fn proposal(&mut self, zone: Zone) -> Proposal {
        let snapshot = self.lab.snapshot(FIELD);
        let site = snapshot.site.as_ref().expect("the farm is drawn").site_hash;
        Proposal {
            mesh: mesh(),
            owner: self.lab.id(FIELD),
            site,
            maker: Maker {
                node: self.lab.id(CENTER),
                mind: Mind::Utility { name: "dryness".to_owned() },
                term: Some(Term(1)),
            },
            steps: vec![
                step(capability(zone.valve), "open", Some(FOR_S)),
                step(pump(), "start", Some(FOR_S)),
            ],
            reason: format!("{} is dry", zone.name),
            evidence: self.evidence(&[zone.soil, "sensor:tank-level:tank-01"]),
            made: self.stamp(),
        }
    }

    /// The newest signed readings of these sensors that the command center has heard.
    fn evidence(&self, sensors: &[&str]) -> Vec<ByteVec> {
        let records = self.lab.records(CENTER);
        let envelopes: Vec<&Vec<u8>> = records
            .iter()
            .rev()
            .filter_map(|record| match record {
                Record::Input(stamped) => match &stamped.input.body {
                    InputBody::Envelope { bytes, lane: Lane::Stream } => Some(bytes),
                    _ => None,
                },
                _ => None,
            })
            .collect();
        let newest = |sensor: &&str| envelopes.iter().copied().find(|bytes| speaks_of(bytes, sensor));
        let mut newest: Vec<&Vec<u8>> = sensors.iter().filter_map(newest).collect();
        newest.dedup();
        newest.into_iter().map(|bytes| ByteVec::from(bytes.clone())).collect()
    }

    fn stamp(&mut self) -> Hlc {
        self.made += 1;
        Hlc { wall_ms: self.lab.now_ms(), logical: self.made }
    }

    /// What a replay of the owner's journal finds, with every card made again.
    fn difference(&self) -> Option<String> {
        let mut replayer = Replayer::resimulating();
        for (sequence, record) in (1..).zip(self.lab.records(FIELD)) {
            replayer.take(sequence, record).expect("a journal of the lab is well-formed");
        }
        replayer.finish().difference.map(|difference| format!("{difference:?}"))
    }
}

impl End {
    fn of(report: &ProposalReport) -> Self {
        let last = report.story.last().expect("it has a story");
        let cause = match &report.state {
            State::Failed { cause } => {
                Some(format!("{cause:?}").split(['(', ' ']).next().unwrap_or_default().to_owned())
            }
            _ => None,
        };
        Self { state: report.state.name().to_owned(), cause, code: last.code, words: last.words.clone() }
    }

    /// In a few words, such as `failed Divergence`.
    pub fn short(&self) -> String {
        let code = self.code.map(|code| code.to_string());
        [Some(self.state.clone()), self.cause.clone(), code]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" ")
    }
}

fn mesh() -> MeshId {
    MeshId::of_name("lab")
}

fn speaks_of(bytes: &[u8], sensor: &str) -> bool {
    let Ok(opened) = envelope::open(bytes, mesh()) else { return false };
    let Body::Readings(batch) = &opened.statement.body else { return false };
    batch.0.iter().any(|reading| reading.sensor.as_str() == sensor)
}

/// What the site says of the sensors that the plant has: the plant measures, the site describes.
fn specs(plan: &Plan, plant: &Plant) -> Vec<SensorSpec> {
    let mut specs = Vec::new();
    for measured in plant.sensors() {
        let named = plan.sensors.iter().find(|sensor| sensor.capability == measured.capability.as_str());
        let Some(named) = named else { continue };
        specs.push(SensorSpec {
            sensor: measured.capability,
            quantity: named.quantity.clone(),
            unit: measured.unit,
            period_ms: named.period_ms,
            range: Some(named.range),
            stuck_after_ms: None,
            about: None,
        });
    }
    specs
}

fn safe_states(plan: &Plan) -> SafeStates {
    SafeStates::in_order(plan.safe_order.iter().map(|name| (capability(name), Setpoint::Off)))
}
