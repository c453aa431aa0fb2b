//! What runs is judged in every tick, and done means that a sensor says so.

use std::collections::BTreeSet;

use clawmesh_authority::policy::{BandRule, Parameter};
use clawmesh_authority::transition::{Cause, State};
use clawmesh_authority::{AskKind, Code, Decision, ProposalId, RequestBody, Setpoint, Tier, Value, request};
use clawmesh_core::intake::{ActuatorReport, DriverReport, InputBody, SourceId};
use clawmesh_core::proposals::Life;
use clawmesh_lab::Lab;

use super::rig::{CENTER, FIELD, Farm, ann, bo, capability, code, flower, pump, step, valve};

/// A farm on which water runs for twelve seconds and was confirmed, three seconds in.
fn flowing() -> (Farm, ProposalId) {
    flowing_on(Farm::brief())
}

fn flowing_on(mut farm: Farm) -> (Farm, ProposalId) {
    farm.for_s = 12.0;
    let id = farm.approved();
    farm.run_seconds(3);
    assert_eq!(farm.story(id).last().map(String::as_str), Some("executing"));
    assert!(farm.hardware.is_on(&pump()) && farm.hardware.is_on(&valve()));
    (farm, id)
}

impl Farm {
    #[track_caller]
    fn assert_ended(&self, id: ProposalId, cause: &Cause, code: Option<Code>, words: &str) {
        let report = self.report(id);
        assert_eq!(report.state, State::Failed { cause: cause.clone() }, "{:#?}", report.story);
        let last = report.story.last().expect("it has a story");
        assert_eq!(last.code, code, "{last:?}");
        assert!(last.words.contains(words), "{words:?} is not in {:?}", last.words);
        assert_eq!(self.report_at(CENTER, id).state, report.state, "the command center shows it");
    }

    fn note_tag(&mut self, value: Value) {
        self.lab.record(FIELD, "out-of-service/actuator:valve:valve-food-forest", value);
    }

    /// A valve that moves by itself, or whose switch is broken.
    fn claim_position(&mut self, position: Option<Setpoint>) {
        let seen = ActuatorReport { answers: true, position, local_control: false };
        let seen = DriverReport::Seen { actuator: valve(), seen };
        self.lab.offer(FIELD, SourceId::Drivers, InputBody::Driver(seen));
    }
}

#[test]
fn s13_the_first_condition_that_no_longer_holds_ends_what_runs() {
    let open = Code::InterlockOpen;
    for (disturb, cause, code, words) in [
        (
            (|farm| farm.weather.tank_percent = 19.9) as fn(&mut Farm),
            Cause::Interlock,
            open,
            "a pump that runs dry is ruined",
        ),
        (|farm| farm.weather.tank_percent = 9.9, Cause::Interlock, open, "(interlock)"),
        (|farm| farm.weather.is_tank_silent = true, Cause::Interlock, open, "it is stale (interlock)"),
        (|farm| farm.weather.pressure_kpa = 421.0, Cause::Interlock, open, "a line over its pressure bursts"),
        (
            |farm| farm.lab.record(CENTER, "site/power", Value::Text("flickering".to_owned())),
            Cause::Interlock,
            open,
            "(degraded-mode)",
        ),
        (|farm| farm.hardware.cut(&valve(), true), Cause::Interlock, open, "(known-comms)"),
        (
            |farm| farm.hardware.hold(&valve(), true),
            Cause::LocalControl,
            Code::LocalControl,
            "(manual-override)",
        ),
        (
            |farm| farm.note_tag(Value::Flag(true)),
            Cause::LocalControl,
            Code::OutOfService,
            "(out-of-service)",
        ),
        (
            |farm| farm.claim_position(Some(Setpoint::Off)),
            Cause::Envelope,
            Code::StateUnknown,
            "(known-state)",
        ),
        (|farm| farm.claim_position(None), Cause::Envelope, Code::StateUnknown, "nobody knows how"),
    ] {
        let (mut farm, id) = flowing();
        disturb(&mut farm);
        farm.run_seconds(5);
        farm.assert_ended(id, &cause, Some(code), words);
        assert!(!farm.hardware.is_on(&pump()), "{words}");
        let is_left_alone = matches!(words, "(manual-override)" | "(known-comms)");
        assert_eq!(farm.hardware.is_on(&valve()), is_left_alone, "{words}");
    }
    let (mut farm, id) = flowing();
    farm.run_seconds(12);
    assert_eq!(farm.state(id), "completed", "undisturbed");
}

#[test]
fn s13_what_is_left_in_the_tank_is_kept_also_when_only_a_valve_is_open() {
    let mut farm = Farm::brief();
    farm.weather.idle_flow_lpm = 5.0;
    let proposal = farm.proposal_of(vec![step(valve(), "open", Some(8.0))]);
    let id = farm.assert_goes_through(&proposal);
    for (percent, runs) in [(10.0, true), (9.9, false)] {
        farm.weather.tank_percent = percent;
        farm.run_seconds(2);
        assert_eq!(farm.hardware.is_on(&valve()), runs, "{percent} %");
    }
    farm.assert_ended(id, &Cause::Interlock, Some(Code::InterlockOpen), "fire and animals");
}

#[test]
fn s13_a_plant_that_leaves_the_band_of_its_card_is_ended() {
    let banded = || {
        Farm::brief_with(|policy| {
            let sensor = capability("sensor:flow:mainline-01");
            let node = "field-node".to_owned();
            let band = BandRule { sensor, node, tolerance_percent: 25.0, settle_s: 2 };
            policy.actuators.iter_mut().for_each(|rules| rules.bands = vec![band.clone()]);
        })
    };
    let (mut farm, id) = flowing_on(banded());
    // More than twice of what was simulated: something has burst behind the sensor.
    farm.weather.flow_lpm = Some(30.0);
    farm.run_seconds(4);
    farm.assert_ended(id, &Cause::Divergence, None, "sensor:flow:mainline-01 says 30.0 L/min, the card said");
    assert!(!farm.hardware.is_on(&pump()) && !farm.hardware.is_on(&valve()));
    let (mut farm, id) = flowing_on(banded());
    farm.run_seconds(12);
    assert_eq!(farm.state(id), "completed", "within the band");
}

#[test]
fn s9_a_driver_that_says_done_is_not_believed_against_a_sensor() {
    // From the beginning, and after it was shown once.
    for silent_from_the_start in [true, false] {
        for (flow_lpm, cause, words) in [
            (Some(0.4), Cause::Contradicted, "must be at least 4 to show it, and says 0.4"),
            (None, Cause::Unverified, "sensor:flow:mainline-01 is stale"),
        ] {
            let mut farm = Farm::brief();
            farm.for_s = 20.0;
            if silent_from_the_start {
                farm.weather.flow_lpm = flow_lpm;
            }
            let id = farm.approved();
            farm.run_seconds(3);
            assert_eq!(farm.state(id), "executing");
            farm.weather.flow_lpm = flow_lpm;
            farm.run_seconds(9);
            farm.assert_ended(id, &cause, Some(Code::Unverified), words);
            assert!(!farm.hardware.is_on(&pump()) && !farm.hardware.is_on(&valve()));
        }
    }
}

#[test]
fn s9_what_was_said_before_the_command_or_is_worth_less_confirms_nothing() {
    let mut farm = Farm::brief();
    farm.for_s = 2.0;
    farm.weather.idle_flow_lpm = 8.7;
    farm.weather.flow_lpm = None;
    farm.run_seconds(1);
    let run = |farm: &mut Farm| {
        let proposal = farm.proposal();
        assert_eq!(code(&farm.propose(&proposal)), None);
        farm.run_seconds(1);
        let offer = farm.offer(proposal.id());
        assert_eq!(code(&farm.answer(&ann(), &offer, Decision::Approve)), None);
        // While it moves nobody says anything, so the last word is from before the command.
        farm.lab.run_ticks(75);
        farm.weather.idle_flow_lpm = 0.0;
        farm.run_seconds(3);
        proposal.id()
    };
    let id = run(&mut farm);
    farm.assert_ended(id, &Cause::Unverified, Some(Code::Unverified), "no sensor showed that");
    farm.weather.flow_lpm = Some(8.7);
    farm.weather.flow_tier = Tier::T1;
    farm.for_s = 8.0;
    let id = farm.approved();
    farm.run_seconds(9);
    farm.assert_ended(id, &Cause::Unverified, Some(Code::Unverified), "worth T1 only");
    farm.weather.flow_tier = Tier::T2;
    let id = farm.approved();
    farm.run_seconds(12);
    assert_eq!(farm.state(id), "completed");
}

#[test]
fn s9_what_answers_twice_is_done_once() {
    let mut farm = Farm::brief();
    let id = farm.approved();
    for _ in 0..12 {
        for _ in 0..10 {
            farm.hardware.repeat_last();
            farm.lab.run_ticks(3);
        }
        farm.run_seconds(1);
    }
    assert_eq!(farm.state(id), "completed", "{:#?}", farm.report(id).story);
    let (on, off) = (Setpoint::On, Setpoint::Off);
    assert_eq!(farm.hardware.writes(), [(valve(), on), (pump(), on), (pump(), off), (valve(), off)]);
    assert_eq!(farm.lab.replay(FIELD).difference, None);
}

#[test]
fn s9_a_plant_that_never_acknowledges_is_given_up_and_made_safe() {
    let mut farm = Farm::brief();
    farm.for_s = 30.0;
    let proposal = farm.proposal();
    assert_eq!(code(&farm.propose(&proposal)), None);
    farm.run_seconds(1);
    let offer = farm.offer(proposal.id());
    farm.hardware.mute();
    assert_eq!(code(&farm.answer(&ann(), &offer, Decision::Approve)), None);
    farm.run_seconds(9);
    assert_eq!(farm.state(proposal.id()), "dispatched");
    farm.run_seconds(3);
    farm.assert_ended(proposal.id(), &Cause::NotAcknowledged, None, "did not take step 1 within 10 s");
    assert_eq!(farm.hardware.writes(), [(valve(), Setpoint::On), (valve(), Setpoint::Off)]);
}

#[test]
fn s9_a_driver_that_falls_silent_while_it_runs_completes_nothing() {
    let (mut farm, id) = flowing();
    farm.hardware.mute();
    farm.run_seconds(16);
    farm.assert_ended(id, &Cause::Contradicted, Some(Code::Unverified), "must be at least 4");
    assert!(!farm.hardware.is_on(&pump()) && !farm.hardware.is_on(&valve()), "its own deadline ended it");
}

#[test]
fn s9_one_good_moment_does_not_confirm_all_of_a_run() {
    for (dry_s, state) in [(0, "completed"), (2, "completed"), (6, "failed")] {
        let mut farm = Farm::brief_with(|policy| {
            for rules in &mut policy.actuators {
                rules.bands.clear();
                if let Some(by) = &mut rules.verified_by {
                    by.within_s = 60;
                }
            }
        });
        farm.for_s = 12.0;
        let id = farm.approved();
        farm.run_seconds(4);
        farm.weather.flow_lpm = Some(0.0);
        farm.run_seconds(dry_s);
        farm.weather.flow_lpm = Some(8.7);
        farm.run_seconds(12);
        assert_eq!(farm.state(id), state, "{dry_s} s without water: {:#?}", farm.report(id).story);
        if state == "failed" {
            let words = farm.last_words(id);
            assert!(words.contains("a sensor showed it for") && words.ends_with("s only"), "{words}");
        }
    }
}

#[test]
fn s9_a_sensor_may_take_a_moment_to_show_it_and_no_longer() {
    for (for_s, late_s, state) in [(3.0, 1, "completed"), (12.0, 7, "failed")] {
        let mut farm = Farm::brief_with(|policy| {
            for rules in &mut policy.actuators {
                rules.bands.clear();
                if let Some(by) = &mut rules.verified_by {
                    by.within_s = 60;
                }
            }
        });
        (farm.for_s, farm.weather.flow_lpm) = (for_s, Some(0.0));
        let id = farm.approved();
        farm.run_seconds(1 + late_s);
        farm.weather.flow_lpm = Some(8.7);
        farm.run_seconds(20);
        assert_eq!(farm.state(id), state, "water after {late_s} s: {:#?}", farm.report(id).story);
    }
}

#[test]
fn s9_a_driver_that_never_says_it_ended_is_given_up_also_when_the_sensor_stands_still() {
    let (mut farm, id) = flowing();
    farm.hardware.mute();
    farm.weather.idle_flow_lpm = 8.7;
    farm.run_seconds(17);
    assert_eq!(farm.state(id), "executing", "it has a while to say so");
    farm.run_seconds(4);
    assert_eq!(farm.state(id), "failed");
    assert!(farm.last_words(id).contains("has not said that it ended"), "{}", farm.last_words(id));
}

#[test]
fn s9_what_was_told_to_end_must_be_shown_to_have_ended() {
    let disturbances: [(fn(&mut Farm), Cause, &str); 2] = [
        // Its driver reads it back as off, and the stem of the valve is broken.
        (
            |farm| farm.weather.idle_flow_lpm = 3.0,
            Cause::Contradicted,
            "valve-food-forest is off by its driver, and sensor:flow:mainline-01 still says 3.0",
        ),
        (|farm| farm.weather.flow_tier = Tier::T1, Cause::Unverified, "worth T1 only; go and look"),
    ];
    for (disturb, cause, words) in disturbances {
        let (mut farm, id) = flowing();
        farm.run_seconds(8);
        disturb(&mut farm);
        farm.run_seconds(6);
        assert_eq!(farm.state(id), "executing", "it has a while to show it");
        assert!(!farm.hardware.is_on(&pump()) && !farm.hardware.is_on(&valve()));
        farm.run_seconds(5);
        farm.assert_ended(id, &cause, Some(Code::Unverified), words);
    }
    // What flows to another zone hides it.
    let (mut farm, id) = flowing();
    farm.weather.idle_flow_lpm = 3.0;
    let seen = ActuatorReport { answers: true, position: Some(Setpoint::On), local_control: true };
    let seen = DriverReport::Seen { actuator: flower(), seen };
    farm.lab.offer(FIELD, SourceId::Drivers, InputBody::Driver(seen));
    farm.run_seconds(12);
    assert_eq!(farm.state(id), "completed");
}

#[test]
fn s9_a_valve_that_does_not_move_keeps_the_pump_off() {
    let mut farm = Farm::brief();
    farm.hardware.jam(&valve());
    let id = farm.approved();
    farm.run_seconds(7);
    farm.assert_ended(id, &Cause::Unverified, Some(Code::Unverified), "did not arrive within 5 s");
    assert_eq!(farm.switched_on(), [valve()], "and it was tried once");
}

#[test]
fn s13_no_step_begins_when_what_it_builds_on_has_just_ended() {
    let slow_valve = |for_s| {
        let mut farm = Farm::brief_with(|policy| {
            let valve =
                policy.actuators.iter_mut().find(|rules| rules.actuator == valve()).expect("it has rules");
            let open = valve.operations.get_mut("open").expect("it opens");
            open.parameters.insert("for_s".to_owned(), Parameter::Number(0.1, 2_400.0));
        });
        let steps = vec![step(valve(), "open", Some(for_s)), step(pump(), "start", Some(9.0))];
        let proposal = farm.proposal_of(steps);
        assert_eq!(code(&farm.propose(&proposal)), None);
        farm.run_seconds(1);
        let offer = farm.offer(proposal.id());
        assert_eq!(code(&farm.answer(&ann(), &offer, Decision::Approve)), None);
        farm.run_seconds(3);
        (farm, proposal.id())
    };
    // The valve arrives after 400 ms, and its driver looks every 200. In one of these its time is over in the tick in which the
    // pump would be told to start, and in some while the pump waits for the journal.
    let mut endings = BTreeSet::new();
    for for_ms in (440..=560).step_by(20) {
        let (farm, id) = slow_valve(f64::from(for_ms) / 1_000.0);
        let told = farm.told();
        let last = farm.last_words(id);
        if told.len() == 2 {
            let alone = [(valve(), Setpoint::On), (valve(), Setpoint::Off)];
            assert_eq!(told, alone, "no pump runs against a valve that has closed, after {for_ms} ms");
            assert_eq!(farm.state(id), "failed", "{last}");
            let is_void = last.contains("was to be made safe before it was carried out");
            assert!(is_void || last.contains("no sensor showed"), "{last}");
            endings.insert(if is_void { "void" } else { "not told" });
        } else {
            let both = [(valve(), Setpoint::On), (pump(), Setpoint::On)];
            assert_eq!(told[..2], both, "after {for_ms} ms");
            endings.insert("both");
        }
    }
    assert_eq!(endings, BTreeSet::from(["both", "not told", "void"]));
    let (farm, id) = slow_valve(2.0);
    assert_eq!(farm.switched_on(), [valve(), pump()]);
    assert_eq!(farm.state(id), "completed");
}

/// By the world itself: a snapshot may be some ticks old.
fn is_about_to_go_on(farm: &mut Farm) -> bool {
    let world = farm.lab.core_mut(FIELD).world_mut();
    let mut lives = world.query::<&Life>();
    lives.iter(world).any(|life| life.state == (State::Executing { step: 1 }))
}

#[test]
fn s13_no_step_begins_when_what_it_builds_on_has_just_moved() {
    for moves in [false, true] {
        let mut farm = Farm::brief();
        let id = farm.approved();
        // Until the tick in which the valve is seen to have arrived; the pump is told in the next one.
        let mut ticks = 0;
        while !is_about_to_go_on(&mut farm) {
            farm.lab.run_ticks(1);
            ticks += 1;
            assert!(ticks < 60, "a valve takes 400 ms");
        }
        if moves {
            farm.claim_position(Some(Setpoint::Off));
        }
        farm.run_seconds(2);
        assert_eq!(farm.switched_on().contains(&pump()), !moves);
        if moves {
            farm.assert_failed(id, Code::StateUnknown, "(known-state)");
        }
    }
}

#[test]
fn s9_what_cannot_be_driven_fails_and_says_why() {
    // Between the yes and the command nobody can see it in time.
    let mut farm = Farm::brief();
    let proposal = farm.proposal();
    assert_eq!(code(&farm.propose(&proposal)), None);
    farm.run_seconds(1);
    let offer = farm.offer(proposal.id());
    farm.answer_unheard(&ann(), &offer);
    farm.lab.run_ticks(1);
    farm.hardware.hold(&valve(), true);
    farm.run_seconds(1);
    let report = farm.report(proposal.id());
    let State::Failed { cause } = &report.state else { panic!("{:#?}", report.story) };
    assert!(matches!(cause, Cause::Driver(why) if why.contains("under local control")), "{cause:?}");
    assert_eq!(farm.switched_on(), []);
    farm.hardware.hold(&valve(), false);
    farm.run_seconds(1);
    let good = farm.proposal();
    farm.assert_goes_through(&good);
}

#[test]
fn s13_a_person_ends_what_runs_and_a_program_does_not() {
    let (mut farm, id) = flowing();
    let withdraw = || RequestBody::Withdraw { proposal: id, why: "it rains".to_owned() };
    let by_its_maker = farm.request(withdraw());
    let bytes = request::seal(&Lab::key_of(1), &by_its_maker);
    let answer = farm.lab.ask(FIELD, AskKind::Request, bytes);
    assert_eq!(code(&answer), Some((Code::InvalidParams, "proposal.open")));
    farm.run_seconds(1);
    assert_eq!(farm.state(id), "executing");
    assert_eq!(code(&farm.ask_as(&bo(), withdraw())), None);
    farm.run_seconds(1);
    assert_eq!(farm.state(id), "cancelled");
    assert!(!farm.hardware.is_on(&pump()) && !farm.hardware.is_on(&valve()));
}
