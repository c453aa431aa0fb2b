//! The state lane between two nodes: nothing is called received before the journal holds it, nothing is lost.

use std::time::Duration;

use clawmesh_authority::envelope::{ENVELOPES_PER_DELIVERY_MAX, FRAMES_PER_BUNDLE_MAX, Receipt, unproven};
use clawmesh_authority::{
    Body, Capability, Code, Frame, LaneMark, NodeDescription, Refusal, SensorSpec, Unit,
};
use clawmesh_bridge::BridgeLimits;
use clawmesh_core::intake::{InboxLimits, InputBody, LinkState};
use crossbeam_channel::{bounded, tick};

use crate::support::{
    Asked, Node, PATIENCE, Setup, Stranger, envelope_of, frame, id, mesh, outgoing, readings, sealed,
    sealed_bundle,
};

fn receipt(n: u8, sequence: u64) -> Option<Receipt> {
    Some(Receipt { source: id(n), epoch: 1, sequence })
}

fn deliver(stranger: &Stranger, sequence: u64) -> Asked {
    stranger.ask(id(1), "deliver", sealed(2, sequence, frame("gate")))
}

fn heard(stranger: &Stranger) -> Option<Receipt> {
    stranger.ask(id(1), "heard", id(2).to_string()).receipt(id(1))
}

#[test]
fn the_receipt_comes_when_the_journal_holds_the_frame_and_not_before() {
    let (mut a, listen) = Node::open(1, Setup::trusting(&[2]));
    let stranger = Stranger::connecting(&listen);
    assert_eq!(heard(&stranger), None);
    let asked = deliver(&stranger, 4);
    let (sequence, ticket) = a.expect_envelope(id(2));
    assert_eq!(sequence, 4);
    assert!(asked.is_unanswered());
    assert_eq!(deliver(&stranger, 4).refusal().0, "BUSY", "it is still on its way");
    assert_eq!(heard(&stranger), None);
    ticket.unwrap().answer(Ok(()));
    assert_eq!(asked.receipt(id(1)), receipt(2, 4));
    assert_eq!(heard(&stranger), receipt(2, 4));
    assert_eq!(deliver(&stranger, 4).receipt(id(1)), receipt(2, 4), "asked again, answered again");
    assert_eq!(deliver(&stranger, 3).receipt(id(1)), receipt(2, 4), "something later was heard");
    a.expect_none("a frame twice", |input| envelope_of(input, id(2)).is_some());
}

#[test]
fn what_is_packed_anew_with_something_that_was_heard_is_answered_with_how_far() {
    let (mut a, listen) = Node::open(1, Setup::trusting(&[2]));
    let stranger = Stranger::connecting(&listen);
    let asked = stranger.ask(id(1), "deliver", sealed_bundle(2, None, &[0, 1]));
    a.expect_frames(id(2)).1.unwrap().answer(Ok(()));
    assert_eq!(asked.receipt(id(1)), receipt(2, 1));
    let anew = stranger.ask(id(1), "deliver", sealed_bundle(2, None, &[0, 1, 2]));
    assert_eq!(anew.receipt(id(1)), receipt(2, 1));
    let rest = stranger.ask(id(1), "deliver", sealed_bundle(2, Some(1), &[2]));
    a.expect_frames(id(2)).1.unwrap().answer(Ok(()));
    assert_eq!(rest.receipt(id(1)), receipt(2, 2));
}

#[test]
fn a_receipt_for_less_than_was_sent_is_gone_on_from_at_once() {
    let (mut b, listen) = Node::open(2, Setup::trusting(&[9]));
    let peer = Stranger::connecting(&listen);
    b.commits.commit(1);
    for sequence in 0..6 {
        assert_eq!(b.outbox.offer(outgoing(1, sequence, frame(&sequence.to_string()))), Ok(()));
    }
    b.expect_none("an input", |input| envelope_of(input, id(2)).is_some());
    let receipt_for =
        |sequence: u64| sealed(9, 0, Body::Receipt(Receipt { source: id(2), epoch: 1, sequence }));
    let answers = [receipt_for(3), receipt_for(5)];
    let ((heard_tx, heard), (asked_tx, asked)) = (bounded(100), bounded(100));
    let _heard = peer.answer_as(9, "heard", move |nth| {
        heard_tx.send(nth).unwrap();
        Vec::new()
    });
    let _deliver = peer.answer_as(9, "deliver", move |nth| {
        asked_tx.send(nth).unwrap();
        answers[nth.min(1)].clone()
    });
    let _token = peer.appear(&format!("clawmesh/{}/{}/alive", mesh(), id(9)));
    for nth in 0..2 {
        assert_eq!(asked.recv_timeout(PATIENCE), Ok(nth));
    }
    b.expect_none("another question", |_| !asked.is_empty());
    assert_eq!(heard.len(), 1, "nobody had to be asked again how far it was heard");
}

#[test]
fn a_row_of_forgeries_costs_one_look_and_keeps_no_frame_out() {
    let limits = BridgeLimits { unproven_per_second_max: 20, ..BridgeLimits::default() };
    let (mut a, listen) = Node::open(1, Setup { limits, ..Setup::trusting(&[2]) });
    let stranger = Stranger::connecting(&listen);
    let mut forged = sealed_bundle(2, None, &[0]);
    *forged.last_mut().unwrap() ^= 1;
    for _ in 0..10 {
        let row = stranger.ask(id(1), "deliver", forged.repeat(ENVELOPES_PER_DELIVERY_MAX));
        assert_eq!(row.refusal().0, "BAD_SIGNATURE");
    }
    let asked = deliver(&stranger, 0);
    a.expect_envelope(id(2)).1.unwrap().answer(Ok(()));
    assert_eq!(asked.receipt(id(1)), receipt(2, 0));
    assert_eq!(a.expect_refused_often(Code::BadSignature, 10).1, 10);
}

#[test]
fn what_is_on_its_way_when_its_node_is_trusted_no_more_gets_no_receipt_and_may_come_again() {
    let (mut a, listen) = Node::open(1, Setup::trusting(&[2]));
    let stranger = Stranger::connecting(&listen);
    let _asked = deliver(&stranger, 0);
    let (_, ticket) = a.expect_envelope(id(2));
    a.trust(&[]);
    ticket.unwrap().answer(Ok(()));
    let listen = a.expect("an open link", |input| match &input.body {
        InputBody::LinkChanged(LinkState::Open { listen }) => listen.first().cloned(),
        _ => None,
    });
    a.trust(&[2]);
    let stranger = Stranger::connecting(&listen);
    assert_eq!(heard(&stranger), None);
    let again = deliver(&stranger, 0);
    a.expect_envelope(id(2)).1.unwrap().answer(Ok(()));
    assert_eq!(again.receipt(id(1)), receipt(2, 0));
}

#[test]
fn a_frame_the_journal_did_not_take_may_come_again() {
    let (mut a, listen) = Node::open(1, Setup::trusting(&[2]));
    let stranger = Stranger::connecting(&listen);
    let asked = deliver(&stranger, 0);
    let why = Refusal::new(Code::JournalUnavailable, "journal", "the disk is full");
    a.expect_envelope(id(2)).1.unwrap().answer(Err(why));
    assert_eq!(asked.refusal(), ("JOURNAL_UNAVAILABLE".to_owned(), "the disk is full".to_owned()));
    let asked = deliver(&stranger, 0);
    drop(a.expect_envelope(id(2)).1.unwrap());
    assert_eq!(asked.refusal().0, "BUSY");
    let asked = deliver(&stranger, 0);
    a.expect_envelope(id(2)).1.unwrap().answer(Ok(()));
    assert_eq!(asked.receipt(id(1)), receipt(2, 0));
    a.commits.fail("the disk is full");
    assert_eq!(deliver(&stranger, 1).refusal().0, "JOURNAL_UNAVAILABLE");
    assert_eq!(deliver(&stranger, 0).receipt(id(1)), receipt(2, 0), "what it holds it still holds");
}

#[test]
fn an_earlier_run_is_remembered() {
    let state = LaneMark { epoch: 1, next: 8, skipped: 0 };
    let marks = [(id(2), (state, LaneMark::default()))].into();
    let (_a, listen) = Node::open(1, Setup { marks, ..Setup::trusting(&[2]) });
    let stranger = Stranger::connecting(&listen);
    assert_eq!(heard(&stranger), receipt(2, 7));
    assert_eq!(deliver(&stranger, 7).receipt(id(1)), receipt(2, 7));
    assert_eq!(deliver(&stranger, 6).receipt(id(1)), receipt(2, 7));
}

#[test]
fn a_full_inbox_is_busy_and_takes_the_frame_later() {
    let inbox = InboxLimits { state_inputs_max: 1, ..InboxLimits::default() };
    let (mut a, listen) = Node::open(1, Setup { inbox, ..Setup::trusting(&[2, 3]) });
    let stranger = Stranger::connecting(&listen);
    let first = stranger.ask(id(1), "deliver", sealed(3, 0, frame("door")));
    assert!(first.is_unanswered());
    assert_eq!(deliver(&stranger, 0).refusal().0, "BUSY");
    a.expect_envelope(id(3)).1.unwrap().answer(Ok(()));
    assert_eq!(first.receipt(id(1)), receipt(3, 0));
    let second = deliver(&stranger, 0);
    a.expect_envelope(id(2)).1.unwrap().answer(Ok(()));
    assert_eq!(second.receipt(id(1)), receipt(2, 0));
    let (refusal, _) = a.expect_refused(Code::Busy);
    assert_eq!(refusal.from, id(2).to_string());
}

#[test]
fn bad_deliveries_and_questions_are_answered_with_a_reason() {
    let (mut a, listen) = Node::open(1, Setup::trusting(&[2]));
    let stranger = Stranger::connecting(&listen);
    let rows = [
        (b"hello".to_vec(), Code::MalformedEnvelope),
        (sealed(3, 0, frame("gate")), Code::UntrustedPeer),
        (sealed(2, 0, readings()), Code::InvalidParams),
        (vec![0; 300 * 1024], Code::TooLarge),
    ];
    for (bytes, code) in rows {
        let (said, sentence) = stranger.ask(id(1), "deliver", bytes).refusal();
        assert_eq!(said, code.as_str(), "{sentence}");
    }
    for code in [Code::MalformedEnvelope, Code::UntrustedPeer, Code::InvalidParams, Code::TooLarge] {
        a.expect_refused(code);
    }
    assert_eq!(stranger.ask(id(1), "heard", "the gate").refusal().0, "INVALID_PARAMS");
    assert_eq!(stranger.ask(id(1), "heard", id(7).to_string()).receipt(id(1)), None);
}

#[test]
fn frames_go_to_a_trusted_peer_in_order_and_do_not_wait_for_receipts() {
    let (mut a, listen) = Node::open(1, Setup::trusting(&[2]));
    let (mut b, _) = Node::open(2, Setup::trusting(&[1]).connecting(&listen));
    for sequence in 0..3 {
        assert_eq!(b.outbox.offer(outgoing(5, sequence, frame(&sequence.to_string()))), Ok(()));
    }
    b.expect_peer(a.id);
    a.expect_none("a frame before its commit", |input| envelope_of(input, id(2)).is_some());
    b.commits.commit(5);
    assert_eq!(hear_until(&mut a, 2), [0, 1, 2]);
    let mut waiting = Vec::new();
    for sequence in 3..5 {
        assert_eq!(b.outbox.offer(outgoing(5, sequence, frame(&sequence.to_string()))), Ok(()));
        let (frames, ticket) = a.expect_frames(id(2));
        assert_eq!(frames, [sequence]);
        waiting.extend(ticket);
    }
    waiting.into_iter().for_each(|ticket| ticket.answer(Ok(())));
    a.expect_none("a frame twice", |input| envelope_of(input, id(2)).is_some());
}

#[test]
fn a_backlog_comes_in_bundles_and_whole_although_the_peer_may_take_little_at_a_time() {
    let limits = BridgeLimits { envelopes_per_second_max: 12, ..BridgeLimits::default() };
    let (mut b, listen) = Node::open(2, Setup::trusting(&[1]));
    b.commits.commit(1);
    for sequence in 0..200 {
        let _ = b.outbox.offer(outgoing(1, sequence, frame(&sequence.to_string())));
        until_shelved(&b, sequence);
    }
    let (mut a, _) = Node::open(1, Setup { limits, ..Setup::trusting(&[2]).connecting(&listen) });
    b.expect_peer(a.id);
    let mut bundles = Vec::new();
    while bundles.last() != Some(&199) {
        let (frames, ticket) = a.expect_frames(id(2));
        assert!(frames.len() <= FRAMES_PER_BUNDLE_MAX && frames.len() > 1, "{frames:?}");
        ticket.unwrap().answer(Ok(()));
        bundles.extend(frames);
    }
    assert_eq!(bundles, (0..200).collect::<Vec<_>>());
}

/// The outbox of a test has few places.
fn until_shelved(node: &Node, sequence: u64) {
    let beat = tick(Duration::from_millis(1));
    if sequence % 32 == 31 {
        let emptied = (0..20_000).find(|_| {
            beat.recv().unwrap();
            node.outbox_is_empty()
        });
        assert!(emptied.is_some(), "the frames were never shelved");
    }
}

#[test]
fn a_delivery_is_taken_as_far_as_it_is_good_and_answered_with_one_receipt() {
    let (mut a, listen) = Node::open(1, Setup::trusting(&[2]));
    let stranger = Stranger::connecting(&listen);
    let mut forged = sealed_bundle(2, Some(4), &[5, 6]);
    *forged.last_mut().unwrap() ^= 1;
    let good = [sealed_bundle(2, None, &[0, 1]), sealed_bundle(2, Some(1), &[3, 4])].concat();
    let asked =
        stranger.ask(id(1), "deliver", [good.clone(), forged, sealed_bundle(2, Some(6), &[7])].concat());
    let tickets: Vec<_> = (0..2).map(|_| a.expect_frames(id(2))).collect();
    assert_eq!(
        tickets.iter().map(|(frames, _)| frames.clone()).collect::<Vec<_>>(),
        [vec![0, 1], vec![3, 4]]
    );
    assert!(asked.is_unanswered());
    tickets.into_iter().for_each(|(_, ticket)| ticket.unwrap().answer(Ok(())));
    assert_eq!(asked.receipt(id(1)), receipt(2, 4));
    a.expect_none("what comes after a forgery", |input| envelope_of(input, id(2)).is_some());
    assert_eq!(a.expect_refused(Code::BadSignature).0.from, unproven(id(2)));
    let again = stranger.ask(id(1), "deliver", good);
    assert_eq!(again.receipt(id(1)), receipt(2, 4), "asked again, answered again");
}

#[test]
fn whoever_holds_back_a_delivery_cannot_have_a_later_one_taken_in_its_place() {
    let (mut a, listen) = Node::open(1, Setup::trusting(&[2]));
    let relay = Stranger::connecting(&listen);
    let (first, second) = (sealed_bundle(2, None, &[0]), sealed_bundle(2, Some(0), &[1]));
    assert_eq!(relay.ask(id(1), "deliver", second.clone()).refusal().0, "BUSY");
    a.expect_none("a frame without the one before it", |input| envelope_of(input, id(2)).is_some());
    let (_first, asked) = (relay.ask(id(1), "deliver", first), relay.ask(id(1), "deliver", second));
    for sequence in 0..2 {
        let (frames, ticket) = a.expect_frames(id(2));
        assert_eq!(frames, [sequence]);
        ticket.unwrap().answer(Ok(()));
    }
    assert_eq!(asked.receipt(id(1)), receipt(2, 1));
}

#[test]
fn a_trusted_node_that_says_nonsense_in_bundles_is_refused_by_name_and_heard_when_it_stops() {
    let (mut a, listen) = Node::open(1, Setup::trusting(&[2]));
    let hostile = Stranger::connecting(&listen);
    let one = sealed_bundle(2, None, &[0]);
    for (delivery, code) in [
        (Vec::new(), "MALFORMED_ENVELOPE"),
        ([&one[..], &one[..40]].concat(), "MALFORMED_ENVELOPE"),
        (one.repeat(ENVELOPES_PER_DELIVERY_MAX + 1), "TOO_LARGE"),
        (sealed_bundle(2, None, &[]), "INVALID_PARAMS"),
        (sealed_bundle(2, None, &[5, 4]), "INVALID_PARAMS"),
        (sealed_bundle(2, None, &[5, 5]), "INVALID_PARAMS"),
        (sealed_bundle(2, Some(5), &[5]), "INVALID_PARAMS"),
        (sealed_bundle(2, None, &(0..33).collect::<Vec<_>>()), "INVALID_PARAMS"),
        (sealed_bundle(2, None, &[u64::MAX]), "REPLAYED"),
    ] {
        assert_eq!(hostile.ask(id(1), "deliver", delivery).refusal().0, code);
    }
    let twice = hostile.ask(id(1), "deliver", [one.clone(), one].concat());
    a.expect_frames(id(2)).1.unwrap().answer(Ok(()));
    assert_eq!(twice.receipt(id(1)), receipt(2, 0));
    a.expect_none("a frame twice", |input| envelope_of(input, id(2)).is_some());
}

#[test]
fn what_is_in_flight_when_the_journal_fails_gets_no_receipt() {
    let (mut a, listen) = Node::open(1, Setup::trusting(&[2]));
    let stranger = Stranger::connecting(&listen);
    let first = stranger.ask(id(1), "deliver", sealed_bundle(2, None, &[0]));
    let second = stranger.ask(
        id(1),
        "deliver",
        [sealed_bundle(2, Some(0), &[1]), sealed_bundle(2, Some(1), &[2])].concat(),
    );
    let mut tickets: Vec<_> = (0..3).map(|_| a.expect_frames(id(2)).1.unwrap()).collect();
    tickets.remove(0).answer(Ok(()));
    assert_eq!(first.receipt(id(1)), receipt(2, 0));
    let full = || Refusal::new(Code::JournalUnavailable, "journal", "the disk is full");
    tickets.into_iter().for_each(|ticket| ticket.answer(Err(full())));
    assert_eq!(second.refusal().0, "JOURNAL_UNAVAILABLE");
    assert_eq!(heard(&stranger), receipt(2, 0));
}

#[test]
fn a_frame_of_many_packets_arrives_though_couriers_do_not_wait_for_the_link() {
    let (mut a, listen) = Node::open(1, Setup::trusting(&[2]));
    let (mut b, _) = Node::open(2, Setup::trusting(&[1]).connecting(&listen));
    b.expect_peer(a.id);
    b.commits.commit(1);
    assert_eq!(b.outbox.offer(outgoing(1, 0, long_description())), Ok(()));
    let (sequence, ticket) = a.expect_envelope(id(2));
    assert_eq!(sequence, 0);
    ticket.unwrap().answer(Ok(()));
}

#[test]
fn a_frame_that_no_peer_would_take_is_refused_here_and_keeps_no_other_back() {
    let (mut a, listen) = Node::open(1, Setup::trusting(&[2]));
    let (mut b, _) = Node::open(2, Setup::trusting(&[1]).connecting(&listen));
    b.expect_peer(a.id);
    b.commits.commit(1);
    assert_eq!(b.outbox.offer(outgoing(1, 0, description("soil moisture ".repeat(30)))), Ok(()));
    assert_eq!(b.outbox.offer(outgoing(1, 1, frame("gate"))), Ok(()));
    assert_eq!(a.expect_envelope(id(2)).0, 1);
    let (refusal, _) = b.expect_refused(Code::TooLarge);
    assert_eq!(refusal.from, "outbox");
    assert!(refusal.sentence.contains("nodes take at most 262144"), "{refusal:?}");
}

/// More than two of zenoh's packets.
fn long_description() -> Body {
    description("soil moisture".to_owned())
}

/// A thousand sensors with long names.
fn description(quantity: String) -> Body {
    let sensor = |n: usize| SensorSpec {
        sensor: Capability::new(&format!("sensor:{}:{n}", "soil-moisture".repeat(8))).unwrap(),
        quantity: quantity.clone(),
        unit: Unit::Percent,
        period_ms: 1_000,
        range: None,
        stuck_after_ms: None,
        about: None,
    };
    Body::Frame(Frame::Description(NodeDescription {
        name: "orchard".to_owned(),
        role: "field".to_owned(),
        version: "1".to_owned(),
        sensors: (0..1_024).map(sensor).collect(),
    }))
}

#[test]
fn a_peer_that_comes_late_hears_the_newest_of_every_subject() {
    let (mut b, listen) = Node::open(2, Setup::trusting(&[1, 3]));
    let (mut witness, _) = Node::open(3, Setup::trusting(&[2]).connecting(&listen));
    b.commits.commit(1);
    for (sequence, key) in [(0, "gate"), (1, "door"), (2, "gate")] {
        assert_eq!(b.outbox.offer(outgoing(1, sequence, frame(key))), Ok(()));
    }
    assert_eq!(hear_until(&mut witness, 2).last(), Some(&2));
    let (mut a, _) = Node::open(1, Setup::trusting(&[2]).connecting(&listen));
    b.expect_peer(a.id);
    assert_eq!(hear_until(&mut a, 2), [1, 2]);
}

/// Takes frames of node 2 until the one with the sequence `last` came.
fn hear_until(node: &mut Node, last: u64) -> Vec<u64> {
    let mut heard = Vec::new();
    while heard.last() != Some(&last) {
        let (frames, ticket) = node.expect_frames(id(2));
        ticket.unwrap().answer(Ok(()));
        heard.extend(frames);
    }
    heard
}

#[test]
fn a_peer_that_comes_back_hears_each_of_what_it_has_not_once_and_nothing_else() {
    let (mut b, listen) = Node::open(2, Setup::trusting(&[1]));
    b.commits.commit(1);
    for sequence in 0..60 {
        assert_eq!(b.outbox.offer(outgoing(1, sequence, frame(&sequence.to_string()))), Ok(()));
    }
    let state = LaneMark { epoch: 1, next: 40, skipped: 0 };
    let marks = [(id(2), (state, LaneMark::default()))].into();
    let (mut a, _) = Node::open(1, Setup { marks, ..Setup::trusting(&[2]).connecting(&listen) });
    b.expect_peer(a.id);
    // So a partition costs what was said meanwhile, however much there is beside it.
    assert_eq!(hear_until(&mut a, 59), (40..60).collect::<Vec<_>>());
    a.expect_none("a frame twice", |input| envelope_of(input, id(2)).is_some());
}

#[test]
fn a_busy_or_failing_peer_gets_the_frame_later() {
    let inbox = InboxLimits { state_inputs_max: 1, ..InboxLimits::default() };
    let (mut a, listen) = Node::open(1, Setup { inbox, ..Setup::trusting(&[2]) });
    let (mut b, _) = Node::open(2, Setup::trusting(&[1]).connecting(&listen));
    b.expect_peer(a.id);
    b.commits.commit(1);
    assert_eq!(b.outbox.offer(outgoing(1, 0, frame("gate"))), Ok(()));
    for _ in 0..2 {
        let why = Refusal::new(Code::JournalUnavailable, "journal", "not now");
        a.expect_envelope(id(2)).1.unwrap().answer(Err(why));
    }
    a.expect_envelope(id(2)).1.unwrap().answer(Ok(()));
    a.expect_none("a frame twice", |input| envelope_of(input, id(2)).is_some());
}

#[test]
fn a_node_is_told_why_its_peer_does_not_take_its_frames() {
    let (mut a, listen) = Node::open(1, Setup::trusting(&[]));
    let (mut b, _) = Node::open(2, Setup::trusting(&[1]).connecting(&listen));
    b.commits.commit(1);
    assert_eq!(b.outbox.offer(outgoing(1, 0, frame("gate"))), Ok(()));
    let (refusal, _) = b.expect_refused(Code::UntrustedPeer);
    assert_eq!(refusal.from, unproven(id(1)), "an error is not signed");
    assert!(
        refusal.sentence.contains("refused our frame") && refusal.sentence.contains("clawmesh trust add"),
        "{refusal}"
    );
    assert_eq!(a.expect_refused(Code::UntrustedPeer).0.from, unproven(id(2)), "no signature was checked");
}

#[test]
fn only_a_receipt_signed_by_the_peer_for_this_frame_counts() {
    let (mut b, listen) = Node::open(2, Setup::trusting(&[9]));
    let impostor = Stranger::connecting(&listen);
    let receipt_by = |signer: u8, sequence: u64| {
        let body = Body::Receipt(Receipt { source: id(2), epoch: 1, sequence });
        sealed(signer, 0, body)
    };
    let answers = [b"yes".to_vec(), receipt_by(8, 0), receipt_by(9, 1), receipt_by(9, 0)];
    let (asked_tx, asked) = bounded(100);
    let _heard = impostor.answer_as(9, "heard", |_| Vec::new());
    let _deliver = impostor.answer_as(9, "deliver", move |nth| {
        asked_tx.send(nth).unwrap();
        answers[nth.min(3)].clone()
    });
    let _token = impostor.appear(&format!("clawmesh/{}/{}/alive", mesh(), id(9)));
    b.commits.commit(1);
    assert_eq!(b.outbox.offer(outgoing(1, 0, frame("gate"))), Ok(()));
    for nth in 0..4 {
        assert_eq!(asked.recv_timeout(PATIENCE), Ok(nth));
    }
    b.expect_refused(Code::MalformedEnvelope);
    let (refusal, sum) = b.expect_refused_often(Code::SourceMismatch, 2);
    assert_eq!((refusal.from, sum), (unproven(id(9)), 2));
    b.expect_none("another question once the receipt is there", |_| !asked.is_empty());
}

#[test]
fn a_refusal_anybody_could_have_sent_does_not_settle_a_frame() {
    let (mut b, listen) = Node::open(2, Setup::trusting(&[9]));
    let impostor = Stranger::connecting(&listen);
    let (asked_tx, asked) = bounded(100);
    let _heard = impostor.answer_as(9, "heard", |_| Vec::new());
    let _deliver = impostor.serve_as(9, "deliver", move |nth| {
        asked_tx.send(nth).unwrap();
        Err(br#"{"code": "INVALID_PARAMS", "sentence": "never"}"#.to_vec())
    });
    let _token = impostor.appear(&format!("clawmesh/{}/{}/alive", mesh(), id(9)));
    b.commits.commit(1);
    assert_eq!(b.outbox.offer(outgoing(1, 0, frame("gate"))), Ok(()));
    for nth in 0..2 {
        assert_eq!(asked.recv_timeout(PATIENCE), Ok(nth));
    }
    let (refusal, _) = b.expect_refused(Code::InvalidParams);
    assert_eq!(refusal.from, unproven(id(9)));
}

#[test]
fn asking_in_the_name_of_a_node_does_not_keep_its_frames_out() {
    let limits =
        BridgeLimits { unproven_per_second_max: 1, envelopes_per_second_max: 1, ..BridgeLimits::default() };
    let (mut a, listen) = Node::open(1, Setup { limits, ..Setup::trusting(&[2]) });
    let stranger = Stranger::connecting(&listen);
    let _questions: Vec<_> = (0..500).map(|_| stranger.ask(id(1), "heard", id(2).to_string())).collect();
    // On the same link right behind them, before any bucket has filled up again.
    let asked = deliver(&stranger, 0);
    a.expect_envelope(id(2)).1.unwrap().answer(Ok(()));
    assert_eq!(asked.receipt(id(1)), receipt(2, 0));
    let (refusal, _) = a.expect_refused_often(Code::RateLimited, 101);
    assert_eq!(refusal.from, unproven(id(2)));
}

#[test]
fn deliveries_that_prove_nothing_are_bounded_and_keep_no_frame_out() {
    let limits = BridgeLimits { unproven_per_second_max: 20, ..BridgeLimits::default() };
    let (mut a, listen) = Node::open(1, Setup { limits, ..Setup::trusting(&[2]) });
    let stranger = Stranger::connecting(&listen);
    let junk: Vec<_> = (0..500).map(|_| stranger.ask(id(1), "deliver", "junk")).collect();
    let (refusal, _) = a.expect_refused_often(Code::RateLimited, 101);
    assert_eq!(refusal.from, "an unknown sender");
    let asked = deliver(&stranger, 0);
    a.expect_envelope(id(2)).1.unwrap().answer(Ok(()));
    assert_eq!(asked.receipt(id(1)), receipt(2, 0));
    drop(junk);
}

#[test]
fn frames_beyond_what_is_kept_are_counted() {
    let limits = BridgeLimits { frames_retained_max: 2, ..BridgeLimits::default() };
    let mut node = Node::start(1, Setup { limits, ..Setup::trusting(&[]) });
    node.commits.commit(1);
    for sequence in 0..5 {
        assert_eq!(node.outbox.offer(outgoing(1, sequence, frame(&sequence.to_string()))), Ok(()));
    }
    let (refusal, _) = node.expect_refused(Code::LimitExceeded);
    assert_eq!(refusal.from, "outbox");
}
