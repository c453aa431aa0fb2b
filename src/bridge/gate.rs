//! How much work others may make us do before we know that it is worth it.
//!
//! Anybody may speak under any name, and anybody who heard an envelope may repeat it. So a node pays from its
//! own bucket only for what is proven, new and taken. Everything else that came under its name, forged,
//! repeated or out of place, is paid from a second bucket, and an empty second bucket does not touch the first.
//! Every look is paid before it is taken, so that no number of threads looks more often; one that led to something
//! is given back.

use std::collections::BTreeSet;
use std::fmt;
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

    /// Pays for a look at one more under this name.
    pub fn enter(&self, claimed: Option<NodeId>, now_ns: u64) -> Result<(), Refusal> {
        let mut buckets = lock(&self.unproven);
        if buckets.take(claimed, now_ns) { Ok(()) } else { Err(flooded(claimed, buckets.rate())) }
    }

    /// Pays for as many further looks as there are tokens, at most `wanted`; says how many.
    pub fn enter_some(&self, claimed: Option<NodeId>, wanted: usize, now_ns: u64) -> usize {
        let mut buckets = lock(&self.unproven);
        let looks = wanted.min(buckets.left(claimed, now_ns));
        if buckets.take_all(claimed, looks, now_ns) { looks } else { 0 }
    }

    /// Gives back looks that led to something.
    pub fn give_back(&self, claimed: Option<NodeId>, looks: usize) {
        lock(&self.unproven).give_back(claimed, looks);
    }

    /// How many envelopes `node` may have proven to have said now.
    pub fn room(&self, node: NodeId, now_ns: u64) -> usize {
        lock(&self.taken).left(Some(node), now_ns)
    }

    /// Refuses what `node` could not be given a place for even if it proves to have said it.
    pub fn judge_room(&self, node: NodeId, now_ns: u64) -> Result<(), Refusal> {
        if self.room(node, now_ns) > 0 {
            return Ok(());
        }
        Err(rate_limited(unproven(node), lock(&self.taken).rate()))
    }

    /// Pays for something new that `node` has proven to have said, by what it holds.
    pub fn take(&self, node: NodeId, tokens: usize, now_ns: u64) -> Result<(), Refusal> {
        let mut buckets = lock(&self.taken);
        if buckets.take_all(Some(node), tokens, now_ns) {
            Ok(())
        } else {
            Err(rate_limited(node, buckets.rate()))
        }
    }

    /// Gives back what was paid for something that found no place.
    pub fn return_taken(&self, node: NodeId, tokens: usize) {
        lock(&self.taken).give_back(Some(node), tokens);
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

fn rate_limited(node: impl fmt::Display, rate: u32) -> Refusal {
    let sentence = format!(
        "it signed more than {rate} envelopes a second (a bundle counts once for every 8 frames); sign more readings in \
         one batch"
    );
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
        (0..tries).filter(|_| gate.enter(claimed, 0).is_ok()).count()
    }

    #[test]
    fn forgeries_take_nothing_of_what_a_node_may_say() {
        let gate = gate();
        assert_eq!(forgeries(&gate, Some(node(1)), 1_000), 20);
        assert_eq!((0..9).filter(|_| gate.take(node(1), 1, 0).is_ok()).count(), 5);
    }

    #[test]
    fn what_a_node_has_no_room_for_is_not_looked_at_and_nobody_is_blamed_by_name() {
        let gate = gate();
        (0..5).for_each(|_| assert_eq!(gate.judge_room(node(1), 0).and(gate.take(node(1), 1, 0)), Ok(())));
        let refusal = gate.judge_room(node(1), 0).unwrap_err();
        assert_eq!((refusal.code, refusal.from), (Code::RateLimited, unproven(node(1))));
        assert_eq!(gate.judge_room(node(2), 0), Ok(()));
        assert_eq!(gate.judge_room(node(1), SECOND), Ok(()));
    }

    #[test]
    fn looks_that_led_to_something_cost_nothing_and_nobody_looks_on_credit() {
        let gate = gate();
        for _ in 0..99 {
            assert!(gate.enter(Some(node(1)), 0).is_ok());
            assert_eq!(gate.enter_some(Some(node(1)), 8, 0), 8);
            gate.give_back(Some(node(1)), 9);
        }
        assert_eq!(gate.enter_some(Some(node(1)), 256, 0), 20);
        assert_eq!(gate.enter_some(Some(node(1)), 256, 0), 0);
        assert!(gate.enter(Some(node(1)), 0).is_err());
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
        (0..5).for_each(|_| assert_eq!(gate.take(node(1), 1, 0), Ok(())));
        assert_eq!(gate.take(node(1), 1, 0).unwrap_err().from, node(1).to_string());
    }
}
