//! What a person has to look at, as nodes see it.

use clawmesh_authority::leadership::CHOSEN_MS_MAX;
use clawmesh_authority::request::{self, Request, RequestBody};
use clawmesh_authority::transition::{Cause, State};
use clawmesh_authority::{
    Answer, AskKind, Body, Capability, Code, ContentHash, Frame, Hlc, Lane, Maker, MeshId, Mind, NodeKey,
    Proposal, ProposalId, ProposalReport, Refusal, Setpoint, Statement, Step, Tier, Unit, envelope,
};
use clawmesh_core::alarms::{Alarm, AlarmState, Priority, Standing};
use clawmesh_core::intake::{
    ActuatorReport, AlarmAct, DriverReport, Input, InputBody, SafeBecause, Sample, SourceId, StampedInput,
};
use clawmesh_core::proposals::{Life, Proposed};
use clawmesh_core::publish::AlarmView;
use clawmesh_core::replay::DomainId;
use clawmesh_core::{Core, Settings};
use clawmesh_lab::{Lab, START_MS, lone_settings};

use crate::proposals::rig::{CENTER, FIELD, Farm, ann, people};
use crate::{flow, flow_of, pump_and_barn, refusals, site, with_flow};

const ONCE: u64 = 6;

fn alarms(lab: &Lab, name: &str) -> Vec<AlarmView> {
    lab.snapshot(name).alarms.clone()
}

fn keys(lab: &Lab, name: &str) -> Vec<String> {
    alarms(lab, name).into_iter().map(|row| row.key).collect()
}

fn alarm(lab: &Lab, name: &str, key: &str) -> AlarmView {
    let rows = alarms(lab, name);
    rows.iter().find(|row| row.key == key).unwrap_or_else(|| panic!("no {key} in {rows:#?}")).clone()
}

fn handle(lab: &mut Lab, name: &str, key: &str, act: AlarmAct) {
    let body = InputBody::AlarmHandled { key: key.to_owned(), act, by: "asha".to_owned() };
    lab.offer(name, SourceId::Gateway, body);
    lab.run_ticks(ONCE);
}

fn stop(lab: &mut Lab, reason: &str) {
    lab.stop("barn", reason);
    lab.run_ticks(ONCE);
}

/// Ann has seen to the cause.
fn rearm(lab: &mut Lab) {
    let body = RequestBody::Rearm { why: "it is out".to_owned() };
    let made = Hlc { wall_ms: lab.now_ms(), logical: 0 };
    let request = Request { mesh: MeshId::of_name("lab"), owner: lab.id("barn"), body, made };
    let answer = lab.ask("barn", AskKind::Request, request::seal(&ann(), &request));
    assert!(matches!(answer, Answer::Taken { .. }), "{answer:?}");
    lab.run_ticks(ONCE);
}

/// A pump house whose flow sensor speaks once a second.
fn speaking(lab: &mut Lab, seconds: u32) {
    for second in 0..seconds {
        lab.sample("pump", flow_of(10.0 + f64::from(second)));
        lab.run_seconds(1);
    }
}

fn stale(lab: &Lab) -> String {
    format!("stale/{}/{}", lab.id("pump"), flow())
}

#[test]
fn a_sensor_that_falls_silent_rings_after_its_delay_and_is_gone_when_it_was_seen_and_speaks_again() {
    let mut lab = pump_and_barn();
    speaking(&mut lab, 5);
    assert_eq!(keys(&lab, "barn"), [] as [&str; 0]);
    lab.run_ticks(2 * 50 + 30);
    assert_eq!(crate::flow_at(&lab, "barn").flags, ["stale"]);
    assert_eq!(keys(&lab, "barn"), [] as [&str; 0], "it has not lasted a second");
    lab.run_seconds(1);
    let row = alarm(&lab, "barn", &stale(&lab));
    assert_eq!((row.state, row.priority, row.count), (Standing::Unacknowledged, Priority::Low, 1));
    assert!(row.sentence.contains("says nothing new for longer"), "{}", row.sentence);
    let key = stale(&lab);
    handle(&mut lab, "barn", &key, AlarmAct::Acknowledge);
    let row = alarm(&lab, "barn", &key);
    assert_eq!((row.state, row.acknowledged_by.as_deref()), (Standing::Acknowledged, Some("asha")));
    assert_eq!(alarm(&lab, "pump", &key).state, Standing::Unacknowledged, "every node has its own people");
    speaking(&mut lab, 1);
    assert_eq!(keys(&lab, "barn"), [] as [&str; 0]);
    assert_eq!(alarm(&lab, "pump", &key).state, Standing::Returned);
    speaking(&mut lab, 11);
    let world = lab.core_mut("barn").world_mut();
    assert_eq!(world.query::<&Alarm>().iter(world).count(), 0, "it is forgotten");
}

#[test]
fn a_sensor_that_flickers_counts_and_rings_once() {
    let mut lab = pump_and_barn();
    speaking(&mut lab, 2);
    lab.run_seconds(5);
    let key = stale(&lab);
    let rang = alarm(&lab, "barn", &key);
    handle(&mut lab, "barn", &key, AlarmAct::Acknowledge);
    for _ in 0..5 {
        speaking(&mut lab, 1);
        lab.run_seconds(4);
    }
    let row = alarm(&lab, "barn", &key);
    assert_eq!((row.count, row.raised_ms, row.state), (6, rang.raised_ms, Standing::Acknowledged));
    speaking(&mut lab, 12);
    lab.run_seconds(5);
    let row = alarm(&lab, "barn", &key);
    assert_eq!((row.count, row.state), (1, Standing::Unacknowledged), "it was well for a while");
}

#[test]
fn a_flag_that_does_not_last_never_rings() {
    let mut lab = pump_and_barn();
    for round in 0..5 {
        lab.sample("pump", flow_of(f64::from(round)));
        lab.run_ticks(3 * 50 + 25);
        assert_eq!(crate::flow_at(&lab, "barn").flags, ["stale"]);
    }
    assert_eq!(keys(&lab, "barn"), [] as [&str; 0]);
}

#[test]
fn a_sensor_that_has_never_spoken_rings_when_it_is_as_late_as_a_stale_one_would_be() {
    let mut lab = pump_and_barn();
    lab.run_seconds(2);
    assert_eq!(keys(&lab, "barn"), [] as [&str; 0]);
    lab.run_seconds(2);
    assert_eq!(keys(&lab, "barn"), [format!("silent/{}/{}", lab.id("pump"), flow())]);
}

#[test]
fn a_stop_rings_critical_above_all_and_cannot_be_shelved() {
    let mut lab = with_flow(Lab::seeded(7).with_people(people()));
    lab.run_seconds(5);
    stop(&mut lab, "smoke in the barn");
    let row = alarms(&lab, "barn").remove(0);
    assert_eq!((&*row.key, row.priority, row.state), ("stop", Priority::Critical, Standing::Unacknowledged));
    assert_eq!(row.sentence, "the stop is latched: smoke in the barn; a person has to re-arm");
    assert_eq!(row.shelf_ms_max, 0);
    handle(&mut lab, "barn", "stop", AlarmAct::Shelve { for_ms: 60_000 });
    assert_eq!(alarm(&lab, "barn", "stop").state, Standing::Unacknowledged);
    let refused = refusals(&lab, "barn", "INVALID_PARAMS");
    assert!(refused[0].sentence.starts_with("the stop cannot be shelved: "), "{refused:?}");
    handle(&mut lab, "barn", "stop", AlarmAct::Acknowledge);
    assert_eq!(alarm(&lab, "barn", "stop").state, Standing::Acknowledged);
    rearm(&mut lab);
    assert!(!keys(&lab, "barn").contains(&"stop".to_owned()));
    stop(&mut lab, "smoke in the barn");
    assert_eq!(alarm(&lab, "barn", "stop").state, Standing::Unacknowledged, "this is another stop");
}

#[test]
fn an_act_on_what_is_no_alarm_is_refused_where_everybody_sees_it() {
    let mut lab = pump_and_barn();
    handle(&mut lab, "barn", "limit/nowhere", AlarmAct::Acknowledge);
    let refused = refusals(&lab, "barn", "INVALID_PARAMS");
    assert_eq!(refused[0].from, "gateway");
    assert!(refused[0].sentence.starts_with("there is no alarm \"limit/nowhere\" now"), "{refused:?}");
}

#[test]
fn what_is_shelved_is_quiet_for_its_time_and_rings_after_it() {
    let mut lab = pump_and_barn();
    speaking(&mut lab, 2);
    lab.run_seconds(5);
    let key = stale(&lab);
    handle(&mut lab, "barn", &key, AlarmAct::Shelve { for_ms: 60_000 });
    let row = alarm(&lab, "barn", &key);
    assert_eq!((row.state, row.shelved_by.as_deref()), (Standing::Shelved, Some("asha")));
    assert!((59_000..=60_000).contains(&row.shelved_for_ms.unwrap()), "{row:?}");
    lab.run_seconds(59);
    assert_eq!(alarm(&lab, "barn", &key).state, Standing::Shelved);
    lab.run_seconds(2);
    assert_eq!(alarm(&lab, "barn", &key).state, Standing::Unacknowledged);
    handle(&mut lab, "barn", &key, AlarmAct::Shelve { for_ms: 60_000 });
    handle(&mut lab, "barn", &key, AlarmAct::Unshelve);
    assert_eq!(alarm(&lab, "barn", &key).state, Standing::Unacknowledged);
}

/// The farm with its readings; the level of the tank in percent.
fn farm_with_level(lab: &mut Lab, level: f64, seconds: u64) {
    let tank = Capability::new("sensor:tank-level:tank-01").expect("it is well-formed");
    for _ in 0..seconds {
        site::speak(lab);
        let sample =
            Sample { sensor: tank.clone(), value: level, unit: Unit::Percent, origin_ms: 0, tier: Tier::T2 };
        lab.sample("field-node", sample);
        lab.run_seconds(1);
    }
}

fn limits(lab: &Lab, name: &str) -> Vec<String> {
    keys(lab, name).into_iter().filter(|key| key.starts_with("limit/")).collect()
}

#[test]
fn a_reading_outside_the_interlocks_of_the_owner_rings_there_with_the_reason_and_worse_rings_again() {
    let mut lab = site::calm_farm();
    farm_with_level(&mut lab, 70.0, 2);
    assert_eq!(limits(&lab, "field-node"), [] as [&str; 0]);
    farm_with_level(&mut lab, 15.0, 2);
    let low = "limit/field-node/sensor:tank-level:tank-01/at-least-20";
    assert_eq!(limits(&lab, "field-node"), [low]);
    let row = alarm(&lab, "field-node", low);
    assert_eq!((row.priority, row.state), (Priority::High, Standing::Unacknowledged));
    assert_eq!(
        row.sentence,
        "sensor:tank-level:tank-01 of field-node says 15.00 % and must say at least 20: a pump that runs dry is ruined"
    );
    handle(&mut lab, "field-node", low, AlarmAct::Acknowledge);
    farm_with_level(&mut lab, 8.0, 2);
    let lower = "limit/field-node/sensor:tank-level:tank-01/at-least-10";
    assert_eq!(alarm(&lab, "field-node", lower).state, Standing::Unacknowledged);
    assert_eq!(alarm(&lab, "field-node", low).state, Standing::Acknowledged);
    assert_eq!(limits(&lab, "command-center"), [] as [&str; 0], "it owns no actuator");
}

#[test]
fn planning_that_nobody_leads_any_more_rings_where_there_is_something_to_water_until_somebody_leads() {
    let mut farm = Farm::brief();
    let rings = |farm: &Farm| keys(&farm.lab, FIELD).iter().any(|key| key == "leaderless");
    farm.run_seconds(70);
    assert!(!rings(&farm), "the command center leads");
    farm.lab.crash(CENTER);
    farm.run_seconds(50);
    assert!(!rings(&farm), "it may be back in a moment");
    farm.run_seconds(40);
    assert!(rings(&farm));
    handle(&mut farm.lab, FIELD, "leaderless", AlarmAct::Acknowledge);
    farm.lab.start(CENTER);
    farm.run_seconds(CHOSEN_MS_MAX / 1_000 + 8);
    assert!(!rings(&farm), "seen, and over");
}

#[test]
fn only_the_sensors_that_the_site_names_ring_there_and_those_nobody_has_met_too() {
    let mut lab = site::calm_farm();
    lab.offer("field-node", SourceId::HostSensors, InputBody::SensorsDeclared(vec![crate::flow_spec()]));
    farm_with_level(&mut lab, 70.0, 10);
    assert_eq!(keys(&lab, "field-node"), [] as [&str; 0], "sensor:flow:main is on no plan");
    farm_with_level(&mut lab, 70.0, 12);
    let found = keys(&lab, "field-node");
    assert!(!found.is_empty() && found.iter().all(|key| key.starts_with("silent/")), "{found:?}");
    assert!(!found.iter().any(|key| key.contains("tank-level") || key.contains("flow:main/")), "{found:?}");
    lab.run_seconds(10);
    let row = alarm(&lab, "field-node", "stale/field-node/sensor:tank-level:tank-01");
    assert_eq!(row.priority, Priority::Medium, "a rule names it");
}

#[test]
fn refusals_that_have_to_do_with_safety_ring_until_there_was_none_for_ten_minutes() {
    // One tick a second: ten minutes are 600 ticks.
    let mut core = Core::replaying(Settings { hz: 1, digest_every_ticks: 10_000, ..lone_settings() }, 1);
    let mut seconds = |seconds: u64, body: Option<InputBody>| {
        let tick = core.tick_number() + 1;
        let stamp = |body| StampedInput {
            journal_sequence: 1,
            tick,
            input: Input { source: SourceId::Bridge, sequence: 0, body },
        };
        core.feed(body.map(stamp).into_iter().collect());
        (0..seconds).for_each(|_| {
            core.tick();
            core.feed(Vec::new());
        });
        let world = core.world_mut();
        let mut alarms = world.query::<(&Alarm, &AlarmState)>();
        let rows =
            alarms.iter(world).map(|(alarm, state)| (alarm.key.clone(), state.standing(), state.clone()));
        rows.collect::<Vec<_>>()
    };
    let refused = |code| {
        let refusal = Refusal::new(code, "somebody", "it was made up");
        Some(InputBody::Refused { refusal, count: 1 })
    };
    seconds(1, Some(InputBody::ClockSampled { unix_ms: START_MS, up_ms: 0 }));
    assert_eq!(seconds(1, refused(Code::Replayed)), []);
    assert_eq!(seconds(1, refused(Code::BadSignature))[0].0, "refusal/BAD_SIGNATURE/somebody");
    seconds(400, None);
    let rows = seconds(600, refused(Code::BadSignature));
    assert_eq!((rows.len(), rows[0].1, rows[0].2.count), (1, Standing::Unacknowledged, 1));
    assert_eq!(rows[0].2.sentence, "somebody was refused 2 times in this run: it was made up");
    assert_eq!(seconds(1, None)[0].1, Standing::Returned, "nobody has seen it");
    let (act, by) = (AlarmAct::Acknowledge, "asha".to_owned());
    let seen = InputBody::AlarmHandled { key: "refusal/BAD_SIGNATURE/somebody".to_owned(), act, by };
    assert_eq!(seconds(1, Some(seen))[0].1, Standing::Normal);
    assert_eq!(seconds(10, None), [], "it is forgotten");
}

#[test]
fn an_actuator_that_could_not_be_made_safe_is_critical_until_it_is() {
    let mut lab = site::calm_farm();
    let valve = Capability::new("actuator:valve:valve-flower").unwrap();
    let seen = ActuatorReport { answers: true, position: Some(Setpoint::On), local_control: false };
    let seen = DriverReport::Seen { actuator: valve.clone(), seen };
    lab.offer("field-node", SourceId::Drivers, InputBody::Driver(seen));
    let made_safe = |fault: Option<&str>| {
        let (because, fault) = (SafeBecause::Started, fault.map(str::to_owned));
        InputBody::Driver(DriverReport::MadeSafe { actuator: valve.clone(), because, proposal: None, fault })
    };
    lab.offer("field-node", SourceId::Drivers, made_safe(Some("it is stuck open")));
    lab.run_ticks(ONCE);
    let row = alarm(&lab, "field-node", "unsafe/actuator:valve:valve-flower");
    assert_eq!((row.priority, row.shelf_ms_max), (Priority::Critical, 15 * 60_000));
    assert!(row.sentence.contains("it is stuck open"), "{}", row.sentence);
    lab.offer("field-node", SourceId::Drivers, made_safe(None));
    lab.run_ticks(ONCE);
    assert_eq!(alarm(&lab, "field-node", "unsafe/actuator:valve:valve-flower").state, Standing::Returned);
}

/// What the pump house says of a proposal of its own, as it arrives at the barn.
fn tell_of_proposal(lab: &mut Lab, sequence: u64, state: State) {
    let mut secret = [0; 32];
    secret[0] = 1;
    let key = NodeKey::from_secret(&secret);
    let home = lab.id("pump");
    assert_eq!(key.id(), home);
    let step = Step {
        actuator: Capability::new("actuator:valve:main").expect("it is well-formed"),
        operation: "open".to_owned(),
        parameters: std::collections::BTreeMap::new(),
    };
    let report = ProposalReport {
        slot: 3,
        id: ProposalId([0xab; 32]),
        maker: Maker { node: home, mind: Mind::Utility { name: "planner".to_owned() }, term: None },
        steps: vec![step],
        reason: "the bed is dry".to_owned(),
        made: Hlc::default(),
        state,
        story: Vec::new(),
        card: None,
        offer: None,
        approved_by: Vec::new(),
        blocked: None,
    };
    let hlc = Hlc { wall_ms: lab.snapshot("pump").wall_ms, logical: 900 };
    let body = Body::Frame(Frame::Proposal(Box::new(report)));
    let statement = Statement { mesh: MeshId::of_name("lab"), epoch: 1, sequence, hlc, body };
    let bytes = envelope::seal(&key, &statement);
    lab.offer("barn", SourceId::Node(home), InputBody::Envelope { lane: Lane::State, bytes });
    lab.run_ticks(ONCE);
}

#[test]
fn a_proposal_that_failed_elsewhere_rings_once_and_is_over_when_somebody_has_seen_it() {
    let mut lab = pump_and_barn();
    speaking(&mut lab, 1);
    tell_of_proposal(&mut lab, 1_000, State::Executing { step: 0 });
    assert_eq!(keys(&lab, "barn"), [] as [&str; 0]);
    tell_of_proposal(&mut lab, 1_001, State::Failed { cause: Cause::Divergence });
    let key = format!("divergence/{}", ProposalId([0xab; 32]));
    let row = alarm(&lab, "barn", &key);
    assert_eq!((row.priority, row.state), (Priority::High, Standing::Unacknowledged));
    assert!(row.sentence.contains("the plant left the band"), "{}", row.sentence);
    handle(&mut lab, "barn", &key, AlarmAct::Acknowledge);
    assert!(!keys(&lab, "barn").contains(&key));
    lab.run_seconds(30);
    tell_of_proposal(&mut lab, 1_002, State::Failed { cause: Cause::Divergence });
    assert!(!keys(&lab, "barn").contains(&key), "it is said again, and has not happened again");
}

#[test]
fn a_proposal_that_failed_at_home_rings_whatever_its_state_before_and_every_other_end_does_not() {
    let mut lab = pump_and_barn();
    let home = lab.id("barn");
    let proposal = |reason: &str| Proposal {
        mesh: MeshId::of_name("lab"),
        owner: home,
        site: ContentHash::of("site", b"farm"),
        maker: Maker { node: home, mind: Mind::Utility { name: "planner".to_owned() }, term: None },
        steps: Vec::new(),
        reason: reason.to_owned(),
        evidence: Vec::new(),
        made: Hlc::default(),
    };
    let failed = State::Failed { cause: Cause::Unverified };
    for (slot, state) in (0..).zip([State::Completed, State::Vetoed, failed, State::Expired]) {
        let proposal = proposal(state.name());
        let id = proposal.id();
        let life = Life { state, ..Life::begin(START_MS, u64::MAX) };
        let domain = DomainId::of("proposal", &[&id.0]);
        lab.core_mut("barn").world_mut().spawn((Proposed { id, slot, proposal }, life, domain));
    }
    lab.run_ticks(ONCE);
    assert_eq!(keys(&lab, "barn"), [format!("failed/{}", proposal("failed").id())]);
}

#[test]
fn a_run_with_alarms_and_people_replays_to_its_own_digests() {
    let mut lab = pump_and_barn();
    speaking(&mut lab, 2);
    lab.run_seconds(5);
    stop(&mut lab, "smoke");
    let key = stale(&lab);
    handle(&mut lab, "barn", "stop", AlarmAct::Acknowledge);
    handle(&mut lab, "barn", &key, AlarmAct::Shelve { for_ms: 3_000 });
    speaking(&mut lab, 3);
    lab.crash("barn");
    lab.start("barn");
    lab.run_seconds(15);
    let report = lab.replay("barn");
    assert_eq!((report.difference, report.runs), (None, 2));
}

#[test]
fn no_key_has_two_alarms_and_a_flood_of_them_is_counted() {
    let mut lab = pump_and_barn();
    for n in 0..400 {
        let refusal = Refusal::new(Code::NotAuthorized, format!("somebody-{n:03}"), "no");
        lab.offer("barn", SourceId::Bridge, InputBody::Refused { refusal, count: 1 });
    }
    stop(&mut lab, "smoke");
    lab.run_ticks(20);
    let keys = keys(&lab, "barn");
    let different: std::collections::BTreeSet<&String> = keys.iter().collect();
    assert_eq!(different.len(), keys.len());
    assert_eq!((keys[0].as_str(), keys.len()), ("stop", 242));
    let more = alarm(&lab, "barn", "more");
    // The book of refusals has 256 pages and one for all others.
    assert!(more.sentence.starts_with("17 more alarms have no place"), "{}", more.sentence);
}
