//! The pool that simulates, in virtual time: a card is there before the next tick.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use clawmesh_core::intake::{InboxHandle, InputBody, SourceId};
use clawmesh_core::proposals::{SimulationOrder, Simulator};
use clawmesh_core::site::NoPlace;
use clawmesh_twin::rollout::Model;

/// The pool of one node. Clones share it.
#[derive(Clone)]
pub(crate) struct LabSimulator {
    model: Model,
    orders: Arc<Mutex<VecDeque<SimulationOrder>>>,
}

impl Simulator for LabSimulator {
    fn order(&self, order: SimulationOrder) -> Result<(), NoPlace> {
        self.lock().push_back(order);
        Ok(())
    }
}

impl LabSimulator {
    pub(crate) fn new(model: Model) -> Self {
        Self { model, orders: Arc::default() }
    }

    /// Simulates everything that was ordered and tells the tick.
    pub(crate) fn step(&self, inbox: &InboxHandle) {
        for SimulationOrder { proposal, round, trial } in self.lock().drain(..) {
            let outcome = self.model.fork(trial).map(|fork| fork.card().to_bytes());
            let body = InputBody::Simulated { proposal, round, outcome };
            inbox.offer_own(SourceId::Simulator, body, None).expect("the lab never fills an inbox");
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<SimulationOrder>> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
