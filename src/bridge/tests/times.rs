//! Nodes whose clocks nothing keeps: whom they ask for the time, whose answers count, and what they take until they know it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clawmesh_authority::answer::name_of_asked;
use clawmesh_authority::time::{self, TimeAnswer, TimeQuestion};
use clawmesh_authority::{
    Answer, AskKind, Code, Hlc, NodeId, ProposalId, Refusal, Request, RequestBody, request,
};
use clawmesh_core::clock::Timekeeper;
use clawmesh_core::clock::agreement::{Agreed, NotAgreed};
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
    rounds: Mutex<Vec<(Result<Agreed, NotAgreed>, usize, usize)>>,
    base_ms: AtomicU64,
    nonces: AtomicU64,
    nodes_min: Option<usize>,
}

impl Timekeeper for Sought {
    fn up_ms(&self) -> u64 {
        UP_MS
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

    fn heard(&self, outcome: Result<Agreed, NotAgreed>, asked: usize, cannot_say: usize) {
        if let Ok(agreed) = &outcome {
            self.base_ms.store(agreed.base_ms, Ordering::Relaxed);
        }
        self.rounds.lock().unwrap().push((outcome, asked, cannot_say));
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

    fn expect(&self, wanted: impl Fn(&(Result<Agreed, NotAgreed>, usize, usize)) -> bool) {
        let (deadline, beat) = (after(PATIENCE), tick(Duration::from_millis(2)));
        while !self.rounds.lock().unwrap().iter().any(&wanted) {
            select! {
                recv(beat) -> _ => {}
                recv(deadline) -> _ => panic!("{:#?}", self.rounds.lock().unwrap()),
            }
        }
    }

    fn expect_agreed(&self, with: &[u8]) {
        let mut with: Vec<NodeId> = with.iter().map(|n| id(*n)).collect();
        with.sort_unstable();
        self.expect(|(outcome, ..)| {
            outcome.as_ref().is_ok_and(|agreed| {
                let mut by = agreed.with.clone();
                by.sort_unstable();
                by == with && agreed.base_ms == BASE_MS
            })
        });
    }

    fn expect_too_few(&self, answered: usize, cannot_say: usize) {
        self.expect(|(outcome, _, cannot)| {
            matches!(outcome, Err(NotAgreed::TooFew { answered: said, .. }) if *said == answered)
                && *cannot == cannot_say
        });
        assert!(!self.is_agreed());
    }
}

/// Node 1, which looks for the time and trusts these, and where it listens.
fn timeless(trusted: &[u8]) -> (Node, String, Arc<Sought>) {
    let keeper = Arc::<Sought>::default();
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
    let _nodes = [(2, 0), (3, 0), (4, 9_000_000)].map(|(n, off_ms)| kept(n, &endpoint, off_ms));
    keeper.expect_agreed(&[2, 3]);
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
    assert!(codes.len() >= 8 && codes.iter().all(|code| code == "RATE_LIMITED"), "{codes:?}");
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
