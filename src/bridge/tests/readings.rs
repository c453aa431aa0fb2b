//! The stream lane between two nodes: what is said, when, and what is not believed.

use clawmesh_authority::envelope::unproven;
use clawmesh_authority::{Code, Hlc, LaneMark, MeshId, Statement, envelope};
use clawmesh_bridge::BridgeLimits;
use clawmesh_core::intake::InboxLimits;

use crate::support::{
    NOW_MS, Node, Setup, Stranger, envelope_of, frame, id, key, mesh, outgoing, readings, sealed, statement,
};

#[test]
fn readings_arrive_signed_and_in_order_and_only_once_their_cause_is_durable() {
    let (mut a, listen) = Node::open(1, Setup::trusting(&[2]));
    let (mut b, _) = Node::open(2, Setup::trusting(&[]).connecting(&listen));
    b.expect_peer(a.id);
    for sequence in 0..3 {
        assert_eq!(b.outbox.offer(outgoing(7, sequence, readings())), Ok(()));
    }
    b.commits.commit(6);
    a.expect_none("readings before their commit", |input| envelope_of(input, id(2)).is_some());
    b.commits.commit(7);
    for sequence in 0..3 {
        assert_eq!(a.expect_envelope(id(2)).0, sequence);
    }
}

#[test]
fn readings_whose_cause_never_becomes_durable_are_counted_and_not_said() {
    let (mut a, listen) = Node::open(1, Setup::trusting(&[2]));
    let (mut b, _) = Node::open(2, Setup::trusting(&[]).connecting(&listen));
    b.expect_peer(a.id);
    assert_eq!(b.outbox.offer(outgoing(7, 0, readings())), Ok(()));
    b.commits.fail("the disk is full");
    let (refusal, count) = b.expect_refused(Code::JournalUnavailable);
    assert_eq!((refusal.from.as_str(), count), ("outbox", 1));
    a.expect_none("readings without a cause", |input| envelope_of(input, id(2)).is_some());
}

#[test]
fn readings_that_find_no_place_in_the_outbox_are_counted() {
    let mut node = Node::start(1, Setup::trusting(&[]));
    for sequence in 0..100 {
        assert_eq!(node.outbox.offer(outgoing(1, sequence, readings())), Ok(()));
    }
    let (refusal, _) = node.expect_refused_often(Code::StreamSkipped, 51);
    assert_eq!(refusal.from, "outbox");
}

#[test]
fn an_untrusted_node_is_refused_with_the_way_to_trust_it() {
    let (mut a, listen) = Node::open(1, Setup::trusting(&[]));
    let (mut b, _) = Node::open(2, Setup::trusting(&[]).connecting(&listen));
    b.expect_peer(a.id);
    b.commits.commit(1);
    assert_eq!(b.outbox.offer(outgoing(1, 0, readings())), Ok(()));
    let (refusal, _) = a.expect_refused(Code::UntrustedPeer);
    assert_eq!(refusal.from, id(2).to_string());
    assert!(refusal.sentence.contains(&format!("clawmesh trust add {}", id(2))), "{refusal}");
}

#[test]
fn what_a_stranger_repeats_forges_or_invents_is_refused() {
    let (mut a, listen) = Node::open(1, Setup::trusting(&[2, 3]));
    let stranger = Stranger::connecting(&listen);
    stranger.say_as(2, sealed(2, 5, readings()));
    assert_eq!(a.expect_envelope(id(2)).0, 5);
    let mut forged = sealed(2, 6, readings());
    *forged.last_mut().unwrap() ^= 1;
    let elsewhere = Statement { mesh: MeshId::of_name("field"), ..statement(6, readings()) };
    let ahead = Statement { hlc: Hlc { wall_ms: NOW_MS + 600_000, logical: 0 }, ..statement(6, readings()) };
    let rows = [
        (sealed(2, 5, readings()), Code::Replayed, "heard before"),
        (b"21.5".to_vec(), Code::MalformedEnvelope, "signed"),
        (vec![0; 300 * 1024], Code::TooLarge, "307200 bytes"),
        (sealed(3, 0, readings()), Code::SourceMismatch, "own key"),
        (sealed(2, 6, frame("gate")), Code::InvalidParams, "readings only"),
        (forged, Code::BadSignature, "signature"),
        (envelope::seal(&key(2), &elsewhere), Code::MeshIdMismatch, "--mesh-name"),
        (envelope::seal(&key(2), &ahead), Code::ClockUntrusted, "600000 ms ahead"),
    ];
    for (bytes, _, _) in &rows {
        stranger.say_as(2, bytes.clone());
    }
    for (_, code, words) in rows {
        let (refusal, count) = a.expect_refused(code);
        assert!(refusal.sentence.contains(words) && count == 1, "{refusal}, {count} times");
    }
    stranger.say_as(2, sealed(2, 4, readings()));
    stranger.say_as(2, sealed(2, 6, readings()));
    assert_eq!(a.expect_envelope(id(2)).0, 6, "nothing refused moved the mark");
    assert_eq!(a.expect_refused(Code::Replayed).0.from, id(2).to_string());
}

#[test]
fn marks_of_an_earlier_run_still_refuse_what_that_run_heard() {
    let stream = LaneMark { epoch: 1, next: 10, skipped: 0 };
    let marks = [(id(2), (LaneMark::default(), stream))].into();
    let (mut a, listen) = Node::open(1, Setup { marks, ..Setup::trusting(&[2]) });
    let stranger = Stranger::connecting(&listen);
    stranger.say_as(2, sealed(2, 9, readings()));
    a.expect_refused(Code::Replayed);
    stranger.say_as(2, sealed(2, 10, readings()));
    assert_eq!(a.expect_envelope(id(2)).0, 10);
}

#[test]
fn our_own_key_and_keys_of_nobody_do_no_harm() {
    let (mut a, listen) = Node::open(1, Setup::trusting(&[1, 2]));
    let stranger = Stranger::connecting(&listen);
    stranger.say_as(1, sealed(1, 0, readings()));
    stranger.put(&format!("clawmesh/{}/nobody/reading/batch", mesh()), sealed(2, 0, readings()));
    let (refusal, _) = a.expect_refused(Code::InvalidParams);
    assert!(refusal.from.contains("nobody"), "{refusal}");
    a.expect_none("an envelope of our own", |input| envelope_of(input, id(1)).is_some());
}

#[test]
fn a_flood_is_refused_and_the_others_are_still_heard() {
    let limits = BridgeLimits { envelopes_per_second_max: 50, ..BridgeLimits::default() };
    let inbox = InboxLimits { stream_inputs_per_key_max: 2_000, ..InboxLimits::default() };
    let (mut a, listen) = Node::open(1, Setup { limits, inbox, ..Setup::trusting(&[2, 3]) });
    let stranger = Stranger::connecting(&listen);
    for sequence in 0..600 {
        stranger.say_as(2, sealed(2, sequence, readings()));
    }
    stranger.say_as(3, sealed(3, 0, readings()));
    assert_eq!(a.expect_envelope(id(3)).0, 0);
    let (refusal, _) = a.expect_refused_often(Code::RateLimited, 101);
    assert_eq!(refusal.from, unproven(id(2)), "nobody looks at what there is no room for");
    assert_eq!(a.expect_envelope(id(2)).0, 0, "the first of the flood were taken");
}

#[test]
fn forgeries_under_the_name_of_a_node_do_not_silence_it() {
    let limits = BridgeLimits { envelopes_per_second_max: 5, ..BridgeLimits::default() };
    let (mut a, listen) = Node::open(1, Setup { limits, ..Setup::trusting(&[2]) });
    let stranger = Stranger::connecting(&listen);
    let mut forged = sealed(2, 0, readings());
    *forged.last_mut().unwrap() ^= 1;
    for _ in 0..300 {
        stranger.say_as(2, forged.clone());
        stranger.say_as(2, b"nonsense".to_vec());
    }
    stranger.say_as(2, sealed(2, 0, readings()));
    assert_eq!(a.expect_envelope(id(2)).0, 0);
    for code in [Code::BadSignature, Code::MalformedEnvelope] {
        let (refusal, sum) = a.expect_refused_often(code, 300);
        assert_eq!((refusal.from, sum), (unproven(id(2)), 300));
    }
}

#[test]
fn envelopes_of_a_node_that_somebody_repeats_do_not_silence_it() {
    let limits = BridgeLimits { envelopes_per_second_max: 5, ..BridgeLimits::default() };
    let (mut a, listen) = Node::open(1, Setup { limits, ..Setup::trusting(&[2]) });
    let stranger = Stranger::connecting(&listen);
    for _ in 0..300 {
        stranger.say_as(2, sealed(2, 0, readings()));
    }
    stranger.say_as(2, sealed(2, 1, readings()));
    assert_eq!((a.expect_envelope(id(2)).0, a.expect_envelope(id(2)).0), (0, 1));
    a.expect_refused_often(Code::Replayed, 299);
}

#[test]
fn what_is_too_much_to_be_looked_at_is_counted_and_costs_no_other_node() {
    let limits = BridgeLimits { unproven_per_second_max: 50, ..BridgeLimits::default() };
    let (mut a, listen) = Node::open(1, Setup { limits, ..Setup::trusting(&[2, 3]) });
    let stranger = Stranger::connecting(&listen);
    for n in [2, 7, 8] {
        let mut forged = sealed(n, 0, readings());
        *forged.last_mut().unwrap() ^= 1;
        (0..1_000).for_each(|_| stranger.say_as(n, forged.clone()));
        let (refusal, _) = a.expect_refused_often(Code::RateLimited, 101);
        assert_eq!(refusal.from, unproven(id(n)));
    }
    stranger.say_as(3, sealed(3, 0, readings()));
    assert_eq!(a.expect_envelope(id(3)).0, 0);
}
