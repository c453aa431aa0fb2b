//! Brings a message to the one node that has its channel best; and how much may be brought.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clawmesh_authority::NodeId;
use clawmesh_wire::gate::Forward;
use clawmesh_wire::relay::Relayed;
use clawmesh_wire::{Code, Refusal};
use clawmesh_wire_link::{CallFault, Links};
use tokio::sync::Semaphore;

use super::host::lock;
use crate::moments::up_ms;

/// How long the node that has the channel may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// The most messages that are on their way at a time.
const UNDER_WAY_MAX: usize = 16;
/// The time for which messages are counted, milliseconds.
const COUNTED_MS: u64 = 60_000;
/// The most messages of one node that are passed on in that time.
const OF_ONE_MAX: usize = 10;
/// The most messages that are passed on to one node in that time: it takes 100 of us and drops the rest without a word.
const TO_ONE_MAX: usize = 20;

/// The way of messages to other nodes.
pub struct Relay {
    allowance: Mutex<Allowance>,
    under_way: Arc<Semaphore>,
}

impl Default for Relay {
    fn default() -> Self {
        Self { allowance: Mutex::default(), under_way: Arc::new(Semaphore::new(UNDER_WAY_MAX)) }
    }
}

impl Relay {
    /// Brings what `maker` has said to `best`, once. The answer is whether it was taken there.
    ///
    /// # Errors
    /// `RATE_LIMITED` or `BUSY`, before anything is sent; `DELIVERY_FAILED`.
    pub fn bring(
        &self,
        message: Relayed,
        maker: NodeId,
        best: NodeId,
        links: Links,
    ) -> Result<impl Future<Output = Result<(), Refusal>> + Send + use<>, Refusal> {
        let busy = |_| Refusal::new(Code::Busy, "too many messages are on their way already; try again");
        let place = Arc::clone(&self.under_way).try_acquire_owned().map_err(busy)?;
        if !lock(&self.allowance).spend(maker, best, up_ms()) {
            let sentence = format!(
                "{OF_ONE_MAX} messages a minute of one node are passed on, and {TO_ONE_MAX} to one node; send fewer"
            );
            return Err(Refusal::new(Code::RateLimited, sentence));
        }
        tracing::info!(
            maker = %maker.short(), to = %best.short(), channel = message.channel, "a message is passed on"
        );
        Ok(async move {
            let _place = place;
            let answered = links.call(best, "mesh.message.forward", &message, ANSWER_WITHIN).await;
            answered.map(drop).map_err(|fault| not_brought(best, &fault))
        })
    }
}

fn not_brought(best: NodeId, fault: &CallFault) -> Refusal {
    let sentence = format!("{}, which has the channel, has not taken the message: {fault}", best.short());
    Refusal::new(Code::DeliveryFailed, sentence)
}

/// Whether a message says that it began at `node`, or was made there.
pub fn is_from(forward: &Forward, maker: NodeId, node: NodeId) -> bool {
    node == maker || forward.origin_gateway_id.trim().eq_ignore_ascii_case(&node.to_string())
}

/// What was passed on of whom and to whom, lately.
#[derive(Debug, Default)]
struct Allowance {
    of: BTreeMap<NodeId, VecDeque<u64>>,
    to: BTreeMap<NodeId, VecDeque<u64>>,
}

impl Allowance {
    /// Counts a message; false when it is too many. `now_ms` is of a clock that only goes forward.
    fn spend(&mut self, maker: NodeId, best: NodeId, now_ms: u64) -> bool {
        for counted in [&mut self.of, &mut self.to] {
            counted.retain(|_, times| {
                times.retain(|at_ms| now_ms.saturating_sub(*at_ms) < COUNTED_MS);
                !times.is_empty()
            });
        }
        let many =
            |counted: &BTreeMap<NodeId, VecDeque<u64>>, node| counted.get(&node).map_or(0, VecDeque::len);
        if many(&self.of, maker) >= OF_ONE_MAX || many(&self.to, best) >= TO_ONE_MAX {
            return false;
        }
        self.of.entry(maker).or_default().push_back(now_ms);
        self.to.entry(best).or_default().push_back(now_ms);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(n: u8) -> NodeId {
        NodeId([n; 32])
    }

    #[test]
    fn one_node_has_so_much_passed_on_and_one_node_is_brought_so_much_and_it_is_forgotten_in_time() {
        let mut allowance = Allowance::default();
        let mut taken = |maker: u8, best: u8, now_ms: u64| allowance.spend(node(maker), node(best), now_ms);
        assert!((0..OF_ONE_MAX).all(|_| taken(1, 9, 0)));
        assert!(!taken(1, 9, 1) && !taken(1, 8, 1), "that was all of one");
        assert!((0..TO_ONE_MAX - OF_ONE_MAX).all(|_| taken(2, 9, 1)));
        assert!(!taken(3, 9, 2) && taken(3, 8, 2), "that was all to one");
        assert!(taken(1, 9, COUNTED_MS) && taken(3, 9, COUNTED_MS + 1));
        assert!(taken(1, 9, 3 * COUNTED_MS));
        assert_eq!((allowance.of.len(), allowance.to.len()), (1, 1), "who is quiet takes no room");
    }
}
