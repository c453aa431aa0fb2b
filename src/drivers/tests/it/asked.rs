//! Hardware that answers later: what is told when, what is given up, what is asked for again. Beat by beat, in virtual time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use clawmesh_authority::{AuthorizedCommand, Capability, SafeStates, SafingCommand, Setpoint};
use clawmesh_core::intake::{DriverReport, InboxLimits, Inboxes, InputBody, SafeBecause, doors};
use clawmesh_core::replay::CommitWatch;
use clawmesh_core::site::DriverPort as _;
use clawmesh_drivers::{
    Answered, Driver, DriverFault, DriverPorts, Layer, Orders, ReadBack, StopLatch, Taken,
};

use crate::allowed::{booster, command, off, plan, pump, valve};
use crate::wire::Forgetful;

const LEASE_MS: u64 = 1_000;

/// Hardware far away. It answers when the test lets it.
#[derive(Clone, Default)]
struct Far(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    cut: BTreeSet<Capability>,
    /// What is no farther than here: it does at once what it is told.
    near: BTreeSet<Capability>,
    asked: Vec<(Capability, Setpoint)>,
    answers: Vec<Answered>,
    given_up: Vec<Capability>,
}

impl Far {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test panics here")
    }

    fn ask(&self, actuator: &Capability, setpoint: Setpoint) -> Result<Taken, DriverFault> {
        let mut state = self.state();
        if state.cut.contains(actuator) {
            return Err(DriverFault::NoAnswer(actuator.clone()));
        }
        state.asked.push((actuator.clone(), setpoint));
        Ok(if state.near.contains(actuator) { Taken::Done } else { Taken::Asked })
    }
}

impl Driver for Far {
    fn drive(&mut self, command: &AuthorizedCommand) -> Result<Taken, DriverFault> {
        self.ask(command.actuator(), command.setpoint())
    }

    fn make_safe(&mut self, command: &SafingCommand) -> Result<Taken, DriverFault> {
        self.ask(command.actuator(), command.setpoint())
    }

    fn give_up(&mut self, actuator: &Capability) {
        self.state().given_up.push(actuator.clone());
    }

    fn read_back(&mut self, actuator: &Capability) -> Option<ReadBack> {
        (!self.state().cut.contains(actuator)).then_some(ReadBack { position: None, local_control: false })
    }

    fn heard(&mut self) -> Option<Answered> {
        self.state().answers.pop()
    }
}

struct Rig {
    layer: Layer,
    orders: Orders,
    far: Far,
    inboxes: Inboxes,
    latch: StopLatch,
    now_ms: u64,
}

impl Rig {
    /// Hardware that is safe and has said so. The valve is fed by the pump.
    fn new() -> Self {
        let mut rig = Self::starting(&[pump(), valve()], &[]);
        assert!(rig.told().is_empty(), "nothing is said before it is answered");
        rig.answer(&pump(), true);
        rig.answer(&valve(), true);
        assert_eq!(rig.told().len(), 2);
        rig.forget();
        rig
    }

    /// The same, but only that pump is far away, and there is a booster that feeds nothing of it.
    fn with_valve_here() -> Self {
        let mut rig = Self::starting(&[pump(), valve(), booster()], &[valve(), booster()]);
        assert_eq!(rig.asked(), [(pump(), Setpoint::Off), (booster(), Setpoint::Off)]);
        rig.answer(&pump(), true);
        assert_eq!(rig.told().len(), 3);
        rig.forget();
        rig
    }

    /// Hardware that has been told to be safe, in this order; what is near does it at once.
    fn starting(order: &[Capability], near: &[Capability]) -> Self {
        let (inbox, inboxes) = doors(InboxLimits::default());
        let (latch, commits, far) = (StopLatch::new(None, Forgetful), CommitWatch::default(), Far::default());
        far.state().near = near.iter().cloned().collect();
        let (mut layer, orders) = Layer::over(DriverPorts {
            driver: Box::new(far.clone()),
            safe_states: SafeStates::in_order(order.iter().cloned().map(|part| (part, Setpoint::Off))),
            shuts_after: BTreeMap::from([(valve(), BTreeSet::from([pump()]))]),
            latch: latch.clone(),
            inbox,
            commits: commits.clone(),
            lease_ms: LEASE_MS,
        });
        layer.begin();
        commits.commit(9);
        Self { layer, orders, far, inboxes, latch, now_ms: 0 }
    }

    fn forget(&self) {
        self.far.state().asked.clear();
        self.far.state().given_up.clear();
    }

    fn pass(&mut self, ms: u64) {
        for _ in 0..ms / 5 {
            self.orders.renew();
            self.beat();
        }
    }

    fn beat(&mut self) {
        self.now_ms += 5;
        self.layer.beat(self.now_ms);
    }

    fn answer(&mut self, actuator: &Capability, is_yes: bool) {
        let outcome = if is_yes { Ok(()) } else { Err(DriverFault::NoAnswer(actuator.clone())) };
        self.far.state().answers.push(Answered { actuator: actuator.clone(), outcome });
        self.pass(5);
    }

    /// The valve is ordered to be on, and asked.
    fn opened(&mut self, for_s: f64) {
        self.orders.carry(command(&valve(), for_s), 1, self.latch.stops()).expect("there is a place");
        self.pass(5);
        assert_eq!(self.asked(), [(valve(), Setpoint::On)]);
    }

    fn asked(&self) -> Vec<(Capability, Setpoint)> {
        std::mem::take(&mut self.far.state().asked)
    }

    /// What the tick was told of what was done.
    fn told(&self) -> Vec<DriverReport> {
        let told = self.inboxes.take_state(usize::MAX).into_iter().map(|(input, _)| input.body);
        told.filter_map(|body| match body {
            InputBody::Driver(DriverReport::Seen { .. }) => None,
            InputBody::Driver(report) => Some(report),
            _ => None,
        })
        .collect()
    }
}

#[test]
fn a_command_is_carried_when_that_is_answered_and_its_time_began_when_it_was_asked_for() {
    let mut rig = Rig::new();
    rig.opened(1.0);
    rig.pass(500);
    assert_eq!(rig.told(), []);
    rig.answer(&valve(), true);
    assert!(matches!(&rig.told()[..], [DriverReport::Carried { step: 0, .. }]));
    rig.pass(500);
    assert_eq!(rig.asked(), [(valve(), Setpoint::Off)], "its time is over");
    assert_eq!(rig.told(), []);
    rig.answer(&valve(), true);
    let told = rig.told();
    let [DriverReport::MadeSafe { because: SafeBecause::TimeIsOver, proposal: Some(_), fault: None, .. }] =
        &told[..]
    else {
        panic!("{told:?}")
    };
}

#[test]
fn a_command_that_was_not_taken_is_told_and_never_asked_for_again() {
    let mut rig = Rig::new();
    rig.opened(60.0);
    rig.answer(&valve(), false);
    assert!(matches!(&rig.told()[..], [DriverReport::NotCarried { .. }]));
    rig.pass(10_000);
    assert_eq!(rig.asked(), []);
    // Nobody knows whether it is on, so it is a duty still.
    for _ in 0..LEASE_MS {
        rig.beat();
    }
    assert_eq!(rig.asked(), [(valve(), Setpoint::Off)], "the tick has fallen silent");
}

#[test]
fn a_stop_waits_for_no_answer_and_is_answered_for_once_also_when_it_is_ordered_too() {
    let mut rig = Rig::new();
    rig.opened(60.0);
    rig.latch.set("smoke").expect("nothing is kept");
    rig.pass(5);
    assert_eq!(rig.asked(), [(pump(), Setpoint::Off)]);
    let told = rig.told();
    let [DriverReport::NotCarried { why, in_doubt: Some(in_doubt), .. }] = &told[..] else {
        panic!("{told:?}")
    };
    assert!(why.contains("before it was answered"), "{why}");
    assert_eq!((&in_doubt.actuator, in_doubt.run_for_ms), (&valve(), 60_000));
    assert_eq!(rig.far.state().given_up, [valve()], "what has not left does not leave after a stop");
    // The valve does not shut against a pump that has only been asked, and does not wait for ever.
    rig.pass(2_900);
    assert_eq!((rig.asked(), rig.told()), (vec![], vec![]));
    rig.pass(200);
    assert_eq!(rig.asked(), [(valve(), Setpoint::Off)]);
    // As the tick does when it hears of the stop.
    rig.orders.make_safe([valve()].into(), "stopped").expect("there is a place");
    rig.pass(5);
    assert_eq!(rig.told(), []);
    rig.answer(&valve(), true);
    let told = rig.told();
    let [DriverReport::MadeSafe { because: SafeBecause::Stopped { stops: 1 }, fault: None, .. }] = &told[..]
    else {
        panic!("{told:?}")
    };
}

#[test]
fn what_was_not_made_safe_is_asked_for_again_after_a_while_and_at_once_when_it_is_there_again() {
    let mut rig = Rig::new();
    rig.orders.make_safe([pump()].into(), "drill").expect("there is a place");
    rig.pass(5);
    assert_eq!(rig.asked().len(), 1);
    rig.answer(&pump(), false);
    assert!(matches!(&rig.told()[..], [DriverReport::MadeSafe { fault: Some(_), .. }]));
    rig.pass(2_900);
    assert_eq!(rig.asked(), []);
    rig.pass(400);
    assert_eq!(rig.asked().len(), 1, "three seconds later");
    rig.pass(5_000);
    assert_eq!(rig.asked(), [], "one call at a time, however long it takes");
    rig.answer(&pump(), false);
    assert_eq!(rig.told(), [], "the tick knows that already");
    rig.far.state().cut.insert(pump());
    rig.pass(10_000);
    rig.far.state().cut.clear();
    rig.pass(200);
    assert_eq!(rig.asked(), [(pump(), Setpoint::Off)]);
    rig.answer(&pump(), true);
    assert!(matches!(&rig.told()[..], [DriverReport::MadeSafe { fault: None, .. }]));
    rig.pass(10_000);
    assert_eq!(rig.asked(), []);
}

#[test]
fn what_comes_later_in_the_order_is_made_safe_as_soon_as_what_comes_before_has_answered() {
    for is_yes in [true, false] {
        let mut rig = Rig::new();
        rig.latch.set("smoke").expect("nothing is kept");
        rig.pass(5);
        assert_eq!(rig.asked(), [(pump(), Setpoint::Off)]);
        rig.answer(&pump(), is_yes);
        assert_eq!(rig.asked(), [(valve(), Setpoint::Off)]);
    }
    // Also when the node ends, and alone it waits for nothing.
    let mut rig = Rig::new();
    rig.orders.make_safe([valve()].into(), "drill").expect("there is a place");
    rig.pass(5);
    assert_eq!(rig.asked(), [(valve(), Setpoint::Off)]);
    rig.answer(&valve(), true);
    rig.layer.end();
    assert_eq!(rig.asked(), [(pump(), Setpoint::Off)]);
    assert!(!rig.layer.has_ended(rig.now_ms + 2_000) && rig.layer.has_ended(rig.now_ms + 4_000));
    assert_eq!(rig.asked(), [(valve(), Setpoint::Off)]);
}

#[test]
fn what_says_no_again_and_again_is_asked_ever_later_and_half_a_minute_is_the_longest() {
    let mut rig = Rig::new();
    rig.orders.make_safe([pump()].into(), "drill").expect("there is a place");
    rig.pass(5);
    let mut waits_ms = Vec::new();
    for _ in 0..6 {
        assert_eq!(rig.asked().len(), 1);
        rig.answer(&pump(), false);
        let since_ms = rig.now_ms;
        while rig.far.state().asked.is_empty() && rig.now_ms < since_ms + 60_000 {
            rig.pass(100);
        }
        waits_ms.push((rig.now_ms - since_ms) / 1_000);
    }
    assert_eq!(waits_ms, [3, 6, 12, 24, 30, 30]);
}

/// The guest's pump and our valve are on for the same proposal, and both have said so.
fn watering(rig: &mut Rig, for_s: f64) {
    for command in plan(&[(&valve(), for_s), (&pump(), for_s)]) {
        rig.orders.carry(command, 1, rig.latch.stops()).expect("there is a place");
    }
    rig.pass(5);
    rig.answer(&pump(), true);
    assert_eq!(rig.asked(), [(valve(), Setpoint::On), (pump(), Setpoint::On)]);
    assert_eq!(rig.told().len(), 2);
}

#[test]
fn a_time_that_is_over_and_waits_for_its_turn_hides_nothing_else_that_is_due() {
    let mut rig = Rig::with_valve_here();
    watering(&mut rig, 1.015);
    rig.orders.carry(command(&booster(), 60.0), 1, rig.latch.stops()).expect("there is a place");
    rig.pass(5);
    assert_eq!(rig.asked(), [(booster(), Setpoint::On)]);
    assert_eq!(rig.told().len(), 1);
    // The tick dies, the time is over in the very beat in which the lease is lost, and the guest says nothing.
    for _ in 0..LEASE_MS / 5 {
        rig.beat();
    }
    assert_eq!(rig.asked(), []);
    rig.beat();
    assert_eq!(rig.asked(), [(pump(), Setpoint::Off), (booster(), Setpoint::Off)]);
    let told = rig.told();
    assert!(
        matches!(
            &told[..],
            [DriverReport::MadeSafe { because: SafeBecause::LeaseLost, proposal: Some(_), .. }]
        ),
        "{told:?}"
    );
    for _ in 0..400 {
        rig.beat();
    }
    assert_eq!((rig.asked(), rig.told()), (vec![], vec![]), "what waits is not due again");

    // The same when the time of one was over before, and its valve waits.
    let mut rig = Rig::with_valve_here();
    watering(&mut rig, 0.5);
    rig.orders.carry(command(&booster(), 60.0), 1, rig.latch.stops()).expect("there is a place");
    rig.beat();
    assert_eq!(rig.asked(), [(booster(), Setpoint::On)]);
    for _ in 0..LEASE_MS / 5 - 2 {
        rig.beat();
    }
    assert_eq!(rig.asked(), [(pump(), Setpoint::Off)], "its valve waits");
    assert_eq!(rig.told().len(), 1, "the booster was carried");
    rig.beat();
    rig.beat();
    assert_eq!(rig.asked(), [(booster(), Setpoint::Off)], "at once, whatever waits");
    let told = rig.told();
    assert!(
        matches!(&told[..], [DriverReport::MadeSafe { because: SafeBecause::LeaseLost, .. }]),
        "once: {told:?}"
    );
    rig.answer(&pump(), true);
    assert_eq!(rig.asked(), [(valve(), Setpoint::Off)]);
    let told = rig.told();
    for report in &told {
        let DriverReport::MadeSafe {
            because: SafeBecause::TimeIsOver, proposal: Some(_), fault: None, ..
        } = report
        else {
            panic!("{report:?}")
        };
    }
    assert_eq!(told.len(), 2, "what waited kept why and for whom");
}

#[test]
fn what_its_proposal_has_still_to_switch_on_is_void_while_a_part_of_it_is_on_its_way_to_be_safe() {
    let mut rig = Rig::with_valve_here();
    let [first, second] = &plan(&[(&pump(), 0.2), (&booster(), 60.0)])[..] else { unreachable!() };
    rig.orders.carry(first.clone(), 1, rig.latch.stops()).expect("there is a place");
    rig.pass(5);
    rig.answer(&pump(), true);
    rig.pass(300);
    assert_eq!(rig.asked(), [(pump(), Setpoint::On), (pump(), Setpoint::Off)]);
    assert_eq!(rig.told().len(), 1);
    rig.orders.carry(second.clone(), 1, rig.latch.stops()).expect("there is a place");
    rig.pass(5);
    assert_eq!(rig.asked(), [], "its first step ends, and nobody has said so yet");
    assert!(matches!(&rig.told()[..], [DriverReport::NotCarried { in_doubt: None, .. }]));
}

#[test]
fn only_the_valve_that_a_pump_feeds_waits_for_it_and_only_when_it_may_run_for_us() {
    let off = |part: Capability| (part, Setpoint::Off);
    // What feeds nothing waits for nobody, wherever it stands in the order.
    let mut rig = Rig::with_valve_here();
    watering(&mut rig, 60.0);
    rig.orders.make_safe([pump(), valve(), booster()].into(), "drill").expect("there is a place");
    rig.pass(5);
    assert_eq!(rig.asked(), [off(pump()), off(booster())]);
    rig.answer(&pump(), true);
    assert_eq!(rig.asked(), [off(valve())]);
    // Nobody has switched it on since it took its safe state; it is told again, and nobody waits for that.
    rig.orders.make_safe([pump()].into(), "no sensor shows that it is safe").expect("there is a place");
    rig.orders.make_safe([valve()].into(), "drill").expect("there is a place");
    rig.pass(5);
    assert_eq!(rig.asked(), [off(pump()), off(valve())]);
    // Neither for one that is tried again.
    rig.answer(&pump(), false);
    rig.pass(3_200);
    assert_eq!(rig.asked(), [off(pump())]);
    rig.orders.make_safe([valve()].into(), "drill").expect("there is a place");
    rig.pass(5);
    assert_eq!(rig.asked(), [off(valve())]);
    // Whoever stops wants the order of the site, whatever was done before.
    rig.answer(&pump(), true);
    rig.latch.set("smoke").expect("nothing is kept");
    rig.pass(5);
    assert_eq!(rig.asked(), [off(pump()), off(booster())]);
}

#[test]
fn what_has_gone_or_is_wanted_anew_is_asked_at_once_however_often_it_has_said_no() {
    let mut rig = Rig::new();
    let refuse_four_times = |rig: &mut Rig| {
        rig.orders.make_safe([pump()].into(), "drill").expect("there is a place");
        rig.pass(5);
        for wait_ms in [3_200, 6_200, 12_200, 0] {
            assert_eq!(rig.asked(), [(pump(), Setpoint::Off)]);
            rig.answer(&pump(), false);
            rig.pass(wait_ms);
        }
        assert_eq!(rig.asked(), []);
    };
    refuse_four_times(&mut rig);
    rig.latch.set("smoke").expect("nothing is kept");
    rig.pass(5);
    assert_eq!(rig.asked(), [(pump(), Setpoint::Off)], "somebody stops");
    rig.answer(&pump(), false);
    rig.pass(3_200);
    assert_eq!(rig.asked().iter().filter(|(part, _)| *part == pump()).count(), 1, "its waits begin anew");
    rig.answer(&pump(), true);

    refuse_four_times(&mut rig);
    rig.far.state().cut.insert(pump());
    rig.pass(200);
    rig.far.state().cut.clear();
    rig.pass(200);
    assert_eq!(rig.asked(), [(pump(), Setpoint::Off)], "it was away");
}

#[test]
fn what_is_owed_and_waits_for_its_turn_is_not_tried_again_before_it() {
    let mut rig = Rig::with_valve_here();
    rig.far.state().cut.insert(valve());
    rig.orders.make_safe([valve()].into(), "drill").expect("there is a place");
    rig.pass(5);
    assert!(matches!(&rig.told()[..], [DriverReport::MadeSafe { fault: Some(_), .. }]));
    rig.far.state().cut.clear();
    rig.latch.set("smoke").expect("nothing is kept");
    rig.pass(2_000);
    assert_eq!(rig.asked(), [(pump(), Setpoint::Off), (booster(), Setpoint::Off)]);
    rig.answer(&pump(), true);
    assert_eq!(rig.asked(), [(valve(), Setpoint::Off)]);
}

#[test]
fn what_did_not_leave_was_not_asked_and_is_sent_as_soon_as_it_can_be() {
    let mut rig = Rig::new();
    rig.orders.make_safe([pump()].into(), "drill").expect("there is a place");
    rig.pass(5);
    for _ in 0..5 {
        assert_eq!(rig.asked(), [(pump(), Setpoint::Off)]);
        let fault = DriverFault::Unsent { actuator: pump(), why: "the line is full".to_owned() };
        rig.far.state().answers.push(Answered { actuator: pump(), outcome: Err(fault) });
        rig.pass(205);
    }
    assert!(matches!(&rig.told()[..], [DriverReport::MadeSafe { fault: Some(_), .. }]), "it is told once");
}

#[test]
fn whoever_switches_off_what_could_not_be_made_safe_has_it_told_that_it_is() {
    let mut rig = Rig::new();
    rig.orders.make_safe([valve()].into(), "drill").expect("there is a place");
    rig.pass(5);
    rig.answer(&valve(), false);
    assert!(matches!(&rig.told()[..], [DriverReport::MadeSafe { fault: Some(_), .. }]));
    rig.orders.carry(off(&valve()), 1, rig.latch.stops()).expect("there is a place");
    rig.pass(5);
    assert_eq!(rig.told(), []);
    rig.answer(&valve(), true);
    let told = rig.told();
    let [DriverReport::MadeSafe { actuator, proposal: None, fault: None, .. }, DriverReport::Carried { .. }] =
        &told[..]
    else {
        panic!("{told:?}")
    };
    assert_eq!(*actuator, valve());
    rig.forget();
    rig.pass(40_000);
    assert_eq!(rig.asked(), [], "nothing is owed any more");
    // One that says no is owed, also when nothing was before.
    rig.orders.carry(off(&valve()), 1, rig.latch.stops()).expect("there is a place");
    rig.pass(5);
    rig.answer(&valve(), false);
    rig.forget();
    rig.pass(3_200);
    assert_eq!(rig.asked(), [(valve(), Setpoint::Off)]);
}

#[test]
fn an_answer_to_nothing_changes_nothing() {
    let mut rig = Rig::new();
    for actuator in [pump(), valve()] {
        rig.answer(&actuator, true);
        rig.answer(&actuator, false);
    }
    assert_eq!((rig.told(), rig.asked()), (vec![], vec![]));
}
