//! Simulations that a replay orders again, to compare their cards with those that were recorded.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use clawmesh_authority::ProposalId;
use clawmesh_authority::transition::Round;
use clawmesh_twin::rollout::Model;
use clawmesh_twin::trial::Trial;

use crate::proposals::{SimulationOrder, Simulator};
use crate::settings::Settings;
use crate::site::{NoPlace, SiteFiles};

type Orders = Arc<Mutex<BTreeMap<(ProposalId, Round), Trial>>>;

/// The twin of a run, and what was asked of it.
pub struct Again {
    model: Model,
    orders: Orders,
}

/// The tick's end: orders wait until their recorded card comes.
pub struct AgainPort(Orders);

impl Simulator for AgainPort {
    fn order(&self, order: SimulationOrder) -> Result<(), NoPlace> {
        lock(&self.0).insert((order.proposal, order.round), order.trial);
        Ok(())
    }
}

impl Again {
    /// The twin of the site of a run; without a site that can be simulated nothing is.
    pub fn of(settings: &Settings) -> Option<(Self, AgainPort)> {
        let site = SiteFiles::of(settings).ok().flatten()?;
        let orders = Orders::default();
        let model = Model::new(&site.plan).ok()?;
        Some((Self { model, orders: Arc::clone(&orders) }, AgainPort(orders)))
    }

    /// What comes of a simulation that was ordered; `None` if none was.
    pub fn outcome(&self, proposal: ProposalId, round: Round) -> Option<Result<Vec<u8>, String>> {
        let trial = lock(&self.orders).remove(&(proposal, round))?;
        Some(self.model.fork(trial).map(|fork| fork.card().to_bytes()))
    }
}

fn lock(orders: &Orders) -> MutexGuard<'_, BTreeMap<(ProposalId, Round), Trial>> {
    orders.lock().unwrap_or_else(PoisonError::into_inner)
}
