//! What runs and until when. Pure: milliseconds come in, what is due comes out.

use std::collections::BTreeMap;

use clawmesh_authority::{AuthorizedCommand, Capability, ProposalId};

/// One actuator that was switched on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Duty {
    proposal: ProposalId,
    until_ms: u64,
}

/// Why something is made safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Its time is over.
    TimeIsOver,
    /// The tick has not renewed its lease.
    LeaseLost,
}

impl Due {
    /// The reason in words.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::TimeIsOver => "its time is over",
            Self::LeaseLost => "the tick did not renew its lease in time",
        }
    }
}

/// Everything of this node that is switched on.
#[derive(Debug, Default)]
pub struct Duties {
    running: BTreeMap<Capability, Duty>,
    renewed_ms: u64,
}

impl Duties {
    /// Notes a command that a driver took at `now_ms`; what is switched off runs no longer.
    pub fn begin(&mut self, command: &AuthorizedCommand, now_ms: u64) {
        let actuator = command.actuator().clone();
        match command.run_for_ms() {
            None => drop(self.running.remove(&actuator)),
            Some(run_for_ms) => {
                let until_ms = now_ms.saturating_add(run_for_ms);
                self.running.insert(actuator, Duty { proposal: command.proposal(), until_ms });
            }
        }
    }

    /// Notes that an actuator is safe.
    pub fn end(&mut self, actuator: &Capability) {
        self.running.remove(actuator);
    }

    /// The tick is alive.
    pub fn renew(&mut self, now_ms: u64) {
        self.renewed_ms = now_ms;
    }

    /// The actuators that must be made safe at `now_ms`, and why.
    pub fn due(&self, now_ms: u64, lease_ms: u64) -> Vec<(Capability, Due)> {
        let is_lost = now_ms.saturating_sub(self.renewed_ms) > lease_ms;
        let judge = |duty: &Duty| match (duty.until_ms <= now_ms, is_lost) {
            (true, _) => Some(Due::TimeIsOver),
            (false, true) => Some(Due::LeaseLost),
            (false, false) => None,
        };
        let due = self.running.iter().filter_map(|(actuator, duty)| Some((actuator.clone(), judge(duty)?)));
        due.collect()
    }

    /// The proposal an actuator runs for.
    pub fn proposal_of(&self, actuator: &Capability) -> Option<ProposalId> {
        self.running.get(actuator).map(|duty| duty.proposal)
    }
}
