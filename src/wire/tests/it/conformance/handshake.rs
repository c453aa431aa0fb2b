//! Vectors 2 and 3: challenges, and the order in which a handshake is refused.

use std::time::Duration;

use clawmesh_authority::{NodeId, NodeKey};
use clawmesh_wire::auth::{SignedText, key_text};
use clawmesh_wire::challenge::Challenge;
use clawmesh_wire::connect::{About, ConnectAnswer};
use clawmesh_wire::frame::{Frame, encode_refusal, encode_request, encode_response, parse};
use clawmesh_wire::handshake::{Admitted, Dialler, Listener, Moment, Ourselves, PeerTrust};
use clawmesh_wire::{Code, Refusal};
use serde_json::{Value, json};

use super::{NOW_MS, raw};

const NOW: Moment = Moment { unix_ms: NOW_MS, elapsed: Duration::from_secs(100) };

fn after(seconds: u64) -> Duration {
    NOW.elapsed + Duration::from_secs(seconds)
}

fn key(secret: u8) -> NodeKey {
    NodeKey::from_secret(&[secret; 32])
}

/// Nodes 1 and 2 know each other; of node 3 the key of node 4 is pinned.
fn book(node: NodeId) -> PeerTrust {
    match node {
        _ if node == key(1).id() || node == key(2).id() => PeerTrust::Trusted,
        _ if node == key(3).id() => PeerTrust::Pinned(key(4).public()),
        _ => PeerTrust::Unknown,
    }
}

fn mesh(name: &str) -> About {
    About { mesh_id: Some(name.to_owned()), ..About::default() }
}

/// What the node with the key of `secret` says to a listener that gave `nonce`.
fn params(secret: u8, nonce: &str) -> Value {
    let id = key(secret).id().to_string();
    let text = SignedText { device_id: &id, signed_at_ms: NOW_MS, nonce, mesh_id: Some("m"), role: None };
    json!({
        "version": 2, "deviceId": id, "publicKey": key_text(&key(secret).public()),
        "signature": text.sign(&key(secret)), "signedAtMs": NOW_MS, "nonce": nonce, "clientNonce": "client-nonce",
        "meshId": "m",
    })
}

fn connect(listener: &mut Listener, params: &Value) -> Result<(Admitted, ConnectAnswer), Refusal> {
    let ours = Ourselves { key: &key(2), about: &mesh("m") };
    listener.connect(Some(&raw(params)), ours, &book, NOW)
}

/// The code with which the node with the key of `secret` is refused, after `change`.
fn refused(secret: u8, change: impl FnOnce(&mut Value)) -> Option<Code> {
    let mut listener = Listener::default();
    let nonce = listener.challenge(&[7; 24], NOW).nonce;
    let mut params = params(secret, &nonce);
    change(&mut params);
    connect(&mut listener, &params).err().map(|refusal| refusal.code)
}

#[test]
fn c02_a_challenge_is_for_one_use_on_one_connection_within_a_minute() {
    let (mut ours, mut other) = (Challenge::default(), Challenge::default());
    let nonce = ours.issue(&[1; 24], NOW.elapsed);
    assert!(other.consume(&nonce, NOW.elapsed).is_err(), "on another connection");
    assert!(ours.consume(&nonce, NOW.elapsed).is_ok());
    assert!(ours.consume(&nonce, NOW.elapsed).is_err(), "a second time");
    let nonce = ours.issue(&[1; 24], NOW.elapsed);
    assert!(ours.consume(&nonce, after(61)).is_err(), "too late");
    let (old, new) = (ours.issue(&[1; 24], NOW.elapsed), ours.issue(&[2; 24], NOW.elapsed));
    assert!(ours.consume(&old, NOW.elapsed).is_err(), "after a new one was given");
    assert!(ours.consume(&new, NOW.elapsed).is_ok());
}

#[test]
fn c02_what_was_sent_once_connects_nobody_again() {
    let mut listener = Listener::default();
    let nonce = listener.challenge(&[7; 24], NOW).nonce;
    let params = params(1, &nonce);
    assert!(connect(&mut listener, &params).is_ok());
    let mut other = Listener::default();
    assert_eq!(connect(&mut other, &params).unwrap_err().code, Code::AuthNonceInvalid);
    other.challenge(&[8; 24], NOW);
    assert_eq!(connect(&mut other, &params).unwrap_err().code, Code::AuthNonceInvalid);
}

#[test]
fn c03_handshake_errors_come_in_order() {
    type Change = fn(&mut Value);
    // Each change breaks one thing and leaves broken what the ones before it broke.
    let steps: [(Change, Code); 8] = [
        (|p| p["meshId"] = json!("other"), Code::AuthFailed),
        (|p| p["signature"] = json!("AAAA"), Code::AuthFailed),
        (|p| p["publicKey"] = json!(key_text(&key(5).public())), Code::PublicKeyMismatch),
        (|p| p["deviceId"] = json!("device-abc"), Code::UntrustedPeer),
        (|p| p["nonce"] = json!("of my own choice"), Code::AuthNonceInvalid),
        (|p| p["nonce"] = Value::Null, Code::AuthNonceRequired),
        (|p| p["clientNonce"] = Value::Null, Code::InvalidParams),
        (|p| p["deviceId"] = Value::Null, Code::InvalidParams),
    ];
    for (count, (_, code)) in steps.iter().enumerate() {
        let broken = |params: &mut Value| steps[..=count].iter().for_each(|(change, _)| change(params));
        assert_eq!(refused(1, broken), Some(*code), "after {} changes", count + 1);
    }
    assert_eq!(refused(1, |_| {}), None);
}

#[test]
fn c03_each_refusal_has_its_code() {
    for name in ["deviceId", "publicKey", "signature", "signedAtMs", "clientNonce"] {
        assert_eq!(refused(1, |p| p[name] = Value::Null), Some(Code::InvalidParams), "{name}");
    }
    assert_eq!(refused(5, |_| {}), Some(Code::UntrustedPeer));
    assert_eq!(refused(3, |_| {}), Some(Code::PublicKeyMismatch), "the pinned key is another one");
    assert_eq!(refused(1, |p| p["signedAtMs"] = json!(NOW_MS - 360_000)), Some(Code::AuthFailed));
    assert_eq!(refused(1, |p| p["role"] = json!("planner")), Some(Code::AuthFailed), "the role is signed");
    let mut listener = Listener::default();
    let nonce = listener.challenge(&[7; 24], NOW).nonce;
    let ours = Ourselves { key: &key(2), about: &mesh("another mesh") };
    let result = listener.connect(Some(&raw(&params(1, &nonce))), ours, &book, NOW);
    assert_eq!(result.unwrap_err().code, Code::MeshIdMismatch);
}

#[test]
fn c03_an_id_with_the_key_of_somebody_else_is_nobody() {
    // Node 5 says that it is node 1, of which no key is pinned, and signs all of it well.
    let mut listener = Listener::default();
    let nonce = listener.challenge(&[7; 24], NOW).nonce;
    let id = key(1).id().to_string();
    let text = SignedText { device_id: &id, signed_at_ms: NOW_MS, nonce: &nonce, mesh_id: None, role: None };
    let posing = json!({
        "deviceId": id, "publicKey": key_text(&key(5).public()), "signature": text.sign(&key(5)),
        "signedAtMs": NOW_MS, "nonce": nonce, "clientNonce": "c",
    });
    assert_eq!(connect(&mut listener, &posing).unwrap_err().code, Code::PublicKeyMismatch);
    assert_eq!(listener.admitted(), None);
}

#[test]
fn c03_a_whole_handshake_goes_over_frames_alone() {
    let (mut listener, mut dialler) = (Listener::default(), Dialler::new(key(2).id(), &book).unwrap());
    let (dialling, listening) = (key(1), key(2));
    let about = mesh("m");
    let ours = Ourselves { key: &dialling, about: &about };
    let challenge = encode_response("1", &listener.challenge(&[7; 24], NOW)).unwrap();
    let Ok(Frame::Response(response)) = parse(challenge.as_bytes()) else { panic!("{challenge}") };
    let params = dialler.challenged(&response.outcome, ours, &[9; 16], NOW).unwrap();
    let request = encode_request("2", "mesh.connect", &params).unwrap();
    let Ok(Frame::Request(request)) = parse(request.as_bytes()) else { panic!("{request}") };
    let theirs = Ourselves { key: &listening, about: &about };
    let (admitted, answer) = listener.connect(request.params, theirs, &book, NOW).unwrap();
    assert_eq!(answer.nonce, params.client_nonce, "the number of the dialler comes back");
    let answer = encode_response(&request.id, &answer).unwrap();
    let Ok(Frame::Response(response)) = parse(answer.as_bytes()) else { panic!("{answer}") };
    let peer = dialler.answered(&response.outcome, ours, &book, NOW).unwrap();
    assert_eq!((admitted.node, peer.node), (key(1).id(), key(2).id()));
}

#[test]
fn c03_a_refused_dialler_closes_with_1008_and_the_reason() {
    let mut dialler = Dialler::new(key(2).id(), &book).unwrap();
    let about = About::default();
    let ours = Ourselves { key: &key(1), about: &about };
    let refusal = encode_refusal("1", &Refusal::new(Code::RateLimited, "later"));
    let Ok(Frame::Response(response)) = parse(refusal.as_bytes()) else { panic!("{refusal}") };
    let close = dialler.challenged(&response.outcome, ours, &[9; 16], NOW).unwrap_err();
    assert_eq!(
        (clawmesh_wire::handshake::CLOSE_CODE, close.reason.as_str()),
        (1008, "mesh.challenge failed")
    );
}
