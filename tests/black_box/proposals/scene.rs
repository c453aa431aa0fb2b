//! A farm of two nodes and one proposal: who is there, what is asked, and what the stand-in knows of it.

use std::collections::BTreeMap;

use clawmesh_authority::transition::{Round, State};
use clawmesh_authority::{
    Capability, ContentHash, Hlc, Level, Maker, MeshId, Mind, NodeKey, Offer, OperatorKey, ProposalId,
    ProposalReport, Step, StoryEntry, Value as Parameter,
};
use clawmesh_core::publish::{ProposalView, Waiting};
use clawmesh_twin::card::{Card, Spread, Verdict};
use serde_json::{Value, json};

use super::stand_in::{StandIn, secret_file};

/// The mesh of both nodes.
pub const MESH: &str = "farm";
/// How long the offer lives.
pub const LIFE_MS: u64 = 900_000;

/// The key of the field node, which owns all actuators.
pub fn owner() -> NodeKey {
    NodeKey::from_secret(&[7; 32])
}

/// The key of the command center, which is asked.
pub fn center() -> NodeKey {
    NodeKey::from_secret(&[8; 32])
}

/// The key of the person who types.
pub fn ann() -> OperatorKey {
    OperatorKey::from_secret(&[1; 32])
}

/// Now, as the machine of the test sees it.
#[expect(clippy::disallowed_methods, reason = "what is new and what is history is told by the wall clock")]
pub fn unix_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    u64::try_from(since.expect("it is after 1970").as_millis()).expect("it is before the end of time")
}

/// The file of Ann's key.
pub fn key_file(stand: &StandIn) -> String {
    let path = stand.folder.path().join("ann.key");
    secret_file(&path, &ann().to_pem().expect("a key has a text"));
    path.to_str().expect("a path in UTF-8").to_owned()
}

/// A card that says so much water goes out.
pub fn card(litres: f64) -> Card {
    let spread = Spread { p05: litres, p50: litres, p95: litres };
    Card {
        verdict: Verdict::Pass,
        reasons: Vec::new(),
        litres: spread,
        otherwise_litres: 0.0,
        energy_wh: spread,
        tanks: BTreeMap::new(),
        zones: BTreeMap::new(),
        bands: BTreeMap::new(),
        first_flow_s: Some(4.0),
        clearance: None,
        collision_odds: 0.0,
        breaches: Vec::new(),
        peak_force_n: 0.0,
        worst_rollout: 0,
        horizon_s: 1_800.0,
        step_s: 10.0,
        rollouts_asked: 33,
        rollouts_reached: 33,
        not_modelled: vec!["people beside what is switched".to_owned()],
        confidence: 0.64,
        seed: [3; 32],
        ghosts: BTreeMap::new(),
    }
}

/// The hash under which an offer knows a card.
pub fn hash_of(card: &Card) -> ContentHash {
    ContentHash(card.hash())
}

/// The steps of the proposal.
pub fn steps() -> Vec<Step> {
    let step = |actuator: &str, operation: &str| Step {
        actuator: Capability::new(actuator).expect("a good capability"),
        operation: operation.to_owned(),
        parameters: BTreeMap::from([("for_s".to_owned(), Parameter::Number(1_200.0))]),
    };
    vec![step("actuator:valve:valve-food-forest", "open"), step("actuator:pump:pump-main-01", "start")]
}

/// An id whose first bytes are these.
pub fn id(first: [u8; 5]) -> ProposalId {
    let mut bytes = [0x77; 32];
    bytes[..5].copy_from_slice(&first);
    ProposalId(bytes)
}

/// The id of [`awaiting`].
pub fn asked_id() -> ProposalId {
    id([0x2b, 0x8a, 0x75, 0xc7, 0xc2])
}

/// The offer for the proposal, about this card.
pub fn offer(card: &Card) -> Offer {
    Offer {
        mesh: MeshId::of_name(MESH),
        owner: owner().id(),
        site: ContentHash([0x51; 32]),
        policy: ContentHash([0x90; 32]),
        proposal: asked_id(),
        card: hash_of(card),
        nonce: [0x4e; 32],
        level: Level::L2,
        steps: steps(),
        expires_after_ms: LIFE_MS,
    }
}

/// A proposal of the command center's planner, which people are asked about, as the command center shows it: a copy.
pub fn awaiting() -> ProposalView {
    let now_ms = unix_ms();
    let entry = |before_ms: u64, state: &str, words: &str| StoryEntry {
        at_ms: now_ms - before_ms,
        state: state.to_owned(),
        words: words.to_owned(),
        code: None,
    };
    let card = card(166.0);
    ProposalView {
        home: owner().id(),
        home_name: Some("field-node".to_owned()),
        is_own: false,
        age_ms: 1_400,
        waiting: Some(Waiting {
            what: "the yes of one person".to_owned(),
            left_ms: Some(240_000),
            home_silent_ms: Some(180_000),
        }),
        report: ProposalReport {
            slot: 3,
            id: asked_id(),
            maker: Maker {
                node: center().id(),
                mind: Mind::Utility { name: "dryness".to_owned() },
                term: None,
            },
            steps: steps(),
            reason: "the food forest is dry".to_owned(),
            made: Hlc { wall_ms: now_ms - 60_000, logical: 0 },
            state: State::AwaitingApproval { round: Round::FIRST },
            story: vec![
                entry(60_000, "draft", "it came"),
                entry(50_000, "awaiting_approval", "people are asked"),
            ],
            card: Some(card.to_bytes()),
            offer: Some(offer(&card)),
            approved_by: Vec::new(),
            blocked: None,
        },
    }
}

/// What `/api/status` answers; `site_hash` is that of the plan it runs with, if it has one.
pub fn status(site_hash: Option<&str>) -> Value {
    let site =
        site_hash.map(|hash| json!({"name": "farm", "site_hash": hash, "policy_hash": null, "modes": []}));
    json!({
        "node": {
            "id": center().id(), "name": "command-center", "role": "command-center", "mesh": MESH,
            "version": "0.1.0", "epoch": 1, "hz": 50,
        },
        "state": "running", "link": {"state": "connecting"}, "stop": null, "site": site,
        "people": [{
            "id": ann().id(), "name": "Ann", "role": "approver", "stands_for": null, "is_revoked": false,
        }],
        "alarms": { "active": 0, "unacknowledged": 0, "shelved": 0, "highest": null },
        "lead": {"activity": "ineligible", "leader": null}, "uptime_ms": 9_000, "tick": 400, "wall_ms": unix_ms(), "snapshot_age_ms": 20,
        "peers": {"known": 1, "alive": 1, "trusted": 1}, "sensors": {"known": 0, "flagged": 0}, "beliefs": 0,
        "journal": {"committed": 9, "failure": null}, "refusals": [], "refused_total": 0, "digest": null,
        "gateway": {"streams": 0, "refused": {}},
        "guests": {"connections": 0, "nodes": 0, "frames": 0, "things": 0, "counts": {}},
    })
}

/// A stand-in for a command center that shows these proposals.
pub fn center_showing(views: &[ProposalView]) -> StandIn {
    let stand = StandIn::new();
    stand.answers("/api/status", 200, status(None));
    stand.answers("/api/proposals", 200, json!({"snapshot_age_ms": 100, "proposals": views}));
    let words = "approved, it is judged again before it moves";
    let taken = json!({"outcome": "taken", "proposal": asked_id(), "words": words});
    stand.answers("/api/approvals", 200, taken.clone());
    stand.answers("/api/requests", 200, taken);
    stand
}
