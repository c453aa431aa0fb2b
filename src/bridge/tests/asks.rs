//! Signed requests and approvals between two nodes: what reaches the tick of the owner, and whose answer counts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use clawmesh_authority::answer::{self, name_of_asked};
use clawmesh_authority::envelope::unproven;
use clawmesh_authority::proposal::EVIDENCE_BYTES_MAX;
use clawmesh_authority::request::REQUEST_BYTES_MAX;
use clawmesh_authority::signed::{self, Purpose};
use clawmesh_authority::{
    Answer, Approval, AskKind, Code, ContentHash, Decision, Hlc, KeyId, Level, Maker, MeshId, Mind, NodeId,
    Operator, OperatorKey, Proposal, ProposalId, Refusal, Request, RequestBody, Role, Roster, approval,
    canonical, request,
};
use clawmesh_bridge::BridgeLimits;
use clawmesh_core::intake::{InboxLimits, Input, InputBody, SourceId};
use clawmesh_core::mesh::Neighbours;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::support::{NOW_MS, Node, Setup, Stranger, id, key, mesh};

pub fn person(n: u8) -> OperatorKey {
    OperatorKey::from_secret(&[n; 32])
}

/// Ann and Bo, who may ask, and Cy, whose key was revoked.
pub fn people() -> Roster {
    let mut roster = Roster::default();
    for (n, name) in [(11, "Ann"), (12, "Bo"), (13, "Cy")] {
        let candidate = Operator::of_key(*person(n).public().raw(), name, Role::Observer);
        roster.enroll(candidate, &BTreeSet::new()).unwrap();
    }
    roster.revoke(&person(13).id()).unwrap();
    roster
}

pub fn asking(owner: NodeId, body: RequestBody) -> Request {
    Request { mesh: mesh(), owner, body, made: Hlc { wall_ms: NOW_MS, logical: 0 } }
}

/// The `nth` withdrawal somebody asks `owner` for.
fn withdrawal<I: KeyId>(key: &clawmesh_authority::keys::Key<I>, owner: NodeId, nth: u64) -> Vec<u8> {
    let body = RequestBody::Withdraw { proposal: ProposalId([3; 32]), why: nth.to_string() };
    request::seal(key, &asking(owner, body))
}

fn approval(mesh: MeshId, owner: NodeId) -> Approval {
    Approval {
        mesh,
        owner,
        site: ContentHash([1; 32]),
        policy: ContentHash([2; 32]),
        proposal: ProposalId([3; 32]),
        card: ContentHash([4; 32]),
        decision: Decision::Approve,
        level: Level::L2,
        steps: Vec::new(),
        nonce: [5; 32],
        reason: None,
        signed_ms: NOW_MS,
    }
}

fn taken(words: &str) -> Answer {
    Answer::Taken { proposal: None, words: words.to_owned() }
}

fn refused(answer: Answer) -> (Code, String, String) {
    match answer {
        Answer::Refused { code, rule, sentence } => (code, rule, sentence),
        Answer::Taken { words, .. } => panic!("it was taken: {words}"),
    }
}

/// The signed bytes that were brought to the tick.
fn asked_of(input: &Input) -> Option<(AskKind, Vec<u8>)> {
    match &input.body {
        InputBody::Asked { kind, bytes } => {
            assert_eq!(input.source, SourceId::Bridge);
            Some((*kind, bytes.clone()))
        }
        _ => None,
    }
}

fn expect_asked(node: &mut Node) -> (AskKind, Vec<u8>) {
    node.expect("something that was asked", asked_of)
}

/// Plays the tick and the journal.
fn answer_as_tick(node: &Node, bytes: &[u8], answer: &Answer, outcome: &Result<(), Refusal>) {
    for ticket in node.held.desk.tickets(name_of_asked(bytes), answer) {
        ticket.answer(outcome.clone());
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn ask(
    runtime: &Runtime,
    from: &Arc<dyn Neighbours>,
    to: NodeId,
    kind: AskKind,
    bytes: &[u8],
) -> JoinHandle<Answer> {
    runtime.spawn(from.ask(to, kind, bytes.to_vec()))
}

/// The owner, where Ann and Bo may ask, and a stranger who is linked to it.
fn owner_with(setup: Setup) -> (Node, Stranger) {
    let (a, listen) = Node::open(1, Setup { people: people(), ..setup });
    let stranger = Stranger::connecting(&listen);
    (a, stranger)
}

fn payload(kind: AskKind, bytes: &[u8]) -> Vec<u8> {
    [&canonical::encode(&kind)[..], bytes].concat()
}

fn ask_raw(stranger: &Stranger, bytes: &[u8]) -> crate::support::Asked {
    stranger.ask(id(1), "ask", payload(AskKind::Request, bytes))
}

#[test]
fn what_is_for_another_owner_is_brought_to_it_and_its_answer_comes_back_when_its_journal_holds_it() {
    let (mut a, listen) = Node::open(1, Setup { people: people(), ..Setup::trusting(&[2]) });
    let (mut b, _) = Node::open(2, Setup::trusting(&[1]).connecting(&listen));
    b.expect_peer(a.id);
    let (runtime, neighbours) = (runtime(), b.neighbours());
    let refusal =
        Answer::Refused { code: Code::CardVeto, rule: "card.veto".to_owned(), sentence: "no".to_owned() };
    for (kind, bytes, says) in [
        (AskKind::Request, withdrawal(&person(11), id(1), 0), taken("it is withdrawn")),
        (AskKind::Request, withdrawal(&key(2), id(1), 0), taken("it is withdrawn")),
        (AskKind::Approval, approval::seal(&person(11), &approval(mesh(), id(1))), refusal),
    ] {
        let asked = ask(&runtime, &neighbours, id(1), kind, &bytes);
        assert_eq!(expect_asked(&mut a), (kind, bytes.clone()));
        let tickets = a.held.desk.tickets(name_of_asked(&bytes), &says);
        a.expect_none("the same again", |input| asked_of(input).is_some());
        assert!(!asked.is_finished(), "answered before the journal held it");
        tickets.into_iter().for_each(|ticket| ticket.answer(Ok(())));
        assert_eq!(runtime.block_on(asked).unwrap(), says);
    }
}

#[test]
fn the_largest_request_arrives() {
    let (mut a, listen) = Node::open(1, Setup::trusting(&[2]));
    let (mut b, _) = Node::open(2, Setup::trusting(&[1]).connecting(&listen));
    b.expect_peer(a.id);
    let proposal = Proposal {
        mesh: mesh(),
        owner: id(1),
        maker: Maker { node: id(2), mind: Mind::Utility { name: "dryness".to_owned() }, term: None },
        reason: "x".repeat(1_024),
        evidence: vec![vec![0xff; EVIDENCE_BYTES_MAX].into(); 8],
        ..smallest_proposal()
    };
    let bytes = request::seal(&key(2), &asking(id(1), RequestBody::Propose(proposal)));
    assert!(bytes.len() > REQUEST_BYTES_MAX / 2 && request::open(&bytes).is_ok(), "{}", bytes.len());
    let (runtime, neighbours) = (runtime(), b.neighbours());
    let asked = ask(&runtime, &neighbours, id(1), AskKind::Request, &bytes);
    assert_eq!(expect_asked(&mut a).1.len(), bytes.len());
    answer_as_tick(&a, &bytes, &taken("simulating"), &Ok(()));
    assert_eq!(runtime.block_on(asked).unwrap(), taken("simulating"));
    // Nothing that fills the payload to its end is lost on the way either: it is judged by its form.
    let full = vec![0; REQUEST_BYTES_MAX];
    let asked = ask(&runtime, &neighbours, id(1), AskKind::Request, &full);
    assert_eq!(refused(runtime.block_on(asked).unwrap()).0, Code::MalformedEnvelope);
}

fn smallest_proposal() -> Proposal {
    use clawmesh_authority::{Capability, Step};
    let actuator = Capability::new("actuator:valve:valve-1").unwrap();
    Proposal {
        mesh: mesh(),
        owner: id(1),
        site: ContentHash([1; 32]),
        maker: Maker { node: id(2), mind: Mind::Utility { name: "dryness".to_owned() }, term: None },
        steps: vec![Step { actuator, operation: "open".to_owned(), parameters: Default::default() }],
        reason: "dry".to_owned(),
        evidence: Vec::new(),
        made: Hlc { wall_ms: NOW_MS, logical: 0 },
    }
}

#[test]
fn only_what_the_owner_has_signed_for_this_question_is_its_answer() {
    let (mut b, listen) = Node::open(2, Setup::trusting(&[3]));
    let stranger = Stranger::connecting(&listen);
    let (runtime, neighbours) = (runtime(), b.neighbours());
    let bytes = withdrawal(&person(11), id(3), 0);
    let to = name_of_asked(&bytes);
    let ask =
        || refused(runtime.block_on(ask(&runtime, &neighbours, id(3), AskKind::Request, &bytes)).unwrap());
    let (code, rule, sentence) = ask();
    assert_eq!((code, &*rule), (Code::Busy, "mesh"), "nobody is there");
    assert!(sentence.contains("does not answer") && sentence.contains(&id(3).to_string()), "{sentence}");
    let as_request = signed::seal(&key(3), Purpose::REQUEST, canonical::encode(&(to, taken("no"))));
    for (forged, counted) in [
        (answer::seal(&key(9), to, &taken("by a third node")), Code::SourceMismatch),
        (answer::seal(&key(3), name_of_asked(b"else"), &taken("to something else")), Code::SourceMismatch),
        (as_request, Code::BadSignature),
        (vec![0; answer::ANSWER_BYTES_MAX + 1], Code::TooLarge),
    ] {
        let _pretender = stranger.answer_as(3, "ask", move |_| forged.clone());
        until_served(&stranger);
        assert_eq!(ask().1, "mesh", "{counted}");
    }
    for (code, count) in [(Code::SourceMismatch, 2), (Code::BadSignature, 1), (Code::TooLarge, 1)] {
        let (refusal, sum) = b.expect_refused_often(code, count);
        assert_eq!((refusal.from, sum), (unproven(id(3)), count), "{code}");
    }
    let refusing = stranger.serve_as(3, "ask", |_| Err(br#"{"code":"CARD_VETO","sentence":"no"}"#.to_vec()));
    until_served(&stranger);
    assert_eq!(ask().1, "mesh", "a refusal that nobody signed");
    drop(refusing);
    // Of many answers the one of the owner counts, whenever it comes.
    let _pretender =
        stranger.answer_as(3, "ask", move |_| answer::seal(&key(9), to, &taken("by a third node")));
    let _owner = stranger.answer_as(3, "ask", move |_| answer::seal(&key(3), to, &taken("by the owner")));
    until_served(&stranger);
    let asked = neighbours.ask(id(3), AskKind::Request, bytes.clone());
    assert_eq!(runtime.block_on(asked), taken("by the owner"));
}

/// Waits until what was declared before on this session is known at the other end: a session tells in order.
fn until_served(stranger: &Stranger) {
    let heard = stranger.ask(id(2), "heard", id(7).to_string());
    assert_eq!(heard.receipt(id(2)), None);
}

#[test]
fn what_is_broken_misplaced_or_by_nobody_who_may_is_refused_signed_and_counted() {
    let (mut a, stranger) = owner_with(Setup::trusting(&[2]));
    let mut flipped = withdrawal(&person(11), id(1), 0);
    *flipped.last_mut().unwrap() ^= 1;
    let another_mesh = Request {
        mesh: MeshId::of_name("field"),
        ..asking(id(1), RequestBody::Rearm { why: "mended".to_owned() })
    };
    let wrong_purpose = signed::seal(&person(11), Purpose::ENVELOPE, canonical::encode(&another_mesh));
    let of_node = signed::seal(&key(2), Purpose::APPROVAL, canonical::encode(&approval(mesh(), id(1))));
    let (ann, request, approving) = (person(11), AskKind::Request, AskKind::Approval);
    let seal = |mesh, owner| approval::seal(&ann, &approval(mesh, owner));
    let rows = [
        (request, b"open the gate".to_vec(), Code::MalformedEnvelope, "request.form"),
        (request, flipped, Code::BadSignature, "request.signature"),
        (request, wrong_purpose, Code::BadSignature, "request.signature"),
        (request, seal(mesh(), id(1)), Code::MalformedEnvelope, "request.form"),
        (request, withdrawal(&ann, id(3), 0), Code::SourceMismatch, "request.owner"),
        (request, request::seal(&ann, &another_mesh), Code::MeshIdMismatch, "request.mesh"),
        (request, withdrawal(&person(14), id(1), 0), Code::NotAuthorized, "ask.signer"),
        (request, withdrawal(&key(3), id(1), 0), Code::NotAuthorized, "ask.signer"),
        (request, withdrawal(&person(13), id(1), 0), Code::OperatorRevoked, "operator.not_revoked"),
        (approving, seal(mesh(), id(3)), Code::ApprovalMismatch, "approval.owner"),
        (approving, seal(MeshId::of_name("field"), id(1)), Code::ApprovalMismatch, "approval.mesh"),
        (approving, of_node, Code::NotAuthorized, "ask.signer"),
    ];
    let mut counts: BTreeMap<Code, u64> = BTreeMap::new();
    for (kind, bytes, code, rule) in rows {
        let asked = stranger.ask(id(1), "ask", payload(kind, &bytes));
        let (said, by, sentence) = refused(asked.answer_of(id(1), name_of_asked(&bytes)));
        assert_eq!((said, &*by), (code, rule), "{sentence}");
        *counts.entry(code).or_default() += 1;
    }
    for (code, count) in counts {
        assert_eq!(a.expect_refused_often(code, count).1, count, "{code}");
    }
    a.expect_none("something that was refused", |input| asked_of(input).is_some());
    for (kind, bytes) in [(request, withdrawal(&ann, id(1), 0)), (approving, seal(mesh(), id(1)))] {
        let asked = stranger.ask(id(1), "ask", payload(kind, &bytes));
        assert_eq!(expect_asked(&mut a), (kind, bytes.clone()));
        answer_as_tick(&a, &bytes, &taken("done"), &Ok(()));
        assert_eq!(asked.answer_of(id(1), name_of_asked(&bytes)), taken("done"));
    }
}

#[test]
fn what_has_no_form_or_is_too_large_is_refused_before_anybody_is_believed() {
    let (mut a, stranger) = owner_with(Setup::trusting(&[]));
    let rows = [
        (vec![0; REQUEST_BYTES_MAX + 2], Code::TooLarge),
        (vec![2], Code::MalformedEnvelope),
        (Vec::new(), Code::MalformedEnvelope),
    ];
    for (bytes, code) in rows {
        assert_eq!(stranger.ask(id(1), "ask", bytes).refusal().0, code.as_str());
    }
    for (code, count) in [(Code::TooLarge, 1), (Code::MalformedEnvelope, 2)] {
        let (refusal, sum) = a.expect_refused_often(code, count);
        assert_eq!((&*refusal.from, sum), ("an unknown sender", count));
    }
}

#[test]
fn nobody_but_the_tick_and_the_journal_answers_and_a_full_house_says_so() {
    let inbox = InboxLimits { state_inputs_max: 1, ..InboxLimits::default() };
    let limits = BridgeLimits { asks_in_flight_max: 2, ..BridgeLimits::default() };
    let (mut a, stranger) = owner_with(Setup { inbox, limits, ..Setup::trusting(&[]) });
    let bytes = |nth: u64| withdrawal(&person(11), id(1), nth);
    let refusal = |nth: u64| {
        let asked = ask_raw(&stranger, &bytes(nth));
        let (code, rule, _) = refused(asked.answer_of(id(1), name_of_asked(&bytes(nth))));
        (code, rule)
    };
    // The first takes the one place in the inbox.
    let first = ask_raw(&stranger, &bytes(1));
    assert!(first.is_unanswered());
    assert_eq!(refusal(2), (Code::Busy, "ask.place".to_owned()), "a full inbox");
    expect_asked(&mut a);
    let second = ask_raw(&stranger, &bytes(2));
    expect_asked(&mut a);
    assert_eq!(refusal(3), (Code::Busy, "ask.place".to_owned()), "as many wait as may");
    answer_as_tick(&a, &bytes(1), &taken("one"), &Ok(()));
    assert_eq!(first.answer_of(id(1), name_of_asked(&bytes(1))), taken("one"));
    let third = ask_raw(&stranger, &bytes(3));
    expect_asked(&mut a);
    let full = Refusal::new(Code::JournalUnavailable, "journal", "the disk is full");
    answer_as_tick(&a, &bytes(3), &taken("three"), &Err(full));
    let (code, rule, _) = refused(third.answer_of(id(1), name_of_asked(&bytes(3))));
    assert_eq!((code, &*rule), (Code::JournalUnavailable, "written-down"));
    answer_as_tick(&a, &bytes(2), &taken("two"), &Ok(()));
    assert_eq!(second.answer_of(id(1), name_of_asked(&bytes(2))), taken("two"));
    a.commits.fail("the disk is full");
    assert_eq!(refusal(4), (Code::JournalUnavailable, "ask.journal".to_owned()));
    a.expect_none("something that was refused", |input| asked_of(input).is_some());
}

#[test]
fn a_tick_that_never_answers_is_not_waited_for_forever_and_leaves_no_place_taken() {
    let limits = BridgeLimits { asks_in_flight_max: 1, answer_within_ms: 100, ..BridgeLimits::default() };
    let (mut a, stranger) = owner_with(Setup { limits, ..Setup::trusting(&[]) });
    for nth in 0..3 {
        let bytes = withdrawal(&person(11), id(1), nth);
        let (code, rule, sentence) =
            refused(ask_raw(&stranger, &bytes).answer_of(id(1), name_of_asked(&bytes)));
        assert_eq!((code, &*rule), (Code::JournalUnavailable, "ask.answered"));
        assert!(sentence.contains("may or may not"), "{sentence}");
        expect_asked(&mut a);
        assert!(
            a.held.desk.tickets(name_of_asked(&bytes), &taken("late")).is_empty(),
            "nobody waits any more"
        );
    }
}

#[test]
fn the_same_bytes_go_to_the_tick_once_however_many_ask() {
    let (mut a, stranger) = owner_with(Setup::trusting(&[]));
    let bytes = withdrawal(&person(11), id(1), 0);
    let asked: Vec<_> = (0..3).map(|_| ask_raw(&stranger, &bytes)).collect();
    expect_asked(&mut a);
    a.expect_none("the same again", |input| asked_of(input).is_some());
    answer_as_tick(&a, &bytes, &taken("done"), &Ok(()));
    for asked in asked {
        assert_eq!(asked.answer_of(id(1), name_of_asked(&bytes)), taken("done"));
    }
    assert_eq!(ask_raw(&stranger, &bytes).answer_of(id(1), name_of_asked(&bytes)), taken("done"));
    a.expect_none("the same again", |input| asked_of(input).is_some());
}

#[test]
fn who_asks_too_often_is_refused_and_the_others_still_get_in() {
    let limits = BridgeLimits { asks_per_second_max: 3, ..BridgeLimits::default() };
    let (mut a, stranger) = owner_with(Setup { limits, ..Setup::trusting(&[]) });
    let mut too_often = 0;
    for nth in 0..20 {
        let bytes = withdrawal(&person(11), id(1), nth);
        let asked = ask_raw(&stranger, &bytes);
        if nth >= 10 {
            // The bucket fills up again meanwhile: some pass, and wait for the tick.
            too_often += usize::from(asked.is_answered_within(std::time::Duration::from_millis(100)));
        }
    }
    assert!(too_often > 0);
    let (refusal, _) = a.expect_refused(Code::RateLimited);
    assert_eq!(refusal.from, person(11).id().to_string());
    let bytes = withdrawal(&person(12), id(1), 0);
    let asked = ask_raw(&stranger, &bytes);
    a.expect("what Bo asks", |input| asked_of(input).filter(|(_, asked)| *asked == bytes));
    answer_as_tick(&a, &bytes, &taken("done"), &Ok(()));
    assert_eq!(asked.answer_of(id(1), name_of_asked(&bytes)), taken("done"));
}

#[test]
fn a_flood_of_forgeries_in_the_name_of_one_is_not_looked_at_and_costs_no_other() {
    let limits = BridgeLimits { unproven_per_second_max: 20, ..BridgeLimits::default() };
    let (mut a, stranger) = owner_with(Setup { limits, ..Setup::trusting(&[]) });
    let mut forged = withdrawal(&person(11), id(1), 0);
    *forged.last_mut().unwrap() ^= 1;
    let _asked: Vec<_> = (0..400).map(|_| ask_raw(&stranger, &forged)).collect();
    a.expect_refused_often(Code::RateLimited, 100);
    let bytes = withdrawal(&person(12), id(1), 0);
    let asked = ask_raw(&stranger, &bytes);
    assert_eq!(expect_asked(&mut a).1, bytes);
    answer_as_tick(&a, &bytes, &taken("done"), &Ok(()));
    assert_eq!(asked.answer_of(id(1), name_of_asked(&bytes)), taken("done"));
}
