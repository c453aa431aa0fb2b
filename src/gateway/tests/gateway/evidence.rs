//! Evidence and proposals, read.

use axum::http::StatusCode;
use clawmesh_authority::transition::State;
use clawmesh_authority::{Capability, Hlc, Maker, NodeId, OperatorId, ProposalId, ProposalReport};
use clawmesh_core::publish::{ProposalView, Snapshot};
use clawmesh_gateway::{Evidence, Proposals, SENSORS_MAX, SignedReading};

use crate::rig::{NOW_MS, rig, snapshot};

const SOIL: &str = "sensor:soil-moisture:zone-1";
const TANK: &str = "sensor:level:tank-1";

fn held(n: u8, sensor: &str, bytes: &[u8]) -> (NodeId, Capability, Vec<u8>) {
    (NodeId([n; 32]), Capability::new(sensor).unwrap(), bytes.to_vec())
}

fn shown(n: u8, sensor: &str, envelope: &str) -> SignedReading {
    SignedReading { node: NodeId([n; 32]), sensor: sensor.to_owned(), envelope: envelope.to_owned() }
}

#[tokio::test]
async fn evidence_is_the_newest_envelope_of_each_node_for_each_sensor_asked() {
    let rig = rig();
    *rig.mesh.shelf.lock().unwrap() =
        vec![held(1, TANK, &[0x00, 0x0f]), held(2, TANK, &[0xff]), held(2, SOIL, &[0xa5])];
    let (status, evidence) = rig.get::<Evidence>(&format!("/api/evidence?sensor={TANK}")).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(evidence.envelopes, [shown(1, TANK, "000f"), shown(2, TANK, "ff")]);
    let both = format!("/api/evidence?sensor={}&sensor={TANK}", SOIL.replace(':', "%3A"));
    let (_, evidence) = rig.get::<Evidence>(&both).await;
    assert_eq!(evidence.envelopes, [shown(2, SOIL, "a5"), shown(1, TANK, "000f"), shown(2, TANK, "ff")]);
    let (_, evidence) = rig.get::<Evidence>("/api/evidence?sensor=sensor:of:nobody").await;
    assert_eq!(evidence.envelopes, []);
}

#[tokio::test]
async fn a_question_for_evidence_that_makes_no_sense_names_what_is_wrong() {
    let many = vec![format!("sensor={TANK}"); SENSORS_MAX + 1].join("&");
    for (query, word) in [
        ("", "1 to 16 times"),
        (&*many, "17 entries"),
        ("sensor=tank", "kind:name"),
        ("colour=red", "\"colour\""),
    ] {
        let (status, refusal) = rig().refused(&format!("/api/evidence?{query}")).await;
        assert_eq!((status, &*refusal.code), (StatusCode::BAD_REQUEST, "INVALID_PARAMS"), "{query}");
        assert!(refusal.sentence.contains(word), "{query}: {}", refusal.sentence);
    }
    let most = vec![format!("sensor={TANK}"); SENSORS_MAX].join("&");
    assert_eq!(rig().get::<Evidence>(&format!("/api/evidence?{most}")).await.0, StatusCode::OK);
}

#[tokio::test]
async fn more_evidence_than_an_answer_holds_is_refused_and_as_much_as_it_holds_is_not() {
    for (count, status) in [(16, StatusCode::OK), (17, StatusCode::BAD_REQUEST)] {
        let rig = rig();
        *rig.mesh.shelf.lock().unwrap() = (0..count).map(|n| held(n, TANK, &[n])).collect();
        let sixteen = vec![format!("sensor={TANK}"); 16].join("&");
        let (said, answer) = rig.get::<serde_json::Value>(&format!("/api/evidence?{sixteen}")).await;
        assert_eq!(said, status, "{answer}");
    }
}

fn proposal() -> ProposalView {
    let person = OperatorId([6; 32]);
    ProposalView {
        home: NodeId([2; 32]),
        home_name: Some("pump".to_owned()),
        is_own: false,
        age_ms: 700,
        waiting: None,
        report: ProposalReport {
            slot: 3,
            id: ProposalId([4; 32]),
            maker: Maker::person(NodeId([2; 32]), person),
            steps: Vec::new(),
            reason: "the soil is dry".to_owned(),
            made: Hlc { wall_ms: NOW_MS, logical: 1 },
            state: State::Draft,
            story: Vec::new(),
            card: Some(vec![0xca, 0x7d]),
            offer: None,
            approved_by: vec![person],
            blocked: None,
        },
    }
}

#[tokio::test(start_paused = true)]
async fn proposals_come_with_the_age_of_the_snapshot_and_their_cards_in_hexadecimal() {
    let rig = rig();
    let (status, refusal) = rig.refused("/api/proposals").await;
    assert_eq!((status, &*refusal.code), (StatusCode::SERVICE_UNAVAILABLE, "STARTING"));
    rig.show(Snapshot { proposals: vec![proposal()], ..snapshot() });
    tokio::time::advance(std::time::Duration::from_millis(30)).await;
    let (status, proposals) = rig.get::<Proposals>("/api/proposals").await;
    assert_eq!((status, proposals.snapshot_age_ms), (StatusCode::OK, 30));
    assert_eq!(proposals.proposals, [proposal()]);
    let (_, json) = rig.get::<serde_json::Value>("/api/proposals").await;
    assert_eq!(json["proposals"][0]["card"], "ca7d");
}
