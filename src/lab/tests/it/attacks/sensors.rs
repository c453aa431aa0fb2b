//! Sensors that lie, stand still or are told to mean something else.

use clawmesh_authority::transition::{Cause, State};
use clawmesh_authority::{Code, SensorSpec, Tier, Unit};
use clawmesh_core::intake::{InputBody, Sample, SourceId};

use super::TANK;
use crate::proposals::rig::{FIELD, Farm, ann, capability, code, pump, valve};
use clawmesh_authority::Decision;

impl Farm {
    /// The node of the tank's sensor says what that means.
    fn describe(&mut self, unit: Unit, period_ms: u32, range: Option<(f64, f64)>) {
        let spec = SensorSpec {
            sensor: capability(TANK),
            quantity: "tank level".to_owned(),
            unit,
            period_ms,
            range,
            stuck_after_ms: None,
            about: None,
        };
        self.lab.offer(FIELD, SourceId::HostSensors, InputBody::SensorsDeclared(vec![spec]));
        self.weather.is_tank_silent = true;
        self.lab.run_ticks(1);
    }

    fn say(&mut self, value: f64, unit: Unit, age_ms: i64) {
        let origin_ms = self.lab.now_ms().saturating_add_signed(-age_ms);
        let sample = Sample { sensor: capability(TANK), value, unit, origin_ms, tier: Tier::T2 };
        self.lab.offer(FIELD, SourceId::HostSensors, InputBody::Sampled(vec![sample]));
        self.lab.run_ticks(1);
    }

    /// Evidence that was signed while all was well, so that only what holds now is judged.
    fn repels_by_its_condition(&mut self) {
        let proposal = self.proposal();
        self.repels(Code::EvidenceUnresolved, "evidence", |farm| farm.propose(&proposal));
    }
}

#[test]
fn a_sensor_whose_node_says_that_it_measures_something_else() {
    let mut farm = Farm::brief();
    // 150 litres are at least 20 of whatever the policy means.
    farm.describe(Unit::Litre, 1_000, None);
    farm.say(150.0, Unit::Litre, 0);
    farm.repels_by_its_condition();
    let mut farm = Farm::brief();
    farm.describe(Unit::Percent, 1_000, None);
    farm.say(150.0, Unit::Percent, 0);
    farm.repels_by_its_condition();
    let mut farm = Farm::brief();
    farm.describe(Unit::Percent, 1_000, None);
    farm.say(70.0, Unit::Percent, 0);
    let good = farm.proposal();
    farm.carries_out(&good);
}

#[test]
fn a_sensor_whose_node_says_that_it_seldom_speaks() {
    for (age_s, is_stale) in [(2, false), (4, true)] {
        let mut farm = Farm::brief();
        farm.describe(Unit::Percent, 3_600_000, None);
        farm.say(70.0, Unit::Percent, 0);
        farm.run_seconds(age_s);
        let proposal = farm.proposal();
        if is_stale {
            farm.repels(Code::InterlockOpen, "interlock", |farm| farm.propose(&proposal));
        } else {
            assert_eq!(code(&farm.propose(&proposal)), None);
        }
    }
}

#[test]
fn a_frozen_sensor() {
    let stuck_after = |seconds| {
        let mut farm = Farm::brief_with(move |policy| {
            let interlocks = policy.actuators.iter_mut().flat_map(|rules| &mut rules.interlocks);
            let tank = interlocks.filter(|interlock| interlock.sensor.as_str() == TANK);
            tank.for_each(|interlock| interlock.stuck_after_s = Some(seconds));
        });
        // It moves, and then it stands at a value that would do.
        for percent in [70.1, 70.0] {
            farm.weather.tank_percent = percent;
            farm.run_seconds(2);
        }
        farm.run_seconds(20);
        farm
    };
    let mut farm = stuck_after(15);
    let proposal = farm.proposal();
    farm.repels(Code::InterlockOpen, "interlock", |farm| farm.propose(&proposal));
    let mut farm = stuck_after(60);
    let good = farm.proposal();
    farm.carries_out(&good);
}

#[test]
fn a_sensor_with_a_fast_clock() {
    let mut farm = Farm::brief();
    farm.describe(Unit::Percent, 1_000, Some((0.0, 100.0)));
    farm.say(70.0, Unit::Percent, -2_000);
    farm.repels_by_its_condition();
    farm.run_seconds(3);
    farm.say(70.0, Unit::Percent, 0);
    let good = farm.proposal();
    farm.carries_out(&good);
}

#[test]
fn a_confirmation_by_the_echo_of_the_driver() {
    let mut farm = Farm::brief();
    farm.weather.flow_lpm = None;
    let offer = farm.asked();
    assert_eq!(code(&farm.answer(&ann(), &offer, Decision::Approve)), None);
    farm.run_seconds(12);
    // The driver has said of both that they are on, and water is shown by nobody.
    assert_eq!(farm.switched_on(), [valve(), pump()]);
    assert_eq!(farm.report(offer.proposal).state, State::Failed { cause: Cause::Unverified });
    farm.replays();
}

#[test]
fn a_confirmation_that_is_older_than_the_command_it_confirms() {
    // The flow is said between the valve and the pump, and then no more: that is of the valve alone.
    let mut farm = Farm::brief();
    farm.weather.flow_lpm = None;
    let offer = farm.asked();
    farm.answer_unheard(&ann(), &offer);
    while !farm.hardware.is_on(&valve()) {
        farm.lab.run_ticks(1);
    }
    let sample = |value| Sample {
        sensor: capability("sensor:flow:mainline-01"),
        value,
        unit: Unit::LitrePerMinute,
        origin_ms: 0,
        tier: Tier::T2,
    };
    assert!(!farm.hardware.is_on(&pump()), "its turn has not come");
    farm.lab.sample(FIELD, sample(8.7));
    // Nobody says anything while the pump comes on: the last word would do, and is still fresh.
    farm.lab.run_ticks(100);
    assert!(farm.hardware.is_on(&pump()));
    farm.run_seconds(10);
    assert_eq!(farm.switched_on(), [valve(), pump()]);
    assert_eq!(farm.report(offer.proposal).state, State::Failed { cause: Cause::Unverified });
    farm.replays();
}

#[test]
fn a_confirmation_that_was_only_relayed() {
    for (tier, state) in [(Tier::T1, "failed"), (Tier::T2, "completed")] {
        let mut farm = Farm::brief();
        farm.weather.flow_tier = tier;
        let offer = farm.asked();
        assert_eq!(code(&farm.answer(&ann(), &offer, Decision::Approve)), None);
        farm.run_seconds(12);
        assert_eq!(farm.state(offer.proposal), state);
        farm.replays();
    }
}

#[test]
fn hardware_that_somebody_else_speaks_for() {
    let mut farm = Farm::brief();
    let seen = clawmesh_core::intake::ActuatorReport {
        answers: true,
        position: Some(clawmesh_authority::Setpoint::Off),
        local_control: false,
    };
    farm.hardware.cut(&valve(), true);
    farm.run_seconds(2);
    for source in [SourceId::Gateway, SourceId::Bridge, SourceId::Guests] {
        let report = clawmesh_core::intake::DriverReport::Seen { actuator: valve(), seen };
        farm.lab.offer(FIELD, source, InputBody::Driver(report));
    }
    farm.lab.run_ticks(1);
    farm.assert_shown(Code::NotAuthorized, "drivers.own");
    let proposal = farm.proposal();
    farm.repels(Code::InterlockOpen, "known-comms", |farm| farm.propose(&proposal));
    farm.hardware.cut(&valve(), false);
    farm.run_seconds(2);
    let good = farm.proposal();
    farm.carries_out(&good);
}
