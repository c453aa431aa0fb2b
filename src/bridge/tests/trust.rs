//! Whom a bridge trusts changes while it runs.

use clawmesh_authority::Code;
use clawmesh_core::intake::{InputBody, LinkState};

use crate::support::{Node, Setup, Stranger, frame, id, outgoing, readings, sealed};

/// What node `n` says next on its stream lane.
fn say(node: &Node, sequence: u64) {
    node.commits.commit(sequence);
    node.outbox.offer(outgoing(sequence, sequence, readings())).expect("there is room");
}

#[test]
fn who_is_trusted_later_is_heard_at_once_without_a_new_link() {
    let (mut b, listen) = Node::open(2, Setup::trusting(&[1]));
    let (mut a, _) = Node::open(1, Setup::trusting(&[]).connecting(&listen));
    a.expect_peer(b.id);
    b.expect_peer(a.id);
    say(&b, 1);
    assert_eq!(a.expect_refused(Code::UntrustedPeer).0.from, b.id.to_string());
    a.trust(&[2]);
    let mut sequence = 1;
    // What is said while the news is on its way may still be refused.
    while a.all(|input| crate::support::envelope_of(input, id(2))).is_empty() {
        sequence += 1;
        assert!(sequence < 1_000, "it is never heard");
        say(&b, sequence);
        a.expect_none_of_link("the link stays as it is");
    }
    b.expect_none("the link stays as it is", |input| input.body == InputBody::PeerVanished(id(1)));
    // And what we say reaches it as that of a friend.
    a.commits.commit(1);
    a.outbox.offer(outgoing(1, 0, frame("gate"))).expect("there is room");
    b.expect_envelope(a.id);
}

#[test]
fn who_is_trusted_no_longer_is_refused_and_its_link_ends() {
    let (mut a, listen) = Node::open(1, Setup::trusting(&[2]));
    let (mut b, _) = Node::open(2, Setup::trusting(&[1]).connecting(&listen));
    a.expect_peer(b.id);
    b.expect_peer(a.id);
    say(&b, 1);
    a.expect_envelope(b.id);
    a.trust(&[]);
    a.expect("the end of the session", |input| {
        (input.body == InputBody::LinkChanged(LinkState::Connecting)).then_some(())
    });
    let anew = a.expect("a new session", |input| match &input.body {
        InputBody::LinkChanged(LinkState::Open { listen }) => Some(listen.clone()),
        _ => None,
    });
    // It listens on a free port, so it is another one, and whoever knew the old one is not linked any more.
    assert_ne!(anew, [listen]);
    b.expect_no_peer(a.id);
    a.expect_no_peer(b.id);
    // Nothing keeps a stranger from a link of its own; what it says there is refused.
    let stranger = Stranger::connecting(&anew[0]);
    stranger.say_as(2, sealed(2, 2, readings()));
    assert_eq!(a.expect_refused(Code::UntrustedPeer).0.from, b.id.to_string());
    a.trust(&[2]);
    a.expect_none_of_link("to trust somebody ends no link");
}
