//! Vectors 10 and 11: what a node can do, and over which ways it is dialled.

use clawmesh_authority::pattern::{CapabilityKind, Health, matches, parts, score};
use clawmesh_authority::route::{Ability, Owner, Reach, Way, owner, rank};
use clawmesh_authority::{NodeId, NodeRole};
use clawmesh_wire::diagnostics::{StartSettings, diagnose, may_start};
use clawmesh_wire::peer_spec::{PeerSpec, PeerUrl, Posture, WayRefused, may_dial, normal_fingerprint};

const ID: &str = "56475aa75463474c0285df5dbf2bcab73da651358839e9b77481b2eab107708c";

#[test]
fn c10_a_capability_is_kind_name_and_the_rest() {
    let relay = parts("actuator:relay:board:3:pin:7");
    assert_eq!(
        (relay.kind, relay.name, relay.sub),
        (CapabilityKind::Actuator, "relay", Some("board:3:pin:7"))
    );
    for (text, kind) in [
        ("channel:clawmesh", CapabilityKind::Channel),
        ("skill:weather", CapabilityKind::Skill),
        ("sensor:soil:zone-1", CapabilityKind::Sensor),
        ("llm:openai/gpt", CapabilityKind::Custom),
    ] {
        assert_eq!(parts(text).kind, kind, "{text}");
    }
    assert_eq!(parts("llm:openai/gpt").name, "llm:openai/gpt");
}

#[test]
fn c10_a_pattern_takes_the_rest_and_an_advertised_star_takes_nothing() {
    for (capability, pattern, expected) in [
        ("actuator:pump:p1", "actuator:pump:p1", true),
        ("actuator:pump:p1", "actuator:*", true),
        ("actuator:pump:p1", "*", true),
        ("actuator:pump:p1", "actuator:pump", false),
        ("actuator:pump", "actuator:pump:p1", false),
        ("actuator:*", "actuator:pump", false),
    ] {
        assert_eq!(matches(capability, pattern), expected, "{capability} {pattern}");
    }
}

#[test]
fn c10_health_and_the_exact_text_make_the_score() {
    let exact = [Health::Healthy, Health::Degraded, Health::Unknown, Health::Unhealthy]
        .map(|health| score("sensor:a", "sensor:a", health));
    assert_eq!(exact, [Some(15), Some(10), Some(8), Some(5)]);
    let by_pattern = [Health::Healthy, Health::Degraded, Health::Unknown, Health::Unhealthy]
        .map(|health| score("sensor:a", "sensor:*", health));
    assert_eq!(by_pattern, [Some(10), Some(5), Some(3), Some(0)]);
}

/// What the node of this number offers.
fn ability(node: u8, capability: &str, health: Health) -> Ability<'_> {
    let (role, reach, way) = (NodeRole::Field, Reach::Alive, Way::default());
    Ability { node: NodeId([node; 32]), role, capability, reach, health, way }
}

#[test]
fn c10_what_is_here_is_asked_first_then_the_best_and_never_a_viewer() {
    let here = Ability { reach: Reach::Own, ..ability(9, "channel:telegram", Health::Unknown) };
    let viewer = Ability { role: NodeRole::Viewer, ..ability(1, "channel:telegram", Health::Healthy) };
    let degraded = ability(2, "channel:telegram", Health::Degraded);
    let healthy = ability(3, "channel:telegram", Health::Healthy);
    let first = |offers: &[Ability<'_>]| {
        rank(offers.iter().copied(), "channel:telegram").first().map(|ranked| ranked.ability.node.0[0])
    };
    assert_eq!(first(&[viewer, degraded, healthy, here]), Some(9));
    assert_eq!(first(&[viewer, degraded, healthy]), Some(3));
    assert_eq!(first(&[viewer]), None);
}

#[test]
fn c10_an_actuator_is_found_by_its_text_or_by_its_first_two_parts() {
    let offers =
        [ability(1, "actuator:mock", Health::Healthy), ability(2, "actuator:pump:p1", Health::Healthy)];
    for (target, found) in [
        ("actuator:mock:valve-1", Owner::Node(NodeId([1; 32]))),
        ("actuator:pump:p1", Owner::Node(NodeId([2; 32]))),
        ("actuator:pump:p2", Owner::Nobody),
    ] {
        assert_eq!(owner(offers, target), found, "{target}");
    }
}

#[test]
fn c11_only_a_pinned_way_leaves_the_site() {
    for label in [None, Some("lan"), Some("local"), Some("mdns"), Some("LAN")] {
        for posture in [Posture::Insecure, Posture::TlsUnpinned, Posture::TlsPinned] {
            assert_eq!(may_dial(label, posture), Ok(()), "{label:?}");
        }
    }
    for label in ["relay", "vpn", "tailscale"] {
        assert_eq!(may_dial(Some(label), Posture::Insecure), Err(WayRefused::Insecure));
        assert_eq!(may_dial(Some(label), Posture::TlsUnpinned), Err(WayRefused::Unpinned));
        assert_eq!(may_dial(Some(label), Posture::TlsPinned), Ok(()));
    }
}

#[test]
fn c11_a_peer_spec_is_read_with_either_separator() {
    for text in [format!("{ID}=http://10.0.0.7:18789"), format!(" {ID} @ ws://10.0.0.7:18789 ")] {
        let spec = PeerSpec::read(&text).unwrap();
        assert_eq!(
            (spec.node.to_string(), spec.url.to_string()),
            (ID.to_owned(), "ws://10.0.0.7:18789".to_owned())
        );
        assert_eq!(spec.posture().as_str(), "insecure");
    }
    let full =
        PeerSpec::read(&format!("{ID}=https://relay.example|sha256:{}|relay", "AB:".repeat(32))).unwrap();
    assert_eq!((full.posture().as_str(), full.label.as_deref()), ("tls-pinned", Some("relay")));
    assert_eq!(PeerSpec::read(&format!("{ID}=wss://h")).unwrap().posture().as_str(), "tls-unpinned");
    for bad in ["", " ", ID, &format!("={ID}"), &format!("{ID}="), &format!("{ID}@")] {
        assert!(PeerSpec::read(bad).is_err(), "{bad}");
    }
    assert_eq!(
        PeerUrl::read("ws://[::1]:18789").unwrap().to_string(),
        "ws://[::1]:18789",
        "with its brackets"
    );
}

#[test]
fn c11_fingerprints_have_one_form() {
    for text in ["sha256:AA:BB:0c", "SHA-256:aa bb 0c", "AABB0C", "aa-bb-0c"] {
        assert_eq!(normal_fingerprint(text), "aabb0c", "{text}");
    }
}

#[test]
fn c11_the_start_says_what_is_wrong_with_port_and_peers() {
    let spec = |node: u8, rest: &str| format!("{}={rest}", NodeId([node; 32]));
    let codes = |port: i64, is_discovering: bool, peers: &[String]| {
        let own_id = Some(NodeId([7; 32]));
        let found = diagnose(&StartSettings { own_id, port, is_discovering, peers, can_do_something: true });
        (found.iter().map(|found| found.code.as_str()).collect::<Vec<_>>(), may_start(&found))
    };
    assert_eq!(codes(18_789, false, &[]), (vec!["NO_STATIC_PEERS", "ISOLATED_NODE"], true));
    assert_eq!(codes(70_000, true, &[]), (vec!["INVALID_PORT", "NO_STATIC_PEERS"], false));
    assert_eq!(codes(80, true, &[]), (vec!["PRIVILEGED_PORT", "NO_STATIC_PEERS"], true));
    assert_eq!(codes(0, true, &[spec(1, "ftp://h")]), (vec!["INVALID_PEER_URL"], false));
    assert_eq!(
        codes(0, true, &[spec(7, "ws://h||lan")]),
        (vec!["SELF_PEER", "STATIC_PEER_TRANSPORTS"], true)
    );
    let relay = ["INSECURE_RELAY_TRANSPORT", "MISSING_TLS_FINGERPRINT", "STATIC_PEER_TRANSPORTS"];
    assert_eq!(codes(0, true, &[spec(1, "ws://h||relay")]), (relay.to_vec(), true));
    let unlabelled = ["UNLABELED_STATIC_PEER_TRANSPORT", "STATIC_PEER_TRANSPORTS"];
    assert_eq!(codes(0, false, &[spec(1, "ws://h")]), (unlabelled.to_vec(), true));
}
