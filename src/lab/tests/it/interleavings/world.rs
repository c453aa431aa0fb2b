//! A farm with one owner, people, a recording driver and weather, to which things happen.

use std::collections::{BTreeSet, VecDeque};

use clawmesh_authority::approval::{self, Approval, Decision};
use clawmesh_authority::envelope::{self, Body, Statement};
use clawmesh_authority::policy::Must;
use clawmesh_authority::request::{self, Request, RequestBody};
use clawmesh_authority::transition::State;
use clawmesh_authority::{
    AskKind, Capability, ContentHash, HazardClass, Hlc, Level, Maker, MeshId, NodeKey, Offer, OperatorId,
    OperatorKey, Policy, Proposal, ProposalId, Reading, ReadingBatch, Step, Tier, Unit, Value,
};
use clawmesh_core::intake::{DriverReport, InputBody, LinkState, SafeBecause, Sample, SourceId};
use clawmesh_core::publish::Snapshot;
use clawmesh_core::settings::SiteText;
use clawmesh_core::site::Site;
use clawmesh_lab::{CardMemory, Hardware, Lab, SplitMix64};
use minicbor::bytes::ByteVec;

use super::Counts;
use super::event::Event;
use super::oracle::{LINK, Oracle, TAG, TANK, Yes, held, revoked, tagged};
use crate::proposals::rig::{
    FIELD, ann, bo, brief, cy, dee, flo, flower, gus, people, pump, step, stranger, valve,
};
use crate::site;

/// Ticks a second: enough for the drivers, whose lease is a second.
const HZ: u32 = 10;
/// How long a journal takes to write something down, ticks.
const JOURNAL_LAG_TICKS: u64 = 2;
/// After which time it is written down.
const WRITTEN_WITHIN_MS: u64 = 500;
/// How much of what has happened is told when something was found.
const HISTORY: usize = 200;
/// The steps of an episode after which sensors speak.
const SPEAK_EVERY_TICKS: u64 = 5;
/// How old the word of the tank's sensor may be, milliseconds: the longest that a condition of the policy allows.
const TANK_SAID_MS_MAX: u64 = 10_000;

pub struct World {
    lab: Lab,
    hardware: Hardware,
    rng: SplitMix64,
    pub oracle: Oracle,
    /// The yeses that were brought, the newest last: who signed, the nonce, the bytes.
    brought: VecDeque<(OperatorId, [u8; 32], Vec<u8>)>,
    tank_percent: f64,
    is_tank_silent: bool,
    /// What its sensor said last, and when.
    tank_said: (f64, u64),
    is_tight: bool,
    /// Since when the journal stands still.
    halted_since_ms: Option<u64>,
    parts: Vec<Capability>,
    made: u32,
    ticks: u64,
    ahead_ms: u64,
    /// A re-arm of before the newest stop.
    old_rearm: Option<Vec<u8>>,
    has_rearmed: bool,
    history: VecDeque<String>,
}

fn site_of(level: Level) -> SiteText {
    site::farm_of(
        |plan| {
            plan.nodes.iter_mut().for_each(|node| node.id = None);
            plan.nodes[1].id = Some(Lab::id_of(1).to_string());
        },
        |policy| {
            brief(policy);
            policy.actuators.iter_mut().for_each(|rules| rules.level = level);
            policy.offer_expires_s.insert(HazardClass::Hazardous, 8);
            policy.offer_expires_s.insert(HazardClass::Caution, 10);
            for budget in &mut policy.budgets {
                budget.litres_per_day_max = 1e6;
                budget.seconds_per_day_max = 86_400.0;
            }
        },
    )
}

impl World {
    pub fn begin(seed: u64, cards: &CardMemory) -> Self {
        let mut rng = SplitMix64::new(seed);
        let level = if rng.chance(25) { Level::L3 } else { Level::L2 };
        let mut lab = Lab::seeded(seed)
            .ticking(HZ)
            .with_journal_lag(JOURNAL_LAG_TICKS)
            .remembering_cards(cards)
            .at_site(site_of(level))
            .with_people(people())
            .with_nodes([FIELD]);
        let hardware = Hardware::with(site::actuators());
        lab.equip(FIELD, hardware.clone());
        let mut world = Self {
            lab,
            hardware,
            rng,
            oracle: Oracle::default(),
            brought: VecDeque::new(),
            tank_percent: 70.0,
            is_tank_silent: false,
            tank_said: (70.0, 0),
            is_tight: false,
            halted_since_ms: None,
            parts: vec![pump(), valve(), flower()],
            made: 0,
            ticks: 0,
            ahead_ms: 0,
            old_rearm: None,
            has_rearmed: false,
            history: VecDeque::new(),
        };
        world.open_up();
        world.run(20);
        world
    }

    pub fn found(&self) -> Option<&str> {
        self.oracle.found()
    }

    /// What has happened last, and what the owner makes of it.
    pub fn history(&self) -> String {
        let reports = self.snapshot().proposals.clone();
        let stories = reports.iter().map(|row| format!("{} {:#?}", row.report.id, row.report.story));
        let history = self.history.iter().cloned();
        history.chain(stories).collect::<Vec<_>>().join("\n")
    }

    pub fn end(&mut self, counts: &mut Counts) {
        counts.commands += self.oracle.calls.0;
        counts.safings += self.oracle.calls.1;
        counts.completed += self.oracle.completed.len() as u64;
        for row in &self.snapshot().refusals {
            *counts.codes.entry(row.code).or_default() += row.count;
        }
    }

    /// The next thing happens; some time passes or none.
    pub fn step(&mut self, counts: &mut Counts) -> Event {
        let event = Event::draw(&mut self.rng);
        let has_happened = self.happen(event);
        if has_happened {
            *counts.events.entry(event).or_default() += 1;
        }
        self.note(format!(
            "{} {event:?}{}",
            self.lab.now_ms(),
            if has_happened { "" } else { " (not possible)" }
        ));
        event
    }

    fn note(&mut self, what: String) {
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(what);
    }

    fn happen(&mut self, event: Event) -> bool {
        match event {
            Event::Tick => self.wait(1),
            Event::Wait => self.wait(8),
            Event::WaitLong => self.wait(u64::from(HZ) * 11),
            Event::Propose => self.propose_good(),
            Event::ProposeWithout
            | Event::ProposeOld
            | Event::ProposeWeak
            | Event::ProposeForeign
            | Event::ProposeTooLong
            | Event::ProposeAsAnother
            | Event::ProposeByNode => self.propose_bad(event),
            Event::Approve => self.approve(None),
            Event::ApproveDead => self.approve_dead(),
            Event::ApproveUsed => self.approve_used(),
            Event::ApproveWithOldNonce
            | Event::ApproveAltered
            | Event::ApproveForged
            | Event::ApproveAsStranger
            | Event::ApproveAsObserver => self.approve_badly(event),
            Event::ApproveOwn => self.approve_own(),
            Event::ApproveTwice => self.approve_twice(),
            Event::Reject => self.reject(),
            Event::Withdraw => self.withdraw(),
            Event::Stop | Event::StopSigned | Event::Rearm | Event::RearmOld => self.stop_or_rearm(event),
            Event::Restart => self.restart(),
            Event::TankLow | Event::TankFalls | Event::TankFull | Event::TankSilent | Event::TankSpeaks => {
                self.change_tank(event)
            }
            Event::HandOn | Event::HandOff | Event::Cut | Event::Mend | Event::Tag | Event::Untag => {
                self.change_part(event)
            }
            Event::Revoke | Event::Enroll => self.change_people(event == Event::Revoke),
            Event::Tighten | Event::Loosen => self.change_policy(event == Event::Tighten),
            Event::JournalHalts | Event::JournalGoesOn => self.change_journal(event == Event::JournalHalts),
            Event::Stall => self.stall(),
            Event::LinkLost | Event::LinkBack => self.change_link(event == Event::LinkLost),
            Event::ClockForward => self.set_clock_forward(),
            Event::Forge => self.forge(),
        }
    }

    fn wait(&mut self, ticks: u64) -> bool {
        self.run(ticks);
        true
    }

    fn run(&mut self, ticks: u64) {
        for _ in 0..ticks {
            if self.ticks.is_multiple_of(SPEAK_EVERY_TICKS) {
                self.speak();
            }
            self.ticks += 1;
            self.lab.run_ticks(1);
            self.judge_tank();
            self.oracle.count_yeses();
            self.look();
        }
    }

    fn look(&mut self) {
        let (snapshot, now_ms) = (self.snapshot(), self.lab.now_ms());
        for row in &snapshot.proposals {
            let proposer = row.report.maker.mind.person().unwrap_or(OperatorId([0; 32]));
            if let Some(offer) = &row.report.offer {
                self.oracle.see(offer, proposer, now_ms);
            }
        }
        for call in self.hardware.take_calls() {
            self.note(format!(
                "{} driver: {} {} {:?}",
                call.at_ms,
                call.actuator,
                call.setpoint,
                call.command.as_ref().map(|command| command.proposal().short())
            ));
            self.oracle.hear(&call);
        }
        if self.has_rearmed && snapshot.stop.is_none() && self.halted_since_ms.is_none() {
            self.oracle.is_stopped = false;
            self.has_rearmed = false;
        }
        let completed = snapshot.proposals.iter().filter(|row| row.report.state == State::Completed);
        self.oracle.completed.extend(completed.map(|row| row.report.id));
        let ended = snapshot.proposals.iter().filter(|row| row.report.state.is_final());
        let over: BTreeSet<ProposalId> = ended.map(|row| row.report.id).collect();
        self.oracle.look(&over, now_ms);
    }

    fn snapshot(&self) -> std::sync::Arc<Snapshot> {
        self.lab.snapshot(FIELD)
    }

    fn clock_ms(&self) -> u64 {
        self.lab.now_ms() + self.ahead_ms
    }

    fn open_up(&mut self) {
        self.lab.offer(FIELD, SourceId::HostSensors, site::specs());
        let open = LinkState::Open { listen: vec!["tcp/127.0.0.1:7447".to_owned()] };
        self.lab.offer(FIELD, SourceId::Bridge, InputBody::LinkChanged(open));
        self.oracle.wrong.end(LINK);
    }

    fn speak(&mut self) {
        let flows =
            self.hardware.is_on(&pump()) && (self.hardware.is_on(&valve()) || self.hardware.is_on(&flower()));
        let said = [
            ("sensor:tank-level:tank-01", Unit::Percent, self.tank_percent),
            ("sensor:flow:mainline-01", Unit::LitrePerMinute, if flows { 8.7 } else { 0.0 }),
            ("sensor:pressure:mainline-01", Unit::Kilopascal, if flows { 305.0 } else { 20.0 }),
            ("sensor:soil-moisture:food-forest", Unit::Percent, 14.0),
            ("sensor:soil-moisture:flower", Unit::Percent, 14.0),
        ];
        for (sensor, unit, value) in said {
            let is_tank = sensor.starts_with("sensor:tank");
            if is_tank && !self.is_tank_silent {
                self.tank_said = (value, self.lab.now_ms());
            }
            if !(is_tank && self.is_tank_silent) {
                let sensor = Capability::new(sensor).expect("it is well-formed");
                self.lab.sample(FIELD, Sample { sensor, value, unit, origin_ms: 0, tier: Tier::T2 });
            }
        }
    }
}

/// Proposing.
impl World {
    fn one_of<T: Clone>(&mut self, all: &[T]) -> Option<T> {
        let at = self.rng.below(all.len() as u64);
        all.get(at as usize).cloned()
    }

    fn steps(&mut self) -> Vec<Step> {
        let for_s = Some(2.0 + self.rng.below(4) as f64);
        match self.rng.below(4) {
            0 => vec![step(valve(), "open", for_s)],
            1 => vec![step(flower(), "open", for_s), step(pump(), "start", for_s)],
            _ => vec![step(valve(), "open", for_s), step(pump(), "start", for_s)],
        }
    }

    fn proposal(&mut self, by: &OperatorKey, evidence: Vec<ByteVec>) -> Proposal {
        self.made += 1;
        let steps = self.steps();
        Proposal {
            mesh: MeshId::of_name("lab"),
            owner: self.lab.id(FIELD),
            site: self.site_hash(),
            maker: Maker::person(self.lab.id(FIELD), by.id()),
            steps,
            reason: "it is dry".to_owned(),
            evidence,
            made: Hlc { wall_ms: self.clock_ms(), logical: self.made },
        }
    }

    fn site_hash(&self) -> ContentHash {
        self.snapshot().site.as_ref().expect("the farm is drawn").site_hash
    }

    fn evidence(&self, key: &NodeKey, tier: Tier, age_ms: u64) -> ByteVec {
        let now_ms = self.clock_ms();
        let reading = |sensor: &str, value| Reading {
            sensor: Capability::new(sensor).expect("it is well-formed"),
            value,
            unit: Unit::Percent,
            origin_ms: now_ms - age_ms,
            sequence: 7,
            tier,
        };
        let batch = vec![
            reading("sensor:soil-moisture:food-forest", 14.0),
            reading("sensor:soil-moisture:flower", 14.0),
            reading("sensor:tank-level:tank-01", 70.0),
        ];
        let statement = Statement {
            mesh: MeshId::of_name("lab"),
            epoch: 1,
            sequence: 7,
            hlc: Hlc { wall_ms: now_ms - age_ms, logical: 0 },
            body: Body::Readings(ReadingBatch(batch)),
        };
        ByteVec::from(envelope::seal(key, &statement))
    }

    fn post(&mut self, bytes: Vec<u8>) -> bool {
        self.lab.post(FIELD, AskKind::Request, bytes);
        true
    }

    fn sealed(&mut self, key: &OperatorKey, body: RequestBody) -> Vec<u8> {
        request::seal(key, &self.request(body))
    }

    fn request(&mut self, body: RequestBody) -> Request {
        self.made += 1;
        let made = Hlc { wall_ms: self.clock_ms(), logical: self.made };
        Request { mesh: MeshId::of_name("lab"), owner: self.lab.id(FIELD), body, made }
    }

    fn propose_good(&mut self) -> bool {
        let Some(by) = self.one_of(&[ann(), bo(), cy(), gus()]) else { return false };
        let evidence = vec![self.evidence(&Lab::key_of(1), Tier::T2, 500)];
        let proposal = self.proposal(&by, evidence);
        self.oracle.good.insert(proposal.id());
        let bytes = self.sealed(&by, RequestBody::Propose(proposal));
        self.post(bytes)
    }

    fn propose_bad(&mut self, event: Event) -> bool {
        let (by, own) = (bo(), Lab::key_of(1));
        let evidence = match event {
            Event::ProposeWithout => Vec::new(),
            Event::ProposeOld => vec![self.evidence(&own, Tier::T2, 61_000)],
            Event::ProposeWeak => vec![self.evidence(&own, Tier::T1, 500)],
            Event::ProposeForeign => vec![self.evidence(&Lab::key_of(9), Tier::T3, 500)],
            _ => vec![self.evidence(&own, Tier::T2, 500)],
        };
        let mut proposal = self.proposal(&by, evidence);
        match event {
            Event::ProposeTooLong => {
                proposal.steps[0].parameters.insert("for_s".to_owned(), Value::Number(2_401.0));
            }
            Event::ProposeAsAnother => proposal.maker = Maker::person(proposal.maker.node, cy().id()),
            _ => {}
        }
        let body = RequestBody::Propose(proposal);
        let bytes = match event {
            Event::ProposeByNode => request::seal(&Lab::key_of(9), &self.request(body)),
            _ => self.sealed(&by, body),
        };
        self.post(bytes)
    }
}

/// Answering.
impl World {
    fn living(&mut self) -> Option<(Offer, OperatorId)> {
        let snapshot = self.snapshot();
        let rows = snapshot.proposals.iter().filter(|row| row.report.state.name() == "awaiting_approval");
        let offers: Vec<_> = rows
            .filter_map(|row| Some((row.report.offer.clone()?, row.report.maker.mind.person()?)))
            .collect();
        self.one_of(&offers)
    }

    /// Who stands behind a key in the end.
    fn person(key: &OperatorKey) -> OperatorId {
        if key.id() == dee().id() { ann().id() } else { key.id() }
    }

    /// Brings a yes and writes down that it is right, if whoever says it may.
    fn bring(&mut self, key: &OperatorKey, offer: &Offer) -> bool {
        let yes = Approval::answering(offer, Decision::Approve, None, self.clock_ms());
        let bytes = approval::seal(key, &yes);
        if self.brought.len() == 16 {
            self.brought.pop_front();
        }
        self.brought.push_back((key.id(), offer.nonce, bytes));
        let newest = self.brought.len() - 1;
        self.bring_kept(newest);
        true
    }

    /// Brings a yes; who was not known when it was brought before may be by now, and then it counts.
    fn bring_kept(&mut self, at: usize) {
        let (by, nonce, bytes) = self.brought[at].clone();
        if let Some(key) = [ann(), cy(), dee(), gus()].iter().find(|known| known.id() == by) {
            let (person, at_ms, age) = (Self::person(key), self.lab.now_ms(), self.oracle.age);
            self.oracle.brought.push(Yes { nonce, by, person, at_ms, age });
        }
        self.lab.post(FIELD, AskKind::Approval, bytes);
    }

    fn approve(&mut self, by: Option<OperatorKey>) -> bool {
        let Some((offer, _)) = self.living() else { return false };
        let drawn = self.one_of(&[ann(), cy(), dee(), gus()]);
        by.or(drawn).is_some_and(|key| self.bring(&key, &offer))
    }

    /// The clock of the owner decides: whoever signs now signs too late, and does not know.
    fn approve_dead(&mut self) -> bool {
        let now_ms = self.lab.now_ms();
        let dead: Vec<Offer> = self
            .oracle
            .offers
            .values()
            .filter(|seen| seen.age != self.oracle.age || now_ms > seen.at_ms + seen.offer.expires_after_ms)
            .map(|seen| seen.offer.clone())
            .collect();
        self.one_of(&dead).is_some_and(|offer| self.bring(&gus(), &offer))
    }

    fn approve_used(&mut self) -> bool {
        let brought: Vec<usize> = (0..self.brought.len()).collect();
        let Some(at) = self.one_of(&brought) else { return false };
        self.bring_kept(at);
        true
    }

    fn approve_badly(&mut self, event: Event) -> bool {
        let Some((offer, _)) = self.living() else { return false };
        let mut yes = Approval::answering(&offer, Decision::Approve, None, self.clock_ms());
        let key = match event {
            Event::ApproveAsStranger => stranger(),
            Event::ApproveAsObserver => flo(),
            _ => gus(),
        };
        match event {
            Event::ApproveWithOldNonce => {
                let others: Vec<_> =
                    self.oracle.offers.keys().filter(|it| **it != offer.nonce).copied().collect();
                let Some(other) = self.one_of(&others) else { return false };
                yes.nonce = other;
            }
            Event::ApproveAltered => yes.steps[0] = step(valve(), "open", Some(9.0)),
            _ => {}
        }
        let mut bytes = approval::seal(&key, &yes);
        if event == Event::ApproveForged {
            *bytes.last_mut().expect("it has bytes") ^= 1;
        }
        self.lab.post(FIELD, AskKind::Approval, bytes);
        true
    }

    fn approve_own(&mut self) -> bool {
        let Some((offer, proposer)) = self.living() else { return false };
        let own = [ann(), cy(), gus()].into_iter().find(|key| key.id() == proposer);
        own.is_some_and(|key| self.bring(&key, &offer))
    }

    fn approve_twice(&mut self) -> bool {
        let Some((offer, _)) = self.living() else { return false };
        self.bring(&ann(), &offer) && self.bring(&dee(), &offer) && self.bring(&ann(), &offer)
    }

    fn reject(&mut self) -> bool {
        let Some((offer, _)) = self.living() else { return false };
        let no = Approval::answering(&offer, Decision::Reject, Some("not today".to_owned()), self.clock_ms());
        self.lab.post(FIELD, AskKind::Approval, approval::seal(&bo(), &no));
        true
    }

    fn withdraw(&mut self) -> bool {
        let snapshot = self.snapshot();
        let open: Vec<_> = snapshot.proposals.iter().filter(|row| !row.report.state.is_final()).collect();
        let Some(proposal) = self.one_of(&open).map(|row| row.report.id) else { return false };
        let bytes = self.sealed(&bo(), RequestBody::Withdraw { proposal, why: "enough".to_owned() });
        self.post(bytes)
    }
}

/// Everything else that happens to an owner.
impl World {
    fn stop_or_rearm(&mut self, event: Event) -> bool {
        match event {
            Event::Stop | Event::StopSigned => {
                if self.old_rearm.is_none() {
                    self.old_rearm =
                        Some(self.sealed(&gus(), RequestBody::Rearm { why: "it was nothing".to_owned() }));
                }
                if event == Event::Stop {
                    self.lab.stop(FIELD, "smoke");
                } else {
                    let bytes = self.sealed(&flo(), RequestBody::Stop { why: "smoke".to_owned() });
                    self.post(bytes);
                }
                self.oracle.is_stopped = true;
                self.oracle.age.stops += 1;
                self.has_rearmed = false;
                true
            }
            Event::Rearm if self.oracle.is_stopped => {
                // Later than the stop, by the clock of the owner.
                self.run(1);
                let bytes = self.sealed(&ann(), RequestBody::Rearm { why: "it was nothing".to_owned() });
                self.has_rearmed = true;
                self.post(bytes)
            }
            Event::RearmOld if self.oracle.is_stopped => {
                self.old_rearm.take().is_some_and(|bytes| self.post(bytes))
            }
            _ => false,
        }
    }

    fn restart(&mut self) -> bool {
        // What was not written down is lost with the run, also that somebody took a part out of service.
        let written_ms = self.halted_since_ms.unwrap_or(self.lab.now_ms()).saturating_sub(WRITTEN_WITHIN_MS);
        self.oracle.wrong.forget_since(TAG, written_ms);
        self.lab.crash(FIELD);
        self.lab.start(FIELD);
        self.halted_since_ms = None;
        self.oracle.age.starts += 1;
        self.oracle.forget_what_is_on(None);
        self.open_up();
        // A run begins with the files as they are: all keys count, and the policy is as it was.
        self.is_tight = false;
        self.forget_revocations();
        self.run(1);
        true
    }

    fn forget_revocations(&mut self) {
        for key in [ann(), cy(), gus()] {
            self.oracle.wrong.end(&revoked(key.id()));
        }
    }

    fn change_tank(&mut self, event: Event) -> bool {
        match event {
            Event::TankLow => self.tank_percent = 5.0,
            Event::TankFalls => self.tank_percent = 50.0,
            Event::TankFull => self.tank_percent = 70.0,
            Event::TankSilent => self.is_tank_silent = true,
            _ => self.is_tank_silent = false,
        }
        true
    }

    /// What its sensor said last counts, and not for long.
    fn judge_tank(&mut self) {
        let (wanted, (percent, said_ms)) = (if self.is_tight { 80.0 } else { 20.0 }, self.tank_said);
        let now_ms = self.lab.now_ms();
        if percent < wanted || now_ms > said_ms + TANK_SAID_MS_MAX {
            self.oracle.wrong.begin(TANK, now_ms);
        } else {
            self.oracle.wrong.end(TANK);
        }
    }

    fn change_part(&mut self, event: Event) -> bool {
        let parts = self.parts.clone();
        let Some(part) = self.one_of(&parts) else { return false };
        self.note(format!("{part}:"));
        let now_ms = self.lab.now_ms();
        match event {
            Event::HandOn => {
                self.hardware.hold(&part, true);
                self.oracle.wrong.begin(held(&part), now_ms);
                self.oracle.forget_what_is_on(Some(&part));
            }
            Event::HandOff => {
                self.hardware.hold(&part, false);
                self.oracle.wrong.end(&held(&part));
            }
            Event::Cut => {
                self.hardware.cut(&part, true);
                self.oracle.forget_what_is_on(Some(&part));
            }
            Event::Mend => self.hardware.cut(&part, false),
            Event::Tag => {
                self.lab.record(FIELD, &format!("out-of-service/{part}"), Value::Flag(true));
                self.oracle.wrong.begin(tagged(&part), now_ms);
            }
            _ => {
                self.oracle.wrong.end(&tagged(&part));
                let why = "it was looked at".to_owned();
                let bytes = self.sealed(&bo(), RequestBody::Untag { actuator: part, why });
                return self.post(bytes);
            }
        }
        true
    }

    fn change_people(&mut self, is_revoked: bool) -> bool {
        let mut roster = people();
        if is_revoked {
            let Some(key) = self.one_of(&[ann(), cy(), gus()]) else { return false };
            roster.revoke(&key.id()).expect("they are enrolled");
            self.forget_revocations();
            self.oracle.wrong.begin(revoked(key.id()), self.lab.now_ms());
        } else {
            self.forget_revocations();
        }
        self.lab.offer(FIELD, SourceId::Runner, InputBody::PeopleChanged(roster));
        true
    }

    fn change_policy(&mut self, is_tight: bool) -> bool {
        if self.is_tight == is_tight {
            return false;
        }
        let site = self.lab.core(FIELD).world().resource::<Site>().0.as_ref().expect("the farm is drawn");
        let mut policy: Policy = site.policy.clone().expect("it has a policy");
        for rules in &mut policy.actuators {
            let wanted = match (is_tight, rules.actuator == pump()) {
                (true, _) => 80.0,
                (false, true) => 20.0,
                (false, false) => 10.0,
            };
            rules.interlocks[0].must = Must::BeAtLeast(wanted);
        }
        let text = SiteText::policy_of(&policy).expect("its numbers are numbers");
        self.lab.offer(FIELD, SourceId::Runner, InputBody::PolicyChanged(text));
        self.is_tight = is_tight;
        self.oracle.age.policies += 1;
        true
    }

    fn change_journal(&mut self, is_halted: bool) -> bool {
        match is_halted {
            true => {
                self.halted_since_ms.get_or_insert(self.lab.now_ms());
                self.lab.halt_journal(FIELD);
            }
            false => {
                self.halted_since_ms = None;
                self.lab.resume_journal(FIELD);
            }
        }
        true
    }

    fn stall(&mut self) -> bool {
        let seconds = 1 + self.rng.below(12);
        self.lab.stall_seconds(seconds);
        self.oracle.stalled_ms += seconds * 1_000;
        self.oracle.wrong.stall = (self.lab.now_ms(), seconds * 1_000);
        true
    }

    fn change_link(&mut self, is_lost: bool) -> bool {
        if !is_lost {
            self.open_up();
            return true;
        }
        let state = LinkState::Failed { sentence: "nobody listens".to_owned() };
        self.lab.offer(FIELD, SourceId::Bridge, InputBody::LinkChanged(state));
        self.oracle.wrong.begin(LINK, self.lab.now_ms());
        true
    }

    fn set_clock_forward(&mut self) -> bool {
        self.ahead_ms += 1_000 * (1 + self.rng.below(4_000));
        self.lab.set_clock_offset(FIELD, self.ahead_ms.cast_signed());
        self.run(1);
        true
    }

    /// What only the runner may say, said by somebody else, and drivers that say that something was carried out or has ended which
    /// was not or has not. How a part stands they are believed.
    fn forge(&mut self) -> bool {
        let snapshot = self.snapshot();
        let ids: Vec<ProposalId> = snapshot.proposals.iter().map(|row| row.report.id).collect();
        let Some(proposal) = self.one_of(&ids) else { return false };
        let because = SafeBecause::TimeIsOver;
        let mut all = vec![
            (SourceId::Gateway, InputBody::Rearmed),
            (SourceId::Drivers, InputBody::Driver(DriverReport::Carried { proposal, step: 0 })),
            (SourceId::Drivers, InputBody::Driver(DriverReport::Carried { proposal, step: 1 })),
            (
                SourceId::Drivers,
                InputBody::Driver(DriverReport::MadeSafe {
                    actuator: pump(),
                    because,
                    proposal: Some(proposal),
                    fault: None,
                }),
            ),
            (SourceId::Gateway, InputBody::PeopleChanged(clawmesh_authority::Roster::default())),
            (SourceId::Bridge, InputBody::PolicyChanged("{}".to_owned())),
        ];
        let at = self.rng.below(all.len() as u64) as usize;
        let (source, body) = all.swap_remove(at);
        self.lab.offer(FIELD, source, body);
        true
    }
}
