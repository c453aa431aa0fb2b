//! What is on its way to the tick and who waits for it, and what was answered lately. Pure and bounded.
//!
//! Anybody who heard a question may repeat it, and each one that reaches the tick is a row of the journal. So the same
//! bytes are brought to the tick once, however many ask; and for a while they get the same answer again.

use std::collections::{BTreeMap, VecDeque};

use clawmesh_authority::{Answer, Code, ContentHash};

/// The most askers that wait for the answer to the same bytes.
const SAME_MAX: usize = 4;
/// Answers that are remembered.
const ANSWERED_MAX: usize = 256;
/// How long, nanoseconds.
const REMEMBERED_NS: u64 = 60_000_000_000;

/// Askers of kind `W` and what they wait for.
#[derive(Debug)]
pub struct Flights<W> {
    waiting: BTreeMap<ContentHash, Vec<W>>,
    waiting_max: usize,
    answered: VecDeque<(ContentHash, Answer, u64)>,
}

/// What becomes of one who asks.
#[derive(Debug, PartialEq, Eq)]
pub enum Boarding<W> {
    /// It is new: bring it to the tick. The asker waits.
    New,
    /// The same is on its way. The asker waits too.
    Joined,
    /// It was answered a moment ago.
    Answered(W, Answer),
    /// There is no place; the asker does not wait.
    Full(W),
}

impl<W> Flights<W> {
    /// Nothing is on its way. At most `waiting_max` will wait.
    pub fn new(waiting_max: usize) -> Self {
        Self { waiting: BTreeMap::new(), waiting_max, answered: VecDeque::new() }
    }

    /// Somebody asks what is named `asked`.
    pub fn board(&mut self, asked: ContentHash, asker: W, now_ns: u64) -> Boarding<W> {
        self.forget(now_ns);
        if let Some((_, answer, _)) = self.answered.iter().find(|(name, ..)| *name == asked) {
            return Boarding::Answered(asker, answer.clone());
        }
        let count = self.waiting.values().map(Vec::len).sum::<usize>();
        let same = self.waiting.get(&asked).map_or(0, Vec::len);
        if count >= self.waiting_max || same >= SAME_MAX {
            return Boarding::Full(asker);
        }
        self.waiting.entry(asked).or_default().push(asker);
        if same == 0 { Boarding::New } else { Boarding::Joined }
    }

    /// It was answered: gives everybody who waits. What may be answered otherwise a moment later is not remembered.
    pub fn land(&mut self, asked: ContentHash, answer: &Answer, now_ns: u64) -> Vec<W> {
        let is_for_now = matches!(
            answer,
            Answer::Refused { code: Code::Busy | Code::JournalUnavailable | Code::RateLimited, .. }
        );
        if !is_for_now {
            self.answered.push_back((asked, answer.clone(), now_ns));
        }
        while self.answered.len() > ANSWERED_MAX {
            self.answered.pop_front();
        }
        self.waiting.remove(&asked).unwrap_or_default()
    }

    fn forget(&mut self, now_ns: u64) {
        let is_old = |at_ns: u64| now_ns.saturating_sub(at_ns) >= REMEMBERED_NS;
        while self.answered.front().is_some_and(|(.., at_ns)| is_old(*at_ns)) {
            self.answered.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clawmesh_authority::answer::name_of_asked;
    use proptest::prelude::*;

    fn name(n: u16) -> ContentHash {
        name_of_asked(&n.to_le_bytes())
    }

    fn taken() -> Answer {
        Answer::Taken { proposal: None, words: "done".to_owned() }
    }

    fn refused(code: Code) -> Answer {
        Answer::Refused { code, rule: "ask.test".to_owned(), sentence: "no".to_owned() }
    }

    #[test]
    fn the_same_bytes_go_to_the_tick_once_and_everybody_hears_the_answer() {
        let mut flights = Flights::new(9);
        assert_eq!(flights.board(name(1), 'a', 0), Boarding::New);
        assert_eq!(flights.board(name(1), 'b', 0), Boarding::Joined);
        assert_eq!(flights.board(name(2), 'c', 0), Boarding::New);
        assert_eq!(flights.land(name(1), &taken(), 0), ['a', 'b']);
        assert_eq!(flights.board(name(1), 'd', REMEMBERED_NS - 1), Boarding::Answered('d', taken()));
        assert_eq!(flights.board(name(1), 'e', REMEMBERED_NS), Boarding::New);
    }

    #[test]
    fn what_may_be_otherwise_a_moment_later_is_not_remembered() {
        for (code, is_remembered) in [
            (Code::Busy, false),
            (Code::JournalUnavailable, false),
            (Code::RateLimited, false),
            (Code::CardVeto, true),
        ] {
            let mut flights = Flights::new(9);
            flights.board(name(1), 'a', 0);
            flights.land(name(1), &refused(code), 0);
            let again = flights.board(name(1), 'b', 0);
            assert_eq!(again == Boarding::Answered('b', refused(code)), is_remembered, "{code}");
        }
    }

    #[test]
    fn who_repeats_one_question_leaves_places_to_the_others() {
        let mut flights = Flights::new(6);
        let joined = (0..99).filter(|_| !matches!(flights.board(name(1), (), 0), Boarding::Full(()))).count();
        assert_eq!(joined, SAME_MAX);
        assert_eq!(flights.board(name(2), (), 0), Boarding::New);
        assert_eq!(flights.board(name(3), (), 0), Boarding::New);
        assert_eq!(flights.board(name(4), (), 0), Boarding::Full(()));
        flights.land(name(2), &taken(), 0);
        assert_eq!(flights.board(name(4), (), 0), Boarding::New);
    }

    proptest! {
        #[test]
        fn the_memory_is_bounded_and_nobody_is_lost(steps in prop::collection::vec((0_u16..600, any::<bool>()), 0..2_000)) {
            let mut flights = Flights::new(8);
            let (mut aboard, mut landed) = (0, 0);
            for (at, (n, lands)) in steps.iter().enumerate() {
                if *lands {
                    landed += flights.land(name(*n), &taken(), at as u64).len();
                } else if matches!(flights.board(name(*n), (), at as u64), Boarding::New | Boarding::Joined) {
                    aboard += 1;
                }
                prop_assert!(flights.answered.len() <= ANSWERED_MAX);
                prop_assert_eq!(flights.waiting.values().map(Vec::len).sum::<usize>(), aboard - landed);
                prop_assert!(aboard - landed <= 8);
            }
        }
    }
}
