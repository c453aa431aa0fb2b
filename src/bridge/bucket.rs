//! How much may come under one name: token buckets, one for each trusted node, one for all others together.

use std::collections::{BTreeMap, BTreeSet};

use clawmesh_authority::NodeId;

/// One token, in the unit the level is counted in.
const TOKEN: u64 = 1_000_000_000;

/// Fills with `rate` tokens a second up to `rate` tokens.
#[derive(Debug, Clone, Copy)]
struct TokenBucket {
    level: u64,
    filled_at_ns: u64,
}

impl TokenBucket {
    fn full(rate: u32) -> Self {
        Self { level: capacity(rate), filled_at_ns: 0 }
    }

    /// What costs more than there ever can be takes all of it.
    fn take(&mut self, rate: u32, tokens: usize, now_ns: u64) -> bool {
        self.fill(rate, now_ns);
        let cost = cost_of(tokens).min(capacity(rate));
        let is_enough = self.level >= cost;
        self.level -= if is_enough { cost } else { 0 };
        is_enough
    }

    fn give_back(&mut self, rate: u32, tokens: usize) {
        self.level = self.level.saturating_add(cost_of(tokens)).min(capacity(rate));
    }

    fn fill(&mut self, rate: u32, now_ns: u64) {
        let elapsed_ns = now_ns.saturating_sub(self.filled_at_ns);
        let gained = elapsed_ns.saturating_mul(u64::from(rate));
        self.level = self.level.saturating_add(gained).min(capacity(rate));
        self.filled_at_ns = self.filled_at_ns.max(now_ns);
    }
}

fn cost_of(tokens: usize) -> u64 {
    (tokens as u64).saturating_mul(TOKEN)
}

fn capacity(rate: u32) -> u64 {
    u64::from(rate.max(1)) * TOKEN
}

/// The buckets of all names.
///
/// Inventing names costs nothing, so whoever is not trusted shares one bucket with all who are not.
#[derive(Debug)]
pub struct Buckets {
    rate: u32,
    trusted: BTreeMap<NodeId, TokenBucket>,
    others: TokenBucket,
}

impl Buckets {
    /// Full buckets of `rate` tokens a second.
    pub fn new(rate: u32, trusted: &BTreeSet<NodeId>) -> Self {
        let full = TokenBucket::full(rate);
        Self { rate, trusted: trusted.iter().map(|node| (*node, full)).collect(), others: full }
    }

    /// From now on these names have a bucket of their own, full if they had none.
    pub fn follow(&mut self, trusted: &BTreeSet<NodeId>) {
        self.trusted.retain(|node, _| trusted.contains(node));
        for node in trusted {
            self.trusted.entry(*node).or_insert_with(|| TokenBucket::full(self.rate));
        }
    }

    /// Tokens a second.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// How many tokens there are.
    pub fn left(&mut self, name: Option<NodeId>, now_ns: u64) -> usize {
        let rate = self.rate;
        let bucket = self.bucket(name);
        bucket.fill(rate, now_ns);
        usize::try_from(bucket.level / TOKEN).unwrap_or(usize::MAX)
    }

    /// Takes a token, if there is one.
    pub fn take(&mut self, name: Option<NodeId>, now_ns: u64) -> bool {
        self.take_all(name, 1, now_ns)
    }

    /// Takes so many tokens, if there are as many or the bucket is full.
    pub fn take_all(&mut self, name: Option<NodeId>, tokens: usize, now_ns: u64) -> bool {
        let rate = self.rate;
        self.bucket(name).take(rate, tokens, now_ns)
    }

    /// Puts back tokens that were taken for nothing.
    pub fn give_back(&mut self, name: Option<NodeId>, tokens: usize) {
        let rate = self.rate;
        self.bucket(name).give_back(rate, tokens);
    }

    fn bucket(&mut self, name: Option<NodeId>) -> &mut TokenBucket {
        name.and_then(|node| self.trusted.get_mut(&node)).unwrap_or(&mut self.others)
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

    fn takes(buckets: &mut Buckets, n: u16, now_ns: u64, tries: u32) -> usize {
        (0..tries).filter(|_| buckets.take(Some(node(n)), now_ns)).count()
    }

    #[test]
    fn one_second_gives_the_rate_and_a_flood_is_its_own() {
        let mut buckets = Buckets::new(500, &BTreeSet::from([node(1), node(2)]));
        assert_eq!(takes(&mut buckets, 1, 0, 2_000), 500);
        assert_eq!(takes(&mut buckets, 1, SECOND / 2, 2_000), 250);
        assert_eq!(takes(&mut buckets, 2, SECOND / 2, 2_000), 500);
    }

    #[test]
    fn invented_names_share_one_bucket_and_take_nothing_from_the_trusted() {
        let mut buckets = Buckets::new(10, &BTreeSet::from([node(0)]));
        let taken: usize = (1..5_000).map(|n| takes(&mut buckets, n, SECOND, 10)).sum();
        assert_eq!(taken, 10);
        assert!(!buckets.take(None, SECOND));
        assert_eq!(takes(&mut buckets, 0, SECOND, 99), 10);
    }

    #[test]
    fn who_is_trusted_later_gets_a_bucket_and_who_no_longer_is_shares_one() {
        let mut buckets = Buckets::new(10, &BTreeSet::from([node(1), node(2)]));
        assert_eq!(takes(&mut buckets, 1, SECOND, 99), 10);
        buckets.follow(&BTreeSet::from([node(1), node(3)]));
        assert_eq!(takes(&mut buckets, 1, SECOND, 99), 0, "what it has used up it has used up");
        assert_eq!(takes(&mut buckets, 3, SECOND, 99), 10);
        assert_eq!(takes(&mut buckets, 2, SECOND, 99) + takes(&mut buckets, 4, SECOND, 99), 10);
    }

    #[test]
    fn looking_costs_nothing() {
        let mut buckets = Buckets::new(1, &BTreeSet::new());
        assert!((0..9).all(|_| buckets.left(None, 0) == 1));
        assert!(buckets.take(None, 0) && buckets.left(None, 0) == 0 && buckets.left(None, SECOND) == 1);
    }

    #[test]
    fn what_is_given_back_is_there_again_and_never_more_than_the_bucket_holds() {
        let mut buckets = Buckets::new(10, &BTreeSet::new());
        assert!(buckets.take_all(None, 8, 0) && !buckets.take_all(None, 3, 0));
        buckets.give_back(None, 1);
        assert!(buckets.take_all(None, 3, 0) && buckets.left(None, 0) == 0);
        buckets.give_back(None, 99);
        assert!(buckets.take_all(None, 11, 0), "what costs more than the bucket holds takes all of it");
        assert_eq!(buckets.left(None, 0), 0);
    }

    #[test]
    fn the_largest_rate_does_not_overflow() {
        let mut buckets = Buckets::new(u32::MAX, &BTreeSet::new());
        assert_eq!(takes(&mut buckets, 1, u64::MAX, 1_000), 1_000);
    }

    proptest! {
        #[test]
        fn never_more_than_burst_and_rate_whatever_the_times(
            rate in 1_u32..100,
            gaps in prop::collection::vec(0_u64..SECOND, 1..200),
        ) {
            let mut buckets = Buckets::new(rate, &BTreeSet::from([node(1)]));
            let (mut now_ns, mut taken) = (0, 0_u64);
            for gap in gaps {
                now_ns += gap;
                taken += u64::from(buckets.take(Some(node(1)), now_ns));
            }
            prop_assert!(taken <= u64::from(rate) + now_ns * u64::from(rate) / SECOND + 1);
        }
    }
}
