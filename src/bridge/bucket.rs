//! How much one sender may say: token buckets, one for each claimed node, in bounded memory.

use std::collections::{BTreeMap, BTreeSet};

use clawmesh_authority::NodeId;

/// One token, in the unit the level is counted in.
const TOKEN: u64 = 1_000_000_000;

/// Claimed nodes we do not trust that have a bucket of their own; further ones share one.
const STRANGERS_MAX: usize = 1_024;

/// Fills with `rate` tokens a second up to `rate` tokens.
#[derive(Debug, Clone, Copy)]
struct TokenBucket {
    level: u64,
    filled_at_ns: u64,
}

impl TokenBucket {
    fn full(rate: u32, now_ns: u64) -> Self {
        Self { level: capacity(rate), filled_at_ns: now_ns }
    }

    fn take(&mut self, rate: u32, now_ns: u64) -> bool {
        self.fill(rate, now_ns);
        let is_enough = self.level >= TOKEN;
        self.level -= if is_enough { TOKEN } else { 0 };
        is_enough
    }

    fn fill(&mut self, rate: u32, now_ns: u64) {
        let elapsed_ns = now_ns.saturating_sub(self.filled_at_ns);
        let gained = elapsed_ns.saturating_mul(u64::from(rate));
        self.level = self.level.saturating_add(gained).min(capacity(rate));
        self.filled_at_ns = self.filled_at_ns.max(now_ns);
    }
}

fn capacity(rate: u32) -> u64 {
    u64::from(rate.max(1)) * TOKEN
}

/// The buckets of all claimed nodes.
///
/// Anybody may claim to be anybody, so nodes we trust always have their own bucket, and inventing nodes
/// costs an attacker, not us.
#[derive(Debug)]
pub struct Buckets {
    rate: u32,
    trusted: BTreeSet<NodeId>,
    known: BTreeMap<NodeId, TokenBucket>,
    strangers: BTreeMap<NodeId, TokenBucket>,
    shared: TokenBucket,
}

impl Buckets {
    /// Full buckets of `rate` tokens a second.
    pub fn new(rate: u32, trusted: BTreeSet<NodeId>) -> Self {
        let shared = TokenBucket::full(rate, 0);
        Self { rate, trusted, known: BTreeMap::new(), strangers: BTreeMap::new(), shared }
    }

    /// True when whoever claims to be `node` may say one thing more.
    pub fn take(&mut self, node: NodeId, now_ns: u64) -> bool {
        let rate = self.rate;
        self.bucket(node, now_ns).take(rate, now_ns)
    }

    fn bucket(&mut self, node: NodeId, now_ns: u64) -> &mut TokenBucket {
        let fresh = TokenBucket::full(self.rate, now_ns);
        if self.trusted.contains(&node) {
            return self.known.entry(node).or_insert(fresh);
        }
        if self.strangers.len() >= STRANGERS_MAX && !self.strangers.contains_key(&node) {
            self.forget_rested(now_ns);
            if self.strangers.len() >= STRANGERS_MAX {
                return &mut self.shared;
            }
        }
        self.strangers.entry(node).or_insert(fresh)
    }

    /// A bucket that is full again says the same as none.
    fn forget_rested(&mut self, now_ns: u64) {
        let rate = self.rate;
        self.strangers.retain(|_, bucket| {
            bucket.fill(rate, now_ns);
            bucket.level < capacity(rate)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;

    fn node(n: u16) -> NodeId {
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&n.to_be_bytes());
        NodeId(bytes)
    }

    fn takes(buckets: &mut Buckets, node: NodeId, now_ns: u64, tries: u32) -> usize {
        (0..tries).filter(|_| buckets.take(node, now_ns)).count()
    }

    #[test]
    fn one_second_gives_the_rate_and_a_flood_is_its_own() {
        let mut buckets = Buckets::new(500, BTreeSet::from([node(1), node(2)]));
        assert_eq!(takes(&mut buckets, node(1), 0, 2_000), 500);
        assert_eq!(takes(&mut buckets, node(1), SECOND / 2, 2_000), 250);
        assert_eq!(takes(&mut buckets, node(2), SECOND / 2, 2_000), 500);
    }

    #[test]
    fn invented_nodes_take_bounded_memory_and_nothing_from_the_trusted() {
        let mut buckets = Buckets::new(10, BTreeSet::from([node(0)]));
        for n in 1..5_000 {
            takes(&mut buckets, node(n), SECOND, 10);
        }
        assert_eq!(buckets.strangers.len(), STRANGERS_MAX);
        assert_eq!(takes(&mut buckets, node(0), SECOND, 99), 10);
        assert!(buckets.take(node(9_000), 3 * SECOND), "rested buckets make place");
        assert_eq!(buckets.strangers.len(), 1);
    }

    #[test]
    fn the_largest_rate_does_not_overflow() {
        let mut buckets = Buckets::new(u32::MAX, BTreeSet::new());
        assert_eq!(takes(&mut buckets, node(1), u64::MAX, 1_000), 1_000);
    }

    proptest! {
        #[test]
        fn never_more_than_burst_and_rate_whatever_the_times(
            rate in 1_u32..100,
            gaps in prop::collection::vec(0_u64..SECOND, 1..200),
        ) {
            let mut buckets = Buckets::new(rate, BTreeSet::new());
            let (mut now_ns, mut taken) = (0, 0_u64);
            for gap in gaps {
                now_ns += gap;
                taken += u64::from(buckets.take(node(1), now_ns));
            }
            prop_assert!(taken <= u64::from(rate) + now_ns * u64::from(rate) / SECOND + 1);
        }
    }
}
