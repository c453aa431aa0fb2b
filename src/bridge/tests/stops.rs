//! The stop over the mesh: latched outside the tick, by whoever may, and confirmed by who did.

use clawmesh_authority::answer::name_of_asked;
use clawmesh_authority::{Answer, AskKind, Code, NodeId, RequestBody, canonical, request};
use clawmesh_bridge::BridgeLimits;
use clawmesh_core::intake::{InboxLimits, InputBody, SourceId};
use clawmesh_core::safety::{Standing, StopReport};

use crate::asks::{asking, people, person};
use crate::support::{Asked, Node, Setup, Stranger, id, key};

const VALVE: &str = "actuator:valve:valve-1";

fn stop(why: &str) -> RequestBody {
    RequestBody::Stop { why: why.to_owned() }
}

/// A picture of the actuators that is always new.
fn shows(node: &Node, is_stopped: bool, is_safe: bool) {
    let named = |is_named: bool| if is_named { vec![VALVE.to_owned()] } else { Vec::new() };
    let standing = Standing { age_ms: 0, is_stopped, safe: named(is_safe), not_safe: named(!is_safe) };
    *node.held.standing.lock().unwrap() = Some(standing);
}

fn stop_all(node: &Node) -> Vec<(NodeId, Result<StopReport, String>)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { node.neighbours().stop_all("smoke").await })
}

/// Asks node 1 to stop, by signed bytes.
fn ask_to_stop(stranger: &Stranger, bytes: &[u8]) -> Asked {
    stranger.ask(id(1), "ask", [&canonical::encode(&AskKind::Request)[..], bytes].concat())
}

fn report(asked: &Asked, bytes: &[u8]) -> StopReport {
    match asked.answer_of(id(1), name_of_asked(bytes)) {
        Answer::Taken { proposal: None, words } => StopReport::from_text(&words).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_stop_reaches_every_trusted_node_although_its_tick_stands_still() {
    let (mut a, listen) = Node::open(1, Setup::trusting(&[2]));
    let (mut c, _) = Node::open(3, Setup::trusting(&[]).connecting(&listen));
    let connect = vec![listen];
    let (mut b, _) = Node::open(2, Setup { connect, ..Setup::trusting(&[1, 3, 4]) });
    b.expect_peer(id(1));
    b.expect_peer(id(3));
    shows(&a, true, true);
    let mut stopped = stop_all(&b);
    let at = |stopped: &mut Vec<(NodeId, _)>, node| {
        stopped.remove(stopped.iter().position(|(id, _)| *id == node).unwrap()).1
    };
    assert!(stopped.is_sorted_by_key(|(node, _)| *node));
    let confirmed = StopReport { safe: vec![VALVE.to_owned()], ..StopReport::default() };
    assert_eq!(at(&mut stopped, id(1)), Ok(confirmed));
    assert_eq!(a.held.latch.reason().as_deref(), Some("smoke"));
    let untrusting = at(&mut stopped, id(3)).unwrap_err();
    assert!(untrusting.contains("of no trusted node"), "{untrusting}");
    assert_eq!(c.held.latch.stops(), 0);
    assert_eq!(c.expect_refused(Code::NotAuthorized).0.from, id(2).to_string());
    let absent = at(&mut stopped, id(4)).unwrap_err();
    assert!(absent.contains("does not answer"), "{absent}");
    // The tick hears of it from the latch, and from us who it was.
    let told = a.all(|input| (input.source == SourceId::Bridge).then(|| input.body.clone()));
    let asked = told.iter().find_map(|body| match body {
        InputBody::Asked { kind: AskKind::Request, bytes } => Some(request::open(bytes).unwrap()),
        _ => None,
    });
    assert_eq!(asked.unwrap().signer(), &key(2).public());
}

#[test]
fn whoever_is_neither_trusted_nor_enrolled_does_not_stop_us_and_whoever_is_does() {
    let (mut a, listen) = Node::open(1, Setup { people: people(), ..Setup::trusting(&[2]) });
    let stranger = Stranger::connecting(&listen);
    let revoked = request::seal(&person(13), &asking(id(1), stop("by a revoked key")));
    let mut forged = request::seal(&key(2), &asking(id(1), stop("forged")));
    *forged.last_mut().unwrap() ^= 1;
    for (bytes, code) in [
        (request::seal(&key(3), &asking(id(1), stop("by a stranger"))), Code::NotAuthorized),
        (request::seal(&person(14), &asking(id(1), stop("by nobody enrolled"))), Code::NotAuthorized),
        (revoked, Code::OperatorRevoked),
        (forged, Code::BadSignature),
        (request::seal(&key(2), &asking(id(3), stop("for another"))), Code::SourceMismatch),
    ] {
        let answer = ask_to_stop(&stranger, &bytes).answer_of(id(1), name_of_asked(&bytes));
        assert!(matches!(answer, Answer::Refused { code: said, .. } if said == code), "{answer:?}");
    }
    assert_eq!(a.expect_refused_often(Code::NotAuthorized, 2).1, 2);
    assert_eq!(a.expect_refused(Code::BadSignature).1, 1);
    assert_eq!(a.held.latch.stops(), 0);
    // The role of a person does not matter.
    shows(&a, true, true);
    for bytes in [
        request::seal(&person(11), &asking(id(1), stop("smoke"))),
        request::seal(&key(2), &asking(id(1), stop("smoke"))),
    ] {
        report(&ask_to_stop(&stranger, &bytes), &bytes);
        assert_eq!(a.held.latch.reason().as_deref(), Some("smoke"));
        a.held.latch.rearm();
    }
}

#[test]
fn what_is_not_shown_to_be_safe_since_the_stop_is_told_to_be_in_doubt() {
    let (a, listen) = Node::open(1, Setup::trusting(&[2]));
    let stranger = Stranger::connecting(&listen);
    for (nth, (is_stopped, is_safe)) in [(false, true), (true, false)].into_iter().enumerate() {
        shows(&a, is_stopped, is_safe);
        let bytes = request::seal(&key(2), &asking(id(1), stop(&nth.to_string())));
        let report = report(&ask_to_stop(&stranger, &bytes), &bytes);
        assert_eq!((report.safe.len(), &*report.not_safe), (0, &[VALVE.to_owned()][..]));
        assert!(report.sentence.is_some(), "{report:?}");
    }
}

#[test]
fn a_stop_is_never_too_much_and_to_repeat_it_costs_no_more_than_the_budget() {
    let limits = BridgeLimits { asks_per_second_max: 1, asks_in_flight_max: 1, ..BridgeLimits::default() };
    let inbox = InboxLimits { state_inputs_max: 1, ..InboxLimits::default() };
    let (a, listen) = Node::open(1, Setup { limits, inbox, ..Setup::trusting(&[2]) });
    let stranger = Stranger::connecting(&listen);
    shows(&a, true, true);
    let bytes = request::seal(&key(2), &asking(id(1), stop("smoke")));
    let asked: Vec<_> = (0..20).map(|_| ask_to_stop(&stranger, &bytes)).collect();
    // Who finds no place to wait is told at once what is known.
    let is_in_doubt = |asked: &&Asked| !report(asked, &bytes).is_complete();
    assert!((1..20).contains(&asked.iter().filter(is_in_doubt).count()));
    assert!((1..20).contains(&a.held.latch.stops()), "{} times", a.held.latch.stops());
    a.held.latch.rearm();
    for _ in 0..3 {
        report(&ask_to_stop(&stranger, &bytes), &bytes);
        assert!(a.held.latch.reason().is_some(), "the one that stops is never too much");
        a.held.latch.rearm();
    }
}
