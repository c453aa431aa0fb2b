//! The only two things a driver accepts. Both are made in this crate and nowhere else.

use serde::Serialize;

use crate::capability::Capability;
use crate::ids::ProposalId;
use crate::setpoint::Setpoint;

/// A command that may add energy, motion or flow: the gate allowed it, and nothing else can make one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuthorizedCommand {
    proposal: ProposalId,
    step: usize,
    actuator: Capability,
    setpoint: Setpoint,
    run_for_ms: Option<u64>,
}

impl AuthorizedCommand {
    pub(crate) fn new(
        proposal: ProposalId,
        step: usize,
        actuator: Capability,
        setpoint: Setpoint,
        run_for_ms: Option<u64>,
    ) -> Self {
        Self { proposal, step, actuator, setpoint, run_for_ms }
    }

    /// The proposal it carries out.
    #[must_use]
    pub fn proposal(&self) -> ProposalId {
        self.proposal
    }

    /// Which step of it, from 0.
    #[must_use]
    pub fn step(&self) -> usize {
        self.step
    }

    /// The actuator.
    #[must_use]
    pub fn actuator(&self) -> &Capability {
        &self.actuator
    }

    /// The state it brings.
    #[must_use]
    pub fn setpoint(&self) -> Setpoint {
        self.setpoint
    }

    /// How long the state lasts at most, milliseconds; `None` only for what is switched off.
    #[must_use]
    pub fn run_for_ms(&self) -> Option<u64> {
        self.run_for_ms
    }
}

/// The declared safe state of an actuator of ours; it needs no approval, link, journal or tick.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SafingCommand {
    actuator: Capability,
    setpoint: Setpoint,
}

impl SafingCommand {
    /// The actuator.
    #[must_use]
    pub fn actuator(&self) -> &Capability {
        &self.actuator
    }

    /// Its safe state.
    #[must_use]
    pub fn setpoint(&self) -> Setpoint {
        self.setpoint
    }
}

/// The safe states of the actuators of one owner, in the order in which they are brought about.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct SafeStates(Vec<SafingCommand>);

impl SafeStates {
    /// The order the site declares; the first entry of an actuator counts.
    #[must_use]
    pub fn in_order(states: impl IntoIterator<Item = (Capability, Setpoint)>) -> Self {
        let mut order: Vec<SafingCommand> = Vec::new();
        for (actuator, setpoint) in states {
            if order.iter().all(|before| before.actuator != actuator) {
                order.push(SafingCommand { actuator, setpoint });
            }
        }
        Self(order)
    }

    /// All of them, the first to be made safe first.
    #[must_use]
    pub fn all(&self) -> &[SafingCommand] {
        &self.0
    }

    /// Those of some of the actuators, in the same order.
    #[must_use]
    pub fn of_those(&self, is_meant: impl Fn(&Capability) -> bool) -> Self {
        Self(self.0.iter().filter(|safing| is_meant(&safing.actuator)).cloned().collect())
    }

    /// The safe state of one actuator.
    #[must_use]
    pub fn of(&self, actuator: &Capability) -> Option<&SafingCommand> {
        self.0.iter().find(|safing| safing.actuator == *actuator)
    }
}
