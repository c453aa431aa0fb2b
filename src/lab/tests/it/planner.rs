//! What thoughts about dry zones lead to, and what they do not lead to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use clawmesh_authority::leadership::Term;
use clawmesh_authority::transition::{By, Round, State};
use clawmesh_authority::{
    Body, Capability, Code, ContentHash, Frame, Hlc, Lane, Maker, MeshId, Mind, NodeKey, Proposal,
    ProposalId, ProposalReport, Statement, Step, StoryEntry, Value, envelope,
};
use clawmesh_core::intake::{Input, InputBody, SourceId, StampedInput, Thought};
use clawmesh_core::planner::{Attention, IrrigatedZone, PlannerPort, Wish, Wishes};
use clawmesh_core::proposals::{Copied, Life, Proposed};
use clawmesh_core::replay::{DomainId, Record};
use clawmesh_core::safety::{RefusalTally, Refusals};
use clawmesh_core::settings::SiteText;
use clawmesh_core::site::NoPlace;
use clawmesh_core::{Core, Settings};
use clawmesh_lab::{Lab, START_MS, lone_settings};
use clawmesh_twin::site::Plan;

use crate::site::farm;

const CENTER: &str = "command-center";
const FIELD: &str = "field-node";
/// For so long a command center listens before it leads the planning.
const LEADS_AFTER_S: u64 = 11;
const FOREST: &str = "z-food-forest-core";
const FLOWERS: &str = "z-flower-production";
const FOREST_VALVE: &str = "actuator:valve:valve-food-forest";
const FLOWER_VALVE: &str = "actuator:valve:valve-flower";
const PUMP: &str = "actuator:pump:pump-main-01";

fn dry(zone: &str) -> Thought {
    Thought { zone: zone.to_owned(), irrigate: true, urgency_permille: 650, moisture_permille: Some(142) }
}

fn wet(zone: &str) -> Thought {
    Thought { irrigate: false, urgency_permille: 0, moisture_permille: Some(305), ..dry(zone) }
}

fn unknown(zone: &str) -> Thought {
    Thought { moisture_permille: None, ..dry(zone) }
}

fn pressing(zone: &str) -> Thought {
    Thought { urgency_permille: 900, ..dry(zone) }
}

fn step(actuator: &str, operation: &str, for_s: f64) -> Step {
    Step {
        actuator: Capability::new(actuator).expect("it is well-formed"),
        operation: operation.to_owned(),
        parameters: BTreeMap::from([("for_s".to_owned(), Value::Number(for_s))]),
    }
}

fn steps(actuators: &[&str]) -> Vec<Step> {
    actuators.iter().map(|actuator| step(actuator, "open", 600.0)).collect()
}

fn maker() -> Maker {
    Maker { node: Lab::id_of(1), mind: Mind::Utility { name: "dryness".to_owned() }, term: None }
}

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<Wish>>>);

impl Wishes for Kept {
    fn wish(&self, wish: Wish) -> Result<(), NoPlace> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(wish);
        Ok(())
    }
}

impl Kept {
    fn all(&self) -> Vec<Wish> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A command center by itself, whose ticks last a second: hours pass quickly.
struct Center {
    core: Core,
    wishes: Kept,
    row: u64,
    /// The clock of the field node minus ours.
    field_ahead_ms: u64,
    said: u64,
}

impl Center {
    fn new() -> Self {
        Self::at_site(farm())
    }

    fn at_site(site: SiteText) -> Self {
        let trusted = [field_key().id()].into();
        let settings = Settings {
            hz: 1,
            digest_every_ticks: u64::MAX,
            site: Some(site),
            trusted,
            role: CENTER.to_owned(),
            plans: true,
            ..lone_settings()
        };
        let mut core = Core::replaying(settings, 1);
        let wishes = Kept::default();
        core.world_mut().insert_resource(PlannerPort(Box::new(wishes.clone())));
        let mut center = Self { core, wishes, row: 1, field_ahead_ms: 0, said: 0 };
        for _ in 0..LEADS_AFTER_S {
            center.tick(Vec::new());
        }
        center
    }

    fn now_ms(&self) -> u64 {
        START_MS + self.core.tick_number() * 1_000
    }

    /// One second in which this comes in.
    fn tick(&mut self, inputs: Vec<(SourceId, InputBody)>) {
        let clock = InputBody::ClockSampled { unix_ms: self.now_ms() + 1_000, up_ms: self.now_ms() };
        let tick = self.core.tick_number() + 1;
        let inputs = std::iter::once((SourceId::Clock, clock)).chain(inputs);
        let stamped = inputs.map(|(source, body)| {
            let journal_sequence = self.row;
            self.row += 1;
            let input = Input { source, sequence: journal_sequence, body };
            StampedInput { journal_sequence, tick, input }
        });
        let stamped = stamped.collect();
        self.core.feed(stamped);
        self.core.tick();
    }

    fn think(&mut self, thoughts: &[Thought]) {
        self.tick(vec![(SourceId::Planner, InputBody::Thoughts(thoughts.to_vec()))]);
    }

    /// Thinks every other second for so many minutes, and gives the zones that were wished for in them.
    fn think_for_minutes(&mut self, minutes: u64, thoughts: &[Thought]) -> Vec<String> {
        let before = self.wishes.all().len();
        for _ in 0..minutes * 30 {
            self.think(thoughts);
            self.tick(Vec::new());
        }
        self.wishes.all().into_iter().skip(before).map(|wish| wish.zone).collect()
    }

    /// The field node says of a proposal for these actuators how it stands.
    fn hear(&mut self, actuators: &[&str], state: State) {
        let at_ms = self.now_ms();
        let story_ms = at_ms + self.field_ahead_ms;
        let words = "so it came".to_owned();
        let report = ProposalReport {
            slot: 3,
            id: ProposalId([5; 32]),
            maker: maker(),
            steps: steps(actuators),
            reason: "somebody wants it".to_owned(),
            made: Hlc { wall_ms: at_ms, logical: 0 },
            story: vec![StoryEntry { at_ms: story_ms, state: state.name().to_owned(), words, code: None }],
            state,
            card: None,
            offer: None,
            approved_by: Vec::new(),
            blocked: None,
        };
        self.said += 1;
        let statement = Statement {
            mesh: MeshId::of_name("lab"),
            epoch: 1,
            sequence: self.said,
            hlc: Hlc { wall_ms: at_ms, logical: 0 },
            body: Body::Frame(Frame::Proposal(Box::new(report))),
        };
        let bytes = envelope::seal(&field_key(), &statement);
        let source = SourceId::Node(field_key().id());
        self.tick(vec![(source, InputBody::Envelope { lane: Lane::State, bytes })]);
        let world = self.core.world_mut();
        assert_eq!(world.query::<&Copied>().iter(world).count(), 1, "the copy is there");
    }

    /// A proposal whose home is here stands so.
    fn hold(&mut self, actuators: &[&str], state: State) {
        let proposal = Proposal {
            mesh: MeshId::of_name("lab"),
            owner: Lab::id_of(1),
            site: ContentHash([0; 32]),
            maker: maker(),
            steps: steps(actuators),
            reason: "somebody wants it".to_owned(),
            evidence: Vec::new(),
            made: Hlc::default(),
        };
        let proposed = Proposed { id: proposal.id(), slot: 0, proposal };
        let mut life = Life { state, ..Life::begin(START_MS, u64::MAX) };
        life.tell(self.now_ms(), "so it came".to_owned(), None);
        let id = DomainId::of("proposal", &[&proposed.id.0]);
        self.core.world_mut().spawn((proposed, life, id));
    }

    fn attention(&mut self, zone: &str) -> Attention {
        let world = self.core.world_mut();
        let mut query = world.query::<(&IrrigatedZone, &Attention)>();
        let found = query.iter(world).find(|(found, _)| found.0 == zone);
        found.expect("it was thought of").1.clone()
    }

    fn refusals(&self) -> Vec<RefusalTally> {
        self.core.world().resource::<Refusals>().0.tallies().to_vec()
    }
}

/// The key of the node that owns the valves.
fn field_key() -> NodeKey {
    let mut secret = [0; 32];
    secret[0] = 2;
    let key = NodeKey::from_secret(&secret);
    assert_eq!(key.id(), Lab::id_of(2), "the lab gives its second node this key");
    key
}

const NONE: [&str; 0] = [];

#[test]
fn a_zone_thought_dry_in_two_rounds_leads_to_one_wish_until_it_has_rested() {
    let mut center = Center::new();
    let round = [dry(FOREST), wet(FLOWERS)];
    center.think(&round);
    assert_eq!(center.wishes.all(), [], "one odd reading moves nobody");
    assert_eq!(center.think_for_minutes(10, &round), [FOREST]);
    assert_eq!(center.think_for_minutes(10, &round), [FOREST]);
    assert_eq!(center.think_for_minutes(60, &[wet(FOREST), wet(FLOWERS)]), NONE);
}

#[test]
fn a_wish_says_who_is_asked_for_what_and_why_and_what_it_rests_on() {
    let mut center = Center::new();
    center.think(&[dry(FOREST)]);
    center.think(&[dry(FOREST)]);
    let wishes = center.wishes.all();
    let Wish { zone, owner, steps, reason, evidence_of, made, term, cause } = &wishes[0];
    assert_eq!((zone.as_str(), *owner), (FOREST, Lab::id_of(2)));
    assert_eq!(*steps, [step(FOREST_VALVE, "open", 1_200.0), step(PUMP, "start", 1_200.0)]);
    assert_eq!(reason, "z-food-forest-core is at 14.2 %, dry is below 22 %");
    let evidence: Vec<&str> = evidence_of.iter().map(Capability::as_str).collect();
    assert_eq!(evidence, ["sensor:soil-moisture:food-forest", "sensor:tank-level:tank-01"]);
    assert_eq!(*made, Hlc { wall_ms: START_MS + 1_000 * (LEADS_AFTER_S + 2), logical: 0 });
    let kept = ["leadership", "safety"].len() as u64;
    assert_eq!(*cause, LEADS_AFTER_S + kept + 4, "a clock and a thought in each of two ticks");
    assert_eq!(*term, Term(1));
    let Attention { is_dry, since_tick, wished_tick, .. } = center.attention(FOREST);
    assert_eq!((is_dry, since_tick, wished_tick), (true, LEADS_AFTER_S + 1, Some(LEADS_AFTER_S + 2)));
}

#[test]
fn what_is_not_known_to_be_dry_is_not_wished_for() {
    let mut center = Center::new();
    assert_eq!(center.think_for_minutes(1, &[unknown(FOREST)]), NONE);
    for between in [unknown(FOREST), wet(FOREST)] {
        center.think(&[dry(FOREST)]);
        center.think(&[between]);
        center.think(&[dry(FOREST)]);
        center.think(&[wet(FOREST)]);
    }
    assert_eq!(center.wishes.all(), []);
}

#[test]
fn two_rounds_that_come_in_one_tick_are_two_and_twice_in_one_round_is_once() {
    let mut center = Center::new();
    center.think(&[dry(FOREST), dry(FOREST)]);
    assert_eq!(center.wishes.all().len(), 0);
    let rounds = || (SourceId::Planner, InputBody::Thoughts(vec![dry(FOREST)]));
    let mut other = Center::new();
    other.tick(vec![rounds(), rounds()]);
    assert_eq!(other.wishes.all().len(), 1);
}

#[test]
fn nothing_is_wished_while_anybody_wants_one_of_its_actuators() {
    let asked = || State::AwaitingApproval { round: Round::FIRST };
    for (wanted, expected) in [
        ([FOREST_VALVE].as_slice(), NONE.as_slice()),
        (&[PUMP], &[]),
        (&[FLOWER_VALVE, PUMP], &[]),
        (&[FLOWER_VALVE], &[FOREST]),
    ] {
        let mut center = Center::new();
        center.hear(wanted, asked());
        assert_eq!(center.think_for_minutes(9, &[dry(FOREST)]), expected, "{wanted:?} elsewhere");
        let mut owner = Center::new();
        owner.hold(wanted, asked());
        assert_eq!(owner.think_for_minutes(9, &[dry(FOREST)]), expected, "{wanted:?} here");
    }
}

#[test]
fn what_was_in_the_way_is_so_until_it_has_ended() {
    let round = Round::FIRST;
    for (state, is_open) in [
        (State::Draft, true),
        (State::Stale { round }, true),
        (State::Executing { step: 0 }, true),
        (State::Verifying, true),
        (State::Vetoed, false),
        (State::Expired, false),
    ] {
        let mut center = Center::new();
        // Only the valve: it is in the way, and its end is not the end of a watering.
        center.hear(&[FOREST_VALVE], state.clone());
        let wished = center.think_for_minutes(1, &[dry(FOREST)]);
        assert_eq!(wished.is_empty(), is_open, "{state}");
    }
}

#[test]
fn what_gives_its_place_to_another_before_its_end_makes_no_zone_rest() {
    let mut center = Center::new();
    center.hear(&[FOREST_VALVE, PUMP], State::Draft);
    assert_eq!(center.think_for_minutes(1, &[dry(FOREST)]), NONE);
    center.hear(&[FLOWER_VALVE], State::Expired);
    assert_eq!(center.think_for_minutes(1, &[dry(FOREST)]), [FOREST]);
}

#[test]
fn a_zone_rests_after_the_end_of_a_proposal_for_it_and_longer_when_it_was_watered() {
    let cancelled = || State::Cancelled { by: By::Stop };
    for (of, state, minutes) in [
        ([FOREST_VALVE, PUMP], cancelled(), 10),
        ([FOREST_VALVE, PUMP], State::Completed, 60),
        // The flowers were watered, with the same pump: that is no reason for the forest to wait.
        ([FLOWER_VALVE, PUMP], State::Completed, 0),
    ] {
        for is_own in [false, true] {
            let mut center = Center::new();
            match is_own {
                true => center.hold(&of, state.clone()),
                false => center.hear(&of, state.clone()),
            }
            let case = format!("{of:?} {state}, own: {is_own}");
            let before = center.think_for_minutes(minutes.max(1) - 1, &[dry(FOREST)]);
            assert_eq!(before, NONE, "{case}");
            assert_eq!(center.think_for_minutes(2, &[dry(FOREST)]), [FOREST], "{case}");
        }
    }
}

#[test]
fn a_home_whose_clock_is_ahead_makes_no_zone_rest_for_longer() {
    let mut center = Center::new();
    center.field_ahead_ms = 24 * 3_600_000;
    center.hear(&[FOREST_VALVE, PUMP], State::Expired);
    assert_eq!(center.think_for_minutes(9, &[dry(FOREST)]), NONE);
    assert_eq!(center.think_for_minutes(2, &[dry(FOREST)]), [FOREST]);
}

#[test]
fn of_two_zones_that_share_a_pump_the_more_pressing_one_goes_first() {
    let mut center = Center::new();
    let round = [dry(FLOWERS), pressing(FOREST)];
    center.think(&round);
    center.think(&round);
    let zones = |center: &Center| center.wishes.all().into_iter().map(|wish| wish.zone).collect::<Vec<_>>();
    assert_eq!(zones(&center), [FOREST]);
    for _ in 0..59 {
        center.think(&round);
    }
    assert_eq!(zones(&center), [FOREST], "its proposal may be on its way");
    center.think(&round);
    assert_eq!(zones(&center), [FOREST, FLOWERS], "nobody wants the pump, so the other zone may");
    let made: Vec<Hlc> = center.wishes.all().iter().map(|wish| wish.made).collect();
    assert!(made.is_sorted_by(|a, b| a < b), "{made:?}");
}

#[test]
fn a_thought_about_a_zone_nobody_waters_is_refused_by_name() {
    let mut center = Center::new();
    center.think(&[dry("z-compost-inputs"), dry("z-nowhere")]);
    let rows = center.refusals();
    assert_eq!((rows.len(), rows[0].code, rows[0].from.as_str()), (1, Code::InvalidParams, "planner"));
    assert_eq!(rows[0].count, 2);
    assert!(rows[0].sentence.contains("\"z-nowhere\" is no zone"), "{}", rows[0].sentence);
    assert_eq!(center.wishes.all(), []);
}

/// The farm with something else about it.
fn other_farm(change: fn(&mut Plan)) -> SiteText {
    let (name, mut plan): (String, Plan) = serde_json::from_str(&farm().plan).expect("the farm can be read");
    change(&mut plan);
    SiteText::of(&name, &plan, None).expect("the farm has no fault")
}

#[test]
fn zones_that_share_nothing_are_wished_for_together_and_one_after_the_other() {
    let by_gravity = other_farm(|plan| {
        plan.zones.iter_mut().filter_map(|zone| zone.irrigation.as_mut()).for_each(|irrigation| {
            irrigation.steps.truncate(1);
        });
    });
    let mut center = Center::at_site(by_gravity);
    center.think(&[dry(FLOWERS), dry(FOREST)]);
    center.think(&[dry(FLOWERS), dry(FOREST)]);
    let wishes = center.wishes.all();
    let zones: Vec<&str> = wishes.iter().map(|wish| wish.zone.as_str()).collect();
    assert_eq!(zones, [FLOWERS, FOREST], "equally pressing, so by their names");
    assert!(wishes[0].made < wishes[1].made, "{:?} {:?}", wishes[0].made, wishes[1].made);
}

#[test]
fn a_dry_zone_whose_owner_has_no_id_is_told_of_and_not_wished_for() {
    let mut center = Center::at_site(other_farm(|plan| plan.nodes[1].id = None));
    assert_eq!(center.think_for_minutes(9, &[dry(FOREST)]), NONE);
    let rows = center.refusals();
    assert_eq!((rows.len(), rows[0].code, rows[0].count), (1, Code::InvalidParams, 1));
    assert!(rows[0].sentence.contains("no `id` of field-node"), "{}", rows[0].sentence);
}

#[test]
fn a_node_that_does_not_think_minds_no_zone_and_wishes_nothing() {
    let mut lab =
        Lab::seeded(3).at_site(farm()).with_roles([(CENTER, "command-center")]).with_nodes([CENTER, FIELD]);
    lab.run_seconds(5);
    for name in [CENTER, FIELD] {
        let world = lab.core_mut(name).world_mut();
        assert_eq!(world.query::<&Attention>().iter(world).count(), 0);
        assert_eq!(lab.wishes(name), []);
    }
}

/// The wishes that follow from a recording of one run, and from nothing else.
fn wishes_of(records: Vec<Record>) -> Vec<Wish> {
    let wishes = Kept::default();
    let mut records = records.into_iter();
    let Some(Record::RunStarted(settings)) = records.next() else { panic!("a recording begins with a run") };
    let mut core = Core::replaying(settings, 2);
    core.world_mut().insert_resource(PlannerPort(Box::new(wishes.clone())));
    let mut inputs = Vec::new();
    for record in records {
        match record {
            Record::Input(stamped) => inputs.push(stamped),
            // In the lab every tick ends with one.
            Record::Digest(recorded) => {
                core.feed(std::mem::take(&mut inputs));
                core.tick();
                assert_eq!(core.digest(), recorded);
            }
            // What was kept is compared by the replayer; here only the wishes are looked at.
            Record::Kept(_) => {}
            other @ Record::RunStarted(_) => panic!("{other:?} does not belong here"),
        }
    }
    wishes.all()
}

#[test]
fn wishes_are_a_function_of_the_journal() {
    let mut lab =
        Lab::seeded(3).at_site(farm()).with_roles([(CENTER, "command-center")]).with_nodes([CENTER, FIELD]);
    for _ in 0..41 {
        let round = vec![dry(FLOWERS), pressing(FOREST)];
        lab.offer(CENTER, SourceId::Planner, InputBody::Thoughts(round));
        lab.run_seconds(2);
    }
    let wishes = lab.wishes(CENTER);
    assert_eq!(wishes.len(), 2);
    assert_eq!(lab.replay(CENTER).difference, None);
    assert_eq!(wishes_of(lab.records(CENTER)), wishes);
}
