//! What was ordered and waits for the journal is not driven once something else was decided, and a driver that panics takes
//! nobody along. Beat by beat, in virtual time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use clawmesh_authority::{AuthorizedCommand, Capability, SafeStates, SafingCommand, Setpoint};
use clawmesh_core::intake::{DriverReport, InboxLimits, Inboxes, InputBody, doors};
use clawmesh_core::replay::CommitWatch;
use clawmesh_core::site::DriverPort as _;
use clawmesh_drivers::{
    Driver, DriverFault, DriverPorts, Layer, MockDriver, Orders, ReadBack, StopLatch, Taken,
};

use crate::allowed::{command, plan, pump, valve};
use crate::wire::Forgetful;

const LEASE_MS: u64 = 1_000;

/// Hardware that obeys whoever speaks last, whatever its switch says, and remembers what it was switched on by.
#[derive(Clone)]
struct Careless(Arc<Mutex<State>>);

struct State {
    hardware: MockDriver,
    driven: Vec<Capability>,
    is_held: bool,
    /// To read back this one ends in a panic.
    breaks_at: Option<Capability>,
}

impl Driver for Careless {
    fn drive(&mut self, command: &AuthorizedCommand) -> Result<Taken, DriverFault> {
        let mut own = self.lock();
        own.driven.push(command.actuator().clone());
        own.hardware.drive(command)
    }

    fn make_safe(&mut self, command: &SafingCommand) -> Result<Taken, DriverFault> {
        self.lock().hardware.make_safe(command)
    }

    fn read_back(&mut self, actuator: &Capability) -> Option<ReadBack> {
        let mut own = self.lock();
        assert!(own.breaks_at.as_ref() != Some(actuator), "a fault in the driver of {actuator}");
        let local_control = own.is_held;
        own.hardware.read_back(actuator).map(|seen| ReadBack { local_control, ..seen })
    }
}

impl Careless {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Rig {
    layer: Layer,
    orders: Orders,
    commits: CommitWatch,
    hardware: Careless,
    inboxes: Inboxes,
    latch: StopLatch,
    now_ms: u64,
}

impl Rig {
    fn new() -> Self {
        let (inbox, inboxes) = doors(InboxLimits::default());
        let (latch, commits) = (StopLatch::new(None, Forgetful), CommitWatch::default());
        let hardware = Careless(Arc::new(Mutex::new(State {
            hardware: MockDriver::with([pump(), valve()]),
            driven: Vec::new(),
            is_held: false,
            breaks_at: None,
        })));
        let ports = DriverPorts {
            driver: Box::new(hardware.clone()),
            safe_states: SafeStates::in_order([(pump(), Setpoint::Off), (valve(), Setpoint::Off)]),
            shuts_after: BTreeMap::new(),
            latch: latch.clone(),
            inbox,
            commits: commits.clone(),
            lease_ms: LEASE_MS,
        };
        let (mut layer, orders) = Layer::over(ports);
        layer.begin();
        Self { layer, orders, commits, hardware, inboxes, latch, now_ms: 0 }
    }

    /// Lets time pass beside a tick that is alive.
    fn pass(&mut self, ms: u64) {
        for _ in 0..ms / 5 {
            self.orders.renew();
            self.pass_silently(5);
        }
    }

    fn pass_silently(&mut self, ms: u64) {
        for _ in 0..ms / 5 {
            self.now_ms += 5;
            self.layer.beat(self.now_ms);
        }
    }

    fn carry(&self, command: AuthorizedCommand, cause: u64) {
        self.orders.carry(command, cause, self.latch.stops()).expect("there is a place");
    }

    fn driven(&self) -> Vec<Capability> {
        self.hardware.lock().driven.clone()
    }

    /// Why commands were not carried out.
    fn refusals(&self) -> Vec<String> {
        let told = self.inboxes.take_state(usize::MAX).into_iter().map(|(input, _)| input.body);
        told.filter_map(|body| match body {
            InputBody::Driver(DriverReport::NotCarried { why, .. }) => Some(why),
            _ => None,
        })
        .collect()
    }

    /// Nothing was driven, and the tick was told why.
    #[track_caller]
    fn assert_void(&self, words: &str) {
        assert_eq!(self.driven(), []);
        let refusals = self.refusals();
        assert!(matches!(&refusals[..], [why] if why.contains(words)), "{refusals:?}");
    }
}

#[test]
fn what_waits_for_the_journal_is_void_once_its_actuator_was_to_be_made_safe() {
    let mut rig = Rig::new();
    rig.pass(20);
    rig.carry(command(&pump(), 60.0), 7);
    rig.pass(20);
    rig.orders.make_safe(BTreeSet::from([pump()]), "it rains").expect("there is a place");
    rig.pass(20);
    rig.commits.commit(7);
    rig.pass(500);
    rig.assert_void("made safe before it was carried out");
    // Also when both come at once, and what is ordered after it goes through.
    rig.carry(command(&pump(), 60.0), 7);
    rig.orders.make_safe(BTreeSet::from([pump()]), "it rains").expect("there is a place");
    rig.pass(20);
    rig.assert_void("made safe before it was carried out");
    rig.carry(command(&pump(), 60.0), 7);
    rig.pass(20);
    assert_eq!(rig.driven(), [pump()]);
}

#[test]
fn what_was_not_written_down_in_time_is_not_driven_also_when_it_is_by_then() {
    for (waits_ms, driven) in [(4_900, vec![pump()]), (5_000, vec![])] {
        let mut rig = Rig::new();
        rig.pass(20);
        rig.carry(command(&pump(), 60.0), 7);
        rig.pass(5);
        // The tick goes on, and the next beat of the drivers is this late.
        rig.now_ms += waits_ms - 5;
        rig.commits.commit(7);
        rig.pass(20);
        assert_eq!(rig.driven(), driven, "after {waits_ms} ms");
        assert_eq!(rig.refusals().is_empty(), !driven.is_empty(), "after {waits_ms} ms");
    }
}

#[test]
fn what_was_decided_before_the_drivers_stood_still_is_not_driven_and_what_comes_after_is() {
    let mut rig = Rig::new();
    rig.pass(20);
    rig.commits.commit(7);
    rig.carry(command(&pump(), 60.0), 7);
    // The machine sleeps.
    rig.now_ms += 5_000;
    rig.pass(20);
    rig.assert_void("stood still");
    rig.carry(command(&pump(), 60.0), 7);
    rig.pass(20);
    assert_eq!(rig.driven(), [pump()]);
}

#[test]
fn what_waits_is_void_once_the_time_of_a_part_of_its_plan_is_over() {
    for (waits_ms, driven) in [(100, vec![valve(), pump()]), (400, vec![valve()])] {
        let mut rig = Rig::new();
        let [first, second] = &plan(&[(&valve(), 0.2), (&pump(), 60.0)])[..] else { unreachable!() };
        rig.pass(20);
        rig.commits.commit(1);
        rig.carry(first.clone(), 1);
        rig.carry(second.clone(), 2);
        rig.pass(waits_ms);
        rig.commits.commit(2);
        rig.pass(20);
        assert_eq!(rig.driven(), driven, "after {waits_ms} ms");
    }
}

#[test]
fn nothing_is_driven_once_the_journal_has_failed_also_if_its_cause_was_written() {
    let mut rig = Rig::new();
    rig.pass(20);
    rig.commits.commit(7);
    rig.commits.fail("the disk is full");
    rig.carry(command(&pump(), 60.0), 7);
    rig.pass(20);
    rig.assert_void("the journal has failed since");
}

#[test]
fn nothing_is_driven_for_a_tick_that_has_fallen_silent() {
    let mut rig = Rig::new();
    rig.pass(20);
    rig.carry(command(&pump(), 60.0), 7);
    rig.pass_silently(LEASE_MS + 10);
    rig.commits.commit(7);
    rig.pass_silently(20);
    rig.assert_void("fallen silent");
}

#[test]
fn what_a_hand_holds_is_not_driven_whatever_its_driver_would_do() {
    let mut rig = Rig::new();
    rig.pass(20);
    rig.hardware.lock().is_held = true;
    rig.commits.commit(7);
    rig.carry(command(&pump(), 60.0), 7);
    rig.pass(20);
    rig.assert_void("local control");
}

#[test]
fn a_driver_that_panics_stops_everything_and_the_others_are_made_safe() {
    let mut rig = Rig::new();
    rig.pass(20);
    rig.commits.commit(7);
    rig.carry(command(&valve(), 60.0), 7);
    rig.pass(20);
    assert_eq!(rig.driven(), [valve()]);
    rig.hardware.lock().breaks_at = Some(pump());
    rig.pass(500);
    assert!(rig.latch.why().is_some_and(|why| why.contains("the driver of actuator:pump:main panicked")));
    rig.hardware.lock().breaks_at = None;
    let position = rig.hardware.read_back(&valve()).and_then(|seen| seen.position);
    assert_eq!(
        position,
        Some(Setpoint::Off),
        "the pump comes first, and its fault keeps nobody else from it"
    );
}
