//! The rules of the farm's own policy, one test each: what they refuse, and that the same thing goes through when only
//! what they look at is right.

mod approved;
mod evidence;

use std::collections::{BTreeMap, BTreeSet};

use minicbor::bytes::ByteVec;

use super::*;
use crate::capability::Capability;
use crate::envelope::{self, Body, Statement};
use crate::hlc::Hlc;
use crate::hold::Held;
use crate::ids::{ContentHash, MeshId, NodeId, OperatorId, ProposalId};
use crate::keys::{KeyId, NodeKey, OperatorKey};
use crate::level::Level;
use crate::offer::Offer;
use crate::operator::{Operator, Role, Roster};
use crate::policy::{Dosage, HazardClass, Mode, Rule};
use crate::proposal::{Maker, Mind};
use crate::reading::{Reading, ReadingBatch, Tier, Value};
use crate::refusal::Code;
use crate::setpoint::Setpoint;
use crate::transition::Verdict;
use crate::unit::Unit;

const NOW_MS: u64 = 1_730_000_000_000;

/// A dry zone of the farm, everything in order, and a proposal to water it.
struct Farm {
    policy: Policy,
    home: Home,
    live: Live,
    proposal: Proposal,
    card: SimulatedCard,
}

fn field() -> NodeKey {
    NodeKey::from_secret(&[1; 32])
}

fn capability(text: &str) -> Capability {
    Capability::new(text).unwrap()
}

fn pump() -> Capability {
    capability("actuator:pump:pump-main-01")
}

fn valve() -> Capability {
    capability("actuator:valve:valve-food-forest")
}

/// Who approves on this farm.
fn farmer() -> Operator {
    Operator::of_key(*OperatorKey::from_secret(&[5; 32]).public().raw(), "Ann", Role::Approver)
}

fn people() -> Roster {
    let mut people = Roster::default();
    people.enroll(farmer(), &BTreeSet::new()).unwrap();
    people
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

fn granted(offer: &Offer) -> Grant {
    Grant::of(offer, vec![farmer().id])
}

fn tank_level() -> (NodeId, Capability) {
    (field().id(), capability("sensor:tank-level:tank-01"))
}

fn reading(sensor: &str, value: f64) -> Reading {
    Reading {
        sensor: capability(sensor),
        value,
        unit: Unit::Percent,
        origin_ms: NOW_MS - 1_000,
        sequence: 7,
        tier: Tier::T2,
    }
}

fn sealed(key: &NodeKey, readings: Vec<Reading>) -> ByteVec {
    let statement = Statement {
        mesh: MeshId::of_name("farm"),
        epoch: 1,
        sequence: 7,
        hlc: Hlc { wall_ms: NOW_MS - 1_000, logical: 0 },
        body: Body::Readings(ReadingBatch(readings)),
    };
    ByteVec::from(envelope::seal(key, &statement))
}

fn measured() -> Vec<Reading> {
    vec![reading("sensor:soil-moisture:food-forest", 14.0), reading("sensor:tank-level:tank-01", 70.0)]
}

fn step(actuator: Capability, operation: &str, for_s: Option<f64>) -> Step {
    let parameters = for_s.map(|seconds| ("for_s".to_owned(), Value::Number(seconds)));
    Step { actuator, operation: operation.to_owned(), parameters: parameters.into_iter().collect() }
}

impl Farm {
    fn in_order() -> Self {
        let text = include_str!("../../../../assets/sites/farm.policy.ron");
        let options =
            ron::Options::default().with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME);
        let policy: Policy = options.from_str(text).unwrap();
        let actuators: BTreeSet<Capability> =
            policy.actuators.iter().map(|rules| rules.actuator.clone()).collect();
        let closed =
            ActuatorState { read_back: Some(Setpoint::Off), answers: true, ..ActuatorState::default() };
        let says = |value| LiveReading {
            value,
            tier: Tier::T2,
            age_ms: 1_000,
            unchanged_ms: 0,
            doubt: None,
            fault: None,
        };
        let live = Live {
            can_write_down: true,
            readings: BTreeMap::from([
                (tank_level(), says(70.0)),
                ((field().id(), capability("sensor:pressure:mainline-01")), says(25.0)),
            ]),
            actuators: actuators.iter().map(|actuator| (actuator.clone(), closed)).collect(),
            wall_ms: NOW_MS,
            ..Live::default()
        };
        let home = Home {
            mesh: MeshId::of_name("farm"),
            owner: field().id(),
            site: ContentHash::of("site", b"farm"),
            policy: ContentHash::of("policy", b"farm"),
            nodes: BTreeMap::from([("field-node".to_owned(), field().id())]),
            actuators,
            sensors: policy
                .sensors()
                .map(|(_, sensor)| ((field().id(), sensor.clone()), declared(sensor)))
                .collect(),
            simulators: BTreeSet::new(),
            people: people(),
        };
        let proposal = Proposal {
            mesh: home.mesh,
            owner: home.owner,
            site: home.site,
            maker: Maker {
                node: NodeId::of_public_key(&[9; 32]),
                mind: Mind::Utility { name: "dryness".to_owned() },
                term: None,
            },
            steps: vec![step(valve(), "open", Some(1_200.0)), step(pump(), "start", Some(1_190.0))],
            reason: "the food forest is at 14 %".to_owned(),
            evidence: vec![sealed(&field(), measured())],
            made: Hlc { wall_ms: NOW_MS - 500, logical: 0 },
        };
        let card = SimulatedCard {
            card: ContentHash::of("card", b"1"),
            proposal: proposal.id(),
            by: home.owner,
            verdict: Verdict::Pass,
            drift: None,
        };
        Self { policy, home, live, proposal, card }
    }

    fn with(change: impl FnOnce(&mut Self)) -> Self {
        let mut farm = Self::in_order();
        change(&mut farm);
        farm
    }

    fn evidence(&self) -> Result<Vec<SignedReading>, Refused> {
        resolve(&self.proposal, &self.home, |node| *node == field().id())
    }

    fn proposed(&self) -> Result<(), Refused> {
        let evidence = self.evidence()?;
        judge(&self.proposal, &evidence, Moment::Proposing, &self.home, &self.policy, &self.live)
    }

    /// What people would be asked.
    fn offer(&self) -> Offer {
        Offer {
            mesh: self.home.mesh,
            owner: self.home.owner,
            site: self.home.site,
            policy: self.home.policy,
            proposal: self.proposal.id(),
            card: self.card.card,
            nonce: [4; 32],
            level: Level::L2,
            steps: self.proposal.steps.clone(),
            expires_after_ms: 300_000,
        }
    }

    /// The command of one step, if people had approved `offer`.
    fn authorized(&self, step: usize, offer: &Offer) -> Result<AuthorizedCommand, Refused> {
        let evidence = self.evidence()?;
        let card = SimulatedCard { proposal: self.proposal.id(), ..self.card.clone() };
        let grant = granted(offer);
        let asked = (evidence.as_slice(), NOW_MS);
        authorize(&self.proposal, step, asked, (&card, &grant), &self.home, &self.policy, &self.live)
    }

    fn runs_on(&self) -> Result<(), Refused> {
        let go_on = |step| {
            may_go_on(
                (step, &self.proposal.maker.mind),
                false,
                &granted(&self.offer()),
                &self.home,
                &self.policy,
                &self.live,
            )
        };
        self.proposal.steps.iter().try_for_each(go_on)
    }
}

/// Refused with this code by this rule, and the sentence holds these words.
fn assert_refused<T: std::fmt::Debug>(judged: Result<T, Refused>, code: Code, rule: Rule, words: &str) {
    let refused = judged.unwrap_err();
    assert_eq!((refused.code, refused.rule), (code, rule.as_str()), "{refused}");
    assert!(refused.sentence.contains(words), "{words:?} is not in {:?}", refused.sentence);
}

#[test]
fn the_policy_of_the_farm_does_not_contradict_itself() {
    assert_eq!(Farm::in_order().policy.faults(), []);
}

#[test]
fn with_everything_in_order_the_proposal_goes_through_and_makes_one_command_for_each_step() {
    let farm = Farm::in_order();
    assert_eq!(farm.proposed(), Ok(()));
    for (step, actuator, run_for_ms) in [(0, valve(), 1_200_000), (1, pump(), 1_190_000)] {
        let command = farm.authorized(step, &farm.offer()).unwrap();
        assert_eq!((command.proposal(), command.step()), (farm.proposal.id(), step));
        assert_eq!((command.actuator(), command.setpoint()), (&actuator, Setpoint::On));
        assert_eq!(command.run_for_ms(), Some(run_for_ms));
    }
    let (code, rule) = (Code::InvalidParams, Rule::KnownOperation);
    assert_refused(farm.authorized(2, &farm.offer()), code, rule, "there is no step 2");
    assert_eq!(farm.runs_on(), Ok(()));
}

#[test]
fn guardrail_1_no_pump_runs_without_water_that_is_shown_to_be_there() {
    let says = |value, change: fn(&mut LiveReading)| {
        Farm::with(|farm| {
            let mut reading = LiveReading {
                value,
                tier: Tier::T2,
                age_ms: 1_000,
                unchanged_ms: 0,
                doubt: None,
                fault: None,
            };
            change(&mut reading);
            farm.live.readings.insert(tank_level(), reading);
        })
    };
    let keep: fn(&mut LiveReading) = |_| {};
    assert_eq!(says(20.0, keep).proposed(), Ok(()));
    let (open, rule) = (Code::InterlockOpen, Rule::SourceBeforePump);
    for (farm, words) in [
        (says(19.9, keep), "it says 19.9"),
        (says(f64::NAN, keep), "it says NaN"),
        (says(70.0, |reading| reading.age_ms = 10_001), "its last reading is 10 s old"),
        (says(70.0, |reading| reading.doubt = Some("stuck".to_owned())), "it is stuck"),
        (says(70.0, |reading| reading.tier = Tier::T1), "it is worth T1, less than T2"),
        (says(70.0, |reading| reading.tier = Tier::T0), "it is worth T0, less than T2"),
    ] {
        // The valve is content with less water; its own condition would be told first.
        let mut farm = farm;
        farm.policy.actuators.iter_mut().for_each(|rules| {
            rules.interlocks.retain(|interlock| interlock.rule == rule);
        });
        assert_refused(farm.proposed(), open, rule, words);
        assert_refused(farm.runs_on(), open, rule, words);
    }
    let rests = |unchanged_ms, stuck_after_s| {
        Farm::with(|farm| {
            farm.live.readings.get_mut(&tank_level()).unwrap().unchanged_ms = unchanged_ms;
            let interlocks = farm.policy.actuators.iter_mut().flat_map(|rules| &mut rules.interlocks);
            interlocks
                .filter(|interlock| interlock.rule == rule)
                .for_each(|interlock| interlock.stuck_after_s = stuck_after_s);
        })
    };
    assert_eq!(rests(u64::MAX, None).proposed(), Ok(()), "nobody has said how long it may rest");
    assert_eq!(rests(60_000, Some(60)).proposed(), Ok(()));
    let stuck = "it has said 70 for 60 s and is taken to be stuck";
    assert_refused(rests(60_001, Some(60)).proposed(), open, rule, stuck);
    assert_refused(rests(60_001, Some(60)).runs_on(), open, rule, stuck);
    let mut silent = Farm::in_order();
    silent.live.readings.remove(&tank_level());
    silent.proposal.steps.remove(0);
    assert_refused(silent.proposed(), open, rule, "it has not spoken");
}

#[test]
fn guardrail_2_time_and_volume_of_a_zone_are_bounded() {
    let spent = |litres, seconds| {
        Farm::with(|farm| {
            let spent = Spent { litres, seconds };
            farm.live.spent.insert("z-food-forest-core".to_owned(), spent);
        })
    };
    // 1,200 s at 12 L/min are 240 L of 2,000 L and 7,200 s in a day.
    assert_eq!(spent(1_760.0, 6_000.0).proposed(), Ok(()));
    let (exceeded, rule) = (Code::BudgetExceeded, Rule::ZoneBounds);
    assert_refused(
        spent(1_760.1, 0.0).proposed(),
        exceeded,
        rule,
        "z-food-forest-core has 2000 L in 24 hours",
    );
    assert_refused(
        spent(0.0, 6_000.1).proposed(),
        exceeded,
        rule,
        "z-food-forest-core has 7200 s in 24 hours",
    );
    let twice = Farm::with(|farm| {
        let (open, again) = (step(valve(), "open", Some(1_260.0)), step(valve(), "open", Some(1_260.0)));
        farm.proposal.steps = vec![open, again];
    });
    assert_refused(twice.proposed(), Code::LimitExceeded, rule, "504 L at once is more than the 500 L");
}

#[test]
fn guardrail_3_nothing_is_told_over_a_way_that_is_not_shown_to_work() {
    let (open, rule) = (Code::InterlockOpen, Rule::KnownComms);
    let alone = Farm::with(|farm| farm.live.comms_unknown = Some("no link is open".to_owned()));
    assert_refused(alone.proposed(), open, rule, "no link is open");
    assert_eq!(alone.runs_on(), Ok(()), "what runs is a matter of the mode of the site");
    let mute = Farm::with(|farm| farm.live.actuators.get_mut(&valve()).unwrap().answers = false);
    assert_refused(mute.proposed(), open, rule, "actuator:valve:valve-food-forest does not answer");
    assert_refused(mute.runs_on(), open, rule, "does not answer");
    let close = Farm::with(|farm| {
        farm.live.comms_unknown = Some("no link is open".to_owned());
        farm.proposal.steps = vec![step(valve(), "close", None)];
    });
    assert_eq!(close.proposed(), Ok(()), "shutting needs no way to the mesh");
}

#[test]
fn guardrail_4_after_a_restart_nothing_is_told_before_its_state_was_read_back() {
    let unread = Farm::with(|farm| farm.live.actuators.get_mut(&pump()).unwrap().read_back = None);
    assert_refused(
        unread.proposed(),
        Code::StateUnknown,
        Rule::KnownState,
        "nothing shows how actuator:pump:",
    );
    assert_eq!(unread.runs_on(), Ok(()), "what is on its way stands nowhere for a while");
    let arrived = |farm: &Farm| {
        may_go_on(
            (&farm.proposal.steps[1], &farm.proposal.maker.mind),
            true,
            &granted(&farm.offer()),
            &farm.home,
            &farm.policy,
            &farm.live,
        )
    };
    assert_refused(arrived(&unread), Code::StateUnknown, Rule::KnownState, "nobody knows how");
    let fell_off = Farm::in_order();
    assert_refused(arrived(&fell_off), Code::StateUnknown, Rule::KnownState, "now stands off");
    let runs =
        Farm::with(|farm| farm.live.actuators.get_mut(&pump()).unwrap().read_back = Some(Setpoint::On));
    assert_eq!(arrived(&runs), Ok(()));
    let unheard = Farm::with(|farm| farm.live.actuators.clear());
    assert!(unheard.proposed().is_err(), "what was never heard of is not known either");
}

#[test]
fn what_works_for_one_proposal_works_for_no_other() {
    let other = ProposalId([7; 32]);
    let busy = Farm::with(|farm| {
        farm.live.held.insert(pump(), other);
    });
    assert_refused(busy.proposed(), Code::AuthorityHeld, Rule::OnePlan, "works for the proposal 07070707");
    assert_refused(busy.authorized(1, &busy.offer()), Code::AuthorityHeld, Rule::OnePlan, "wait until");
    let own = Farm::with(|farm| {
        let id = farm.proposal.id();
        farm.live.held.insert(pump(), id);
    });
    assert!(own.authorized(1, &own.offer()).is_ok());
}

#[test]
fn guardrail_5_hands_win() {
    let held = Farm::with(|farm| farm.live.actuators.get_mut(&valve()).unwrap().local_control = true);
    assert_refused(held.proposed(), Code::LocalControl, Rule::ManualOverride, "under local control");
    assert_refused(held.runs_on(), Code::LocalControl, Rule::ManualOverride, "under local control");
    let tagged = Farm::with(|farm| farm.live.actuators.get_mut(&valve()).unwrap().out_of_service = true);
    assert_refused(tagged.proposed(), Code::OutOfService, Rule::OutOfService, "takes the tag off");
    assert_refused(
        tagged.authorized(0, &tagged.offer()),
        Code::OutOfService,
        Rule::OutOfService,
        "out of service",
    );
}

#[test]
fn guardrail_7_no_substance_goes_out_without_a_dosage() {
    let fertigate = |dosage: Option<f64>| {
        Farm::with(|farm| {
            farm.proposal.steps = vec![step(valve(), "fertigate", Some(600.0))];
            farm.policy.dosages.extend(dosage.map(|seconds_per_command_max| Dosage {
                substance: "jeevamrit".to_owned(),
                seconds_per_command_max,
            }));
        })
    };
    assert_refused(
        fertigate(None).proposed(),
        Code::NotAuthorized,
        Rule::DosageFirst,
        "no dosage of jeevamrit",
    );
    assert_refused(
        fertigate(Some(599.0)).proposed(),
        Code::LimitExceeded,
        Rule::DosageFirst,
        "at most 599 s",
    );
    assert_eq!(fertigate(Some(600.0)).proposed(), Ok(()));
}

#[test]
fn guardrail_8_irrigation_says_when_it_ends() {
    let open = |parameters: Vec<(&str, Value)>| {
        Farm::with(|farm| {
            let named = parameters.into_iter().map(|(name, value)| (name.to_owned(), value));
            farm.proposal.steps[0].parameters = named.collect();
        })
    };
    let seconds = |seconds| ("for_s", Value::Number(seconds));
    let (limit, rule) = (Code::LimitExceeded, Rule::BoundedIrrigation);
    assert_refused(open(vec![]).proposed(), limit, rule, "does not say when it ends");
    assert_refused(open(vec![seconds(2_400.1)]).proposed(), limit, rule, "`for_s` is 2400.1");
    assert_refused(open(vec![seconds(19.9)]).proposed(), limit, rule, "a number from 20 to 2400");
    assert_refused(open(vec![seconds(f64::INFINITY)]).proposed(), limit, rule, "inf");
    assert_eq!(open(vec![seconds(2_400.0)]).proposed(), Ok(()));
    let (invalid, rule) = (Code::InvalidParams, Rule::Parameters);
    let text = ("for_s", Value::Text("600".to_owned()));
    assert_refused(open(vec![text]).proposed(), invalid, rule, "is Text(\"600\")");
    let more = vec![seconds(600.0), ("repeat", Value::Flag(true))];
    assert_refused(open(more).proposed(), invalid, rule, "has no parameter `repeat`");
}

#[test]
fn only_what_the_policy_lists_may_be_told() {
    let toggle = Farm::with(|farm| farm.proposal.steps[0].operation = "toggle".to_owned());
    let words = "knows no `toggle`, it knows close, fertigate, open";
    assert_refused(toggle.proposed(), Code::UnknownOperation, Rule::KnownOperation, words);
    let unlisted = Farm::with(|farm| farm.policy.actuators.retain(|rules| rules.actuator != valve()));
    assert_refused(unlisted.proposed(), Code::UnknownOperation, Rule::KnownOperation, "no rules for");
}

#[test]
fn what_a_person_holds_is_not_begun_and_what_switches_off_is_never_held() {
    let id = Farm::in_order().proposal.id();
    let held =
        |what: Held| Farm::with(|farm| farm.live.on_hold = vec![(what, "Ann holds it: mud".to_owned())]);
    for what in [
        Held::Programs,
        Held::Class(HazardClass::Routine),
        Held::Class(HazardClass::Hazardous),
        Held::Actuator(pump()),
        Held::Proposal(id),
    ] {
        let mut farm = held(what);
        assert_refused(farm.proposed(), Code::Frozen, Rule::OnHold, "Ann holds it: mud");
        assert_refused(farm.authorized(0, &farm.offer()), Code::Frozen, Rule::OnHold, "clawmesh release");
        assert_eq!(farm.runs_on(), Ok(()), "what runs goes on");
        farm.proposal.steps = vec![step(pump(), "stop", None), step(valve(), "close", None)];
        assert_eq!(may_be_answered(&farm.proposal, &farm.policy, &farm.live), Ok(()), "it switches off");
    }
    for what in [Held::Class(HazardClass::Irreversible), Held::Proposal(ProposalId([1; 32]))] {
        assert_eq!(held(what).proposed(), Ok(()));
    }
    let other = Capability::new("actuator:valve:valve-grain").unwrap();
    assert_eq!(held(Held::Actuator(other)).proposed(), Ok(()));
    let mut person = held(Held::Programs);
    person.proposal.maker.mind = Mind::Operator(OperatorId([1; 32]));
    assert_eq!(may_be_answered(&person.proposal, &person.policy, &person.live), Ok(()), "a person asked");
}

#[test]
fn what_a_person_has_control_of_moves_for_nobody_else_and_for_no_program() {
    let (ann, bo) = (OperatorId([1; 32]), OperatorId([2; 32]));
    for (by, moves) in [(ann, true), (bo, false)] {
        let mut farm = Farm::with(|farm| {
            farm.live.controlled.insert(pump(), Controlled { by, name: "Ann".to_owned() });
        });
        let session = Mind::Model { name: "m".to_owned(), session_of: Some(by) };
        for (mind, moves) in [(Mind::Operator(ann), moves), (session, false)] {
            farm.proposal.maker.mind = mind;
            let all = [
                farm.proposed(),
                farm.authorized(1, &farm.offer()).map(drop),
                farm.runs_on(),
                may_be_answered(&farm.proposal, &farm.policy, &farm.live),
                may_begin(&farm.proposal, &farm.home, &farm.policy, &farm.live),
            ];
            for judged in all {
                match moves {
                    true => assert_eq!(judged, Ok(())),
                    false => {
                        assert_refused(judged, Code::AuthorityHeld, Rule::Control, "Ann has control of");
                    }
                }
            }
        }
        farm.proposal.steps.retain(|step| step.actuator != pump());
        assert_eq!(farm.runs_on(), Ok(()), "the valve is nobody's");
    }
}

#[test]
fn only_the_owner_judges_and_only_by_the_same_site() {
    let (owner, rule) = (Code::AmbiguousOwner, Rule::OneOwner);
    let other = Farm::with(|farm| farm.proposal.owner = NodeId::of_public_key(&[8; 32]));
    assert_refused(other.proposed(), owner, rule, "ask that node");
    let not_ours = Farm::with(|farm| {
        farm.home.actuators.remove(&pump());
    });
    assert_refused(not_ours.proposed(), owner, rule, "ask its owner");
    let claimed = Farm::with(|farm| {
        let pump = farm.live.actuators.get_mut(&pump()).unwrap();
        pump.claimed_by = Some(NodeId::of_public_key(&[8; 32]));
    });
    assert_refused(claimed.proposed(), owner, rule, "give both the same site file");
    assert_refused(claimed.authorized(1, &claimed.offer()), owner, rule, "give both the same site file");
    assert!(claimed.authorized(0, &claimed.offer()).is_err(), "all of it is judged before the first step");
    let mesh = Farm::with(|farm| farm.proposal.mesh = MeshId::of_name("other"));
    assert_refused(mesh.proposed(), Code::MeshIdMismatch, rule, "another mesh");
    let site = Farm::with(|farm| farm.proposal.site = ContentHash::of("site", b"an older farm"));
    assert_refused(site.proposed(), Code::SiteMismatch, Rule::SameSite, "give both the same site file");
}

#[test]
fn a_site_that_is_out_of_order_does_less() {
    // Valves are Caution, the pump is Hazardous.
    for (mode, new, running) in [
        (Mode::CommandCenterAway, false, true),
        (Mode::FieldNodeAway, false, false),
        (Mode::SensorFault, true, true),
        (Mode::PowerUnstable, false, false),
    ] {
        let farm = Farm::with(|farm| {
            farm.live.modes.insert(mode);
        });
        for (judged, may) in [(farm.proposed(), new), (farm.runs_on(), running)] {
            match may {
                true => assert_eq!(judged, Ok(()), "{mode:?}"),
                false => assert_refused(judged, Code::InterlockOpen, Rule::DegradedMode, mode.in_words()),
            }
        }
        let valve_alone = Farm::with(|farm| {
            farm.live.modes.insert(mode);
            farm.proposal.steps.pop();
        });
        let is_allowed = matches!(mode, Mode::CommandCenterAway | Mode::SensorFault);
        assert_eq!(valve_alone.proposed().is_ok(), is_allowed, "{mode:?}");
    }
}

#[test]
fn the_stop_and_a_journal_that_cannot_commit_refuse_everything() {
    let stopped = Farm::with(|farm| farm.live.stop = Some("a person pressed it".to_owned()));
    assert_refused(stopped.proposed(), Code::StopLatched, Rule::StopHolds, "a person pressed it");
    assert_refused(stopped.runs_on(), Code::StopLatched, Rule::StopHolds, "re-arms");
    let mute = Farm::with(|farm| farm.live.can_write_down = false);
    assert_refused(mute.proposed(), Code::JournalUnavailable, Rule::WrittenDown, "mend the disk");
}

#[test]
fn a_later_step_is_judged_again_by_what_holds_when_its_turn_comes() {
    let dry = Farm::with(|farm| farm.live.readings.get_mut(&tank_level()).unwrap().value = 15.0);
    // The valve may open at 15 %; the pump may not run.
    let mut valve_alone = Farm::with(|farm| farm.proposal.steps.truncate(1));
    valve_alone.live = dry.live.clone();
    assert!(valve_alone.authorized(0, &valve_alone.offer()).is_ok());
    assert_refused(
        dry.authorized(1, &dry.offer()),
        Code::InterlockOpen,
        Rule::SourceBeforePump,
        "it says 15",
    );
    let stopped = Farm::with(|farm| farm.live.stop = Some("smoke".to_owned()));
    assert_refused(stopped.authorized(1, &stopped.offer()), Code::StopLatched, Rule::StopHolds, "smoke");
}
