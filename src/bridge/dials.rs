//! When to dial whom of the nodes that were found. Pure.
//!
//! Whoever makes records can change them as fast as he likes, so what brakes a dial belongs to the node and not to its record.

use std::collections::BTreeMap;

use clawmesh_authority::NodeId;

use crate::backoff::noise;
use crate::ways::FoundWay;

/// How long after a dial the same node is not dialled again, wherever it is said to be.
const BRAKE_MS: u64 = 2_000;
/// How long a way that does not help rests at most.
const REST_LONGEST_MS: u64 = 60_000;
/// The same for one that failed at once: that costs nobody anything, and maybe zenoh was dialling where that node was before, for
/// which it waits up to ten seconds and tries nothing else.
const REST_AT_ONCE_LONGEST_MS: u64 = 8_000;
/// Two nodes that find each other do not call at the same moment: the one with the higher id waits for the other.
const HIGHER_WAITS_MS: u64 = 4_000;
/// How many are dialled at a time.
pub const AT_ONCE_MAX: usize = 8;

/// How a dial has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// There is a link, old or new.
    Linked,
    /// There is none, although it was tried for a while.
    Failed,
    /// There is none, and it was hardly tried.
    FailedAtOnce,
}

/// What is known of the dials to one node.
#[derive(Debug)]
struct Dial {
    way: FoundWay,
    /// Not before this moment.
    next_ms: u64,
    /// The earliest moment at which a new way may be tried.
    brake_until_ms: u64,
    rest_ms: u64,
    is_under_way: bool,
}

/// The dials of one session.
#[derive(Debug)]
pub struct Dials {
    own: NodeId,
    dials: BTreeMap<NodeId, Dial>,
}

impl Dials {
    /// Nobody was dialled yet by the node `own`.
    pub fn new(own: NodeId) -> Self {
        Self { own, dials: BTreeMap::new() }
    }

    /// Whom to dial now: of those found, who is trusted, and whose time has come. Each must be said to have ended.
    pub fn due(
        &mut self,
        now_ms: u64,
        found: &BTreeMap<NodeId, FoundWay>,
        is_trusted: impl Fn(&NodeId) -> bool,
    ) -> Vec<(NodeId, FoundWay)> {
        // Who is lost and found again keeps the brake, so only trust bounds how many there are.
        self.dials.retain(|node, dial| dial.is_under_way || is_trusted(node));
        let room = AT_ONCE_MAX.saturating_sub(self.dials.values().filter(|dial| dial.is_under_way).count());
        let own = self.own;
        let mut due = Vec::new();
        for (node, way) in found.iter().filter(|(node, _)| **node != own && is_trusted(node)) {
            let dial = self.dials.entry(*node).or_insert_with(|| Dial::new(way, own < *node, now_ms));
            if dial.way != *way {
                dial.follow(way);
            }
            if !dial.is_under_way && dial.next_ms <= now_ms && due.len() < room {
                dial.is_under_way = true;
                due.push((*node, way.clone()));
            }
        }
        due
    }

    /// A dial has ended. A node that is linked is looked at again soon, as a link that is there costs nothing.
    pub fn ended(&mut self, node: NodeId, outcome: Outcome, now_ms: u64) {
        let Some(dial) = self.dials.get_mut(&node) else { return };
        dial.is_under_way = false;
        dial.brake_until_ms = now_ms + BRAKE_MS;
        let longest_ms = match outcome {
            Outcome::Linked => BRAKE_MS,
            Outcome::Failed => REST_LONGEST_MS,
            Outcome::FailedAtOnce => REST_AT_ONCE_LONGEST_MS,
        };
        let rest_ms = dial.rest_ms.min(longest_ms);
        // Up to a quarter longer, another time for each pair: what was broken for all is not dialled by all at once.
        let of_a_pair =
            self.own.0.iter().zip(node.0).fold(0, |sum: u64, (own, other)| {
                sum.rotate_left(7) ^ u64::from(*own) ^ (u64::from(other) << 8)
            });
        dial.next_ms = now_ms + rest_ms + noise(of_a_pair ^ now_ms) % (rest_ms / 4 + 1);
        dial.rest_ms = (rest_ms * 2).min(longest_ms);
    }
}

impl Dial {
    fn new(way: &FoundWay, is_at_once: bool, now_ms: u64) -> Self {
        let next_ms = now_ms + if is_at_once { 0 } else { HIGHER_WAITS_MS };
        Self { way: way.clone(), next_ms, brake_until_ms: now_ms, rest_ms: BRAKE_MS, is_under_way: false }
    }

    /// What did not help at the old place is no reason to wait at the new one.
    fn follow(&mut self, way: &FoundWay) {
        self.way = way.clone();
        self.rest_ms = BRAKE_MS;
        self.next_ms = self.next_ms.min(self.brake_until_ms);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use proptest::prelude::*;

    const OWN: NodeId = NodeId([5; 32]);

    fn at(host: u8) -> FoundWay {
        FoundWay { session: "1f".to_owned(), locators: vec![format!("tcp/10.0.0.{host}:7447")] }
    }

    fn found(node: u8, host: u8) -> BTreeMap<NodeId, FoundWay> {
        BTreeMap::from([(NodeId([node; 32]), at(host))])
    }

    /// When a node that is always found at one place and never answers is dialled, in ten minutes.
    fn moments(node: u8, mut place: impl FnMut(u64) -> u8) -> Vec<u64> {
        let mut dials = Dials::new(OWN);
        (0..600_000)
            .step_by(500)
            .filter(|now_ms| {
                let due = dials.due(*now_ms, &found(node, place(*now_ms)), |_| true);
                due.iter().for_each(|(node, _)| dials.ended(*node, Outcome::Failed, *now_ms));
                !due.is_empty()
            })
            .collect()
    }

    #[test]
    fn a_way_that_does_not_help_rests_longer_each_time_and_is_never_given_up() {
        let moments = moments(7, |_| 1);
        let rests: Vec<u64> = moments.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let is_of = |(rest_ms, expected_ms): (&u64, u64)| is_about(*rest_ms, expected_ms);
        assert!(rests.iter().zip([2_000, 4_000, 8_000, 16_000, 32_000]).all(is_of), "{rests:?}");
        assert!(rests[5..].iter().all(|rest_ms| is_about(*rest_ms, 60_000)), "{rests:?}");
    }

    /// So long, or up to a quarter longer, seen every half second.
    fn is_about(rest_ms: u64, expected_ms: u64) -> bool {
        (expected_ms..=expected_ms / 4 * 5 + 500).contains(&rest_ms)
    }

    #[test]
    fn nodes_that_lost_one_another_together_do_not_dial_in_step() {
        let thirds: BTreeSet<u64> = (6..26).map(|node| moments(node, |_| 1)[4]).collect();
        assert!(thirds.len() > 5, "{thirds:?}");
    }

    #[test]
    fn what_fails_at_once_is_tried_again_every_few_seconds() {
        let (mut dials, node, mut dialled) = (Dials::new(OWN), NodeId([7; 32]), Vec::new());
        for now_ms in (0..60_000).step_by(500) {
            if !dials.due(now_ms, &found(7, 1), |_| true).is_empty() {
                dials.ended(node, Outcome::FailedAtOnce, now_ms);
                dialled.push(now_ms);
            }
        }
        let rests: Vec<u64> = dialled.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(is_about(rests[0], 2_000) && is_about(rests[1], 4_000), "{rests:?}");
        assert!(rests[2..].iter().all(|rest_ms| is_about(*rest_ms, 8_000)), "{rests:?}");
    }

    #[test]
    fn of_two_nodes_the_lower_one_dials_first() {
        assert_eq!(moments(7, |_| 1)[0], 0);
        assert_eq!(moments(3, |_| 1)[0], 4_000);
    }

    #[test]
    fn a_new_address_is_tried_soon_however_often_the_old_one_failed() {
        let mut dials = Dials::new(OWN);
        let node = NodeId([7; 32]);
        let mut now_ms = 0;
        for _ in 0..10 {
            let due = dials.due(now_ms, &found(7, 1), |_| true);
            due.iter().for_each(|_| dials.ended(node, Outcome::Failed, now_ms));
            now_ms += 60_000;
        }
        assert_eq!(dials.due(now_ms - 1_000, &found(7, 2), |_| true), [(node, at(2))]);
    }

    #[test]
    fn records_that_change_all_the_time_make_no_more_dials_than_the_brake_lets_through() {
        let mut host = 0_u8;
        let changing = moments(7, |_| {
            host = host.wrapping_add(1);
            host
        });
        assert!(changing.windows(2).all(|pair| pair[1] - pair[0] >= BRAKE_MS), "{changing:?}");
        // Nor do records that come and go.
        let mut dials = Dials::new(OWN);
        let mut count = 0;
        for now_ms in (0..60_000_u64).step_by(500) {
            for (node, _) in dials.due(now_ms, &found(7, 1), |_| true) {
                dials.ended(node, Outcome::Failed, now_ms);
                count += 1;
            }
            assert_eq!(dials.due(now_ms, &BTreeMap::new(), |_| true), []);
        }
        assert_eq!(count, 5);
    }

    #[test]
    fn who_is_not_trusted_and_who_we_are_is_not_dialled() {
        let mut dials = Dials::new(OWN);
        assert_eq!(dials.due(0, &found(7, 1), |_| false), []);
        assert_eq!(dials.due(0, &found(5, 1), |_| true), []);
        assert!(dials.dials.is_empty());
    }

    proptest! {
        #[test]
        fn few_are_dialled_at_a_time_and_nobody_twice_at_once(
            rounds in prop::collection::vec((0_u64..9_000, 0_u8..40, prop::collection::vec(any::<bool>(), 0..9)), 1..60),
        ) {
            let mut dials = Dials::new(OWN);
            let (mut now_ms, mut under_way) = (0, Vec::new());
            for (passed_ms, hosts, ends) in rounds {
                now_ms += passed_ms;
                let found: BTreeMap<NodeId, FoundWay> = (0..hosts).map(|n| (NodeId([n; 32]), at(n))).collect();
                for (node, _) in dials.due(now_ms, &found, |_| true) {
                    prop_assert!(!under_way.contains(&node));
                    under_way.push(node);
                }
                prop_assert!(under_way.len() <= AT_ONCE_MAX);
                for is_linked in ends {
                    if let Some(node) = under_way.pop() {
                        dials.ended(node, if is_linked { Outcome::Linked } else { Outcome::FailedAtOnce }, now_ms);
                    }
                }
            }
        }
    }
}
