//! People at both gateways, all the time: they propose, say yes and say no, and note what they were answered.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use clawmesh_authority::answer::name_of_asked;
use clawmesh_authority::{
    Approval, Capability, ContentHash, Decision, Hlc, Maker, NodeId, Offer, Proposal, ProposalId, Request,
    RequestBody, Step, Value as Parameter, approval, request,
};
use clawmesh_core::publish::ProposalView;
use serde_json::Value;

use super::Dice;
use super::farm::{Door, Home, Person, RUN_S};
use crate::proposals::scene::unix_ms;

/// Between two looks of a person: as often as a node makes a new picture.
const LOOK: Duration = Duration::from_millis(100);
/// What people find worth doing: the name of the valve, and of the sensor that speaks for it.
const ZONES: [(&str, &str); 3] =
    [("valve-food-forest", "food-forest"), ("valve-flower", "flower"), ("valve-nursery", "nursery")];
const PUMP: &str = "actuator:pump:pump-main-01";
const TANK: &str = "sensor:tank-level:tank-01";
/// As many as people leave open at a time.
const OPEN: usize = 3;

/// What somebody asked the owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// To take a proposal.
    Propose,
    /// To carry it out.
    Approve,
    /// Not to.
    Reject,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// An acknowledgement.
    Taken,
    /// A refusal of the owner: its code, the rule and the sentence.
    Refused(String, String, String),
    /// Nothing, or nothing that says whether it was taken.
    Nothing,
}

/// One question and its answer.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The hash of the signed bytes.
    pub name: ContentHash,
    /// What was asked for.
    pub deed: Deed,
    /// About which proposal.
    pub proposal: ProposalId,
    /// Who asked.
    pub by: &'static str,
    /// What came back.
    pub heard: Heard,
}

/// Everybody at the farm, and what they asked so far.
pub struct Crowd {
    /// The gateways of the field node and of the command center.
    pub doors: [Door; 2],
    home: Home,
    is_over: AtomicBool,
    asked: Mutex<Vec<Asked>>,
}

impl Crowd {
    /// Nobody has asked anything yet.
    pub fn new(doors: [Door; 2], home: Home) -> Self {
        Self { doors, home, is_over: AtomicBool::new(false), asked: Mutex::default() }
    }

    /// Everybody goes home.
    pub fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// What was asked and answered.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("nobody panics with it").clone()
    }

    /// What the owner itself shows; nothing while it is down.
    pub fn at_home(&self) -> Option<Vec<ProposalView>> {
        self.doors[0].proposals(self.home.owner)
    }

    /// A person, until everybody goes home.
    pub fn live(&self, person: &Person, mut dice: Dice) {
        while !self.is_over.load(Ordering::Relaxed) {
            let door = &self.doors[usize::from(dice.within(0..2) == 1)];
            if let Some(views) = door.proposals(self.home.owner) {
                self.look(door, person, &views, &mut dice);
            }
            thread::sleep(LOOK);
        }
    }

    /// Answers what is asked and proposes something; now and then at a bad moment, which is to be refused.
    fn look(&self, door: &Door, person: &Person, views: &[ProposalView], dice: &mut Dice) {
        let runs = views.iter().any(|view| view.report.state.is_running());
        for offer in views.iter().filter_map(|view| view.report.offer.as_ref()) {
            let is_patient = runs && dice.within(0..20) > 0;
            if is_patient || dice.within(0..3) == 0 {
                continue;
            }
            let decision = if dice.within(0..4) == 0 { Decision::Reject } else { Decision::Approve };
            self.answer(door, person, offer, decision);
        }
        let open = views.iter().filter(|view| !view.report.state.is_final()).count();
        if open < OPEN && dice.within(0..3) == 0 || dice.within(0..40) == 0 {
            let zone = ZONES[usize::try_from(dice.within(0..3)).expect("one of three")];
            self.propose(door, person, zone);
        }
    }

    /// Signs an answer to an offer and brings it.
    pub fn answer(&self, door: &Door, person: &Person, offer: &Offer, decision: Decision) {
        let why = Some("as I see it".to_owned());
        let signed = approval::seal(&person.key, &Approval::answering(offer, decision, why, unix_ms()));
        let deed = if decision == Decision::Approve { Deed::Approve } else { Deed::Reject };
        self.bring(door, "/api/approvals", &signed, (deed, offer.proposal, person.name));
    }

    fn propose(&self, door: &Door, person: &Person, (valve, soil): (&str, &str)) {
        let soil = format!("sensor:soil-moisture:{soil}");
        let Some(evidence) = evidence(door, self.home.owner, &[TANK, &soil]) else { return };
        let made = Hlc { wall_ms: unix_ms(), logical: 0 };
        let Home { mesh, owner, site } = self.home;
        let proposal = Proposal {
            mesh,
            owner,
            site,
            maker: Maker::person(door.node, person.key.id()),
            steps: vec![step(&format!("actuator:valve:{valve}"), "open"), step(PUMP, "start")],
            reason: format!("{} wants it", person.name),
            evidence: evidence.into_iter().map(Into::into).collect(),
            made,
        };
        let id = proposal.id();
        let asked = Request { mesh, owner, body: RequestBody::Propose(proposal), made };
        let signed = request::seal(&person.key, &asked);
        self.bring(door, "/api/requests", &signed, (Deed::Propose, id, person.name));
    }

    fn bring(&self, door: &Door, path: &str, signed: &[u8], of: (Deed, ProposalId, &'static str)) {
        let text = |answer: &Value, key: &str| answer[key].as_str().unwrap_or_default().to_owned();
        let heard = match door.json("POST", path, signed) {
            Some((200, answer)) if answer["outcome"] == "taken" => Heard::Taken,
            Some((422, answer)) => {
                Heard::Refused(text(&answer, "code"), text(&answer, "rule"), text(&answer, "sentence"))
            }
            _ => Heard::Nothing,
        };
        let (deed, proposal, by) = of;
        let asked = Asked { name: name_of_asked(signed), deed, proposal, by, heard };
        self.asked.lock().expect("nobody panics with it").push(asked);
    }
}

fn step(actuator: &str, operation: &str) -> Step {
    Step {
        actuator: Capability::new(actuator).expect("an actuator of the farm"),
        operation: operation.to_owned(),
        parameters: BTreeMap::from([("for_s".to_owned(), Parameter::Number(RUN_S))]),
    }
}

/// The newest signed readings of these sensors, as the field node has signed them.
fn evidence(door: &Door, owner: NodeId, sensors: &[&str]) -> Option<Vec<Vec<u8>>> {
    let query: Vec<String> = sensors.iter().map(|sensor| format!("sensor={sensor}")).collect();
    let (200, found) = door.json("GET", &format!("/api/evidence?{}", query.join("&")), &[])? else {
        return None;
    };
    let owner = owner.to_string();
    let rows = found["envelopes"].as_array()?.iter().filter(|row| row["node"] == *owner);
    let mut envelopes: Vec<Vec<u8>> = rows.filter_map(|row| bytes_of(row["envelope"].as_str()?)).collect();
    envelopes.dedup();
    Some(envelopes)
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()).collect()
}
