//! What happens to a proposal, and what is to be done then.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::state::{By, Round};
use crate::ids::OperatorId;
use crate::refusal::Code;

/// What a card says in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode)]
#[cbor(index_only)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It ends well.
    #[n(0)]
    Pass,
    /// It ends well, close to a limit.
    #[n(1)]
    Caution,
    /// It ends badly.
    #[n(2)]
    Veto,
}

/// What happens to a proposal. Whoever says so was judged before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The owner takes it up.
    #[n(0)]
    Admitted,
    /// A card came.
    #[n(1)]
    Simulated {
        /// Of which simulation.
        #[n(0)]
        round: Round,
        /// What it says.
        #[n(1)]
        verdict: Verdict,
    },
    /// No card can be made.
    #[n(2)]
    SimulationFailed {
        /// Of which simulation.
        #[n(0)]
        round: Round,
    },
    /// Everybody who has to approve did.
    #[n(3)]
    Approved {
        /// Which offer.
        #[n(0)]
        round: Round,
    },
    /// A person said no.
    #[n(4)]
    Rejected {
        /// To which offer.
        #[n(0)]
        round: Round,
        /// Who.
        #[n(1)]
        by: OperatorId,
        /// Why, if they said.
        #[n(2)]
        why: Option<String>,
    },
    /// The time of the offer, or of the approval that was not dispatched, is over.
    #[n(5)]
    OfferExpired {
        /// Which offer.
        #[n(0)]
        round: Round,
    },
    /// The live state, or what else runs, left what was simulated by more than the tolerance.
    #[n(6)]
    DriftedPastTolerance,
    /// Somebody wants what went stale looked at again.
    #[n(7)]
    TakenUp,
    /// The gate refused it for good: before people are asked, before the dispatch, or before its next step.
    #[n(27)]
    GateRefused {
        /// The code.
        #[n(0)]
        code: Code,
        /// What the rule said.
        #[n(1)]
        sentence: String,
    },
    /// The gate let it through.
    #[n(8)]
    Dispatched {
        /// By the approval of which offer.
        #[n(0)]
        round: Round,
    },
    /// The driver took it.
    #[n(9)]
    Acknowledged,
    /// The driver did not take it in time.
    #[n(10)]
    AcknowledgementTimedOut,
    /// The driver refused it, or failed on it.
    #[n(11)]
    DriverRefused {
        /// What it says.
        #[n(0)]
        text: String,
    },
    /// The driver asked its hardware, and nobody knows whether that did it.
    #[n(28)]
    OutcomeUnknown,
    /// The driver is done with one step.
    #[n(12)]
    StepEnded {
        /// Which, counted from 0.
        #[n(0)]
        step: u8,
        /// True for the last one of the plan.
        #[n(1)]
        is_last: bool,
    },
    /// A sensor that the policy names, or a person's signed word, confirms it.
    #[n(13)]
    Verified,
    /// A sensor that the policy names says it did not happen.
    #[n(14)]
    Contradicted,
    /// Nothing confirmed it in time.
    #[n(15)]
    VerificationTimedOut,
    /// An interlock is no longer shown to hold.
    #[n(16)]
    InterlockOpened,
    /// A limit of the actuator was left.
    #[n(17)]
    EnvelopeLeft,
    /// The policy changed and no longer allows it.
    #[n(18)]
    PolicyChanged,
    /// Somebody else took authority over the actuator, or who approved it may not any more.
    #[n(19)]
    AuthorityLost,
    /// The lease was not renewed in time.
    #[n(20)]
    LeaseLost,
    /// The plant left the band the card predicted.
    #[n(21)]
    Diverged,
    /// A person took the actuator in hand control.
    #[n(22)]
    LocalControlTaken,
    /// The stop came.
    #[n(23)]
    Stopped,
    /// The node started again.
    #[n(24)]
    Restarted,
    /// Its maker takes it back. What runs is not ended by this.
    #[n(25)]
    Withdrawn {
        /// Who.
        #[n(0)]
        by: By,
    },
    /// It has waited for as long as a proposal may.
    #[n(29)]
    WaitedTooLong,
    /// Somebody who may calls it off, running or not.
    #[n(26)]
    Cancelled {
        /// Who.
        #[n(0)]
        by: By,
    },
}

/// What is to be done when a proposal moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Draw a nonce and have the twin simulate it.
    Simulate {
        /// Which simulation.
        round: Round,
    },
    /// Ask people.
    Offer {
        /// Under the nonce of which simulation.
        round: Round,
    },
    /// Let the nonce die, and tell whoever was asked.
    VoidOffer {
        /// Which.
        round: Round,
    },
    /// Hand the first step to the driver, once the state is durable.
    Dispatch,
    /// Hand the next step of the same plan to the gate and then the driver.
    NextStep {
        /// Which, counted from 0.
        step: u8,
    },
    /// Walk the ladder of its actuators. What that may write under hand control is for the ladder to say.
    Safe,
    /// Show the new state to everybody.
    Publish,
}
