//! What time it is by what other nodes say: the median of those who answered, if enough of them stand close around it. Pure.
//!
//! A node whose clock nothing keeps knows how long it has been up, and asks others what time it is. What it looks for is its
//! base: what the time was when its count of milliseconds began. Each answer gives an interval for it, because nobody knows when
//! within the round trip it was made.
//!
//! The median is taken over everybody who answered, so a minority, whatever it says, cannot move it past those who are right.

use clawmesh_authority::NodeId;

/// How far from the chosen base an answer may end that counts as agreeing; two that agree are at most twice as far apart.
pub const APART_MS_MAX: u64 = 500;
/// How long after the question an answer counts, milliseconds. Nobody knows when within it the answer was made, so half of it is how
/// wrong the time may be; others refuse whoever is ahead of them by [`AHEAD_MS_MAX`](clawmesh_authority::hlc::AHEAD_MS_MAX).
pub const ROUND_MS_MAX: u64 = 900;

/// 9999-12-31, the last time that anybody may say: one later would leave no room for what comes after it.
const LATEST_MS: u64 = 253_402_300_799_000;

/// One answer: between which bases the truth lies, if the node is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// Who answered.
    pub node: NodeId,
    earliest_ms: u64,
    latest_ms: u64,
}

impl Heard {
    /// A node said that it was `unix_ms`; it was asked when this one had been up for `asked_up_ms`, and the answer was there at
    /// `got_up_ms`. `None` for an answer that came too late or cannot be.
    #[must_use]
    pub fn of(node: NodeId, unix_ms: u64, asked_up_ms: u64, got_up_ms: u64) -> Option<Self> {
        let took_ms = got_up_ms.checked_sub(asked_up_ms)?;
        let earliest_ms = unix_ms.checked_sub(got_up_ms)?;
        let latest_ms = unix_ms.checked_sub(asked_up_ms)?;
        (took_ms <= ROUND_MS_MAX && earliest_ms > 0 && unix_ms <= LATEST_MS).then_some(Self {
            node,
            earliest_ms,
            latest_ms,
        })
    }

    fn middle_ms(&self) -> u64 {
        self.earliest_ms.midpoint(self.latest_ms)
    }

    fn agrees_on(&self, base_ms: u64) -> bool {
        let ends =
            [self.earliest_ms.saturating_sub(APART_MS_MAX), self.latest_ms.saturating_add(APART_MS_MAX)];
        (ends[0]..=ends[1]).contains(&base_ms)
    }
}

/// What is asked of an agreement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// As many nodes have to agree.
    pub nodes_min: usize,
    /// So many could have answered, so more than half of them have to agree: whoever keeps others from being heard does not
    /// become the majority by it. Fewer than have answered counts as those.
    pub voters: usize,
    /// What the time cannot be before, Unix milliseconds: it has been later before.
    pub not_before_ms: u64,
    /// How long this machine has been up now, milliseconds.
    pub up_ms: u64,
}

/// What time it is, and by whom.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Agreed {
    /// The time when this machine had been up for 0 ms, Unix milliseconds.
    pub base_ms: u64,
    /// Those who agree on it.
    pub with: Vec<NodeId>,
}

/// Why there is no agreement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAgreed {
    /// Too few nodes agree, or no majority of those who could have answered.
    TooFew {
        /// How many agree.
        agree: usize,
        /// How many have said a time.
        answered: usize,
        /// How many have to agree, as it stands.
        wanted: usize,
    },
    /// They agree on a time before one that this node has known.
    Passed {
        /// What they agree on, Unix milliseconds.
        agreed_ms: u64,
        /// What has passed, Unix milliseconds.
        not_before_ms: u64,
    },
}

impl Wanted {
    /// Usually two nodes, or the only one that could say the time, and a majority of those who are there and could say it: who is there
    /// and was not heard may have been kept from it. Until those who are there have had the time to appear, it is the majority of all, so
    /// that whoever is linked first does not tell the time alone. Where people have said how many are enough, of those who were heard.
    #[must_use]
    pub fn quorum(
        could_say: usize,
        there: usize,
        said_min: Option<usize>,
        is_settled: bool,
    ) -> (usize, usize) {
        let voters = if is_settled { there } else { could_say };
        said_min.map_or((could_say.clamp(1, 2), voters), |nodes_min| (nodes_min, 0))
    }
}

/// Chooses among the answers of one round; each node counts once.
///
/// # Errors
/// Why there is no agreement.
pub fn choose(heard: &[Heard], wanted: Wanted) -> Result<Agreed, NotAgreed> {
    let majority = wanted.voters.max(heard.len()) / 2 + 1;
    let nodes_min = wanted.nodes_min.max(majority);
    let too_few = |agree| NotAgreed::TooFew { agree, answered: heard.len(), wanted: nodes_min };
    let base_ms = median_ms(heard).ok_or(too_few(0))?;
    let agreeing = heard.iter().filter(|heard| heard.agrees_on(base_ms));
    let with: Vec<NodeId> = agreeing.map(|heard| heard.node).collect();
    if with.len() < nodes_min {
        return Err(too_few(with.len()));
    }
    let agreed_ms = base_ms.saturating_add(wanted.up_ms);
    if agreed_ms < wanted.not_before_ms {
        return Err(NotAgreed::Passed { agreed_ms, not_before_ms: wanted.not_before_ms });
    }
    Ok(Agreed { base_ms, with })
}

/// Between the two in the middle, or the one.
fn median_ms(heard: &[Heard]) -> Option<u64> {
    let mut middles: Vec<u64> = heard.iter().map(Heard::middle_ms).collect();
    middles.sort_unstable();
    let last = middles.len().checked_sub(1)?;
    let [low, high] = [last / 2, last.div_ceil(2)].map(|place| middles.get(place).copied());
    Some(low?.midpoint(high?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const T: u64 = 1_800_000_000_000;
    const UP: u64 = 60_000;

    fn node(n: u8) -> NodeId {
        NodeId([n; 32])
    }

    /// An answer of node `n`, which is `off_ms` wrong, asked a minute after the start; the way takes 10 ms each way.
    fn says(n: u8, off_ms: i64) -> Heard {
        Heard::of(node(n), (T + UP).saturating_add_signed(off_ms), UP - 10, UP + 10).unwrap()
    }

    fn wanted(nodes_min: usize) -> Wanted {
        Wanted { nodes_min, voters: 0, not_before_ms: T, up_ms: UP }
    }

    #[test]
    fn enough_nodes_that_are_a_majority_and_stand_close_together_agree() {
        // What each is off; how many are wanted; then what comes of it, as the base less T and who agrees.
        for (offs, nodes_min, expected, case) in [
            (&[0][..], 1, Some((0, vec![1])), "the only one there is"),
            (&[0], 2, None, "one where two are wanted"),
            (&[], 1, None, "nobody"),
            (&[0, 40], 2, Some((20, vec![1, 2])), "two"),
            (&[0, 1_000], 2, Some((500, vec![1, 2])), "two a second apart"),
            (&[0, 1_022], 2, None, "two too far apart"),
            (&[0, 30, 9_000_000], 2, Some((30, vec![1, 2])), "a lone liar ahead"),
            (&[0, 30, -9_000_000], 2, Some((0, vec![1, 2])), "a lone liar behind"),
            (&[0, 30, 400], 2, Some((30, vec![1, 2, 3])), "a lone liar that lies little"),
            (&[0, 9_000, -9_000], 2, None, "three times"),
            (&[0, 9_000, -9_000], 1, None, "three times, where one would be enough"),
            (&[0, 0, 9_000, 9_000], 2, None, "two against two"),
            (&[0, 0, 0, 9_000, 9_000], 2, Some((0, vec![1, 2, 3])), "three against two"),
            (&[0, 0, 0], 4, None, "three where four are wanted"),
        ] {
            let heard: Vec<Heard> = (1..).zip(offs).map(|(n, off)| says(n, *off)).collect();
            let chosen = choose(&heard, wanted(nodes_min));
            let expected = expected.map(|(off, with): (u64, Vec<u8>)| (T + off, with.into_iter().map(node)));
            let expected = expected.map(|(base_ms, with)| Agreed { base_ms, with: with.collect() });
            assert_eq!(chosen.ok(), expected, "{case}");
        }
    }

    #[test]
    fn those_who_could_not_be_heard_count_against_whoever_was() {
        // Two who agree, and one who does not.
        let heard = [says(1, 9_000), says(2, 9_000), says(3, 0)];
        for (voters, is_agreed) in [(0, true), (3, true), (4, false), (5, false)] {
            assert_eq!(choose(&heard, Wanted { voters, ..wanted(2) }).is_ok(), is_agreed, "of {voters}");
        }
        let expected = NotAgreed::TooFew { agree: 2, answered: 3, wanted: 3 };
        assert_eq!(choose(&heard, Wanted { voters: 5, ..wanted(2) }), Err(expected));
    }

    #[test]
    fn at_first_a_majority_of_all_is_wanted_and_then_of_those_who_are_there() {
        for (could_say, there, said_min, is_settled, expected) in [
            (1, 1, None, false, (1, 1)),
            (0, 0, None, true, (1, 0)),
            (2, 1, None, true, (2, 1)),
            (5, 2, None, false, (2, 5)),
            (5, 2, None, true, (2, 2)),
            (5, 2, Some(1), false, (1, 0)),
            (5, 5, Some(4), true, (4, 0)),
        ] {
            let quorum = Wanted::quorum(could_say, there, said_min, is_settled);
            assert_eq!(quorum, expected, "{there} of {could_say}");
        }
    }

    #[test]
    fn what_has_passed_is_never_agreed_on() {
        let heard = [says(1, 0), says(2, 0)];
        let past = |not_before_ms| choose(&heard, Wanted { not_before_ms, ..wanted(2) });
        assert!(past(T + UP).is_ok());
        let expected = NotAgreed::Passed { agreed_ms: T + UP, not_before_ms: T + UP + 1 };
        assert_eq!(past(T + UP + 1), Err(expected));
    }

    #[test]
    fn an_answer_that_is_late_or_cannot_be_is_none() {
        let heard = |unix_ms, asked, got| Heard::of(node(1), unix_ms, asked, got);
        assert!(heard(T, 1_000, 1_900).is_some());
        assert!(heard(T, 1_000, 1_901).is_none(), "late");
        assert!(heard(T, 1_000, 999).is_none(), "before it was asked");
        assert!(heard(1_000, 500, 1_000).is_none() && heard(0, 0, 0).is_none(), "no time at all");
        assert!(
            heard(u64::MAX, 0, 0).is_none() && heard(LATEST_MS + 1, 0, 0).is_none(),
            "after the last day"
        );
        let furthest = [heard(LATEST_MS, 0, 0).unwrap(), heard(LATEST_MS, 0, 9).unwrap()];
        assert!(choose(&furthest, wanted(2)).is_ok());
    }

    #[test]
    fn the_longest_way_makes_nobody_so_wrong_that_others_refuse_it() {
        // All of it was the way there, or the way back.
        for (asked, got) in [(UP - ROUND_MS_MAX, UP), (UP, UP + ROUND_MS_MAX)] {
            let heard = Heard::of(node(1), T + UP, asked, got).unwrap();
            let agreed = choose(&[heard], wanted(1)).unwrap();
            assert!(agreed.base_ms.abs_diff(T) <= clawmesh_authority::hlc::AHEAD_MS_MAX, "{agreed:?}");
        }
    }

    /// Answers of nodes that are right, whose ways are of any length; the truth lies in each interval.
    fn right() -> impl Strategy<Value = Vec<(u64, u64)>> {
        prop::collection::vec((0_u64..=ROUND_MS_MAX / 2, 0_u64..=ROUND_MS_MAX / 2), 1..6)
    }

    proptest! {
        #[test]
        fn a_minority_cannot_move_the_time_past_those_who_are_right(
            right in right(), lies in prop::collection::vec(any::<u64>(), 0..5), nodes_min in 1_usize..4,
        ) {
            let right: Vec<Heard> = (1..).zip(right).map(|(n, (there, back))| {
                Heard::of(node(n), T + UP, UP - there, UP + back).unwrap()
            }).collect();
            let lies = lies.into_iter().take(right.len() - 1);
            let lies = (100..).zip(lies).filter_map(|(n, unix_ms)| Heard::of(node(n), unix_ms, UP, UP));
            let all: Vec<Heard> = right.iter().copied().chain(lies).collect();
            if let Ok(agreed) = choose(&all, wanted(nodes_min)) {
                let earliest = right.iter().map(|heard| heard.earliest_ms).min().unwrap();
                let latest = right.iter().map(|heard| heard.latest_ms).max().unwrap();
                prop_assert!((earliest..=latest).contains(&agreed.base_ms));
                prop_assert!(agreed.with.len() >= nodes_min);
            }
        }

        #[test]
        fn nothing_is_agreed_on_before_what_has_passed(
            said in prop::collection::vec(any::<u64>(), 0..6), not_before_ms: u64, up_ms in 0_u64..1 << 40,
        ) {
            let heard: Vec<Heard> =
                (1..).zip(said).filter_map(|(n, unix_ms)| Heard::of(node(n), unix_ms, up_ms, up_ms)).collect();
            if let Ok(agreed) = choose(&heard, Wanted { nodes_min: 1, voters: 0, not_before_ms, up_ms }) {
                prop_assert!(agreed.base_ms.saturating_add(up_ms) >= not_before_ms);
            }
        }
    }
}
