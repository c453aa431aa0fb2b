//! The pool that simulates: one thread beside the tick, with a bounded queue.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use clawmesh_core::intake::{InboxHandle, InputBody, SourceId};
use clawmesh_core::proposals::{OPEN_MAX, SimulationOrder, Simulator};
use clawmesh_core::site::NoPlace;
use clawmesh_twin::rollout::Model;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::worker::{Ends, Worker};

/// How soon the end is noticed, and how long a full inbox is waited for.
const BEAT: Duration = Duration::from_millis(50);

/// The tick's end.
pub struct SimulationOrders(Sender<SimulationOrder>);

impl Simulator for SimulationOrders {
    fn order(&self, order: SimulationOrder) -> Result<(), NoPlace> {
        self.0.try_send(order).map_err(|_| NoPlace)
    }
}

/// Begins to simulate at a site. When it is to end, what it is at is finished first.
pub fn start(model: Model, inbox: InboxHandle) -> std::io::Result<(Worker, SimulationOrders)> {
    // Each open proposal waits for at most one card.
    let (sender, orders) = bounded(OPEN_MAX);
    let worker = Worker::start("simulator", move |ends| work(&model, &orders, &inbox, ends))?;
    Ok((worker, SimulationOrders(sender)))
}

fn work(model: &Model, orders: &Receiver<SimulationOrder>, inbox: &InboxHandle, ends: &Ends) {
    while !ends.is_asked() {
        match orders.recv_timeout(BEAT) {
            Ok(order) => tell(inbox, simulate(model, order), ends),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// A fault of the twin costs one proposal its card, and no other proposal its simulation.
fn simulate(model: &Model, SimulationOrder { proposal, round, trial }: SimulationOrder) -> InputBody {
    let run = || model.fork(trial).map(|fork| fork.card().to_bytes());
    let outcome = catch_unwind(AssertUnwindSafe(run))
        .unwrap_or_else(|_| Err("the twin failed; see the log of this node".to_owned()));
    InputBody::Simulated { proposal, round, outcome }
}

/// A full inbox is waited for: a card that is lost costs a proposal a minute.
fn tell(inbox: &InboxHandle, body: InputBody, ends: &Ends) {
    while inbox.offer_own(SourceId::Simulator, body.clone(), None).is_err() {
        if !ends.sleep(BEAT) {
            return;
        }
    }
}
