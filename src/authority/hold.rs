//! What people put on hold: it is taken, approved and begun again only once a person has released it. What runs goes on, and what
//! switches off is never held.

use std::fmt;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::capability::Capability;
use crate::ids::ProposalId;
use crate::policy::{HazardClass, Policy};
use crate::proposal::Proposal;
use crate::setpoint::Setpoint;

/// What is on hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// Whatever a program proposes.
    #[n(0)]
    Programs,
    /// Whatever works with something of this class, or of a worse one.
    #[n(1)]
    Class(#[n(0)] HazardClass),
    /// Whatever works with this actuator.
    #[n(2)]
    Actuator(#[n(0)] Capability),
    /// One proposal.
    #[n(3)]
    Proposal(#[n(0)] ProposalId),
}

impl Held {
    /// True when a proposal is on hold by it.
    #[must_use]
    pub fn covers(&self, proposal: &Proposal, id: ProposalId, policy: &Policy) -> bool {
        match self {
            Self::Programs => !proposal.maker.mind.is_person(),
            Self::Class(class) => {
                let rules = proposal.steps.iter().filter_map(|step| policy.rules_of(&step.actuator));
                rules.map(|rules| rules.class).any(|of| of >= *class)
            }
            Self::Actuator(actuator) => proposal.steps.iter().any(|step| step.actuator == *actuator),
            Self::Proposal(held) => *held == id,
        }
    }
}

/// True of what can be held: something of it adds energy, motion or flow, or nobody knows.
#[must_use]
pub fn can_be_held(proposal: &Proposal, policy: &Policy) -> bool {
    let is_off = |step: &crate::proposal::Step| {
        policy
            .known(&step.actuator, &step.operation)
            .is_ok_and(|(_, operation)| operation.brings == Setpoint::Off)
    };
    !proposal.steps.iter().all(is_off)
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Programs => f.write_str("whatever a program proposes"),
            Self::Class(class) => write!(f, "whatever is {class:?} or worse"),
            Self::Actuator(actuator) => write!(f, "whatever works with {actuator}"),
            Self::Proposal(id) => write!(f, "proposal {}", id.short()),
        }
    }
}
