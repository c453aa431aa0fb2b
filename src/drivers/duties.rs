//! What runs and until when. Pure: milliseconds come in, what is due comes out.

use std::collections::{BTreeMap, BTreeSet};

use clawmesh_authority::{AuthorizedCommand, Capability, ProposalId};
use clawmesh_core::intake::SafeBecause;

/// One actuator that was switched on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Duty {
    proposal: ProposalId,
    until_ms: u64,
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

    /// True when the tick has been silent for longer than `lease_ms`.
    pub fn is_lease_lost(&self, now_ms: u64, lease_ms: u64) -> bool {
        now_ms.saturating_sub(self.renewed_ms) > lease_ms
    }

    /// The actuators that must be made safe at `now_ms`, and why: each is judged by its time and by the lease, so that no reason
    /// of one hides another. What one proposal has switched on ends together with the first of it: a pump does not run against
    /// a valve that has closed.
    pub fn due(&self, now_ms: u64, lease_ms: u64) -> BTreeMap<Capability, SafeBecause> {
        let over = self.running.values().filter(|duty| duty.until_ms <= now_ms);
        let over: BTreeSet<ProposalId> = over.map(|duty| duty.proposal).collect();
        let is_lost = self.is_lease_lost(now_ms, lease_ms);
        let why = |duty: &Duty| match over.contains(&duty.proposal) {
            true => Some(SafeBecause::TimeIsOver),
            false => is_lost.then_some(SafeBecause::LeaseLost),
        };
        self.running.iter().filter_map(|(actuator, duty)| Some((actuator.clone(), why(duty)?))).collect()
    }

    /// The proposal an actuator runs for.
    pub fn proposal_of(&self, actuator: &Capability) -> Option<ProposalId> {
        self.running.get(actuator).map(|duty| duty.proposal)
    }
}
