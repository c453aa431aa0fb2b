//! Vectors 4 and 9: what may move something, and that an inference stays one on its way.

use clawmesh_authority::{NodeId, NodeRole, Tier};
use clawmesh_wire::context::ContextFrame;
use clawmesh_wire::gate::{Allowed, Rights, authorize, judge};
use clawmesh_wire::gossip::{Gossip, Heard};
use clawmesh_wire::mock::MockActuator;
use clawmesh_wire::{Code, Refusal};
use serde_json::{Value, json};

use super::{NOW_MS, raw};

const T0: &str = "T0_planning_inference";
const T1: &str = "T1_unverified_observation";
const T2: &str = "T2_operational_observation";
const T3: &str = "T3_verified_action_evidence";

fn own() -> NodeId {
    NodeId([7; 32])
}

fn forwarded(params: &Value, rights: Rights) -> Result<Allowed, Refusal> {
    judge(Some(&raw(params)), own(), NOW_MS).and_then(|allowed| authorize(allowed, rights))
}

/// The code with which a stranger is refused; strangers get no further than the rows.
fn code(params: &Value) -> Code {
    forwarded(params, Rights::STRANGER).unwrap_err().code
}

fn to_valve(trust: Value) -> Value {
    json!({"channel": "clawmesh", "to": "actuator:mock:valve-1", "originGatewayId": "canary", "trust": trust})
}

fn actuation(sources: &[&str], tier: &str, minimum: &str, verification: &str) -> Value {
    json!({
        "action_type": "actuation", "evidence_sources": sources, "evidence_trust_tier": tier,
        "minimum_trust_tier": minimum, "verification_required": verification,
    })
}

/// What existing nodes send when a person asks for it at the command line.
fn asked_by_a_person(command_id: &str) -> Value {
    let mut trust = actuation(&["sensor", "human"], T3, T2, "human");
    (trust["verification_satisfied"], trust["approved_by"]) = (json!(true), json!(["operator:local-cli"]));
    json!({
        "channel": "clawmesh", "to": "actuator:mock:valve-1", "originGatewayId": "x", "trust": trust,
        "command": {
            "version": 1, "kind": "clawmesh.command", "commandId": command_id, "createdAtMs": NOW_MS,
            "target": {"kind": "capability", "ref": "actuator:mock:valve-1"},
            "operation": {"name": "open", "params": {"durationSec": 5}}, "trust": trust,
        },
    })
}

#[test]
fn c04_the_trust_table_is_that_of_the_protocol() {
    let trust =
        |sources, tier, minimum, verification| to_valve(actuation(sources, tier, minimum, verification));
    assert_eq!(code(&trust(&["llm"], T3, T2, "none")), Code::LlmOnlyActuationBlocked);
    assert_eq!(code(&trust(&["sensor"], T1, T2, "none")), Code::InsufficientTrustTier);
    assert_eq!(code(&trust(&["sensor", "human"], T3, T2, "human")), Code::VerificationRequired);
    assert_eq!(code(&trust(&["sensor"], "quantum_entangled", T2, "none")), Code::InvalidTrustPolicy);
    assert_eq!(code(&to_valve(json!({"action_type": "actuation"}))), Code::TrustMetadataRequired);
    assert_eq!(code(&to_valve(Value::Null)), Code::ActuationDeclarationRequired);
    let peer = Rights::of_peer(NodeRole::Field);
    assert!(forwarded(&trust(&["sensor"], T2, T2, "none"), peer).is_ok());
    let mut confirmed = actuation(&["sensor", "device"], T3, T2, "device_or_human");
    confirmed["verification_satisfied"] = json!(true);
    assert!(forwarded(&to_valve(confirmed), peer).is_ok());
    let message = json!({"channel": "clawmesh", "to": "agent:x", "originGatewayId": "x"});
    assert!(matches!(forwarded(&message, peer), Ok(Allowed::Message(_))));
}

#[test]
fn c04_the_first_rows_refuse_what_is_no_message_for_us() {
    for name in ["channel", "to", "originGatewayId"] {
        let mut params = asked_by_a_person("c");
        params[name] = Value::Null;
        assert_eq!(code(&params), Code::InvalidParams, "{name}");
    }
    let mut params = asked_by_a_person("c");
    params["originGatewayId"] = json!(own().to_string());
    assert_eq!(code(&params), Code::LoopDetected);
    let mut params = asked_by_a_person("c");
    params["command"]["version"] = json!(2);
    assert_eq!(code(&params), Code::InvalidCommandEnvelope);
    let mut params = asked_by_a_person("c");
    params["trust"]["evidence_trust_tier"] = json!(T2);
    assert_eq!(code(&params), Code::TrustEnvelopeMismatch);
}

#[test]
fn c04_shots_a_and_b_of_the_canary_are_refused_by_name_for_a_stranger_too() {
    let mut words = actuation(&["sensor"], T3, T2, "none");
    words["action_type"] = json!("communication");
    assert_eq!(code(&to_valve(words)), Code::ActuationDeclarationRequired, "shot A");
    assert_eq!(code(&to_valve(actuation(&["llm"], T3, T2, "none"))), Code::LlmOnlyActuationBlocked, "shot B");
    assert_eq!(code(&asked_by_a_person("c")), Code::NotAuthorized, "shot D");
}

#[test]
fn c04_shot_c_of_the_canary_opens_the_mock_valve_once() {
    let mut mock = MockActuator::default();
    let peer = Rights::of_peer(NodeRole::Node);
    let Ok(Allowed::Actuation(forward)) = forwarded(&asked_by_a_person("c-1"), peer) else { panic!() };
    assert_eq!(mock.execute(&forward, NOW_MS).unwrap().status, "active");
    assert_eq!(mock.execute(&forward, NOW_MS).unwrap_err().code, Code::Duplicate);
}

#[test]
fn c04_the_holes_of_the_table_are_closed() {
    let trust =
        |sources, tier, minimum, verification| to_valve(actuation(sources, tier, minimum, verification));
    assert_eq!(code(&trust(&[], T3, T2, "none")), Code::LlmOnlyActuationBlocked, "no evidence");
    assert_eq!(
        code(&trust(&["sensor"], T0, T0, "none")),
        Code::InsufficientTrustTier,
        "a minimum of the sender"
    );
    let mut nobody = actuation(&["human"], T3, T2, "human");
    nobody["verification_satisfied"] = json!(true);
    assert_eq!(code(&to_valve(nobody)), Code::VerificationRequired, "approved by nobody");
    for to in ["ACTUATOR:mock:valve-1", "  actuator:mock:valve-1", "\u{200b}Actuator:x"] {
        let mut params = to_valve(json!({"action_type": "communication"}));
        params["to"] = json!(to);
        assert_eq!(code(&params), Code::ActuationDeclarationRequired, "{to:?}");
    }
    for created_at_ms in [NOW_MS - 301_000, NOW_MS + 301_000] {
        let mut params = asked_by_a_person("c");
        params["command"]["createdAtMs"] = json!(created_at_ms);
        assert_eq!(code(&params), Code::InvalidCommandEnvelope);
    }
}

#[test]
fn c09_an_inference_stays_an_inference_over_two_hops() {
    let said = json!({
        "gen": 1, "kind": "inference", "frameId": "f", "sourceDeviceId": "a", "timestamp": NOW_MS,
        "data": {"text": "open the valve"}, "trust": {"evidence_sources": ["llm"], "evidence_trust_tier": T0}, "hops": 0,
    });
    let mut on_the_way = said.clone();
    for relay in [NodeId([2; 32]), NodeId([3; 32])] {
        let frame = ContextFrame::read(Some(&raw(&on_the_way)), NOW_MS).unwrap();
        assert_eq!(frame.shown_tier(), Tier::T0);
        let Heard::New { forward: Some(copy) } = Gossip::new(relay).hear(&frame) else { panic!() };
        on_the_way = serde_json::to_value(&*copy).unwrap();
    }
    assert_eq!(on_the_way["hops"], json!(2));
    on_the_way["hops"] = json!(0);
    assert_eq!(on_the_way, said, "nothing else has changed");
}
