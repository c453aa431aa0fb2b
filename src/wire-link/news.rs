//! How much news a node that we have dialled is told: so much that in no minute there is more than it may be. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use clawmesh_authority::NodeId;

/// One piece of news, in the unit the level is counted in.
const PIECE: u64 = 60_000;

/// The budget of each node. It is the node that counts, and not the link: one that comes back has heard what it has heard.
#[derive(Debug, Default)]
pub(crate) struct Budgets(BTreeMap<NodeId, Budget>);

impl Budgets {
    /// Takes one piece for a node; false when there is none at `elapsed`.
    pub fn take(&mut self, node: NodeId, per_minute_max: u32, elapsed: Duration) -> bool {
        if !self.0.contains_key(&node) {
            // Whoever was told nothing for a while needs no place.
            self.0.retain(|_, budget| !budget.is_whole(per_minute_max, elapsed));
        }
        self.0.entry(node).or_default().take(per_minute_max, elapsed)
    }
}

/// A bucket that holds half of what may be told in a minute, and gains the other half in one.
#[derive(Debug, Default)]
struct Budget {
    used: u64,
    at_ms: u64,
}

impl Budget {
    /// Takes one; false when there is none at `elapsed`.
    fn take(&mut self, per_minute_max: u32, elapsed: Duration) -> bool {
        let half = u64::from(per_minute_max / 2);
        self.gain(half, elapsed);
        let is_enough = self.used + PIECE <= half * PIECE;
        self.used += if is_enough { PIECE } else { 0 };
        is_enough
    }

    /// True when nothing of it is used any more at `elapsed`.
    fn is_whole(&mut self, per_minute_max: u32, elapsed: Duration) -> bool {
        self.gain(u64::from(per_minute_max / 2), elapsed);
        self.used == 0
    }

    fn gain(&mut self, half: u64, elapsed: Duration) {
        let now_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let gained = now_ms.saturating_sub(self.at_ms).saturating_mul(half);
        self.used = self.used.saturating_sub(gained);
        self.at_ms = self.at_ms.max(now_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_no_minute_more_is_told_than_may_be() {
        let mut budget = Budget::default();
        let told: Vec<u64> =
            (0..300_000).step_by(50).filter(|ms| budget.take(60, Duration::from_millis(*ms))).collect();
        for begins_ms in (0..240_000).step_by(1_000) {
            let many = told.iter().filter(|ms| (begins_ms..begins_ms + 60_000).contains(*ms)).count();
            assert!((29..=60).contains(&many), "{many} from {begins_ms} ms on");
        }
    }

    #[test]
    fn each_node_has_a_budget_of_its_own_and_one_that_was_told_nothing_for_a_minute_takes_no_place() {
        let mut budgets = Budgets::default();
        let [first, second] = [1, 2].map(|n| NodeId([n; 32]));
        let told = |budgets: &mut Budgets, node| {
            (0..100).filter(|_| budgets.take(node, 60, Duration::from_secs(5))).count()
        };
        assert_eq!((told(&mut budgets, first), told(&mut budgets, first)), (30, 0));
        assert_eq!(told(&mut budgets, second), 30);
        assert!(budgets.take(second, 60, Duration::from_secs(64)));
        assert!(budgets.take(NodeId([3; 32]), 60, Duration::from_secs(66)));
        assert!(!budgets.0.contains_key(&first) && budgets.0.contains_key(&second));
    }
}
