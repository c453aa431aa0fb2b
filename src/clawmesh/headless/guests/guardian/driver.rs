//! The driver: one call in flight for each actuator, a deadline for each call, and no wait.

use std::collections::BTreeMap;
use std::time::Duration;

use clawmesh_authority::{AuthorizedCommand, Capability, SafingCommand};
use clawmesh_drivers::{Answered, Driver, DriverFault, ReadBack, Taken};
use crossbeam_channel::{Receiver, Sender, bounded};
use serde_json::Value;

use super::envelope::{self, Remote, id_of};
use super::reach::{Outcome, Reach, Recall, Tell, Told};
use crate::headless::guests::random_bytes;
use crate::moments::now;

/// How long the last safe states of a run are waited for.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// The most answers that wait for one actuator. Each call has one, within seconds: the call that counts, and commands that were
/// given up for a safe state, of which each was approved by a person.
const ANSWERS_MAX: usize = 16;
/// The most characters of a guest's own words that are told on.
const WORDS_CHARACTERS_MAX: usize = 160;

/// Writes to actuators on guests. It reads nothing back: what a guest says of itself is worth nothing here.
pub struct GuestDriver<R> {
    remotes: BTreeMap<Capability, Remote>,
    reach: R,
    sender: envelope::Sender,
    unix_ms: fn() -> u64,
    /// What the names of safing commands of this run begin with.
    run: String,
    /// How many calls were begun.
    begun: u64,
    /// The call whose answer is waited for.
    calls: BTreeMap<Capability, Call>,
    tell: Sender<Told>,
    told: Receiver<Told>,
}

/// A call on its way.
struct Call {
    number: u64,
    is_safing: bool,
    recall: Recall,
}

impl<R: Reach> GuestDriver<R> {
    /// A driver of these actuators; `unix_ms` is the wall clock.
    pub fn new(
        remotes: BTreeMap<Capability, Remote>,
        reach: R,
        sender: envelope::Sender,
        unix_ms: fn() -> u64,
    ) -> Self {
        let (tell, told) = bounded(ANSWERS_MAX * remotes.len());
        let began = match unix_ms() {
            // While nobody knows the time, runs differ by what is drawn.
            0 => random_bytes().map_or(0, u128::from_be_bytes),
            at_ms => at_ms.into(),
        };
        let run = format!("safe-{}-{began}", sender.node.short());
        Self { remotes, reach, sender, unix_ms, run, begun: 0, calls: BTreeMap::new(), tell, told }
    }

    /// True for an actuator on a guest.
    pub fn has(&self, actuator: &Capability) -> bool {
        self.remotes.contains_key(actuator)
    }

    /// The actuator over there, if its guest is connected.
    fn reachable(&self, actuator: &Capability) -> Result<Remote, DriverFault> {
        let remote = self.remotes.get(actuator).ok_or_else(|| DriverFault::Unknown(actuator.clone()))?;
        if self.reach.is_there(remote.peer) {
            return Ok(remote.clone());
        }
        let peer = remote.peer.short();
        Err(elsewhere(actuator, format!("its guest {peer} is not connected; look at `clawmesh peers`")))
    }

    fn begin(&mut self, actuator: &Capability, remote: &Remote, is_safing: bool, message: &Value) -> Taken {
        let number = self.begun;
        let tell = Tell::of(&self.tell, actuator, number);
        let recall = self.reach.send(remote.peer, message, tell);
        self.calls.insert(actuator.clone(), Call { number, is_safing, recall });
        Taken::Asked
    }

    /// Nobody waits for the answer to what was told last, and if that has not left it never does.
    fn take_back(&mut self, actuator: &Capability) {
        if let Some(call) = self.calls.remove(actuator) {
            call.recall.take_back();
        }
    }

    /// What an answer comes to; `None` for one to a call that was given up.
    fn judged(&mut self, told: Told) -> Option<Answered> {
        let Told { actuator, number, outcome } = told;
        let call = self.calls.remove(&actuator)?;
        if call.number != number {
            self.calls.insert(actuator, call);
            return None;
        }
        let outcome = match outcome {
            Outcome::Took => Ok(()),
            Outcome::Refused { code, words } => {
                let words: String = words.chars().take(WORDS_CHARACTERS_MAX).collect();
                Err(elsewhere(&actuator, format!("its guest refused: {code:?}, {words:?}")))
            }
            Outcome::NotSent(why) => {
                let why = format!("nothing was sent to its guest: {why}");
                Err(DriverFault::Unsent { actuator: actuator.clone(), why })
            }
            Outcome::Unknown(why) => {
                let why = format!("its guest may have done it or not: {why}; it is to be made safe");
                Err(DriverFault::InDoubt { actuator: actuator.clone(), why })
            }
        };
        Some(Answered { actuator, outcome })
    }
}

impl<R: Reach> Driver for GuestDriver<R> {
    fn drive(&mut self, command: &AuthorizedCommand) -> Result<Taken, DriverFault> {
        let actuator = command.actuator();
        let remote = self.reachable(actuator)?;
        if self.calls.contains_key(actuator) {
            return Err(elsewhere(
                actuator,
                "its guest has not answered the call before; propose it again later",
            ));
        }
        let id = id_of(command);
        tracing::info!("guest {} is told: {actuator} {}, {id}", remote.peer.short(), command.setpoint());
        let message = self.sender.command(&remote, command, (self.unix_ms)());
        self.begun += 1;
        Ok(self.begin(actuator, &remote, false, &message))
    }

    fn make_safe(&mut self, command: &SafingCommand) -> Result<Taken, DriverFault> {
        let actuator = command.actuator();
        if self.calls.get(actuator).is_some_and(|call| call.is_safing) {
            return Ok(Taken::Asked);
        }
        // Whatever it may still answer to a command: nobody waits for that before it is told to be safe.
        self.take_back(actuator);
        let remote = self.reachable(actuator)?;
        self.begun += 1;
        // A name of its own each time: under a name that it has heard, a guest may carry out nothing.
        let id = format!("{}-{}", self.run, self.begun);
        tracing::info!("guest {} is told: {actuator} {}, {id}", remote.peer.short(), command.setpoint());
        let message = self.sender.safing(&remote, command, &id, (self.unix_ms)());
        Ok(self.begin(actuator, &remote, true, &message))
    }

    fn give_up(&mut self, actuator: &Capability) {
        if self.calls.get(actuator).is_some_and(|call| !call.is_safing) {
            self.take_back(actuator);
        }
    }

    fn read_back(&mut self, actuator: &Capability) -> Option<ReadBack> {
        let remote = self.remotes.get(actuator)?;
        self.reach.is_there(remote.peer).then_some(ReadBack { position: None, local_control: false })
    }

    fn heard(&mut self) -> Option<Answered> {
        while let Ok(told) = self.told.try_recv() {
            if let Some(answered) = self.judged(told) {
                return Some(answered);
            }
        }
        None
    }
}

impl<R> Drop for GuestDriver<R> {
    /// The links end after the drivers: a guest that answers at once has heard the last safe state.
    fn drop(&mut self) {
        let commands = self.calls.extract_if(.., |_, call| !call.is_safing);
        commands.for_each(|(_, call)| call.recall.take_back());
        let until = now() + LAST_WORDS;
        while self.calls.values().any(|call| call.is_safing) {
            let Ok(told) = self.told.recv_deadline(until) else { return };
            if self.calls.get(&told.actuator).is_some_and(|call| call.number == told.number) {
                self.calls.remove(&told.actuator);
            }
        }
    }
}

fn elsewhere(actuator: &Capability, why: impl Into<String>) -> DriverFault {
    DriverFault::Elsewhere { actuator: actuator.clone(), why: why.into() }
}
