//! The pool that simulates, in virtual time: a card is there before the next tick.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use clawmesh_core::intake::{InboxHandle, InputBody, SourceId};
use clawmesh_core::proposals::{SimulationOrder, Simulator};
use clawmesh_core::site::NoPlace;
use clawmesh_twin::card::Card;
use clawmesh_twin::rollout::Model;
use clawmesh_twin::trial::Trial;

/// The pool of one node. Clones share it.
#[derive(Clone)]
pub(crate) struct LabSimulator {
    model: Model,
    orders: Arc<Mutex<VecDeque<SimulationOrder>>>,
    /// The first card of each plan, where later ones are made after it.
    cards: Option<CardMemory>,
}

/// The first card of each plan of one site. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct CardMemory(Arc<Mutex<BTreeMap<String, Card>>>);

impl CardMemory {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Card>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Simulator for LabSimulator {
    fn order(&self, order: SimulationOrder) -> Result<(), NoPlace> {
        self.lock().push_back(order);
        Ok(())
    }
}

impl LabSimulator {
    pub(crate) fn new(model: Model, cards: Option<CardMemory>) -> Self {
        Self { model, orders: Arc::default(), cards }
    }

    /// Simulates everything that was ordered and tells the tick.
    pub(crate) fn step(&self, inbox: &InboxHandle) {
        for SimulationOrder { proposal, round, trial } in self.lock().drain(..) {
            let outcome = self.card(trial).map(|card| card.to_bytes());
            let body = InputBody::Simulated { proposal, round, outcome };
            inbox.offer_own(SourceId::Simulator, body, None).expect("the lab never fills an inbox");
        }
    }

    fn card(&self, trial: Trial) -> Result<Card, String> {
        let (plan, seed) = (format!("{:?}", trial.steps), trial.seed);
        if let Some(cards) = &self.cards
            && let Some(first) = cards.lock().get(&plan)
        {
            return Ok(Card { seed, ..first.clone() });
        }
        let card = self.model.fork(trial)?.card();
        if let Some(cards) = &self.cards {
            cards.lock().insert(plan, card.clone());
        }
        Ok(card)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<SimulationOrder>> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
