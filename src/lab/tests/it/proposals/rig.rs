//! A farm with people, hardware and water, on which things can be made to go wrong.

use std::collections::{BTreeMap, BTreeSet};

use clawmesh_authority::approval::{self, Approval, Decision};
use clawmesh_authority::envelope::{self, Body, Statement};
use clawmesh_authority::leadership::Term;
use clawmesh_authority::policy::{FOR_S, Must, Parameter, Showing};
use clawmesh_authority::request::{self, Request, RequestBody};
use clawmesh_authority::{
    Answer, AskKind, Capability, Code, Hlc, Maker, Mind, Offer, Operator, OperatorKey, Policy, Proposal,
    ProposalId, ProposalReport, Reading, ReadingBatch, Role, Roster, Setpoint, Step, Tier, Unit, Value,
};
use clawmesh_core::intake::{InputBody, LinkState, Sample, SourceId};
use clawmesh_core::leadership::Lead;
use clawmesh_core::people::People;
use clawmesh_core::settings::SiteText;
use clawmesh_core::site::Site;
use clawmesh_lab::{Hardware, Lab};
use clawmesh_twin::site::{OnGuest, OnSilence};
use minicbor::bytes::ByteVec;

use crate::site;

/// A planner that stands by, where there is one.
pub const SPARE: &str = "spare";
/// The owner of the farm's actuators.
pub const FIELD: &str = "field-node";
/// How long the journals of the farm take to write something down, ticks: a disk is never there at once.
pub const JOURNAL_LAG_TICKS: u64 = 3;
/// Where people sit.
pub const CENTER: &str = "command-center";

pub fn capability(text: &str) -> Capability {
    Capability::new(text).expect("it is well-formed")
}

pub fn pump() -> Capability {
    capability("actuator:pump:pump-main-01")
}

pub fn valve() -> Capability {
    capability("actuator:valve:valve-food-forest")
}

/// The valve of another zone.
pub fn flower() -> Capability {
    capability("actuator:valve:valve-flower")
}

/// The keys of the people of the farm.
pub fn ann() -> OperatorKey {
    OperatorKey::from_secret(&[41; 32])
}

pub fn bo() -> OperatorKey {
    OperatorKey::from_secret(&[42; 32])
}

/// Says yes too, so that two can.
pub fn cy() -> OperatorKey {
    OperatorKey::from_secret(&[43; 32])
}

/// Stands for Ann.
pub fn dee() -> OperatorKey {
    OperatorKey::from_secret(&[44; 32])
}

/// Was revoked.
pub fn eve() -> OperatorKey {
    OperatorKey::from_secret(&[45; 32])
}

/// Sees everything and does nothing.
pub fn flo() -> OperatorKey {
    OperatorKey::from_secret(&[46; 32])
}

/// Says yes too, and may end a stop.
pub fn gus() -> OperatorKey {
    OperatorKey::from_secret(&[47; 32])
}

/// Nobody here has heard of them.
pub fn stranger() -> OperatorKey {
    OperatorKey::from_secret(&[48; 32])
}

pub fn people() -> Roster {
    let mut roster = Roster::default();
    let person = |key: OperatorKey, name: &str, role| Operator::of_key(*key.public().raw(), name, role);
    for person in [
        person(ann(), "Ann", Role::Supervisor),
        person(bo(), "Bo", Role::Operator),
        person(cy(), "Cy", Role::Approver),
        person(dee(), "Dee", Role::Approver).standing_for(ann().id()),
        person(eve(), "Eve", Role::Supervisor),
        person(flo(), "Flo", Role::Observer),
        person(gus(), "Gus", Role::Supervisor),
    ] {
        roster.enroll(person, &BTreeSet::new()).expect("they can be enrolled");
    }
    roster.revoke(&eve().id()).expect("she was enrolled");
    roster
}

/// Runs may last a second, and a sensor has five to show them: so that tests are short.
pub fn brief(policy: &mut Policy) {
    for rules in &mut policy.actuators {
        for operation in rules.operations.values_mut() {
            if let Some(Parameter::Number(low_s, _)) = operation.parameters.get_mut(FOR_S) {
                *low_s = 1.0;
            }
        }
        if let Some(by) = &mut rules.verified_by {
            by.within_s = 5;
        }
    }
}

fn own_parts() -> Hardware {
    Hardware::with(site::actuators())
}

/// The key of the existing node that has the pump of a guarded farm.
pub const GUEST: usize = 7;

/// The pump, as that node knows it.
fn pump_of_guest() -> OnGuest {
    OnGuest {
        peer: Lab::id_of(GUEST).to_string(),
        target: "actuator:pump:well".to_owned(),
        on: "start".to_owned(),
        off: "stop".to_owned(),
    }
}

fn shown_by_power() -> Showing {
    Showing {
        sensor: capability("sensor:power:pump-main-01"),
        node: FIELD.to_owned(),
        on: Must::BeAtLeast(200.0),
        off: Must::BeAtMost(20.0),
        age_s_max: 5,
    }
}

/// What the sensors of the farm say, apart from what the hardware does.
#[derive(Clone, Copy)]
pub struct Weather {
    /// How full the tank is, percent.
    pub tank_percent: f64,
    /// What the flow sensor says while water flows, litres per minute; `None` while it is silent.
    pub flow_lpm: Option<f64>,
    /// What it says while none does.
    pub idle_flow_lpm: f64,
    /// What its word is worth.
    pub flow_tier: Tier,
    /// What the sensor of the pump's power says while the pump stands, watts.
    pub idle_power_w: f64,
    /// What its word is worth.
    pub power_tier: Tier,
    /// The pressure while water flows, kilopascal.
    pub pressure_kpa: f64,
    /// True while the sensor of the tank is silent.
    pub is_tank_silent: bool,
}

pub struct Farm {
    pub lab: Lab,
    pub hardware: Hardware,
    pub weather: Weather,
    /// How long proposals ask for, seconds.
    pub for_s: f64,
    made: u32,
    /// How far the clocks of all nodes are ahead.
    ahead_ms: i64,
}

impl Farm {
    /// A farm on which everything is well, some seconds old.
    pub fn calm() -> Self {
        Self::with(|_| ())
    }

    /// The same, on which runs may be short: proposals ask for six seconds.
    pub fn brief() -> Self {
        Self::brief_with(|_| ())
    }

    /// The same, with a policy that was changed further.
    pub fn brief_with(change: impl FnOnce(&mut Policy)) -> Self {
        let mut farm = Self::with(|policy| {
            brief(policy);
            change(policy);
        });
        farm.for_s = 6.0;
        farm
    }

    /// A brief farm whose soil is measured by the command center.
    pub fn with_soil_at_the_center() -> Self {
        let is_soil = |sensor: &str| sensor.starts_with("sensor:soil-moisture:");
        let site = site::farm_of(
            |plan| {
                let center = plan.nodes[0].name.clone();
                let soil = plan.sensors.iter_mut().filter(|sensor| is_soil(&sensor.capability));
                soil.for_each(|sensor| sensor.node = center.clone());
            },
            |policy| {
                brief(policy);
                let rules = policy.actuators.iter_mut().flat_map(|rules| &mut rules.evidence);
                let soil = rules.filter(|rule| rule.sensors.iter().all(|sensor| is_soil(sensor.as_str())));
                soil.for_each(|rule| rule.node = CENTER.to_owned());
            },
        );
        let mut farm = Self::of(site, own_parts(), |lab| lab.with_nodes([CENTER, FIELD]));
        farm.for_s = 6.0;
        farm
    }

    /// A brief farm with one planner more, which stands by.
    pub fn with_a_spare_planner() -> Self {
        let mut farm =
            Self::of(site::farm_with(brief), own_parts(), |lab| lab.with_nodes([CENTER, FIELD, SPARE]));
        farm.for_s = 6.0;
        farm
    }

    /// A brief farm whose pump stands on a guest. The power it draws shows how it stands.
    pub fn guarded() -> Self {
        let site = site::farm_of(
            |plan| {
                plan.actuators[0].on_guest = Some(pump_of_guest());
                plan.actuators[0].on_silence = OnSilence::Unknown;
            },
            |policy| {
                brief(policy);
                policy.actuators[0].shown_by = Some(shown_by_power());
            },
        );
        let hardware = own_parts();
        hardware.give_to_guest(&pump());
        let mut farm = Self::of(site, hardware, |lab| lab.with_nodes([CENTER, FIELD]));
        farm.for_s = 6.0;
        farm
    }

    /// A calm farm with a policy that was changed.
    pub fn with(change: impl FnOnce(&mut Policy)) -> Self {
        Self::of(site::farm_with(change), own_parts(), |lab| lab.with_nodes([CENTER, FIELD]))
    }

    fn of(site: SiteText, hardware: Hardware, with_nodes: impl FnOnce(Lab) -> Lab) -> Self {
        let lab = Lab::seeded(11)
            .with_journal_lag(JOURNAL_LAG_TICKS)
            .at_site(site)
            .with_people(people())
            .with_mock_actuator()
            .with_roles([(CENTER, "command-center"), (SPARE, "standby-planner")]);
        let mut lab = with_nodes(lab);
        lab.equip(FIELD, hardware.clone());
        let weather = Weather {
            tank_percent: 70.0,
            flow_lpm: Some(8.7),
            idle_flow_lpm: 0.0,
            flow_tier: Tier::T2,
            idle_power_w: 0.0,
            power_tier: Tier::T2,
            pressure_kpa: 305.0,
            is_tank_silent: false,
        };
        let mut farm = Self { lab, hardware, weather, for_s: 60.0, made: 0, ahead_ms: 0 };
        farm.open_up();
        // Until the command center is heard to lead the planning.
        farm.run_seconds(12);
        farm
    }

    fn open_up(&mut self) {
        self.lab.offer(FIELD, SourceId::HostSensors, site::specs());
        let open = LinkState::Open { listen: vec!["tcp/127.0.0.1:7447".to_owned()] };
        self.lab.offer(FIELD, SourceId::Bridge, InputBody::LinkChanged(open));
    }

    /// The field node is killed and started again.
    pub fn restart(&mut self) {
        self.lab.crash(FIELD);
        self.lab.start(FIELD);
        self.open_up();
    }

    /// The field node is killed and started again, and knows no time.
    pub fn restart_without_the_time(&mut self) {
        self.lab.lose_the_time(FIELD);
        self.open_up();
    }

    /// The clocks of all nodes are set forward, or back.
    pub fn set_clocks_forward(&mut self, by_ms: i64) {
        self.ahead_ms += by_ms;
        for node in [CENTER, FIELD] {
            self.lab.set_clock_offset(node, self.ahead_ms);
        }
        self.run_seconds(1);
    }

    /// What the clocks of all nodes show, Unix milliseconds.
    fn clock_ms(&self) -> u64 {
        self.lab.now_ms().saturating_add_signed(self.ahead_ms)
    }

    /// From the next tick on the owner knows these people.
    pub fn change_people(&mut self, change: impl FnOnce(&mut Roster)) {
        let mut people = self.lab.core(FIELD).world().resource::<People>().0.clone();
        change(&mut people);
        self.lab.offer(FIELD, SourceId::Runner, InputBody::PeopleChanged(people));
        self.lab.run_ticks(1);
    }

    /// From the next tick on the owner judges by this policy.
    pub fn change_policy(&mut self, change: impl FnOnce(&mut Policy)) {
        let text = self.policy_with(change);
        self.lab.offer(FIELD, SourceId::Runner, InputBody::PolicyChanged(text));
        self.lab.run_ticks(1);
    }

    /// The policy that holds now, changed, as the tick gets it.
    pub fn policy_with(&self, change: impl FnOnce(&mut Policy)) -> String {
        let site = self.lab.core(FIELD).world().resource::<Site>().0.as_ref().expect("the farm is drawn");
        let mut policy = site.policy.clone().expect("it has a policy");
        change(&mut policy);
        SiteText::policy_of(&policy).expect("its numbers are numbers")
    }

    /// Time passes, and sensors speak every half second.
    pub fn run_seconds(&mut self, seconds: u64) {
        for _ in 0..seconds * 2 {
            self.speak();
            self.lab.run_ticks(25);
        }
    }

    pub fn speak(&mut self) {
        let flows = self.hardware.is_on(&pump()) && self.hardware.is_on(&valve());
        let flow = if flows { self.weather.flow_lpm } else { Some(self.weather.idle_flow_lpm) };
        let power = if self.hardware.is_on(&pump()) { 1_400.0 } else { self.weather.idle_power_w };
        let tank = Some(self.weather.tank_percent).filter(|_| !self.weather.is_tank_silent);
        let values = BTreeMap::from([
            ("sensor:tank-level:tank-01", (tank, Tier::T2)),
            ("sensor:flow:mainline-01", (flow, self.weather.flow_tier)),
            ("sensor:power:pump-main-01", (Some(power), self.weather.power_tier)),
            (
                "sensor:pressure:mainline-01",
                (Some(if flows { self.weather.pressure_kpa } else { 20.0 }), Tier::T2),
            ),
        ]);
        for (sensor, unit, calm) in site::sensors() {
            let said = values.get(sensor.as_str()).copied().unwrap_or((Some(calm), Tier::T2));
            if let (Some(value), tier) = said {
                self.lab.sample(FIELD, Sample { sensor, value, unit, origin_ms: 0, tier });
            }
        }
    }

    /// Water for the food forest, as the planner of the command center proposes it.
    pub fn proposal(&mut self) -> Proposal {
        let steps = vec![step(valve(), "open", Some(self.for_s)), step(pump(), "start", Some(self.for_s))];
        self.proposal_of(steps)
    }

    pub fn proposal_of(&mut self, steps: Vec<Step>) -> Proposal {
        self.made += 1;
        let now_ms = self.clock_ms();
        Proposal {
            mesh: clawmesh_authority::MeshId::of_name("lab"),
            owner: self.lab.id(FIELD),
            site: self.site_hash(),
            maker: Maker {
                node: self.lab.id(CENTER),
                mind: Mind::Utility { name: "dryness".to_owned() },
                term: Some(self.heard_term()),
            },
            steps,
            reason: "the food forest is at 14 %".to_owned(),
            evidence: vec![self.evidence(2)],
            made: Hlc { wall_ms: now_ms, logical: self.made },
        }
    }

    /// The same for another zone, with a reading of its own dry soil.
    pub fn proposal_for(&mut self, zone: &str, steps: Vec<Step>) -> Proposal {
        let soil = format!("sensor:soil-moisture:{zone}");
        let mut proposal = self.proposal_of(steps);
        proposal.evidence.push(self.evidence_of(2, &[(&soil, Unit::Percent, 9.0)]));
        proposal
    }

    /// In which term the owner has heard the command center lead.
    fn heard_term(&self) -> Term {
        let lead = self.lab.core(FIELD).world().resource::<Lead>();
        lead.terms().highest_seen.map_or(Term(1), |claim| claim.term)
    }

    fn site_hash(&self) -> clawmesh_authority::ContentHash {
        let snapshot = self.lab.snapshot(FIELD);
        snapshot.site.as_ref().expect("the farm is drawn").site_hash
    }

    /// Fresh readings of the soil and the tank, signed by the `n`-th node.
    pub fn evidence(&self, n: usize) -> ByteVec {
        let soil = ("sensor:soil-moisture:food-forest", Unit::Percent, 14.0);
        self.evidence_of(n, &[soil, ("sensor:tank-level:tank-01", Unit::Percent, 70.0)])
    }

    /// Fresh readings, signed by the `n`-th node.
    pub fn evidence_of(&self, n: usize, readings: &[(&str, Unit, f64)]) -> ByteVec {
        self.evidence_with(n, readings, |_| ())
    }

    /// The same, each of them changed before it is signed.
    pub fn evidence_with(
        &self,
        n: usize,
        readings: &[(&str, Unit, f64)],
        change: impl Fn(&mut Reading),
    ) -> ByteVec {
        let now_ms = self.clock_ms();
        let of = |(sensor, unit, value): &(&str, Unit, f64)| {
            let (sensor, origin_ms) = (capability(sensor), now_ms - 500);
            let mut reading =
                Reading { sensor, value: *value, unit: *unit, origin_ms, sequence: 7, tier: Tier::T2 };
            change(&mut reading);
            reading
        };
        let statement = Statement {
            mesh: clawmesh_authority::MeshId::of_name("lab"),
            epoch: 1,
            sequence: 7,
            hlc: Hlc { wall_ms: now_ms - 500, logical: 0 },
            body: Body::Readings(ReadingBatch(readings.iter().map(of).collect())),
        };
        ByteVec::from(envelope::seal(&Lab::key_of(n), &statement))
    }

    /// The request as the command center signs it.
    pub fn request(&mut self, body: RequestBody) -> Request {
        self.made += 1;
        Request {
            mesh: clawmesh_authority::MeshId::of_name("lab"),
            owner: self.lab.id(FIELD),
            body,
            made: Hlc { wall_ms: self.clock_ms(), logical: self.made },
        }
    }

    pub fn propose(&mut self, proposal: &Proposal) -> Answer {
        let request = self.request(RequestBody::Propose(proposal.clone()));
        self.lab.ask(FIELD, AskKind::Request, request::seal(&Lab::key_of(1), &request))
    }

    /// The same, without waiting for the answer: a tick has taken it, and what was ordered to be simulated is not simulated yet.
    pub fn propose_unheard(&mut self, proposal: &Proposal) {
        let request = self.request(RequestBody::Propose(proposal.clone()));
        self.lab.post(FIELD, AskKind::Request, request::seal(&Lab::key_of(1), &request));
        self.lab.run_ticks(1);
    }

    /// Asks in the name of a person.
    pub fn ask_as(&mut self, key: &OperatorKey, body: RequestBody) -> Answer {
        let request = self.request(body);
        self.lab.ask(FIELD, AskKind::Request, request::seal(key, &request))
    }

    /// Bo has looked at an actuator and puts it back into service.
    #[track_caller]
    pub fn untag(&mut self, actuator: &Capability) {
        let why = "it was looked at".to_owned();
        let answer = self.ask_as(&bo(), RequestBody::Untag { actuator: actuator.clone(), why });
        assert_eq!(code(&answer), None, "{answer:?}");
        self.lab.run_ticks(1);
    }

    /// The offer that lives for a proposal.
    pub fn offer(&self, id: ProposalId) -> Offer {
        self.report(id).offer.expect("somebody is asked")
    }

    pub fn answer(&mut self, key: &OperatorKey, offer: &Offer, decision: Decision) -> Answer {
        let why = (decision == Decision::Reject).then(|| "not today".to_owned());
        let approval = Approval::answering(offer, decision, why, self.clock_ms());
        self.lab.ask(FIELD, AskKind::Approval, approval::seal(key, &approval))
    }

    /// Brings a yes to the door and does not wait: the next tick takes it with whatever else is there.
    pub fn answer_unheard(&mut self, key: &OperatorKey, offer: &Offer) {
        let approval = Approval::answering(offer, Decision::Approve, None, self.clock_ms());
        self.lab.post(FIELD, AskKind::Approval, approval::seal(key, &approval));
    }

    /// Brings a request to the door and does not wait.
    pub fn ask_unheard(&mut self, key: &OperatorKey, body: RequestBody) {
        let request = self.request(body);
        self.lab.post(FIELD, AskKind::Request, request::seal(key, &request));
    }

    /// Proposes, waits for the offer and has Ann approve it.
    pub fn approved(&mut self) -> ProposalId {
        self.approved_offer().0
    }

    /// The same, with the offer she answered.
    pub fn approved_offer(&mut self) -> (ProposalId, Offer) {
        let proposal = self.proposal();
        let id = proposal.id();
        assert_eq!(code(&self.propose(&proposal)), None);
        self.run_seconds(1);
        let offer = self.offer(id);
        assert_eq!(code(&self.answer(&ann(), &offer, Decision::Approve)), None);
        (id, offer)
    }

    pub fn report(&self, id: ProposalId) -> ProposalReport {
        self.report_at(FIELD, id)
    }

    pub fn report_at(&self, node: &str, id: ProposalId) -> ProposalReport {
        let snapshot = self.lab.snapshot(node);
        let found = snapshot.proposals.iter().find(|row| row.report.id == id);
        found.unwrap_or_else(|| panic!("{node} knows {id}")).report.clone()
    }

    pub fn state(&self, id: ProposalId) -> String {
        self.report(id).state.name().to_owned()
    }

    /// Everything that was switched on so far.
    pub fn switched_on(&self) -> Vec<Capability> {
        let writes = self.hardware.writes().into_iter();
        writes.filter(|(_, setpoint)| *setpoint == Setpoint::On).map(|(part, _)| part).collect()
    }

    /// Everything that parts were told so far. What is on its way is told again whenever it is to be made safe: a set-point is
    /// absolute, and whoever does not see it arrive repeats it. That counts once.
    pub fn told(&self) -> Vec<(Capability, Setpoint)> {
        let mut told: Vec<(Capability, Setpoint)> = Vec::new();
        for (part, setpoint) in self.hardware.writes() {
            let last = told.iter().rev().find(|(other, _)| *other == part);
            if last.is_none_or(|(_, before)| *before != setpoint) {
                told.push((part, setpoint));
            }
        }
        told
    }

    /// It was refused with this code by this rule, nothing has moved, and everybody can see it.
    #[track_caller]
    pub fn assert_refused(&mut self, answer: &Answer, expected: Code, rule: &str) {
        assert_eq!(code(answer), Some((expected, rule)), "{answer:?}");
        assert_eq!(self.switched_on(), [], "nothing may move");
        self.assert_shown(expected, rule);
    }

    /// The book of refusals has this code, last by this rule.
    #[track_caller]
    pub fn assert_shown(&mut self, expected: Code, rule: &str) {
        self.lab.run_ticks(6);
        let snapshot = self.lab.snapshot(FIELD);
        let mut rows = snapshot.refusals.iter().filter(|row| row.code == expected);
        let is_shown = rows.any(|row| row.sentence.ends_with(&format!("({rule})")));
        assert!(is_shown, "{expected} by {rule} is not in {:#?}", snapshot.refusals);
    }

    /// It ended in this way, before anything moved, and the story says why.
    #[track_caller]
    pub fn assert_failed(&self, id: ProposalId, expected: Code, words: &str) {
        let report = self.report(id);
        let last = report.story.last().expect("it has a story");
        assert_eq!((last.state.as_str(), last.code), ("failed", Some(expected)), "{:#?}", report.story);
        assert!(last.words.contains(words), "{words:?} is not in {:?}", last.words);
    }

    /// The twin of an attack: a proposal in which everything is right is offered, approved and carried out.
    #[track_caller]
    pub fn assert_goes_through(&mut self, proposal: &Proposal) -> ProposalId {
        let id = proposal.id();
        assert_eq!(code(&self.propose(proposal)), None);
        self.run_seconds(1);
        let offer = self.offer(id);
        self.assert_carried_out(&offer);
        id
    }

    /// Ann approves an offer, and it is carried out.
    #[track_caller]
    pub fn assert_carried_out(&mut self, offer: &Offer) {
        let answer = self.answer(&ann(), offer, Decision::Approve);
        assert_eq!(code(&answer), None, "{answer:?}");
        self.assert_executing(offer);
    }

    /// What was offered is on a moment later.
    #[track_caller]
    pub fn assert_executing(&mut self, offer: &Offer) {
        self.run_seconds(1);
        let story = self.report(offer.proposal).story;
        assert_eq!(self.state(offer.proposal), "executing", "{story:#?}");
        assert!(!self.switched_on().is_empty(), "{story:#?}");
    }

    /// What happened, as the states it came to be in.
    pub fn story(&self, id: ProposalId) -> Vec<String> {
        self.report(id).story.into_iter().map(|entry| entry.state).collect()
    }

    /// The last words about a proposal.
    pub fn last_words(&self, id: ProposalId) -> String {
        self.report(id).story.last().map(|entry| entry.words.clone()).unwrap_or_default()
    }
}

pub fn step(actuator: Capability, operation: &str, for_s: Option<f64>) -> Step {
    let parameters = for_s.map(|seconds| ("for_s".to_owned(), Value::Number(seconds)));
    Step { actuator, operation: operation.to_owned(), parameters: parameters.into_iter().collect() }
}

/// The code and the rule of a refusal; nothing for what was taken.
pub fn code(answer: &Answer) -> Option<(Code, &str)> {
    match answer {
        Answer::Taken { .. } => None,
        Answer::Refused { code, rule, .. } => Some((*code, rule)),
    }
}
