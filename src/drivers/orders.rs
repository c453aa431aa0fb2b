//! What the tick orders, on its way to the driver layer: bounded, and the tick never waits.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clawmesh_authority::{AuthorizedCommand, Capability};
use clawmesh_core::site::{DriverPort, NoPlace};
use crossbeam_channel::{Receiver, Sender, bounded};

use crate::latch::StopLatch;

/// The most orders that wait for the driver layer.
const ORDERS_MAX: usize = 256;

/// One order.
#[derive(Debug)]
pub enum Order {
    /// Carry this out once the journal holds row `cause`.
    Carry {
        /// What the gate allowed.
        command: AuthorizedCommand,
        /// The last row it depends on.
        cause: u64,
        /// The stops when it was ordered; absent while the stop was latched.
        stamp: Option<u64>,
    },
    /// Make these actuators safe now, in the order of the site.
    MakeSafe {
        /// The actuators.
        actuators: BTreeSet<Capability>,
        /// Why, in words.
        why: String,
    },
}

/// The tick's end. Clones share the way.
#[derive(Clone)]
pub struct Orders {
    queue: Sender<Order>,
    latch: StopLatch,
    renewals: Arc<AtomicU64>,
}

/// The layer's end.
#[derive(Debug)]
pub struct OrderBook {
    /// What was ordered, oldest first.
    pub queue: Receiver<Order>,
    renewals: Arc<AtomicU64>,
    seen: u64,
}

/// Makes the way from the tick to the driver layer.
pub fn orders(latch: StopLatch) -> (Orders, OrderBook) {
    let (tx, rx) = bounded(ORDERS_MAX);
    let renewals = Arc::<AtomicU64>::default();
    let book = OrderBook { queue: rx, renewals: Arc::clone(&renewals), seen: 0 };
    (Orders { queue: tx, latch, renewals }, book)
}

impl OrderBook {
    /// True when the tick has said since the last time that it is alive.
    pub fn was_renewed(&mut self) -> bool {
        let renewals = self.renewals.load(Ordering::Relaxed);
        std::mem::replace(&mut self.seen, renewals) != renewals
    }
}

impl DriverPort for Orders {
    fn carry(&self, command: AuthorizedCommand, cause: u64, stops: u64) -> Result<(), NoPlace> {
        // A stop that the tick has not heard of yet voids what it decided without knowing.
        let stamp = self.latch.stamp().filter(|stamp| *stamp == stops);
        self.queue.try_send(Order::Carry { command, cause, stamp }).map_err(|_| NoPlace)
    }

    fn make_safe(&self, actuators: BTreeSet<Capability>, why: &str) -> Result<(), NoPlace> {
        let order = Order::MakeSafe { actuators, why: why.to_owned() };
        self.queue.try_send(order).map_err(|_| NoPlace)
    }

    fn renew(&self) {
        self.renewals.fetch_add(1, Ordering::Relaxed);
    }
}
