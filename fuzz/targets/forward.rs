//! `mesh.message.forward`: the rows of the gate, who may ask, and the mock actuator behind them.

use clawmesh_authority::{NodeRole, Tier};
use clawmesh_lab::Lab;
use clawmesh_wire::Code;
use clawmesh_wire::access::Caller;
use clawmesh_wire::code::SENTENCE_BYTES_MAX;
use clawmesh_wire::command::COMMAND_AGE_MS_MAX;
use clawmesh_wire::gate::{self, Allowed, Forward, authorize, is_actuator};
use clawmesh_wire::mock::MockActuator;
use clawmesh_wire::trust::EvidenceSource;
use serde_json::json;
use serde_json::value::RawValue;

use super::messages::raw;
use super::{MIB, NOW_MS, Seed, Target, is_brief, promised};
use crate::mutate::Shape;

pub(super) const TARGET: Target = Target {
    name: "forward",
    promise: "nothing is allowed to move on the word of a model, on evidence below T2, undeclared, or for who may not ask; the \
              mock actuator does one command once, and nothing else",
    shapes: &[Shape::Json],
    seeds,
    check,
    memory_bytes_max: 2 * MIB,
    memory_per_byte: 128,
};

/// What an existing node sends to open something, with everything right that a sender can claim.
pub(super) fn opening(target: &str, id: &str) -> serde_json::Value {
    json!({
        "channel": "clawmesh", "to": target, "originGatewayId": Lab::id_of(2).to_string(), "idempotencyKey": "k-1",
        "message": "please",
        "command": {
            "version": 1, "kind": "clawmesh.command", "commandId": id, "createdAtMs": NOW_MS,
            "source": {"nodeId": Lab::id_of(2).to_string(), "role": "field"},
            "target": {"kind": "capability", "ref": target},
            "operation": {"name": "set", "params": {"state": "half"}},
            "trust": {
                "action_type": "actuation", "evidence_trust_tier": "T3_verified_action_evidence",
                "minimum_trust_tier": "T2_operational_observation", "verification_required": "human",
                "verification_satisfied": true, "evidence_sources": ["sensor", "human"],
                "approved_by": ["operator:local-cli"],
            },
            "note": "by hand",
        },
    })
}

fn seeds() -> Vec<Seed> {
    let mut both = opening("actuator:mock", "c-2");
    both["trust"] = both["command"]["trust"].clone();
    let mut by_model = opening("actuator:mock", "c-3");
    by_model["command"]["trust"]["evidence_sources"] = json!(["llm"]);
    let words = json!({"channel": "chat", "to": "agent:x", "originGatewayId": "x", "message": "hello",
        "trust": {"action_type": "communication"}});
    let intent = json!({"channel": "clawmesh", "to": "agent:pi", "conversationId": "t-1",
        "commandDraft": {"operation": {"name": "intent:parse", "params": {"text": "water the beds"}}}});
    let mut unverified = opening("actuator:mock:valve-2", "c-5");
    unverified["command"]["trust"]["verification_required"] = json!("none");
    unverified["command"]["trust"]["evidence_sources"] = json!(["sensor"]);
    let list = [
        ("unverified", unverified),
        ("opening", opening("actuator:mock:valve-1", "c-1")),
        ("real", opening("actuator:pump:main", "c-4")),
        ("claims-twice", both),
        ("by-model", by_model),
        ("words", words),
        ("intent", intent),
    ];
    list.map(|(name, params)| (name, params.to_string().into_bytes())).into()
}

fn check(input: &[u8]) -> Result<String, String> {
    match raw(input) {
        Some(raw) => judge(Some(raw)),
        None => Ok("no JSON".to_owned()),
    }
}

/// The gate and everything behind it.
pub(super) fn judge(params: Option<&RawValue>) -> Result<String, String> {
    let own = Lab::id_of(1);
    let allowed = match gate::judge(params, own, NOW_MS) {
        Ok(allowed) => allowed,
        Err(refusal) => {
            is_brief(&refusal.message, SENTENCE_BYTES_MAX)?;
            return Ok(refusal.to_string());
        }
    };
    let refused_to = |caller: Caller| {
        authorize(allowed.clone(), caller.rights()).is_err_and(|refusal| refusal.code == Code::NotAuthorized)
    };
    let strangers = [Caller::Stranger, Caller::Local];
    promised(strangers.into_iter().all(refused_to), || "a stranger is served".to_owned())?;
    match &allowed {
        Allowed::Intent(intent) => {
            promised(refused_to(Caller::Peer(NodeRole::Planner)), || "a node instructs".to_owned())?;
            promised(intent.text.len() <= gate::INTENT_BYTES_MAX, || "too many words".to_owned())?;
            Ok("an intent".to_owned())
        }
        Allowed::Message(forward) => {
            is_of_this_time(forward)?;
            let is_for_none = !is_actuator(&forward.to) && !is_actuator(forward.target());
            promised(is_for_none, || "a message for an actuator declares nothing".to_owned())?;
            let moved = MockActuator::default().execute(forward, NOW_MS);
            promised(moved.is_err(), || "a message that is no actuation moves something".to_owned())?;
            Ok("a message".to_owned())
        }
        Allowed::Actuation(forward) => {
            is_of_this_time(forward)?;
            promised(refused_to(Caller::Peer(NodeRole::Viewer)), || "a viewer moves something".to_owned())?;
            rests_on_something(forward)?;
            moves_once(forward)
        }
    }
}

fn is_of_this_time(forward: &Forward) -> Result<(), String> {
    let own = Lab::id_of(1).to_string();
    let is_loop = forward.origin_gateway_id.trim().eq_ignore_ascii_case(&own);
    promised(!is_loop, || "our own message is taken back".to_owned())?;
    let Some(command) = &forward.command else { return Ok(()) };
    let apart_ms = command.created_at_ms.abs_diff(NOW_MS);
    promised(apart_ms <= COMMAND_AGE_MS_MAX, || format!("a command of another time: {apart_ms} ms"))
}

fn rests_on_something(forward: &Forward) -> Result<(), String> {
    let claims = forward.effective_trust().ok_or("an actuation claims nothing")?;
    let is_by_model = claims.sources().iter().all(|source| *source == EvidenceSource::Llm);
    promised(!is_by_model, || "an actuation rests on a model or on nothing".to_owned())?;
    let tier = claims.evidence_trust_tier.known().copied().unwrap_or(Tier::T0);
    promised(tier >= Tier::T2, || format!("an actuation rests on {tier}"))?;
    promised(claims.first_unknown().is_none(), || "an actuation claims what nobody knows".to_owned())
}

fn moves_once(forward: &Forward) -> Result<String, String> {
    let mut mock = MockActuator::default();
    let first = mock.execute(forward, NOW_MS);
    let again = mock.execute(forward, NOW_MS);
    let state = mock.state(None);
    match first {
        Ok(record) => {
            let name = record.target_ref.to_ascii_lowercase();
            let is_mock = name == "actuator:mock" || name.starts_with("actuator:mock:");
            promised(is_mock, || format!("{:?} was moved", record.target_ref))?;
            let is_duplicate = again.is_err_and(|refusal| refusal.code == Code::Duplicate);
            promised(is_duplicate, || "one command is carried out twice".to_owned())?;
            promised(state.history.len() == 1 && state.refused_count == 1, || "it counts wrong".to_owned())?;
            Ok("moved".to_owned())
        }
        Err(refusal) => {
            promised(again.is_err() && state.history.is_empty(), || "refused and moved".to_owned())?;
            is_brief(&refusal.message, SENTENCE_BYTES_MAX)?;
            Ok(format!("not moved: {refusal}"))
        }
    }
}
