//! Hardware of a lab node in virtual time: it takes orders as the driver layer does, moves, and says how it stands. What it is
//! made to do wrong, a test says.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use clawmesh_authority::{AuthorizedCommand, Capability, ProposalId, Setpoint};
use clawmesh_core::intake::{ActuatorReport, DriverReport, InboxHandle, InputBody, SafeBecause, SourceId};
use clawmesh_core::replay::CommitWatch;
use clawmesh_core::site::{DriverPort, NoPlace};

/// What a node of the lab drives. It outlives the crash of its node.
pub trait Machinery: Send + Sync + 'static {
    /// The node has started: everything is made safe, nothing is owed to the run before, and the tick orders on the way that
    /// is returned. What is driven has to be durable by `commits`.
    fn connect(&self, inbox: &InboxHandle, commits: CommitWatch) -> Box<dyn DriverPort>;

    /// Lets time pass until `now_ms`, Unix milliseconds, and tells the tick through `inbox` what there is to tell.
    fn step(&self, now_ms: u64, inbox: &InboxHandle);
}

/// How long a part is on its way, milliseconds.
const STROKE_MS: u64 = 400;

/// The hardware of one node. Clones share it, and it outlives the crash of its node.
#[derive(Clone, Default)]
pub struct Hardware(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    now_ms: u64,
    parts: BTreeMap<Capability, Part>,
    /// In the order in which they are made safe.
    order: Vec<Capability>,
    orders: VecDeque<Order>,
    told: BTreeMap<Capability, ActuatorReport>,
    reports: VecDeque<DriverReport>,
    /// What was said when something was said last.
    said: Vec<DriverReport>,
    /// Everything that was written, in order.
    writes: Vec<(Capability, Setpoint)>,
    is_mute: bool,
    hesitates: bool,
}

#[derive(Default)]
struct Part {
    is_on: bool,
    arrives_ms: u64,
    is_held: bool,
    is_dead: bool,
    is_stuck: bool,
    duty: Option<(ProposalId, u64)>,
}

enum Order {
    Carry(AuthorizedCommand),
    MakeSafe(BTreeSet<Capability>, String),
}

impl DriverPort for Hardware {
    fn carry(&self, command: AuthorizedCommand, _: u64, _: u64) -> Result<(), NoPlace> {
        self.lock().orders.push_back(Order::Carry(command));
        Ok(())
    }

    fn make_safe(&self, actuators: BTreeSet<Capability>, why: &str) -> Result<(), NoPlace> {
        self.lock().orders.push_back(Order::MakeSafe(actuators, why.to_owned()));
        Ok(())
    }

    fn renew(&self) {}
}

impl Machinery for Hardware {
    fn connect(&self, _: &InboxHandle, _: CommitWatch) -> Box<dyn DriverPort> {
        let mut state = self.lock();
        state.orders.clear();
        state.reports.clear();
        state.told.clear();
        let all = state.order.clone();
        state.make_safe(&all, &SafeBecause::Started);
        drop(state);
        Box::new(self.clone())
    }

    fn step(&self, now_ms: u64, inbox: &InboxHandle) {
        let mut state = self.lock();
        state.now_ms = now_ms;
        state.take_orders();
        state.end_what_is_due();
        state.look();
        if state.is_mute {
            state.reports.clear();
        }
        if !state.reports.is_empty() {
            state.said = state.reports.iter().cloned().collect();
        }
        for report in state.reports.drain(..) {
            inbox
                .offer_own(SourceId::Drivers, InputBody::Driver(report), None)
                .expect("the lab never fills an inbox");
        }
    }
}

impl Hardware {
    /// Parts that are off, in the order in which they are made safe.
    #[must_use]
    pub fn with(parts: impl IntoIterator<Item = Capability>) -> Self {
        let hardware = Self::default();
        let mut state = hardware.lock();
        state.order = parts.into_iter().collect();
        state.parts = state.order.iter().map(|part| (part.clone(), Part::default())).collect();
        drop(state);
        hardware
    }

    /// Everything that was written so far, in order.
    #[must_use]
    pub fn writes(&self) -> Vec<(Capability, Setpoint)> {
        self.lock().writes.clone()
    }

    /// True while a part is on and has arrived.
    #[must_use]
    pub fn is_on(&self, part: &Capability) -> bool {
        let state = self.lock();
        state.parts.get(part).is_some_and(|part| part.is_on && part.arrives_ms <= state.now_ms)
    }

    /// Lays a hand on a part, or takes it off.
    pub fn hold(&self, part: &Capability, is_held: bool) {
        self.change(part, |part| part.is_held = is_held);
    }

    /// Cuts the cable of a part, or mends it.
    pub fn cut(&self, part: &Capability, is_dead: bool) {
        self.change(part, |part| part.is_dead = is_dead);
    }

    /// Lets a part take every command and not move.
    pub fn jam(&self, part: &Capability) {
        self.change(part, |part| part.is_stuck = true);
    }

    /// Lets the driver keep orders and not carry them out yet, as it does while the journal is slow.
    pub fn hesitate(&self) {
        self.lock().hesitates = true;
    }

    /// Lets the driver take orders and say nothing any more.
    pub fn mute(&self) {
        self.lock().is_mute = true;
    }

    /// Says again what was said last, as a driver does that answers twice.
    pub fn repeat_last(&self) {
        let mut state = self.lock();
        let said = state.said.clone();
        state.reports.extend(said);
    }

    fn change(&self, part: &Capability, change: impl FnOnce(&mut Part)) {
        change(self.lock().parts.get_mut(part).expect("the hardware has this part"));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take_orders(&mut self) {
        if self.hesitates {
            return;
        }
        while let Some(order) = self.orders.pop_front() {
            match order {
                Order::Carry(command) => self.carry(&command),
                Order::MakeSafe(actuators, why) => {
                    let meant: Vec<Capability> =
                        self.order.iter().filter(|part| actuators.contains(*part)).cloned().collect();
                    self.make_safe(&meant, &SafeBecause::Ordered(why));
                }
            }
        }
    }

    fn carry(&mut self, command: &AuthorizedCommand) {
        let (proposal, step, now_ms) = (command.proposal(), command.step(), self.now_ms);
        let Some(part) = self.parts.get_mut(command.actuator()) else { return };
        if part.is_held || part.is_dead {
            let why = format!("{} cannot be driven", command.actuator());
            self.reports.push_back(DriverReport::NotCarried { proposal, step, why });
            return;
        }
        part.duty = command.run_for_ms().map(|run_for_ms| (proposal, now_ms + run_for_ms));
        self.write(command.actuator(), command.setpoint());
        self.reports.push_back(DriverReport::Carried { proposal, step });
    }

    fn write(&mut self, part: &Capability, setpoint: Setpoint) {
        self.writes.push((part.clone(), setpoint));
        let now_ms = self.now_ms;
        let Some(part) = self.parts.get_mut(part).filter(|part| !part.is_stuck) else { return };
        if part.is_on != (setpoint == Setpoint::On) {
            part.is_on = setpoint == Setpoint::On;
            part.arrives_ms = now_ms + STROKE_MS;
        }
    }

    fn end_what_is_due(&mut self) {
        let over: BTreeSet<ProposalId> = self
            .parts
            .values()
            .filter_map(|part| part.duty.filter(|(_, until_ms)| *until_ms <= self.now_ms))
            .map(|(proposal, _)| proposal)
            .collect();
        let is_over = |part: &Part| part.duty.is_some_and(|(proposal, _)| over.contains(&proposal));
        let due: Vec<Capability> =
            self.order.iter().filter(|name| is_over(&self.parts[*name])).cloned().collect();
        self.make_safe(&due, &SafeBecause::TimeIsOver);
    }

    fn make_safe(&mut self, parts: &[Capability], because: &SafeBecause) {
        for actuator in parts {
            let Some(part) = self.parts.get_mut(actuator) else { continue };
            let proposal = part.duty.take().map(|(proposal, _)| proposal);
            let fault = match (part.is_held, part.is_dead) {
                (true, _) => Some(format!("{actuator} is under local control and was left alone")),
                (_, true) => Some(format!("{actuator} does not answer")),
                _ => None,
            };
            if fault.is_none() && part.is_on {
                self.write(actuator, Setpoint::Off);
            }
            let (actuator, because) = (actuator.clone(), because.clone());
            self.reports.push_back(DriverReport::MadeSafe { actuator, because, proposal, fault });
        }
    }

    fn look(&mut self) {
        for (name, part) in &self.parts {
            let position = if part.is_on { Setpoint::On } else { Setpoint::Off };
            let seen = ActuatorReport {
                answers: !part.is_dead,
                position: (!part.is_dead && part.arrives_ms <= self.now_ms).then_some(position),
                local_control: part.is_held,
            };
            if self.told.get(name) != Some(&seen) {
                self.told.insert(name.clone(), seen);
                self.reports.push_back(DriverReport::Seen { actuator: name.clone(), seen });
            }
        }
    }
}
