//! Who may say what over a link with papers: under its own key, unless people here say that it brings what others say.

use std::collections::BTreeMap;

use clawmesh_authority::{Code, Lane};
use clawmesh_bridge::{Part, ZenohMode};
use clawmesh_core::intake::{Input, InputBody};

use crate::papers::{expect_heard, papers, steady, with_papers};
use crate::support::{
    Node, Setup, Stranger, envelope_of, frame, id, many_readings, mesh, outgoing, readings, sealed,
};

/// A program with the papers of node `n`.
fn program(n: u8, endpoint: &str) -> Stranger {
    let papers = papers(9, n);
    let [_, root] = papers.as_pem();
    Stranger::encrypted(endpoint, &root, Some((&papers, n))).expect("it has papers of the mesh")
}

/// Node 1, which trusts 2 and 3; 3 is `part` for it.
fn node(part: Part, listen: &str) -> Node {
    let parts = BTreeMap::from([(id(3), part)]);
    Node::open(1, Setup { parts, ..with_papers(9, 1, &[2, 3], listen) }).0
}

fn is_of(n: u8) -> impl Fn(&Input) -> bool {
    move |input| envelope_of(input, id(n)).is_some()
}

/// Says something under the name of node 2, signed by it and never heard before, and then under its own.
fn say_as_another_and_as_oneself(program: &Stranger, n: u8) {
    program.say_as(2, sealed(2, 1, readings()));
    program.say_as(n, sealed(n, 1, readings()));
}

#[test]
fn who_is_trusted_says_what_it_says_itself_and_not_what_another_has_signed() {
    let listen = steady("tls");
    let mut node = node(Part::Node, &listen);
    let program = program(3, &listen);
    let _token = program.appear(&format!("clawmesh/{}/{}/alive", mesh(), id(2)));
    say_as_another_and_as_oneself(&program, 3);
    node.expect_envelope(id(3));
    let _own = program.appear(&format!("clawmesh/{}/{}/alive", mesh(), id(3)));
    node.expect_peer(id(3));
    // All of it came over one link, in order.
    node.expect_none("nothing of another", |input| {
        is_of(2)(input)
            || matches!(input.body, InputBody::Refused { .. })
            || input.body == InputBody::PeerAppeared(id(2))
    });
}

#[test]
fn who_is_a_relay_here_brings_what_others_have_signed() {
    let listen = steady("tls");
    let mut node = node(Part::Relay, &listen);
    say_as_another_and_as_oneself(&program(3, &listen), 3);
    node.expect_envelope(id(2));
    node.expect_envelope(id(3));
}

#[test]
fn a_viewer_says_no_readings_itself_and_none_by_a_relay() {
    let listen = steady("tls");
    let parts = BTreeMap::from([(id(3), Part::Viewer), (id(4), Part::Relay)]);
    let (mut node, _) = Node::open(1, Setup { parts, ..with_papers(9, 1, &[3, 4], &listen) });
    let viewer = program(3, &listen);
    viewer.say_as(3, sealed(3, 1, many_readings()));
    let _token = viewer.appear(&format!("clawmesh/{}/{}/alive", mesh(), id(3)));
    node.expect_peer(id(3));
    node.expect_none("it reaches nobody", |input| {
        is_of(3)(input) || matches!(input.body, InputBody::Refused { .. })
    });
    program(4, &listen).say_as(3, sealed(3, 2, many_readings()));
    let (refusal, _) = node.expect_refused(Code::NotAuthorized);
    assert!(refusal.sentence.contains("viewer"), "{refusal}");
    node.expect_none("no readings of a viewer", is_of(3));
}

#[test]
fn nodes_behind_a_router_of_ours_hear_each_other_and_no_stranger_is_let_through() {
    let listen = steady("tls");
    let router = Setup { mode: ZenohMode::Router, ..with_papers(9, 1, &[2, 3], &listen) };
    let (_router, _) = Node::open(1, router);
    let client = |n: u8, trusted: &[u8]| {
        let setup =
            Setup { mode: ZenohMode::Client, ..with_papers(9, n, trusted, &listen).connecting(&listen) };
        Node::open(n, setup).0
    };
    // The one that is not let through is trusted at the far end, which would take what it says.
    let (mut b, mut c) = (client(2, &[1, 3, 5]), client(3, &[1, 2]));
    b.expect_peer(c.id);
    c.expect_peer(b.id);
    expect_heard(&b, &mut c, 1);
    expect_heard(&c, &mut b, 1);
    c.commits.commit(5_000);
    c.outbox.offer(outgoing(5_000, 0, frame("gate"))).expect("there is room");
    b.expect("a frame", |input| {
        matches!(&input.body, InputBody::Envelope { lane: Lane::State, .. }).then_some(())
    });
    let stranger = program(5, &listen);
    stranger.say_as(5, sealed(5, 1, readings()));
    let _token = stranger.appear(&format!("clawmesh/{}/{}/alive", mesh(), id(5)));
    // An answer comes back over the same link, so what was said before it has been through the router.
    let (code, _) = stranger.ask(id(1), "deliver", sealed(5, 2, frame("gate"))).refusal();
    assert_eq!(code, Code::UntrustedPeer.as_str());
    b.expect_none("nothing of a stranger", |input| {
        is_of(5)(input) || input.body == InputBody::PeerAppeared(id(5))
    });
}
