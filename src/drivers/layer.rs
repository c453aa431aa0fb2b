//! What drives, beat by beat: orders in, writes out, deadlines and the stop in between. It reads no clock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use clawmesh_authority::{AuthorizedCommand, Capability, ProposalId, SafeStates, SafingCommand};
use clawmesh_core::intake::{
    ActuatorReport, DriverReport, InDoubt, InboxHandle, InputBody, SafeBecause, SourceId,
};
use clawmesh_core::replay::CommitWatch;
use clawmesh_core::site::IN_DOUBT_MS_MIN;
use crossbeam_channel::Select;

use crate::driver::{Answered, Driver, DriverFault, Taken};
use crate::duties::Duties;
use crate::guarded::Guarded;
use crate::latch::StopLatch;
use crate::orders::{Order, OrderBook, Orders, orders};
use crate::owed::Owed;
use crate::turns::{Turn, Turns};
use crate::under_way::{Asked, Safing, UnderWay};

/// How often actuators are read back, milliseconds.
const LOOK_EVERY_MS: u64 = 200;
/// The most commands that wait for the journal.
const WAITING_MAX: usize = 64;
/// How long a command waits for the journal before it is given up, milliseconds.
const WAIT_MS_MAX: u64 = 5_000;
/// The most reports that wait for the tick.
const UNSAID_MAX: usize = 1_024;

/// What the driver layer is made of.
pub struct DriverPorts {
    /// The hardware.
    pub driver: Box<dyn Driver>,
    /// The safe state of every actuator, in the order of the site.
    pub safe_states: SafeStates,
    /// The valves that do not shut before these have answered: pumps on other nodes that feed them.
    pub shuts_after: BTreeMap<Capability, BTreeSet<Capability>>,
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
    /// True in a beat before which there was none for as long as a command may wait.
    stood_still: bool,
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
    /// What is to be made safe after something that was asked and has not answered.
    turns: Turns,
    /// What could not be made safe: it is tried again as long as that is so.
    owed: Owed,
    /// What took its safe state and was told nothing else since.
    at_rest: BTreeSet<Capability>,
    /// Until when a command that nobody knows the outcome of may still be carried out.
    doubted_until_ms: BTreeMap<Capability, u64>,
    looked_ms: u64,
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
            stood_still: false,
            stops_seen: 0,
            was_mute: false,
            duties: Duties::default(),
            waiting: VecDeque::new(),
            told: BTreeMap::new(),
            unsaid: VecDeque::new(),
            under_way: UnderWay::default(),
            turns: Turns::default(),
            owed: Owed::default(),
            at_rest: BTreeSet::new(),
            doubted_until_ms: BTreeMap::new(),
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
        // What is in the queue now may have been decided before the machine stood still, or slept.
        self.stood_still = self.now_ms > 0 && now_ms.saturating_sub(self.now_ms) >= WAIT_MS_MAX;
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
        self.turns.is_empty()
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
            Order::MakeSafe { actuators, why } => {
                let because = SafeBecause::Ordered(why);
                self.make_safe(&actuators.into_iter().map(|actuator| (actuator, because.clone())).collect());
            }
            Order::Carry { command, .. } if self.stood_still => {
                self.give_up(&command, "the drivers stood still since, and what held then may not hold now");
            }
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
            let is_late = first.until_ms <= now_ms;
            if !is_durable && !has_failed && !is_late {
                return;
            }
            if let Some(Waiting { command, stamp, .. }) = self.waiting.pop_front() {
                match (is_durable, has_failed) {
                    // What held when it was decided may not hold any more, and nobody has looked since.
                    (true, false) if is_late => {
                        self.give_up(&command, "its cause was not written down in time");
                    }
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
        let proposal = command.proposal();
        if self.turns.has(command.actuator())
            || self.turns.is_ending(proposal)
            || self.under_way.is_ending(proposal)
        {
            return self
                .give_up(command, "it, or what its proposal has switched on, is to be made safe first");
        }
        let seen = self.ports.driver.read_back(command.actuator());
        if seen.is_some_and(|seen| seen.local_control) {
            self.give_up(command, &DriverFault::LocalControl(command.actuator().clone()).to_string());
            return self.look_at(command.actuator());
        }
        match self.ports.driver.drive(command) {
            Ok(taken) => {
                self.at_rest.remove(command.actuator());
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
        let actuator = command.actuator();
        self.duties.begin(command, self.now_ms);
        // Somebody may switch on what could not be switched off: then nobody owes its safe state any more.
        let owed = self.owed.paid(actuator);
        let safe_state = self.ports.safe_states.of(actuator).map(SafingCommand::setpoint);
        if safe_state != Some(command.setpoint()) {
            return;
        }
        self.at_rest.insert(actuator.clone());
        // Whoever was told that it could not be made safe hears that it is.
        if let Some(because) = owed {
            let (actuator, proposal) = (actuator.clone(), None);
            self.tell(DriverReport::MadeSafe { actuator, because, proposal, fault: None });
        }
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
                    let was_asked = !matches!(outcome, Err(DriverFault::Unsent { .. }));
                    let fault = outcome.err().map(|fault| fault.to_string());
                    self.was_made_safe(&actuator, safing, fault, was_asked);
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
            self.owe(command.actuator(), because, !matches!(fault, DriverFault::Unsent { .. }));
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
        let until_ms = self.now_ms.saturating_add(in_doubt.run_for_ms.max(IN_DOUBT_MS_MIN));
        self.doubted_until_ms.insert(in_doubt.actuator.clone(), until_ms);
        self.not_carried(command, why, Some(in_doubt));
    }

    fn not_carried(&mut self, command: &AuthorizedCommand, why: &str, in_doubt: Option<InDoubt>) {
        let (proposal, step) = (command.proposal(), command.step());
        tracing::warn!("{} was not driven: {why}", command.actuator());
        self.tell(DriverReport::NotCarried { proposal, step, why: why.to_owned(), in_doubt });
    }

    fn end_what_is_due(&mut self) {
        let due = self.duties.due(self.now_ms, self.ports.lease_ms);
        if !due.is_empty() {
            self.make_safe(&due);
        }
    }

    fn stop(&mut self, stops: u64) {
        while let Some(Waiting { command, .. }) = self.waiting.pop_front() {
            self.give_up(&command, "it was ordered before the last stop ended");
        }
        self.make_all_safe(&SafeBecause::Stopped { stops });
    }

    fn make_all_safe(&mut self, because: &SafeBecause) {
        let all = self.ports.safe_states.all().iter();
        let all = all.map(|safing| (safing.actuator().clone(), because.clone())).collect();
        self.in_their_turn(&all);
    }

    fn make_safe(&mut self, actuators: &BTreeMap<Capability, SafeBecause>) {
        self.void_what_waits(actuators);
        self.in_their_turn(actuators);
    }

    /// At once and in the order of the site, whatever order they are given in; only a valve waits, for pumps that feed it, were
    /// asked to stop and have not answered.
    fn in_their_turn(&mut self, actuators: &BTreeMap<Capability, SafeBecause>) {
        for (actuator, because) in actuators {
            // Its duty ends here: what waits is not due a second time.
            let proposal = self.duties.proposal_of(actuator);
            self.duties.end(actuator);
            if self.ports.safe_states.of(actuator).is_none() {
                tracing::error!("the site declares no safe state of {actuator}");
                continue;
            }
            self.turns.wait(actuator, because, proposal, self.now_ms);
            // What was to switch it on does not wait with it.
            self.drop_command(actuator, because);
        }
        self.take_turns();
    }

    /// Those whose turn has come, or who have waited long enough.
    fn take_turns(&mut self) {
        if self.turns.is_empty() {
            return;
        }
        for safing in self.ports.safe_states.all().to_vec() {
            let must_wait = self.must_wait(safing.actuator());
            if let Some(turn) = self.turns.take(safing.actuator(), must_wait, self.now_ms) {
                self.bring_about(&safing, turn);
            }
        }
    }

    fn must_wait(&self, actuator: &Capability) -> bool {
        let pumps = self.ports.shuts_after.get(actuator);
        pumps.is_some_and(|pumps| pumps.iter().any(|pump| self.under_way.holds_up(pump)))
    }

    /// What is to be safe is not switched on by what was ordered before and waits for the journal; nor is anything else of a
    /// proposal of which a part ends.
    fn void_what_waits(&mut self, actuators: &BTreeMap<Capability, SafeBecause>) {
        let ending = actuators.iter();
        let ending = ending.filter_map(|(actuator, why)| Some((self.duties.proposal_of(actuator)?, why)));
        let ending: BTreeMap<ProposalId, &SafeBecause> = ending.collect();
        for waiting in std::mem::take(&mut self.waiting) {
            let command = &waiting.command;
            match actuators.get(command.actuator()).or(ending.get(&command.proposal()).copied()) {
                None => self.waiting.push_back(waiting),
                Some(why) => {
                    self.give_up(
                        command,
                        &format!("it was to be made safe before it was carried out ({why})"),
                    );
                }
            }
        }
    }

    /// Has it made safe, and says what became of it as soon as that is known.
    fn bring_about(&mut self, safing: &SafingCommand, turn: Turn) {
        let actuator = safing.actuator();
        let Turn { because, proposal, .. } = turn;
        // Whoever wants it now does not wait because somebody was refused before.
        self.owed.begin_anew(actuator);
        // What may have come on since nobody calls at rest.
        let is_at_rest = self.at_rest.contains(actuator)
            && self.doubted_until_ms.get(actuator).is_none_or(|until_ms| *until_ms <= self.now_ms);
        let is_insisting = matches!(because, SafeBecause::Ordered(_)) && is_at_rest;
        let safe = Safing { because, proposal, is_again: false, holds_up: !is_insisting };
        match self.write_safe(safing) {
            Ok(Taken::Done) => self.was_made_safe(actuator, safe, None, false),
            Ok(Taken::Asked) => self.under_way.safe(actuator, safe),
            Err(fault) => self.was_made_safe(actuator, safe, Some(fault), false),
        }
        self.look_at(actuator);
    }

    /// What was asked for and has not been answered is given up.
    fn drop_command(&mut self, actuator: &Capability, because: &SafeBecause) {
        if let Some(command) = self.under_way.give_up(actuator) {
            self.ports.driver.give_up(actuator);
            self.leave_in_doubt(
                &command,
                &format!("it was to be made safe before it was answered ({because})"),
            );
        }
    }

    /// Says what became of it; what could not be made safe is tried again, after a while if it was asked.
    fn was_made_safe(&mut self, actuator: &Capability, safe: Safing, fault: Option<String>, was_asked: bool) {
        let Safing { because, proposal, is_again, .. } = safe;
        match &fault {
            None => {
                self.owed.paid(actuator);
                self.at_rest.insert(actuator.clone());
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

    fn owe(&mut self, actuator: &Capability, because: SafeBecause, was_asked: bool) {
        match was_asked {
            true => self.owed.asked_in_vain(actuator, because, self.now_ms),
            false => self.owed.not_asked(actuator, because),
        }
    }

    fn try_again(&mut self) {
        for actuator in self.owed.actuators() {
            if self.ports.driver.read_back(&actuator).is_none() {
                // It is not there: as soon as it is, it is asked, however often it has said no before.
                self.owed.begin_anew(&actuator);
            }
            if self.under_way.is_asked(&actuator) || self.turns.has(&actuator) {
                continue;
            }
            let Some(because) = self.owed.due(&actuator, self.now_ms) else { continue };
            let Some(safing) = self.ports.safe_states.of(&actuator).cloned() else { continue };
            let safe = Safing { because, proposal: None, is_again: true, holds_up: false };
            match self.write_safe(&safing) {
                Ok(Taken::Done) => {
                    self.was_made_safe(&actuator, safe, None, false);
                    self.look_at(&actuator);
                }
                Ok(Taken::Asked) => self.under_way.safe(&actuator, safe),
                Err(_) => self.owed.not_asked(&actuator, safe.because),
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
