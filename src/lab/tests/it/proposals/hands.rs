//! Hands win, and what is not known is unsafe.

use clawmesh_authority::request::{self, RequestBody};
use clawmesh_authority::{AskKind, Code, Decision, ProposalId, SensorSpec, Setpoint, Tier, Unit, Value};
use clawmesh_core::intake::{InputBody, LinkState, Sample, SourceId};
use clawmesh_lab::Lab;

use super::rig::{CENTER, FIELD, Farm, ann, capability, code, pump, step, valve};

const TAG: &str = "out-of-service/actuator:valve:valve-food-forest";

impl Farm {
    /// It is refused when it is proposed, and also when something changes after people were asked.
    #[track_caller]
    fn assert_refused_always(
        &mut self,
        break_it: fn(&mut Self),
        mend_it: fn(&mut Self),
        expected: Code,
        rule: &str,
    ) {
        break_it(self);
        self.run_seconds(4);
        let proposal = self.proposal();
        let answer = self.propose(&proposal);
        self.assert_refused(&answer, expected, rule);
        mend_it(self);
        self.run_seconds(2);
        let proposal = self.proposal();
        assert_eq!(code(&self.propose(&proposal)), None, "nothing else is wrong");
        self.run_seconds(1);
        let offer = self.offer(proposal.id());
        break_it(self);
        self.run_seconds(4);
        assert_eq!(code(&self.answer(&ann(), &offer, Decision::Approve)), None);
        self.run_seconds(1);
        self.assert_failed(proposal.id(), expected, &format!("({rule})"));
        self.assert_shown(expected, rule);
        assert_eq!(self.switched_on(), []);
        mend_it(self);
        self.run_seconds(2);
    }

    /// The sensor of the tank as somebody likes it, while its usual word is not heard.
    fn say_tank(&mut self, value: f64, age_ms: i64, tier: Tier) {
        self.weather.is_tank_silent = true;
        let sensor = capability("sensor:tank-level:tank-01");
        let origin_ms = self.lab.now_ms().saturating_add_signed(-age_ms);
        let sample = Sample { sensor, value, unit: Unit::Percent, origin_ms, tier };
        self.lab.offer(FIELD, SourceId::HostSensors, InputBody::Sampled(vec![sample]));
    }

    fn describe_tank(&mut self, stuck_after_ms: Option<u32>) {
        let spec = SensorSpec {
            sensor: capability("sensor:tank-level:tank-01"),
            quantity: "tank level".to_owned(),
            unit: Unit::Percent,
            period_ms: 1_000,
            range: Some((0.0, 100.0)),
            stuck_after_ms,
            about: None,
        };
        self.lab.offer(FIELD, SourceId::HostSensors, InputBody::SensorsDeclared(vec![spec]));
    }
}

fn assert_off(farm: &Farm, id: ProposalId) {
    assert_eq!(farm.switched_on(), [], "{:#?}", farm.report(id).story);
}

#[test]
fn s14_what_a_hand_holds_is_not_driven_before_or_after_the_yes() {
    let mut farm = Farm::brief();
    farm.assert_refused_always(
        |farm| farm.hardware.hold(&valve(), true),
        |farm| farm.hardware.hold(&valve(), false),
        Code::LocalControl,
        "manual-override",
    );
    let good = farm.proposal();
    farm.assert_goes_through(&good);
}

#[test]
fn s14_what_is_tagged_is_not_driven_whoever_tagged_it_and_whatever_they_wrote() {
    let mut farm = Farm::brief();
    farm.assert_refused_always(
        |farm| farm.lab.record(FIELD, TAG, Value::Flag(true)),
        |farm| farm.untag(&valve()),
        Code::OutOfService,
        "out-of-service",
    );
    for tag in [Value::Text("the fuse is out".to_owned()), Value::Number(0.0)] {
        farm.lab.record(CENTER, TAG, tag);
        farm.run_seconds(1);
        let proposal = farm.proposal();
        let answer = farm.propose(&proposal);
        farm.assert_refused(&answer, Code::OutOfService, "out-of-service");
    }
    farm.untag(&valve());
    let good = farm.proposal();
    farm.assert_goes_through(&good);
}

#[test]
fn s14_nothing_is_written_against_a_hand_not_even_the_safe_state() {
    for is_stopped in [false, true] {
        let mut farm = Farm::brief();
        let id = farm.approved();
        farm.run_seconds(2);
        farm.hardware.hold(&valve(), true);
        if is_stopped {
            farm.lab.stop(FIELD, "smoke");
        }
        farm.run_seconds(6);
        assert_eq!(farm.state(id), "failed");
        assert!(farm.hardware.is_on(&valve()), "whoever holds it shuts it");
        let (on, off) = (Setpoint::On, Setpoint::Off);
        assert_eq!(farm.told(), [(valve(), on), (pump(), on), (pump(), off)]);
        let snapshot = farm.lab.snapshot(FIELD);
        let row =
            snapshot.actuators.iter().find(|row| row.actuator == valve().as_str()).expect("it is shown");
        assert!(!row.is_safe && row.local_control, "{row:?}");
    }
}

#[test]
fn a_site_that_is_not_in_order_begins_less_and_goes_on_with_what_may_go_on() {
    let mut farm = Farm::brief();
    farm.assert_refused_always(
        |farm| farm.lab.record(CENTER, "site/power", Value::Text("flickering".to_owned())),
        |farm| farm.lab.record(CENTER, "site/power", Value::Text("stable".to_owned())),
        Code::InterlockOpen,
        "degraded-mode",
    );
    farm.assert_refused_always(
        |farm| farm.lab.partition(&[CENTER], &[FIELD]),
        |farm| farm.lab.heal(),
        Code::InterlockOpen,
        "degraded-mode",
    );
    farm.assert_refused_always(
        |farm| farm.lab.offer(FIELD, SourceId::Bridge, InputBody::LinkChanged(LinkState::Connecting)),
        |farm| {
            let open = LinkState::Open { listen: Vec::new() };
            farm.lab.offer(FIELD, SourceId::Bridge, InputBody::LinkChanged(open));
        },
        Code::InterlockOpen,
        "known-comms",
    );
    let good = farm.proposal();
    let id = farm.assert_goes_through(&good);
    // Who approved may look away.
    farm.lab.partition(&[CENTER], &[FIELD]);
    farm.run_seconds(8);
    assert_eq!(farm.state(id), "completed");
}

#[test]
fn without_a_command_center_a_valve_may_still_open_and_no_pump_starts() {
    let mut farm = Farm::brief();
    farm.lab.partition(&[CENTER], &[FIELD]);
    farm.run_seconds(4);
    let with_pump = farm.proposal();
    let answer = farm.propose(&with_pump);
    farm.assert_refused(&answer, Code::InterlockOpen, "degraded-mode");
    farm.weather.idle_flow_lpm = 5.0;
    let valve_alone = farm.proposal_of(vec![step(valve(), "open", Some(6.0))]);
    farm.assert_goes_through(&valve_alone);
}

#[test]
fn s15_what_a_sensor_says_that_cannot_be_relied_on_shows_nothing() {
    let mut farm = Farm::brief();
    farm.describe_tank(None);
    for (seconds, words, say) in [
        (4, "it is stale", (|farm| farm.weather.is_tank_silent = true) as fn(&mut Farm)),
        (1, "it is stale", |farm| farm.say_tank(70.0, 20_000, Tier::T2)),
        (1, "it is future", |farm| farm.say_tank(70.0, -700, Tier::T2)),
        (1, "it is out_of_range", |farm| farm.say_tank(250.0, 0, Tier::T2)),
        (1, "it is worth T1", |farm| farm.say_tank(70.0, 0, Tier::T1)),
        // What is no number is not taken, and its last word grows old.
        (4, "it is stale", |farm| farm.say_tank(f64::NAN, 0, Tier::T2)),
        (1, "it says 9.9", |farm| farm.say_tank(9.9, 0, Tier::T2)),
    ] {
        for _ in 0..seconds {
            say(&mut farm);
            farm.run_seconds(1);
        }
        say(&mut farm);
        farm.lab.run_ticks(2);
        // The valve alone: its evidence is the soil.
        let proposal = farm.proposal_of(vec![step(valve(), "open", Some(6.0))]);
        let answer = farm.propose(&proposal);
        assert!(format!("{answer:?}").contains(words), "{words:?} is not in {answer:?}");
        farm.assert_refused(&answer, Code::InterlockOpen, "interlock");
        farm.weather.is_tank_silent = false;
        farm.run_seconds(1);
    }
    // It says the same for longer than water can rest.
    farm.describe_tank(Some(2_000));
    farm.run_seconds(3);
    let proposal = farm.proposal_of(vec![step(valve(), "open", Some(6.0))]);
    let answer = farm.propose(&proposal);
    assert!(format!("{answer:?}").contains("it is stuck"), "{answer:?}");
    farm.assert_refused(&answer, Code::InterlockOpen, "interlock");
    // For the pump the tank is evidence too: what is stuck now may have been stuck when it signed.
    let proposal = farm.proposal();
    let answer = farm.propose(&proposal);
    assert!(format!("{answer:?}").contains("tank-01 is stuck"), "{answer:?}");
    farm.assert_refused(&answer, Code::EvidenceUnresolved, "evidence");
    farm.describe_tank(None);
    farm.run_seconds(1);
    let good = farm.proposal();
    farm.assert_goes_through(&good);
}

#[test]
fn s15_no_pump_is_proposed_or_started_without_water_that_is_shown_to_be_there() {
    let mut farm = Farm::brief();
    let steps = || vec![step(pump(), "start", Some(6.0)), step(valve(), "open", Some(6.0))];
    farm.weather.tank_percent = 19.9;
    farm.run_seconds(1);
    let proposal = farm.proposal_of(steps());
    let answer = farm.propose(&proposal);
    farm.assert_refused(&answer, Code::InterlockOpen, "source-before-pump");
    farm.weather.tank_percent = 22.0;
    farm.run_seconds(1);
    let proposal = farm.proposal_of(steps());
    assert_eq!(code(&farm.propose(&proposal)), None);
    farm.run_seconds(1);
    let offer = farm.offer(proposal.id());
    // Less than the tolerance of a card, and too little for a pump.
    farm.weather.tank_percent = 19.0;
    farm.run_seconds(1);
    assert_eq!(code(&farm.answer(&ann(), &offer, Decision::Approve)), None);
    farm.run_seconds(1);
    farm.assert_failed(proposal.id(), Code::InterlockOpen, "(source-before-pump)");
    assert_off(&farm, proposal.id());
    farm.weather.tank_percent = 22.0;
    farm.run_seconds(1);
    let good = farm.proposal_of(steps());
    farm.assert_goes_through(&good);
}

#[test]
fn s15_what_was_made_in_the_future_is_not_taken() {
    let mut farm = Farm::brief();
    for (ahead_ms, is_taken) in [(60_000, false), (501, false), (400, true)] {
        let proposal = farm.proposal();
        let mut request = farm.request(RequestBody::Propose(proposal.clone()));
        // The tick that takes it is one tick later.
        request.made.wall_ms += ahead_ms + 20;
        let bytes = request::seal(&Lab::key_of(1), &request);
        let answer = farm.lab.ask(FIELD, AskKind::Request, bytes);
        if is_taken {
            assert_eq!(code(&answer), None);
            farm.run_seconds(1);
            let offer = farm.offer(proposal.id());
            farm.assert_carried_out(&offer);
        } else {
            farm.assert_refused(&answer, Code::ClockUntrusted, "request.clock");
        }
    }
}
