//! A node that knows no time: it takes nothing that needs it, is safe all the while, and goes on when others have told it.

use clawmesh_authority::approval::{self, Approval};
use clawmesh_authority::{AskKind, Code, Decision, Hlc, RequestBody, Value, envelope, request};
use clawmesh_core::alarms::Priority;
use clawmesh_core::intake::{InputBody, SourceId};
use clawmesh_core::replay::Record;
use clawmesh_lab::{Lab, LinkFaults};

use super::rig::{CENTER, FIELD, Farm, ann, code};

const UNKNOWN: Option<(Code, &str)> = Some((Code::ClockUntrusted, "clock.known"));

/// The times that the samples of all runs of a node show.
fn sampled(farm: &Farm) -> Vec<u64> {
    let samples = farm.lab.records(FIELD).into_iter().filter_map(|record| match record {
        Record::Input(stamped) => match stamped.input.body {
            InputBody::ClockSampled { unix_ms, .. } => Some(unix_ms),
            _ => None,
        },
        _ => None,
    });
    samples.collect()
}

#[test]
fn what_a_node_refuses_because_it_knows_no_time_is_taken_when_it_is_sent_again() {
    let mut farm = Farm::brief();
    farm.restart_without_the_time();
    farm.run_seconds(2);
    let proposal = farm.proposal();
    let asked = farm.request(RequestBody::Propose(proposal.clone()));
    let asked = request::seal(&Lab::key_of(1), &asked);
    let answer = farm.lab.ask(FIELD, AskKind::Request, asked.clone());
    farm.assert_refused(&answer, Code::ClockUntrusted, "clock.known");
    assert_eq!(farm.lab.snapshot(FIELD).wall_ms, 0);
    farm.lab.tell_the_time(FIELD);
    farm.run_seconds(8);
    assert_eq!(code(&farm.lab.ask(FIELD, AskKind::Request, asked)), None);
    farm.run_seconds(1);
    let offer = farm.offer(proposal.id());
    farm.assert_carried_out(&offer);
    assert!(sampled(&farm).contains(&0));
    assert_eq!(farm.lab.replay(FIELD).difference, None);
}

#[test]
fn an_approval_from_before_the_restart_does_not_count_while_the_time_is_not_known() {
    let mut farm = Farm::brief();
    let proposal = farm.proposal();
    assert_eq!(code(&farm.propose(&proposal)), None);
    farm.run_seconds(1);
    let offer = farm.offer(proposal.id());
    let kept = Approval::answering(&offer, Decision::Approve, None, farm.lab.now_ms());
    let kept = approval::seal(&ann(), &kept);
    // The clock stands in the past now, where it would not have expired yet, and is not believed.
    farm.restart_without_the_time();
    farm.run_seconds(2);
    let answer = farm.lab.ask(FIELD, AskKind::Approval, kept);
    farm.assert_refused(&answer, Code::ClockUntrusted, "clock.known");
}

#[test]
fn the_stop_works_at_any_time_and_only_somebody_who_can_be_dated_ends_it() {
    let mut farm = Farm::brief();
    let id = farm.approved();
    farm.run_seconds(1);
    assert!(!farm.switched_on().is_empty());
    farm.restart_without_the_time();
    farm.run_seconds(2);
    let snapshot = farm.lab.snapshot(FIELD);
    assert!(
        snapshot.actuators.iter().all(|row| row.is_safe),
        "what ran is made safe: {:?}",
        farm.report(id).state
    );
    assert_eq!(code(&farm.ask_as(&ann(), RequestBody::Stop { why: "smoke".to_owned() })), None);
    farm.run_seconds(1);
    assert!(farm.lab.snapshot(FIELD).stop.is_some());
    let rearm = || RequestBody::Rearm { why: "it was steam".to_owned() };
    assert_eq!(code(&farm.ask_as(&ann(), rearm())), UNKNOWN);
    farm.lab.tell_the_time(FIELD);
    farm.run_seconds(8);
    assert_eq!(code(&farm.ask_as(&ann(), rearm())), None);
    farm.run_seconds(1);
    assert_eq!(farm.lab.snapshot(FIELD).stop, None);
    assert_eq!(farm.lab.replay(FIELD).difference, None);
}

#[test]
fn s6_a_re_arm_that_was_signed_before_a_stop_does_not_end_it_when_the_time_is_known_again() {
    let stop = |farm: &mut Farm| {
        assert_eq!(code(&farm.ask_as(&ann(), RequestBody::Stop { why: "smoke".to_owned() })), None);
        farm.run_seconds(1);
    };
    for is_stopped_before in [true, false] {
        let mut farm = Farm::brief();
        // Signed for an earlier stop, and not delivered.
        let kept = farm.request(RequestBody::Rearm { why: "it was steam".to_owned() });
        let kept = request::seal(&ann(), &kept);
        farm.run_seconds(3);
        if is_stopped_before {
            stop(&mut farm);
        }
        farm.restart_without_the_time();
        farm.run_seconds(2);
        if !is_stopped_before {
            stop(&mut farm);
        }
        let answer = farm.lab.ask(FIELD, AskKind::Request, kept.clone());
        farm.assert_refused(&answer, Code::ClockUntrusted, "clock.known");
        farm.lab.tell_the_time(FIELD);
        farm.run_seconds(8);
        let answer = farm.lab.ask(FIELD, AskKind::Request, kept);
        farm.assert_refused(&answer, Code::StopLatched, "stop.newest");
        farm.run_seconds(1);
        assert!(farm.lab.snapshot(FIELD).stop.is_some());
        let rearm = RequestBody::Rearm { why: "somebody has looked".to_owned() };
        assert_eq!(code(&farm.ask_as(&ann(), rearm)), None, "who signs after it");
        assert_eq!(farm.lab.replay(FIELD).difference, None);
    }
}

#[test]
fn what_was_noted_while_a_clock_stood_years_ahead_moves_no_stamp_of_a_run_that_knows_no_time() {
    const TEN_YEARS_MS: i64 = 315_360_000_000;
    let mut farm = Farm::brief();
    farm.lab.set_clock_offset(FIELD, TEN_YEARS_MS);
    farm.run_seconds(2);
    farm.lab.record(FIELD, "gate/open", Value::Flag(true));
    farm.run_seconds(1);
    farm.lab.set_clock_offset(FIELD, 0);
    farm.run_seconds(2);
    farm.restart_without_the_time();
    farm.run_seconds(3);
    let noted = farm.lab.records(FIELD).into_iter().any(|record| {
        matches!(record, Record::Input(stamped) if matches!(
            stamped.input.body,
            InputBody::Recorded { hlc: Some(hlc), .. } if hlc.wall_ms > farm.lab.now_ms() + 1_000_000
        ))
    });
    assert!(noted);
    let stamp = farm.lab.core(FIELD).world().resource::<clawmesh_core::mesh::HlcState>().0.clone().stamp(0);
    assert!(stamp.wall_ms <= farm.lab.now_ms() + 500, "{stamp:?} at {}", farm.lab.now_ms());
}

#[test]
fn what_is_measured_without_the_time_is_shown_here_as_stale_and_said_to_nobody() {
    let mut farm = Farm::brief();
    farm.restart_without_the_time();
    farm.run_seconds(4);
    let shown = farm.lab.snapshot(FIELD);
    let shown: Vec<_> = shown.sensors.iter().filter(|row| row.samples > 0).collect();
    assert!(
        !shown.is_empty()
            && shown.iter().all(|row| row.value.is_some() && row.flags.iter().any(|flag| flag == "stale"))
    );
    let center = farm.lab.snapshot(CENTER);
    let of_field: Vec<_> = center.sensors.iter().filter(|row| row.node == farm.lab.id(FIELD)).collect();
    assert!(of_field.iter().all(|row| row.age_ms.is_some_and(|age_ms| age_ms < 60_000)), "{of_field:#?}");
    farm.lab.tell_the_time(FIELD);
    farm.run_seconds(2);
    let snapshot = farm.lab.snapshot(FIELD);
    let flagged: Vec<_> = snapshot.sensors.iter().filter(|row| !row.flags.is_empty()).collect();
    assert!(flagged.is_empty(), "what rests is not stuck since 1970: {flagged:#?}");
    let center = farm.lab.snapshot(CENTER);
    assert!(center.sensors.iter().all(|row| row.flags.is_empty()), "{:#?}", center.sensors);
    assert_eq!(center.refusals.iter().filter(|row| row.code == Code::ClockUntrusted).count(), 0);
}

#[test]
fn what_a_node_says_without_the_time_comes_after_what_it_said_before_and_before_what_it_says_then() {
    let mut farm = Farm::brief();
    let id = farm.approved();
    farm.run_seconds(1);
    let clock = |farm: &Farm| *farm.lab.core(FIELD).world().resource::<clawmesh_core::mesh::HlcState>();
    let stamp = |farm: &Farm| clock(farm).0.clone().stamp(0);
    let (running, now_ms) = (stamp(&farm), farm.lab.now_ms());
    farm.restart_without_the_time();
    farm.run_seconds(3);
    let unknown = stamp(&farm);
    assert!(running < unknown && unknown.wall_ms <= now_ms + 2_000, "{running:?} {unknown:?}");
    assert_eq!(farm.report_at(CENTER, id).state, farm.report(id).state, "so others hear that it has ended");
    farm.lab.tell_the_time(FIELD);
    farm.run_seconds(1);
    let known = stamp(&farm);
    assert!(unknown < known && known.wall_ms <= farm.lab.now_ms(), "{unknown:?} {known:?}");
}

#[test]
fn one_run_without_the_time_after_another_stamps_later_than_the_one_before() {
    let mut farm = Farm::brief();
    let proposal = farm.proposal();
    assert_eq!(code(&farm.propose(&proposal)), None);
    farm.run_seconds(1);
    let stamp = |farm: &Farm| {
        farm.lab.core(FIELD).world().resource::<clawmesh_core::mesh::HlcState>().0.clone().stamp(0)
    };
    farm.restart_without_the_time();
    farm.run_seconds(60);
    let first = stamp(&farm);
    farm.restart_without_the_time();
    farm.run_seconds(3);
    let second = stamp(&farm);
    assert!(first < second, "{first:?} {second:?}");
    let [here, there] = [FIELD, CENTER].map(|node| farm.report_at(node, proposal.id()));
    assert_eq!(there.offer, here.offer, "others show the offer that can be answered");
    assert_eq!(farm.lab.replay(FIELD).difference, None);
}

#[test]
fn s6_a_re_arm_from_before_a_stop_does_not_end_it_after_a_start_with_a_clock_that_is_a_little_behind() {
    let mut farm = Farm::brief();
    let early = farm.request(RequestBody::Rearm { why: "it was steam".to_owned() });
    let early = request::seal(&ann(), &early);
    farm.run_seconds(30);
    farm.press_stop();
    farm.run_seconds(2);
    farm.lab.crash(FIELD);
    // What was saved a minute before the power was cut is restored, and is believed.
    farm.lab.set_clock_offset(FIELD, -59_000);
    farm.lab.start(FIELD);
    farm.run_seconds(60);
    let answer = farm.lab.ask(FIELD, AskKind::Request, early);
    farm.assert_refused(&answer, Code::StopLatched, "stop.newest");
    farm.lab.set_clock_offset(FIELD, 0);
    farm.run_seconds(2);
    let rearm = RequestBody::Rearm { why: "somebody has looked".to_owned() };
    assert_eq!(code(&farm.ask_as(&ann(), rearm)), None, "who signs after it");
    assert_eq!(farm.lab.replay(FIELD).difference, None);
}

#[test]
fn how_old_a_belief_is_nobody_says_while_the_time_is_not_known() {
    let mut farm = Farm::brief();
    farm.lab.record(FIELD, "gate/open", Value::Flag(true));
    farm.run_seconds(1);
    let ages = |farm: &Farm| -> Vec<Option<u64>> {
        farm.lab.snapshot(FIELD).beliefs.iter().map(|row| row.age_ms).collect()
    };
    assert!(matches!(ages(&farm)[..], [Some(_)]), "{:?}", ages(&farm));
    farm.restart_without_the_time();
    farm.run_seconds(1);
    assert_eq!(ages(&farm), [None]);
}

#[test]
fn the_alarm_rings_until_the_time_is_known() {
    let mut farm = Farm::brief();
    farm.restart_without_the_time();
    let rings = |farm: &Farm| {
        let snapshot = farm.lab.snapshot(FIELD);
        let mut rows = snapshot.alarms.iter();
        rows.find(|row| row.key == "clock").map(|row| (row.is_active, row.priority))
    };
    farm.run_seconds(9);
    assert_eq!(rings(&farm), None, "it may still ask");
    farm.run_seconds(2);
    assert_eq!(rings(&farm), Some((true, Priority::High)));
    farm.lab.tell_the_time(FIELD);
    farm.run_seconds(1);
    assert_eq!(rings(&farm).map(|(is_active, _)| is_active), Some(false));
}

#[test]
fn a_planner_without_the_time_does_not_lead_and_wishes_nothing() {
    let mut farm = Farm::brief();
    farm.lab.lose_the_time(CENTER);
    farm.run_seconds(20);
    let lead = |farm: &Farm, node: &str| farm.lab.snapshot(node).lead.leader.as_ref().map(|leader| leader.id);
    let center = farm.lab.id(CENTER);
    assert_ne!(lead(&farm, CENTER), Some(center));
    assert_eq!(farm.lab.wishes(CENTER).len(), 0);
    farm.lab.tell_the_time(CENTER);
    farm.run_seconds(20);
    assert_eq!((lead(&farm, CENTER), lead(&farm, FIELD)), (Some(center), Some(center)));
}

#[test]
fn what_others_say_is_refused_without_blame_and_heard_when_they_say_it_again() {
    let mut farm = Farm::brief();
    farm.restart_without_the_time();
    farm.lab.set_faults(LinkFaults::default());
    farm.run_seconds(2);
    // Past the edge, which lets nothing in.
    let statement = clawmesh_authority::Statement {
        mesh: clawmesh_authority::MeshId::of_name("lab"),
        epoch: 99,
        sequence: 0,
        hlc: Hlc { wall_ms: farm.lab.now_ms(), logical: 0 },
        body: clawmesh_authority::Body::Readings(clawmesh_authority::ReadingBatch(Vec::new())),
    };
    let bytes = envelope::seal(&Lab::key_of(1), &statement);
    let body = || InputBody::Envelope { lane: clawmesh_authority::Lane::Stream, bytes: bytes.clone() };
    let center = SourceId::Node(farm.lab.id(CENTER));
    farm.lab.offer(FIELD, center, body());
    farm.lab.run_ticks(10);
    let refused = |farm: &Farm, code: Code| {
        let snapshot = farm.lab.snapshot(FIELD);
        let rows = snapshot.refusals.iter().filter(|row| row.code == code);
        rows.map(|row| row.from.clone()).collect::<Vec<_>>()
    };
    assert_eq!(refused(&farm, Code::ClockUntrusted), ["our own clock"]);
    farm.lab.tell_the_time(FIELD);
    farm.lab.run_ticks(10);
    farm.lab.offer(FIELD, center, body());
    farm.lab.run_ticks(10);
    assert_eq!(refused(&farm, Code::Replayed), Vec::<String>::new(), "no mark was left");
}
