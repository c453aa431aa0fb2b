//! Hardware of a lab node in virtual time, behind the real driver layer: parts that move and say how they stand. What they
//! are made to do wrong, a test says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use clawmesh_authority::{AuthorizedCommand, Capability, SafeStates, SafingCommand, Setpoint};
use clawmesh_core::intake::{InboxHandle, InboxLimits, Inboxes, InputBody, SourceId, doors};
use clawmesh_core::replay::CommitWatch;
use clawmesh_core::site::DriverPort;
use clawmesh_drivers::{Answered, Driver, DriverFault, DriverPorts, Layer, ReadBack, StopLatch, Taken};

use crate::guest::{Line, Manners};

/// What a node of the lab drives. It outlives the crash of its node.
pub trait Machinery: Send + Sync + 'static {
    /// The node has started: everything is made safe, nothing is owed to the run before, and the tick orders on the way that
    /// is returned. What is driven has to be durable by `commits`, and ordered since the last stop of `latch`.
    fn connect(&self, inbox: &InboxHandle, commits: CommitWatch, latch: StopLatch) -> Box<dyn DriverPort>;

    /// Lets time pass until `now_ms`, Unix milliseconds, and tells the tick through `inbox` what there is to tell.
    fn step(&self, now_ms: u64, inbox: &InboxHandle);
}

/// How long a part is on its way, milliseconds.
const STROKE_MS: u64 = 400;
/// How long the tick of a lab node may be silent before its drivers make safe what runs, milliseconds: as in a node.
pub const LEASE_MS: u64 = 1_000;

/// The hardware of one node. Clones share it, and it outlives the crash of its node.
#[derive(Clone)]
pub struct Hardware {
    parts: Arc<Mutex<Parts>>,
    wire: Arc<Mutex<Wire>>,
}

#[derive(Default)]
struct Parts {
    now_ms: u64,
    /// In the order in which they are made safe.
    order: Vec<Capability>,
    all: BTreeMap<Capability, Part>,
    /// Everything that was written, in order.
    writes: Vec<(Capability, Setpoint)>,
    /// Every call of the driver since somebody looked last, in order, also what the hardware refused.
    calls: Vec<DriverCall>,
}

/// One call of the driver, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriverCall {
    /// When, Unix milliseconds.
    pub at_ms: u64,
    /// What was driven.
    pub actuator: Capability,
    /// To where.
    pub setpoint: Setpoint,
    /// The command that drove it; nothing for what was made safe.
    pub command: Option<AuthorizedCommand>,
}

#[derive(Default)]
struct Part {
    is_on: bool,
    arrives_ms: u64,
    is_held: bool,
    is_dead: bool,
    is_stuck: bool,
    /// The line to it, for a part on a guest.
    line: Option<Line>,
}

/// The driver layer of the run that goes on, and what it says on its way to the tick.
#[derive(Default)]
struct Wire {
    layer: Option<(Layer, Inboxes)>,
    /// What was said when something was said last.
    said: Vec<InputBody>,
    /// What is said again.
    again: Vec<InputBody>,
    is_mute: bool,
}

impl Machinery for Hardware {
    fn connect(&self, _: &InboxHandle, commits: CommitWatch, latch: StopLatch) -> Box<dyn DriverPort> {
        // Doors of its own, so that what it says can be lost or doubled on its way.
        let (inbox, heard) = doors(InboxLimits::default());
        let (off, shuts_after) = {
            let parts = lock(&self.parts);
            (parts.order.clone().into_iter().map(|part| (part, Setpoint::Off)), parts.shuts_after())
        };
        let (mut layer, orders) = Layer::over(DriverPorts {
            driver: Box::new(Wires(Arc::clone(&self.parts))),
            safe_states: SafeStates::in_order(off),
            shuts_after,
            latch,
            inbox,
            commits,
            lease_ms: LEASE_MS,
        });
        layer.begin();
        let mut wire = lock(&self.wire);
        wire.again.clear();
        wire.layer = Some((layer, heard));
        Box::new(orders)
    }

    fn step(&self, now_ms: u64, inbox: &InboxHandle) {
        lock(&self.parts).now_ms = now_ms;
        let mut wire = lock(&self.wire);
        let mut reports = std::mem::take(&mut wire.again);
        if let Some((layer, heard)) = &mut wire.layer {
            layer.beat(now_ms);
            reports.extend(heard.take_state(usize::MAX).into_iter().map(|(input, _)| input.body));
        }
        if wire.is_mute || reports.is_empty() {
            return;
        }
        wire.said.clone_from(&reports);
        for report in reports {
            inbox.offer_own(SourceId::Drivers, report, None).expect("the lab never fills an inbox");
        }
    }
}

impl Hardware {
    /// Parts that are off, in the order in which they are made safe.
    #[must_use]
    pub fn with(parts: impl IntoIterator<Item = Capability>) -> Self {
        let order: Vec<Capability> = parts.into_iter().collect();
        let all = order.iter().map(|part| (part.clone(), Part::default())).collect();
        let parts = Parts { order, all, ..Parts::default() };
        Self { parts: Arc::new(Mutex::new(parts)), wire: Arc::default() }
    }

    /// Everything that was written so far, in order.
    #[must_use]
    pub fn writes(&self) -> Vec<(Capability, Setpoint)> {
        lock(&self.parts).writes.clone()
    }

    /// The calls of the driver since this was asked last, in order. They are kept until then; a lab does not live long.
    #[must_use]
    pub fn take_calls(&self) -> Vec<DriverCall> {
        std::mem::take(&mut lock(&self.parts).calls)
    }

    /// True while a part is on and has arrived.
    #[must_use]
    pub fn is_on(&self, part: &Capability) -> bool {
        let parts = lock(&self.parts);
        parts.all.get(part).is_some_and(|part| part.is_on && part.arrives_ms <= parts.now_ms)
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

    /// Moves a part to a guest, where nobody can read it back.
    pub fn give_to_guest(&self, part: &Capability) {
        self.change(part, |part| part.line = Some(Line::default()));
    }

    /// How the guest treats a part from now on.
    pub fn behave(&self, part: &Capability, manners: Manners) {
        self.change_line(part, |line| line.manners = manners);
    }

    /// Cuts the link to the guest of a part, or mends it.
    pub fn unlink(&self, part: &Capability, is_cut: bool) {
        self.change_line(part, |line| line.is_cut = is_cut);
    }

    /// Somebody at the guest turns a part by hand; nobody elsewhere is told.
    pub fn turn_by_hand(&self, part: &Capability, is_on: bool) {
        self.change(part, |part| part.is_on = is_on);
    }

    fn change_line(&self, part: &Capability, change: impl FnOnce(&mut Line)) {
        self.change(part, |part| change(part.line.as_mut().expect("the part is on a guest")));
    }

    /// Lets the driver layer work on and say nothing any more: no report of it reaches the tick.
    pub fn mute(&self) {
        lock(&self.wire).is_mute = true;
    }

    /// Says again what was said last, as a driver does that answers twice.
    pub fn repeat_last(&self) {
        let mut wire = lock(&self.wire);
        let said = wire.said.clone();
        wire.again.extend(said);
    }

    fn change(&self, part: &Capability, change: impl FnOnce(&mut Part)) {
        change(lock(&self.parts).all.get_mut(part).expect("the hardware has this part"));
    }
}

/// The wires from the driver layer to the parts.
struct Wires(Arc<Mutex<Parts>>);

impl Driver for Wires {
    fn drive(&mut self, command: &AuthorizedCommand) -> Result<Taken, DriverFault> {
        let mut parts = lock(&self.0);
        parts.note(command.actuator(), command.setpoint(), Some(command.clone()));
        parts.write(command.actuator(), command.setpoint(), false)
    }

    fn make_safe(&mut self, command: &SafingCommand) -> Result<Taken, DriverFault> {
        let mut parts = lock(&self.0);
        parts.note(command.actuator(), command.setpoint(), None);
        parts.write(command.actuator(), command.setpoint(), true)
    }

    fn read_back(&mut self, actuator: &Capability) -> Option<ReadBack> {
        let parts = lock(&self.0);
        let part = parts.all.get(actuator).filter(|part| !part.is_dead)?;
        if let Some(line) = &part.line {
            return (!line.is_cut).then_some(ReadBack { position: None, local_control: false });
        }
        let position = if part.is_on { Setpoint::On } else { Setpoint::Off };
        let has_arrived = part.arrives_ms <= parts.now_ms;
        Some(ReadBack { position: has_arrived.then_some(position), local_control: part.is_held })
    }

    fn heard(&mut self) -> Option<Answered> {
        let mut parts = lock(&self.0);
        let now_ms = parts.now_ms;
        parts.all.iter_mut().find_map(|(actuator, part)| {
            let outcome = part.line.as_mut()?.answered(now_ms)?;
            Some(Answered { actuator: actuator.clone(), outcome })
        })
    }
}

impl Parts {
    /// In a lab all water comes through what is made safe first.
    fn shuts_after(&self) -> BTreeMap<Capability, BTreeSet<Capability>> {
        let Some((first, others)) = self.order.split_first() else { return BTreeMap::new() };
        if self.all.get(first).is_none_or(|part| part.line.is_none()) {
            return BTreeMap::new();
        }
        others.iter().map(|part| (part.clone(), BTreeSet::from([first.clone()]))).collect()
    }

    fn note(&mut self, actuator: &Capability, setpoint: Setpoint, command: Option<AuthorizedCommand>) {
        self.calls.push(DriverCall { at_ms: self.now_ms, actuator: actuator.clone(), setpoint, command });
    }

    fn write(
        &mut self,
        actuator: &Capability,
        setpoint: Setpoint,
        is_safing: bool,
    ) -> Result<Taken, DriverFault> {
        let part = self.all.get_mut(actuator).ok_or_else(|| DriverFault::Unknown(actuator.clone()))?;
        match (part.is_held, part.is_dead) {
            (true, _) => return Err(DriverFault::LocalControl(actuator.clone())),
            (_, true) => return Err(DriverFault::NoAnswer(actuator.clone())),
            _ => {}
        }
        let (taken, is_done) = match &mut part.line {
            None => (Taken::Done, true),
            Some(line) => (Taken::Asked, line.ask(actuator, is_safing, self.now_ms)?),
        };
        self.writes.push((actuator.clone(), setpoint));
        if is_done && !part.is_stuck && part.is_on != (setpoint == Setpoint::On) {
            part.is_on = setpoint == Setpoint::On;
            part.arrives_ms = self.now_ms + STROKE_MS;
        }
        Ok(taken)
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
