//! How much work others may make us do before we know that it is worth it.
//!
//! Anybody may speak under any name, and anybody who heard an envelope may repeat it. So a node pays from its
//! own bucket only for what is proven, new and taken. Everything else that came under its name, forged,
//! repeated or out of place, is paid from a second bucket, and an empty second bucket does not touch the first.

use std::collections::BTreeSet;
use std::sync::Mutex;

use clawmesh_authority::envelope::unproven;
use clawmesh_authority::{Code, NodeId, Refusal};

use crate::bucket::Buckets;
use crate::config::BridgeLimits;
use crate::edge::lock;

/// How a refusal names somebody who did not even claim to be anybody.
pub const UNKNOWN: &str = "an unknown sender";

/// The two buckets of every name.
#[derive(Debug)]
pub struct Gate {
    taken: Mutex<Buckets>,
    unproven: Mutex<Buckets>,
}

impl Gate {
    /// Full buckets.
    pub fn new(limits: &BridgeLimits, trusted: &BTreeSet<NodeId>) -> Self {
        Self {
            taken: Mutex::new(Buckets::new(limits.envelopes_per_second_max, trusted)),
            unproven: Mutex::new(Buckets::new(limits.unproven_per_second_max, trusted)),
        }
    }

    /// From now on these names have buckets of their own.
    pub fn follow(&self, trusted: &BTreeSet<NodeId>) {
        lock(&self.taken).follow(trusted);
        lock(&self.unproven).follow(trusted);
    }

    /// Says whether one more under this name is worth a look. It costs nothing until [`Gate::charge`].
    pub fn enter(&self, claimed: Option<NodeId>, now_ns: u64) -> Result<(), Refusal> {
        let mut buckets = lock(&self.unproven);
        if buckets.has(claimed, now_ns) { Ok(()) } else { Err(flooded(claimed, buckets.rate())) }
    }

    /// Pays for a look that led to nothing.
    pub fn charge(&self, claimed: Option<NodeId>, now_ns: u64) {
        // Two threads may have entered with the last token; the second then looks for free.
        let _ = lock(&self.unproven).take(claimed, now_ns);
    }

    /// How many envelopes `node` may have proven to have said now.
    pub fn room(&self, node: NodeId, now_ns: u64) -> usize {
        lock(&self.taken).left(Some(node), now_ns)
    }

    /// Pays for something new that `node` has proven to have said.
    pub fn take(&self, node: NodeId, now_ns: u64) -> Result<(), Refusal> {
        let mut buckets = lock(&self.taken);
        if buckets.take(Some(node), now_ns) { Ok(()) } else { Err(rate_limited(node, buckets.rate())) }
    }
}

/// Refuses to look at one more that may not be what it claims to be.
pub fn flooded(claimed: Option<NodeId>, rate: u32) -> Refusal {
    let from = claimed.map_or_else(|| UNKNOWN.to_owned(), unproven);
    let sentence = format!(
        "more than {rate} messages a second under this name, or all names we do not trust, were forged, repeated \
         or out of place; look who floods"
    );
    Refusal::new(Code::RateLimited, from, sentence)
}

fn rate_limited(node: NodeId, rate: u32) -> Refusal {
    let sentence = format!("it signed more than {rate} envelopes a second; sign more readings in one batch");
    Refusal::new(Code::RateLimited, node, sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn node(n: u8) -> NodeId {
        NodeId([n; 32])
    }

    fn gate() -> Gate {
        let limits = BridgeLimits {
            envelopes_per_second_max: 5,
            unproven_per_second_max: 20,
            ..BridgeLimits::default()
        };
        Gate::new(&limits, &BTreeSet::from([node(1), node(2)]))
    }

    /// How many of `tries` forgeries under this name make us work.
    fn forgeries(gate: &Gate, claimed: Option<NodeId>, tries: usize) -> usize {
        let is_looked_at = |_: &usize| gate.enter(claimed, 0).is_ok();
        (0..tries).filter(is_looked_at).inspect(|_| gate.charge(claimed, 0)).count()
    }

    #[test]
    fn forgeries_take_nothing_of_what_a_node_may_say() {
        let gate = gate();
        assert_eq!(forgeries(&gate, Some(node(1)), 1_000), 20);
        assert_eq!((0..9).filter(|_| gate.take(node(1), 0).is_ok()).count(), 5);
    }

    #[test]
    fn a_flood_under_one_name_or_invented_ones_leaves_the_others_their_looks() {
        let gate = gate();
        assert_eq!(forgeries(&gate, Some(node(1)), 1_000), 20);
        assert_eq!((3..99).map(|n| forgeries(&gate, Some(node(n)), 9)).sum::<usize>(), 20);
        assert_eq!(forgeries(&gate, None, 9), 0);
        assert!(gate.enter(Some(node(2)), 0).is_ok());
    }

    #[test]
    fn a_name_under_which_somebody_floods_is_looked_at_again_as_time_passes() {
        let gate = gate();
        forgeries(&gate, Some(node(1)), 1_000);
        assert!(gate.enter(Some(node(1)), SECOND / 40).is_err());
        assert!(gate.enter(Some(node(1)), SECOND / 20).is_ok());
    }

    #[test]
    fn before_it_is_proven_nobody_is_blamed_by_name() {
        let gate = gate();
        forgeries(&gate, Some(node(1)), 20);
        assert_eq!(gate.enter(Some(node(1)), 0).unwrap_err().from, unproven(node(1)));
        forgeries(&gate, None, 20);
        assert_eq!(gate.enter(None, 0).unwrap_err().from, UNKNOWN);
        (0..5).for_each(|_| assert_eq!(gate.take(node(1), 0), Ok(())));
        assert_eq!(gate.take(node(1), 0).unwrap_err().from, node(1).to_string());
    }
}
