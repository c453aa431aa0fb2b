//! How a proposal stands.

use std::fmt;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::ids::{NodeId, OperatorId};
use crate::refusal::Code;

/// How often one proposal is simulated before it is given up.
pub const ROUNDS_MAX: u32 = 64;

/// The number of one simulation of a proposal and of the offer that follows it, counted from 1.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Encode, Decode,
)]
#[cbor(transparent)]
#[serde(transparent)]
pub struct Round(#[n(0)] pub u32);

impl Round {
    /// The first one.
    pub const FIRST: Self = Self(1);

    /// The one after it; `None` when the proposal was simulated [`ROUNDS_MAX`] times.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        (self.0 < ROUNDS_MAX).then(|| Self(self.0 + 1))
    }
}

/// How a proposal stands at its home.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Written down, not looked at.
    #[n(0)]
    Draft,
    /// The twin is at it.
    #[n(1)]
    Simulating {
        /// Which simulation.
        #[n(0)]
        round: Round,
    },
    /// People were asked.
    #[n(2)]
    AwaitingApproval {
        /// Which offer.
        #[n(0)]
        round: Round,
    },
    /// Everybody who has to approve did; the gate has not let it through.
    #[n(3)]
    Approved {
        /// Which offer.
        #[n(0)]
        round: Round,
    },
    /// On its way to the driver.
    #[n(4)]
    Dispatched,
    /// The driver took it.
    #[n(5)]
    Executing {
        /// Which of its steps, counted from 0.
        #[n(0)]
        step: u8,
    },
    /// The driver is done; no sensor has said so.
    #[n(6)]
    Verifying,
    /// Done, and confirmed.
    #[n(7)]
    Completed,
    /// The twin says it ends badly.
    #[n(8)]
    Vetoed,
    /// A person said no.
    #[n(9)]
    Rejected {
        /// Who.
        #[n(0)]
        by: OperatorId,
        /// Why, if they said.
        #[n(1)]
        why: Option<String>,
    },
    /// Nobody answered, or it was not dispatched, in time; or it was simulated too often.
    #[n(10)]
    Expired,
    /// What was simulated no longer holds; it has to be simulated and offered again.
    #[n(11)]
    Stale {
        /// The last simulation.
        #[n(0)]
        round: Round,
    },
    /// It ran, or was about to, and did not end as it should.
    #[n(12)]
    Failed {
        /// Why.
        #[n(0)]
        cause: Cause,
    },
    /// Called off.
    #[n(13)]
    Cancelled {
        /// By whom.
        #[n(0)]
        by: By,
    },
}

/// Why something failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The node restarted after the dispatch, or the hardware was asked and gave no answer: it may have happened or not, and is
    /// never repeated by itself.
    #[n(0)]
    OutcomeUnknown,
    /// The driver did not take it in time.
    #[n(1)]
    NotAcknowledged,
    /// No sensor and no person confirmed it in time.
    #[n(2)]
    Unverified,
    /// The driver says done, a sensor says no.
    #[n(3)]
    Contradicted,
    /// The lease was not renewed in time.
    #[n(4)]
    LeaseLost,
    /// An interlock was no longer shown to hold.
    #[n(5)]
    Interlock,
    /// A limit of the actuator was left.
    #[n(6)]
    Envelope,
    /// The policy changed and no longer allows it.
    #[n(7)]
    Policy,
    /// Somebody else took authority over the actuator.
    #[n(8)]
    Authority,
    /// The plant left the band the card predicted.
    #[n(9)]
    Divergence,
    /// The stop came.
    #[n(10)]
    StopLatched,
    /// A person took the actuator in hand control.
    #[n(11)]
    LocalControl,
    /// The simulation could not be done; nothing ran.
    #[n(12)]
    NotSimulated,
    /// The driver says why.
    #[n(13)]
    Driver(#[n(0)] String),
    /// The gate refused it, before it ran or before its next step.
    #[n(14)]
    Refused {
        /// The code.
        #[n(0)]
        code: Code,
        /// What the rule said.
        #[n(1)]
        sentence: String,
    },
}

/// Who called something off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// A person.
    #[n(0)]
    Person(#[n(0)] OperatorId),
    /// A node, for one of its programs.
    #[n(1)]
    Node(#[n(0)] NodeId),
    /// The stop.
    #[n(2)]
    Stop,
}

impl State {
    /// True when nothing can change it any more.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Completed
            | Self::Vetoed
            | Self::Rejected { .. }
            | Self::Expired
            | Self::Failed { .. }
            | Self::Cancelled { .. } => true,
            Self::Draft
            | Self::Simulating { .. }
            | Self::AwaitingApproval { .. }
            | Self::Approved { .. }
            | Self::Dispatched
            | Self::Executing { .. }
            | Self::Verifying
            | Self::Stale { .. } => false,
        }
    }

    /// True when the plant may be moving because of it.
    #[must_use]
    pub fn is_running(&self) -> bool {
        matches!(self, Self::Dispatched | Self::Executing { .. } | Self::Verifying)
    }

    /// The simulation or offer it waits for, waits on or came from, before it is dispatched.
    #[must_use]
    pub fn round(&self) -> Option<Round> {
        match self {
            Self::Simulating { round }
            | Self::AwaitingApproval { round }
            | Self::Approved { round }
            | Self::Stale { round } => Some(*round),
            _ => None,
        }
    }

    /// Its name, for programs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Simulating { .. } => "simulating",
            Self::AwaitingApproval { .. } => "awaiting_approval",
            Self::Approved { .. } => "approved",
            Self::Dispatched => "dispatched",
            Self::Executing { .. } => "executing",
            Self::Verifying => "verifying",
            Self::Completed => "completed",
            Self::Vetoed => "vetoed",
            Self::Rejected { .. } => "rejected",
            Self::Expired => "expired",
            Self::Stale { .. } => "stale",
            Self::Failed { .. } => "failed",
            Self::Cancelled { .. } => "cancelled",
        }
    }

    /// The name nodes of wire v1 know it by.
    #[must_use]
    pub fn wire_v1_name(&self) -> &'static str {
        match self {
            Self::Draft | Self::Simulating { .. } | Self::Stale { .. } => "proposed",
            Self::AwaitingApproval { .. } => "awaiting_approval",
            Self::Approved { .. } | Self::Dispatched => "approved",
            Self::Executing { .. } | Self::Verifying => "executing",
            Self::Completed => "completed",
            Self::Vetoed | Self::Rejected { .. } | Self::Expired | Self::Cancelled { .. } => "rejected",
            Self::Failed { .. } => "failed",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::canonical;
    use crate::keys::KeyId;

    pub(crate) fn bo() -> OperatorId {
        OperatorId::of_public_key(&[2; 32])
    }

    /// One of each, in the order of the enum; those with a round or a step have the first.
    pub(crate) fn every_state() -> Vec<State> {
        let round = Round::FIRST;
        vec![
            State::Draft,
            State::Simulating { round },
            State::AwaitingApproval { round },
            State::Approved { round },
            State::Dispatched,
            State::Executing { step: 0 },
            State::Verifying,
            State::Completed,
            State::Vetoed,
            State::Rejected { by: bo(), why: None },
            State::Expired,
            State::Stale { round },
            State::Failed { cause: Cause::OutcomeUnknown },
            State::Cancelled { by: By::Stop },
        ]
    }

    #[test]
    fn every_state_has_the_name_that_wire_v1_has_for_it() {
        let names: Vec<_> =
            every_state().iter().map(|state| format!("{state} {}", state.wire_v1_name())).collect();
        assert_eq!(
            names,
            [
                "draft proposed",
                "simulating proposed",
                "awaiting_approval awaiting_approval",
                "approved approved",
                "dispatched approved",
                "executing executing",
                "verifying executing",
                "completed completed",
                "vetoed rejected",
                "rejected rejected",
                "expired rejected",
                "stale proposed",
                "failed failed",
                "cancelled rejected",
            ]
        );
    }

    #[test]
    fn a_state_survives_its_bytes() {
        let words = State::Failed { cause: Cause::Driver("coil 3 is open".to_owned()) };
        for state in every_state().into_iter().chain([words]) {
            assert_eq!(canonical::decode::<State>(&canonical::encode(&state)), Ok(state));
        }
    }

    #[test]
    fn rounds_end() {
        assert_eq!(Round::FIRST.next(), Some(Round(2)));
        assert_eq!((Round(ROUNDS_MAX - 1).next(), Round(ROUNDS_MAX).next()), (Some(Round(ROUNDS_MAX)), None));
    }
}
