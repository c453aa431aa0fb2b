//! What drives, beat by beat: orders in, writes out, deadlines and the stop in between. It reads no clock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use clawmesh_authority::{AuthorizedCommand, Capability, ProposalId, SafeStates, SafingCommand};
use clawmesh_core::intake::{
    ActuatorReport, DriverReport, InDoubt, InboxHandle, InputBody, SafeBecause, SourceId,
};
use clawmesh_core::replay::CommitWatch;
use crossbeam_channel::Select;

use crate::driver::{Answered, Driver, DriverFault, Taken};
use crate::duties::Duties;
use crate::guarded::Guarded;
use crate::latch::StopLatch;
use crate::orders::{Order, OrderBook, Orders, orders};
use crate::under_way::{Asked, Safing, UnderWay};

/// How often actuators are read back, milliseconds.
const LOOK_EVERY_MS: u64 = 200;
/// The most commands that wait for the journal.
const WAITING_MAX: usize = 64;
/// How long a command waits for the journal before it is given up, milliseconds.
const WAIT_MS_MAX: u64 = 5_000;
/// How long after an answer that it could not be made safe it is asked for again, milliseconds; twice as long each time.
const ASK_AGAIN_MS: u64 = 3_000;
/// The longest time between two such questions, milliseconds.
const ASK_AGAIN_MS_MAX: u64 = 30_000;
/// How long what comes later in the order of the site waits for what was asked before it, milliseconds.
const TURN_MS_MAX: u64 = 3_000;
/// The most reports that wait for the tick.
const UNSAID_MAX: usize = 1_024;

/// What the driver layer is made of.
pub struct DriverPorts {
    /// The hardware.
    pub driver: Box<dyn Driver>,
    /// The safe state of every actuator, in the order of the site.
    pub safe_states: SafeStates,
    /// The stop.
    pub latch: StopLatch,
    /// Where the tick is told.
    pub inbox: InboxHandle,
    /// How far the journal is durable.
    pub commits: CommitWatch,
    /// How long the tick may be silent before what runs is made safe, milliseconds.
    pub lease_ms: u64,
}

/// A command whose cause is not durable yet.
struct Waiting {
    command: AuthorizedCommand,
    cause: u64,
    stamp: Option<u64>,
    until_ms: u64,
}

/// The driver layer without a thread: whoever holds it says what time it is and lets a beat happen. A node gives it a thread,
/// [`crate::DriverLayer`]; a lab gives it virtual time.
pub struct Layer {
    ports: DriverPorts,
    book: OrderBook,
    /// Milliseconds of whoever holds it, as of the last beat.
    now_ms: u64,
    stops_seen: u64,
    was_mute: bool,
    duties: Duties,
    waiting: VecDeque<Waiting>,
    /// What the tick was told last of each actuator.
    told: BTreeMap<Capability, ActuatorReport>,
    /// What the tick had no place for yet.
    unsaid: VecDeque<DriverReport>,
    /// What hardware was asked for and has not answered.
    under_way: UnderWay,
    /// What is to be made safe after something that was asked and has not answered, by its place in the order of the site.
    later: BTreeMap<usize, Later>,
    /// What could not be made safe: it is tried again as long as that is so.
    owed: BTreeMap<Capability, Owed>,
    looked_ms: u64,
}

/// What could not be made safe, and why it should be.
#[derive(Debug, Clone)]
struct Owed {
    because: SafeBecause,
    /// It is not tried again before.
    not_before_ms: u64,
    /// How long it was waited after the last answer, milliseconds.
    pause_ms: u64,
}

/// What waits for its turn, until when, and why it is to be made safe.
#[derive(Debug)]
struct Later {
    because: SafeBecause,
    until_ms: u64,
}

impl Layer {
    /// A layer that has done nothing yet, and the way on which the tick orders.
    #[must_use]
    pub fn over(mut ports: DriverPorts) -> (Self, Orders) {
        let (sender, book) = orders(ports.latch.clone());
        ports.driver = Box::new(Guarded::new(ports.driver, ports.latch.clone()));
        let layer = Self {
            ports,
            book,
            now_ms: 0,
            stops_seen: 0,
            was_mute: false,
            duties: Duties::default(),
            waiting: VecDeque::new(),
            told: BTreeMap::new(),
            unsaid: VecDeque::new(),
            under_way: UnderWay::default(),
            later: BTreeMap::new(),
            owed: BTreeMap::new(),
            looked_ms: 0,
        };
        (layer, sender)
    }

    /// Makes every actuator safe; comes before the first beat.
    pub fn begin(&mut self) {
        self.make_all_safe(&SafeBecause::Started);
        // A stop that was there before us is answered by the line above.
        self.stops_seen = self.ports.latch.stops();
    }

    /// One beat at `now_ms`, by a clock that never runs backwards: hears the stop and the orders, drives what is durable, ends
    /// what is due, and looks at the actuators from time to time.
    pub fn beat(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
        if self.book.was_renewed() {
            self.duties.renew(now_ms);
        }
        // By their number, so that a stop is seen even if somebody re-armed before we looked.
        let stops = self.ports.latch.stops();
        if stops != self.stops_seen {
            self.stop(stops);
        }
        self.stops_seen = stops;
        let is_mute = self.ports.commits.failure().is_some();
        if is_mute && !self.was_mute {
            self.make_all_safe(&SafeBecause::JournalFailed);
        }
        self.was_mute = is_mute;
        self.hear();
        self.take_turns();
        self.take_orders();
        self.carry_what_is_durable();
        self.end_what_is_due();
        self.say();
        if self.now_ms.saturating_sub(self.looked_ms) >= LOOK_EVERY_MS {
            self.look();
        }
    }

    /// Makes everything safe for the last time. Nothing is driven after this, and no beat follows.
    pub fn end(&mut self) {
        self.make_all_safe(&SafeBecause::NodeEnds);
    }

    /// True when the turn of everything has come since the end, which is so within a few seconds.
    pub fn has_ended(&mut self, now_ms: u64) -> bool {
        self.now_ms = now_ms;
        self.hear();
        self.take_turns();
        self.later.is_empty()
    }

    /// Waits for the next order or the stop, and no longer than `patience`.
    pub(crate) fn wait(&self, patience: Duration) {
        let woken = self.ports.latch.woken();
        let mut either = Select::new();
        either.recv(&self.book.queue);
        either.recv(woken);
        let _ = either.ready_timeout(patience);
        // Being woken once is enough for one beat; what was ordered stays where it is until then.
        let _ = woken.try_recv();
    }

    fn take_orders(&mut self) {
        while let Ok(order) = self.book.queue.try_recv() {
            self.take(order);
            if self.ports.latch.is_set() {
                return;
            }
        }
    }

    fn take(&mut self, order: Order) {
        match order {
            Order::MakeSafe { actuators, why } => self.make_safe(&actuators, &SafeBecause::Ordered(why)),
            Order::Carry { command, .. } if self.waiting.len() >= WAITING_MAX => {
                self.give_up(&command, "too many commands wait for the journal");
            }
            Order::Carry { command, cause, stamp } => {
                let until_ms = self.now_ms + WAIT_MS_MAX;
                self.waiting.push_back(Waiting { command, cause, stamp, until_ms });
            }
        }
    }

    /// Nothing is driven before the row that caused it is durable, and nothing in another order than it was ordered.
    fn carry_what_is_durable(&mut self) {
        let (now_ms, committed) = (self.now_ms, self.ports.commits.committed());
        while let Some(first) = self.waiting.front() {
            let (is_durable, has_failed) = (first.cause <= committed, self.ports.commits.failure().is_some());
            if !is_durable && !has_failed && first.until_ms > now_ms {
                return;
            }
            if let Some(Waiting { command, stamp, .. }) = self.waiting.pop_front() {
                match (is_durable, has_failed) {
                    (true, false) => self.carry(&command, stamp),
                    // What is done without a journal could not be told of any more, also if its cause was still written.
                    (true, true) => self.give_up(&command, "the journal has failed since"),
                    (false, _) => self.give_up(&command, "the journal did not write its cause down in time"),
                }
            }
        }
    }

    fn carry(&mut self, command: &AuthorizedCommand, stamp: Option<u64>) {
        // Read last, right before the write: whoever stopped us in the meantime is heard. What was ordered before a stop,
        // or while it was latched, is void for ever.
        if self.ports.latch.is_set() || stamp != Some(self.ports.latch.stops()) {
            return self.give_up(command, "it was ordered before the last stop ended");
        }
        if self.duties.is_lease_lost(self.now_ms, self.ports.lease_ms) {
            return self.give_up(command, "the tick has fallen silent since");
        }
        if self.waits_for_its_turn(command.actuator()) {
            return self.give_up(command, "it is to be made safe first");
        }
        let seen = self.ports.driver.read_back(command.actuator());
        if seen.is_some_and(|seen| seen.local_control) {
            self.give_up(command, &DriverFault::LocalControl(command.actuator().clone()).to_string());
            return self.look_at(command.actuator());
        }
        match self.ports.driver.drive(command) {
            Ok(taken) => {
                // What was asked to be off may be on until it has said that it is not; what was asked to be on, from now.
                if taken == Taken::Done || !is_off(command) {
                    self.begin_duty(command);
                }
                match taken {
                    Taken::Done => self.carried(command),
                    Taken::Asked => self.under_way.command(command),
                }
            }
            Err(fault) => self.give_up(command, &fault.to_string()),
        }
        self.look_at(command.actuator());
    }

    fn begin_duty(&mut self, command: &AuthorizedCommand) {
        // Somebody may switch on what could not be switched off: then nobody owes its safe state any more.
        self.owed.remove(command.actuator());
        self.duties.begin(command, self.now_ms);
    }

    fn carried(&mut self, command: &AuthorizedCommand) {
        let (proposal, step) = (command.proposal(), command.step());
        self.tell(DriverReport::Carried { proposal, step });
    }

    /// Takes what hardware has answered. A command that it did not take, or of which nobody knows, is a duty still: the tick has
    /// it made safe, and without a tick the lease.
    fn hear(&mut self) {
        while let Some(Answered { actuator, outcome }) = self.ports.driver.heard() {
            match (self.under_way.answered(&actuator), outcome) {
                (Some(Asked::Command(command)), Ok(())) => {
                    if is_off(&command) {
                        self.begin_duty(&command);
                    }
                    self.carried(&command);
                }
                (Some(Asked::Command(command)), Err(fault)) => self.was_not_taken(&command, &fault),
                (Some(Asked::Safe(safing)), outcome) => {
                    let fault = outcome.err().map(|fault| fault.to_string());
                    self.was_made_safe(&actuator, safing, fault, true);
                }
                // It was given up.
                (None, _) => {}
            }
            self.look_at(&actuator);
        }
    }

    fn was_not_taken(&mut self, command: &AuthorizedCommand, fault: &DriverFault) {
        if is_off(command) {
            let because = SafeBecause::Ordered("it was to be off".to_owned());
            self.owe(command.actuator(), because, true);
        }
        match fault {
            DriverFault::InDoubt { .. } => self.leave_in_doubt(command, &fault.to_string()),
            _ => self.give_up(command, &fault.to_string()),
        }
    }

    /// It has not happened, and will not.
    fn give_up(&mut self, command: &AuthorizedCommand, why: &str) {
        self.not_carried(command, why, None);
    }

    /// Nobody waits for it any more, and it may have happened or still happen.
    fn leave_in_doubt(&mut self, command: &AuthorizedCommand, why: &str) {
        let actuator = command.actuator().clone();
        let in_doubt = InDoubt { actuator, run_for_ms: command.run_for_ms().unwrap_or_default() };
        self.not_carried(command, why, Some(in_doubt));
    }

    fn not_carried(&mut self, command: &AuthorizedCommand, why: &str, in_doubt: Option<InDoubt>) {
        let (proposal, step) = (command.proposal(), command.step());
        tracing::warn!("{} was not driven: {why}", command.actuator());
        self.tell(DriverReport::NotCarried { proposal, step, why: why.to_owned(), in_doubt });
    }

    fn end_what_is_due(&mut self) {
        if let Some((actuators, because)) = self.duties.due(self.now_ms, self.ports.lease_ms) {
            self.make_safe(&actuators, &because);
        }
    }

    fn stop(&mut self, stops: u64) {
        while let Some(Waiting { command, .. }) = self.waiting.pop_front() {
            self.give_up(&command, "it was ordered before the last stop ended");
        }
        self.make_all_safe(&SafeBecause::Stopped { stops });
    }

    fn make_all_safe(&mut self, because: &SafeBecause) {
        for (place, safing) in self.ports.safe_states.all().to_vec().iter().enumerate() {
            self.in_its_turn(place, safing, because);
        }
    }

    /// In the order of the site, whatever order they are given in.
    fn make_safe(&mut self, actuators: &BTreeSet<Capability>, because: &SafeBecause) {
        self.void_what_waits(actuators, because);
        for (place, safing) in self.ports.safe_states.all().to_vec().iter().enumerate() {
            if actuators.contains(safing.actuator()) {
                self.in_its_turn(place, safing, because);
            }
        }
        for actuator in actuators.iter().filter(|actuator| self.ports.safe_states.of(actuator).is_none()) {
            tracing::error!("the site declares no safe state of {actuator}");
        }
    }

    /// At once, unless something before it in the order was asked and has not answered: a valve does not shut against a pump
    /// that has only been asked to stop. It waits for a few seconds at most, from when it was ordered first.
    fn in_its_turn(&mut self, place: usize, safing: &SafingCommand, because: &SafeBecause) {
        if !self.must_wait(place) {
            self.later.remove(&place);
            return self.bring_about(safing, because);
        }
        // It waits to be switched off, and what was to switch it on does not wait with it.
        self.ports.driver.give_up(safing.actuator());
        self.drop_command(safing.actuator(), because);
        let until_ms = self.now_ms.saturating_add(TURN_MS_MAX);
        let later = self.later.entry(place).or_insert_with(|| Later { because: because.clone(), until_ms });
        if matches!(because, SafeBecause::Stopped { .. }) {
            later.because = because.clone();
        }
    }

    fn must_wait(&self, place: usize) -> bool {
        let mut before = self.ports.safe_states.all().iter().take(place);
        self.later.range(..place).next().is_some()
            || before.any(|safing| self.under_way.is_being_made_safe(safing.actuator()))
    }

    fn waits_for_its_turn(&self, actuator: &Capability) -> bool {
        let all = self.ports.safe_states.all();
        self.later.keys().any(|place| all.get(*place).is_some_and(|safing| safing.actuator() == actuator))
    }

    /// Those whose turn has come, or who have waited long enough.
    fn take_turns(&mut self) {
        for (place, Later { because, until_ms }) in std::mem::take(&mut self.later) {
            if self.must_wait(place) && self.now_ms < until_ms {
                self.later.insert(place, Later { because, until_ms });
            } else if let Some(safing) = self.ports.safe_states.all().get(place).cloned() {
                self.bring_about(&safing, &because);
            }
        }
    }

    /// What is to be safe is not switched on by what was ordered before and waits for the journal; nor is anything else of a
    /// proposal of which a part ends.
    fn void_what_waits(&mut self, actuators: &BTreeSet<Capability>, because: &SafeBecause) {
        let ending: BTreeSet<ProposalId> =
            actuators.iter().filter_map(|actuator| self.duties.proposal_of(actuator)).collect();
        let is_void = |command: &AuthorizedCommand| {
            actuators.contains(command.actuator()) || ending.contains(&command.proposal())
        };
        let (void, waiting): (VecDeque<_>, VecDeque<_>) =
            self.waiting.drain(..).partition(|waiting| is_void(&waiting.command));
        self.waiting = waiting;
        for Waiting { command, .. } in void {
            self.give_up(&command, &format!("it was to be made safe before it was carried out ({because})"));
        }
    }

    /// Has it made safe, and says what became of it as soon as that is known.
    fn bring_about(&mut self, safing: &SafingCommand, because: &SafeBecause) {
        let actuator = safing.actuator();
        let proposal = self.duties.proposal_of(actuator);
        self.drop_command(actuator, because);
        let written = self.write_safe(safing);
        self.duties.end(actuator);
        let safe = Safing { because: because.clone(), proposal, is_again: false };
        match written {
            Ok(Taken::Done) => self.was_made_safe(actuator, safe, None, false),
            Ok(Taken::Asked) => self.under_way.safe(actuator, safe),
            Err(fault) => self.was_made_safe(actuator, safe, Some(fault), false),
        }
        self.look_at(actuator);
    }

    fn drop_command(&mut self, actuator: &Capability, because: &SafeBecause) {
        if let Some(command) = self.under_way.give_up(actuator) {
            self.leave_in_doubt(
                &command,
                &format!("it was to be made safe before it was answered ({because})"),
            );
        }
    }

    /// Says what became of it; what could not be made safe is tried again, after a while if it was asked.
    fn was_made_safe(&mut self, actuator: &Capability, safe: Safing, fault: Option<String>, was_asked: bool) {
        let Safing { because, proposal, is_again } = safe;
        match &fault {
            None => {
                self.owed.remove(actuator);
                if is_again {
                    tracing::info!("{actuator} is safe now ({because})");
                }
            }
            Some(fault) => {
                self.owe(actuator, because.clone(), was_asked);
                if is_again {
                    return;
                }
                tracing::error!("{actuator} could not be made safe ({because}): {fault}");
            }
        }
        // First why, then how it stands: whoever follows a run must not take its end for a failure.
        self.tell(DriverReport::MadeSafe { actuator: actuator.clone(), because, proposal, fault });
    }

    /// The first times soon, then ever later: an existing node takes a hundred messages a minute.
    fn owe(&mut self, actuator: &Capability, because: SafeBecause, was_asked: bool) {
        let before_ms = self.owed.get(actuator).map_or(0, |owed| owed.pause_ms);
        let pause_ms = if was_asked { (2 * before_ms).clamp(ASK_AGAIN_MS, ASK_AGAIN_MS_MAX) } else { 0 };
        let not_before_ms = self.now_ms.saturating_add(pause_ms);
        self.owed.insert(actuator.clone(), Owed { because, not_before_ms, pause_ms });
    }

    fn try_again(&mut self) {
        for (actuator, Owed { because, not_before_ms, .. }) in self.owed.clone() {
            if not_before_ms > self.now_ms || self.under_way.is_asked(&actuator) {
                continue;
            }
            let Some(safing) = self.ports.safe_states.of(&actuator).cloned() else { continue };
            let safe = Safing { because, proposal: None, is_again: true };
            match self.write_safe(&safing) {
                Ok(Taken::Done) => {
                    self.was_made_safe(&actuator, safe, None, false);
                    self.look_at(&actuator);
                }
                Ok(Taken::Asked) => self.under_way.safe(&actuator, safe),
                // It is not there: as soon as it is, it is asked.
                Err(_) => self.owe(&actuator, safe.because, false),
            }
        }
    }

    /// Written only if it differs, never against a hand. Says why it is not safe, if it is not.
    fn write_safe(&mut self, safing: &SafingCommand) -> Result<Taken, String> {
        let actuator = safing.actuator();
        let seen = self.ports.driver.read_back(actuator);
        let is_held = seen.is_some_and(|seen| seen.local_control);
        let is_safe = seen.is_some_and(|seen| seen.position == Some(safing.setpoint()));
        match (is_held, is_safe) {
            (true, _) => Err(format!("{actuator} is under local control and was left alone")),
            (false, true) => Ok(Taken::Done),
            (false, false) => self.ports.driver.make_safe(safing).map_err(|fault| fault.to_string()),
        }
    }

    fn look(&mut self) {
        self.looked_ms = self.now_ms;
        self.try_again();
        for safing in self.ports.safe_states.all().to_vec() {
            self.look_at(safing.actuator());
        }
    }

    fn look_at(&mut self, actuator: &Capability) {
        let seen = match self.ports.driver.read_back(actuator) {
            Some(seen) => {
                ActuatorReport { answers: true, position: seen.position, local_control: seen.local_control }
            }
            None => ActuatorReport { answers: false, position: None, local_control: false },
        };
        if self.told.get(actuator) != Some(&seen) {
            self.tell(DriverReport::Seen { actuator: actuator.clone(), seen });
            self.told.insert(actuator.clone(), seen);
        }
    }

    /// A full inbox keeps nobody from driving: what has no place there waits here, in order.
    fn tell(&mut self, report: DriverReport) {
        if self.unsaid.len() >= UNSAID_MAX {
            self.unsaid.pop_front();
            // How everything stands is said again, whatever was lost.
            self.told.clear();
            tracing::error!("the tick does not listen to its drivers; the oldest report is dropped");
        }
        self.unsaid.push_back(report);
        self.say();
    }

    fn say(&mut self) {
        while let Some(report) = self.unsaid.front() {
            let body = InputBody::Driver(report.clone());
            if self.ports.inbox.offer_own(SourceId::Drivers, body, None).is_err() {
                return;
            }
            self.unsaid.pop_front();
        }
    }
}

/// Whether it switches off: only what is switched on has a time.
fn is_off(command: &AuthorizedCommand) -> bool {
    command.run_for_ms().is_none()
}
