//! The ways out of this feature: to the pool that simulates, and to the latch.

use bevy::prelude::Resource;
use clawmesh_authority::ProposalId;
use clawmesh_authority::transition::Round;
use clawmesh_twin::trial::Trial;

use super::desk::AnswerDesk;
use crate::site::NoPlace;

/// A simulation that is wanted. Its outcome comes back as [`crate::intake::InputBody::Simulated`].
#[derive(Debug, Clone, PartialEq)]
pub struct SimulationOrder {
    /// Of which proposal.
    pub proposal: ProposalId,
    /// Which one of it.
    pub round: Round,
    /// What is asked of the twin.
    pub trial: Trial,
}

/// The way to the pool that simulates. It must not wait.
pub trait Simulator: Send + Sync + 'static {
    /// Takes an order.
    ///
    /// # Errors
    /// When there is no place; nothing was taken, and the order is given again.
    fn order(&self, order: SimulationOrder) -> Result<(), NoPlace>;
}

/// The way to the stop latch. It must not wait.
pub trait RearmPort: Send + Sync + 'static {
    /// Ends the stop once the journal holds row `cause`, unless the latch was set more often than the `stops` of which the
    /// tick knew; that it has ended comes back as [`crate::intake::InputBody::Rearmed`].
    fn rearm(&self, cause: u64, stops: u64);
}

/// The pool of a live node that simulates.
#[derive(Resource)]
pub struct SimulatorPort(pub Box<dyn Simulator>);

/// The latch of a live node.
#[derive(Resource)]
pub struct LatchPort(pub Box<dyn RearmPort>);

/// Where whoever asked a live node waits.
#[derive(Resource)]
pub struct DeskPort(pub AnswerDesk);
