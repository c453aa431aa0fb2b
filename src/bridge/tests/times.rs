//! Nodes whose clocks nothing keeps: whom they ask for the time, whose answers count, and what they take until they know it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clawmesh_authority::answer::name_of_asked;
use clawmesh_authority::time::{self, TimeAnswer, TimeQuestion};
use clawmesh_authority::{
    Answer, AskKind, Code, Hlc, NodeId, ProposalId, Refusal, Request, RequestBody, request,
};
use clawmesh_bridge::Telling;
use clawmesh_core::clock::agreement::{Agreed, NotAgreed, ROUND_MS_MAX};
use clawmesh_core::clock::{Round, Timekeeper};
use clawmesh_core::intake::InputBody;
use crossbeam_channel::{after, select, tick};

use crate::support::{
    NOW_MS, Node, PATIENCE, Setup, Stranger, frame, id, key, mesh, outgoing, readings, sealed,
};

/// How long every machine of these tests has been up.
const UP_MS: u64 = 60_000;
const BASE_MS: u64 = NOW_MS - UP_MS;

/// Looks for the time, and keeps what came of each round.
#[derive(Default)]
pub struct Sought {
    rounds: Mutex<Vec<(Result<Agreed, NotAgreed>, Round)>>,
    base_ms: AtomicU64,
    /// How much time passes between two looks at the clock.
    slow_by_ms: AtomicU64,
    looks: AtomicU64,
    /// What people are told of every agreement.
    told: Option<&'static str>,
    nonces: AtomicU64,
    nodes_min: Option<usize>,
}

impl Timekeeper for Sought {
    fn up_ms(&self) -> u64 {
        let looks = self.looks.fetch_add(1, Ordering::Relaxed);
        UP_MS + looks * self.slow_by_ms.load(Ordering::Relaxed)
    }

    fn nonce(&self) -> Option<[u8; 16]> {
        Some(u128::from(self.nonces.fetch_add(1, Ordering::Relaxed)).to_be_bytes())
    }

    fn not_before_ms(&self) -> u64 {
        NOW_MS - 1_000
    }

    fn nodes_min(&self) -> Option<usize> {
        self.nodes_min
    }

    fn is_agreed(&self) -> bool {
        self.base_ms.load(Ordering::Relaxed) > 0
    }

    fn is_kept(&self) -> bool {
        false
    }

    fn heard(&self, outcome: Result<Agreed, NotAgreed>, round: Round) -> Option<String> {
        let mut told = None;
        if let Ok(agreed) = &outcome {
            self.base_ms.store(agreed.base_ms, Ordering::Relaxed);
            told = self.told.map(ToOwned::to_owned);
        }
        self.rounds.lock().unwrap().push((outcome, round));
        told
    }

    fn why_unknown(&self) -> String {
        "nobody has told us the time".to_owned()
    }
}

impl Sought {
    /// The time it shows.
    pub fn unix_ms(&self) -> u64 {
        match self.base_ms.load(Ordering::Relaxed) {
            0 => 0,
            base_ms => base_ms + UP_MS,
        }
    }

    fn know_the_time(&self) {
        self.base_ms.store(BASE_MS, Ordering::Relaxed);
    }

    fn expect(&self, wanted: impl Fn(&(Result<Agreed, NotAgreed>, Round)) -> bool) {
        let (deadline, beat) = (after(PATIENCE), tick(Duration::from_millis(2)));
        while !self.rounds.lock().unwrap().iter().any(&wanted) {
            select! {
                recv(beat) -> _ => {}
                recv(deadline) -> _ => panic!("{:#?}", self.rounds.lock().unwrap()),
            }
        }
    }

    /// These agree.
    fn expect_agreed(&self, with: &[u8]) {
        let mut with: Vec<NodeId> = with.iter().map(|n| id(*n)).collect();
        with.sort_unstable();
        self.expect(|(outcome, _)| {
            outcome.as_ref().is_ok_and(|agreed| {
                let mut by = agreed.with.clone();
                by.sort_unstable();
                by == with && agreed.base_ms == BASE_MS
            })
        });
    }

    fn expect_too_few(&self, answered: usize, cannot_say: usize) {
        self.expect(|(outcome, round)| {
            matches!(outcome, Err(NotAgreed::TooFew { answered: said, .. }) if *said == answered)
                && round.cannot_say == cannot_say
        });
        assert!(!self.is_agreed());
    }
}

/// Node 1, which looks for the time and trusts these, and where it listens.
fn timeless(trusted: &[u8]) -> (Node, String, Arc<Sought>) {
    timeless_with(trusted, Sought::default())
}

fn timeless_with(trusted: &[u8], keeper: Sought) -> (Node, String, Arc<Sought>) {
    let keeper = Arc::new(keeper);
    let setup = Setup { keeper: Some(Arc::clone(&keeper)), ..Setup::trusting(trusted) };
    let (node, endpoint) = Node::open(1, setup);
    (node, endpoint, keeper)
}

/// A node whose clock is kept and is `off_ms` wrong.
fn kept(n: u8, endpoint: &str, off_ms: i64) -> Node {
    Node::start(n, Setup { off_ms, ..Setup::trusting(&[1]).connecting(endpoint) })
}

#[test]
fn a_node_without_the_time_asks_those_it_trusts_and_believes_two_who_agree() {
    let (_node, endpoint, keeper) = timeless(&[2, 3]);
    let _one = kept(2, &endpoint, 0);
    keeper.expect_too_few(1, 0);
    let _other = kept(3, &endpoint, 0);
    keeper.expect_agreed(&[2, 3]);
}

#[test]
fn a_lone_liar_among_three_moves_nobody() {
    let (_node, endpoint, keeper) = timeless(&[2, 3, 4]);
    // The liar is there first, and is heard with each of the others.
    let _liar = kept(4, &endpoint, 9_000_000);
    keeper.expect_too_few(1, 0);
    let _one = kept(2, &endpoint, 0);
    keeper.expect_too_few(2, 0);
    let _other = kept(3, &endpoint, 0);
    keeper.expect(|(outcome, _)| outcome.as_ref().is_ok_and(|agreed| agreed.with.len() == 2));
    let rounds = keeper.rounds.lock().unwrap();
    assert!(
        rounds.iter().flat_map(|(outcome, _)| outcome).all(|agreed| agreed.base_ms == BASE_MS),
        "{rounds:#?}"
    );
}

#[test]
fn two_who_agree_are_not_the_majority_of_four_who_are_there_because_the_others_are_not_heard() {
    let (_node, endpoint, keeper) = timeless(&[2, 3, 4, 5]);
    let stranger = Stranger::connecting(&endpoint);
    let _silent = [4, 5].map(|n| stranger.appear(&format!("clawmesh/{}/{}/alive", mesh(), id(n))));
    keeper.expect(|(_, round)| round.there == 2);
    let _liars = [2, 3].map(|n| kept(n, &endpoint, 9_000_000));
    keeper.expect(|(outcome, round)| {
        round.answered == 2 && *outcome == Err(NotAgreed::TooFew { agree: 2, answered: 2, wanted: 3 })
    });
    assert!(!keeper.is_agreed());
}

#[test]
fn people_may_say_that_those_who_are_heard_are_enough() {
    let keeper = Sought { nodes_min: Some(2), ..Sought::default() };
    let (_node, endpoint, keeper) = timeless_with(&[2, 3, 4, 5], keeper);
    let stranger = Stranger::connecting(&endpoint);
    let _silent = [4, 5].map(|n| stranger.appear(&format!("clawmesh/{}/{}/alive", mesh(), id(n))));
    let _nodes = [2, 3].map(|n| kept(n, &endpoint, 0));
    keeper.expect_agreed(&[2, 3]);
}

#[test]
fn one_that_does_not_know_the_time_either_is_not_waited_for() {
    let (_node, endpoint, keeper) = timeless(&[2, 3]);
    let setup = Setup { keeper: Some(Arc::default()), ..Setup::trusting(&[1]) };
    let _clockless = Node::start(3, setup.connecting(&endpoint));
    keeper.expect_too_few(0, 1);
    let _kept = kept(2, &endpoint, 0);
    keeper.expect_agreed(&[2]);
}

#[test]
fn one_whose_clock_may_still_be_set_is_waited_for_and_says_why_it_tells_nothing() {
    let (_node, endpoint, keeper) = timeless(&[2, 3]);
    let setup = Setup { keeper: Some(Arc::default()), telling: Telling::NotYet, ..Setup::trusting(&[1]) };
    let _doubted = Node::start(3, setup.connecting(&endpoint));
    keeper.expect(|(_, round)| round.refused == Some(Code::ClockUntrusted));
    // After a power cut all but one of a farm are so, and that one is not to set the time of all of them.
    let _kept = kept(2, &endpoint, 30_000);
    keeper.expect(|(outcome, round)| {
        *outcome == Err(NotAgreed::TooFew { agree: 1, answered: 1, wanted: 2 }) && round.refused.is_some()
    });
    assert!(!keeper.is_agreed());
}

#[test]
fn two_who_are_linked_first_are_not_the_majority_of_five() {
    let (_node, endpoint, keeper) = timeless(&[2, 3, 4, 5, 6]);
    let _liars = [2, 3].map(|n| kept(n, &endpoint, 9_000_000));
    keeper.expect(|(outcome, _)| *outcome == Err(NotAgreed::TooFew { agree: 2, answered: 2, wanted: 3 }));
}

#[test]
fn an_answer_that_comes_late_is_none() {
    let keeper = Sought { slow_by_ms: AtomicU64::new(ROUND_MS_MAX + 1), ..Sought::default() };
    let (_node, endpoint, keeper) = timeless_with(&[2], keeper);
    let _kept = kept(2, &endpoint, 0);
    let is_late = |(outcome, round): &(Result<Agreed, NotAgreed>, Round)| {
        round.there == 1 && round.answered == 0 && outcome.is_err()
    };
    keeper.expect(is_late);
    // By now its answers come.
    let deadline = after(PATIENCE);
    while keeper.rounds.lock().unwrap().iter().filter(|round| is_late(round)).count() < 3 {
        select! {
            recv(after(Duration::from_millis(5))) -> _ => {}
            recv(deadline) -> _ => panic!("{:#?}", keeper.rounds.lock().unwrap()),
        }
    }
    assert!(!keeper.is_agreed());
    keeper.slow_by_ms.store(0, Ordering::Relaxed);
    keeper.expect_agreed(&[2]);
}

#[test]
fn whoever_poses_as_a_node_does_not_keep_it_from_being_heard() {
    let (mut node, endpoint, keeper) = timeless(&[2]);
    let stranger = Stranger::connecting(&endpoint);
    let answer = TimeAnswer { mesh: mesh(), to: id(1), nonce: [0xff; 16], unix_ms: Some(NOW_MS) };
    let old = time::seal_answer(&key(2), &answer);
    // Each of 40 bad answers twice, all at once and faster than the node itself.
    let _posing: Vec<_> = (0..80)
        .map(|nth: u8| {
            let mut bad = old.clone();
            *bad.last_mut().unwrap() ^= 1 + nth % 40;
            stranger.answer_as(2, "clock", move |_| bad.clone())
        })
        .collect();
    node.expect_refused(Code::BadSignature);
    let _kept = kept(2, &endpoint, 0);
    keeper.expect_agreed(&[2]);
}

#[test]
fn what_the_keeper_has_to_say_of_an_agreement_is_told_as_an_alarm() {
    let keeper = Sought { told: Some("others say another time"), ..Sought::default() };
    let (mut node, endpoint, keeper) = timeless_with(&[2], keeper);
    let _kept = kept(2, &endpoint, 0);
    keeper.expect_agreed(&[2]);
    let (refusal, _) = node.expect_refused(Code::ClockUntrusted);
    assert_eq!(
        (refusal.from.as_str(), refusal.sentence.as_str()),
        ("our own clock", "others say another time")
    );
}

#[test]
fn what_has_passed_is_believed_of_nobody() {
    let (_node, endpoint, keeper) = timeless(&[2, 3]);
    let _nodes = [2, 3].map(|n| kept(n, &endpoint, -1_001));
    keeper.expect(|(outcome, ..)| matches!(outcome, Err(NotAgreed::Passed { .. })));
    assert!(!keeper.is_agreed());
}

#[test]
fn the_only_other_node_is_enough_and_one_that_does_not_keep_the_time_tells_none() {
    let (_node, endpoint, keeper) = timeless(&[2]);
    // Also one that has agreed itself: what is told on would come back as if somebody knew it.
    let other = Arc::<Sought>::default();
    other.know_the_time();
    let setup = || Setup::trusting(&[1]).connecting(&endpoint);
    let mut also = Node::start(2, Setup { keeper: Some(other), ..setup() });
    keeper.expect_too_few(0, 1);
    also.close();
    let _other = Node::start(2, setup());
    keeper.expect_agreed(&[2]);
}

#[test]
fn an_old_answer_one_for_another_and_one_of_somebody_else_are_no_answer() {
    let (mut node, endpoint, keeper) = timeless(&[2]);
    let stranger = Stranger::connecting(&endpoint);
    let answer = TimeAnswer { mesh: mesh(), to: id(1), nonce: [0xff; 16], unix_ms: Some(NOW_MS) };
    let bytes = [
        time::seal_answer(&key(2), &answer),
        time::seal_answer(&key(2), &TimeAnswer { to: id(9), ..answer }),
        time::seal_answer(&key(9), &answer),
    ];
    let _posing = stranger.answer_as(2, "clock", move |nth| bytes[nth % bytes.len()].clone());
    let of = |words: &'static str| {
        move |input: &clawmesh_core::intake::Input| match &input.body {
            InputBody::Refused { refusal: Refusal { code: Code::SourceMismatch, sentence, .. }, .. } => {
                sentence.contains(words).then_some(())
            }
            _ => None,
        }
    };
    // Somebody appears now and then, so that it is asked again at once.
    let _there = stranger.appear(&format!("clawmesh/{}/{}/alive", mesh(), id(2)));
    for words in ["another question", "for another node", "somebody else"] {
        node.expect(words, of(words));
    }
    keeper.expect_too_few(0, 0);
    assert!(!keeper.is_agreed());
}

#[test]
fn a_question_is_answered_once_and_only_to_whom_it_is_trusted() {
    let (mut node, endpoint) = Node::open(2, Setup::trusting(&[1]));
    let stranger = Stranger::connecting(&endpoint);
    let question = TimeQuestion { mesh: mesh(), to: id(2), nonce: [7; 16], epoch: 1, count: 5 };
    let ask =
        |n: u8, question: &TimeQuestion| stranger.ask(id(2), "clock", time::seal_question(&key(n), question));
    let answer = ask(1, &question).bytes();
    assert_eq!(time::open_answer(&answer, &question, id(1)).unwrap(), Some(NOW_MS));
    for (n, question, code) in [
        (1, question, "REPLAYED"),
        (1, TimeQuestion { count: 4, ..question }, "REPLAYED"),
        (9, question, "UNTRUSTED_PEER"),
        (1, TimeQuestion { to: id(3), count: 6, ..question }, "SOURCE_MISMATCH"),
    ] {
        assert_eq!(ask(n, &question).refusal().0, code);
    }
    let codes: Vec<String> = (6..20)
        .map(|count| ask(1, &TimeQuestion { count, ..question }))
        .filter_map(|asked| asked.try_refusal())
        .collect();
    assert!(!codes.is_empty() && codes.iter().all(|code| code == "RATE_LIMITED"), "{codes:?}");
    node.expect_refused(Code::RateLimited);
}

#[test]
fn frames_wait_at_their_sender_until_the_time_is_known_and_then_come_by_themselves() {
    let (mut node, endpoint, keeper) = timeless(&[2]);
    let stranger = Stranger::connecting(&endpoint);
    let (code, why) = stranger.ask(id(1), "deliver", sealed(2, 0, frame("gate"))).refusal();
    assert_eq!((code.as_str(), why.as_str()), ("BUSY", "nobody has told us the time"));
    // It does not tell the time, so that the test does.
    let untold = Arc::<Sought>::default();
    let sender =
        Node::start(2, Setup { keeper: Some(untold), ..Setup::trusting(&[1]).connecting(&endpoint) });
    assert_eq!(sender.outbox.offer(outgoing(0, 0, frame("gate"))), Ok(()));
    let (refusal, _) = node.expect_refused(Code::ClockUntrusted);
    assert_eq!(
        (refusal.from.as_str(), refusal.sentence.as_str()),
        ("our own clock", "nobody has told us the time")
    );
    node.expect_none("a frame", |input| matches!(input.body, InputBody::Envelope { .. }));
    keeper.know_the_time();
    assert_eq!(node.expect_envelope(id(2)).0, 0);
}

#[test]
fn a_request_is_refused_by_name_until_the_time_is_known_and_readings_leave_no_mark() {
    let (mut node, endpoint, keeper) = timeless(&[2]);
    let stranger = Stranger::connecting(&endpoint);
    let body = RequestBody::Withdraw { proposal: ProposalId([3; 32]), why: "no".to_owned() };
    let made = Hlc { wall_ms: NOW_MS, logical: 0 };
    let bytes = request::seal(&key(2), &Request { mesh: mesh(), owner: id(1), body, made });
    let ask = || stranger.ask(id(1), "ask", [&[0][..], &bytes].concat());
    let answer = ask().answer_of(id(1), name_of_asked(&bytes));
    let Answer::Refused { code, rule, sentence } = answer else { panic!("{answer:?}") };
    assert_eq!(
        (code, rule.as_str(), sentence.as_str()),
        (Code::ClockUntrusted, "clock.known", "nobody has told us the time")
    );
    let said = sealed(2, 7, readings());
    stranger.say_as(2, said.clone());
    node.expect_refused_often(Code::ClockUntrusted, 2);
    keeper.know_the_time();
    let _asked = ask();
    node.expect("the same request", |input| match &input.body {
        InputBody::Asked { kind: AskKind::Request, .. } => Some(()),
        _ => None,
    });
    stranger.say_as(2, said);
    assert_eq!(node.expect_envelope(id(2)).0, 7);
}
