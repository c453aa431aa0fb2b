//! Whom we dial, when, and when not.

use std::time::Duration;

use clawmesh_wire::Code;
use clawmesh_wire::peer_spec::PeerSpec;
use clawmesh_wire_link::{CallFault, Config, Count, Host as _, PeerState};
use tokio::net::TcpListener;

use crate::support::{Bare, Node, PATIENCE, config, key, keys_by_id};

/// Looks until the one node that is dialled stands as wanted.
async fn state_of(node: &Node, wanted: impl Fn(&PeerState) -> bool) -> PeerState {
    let found = async {
        loop {
            let state = node.links.peers().remove(0).state;
            if wanted(&state) {
                return state;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, found).await.expect("it comes to stand like this")
}

#[tokio::test]
async fn a_dialler_comes_back_after_the_server_has_restarted_on_the_same_port() {
    let (a, b) = (key(1), key(2));
    let mut dialler = Node::open(&a, &[&b]).await;
    let mut server = Node::open(&b, &[&a]).await;
    let address = server.address;
    dialler.links.dial(server.spec());
    dialler.joined().await;
    server.joined().await;
    server.links.close().await;
    dialler.left().await;
    drop(server);
    let state = state_of(&dialler, |state| matches!(state, PeerState::Waiting { .. })).await;
    assert!(matches!(&state, PeerState::Waiting { sentence, .. } if !sentence.is_empty()), "{state:?}");
    let listener = TcpListener::bind(address).await.unwrap();
    let mut again = Node::open_at(&b, &[&a], config(), listener, None);
    assert_eq!(again.joined().await.node, a.id());
    assert_eq!(dialler.joined().await.node, b.id());
    assert!(again.health_of(a.id()).await);
}

#[tokio::test]
async fn a_node_that_must_answer_our_calls_is_dialled_and_no_link_of_its_own_displaces_ours() {
    for (guardian, guest) in [(key(1), key(2)), (key(2), key(1))] {
        let config = Config { dialled_only: [guest.id()].into(), ..config() };
        let mut ours = Node::open_with(&guardian, &[&guest], config).await;
        let theirs = Node::open(&guest, &[&guardian]).await;
        theirs.links.dial(ours.spec());
        let refused = |state: &PeerState| match state {
            PeerState::Waiting { sentence, .. } | PeerState::Refused { sentence, .. } => {
                sentence.contains("has its guardian here")
            }
            PeerState::Connecting | PeerState::Connected => false,
        };
        state_of(&theirs, refused).await;
        assert!(!ours.links.is_reached(guest.id()) && ours.links.sessions().is_empty());
        assert!(ours.links.discovered(theirs.spec()), "whichever id is higher");
        assert!(ours.joined().await.is_outbound);
        theirs.links.poke(guardian.id());
        assert!(ours.health_of(guest.id()).await && ours.links.is_reached(guest.id()));
        let begun = ours.links.begin(guest.id(), "mesh.health", &serde_json::json!({})).unwrap();
        assert!(begun.answer(PATIENCE).await.is_ok());
        assert_eq!(ours.count(Count::Superseded), 0);
    }
}

#[tokio::test]
async fn what_has_to_be_answered_is_asked_on_links_that_we_have_opened_only() {
    let mut ours = Node::open(&key(1), &[&key(2)]).await;
    let mut theirs = Node::open(&key(2), &[&key(1)]).await;
    theirs.links.dial(ours.spec());
    assert!(!ours.joined().await.is_outbound);
    theirs.joined().await;
    let fault = ours.links.begin(theirs.id, "mesh.health", &serde_json::json!({})).unwrap_err();
    assert!(matches!(&fault, CallFault::Ours(refusal) if refusal.code == Code::NotConnected), "{fault}");
    assert!(
        !ours.links.is_reached(theirs.id) && ours.health_of(theirs.id).await,
        "others are asked all the same"
    );
}

#[tokio::test]
async fn how_much_news_a_node_was_told_counts_also_after_it_has_come_back() {
    let (a, b) = (key(1), key(2));
    // One at once, and the next a minute later.
    let config_of_one = Config { news_per_minute_max: 2, ..config() };
    let mut dialler = Node::open_with(&a, &[&b], config_of_one).await;
    let server = Node::open(&b, &[&a]).await;
    let address = server.address;
    dialler.links.dial(server.spec());
    dialler.joined().await;
    let tell = |dialler: &Node| dialler.links.tell_all("news", &serde_json::json!({}));
    while tell(&dialler) > 0 {}
    server.links.close().await;
    dialler.left().await;
    drop(server);
    let listener = TcpListener::bind(address).await.unwrap();
    let _again = Node::open_at(&b, &[&a], config(), listener, None);
    assert_eq!(dialler.joined().await.node, b.id());
    assert_eq!(tell(&dialler), 0, "a link of its own is no budget of its own");
}

#[tokio::test]
async fn a_node_that_refuses_us_is_left_alone_until_somebody_pokes() {
    let (a, b) = (key(1), key(2));
    let mut dialler = Node::open(&a, &[&b]).await;
    let mut server = Node::open(&b, &[]).await;
    dialler.links.dial(server.spec());
    let state = state_of(&dialler, |state| matches!(state, PeerState::Refused { .. })).await;
    let PeerState::Refused { until_ms: Some(until_ms), sentence } = state else { panic!("{state:?}") };
    assert!(sentence.contains("UNTRUSTED_PEER"), "{sentence}");
    assert!(until_ms > crate::support::NOW_MS + 2_000, "it waits longer than for a node that is not there");
    server.trust(a.id());
    dialler.links.poke(b.id());
    assert_eq!(dialler.joined().await.node, b.id());
    server.joined().await;
}

#[tokio::test]
async fn a_way_that_leaves_the_site_in_clear_and_a_node_that_is_not_trusted_are_not_dialled() {
    let server = Node::open(&key(2), &[&key(1)]).await;
    let dialler = Node::open(&key(1), &[&key(2)]).await;
    let spec = PeerSpec::read(&format!("{}=ws://{}||relay", server.id, server.address)).unwrap();
    dialler.links.dial(spec);
    let state = state_of(&dialler, |state| matches!(state, PeerState::Refused { .. })).await;
    assert!(
        matches!(state, PeerState::Refused { until_ms: None, ref sentence } if sentence.contains("insecure"))
    );
    let alone = Node::open(&key(1), &[]).await;
    alone.links.dial(server.spec());
    let state = state_of(&alone, |state| matches!(state, PeerState::Refused { .. })).await;
    assert!(matches!(state, PeerState::Refused { ref sentence, .. } if sentence.contains("trust it first")));
    assert_eq!(server.count(Count::ConnectionsBegun), 0);
}

#[tokio::test]
async fn of_two_discovered_nodes_the_lower_id_dials_and_a_new_address_is_followed() {
    let keys = keys_by_id(2);
    let mut lower = Node::open(&keys[0], &[&keys[1]]).await;
    let mut higher = Node::open(&keys[1], &[&keys[0]]).await;
    assert!(!higher.links.discovered(lower.spec()), "the higher id does not dial");
    let nowhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let old = PeerSpec::read(&format!("{}=ws://{}", higher.id, nowhere.local_addr().unwrap())).unwrap();
    drop(nowhere);
    assert!(lower.links.discovered(old));
    state_of(&lower, |state| matches!(state, PeerState::Waiting { .. })).await;
    assert!(lower.links.discovered(higher.spec()));
    assert!(lower.joined().await.is_outbound);
    assert!(!higher.joined().await.is_outbound);
    assert_eq!(lower.links.peers().len(), 1);
}

#[tokio::test]
async fn a_fresh_address_lifts_the_long_wait_that_the_old_one_had_come_to() {
    let keys = keys_by_id(2);
    let mut settings = config();
    settings.timing.redial_first = Duration::from_millis(300);
    settings.timing.redial_longest = Duration::from_secs(600);
    let dialler = Node::open_with(&keys[0], &[&keys[1]], settings).await;
    let nowhere = async || {
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        PeerSpec::read(&format!("{}=ws://{port}", keys[1].id())).unwrap()
    };
    let until = |state: &PeerState| match state {
        PeerState::Waiting { until_ms, .. } => Some(*until_ms),
        _ => None,
    };
    assert!(dialler.links.discovered(nowhere().await));
    let long = |state: &PeerState| {
        until(state).is_some_and(|until_ms| until_ms > dialler.host.now().unix_ms + 1_500)
    };
    let long = until(&state_of(&dialler, long).await);
    assert!(dialler.links.discovered(nowhere().await));
    let fresh = state_of(&dialler, |state| until(state).is_some() && until(state) != long).await;
    assert!(until(&fresh) < long, "{fresh:?} after {long:?}");
}

#[tokio::test]
async fn a_dialler_stands_down_while_the_node_with_the_lower_id_is_connected_to_us() {
    let keys = keys_by_id(2);
    let mut higher = Node::open(&keys[1], &[&keys[0]]).await;
    let mut lower = Node::open(&keys[0], &[&keys[1]]).await;
    let mut inbound = Bare::open_as(&keys[0], higher.address).await;
    higher.joined().await;
    higher.links.dial(lower.spec());
    state_of(&higher, |state| *state == PeerState::Connected).await;
    // Long enough for a dial that should not be.
    for _ in 0..100 {
        assert_eq!(inbound.code("mesh.health").await, "OK");
    }
    assert_eq!(lower.count(Count::ConnectionsBegun), 0, "nothing was dialled");
    drop(inbound);
    higher.left().await;
    assert!(higher.joined().await.is_outbound, "it dials when the other one is gone");
    lower.joined().await;
}

#[tokio::test]
async fn two_nodes_that_dial_each_other_end_with_one_link() {
    let (a, b) = (key(1), key(2));
    let one = Node::open(&a, &[&b]).await;
    let two = Node::open(&b, &[&a]).await;
    one.links.dial(two.spec());
    two.links.dial(one.spec());
    let calm = async {
        loop {
            let both = one.health_of(b.id()).await && two.health_of(a.id()).await;
            if both && one.links.connections() == 1 && two.links.connections() == 1 {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, calm).await.expect("they come to rest");
    assert_eq!((one.links.sessions().len(), two.links.sessions().len()), (1, 1));
}

#[tokio::test]
async fn a_discovered_node_that_is_lost_is_dialled_no_more_and_one_that_was_configured_is() {
    let keys = keys_by_id(2);
    let dialler = Node::open(&keys[0], &[&keys[1]]).await;
    // Nobody listens there any more.
    let nowhere = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let node = keys[1].id();
    let spec = PeerSpec::read(&format!("{node}=ws://{nowhere}||mdns")).unwrap();
    assert!(dialler.links.discovered(spec.clone()) && dialler.links.peers().len() == 1);
    dialler.links.lost(node);
    assert!(dialler.links.peers().is_empty());
    assert!(dialler.links.dial(spec));
    dialler.links.lost(node);
    assert_eq!(dialler.links.peers().len(), 1);
    assert!(dialler.links.trusts(node) && !dialler.links.trusts(key(9).id()));
}
