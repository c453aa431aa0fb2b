//! `wss://`: the pinned certificate and no other.

use clawmesh_wire::peer_spec::PeerSpec;
use clawmesh_wire_link::{Count, PeerState, server_config};
use rcgen::CertifiedKey;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;

use crate::support::{Node, PATIENCE, config, key};

/// A server over TLS, and the fingerprint of its certificate.
async fn server() -> (Node, String) {
    server_until(9999).await
}

/// One whose certificate ended, or ends, with this year.
async fn server_until(year: i32) -> (Node, String) {
    let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(year, 12, 31);
    let signing_key = rcgen::KeyPair::generate().unwrap();
    let made = CertifiedKey { cert: params.self_signed(&signing_key).unwrap(), signing_key };
    let fingerprint = Sha256::digest(made.cert.der()).iter().map(|byte| format!("{byte:02X}:")).collect();
    let tls = server_config(&made.cert.pem(), &made.signing_key.serialize_pem()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (Node::open_at(&key(2), &[&key(1)], config(), listener, Some(tls)), fingerprint)
}

/// Waits until the first peer has refused, or was refused.
async fn refusal_of(dialler: &Node) -> String {
    let refused = async {
        loop {
            if let PeerState::Refused { sentence, .. } = dialler.links.peers().remove(0).state {
                return sentence;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, refused).await.expect("it is refused")
}

fn spec(server: &Node, rest: &str) -> PeerSpec {
    PeerSpec::read(&format!("{}=wss://{}{rest}", server.id, server.address)).unwrap()
}

#[tokio::test]
async fn the_right_pin_connects_also_over_a_way_that_leaves_the_site() {
    let (mut server, fingerprint) = server().await;
    let mut dialler = Node::open(&key(1), &[&key(2)]).await;
    dialler.links.dial(spec(&server, &format!("|sha256:{fingerprint}|relay")));
    let session = dialler.joined().await;
    assert_eq!(session.transport_label.as_deref(), Some("relay"));
    server.joined().await;
    assert!(dialler.health_of(server.id).await && server.health_of(dialler.id).await);
}

#[tokio::test]
async fn a_wrong_pin_refuses_before_a_single_message_is_sent() {
    let (server, _) = server().await;
    let dialler = Node::open(&key(1), &[&key(2)]).await;
    dialler.links.dial(spec(&server, &format!("|{}", "ab".repeat(32))));
    let sentence = refusal_of(&dialler).await;
    assert!(sentence.contains("another certificate than the pinned one"), "{sentence}");
    assert!(dialler.links.sessions().is_empty());
    assert_eq!(server.count(Count::ConnectionsBegun), 0);
}

#[tokio::test]
async fn an_expired_certificate_is_refused_without_a_pin_and_is_the_one_certificate_with_it() {
    let (server, fingerprint) = server_until(2020).await;
    let mut dialler = Node::open(&key(1), &[&key(2)]).await;
    dialler.links.dial(spec(&server, "||lan"));
    let sentence = refusal_of(&dialler).await;
    assert!(sentence.contains("has expired") && sentence.contains("pin it here"), "{sentence}");
    assert_eq!(server.count(Count::ConnectionsBegun), 0);
    dialler.links.dial(spec(&server, &format!("|{fingerprint}|lan")));
    assert_eq!(dialler.joined().await.node, key(2).id());
}

#[tokio::test]
async fn without_a_pin_any_certificate_is_taken_within_the_site_and_none_beyond_it() {
    let (mut server, _) = server().await;
    let mut dialler = Node::open(&key(1), &[&key(2)]).await;
    dialler.links.dial(spec(&server, "||relay"));
    let state = dialler.links.peers().remove(0).state;
    assert!(matches!(state, PeerState::Connecting | PeerState::Refused { .. }), "{state:?}");
    assert_eq!(server.count(Count::ConnectionsBegun), 0);
    dialler.links.dial(spec(&server, "||lan"));
    assert_eq!(dialler.joined().await.node, key(2).id());
    server.joined().await;
}
