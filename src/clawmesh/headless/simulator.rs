//! The pool that simulates: one thread beside the tick, with a bounded queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use clawmesh_core::intake::{InboxHandle, InputBody, SourceId};
use clawmesh_core::proposals::{OPEN_MAX, SimulationOrder, Simulator};
use clawmesh_core::site::NoPlace;
use clawmesh_twin::rollout::Model;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

/// How soon the end is noticed, and how long a full inbox is waited for.
const BEAT: Duration = Duration::from_millis(50);

/// The running pool. To drop it is to stop it; what it was at is given up.
pub struct SimulatorPool {
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// The tick's end.
pub struct SimulationOrders(Sender<SimulationOrder>);

impl Simulator for SimulationOrders {
    fn order(&self, order: SimulationOrder) -> Result<(), NoPlace> {
        self.0.try_send(order).map_err(|_| NoPlace)
    }
}

impl SimulatorPool {
    /// Begins to simulate at a site.
    pub fn start(model: Model, inbox: InboxHandle) -> std::io::Result<(Self, SimulationOrders)> {
        // Each open proposal waits for at most one card.
        let (sender, orders) = bounded(OPEN_MAX);
        let ends = Arc::<AtomicBool>::default();
        let seen = Arc::clone(&ends);
        let thread = thread::Builder::new().name("simulator".to_owned()).spawn(move || {
            work(&model, &orders, &inbox, &seen);
        })?;
        Ok((Self { ends, thread: Some(thread) }, SimulationOrders(sender)))
    }

    /// Ends after the simulation it is at.
    pub fn close(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that simulates panicked");
        }
    }
}

impl Drop for SimulatorPool {
    fn drop(&mut self) {
        self.end();
    }
}

fn work(model: &Model, orders: &Receiver<SimulationOrder>, inbox: &InboxHandle, ends: &AtomicBool) {
    while !ends.load(Ordering::Relaxed) {
        match orders.recv_timeout(BEAT) {
            Ok(order) => tell(inbox, simulate(model, order), ends),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn simulate(model: &Model, SimulationOrder { proposal, round, trial }: SimulationOrder) -> InputBody {
    let outcome = model.fork(trial).map(|fork| fork.card().to_bytes());
    InputBody::Simulated { proposal, round, outcome }
}

/// A full inbox is waited for: a card that is lost costs a proposal a minute.
fn tell(inbox: &InboxHandle, body: InputBody, ends: &AtomicBool) {
    while inbox.offer_own(SourceId::Simulator, body.clone(), None).is_err() {
        if ends.load(Ordering::Relaxed) {
            return;
        }
        thread::sleep(BEAT);
    }
}
