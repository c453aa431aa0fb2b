//! A pump that stands on an existing node and has one of ours as guardian: what moves it, what shows it, and what shows nothing.

use clawmesh_authority::transition::{Cause, State};
use clawmesh_authority::{Code, Decision, Lane, ProposalId, Setpoint, Tier, Unit, Value};
use clawmesh_core::intake::{InputBody, SourceId};
use clawmesh_core::publish::ActuatorView;
use clawmesh_lab::{Lab, Manners};
use serde_json::json;

use super::rig::{FIELD, Farm, GUEST, ann, code, pump, valve};
use crate::guests::{observation, opening, profile};

const ON: &str = "on/actuator:pump:pump-main-01";
const TAG: &str = "out-of-service/actuator:pump:pump-main-01";

impl Farm {
    /// The pump, as everybody sees it.
    fn pump_row(&mut self) -> ActuatorView {
        self.lab.run_ticks(6);
        let snapshot = self.lab.snapshot(FIELD);
        let name = pump().to_string();
        snapshot.actuators.iter().find(|row| row.actuator == name).expect("the farm has a pump").clone()
    }

    /// How often the guest was told to switch the pump off.
    fn told_off(&self) -> usize {
        let off = (pump(), Setpoint::Off);
        self.hardware.writes().into_iter().filter(|write| *write == off).count()
    }

    /// Approved, and both parts have been told to be on.
    fn running(&mut self) -> ProposalId {
        let id = self.approved();
        self.run_seconds(2);
        assert_eq!(self.state(id), "executing", "{:#?}", self.report(id).story);
        assert_eq!(self.switched_on(), [valve(), pump()]);
        id
    }

    /// A guest that was told to switch the pump on, and has not answered.
    fn with_a_silent_guest() -> (Self, ProposalId) {
        let mut farm = Self::guarded();
        farm.hardware.behave(&pump(), Manners::Silent);
        let id = farm.running();
        (farm, id)
    }

    /// After a start the guest answers, and was made safe by it.
    fn obeys_again(&mut self) {
        self.hardware.behave(&pump(), Manners::Obeys);
        self.run_seconds(16);
        assert!(self.pump_row().is_safe, "the start made it safe, and its sensor has shown it");
    }

    /// It failed, an alarm says so, and it replays.
    fn assert_failed_with(&self, id: ProposalId, words: &str) {
        let story = self.report(id).story;
        assert_eq!(self.state(id), "failed", "{story:#?}");
        assert!(self.last_words(id).contains(words), "{words:?} is not in {story:#?}");
        let alarms = &self.lab.snapshot(FIELD).alarms;
        assert!(alarms.iter().any(|alarm| alarm.key == format!("failed/{id}")), "{alarms:#?}");
        assert_eq!(self.lab.replay(FIELD).difference, None);
    }

    fn has_alarm(&self, key: &str) -> bool {
        let alarms = &self.lab.snapshot(FIELD).alarms;
        alarms.iter().any(|alarm| alarm.key == key && alarm.is_active)
    }
}

#[test]
fn what_a_person_approved_reaches_the_guest_once_and_is_completed_when_our_sensor_has_shown_it() {
    let mut farm = Farm::guarded();
    let row = farm.pump_row();
    assert_eq!((row.position.as_deref(), row.answers, row.is_safe), (Some("off"), true, true), "{row:?}");
    assert_eq!(row.guest, Some(Lab::id_of(GUEST).to_string()));
    let proposal = farm.proposal();
    assert_eq!(code(&farm.propose(&proposal)), None);
    farm.run_seconds(4);
    assert_eq!(farm.switched_on(), [], "nobody has said yes");
    let offer = farm.offer(proposal.id());
    assert_eq!(code(&farm.answer(&ann(), &offer, Decision::Approve)), None);
    farm.run_seconds(12);
    assert_eq!(farm.state(offer.proposal), "completed", "{:#?}", farm.report(offer.proposal).story);
    assert_eq!(farm.last_words(offer.proposal), "a sensor confirmed it");
    assert_eq!(farm.switched_on(), [valve(), pump()]);
    assert!(farm.pump_row().is_safe && !farm.hardware.is_on(&pump()));
    assert_eq!(farm.lab.replay(FIELD).difference, None);
}

#[test]
fn s9_what_a_guest_says_it_did_and_no_sensor_shows_is_a_failure() {
    let mut farm = Farm::guarded();
    farm.hardware.behave(&pump(), Manners::Lies);
    let id = farm.running();
    let before = farm.told_off();
    farm.run_seconds(6);
    farm.assert_failed_with(id, "actuator:pump:pump-main-01 was told to and did not arrive within 5 s");
    assert!(farm.told_off() > before, "it is told to be safe, whatever it said it did");
    assert_eq!(farm.pump_row().position.as_deref(), Some("off"), "the sensor has shown nothing else");
}

#[test]
fn s12_a_command_that_a_silent_guest_may_have_carried_out_is_not_sent_again_and_is_made_safe() {
    for (manners, is_on) in [(Manners::Silent, false), (Manners::DoesSilently, true)] {
        let mut farm = Farm::guarded();
        farm.hardware.behave(&pump(), manners);
        let id = farm.running();
        assert_eq!(farm.hardware.is_on(&pump()), is_on);
        farm.run_seconds(4);
        farm.assert_failed_with(id, "whether it did it is not known");
        // The answer to its safe state does not come either.
        farm.run_seconds(4);
        assert!(farm.has_alarm("unsafe/actuator:pump:pump-main-01"));
        assert!(farm.pump_row().unsafe_because.is_some());
        let before = farm.told_off();
        farm.run_seconds(14);
        assert!((1..=4).contains(&(farm.told_off() - before)), "tried again, and not all the time");
        farm.hardware.behave(&pump(), Manners::Obeys);
        farm.run_seconds(16);
        let row = farm.pump_row();
        assert!(row.is_safe && row.unsafe_because.is_none() && !farm.hardware.is_on(&pump()), "{row:?}");
        let on = (pump(), Setpoint::On);
        let writes = farm.hardware.writes();
        assert_eq!(writes.iter().filter(|write| **write == on).count(), 1, "it was told to be on once");
        assert!((farm.spent().seconds - farm.for_s).abs() < 0.1, "all that was asked counts");
    }
}

#[test]
fn s12_what_a_silent_guest_carries_out_late_rings_and_is_switched_off_whatever_its_sensor_showed_before() {
    let (mut farm, id) = Farm::with_a_silent_guest();
    farm.run_seconds(4);
    farm.assert_failed_with(id, "whether it did it is not known");
    assert_eq!(farm.report(id).state, State::Failed { cause: Cause::OutcomeUnknown });
    farm.hardware.behave(&pump(), Manners::Obeys);
    farm.run_seconds(16);
    assert!(farm.pump_row().is_safe && farm.pump_row().unsafe_because.is_none());
    let before = farm.told_off();
    farm.hardware.turn_by_hand(&pump(), true);
    farm.run_seconds(16);
    assert!(farm.told_off() > before && !farm.hardware.is_on(&pump()), "it is still insisted");
    // A minute later nothing is on its way any more; what is switched on then is no late command, and rings.
    farm.run_seconds(60);
    assert!(!farm.has_alarm(ON));
    let before = farm.told_off();
    farm.hardware.turn_by_hand(&pump(), true);
    farm.run_seconds(20);
    assert!(farm.has_alarm(ON) && farm.told_off() == before && farm.hardware.is_on(&pump()));
    farm.hardware.turn_by_hand(&pump(), false);
    farm.run_seconds(1);
    assert!(!farm.has_alarm(ON));
    assert_eq!(farm.lab.replay(FIELD).difference, None);
}

#[test]
fn s12_what_a_guest_was_told_before_a_restart_and_carries_out_after_it_is_switched_off() {
    let (mut farm, id) = Farm::with_a_silent_guest();
    farm.restart();
    farm.obeys_again();
    assert_eq!(farm.report(id).state, State::Failed { cause: Cause::OutcomeUnknown });
    let before = farm.told_off();
    farm.hardware.turn_by_hand(&pump(), true);
    farm.run_seconds(16);
    assert!(
        farm.told_off() > before && !farm.hardware.is_on(&pump()),
        "nobody knew whether it was on its way"
    );
    farm.run_seconds(60);
    let before = farm.told_off();
    farm.run_seconds(30);
    assert_eq!(farm.told_off(), before, "by now it is not");
    assert_eq!(farm.lab.replay(FIELD).difference, None);
}

#[test]
fn s12_what_had_no_known_outcome_before_a_restart_has_none_after_it_and_is_built_on_by_nobody() {
    let (mut farm, id) = Farm::with_a_silent_guest();
    farm.run_seconds(5);
    assert_eq!(farm.report(id).state, State::Failed { cause: Cause::OutcomeUnknown });
    farm.restart();
    farm.obeys_again();
    let again = farm.proposal();
    let answer = farm.propose(&again);
    assert_eq!(code(&answer).map(|(code, _)| code), Some(Code::StateUnknown), "it may yet come on");
    farm.hardware.turn_by_hand(&pump(), true);
    farm.run_seconds(16);
    assert!(!farm.hardware.is_on(&pump()), "nobody knew whether it was on its way");
    assert_eq!(farm.lab.replay(FIELD).difference, None);
}

#[test]
fn s12_what_ended_in_a_run_without_the_time_is_in_doubt_in_the_next_one_as_if_it_had_been_known() {
    let (mut farm, id) = Farm::with_a_silent_guest();
    farm.restart_without_the_time();
    farm.run_seconds(2);
    assert_eq!(farm.report(id).state, State::Failed { cause: Cause::OutcomeUnknown });
    // The next run knows it from its start on.
    farm.lab.tell_the_time(FIELD);
    farm.restart();
    farm.obeys_again();
    let again = farm.proposal();
    let answer = farm.propose(&again);
    assert_eq!(code(&answer).map(|(code, _)| code), Some(Code::StateUnknown), "it may yet come on");
}

#[test]
fn what_ended_long_before_a_start_without_the_time_is_in_no_doubt() {
    let (mut farm, id) = Farm::with_a_silent_guest();
    farm.run_seconds(5);
    assert_eq!(farm.report(id).state, State::Failed { cause: Cause::OutcomeUnknown });
    farm.set_clocks_forward(24 * 3_600_000);
    farm.run_seconds(2);
    farm.restart_without_the_time();
    farm.hardware.behave(&pump(), Manners::Obeys);
    farm.run_seconds(16);
    farm.lab.tell_the_time(FIELD);
    farm.run_seconds(8);
    let again = farm.proposal();
    assert_eq!(code(&farm.propose(&again)), None);
}

#[test]
fn what_a_guest_refuses_fails_in_its_words() {
    let mut farm = Farm::guarded();
    farm.hardware.behave(&pump(), Manners::Refuses);
    let id = farm.approved();
    farm.run_seconds(3);
    farm.assert_failed_with(id, "the guest refuses");
    let row = farm.pump_row();
    assert!(row.unsafe_because.is_some_and(|why| why.contains("the guest refuses")));
}

#[test]
fn s7_a_link_that_is_lost_while_it_runs_ends_the_run_and_the_safe_state_is_sent_when_it_is_back() {
    let mut farm = Farm::guarded();
    let id = farm.running();
    farm.hardware.unlink(&pump(), true);
    farm.run_seconds(1);
    farm.assert_failed_with(id, "actuator:pump:pump-main-01 does not answer");
    assert!(!farm.hardware.is_on(&valve()), "what is here is safe at once");
    assert!(farm.hardware.is_on(&pump()), "what is there holds, and nobody can help it");
    assert!(farm.has_alarm("unsafe/actuator:pump:pump-main-01"));
    let row = farm.pump_row();
    // No water flows, because the valve is shut; the power of the pump shows that it runs.
    assert_eq!((row.answers, row.is_safe, row.position.as_deref()), (false, false, Some("on")), "{row:?}");
    farm.hardware.unlink(&pump(), false);
    farm.run_seconds(1);
    assert!(!farm.hardware.is_on(&pump()), "at once, and without a tick that asks");
    farm.run_seconds(1);
    assert!(farm.pump_row().is_safe && !farm.has_alarm("unsafe/actuator:pump:pump-main-01"));
}

#[test]
fn s7_a_tick_that_is_silent_has_the_guest_told_to_be_safe_without_it() {
    let mut farm = Farm::guarded();
    let id = farm.running();
    farm.lab.stall_seconds(1);
    farm.lab.run_ticks(100);
    farm.run_seconds(2);
    assert_eq!(farm.state(id), "failed", "{:#?}", farm.report(id).story);
    assert!(!farm.hardware.is_on(&pump()));
}

#[test]
fn s8_after_a_restart_it_is_refused_until_a_sensor_of_ours_shows_how_it_stands() {
    let mut farm = Farm::guarded();
    // A word that is neither on nor off.
    farm.weather.idle_power_w = 100.0;
    farm.restart();
    farm.run_seconds(12);
    assert_eq!(farm.pump_row().position, None);
    let proposal = farm.proposal();
    let answer = farm.propose(&proposal);
    farm.assert_refused(&answer, Code::StateUnknown, "known-state");
    // Whatever the guest tells of it, in a frame, in a reading that it signs, or by what it says it can do, shows nothing.
    claim_everything(&mut farm);
    let proposal = farm.proposal();
    let answer = farm.propose(&proposal);
    farm.assert_refused(&answer, Code::StateUnknown, "known-state");
    farm.weather.idle_power_w = 0.0;
    farm.run_seconds(1);
    let good = farm.proposal();
    farm.assert_goes_through(&good);
    assert_eq!(farm.lab.replay(FIELD).difference, None);
}

/// Everything with which a guest could say that its pump is off, that it is on, or that it is its own.
fn claim_everything(farm: &mut Farm) {
    let guest = Lab::id_of(GUEST);
    trust_guest(farm);
    let mut claims = profile();
    claims.capabilities = vec![pump().to_string(), "actuator:pump:well".to_owned()];
    farm.lab.offer(FIELD, SourceId::Guests, InputBody::GuestJoined { guest, profile: claims });
    let mut frame = observation("f-1", 0.0, farm.lab.now_ms());
    frame["data"] = json!({"zone": "pump-main-01", "metric": "power", "value": 0.0, "sensor": "sensor:power:pump-main-01"});
    for kind in ["observation", "capability_update"] {
        frame["kind"] = json!(kind);
        farm.lab.offer(
            FIELD,
            SourceId::Guests,
            InputBody::GuestFrame { from: guest, json: frame.to_string() },
        );
    }
    for value in [0.0, 1_400.0] {
        let reading = farm.evidence_of(GUEST, &[("sensor:power:pump-main-01", Unit::Watt, value)]);
        let body = InputBody::Envelope { lane: Lane::Stream, bytes: reading.to_vec() };
        farm.lab.offer(FIELD, SourceId::Node(guest), body);
        farm.lab.run_ticks(2);
    }
    assert_eq!(farm.pump_row().position, None);
}

#[test]
fn s1_a_plain_command_for_it_moves_nothing_whoever_sends_it_and_whatever_it_is_called() {
    let mut farm = Farm::guarded();
    trust_guest(&mut farm);
    let writes = farm.hardware.writes();
    for target in ["actuator:pump:pump-main-01", "actuator:pump:well", "actuator:mock:pump-main-01"] {
        let json = opening(target, &format!("c-{target}"), farm.lab.now_ms()).to_string();
        let answer = farm.lab.command_of_guest(FIELD, Lab::id_of(GUEST), json);
        let is_mock = target.starts_with("actuator:mock");
        assert_eq!(code(&answer).is_none(), is_mock, "{target}: {answer:?}");
    }
    farm.run_seconds(2);
    assert_eq!(farm.hardware.writes(), writes, "the guest is told nothing");
    assert!(farm.pump_row().is_safe);
    assert_eq!(farm.lab.replay(FIELD).difference, None);
    let good = farm.proposal();
    farm.assert_goes_through(&good);
}

fn trust_guest(farm: &mut Farm) {
    let everybody = [1, 2, GUEST].map(Lab::id_of).into();
    farm.lab.offer(FIELD, SourceId::Runner, InputBody::TrustChanged(everybody));
    farm.lab.run_ticks(2);
}

#[test]
fn s6_a_stop_sends_the_safe_state_and_is_confirmed_by_what_was_measured_after_it_only() {
    let mut farm = Farm::guarded();
    let id = farm.approved();
    // Until the pump has been told; its sensor has not spoken since.
    let is_told = (0..500).any(|_| {
        farm.lab.run_ticks(1);
        farm.switched_on().contains(&pump())
    });
    assert!(is_told, "{:#?}", farm.report(id).story);
    assert_eq!(farm.pump_row().position.as_deref(), Some("off"), "the last word of the sensor");
    let before = farm.told_off();
    farm.lab.stop(FIELD, "smoke");
    farm.lab.run_ticks(20);
    assert!(farm.told_off() > before, "it is told although it was shown to be off");
    let row = farm.pump_row();
    assert!(!row.is_safe && row.position.is_none(), "an old word confirms nothing: {row:?}");
    farm.run_seconds(1);
    assert!(farm.pump_row().is_safe);
    assert_eq!(farm.state(id), "failed");
    // A guest that is not there is told as soon as it is, and confirms nothing before.
    farm.hardware.unlink(&pump(), true);
    farm.run_seconds(1);
    farm.lab.stop(FIELD, "fire");
    farm.run_seconds(2);
    assert!(farm.has_alarm("unsafe/actuator:pump:pump-main-01"));
    let before = farm.told_off();
    farm.hardware.unlink(&pump(), false);
    farm.run_seconds(1);
    assert_eq!(farm.told_off(), before + 1);
    farm.run_seconds(1);
    assert!(farm.pump_row().is_safe);
    assert_eq!(farm.lab.replay(FIELD).difference, None);
}

#[test]
fn what_no_sensor_shows_to_be_safe_is_told_again_until_one_does_or_a_person_tags_it() {
    let mut farm = Farm::guarded();
    farm.hardware.behave(&pump(), Manners::Lies);
    farm.weather.idle_power_w = 1_400.0;
    farm.restart();
    farm.run_seconds(4);
    let row = farm.pump_row();
    assert_eq!((row.position.as_deref(), row.is_safe, row.unsafe_because), (Some("on"), false, None));
    let mut before = farm.told_off();
    let mut told_in_a_minute = |farm: &mut Farm| {
        farm.run_seconds(60);
        let told = farm.told_off();
        told - std::mem::replace(&mut before, told)
    };
    assert_eq!(told_in_a_minute(&mut farm), 4, "every 15 s");
    farm.lab.record(FIELD, TAG, Value::Flag(true));
    assert_eq!(told_in_a_minute(&mut farm), 0, "somebody sees to it");
    farm.untag(&pump());
    assert_eq!(told_in_a_minute(&mut farm), 4);
    farm.weather.idle_power_w = 0.0;
    assert_eq!(told_in_a_minute(&mut farm), 0, "the sensor shows it");
    // Whoever turns it by hand over there now wins: that is no safe state that we still wait for.
    farm.weather.idle_power_w = 1_400.0;
    assert_eq!(told_in_a_minute(&mut farm), 0);
    assert_eq!(farm.pump_row().position.as_deref(), Some("on"));
    assert_eq!(farm.lab.replay(FIELD).difference, None);
}

#[test]
fn a_sensor_that_cannot_be_relied_on_shows_nothing_and_what_runs_by_it_ends() {
    let mut farm = Farm::guarded();
    let id = farm.running();
    farm.run_seconds(1);
    farm.weather.power_tier = Tier::T1;
    farm.run_seconds(2);
    farm.assert_failed_with(id, "now stands nobody knows how");
    assert!(!farm.hardware.is_on(&pump()) && !farm.pump_row().is_safe);
    farm.weather.power_tier = Tier::T2;
    farm.run_seconds(1);
    assert!(farm.pump_row().is_safe);
}
