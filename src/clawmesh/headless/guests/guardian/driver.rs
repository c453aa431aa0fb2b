//! The driver: one call in flight for each actuator, a deadline for each call, and no wait.

use std::collections::BTreeMap;
use std::time::Duration;

use clawmesh_authority::{AuthorizedCommand, Capability, SafingCommand};
use clawmesh_drivers::{Answered, Driver, DriverFault, ReadBack, Taken};
use clawmesh_wire::Code;
use crossbeam_channel::{Receiver, Sender, bounded};
use serde_json::Value;

use super::envelope::{self, Remote, id_of};
use super::reach::{Outcome, Reach, Tell, Told};
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
    /// The names of safing commands that no answer came to: the same again has the same name.
    unanswered: BTreeMap<Capability, String>,
    tell: Sender<Told>,
    told: Receiver<Told>,
}

/// A call on its way.
struct Call {
    number: u64,
    id: String,
    is_safing: bool,
    /// True when a guest may have carried it out under this name before.
    is_again: bool,
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
        let run = format!("safe-{}-{}", sender.node.short(), unix_ms());
        let (calls, unanswered) = (BTreeMap::new(), BTreeMap::new());
        Self { remotes, reach, sender, unix_ms, run, begun: 0, calls, unanswered, tell, told }
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

    fn begin(&mut self, actuator: &Capability, remote: &Remote, call: Call, message: Value) -> Taken {
        let tell = Tell::of(&self.tell, actuator, call.number);
        self.calls.insert(actuator.clone(), call);
        self.reach.send(remote.peer, message, tell);
        Taken::Asked
    }

    fn next_number(&mut self) -> u64 {
        self.begun += 1;
        self.begun
    }

    /// What an answer comes to; `None` for one to a call that was given up.
    fn judged(&mut self, told: Told) -> Option<Answered> {
        let Told { actuator, number, outcome } = told;
        let call = self.calls.remove(&actuator)?;
        if call.number != number {
            self.calls.insert(actuator, call);
            return None;
        }
        if call.is_safing {
            match &outcome {
                Outcome::Unknown(_) => drop(self.unanswered.insert(actuator.clone(), call.id.clone())),
                _ => drop(self.unanswered.remove(&actuator)),
            }
        }
        let outcome = match outcome {
            Outcome::Took => Ok(()),
            // It took it before, and its answer was lost.
            Outcome::Refused { code, .. } if call.is_again && code == Code::Duplicate.as_str() => Ok(()),
            Outcome::Refused { code, words } => {
                let words: String = words.chars().take(WORDS_CHARACTERS_MAX).collect();
                Err(format!("its guest refused: {code:?}, {words:?}"))
            }
            Outcome::NotSent(why) => Err(format!("nothing was sent to its guest: {why}")),
            Outcome::Unknown(why) => {
                Err(format!("its guest may have done it or not: {why}; it is to be made safe"))
            }
        };
        let outcome = outcome.map_err(|why| elsewhere(&actuator, why));
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
        // What is told to be safe after this is told anew, and not again.
        self.unanswered.remove(actuator);
        let message = self.sender.command(&remote, command, (self.unix_ms)());
        let call = Call { number: self.next_number(), id, is_safing: false, is_again: false };
        Ok(self.begin(actuator, &remote, call, message))
    }

    fn make_safe(&mut self, command: &SafingCommand) -> Result<Taken, DriverFault> {
        let actuator = command.actuator();
        if self.calls.get(actuator).is_some_and(|call| call.is_safing) {
            return Ok(Taken::Asked);
        }
        // Whatever it may still answer to a command: nobody waits for that before it is told to be safe.
        self.calls.remove(actuator);
        let remote = self.reachable(actuator)?;
        let number = self.next_number();
        let (id, is_again) = match self.unanswered.get(actuator) {
            Some(id) => (id.clone(), true),
            None => (format!("{}-{number}", self.run), false),
        };
        tracing::info!("guest {} is told: {actuator} {}, {id}", remote.peer.short(), command.setpoint());
        let message = self.sender.safing(&remote, command, &id, (self.unix_ms)());
        Ok(self.begin(actuator, &remote, Call { number, id, is_safing: true, is_again }, message))
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
