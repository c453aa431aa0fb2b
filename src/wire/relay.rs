//! What of a message may be passed on to another node, and as what. Pure.
//!
//! Existing nodes pass nothing on. Here a message of words goes to one node that has its channel, once: whoever gets it sees
//! who wrote it and who has passed it on, and gives it to nobody else. At the far side the one who asks is us, so a command,
//! claims about trust, words for a planner, and everything else that was in the message stay behind.

use clawmesh_authority::NodeId;
use serde::Serialize;

use crate::code::{Code, Refusal, quoted};
use crate::gate::{Forward, is_actuator};

/// The most words that are passed on, in bytes.
pub const RELAYED_BYTES_MAX: usize = 4_096;
/// The channel on which existing nodes take commands and words for their planner.
pub const COMMANDS: &str = "clawmesh";
/// How the capability of whoever has a channel begins.
pub const CHANNEL: &str = "channel:";

/// A message that is passed on: parameters of `mesh.message.forward`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Relayed {
    /// The channel it is for.
    pub channel: String,
    /// Whom it is for.
    pub to: String,
    /// The node that has shown that the message is its own.
    pub origin_gateway_id: String,
    /// The node that has passed it on.
    pub relayed_by: String,
    /// What its maker calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// Its words.
    pub message: String,
}

impl Relayed {
    /// What `own`, this node, may pass on of a message that `maker` has sent and that the gate has let through.
    ///
    /// # Errors
    /// `LOOP_DETECTED` for what was passed on before, `DELIVERY_FAILED` for what never is, `TOO_LARGE`.
    pub fn of(forward: &Forward, maker: NodeId, own: NodeId) -> Result<Self, Refusal> {
        let never = |sentence: &str| Err(Refusal::new(Code::DeliveryFailed, sentence));
        if forward.relayed_by.is_some() {
            let sentence = "the message was passed on once already, and nobody listens on its channel here";
            return Err(Refusal::new(Code::LoopDetected, sentence));
        }
        let is_command = forward.command.is_some() || forward.trust.is_some();
        if is_command || is_actuator(&forward.to) {
            return never("a command is never passed on; connect to the node it is for and send it there");
        }
        if forward.channel == COMMANDS {
            return never(
                "the channel of commands is not passed on; connect to the node the message is for and send it there",
            );
        }
        let Some(message) = forward.message.as_ref().filter(|words| !words.is_empty()) else {
            return never("a message without words is not passed on");
        };
        if message.len() > RELAYED_BYTES_MAX {
            let sentence = format!("a message that is passed on has at most {RELAYED_BYTES_MAX} bytes");
            return Err(Refusal::new(Code::TooLarge, sentence));
        }
        Ok(Self {
            channel: forward.channel.clone(),
            to: forward.to.clone(),
            origin_gateway_id: maker.to_string(),
            relayed_by: own.to_string(),
            idempotency_key: forward.idempotency_key.clone(),
            message: message.clone(),
        })
    }
}

/// The capability whoever takes what is for a channel has.
#[must_use]
pub fn capability_of(channel: &str) -> String {
    format!("{CHANNEL}{channel}")
}

/// Nobody takes it.
#[must_use]
pub fn nobody_listens(channel: &str) -> Refusal {
    let sentence =
        format!("nobody listens on the channel {} here, and no node we reach does", quoted(channel));
    Refusal::new(Code::DeliveryFailed, sentence)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::gate::{Allowed, judge};

    const OWN: NodeId = NodeId([1; 32]);
    const MAKER: NodeId = NodeId([2; 32]);
    const NOW_MS: u64 = 1_730_000_000_000;

    fn message() -> Value {
        json!({
            "channel": "telegram", "to": "chat:7", "originGatewayId": MAKER, "message": "the tank is full",
            "idempotencyKey": "k-1",
        })
    }

    fn relayed(message: &Value) -> Result<Relayed, Refusal> {
        let raw = serde_json::value::to_raw_value(message).unwrap();
        match judge(Some(&raw), OWN, NOW_MS)? {
            Allowed::Message(forward) => Relayed::of(&forward, MAKER, OWN),
            other => panic!("it is a message: {other:?}"),
        }
    }

    #[test]
    fn words_are_passed_on_with_who_wrote_them_and_who_passes_them_on_and_nothing_else() {
        let mut said = message();
        said["originGatewayId"] = json!(NodeId([9; 32]));
        said["commandDraft"] = json!({"operation": {"name": "intent:parse", "params": {"text": "open"}}});
        said["accountId"] = json!("admin");
        let passed = relayed(&said).unwrap();
        assert_eq!(capability_of(&passed.channel), "channel:telegram");
        assert_eq!(
            serde_json::to_value(&passed).unwrap(),
            json!({
                "channel": "telegram", "to": "chat:7", "originGatewayId": MAKER, "relayedBy": OWN,
                "idempotencyKey": "k-1", "message": "the tank is full",
            })
        );
        let again = serde_json::to_value(&passed).unwrap();
        assert_eq!(relayed(&again).unwrap_err().code, Code::LoopDetected, "nobody passes it on again");
    }

    #[test]
    fn s2_nothing_that_could_be_a_command_is_passed_on() {
        let trust = json!({
            "action_type": "observation", "evidence_trust_tier": "T0_planning_inference",
            "minimum_trust_tier": "T0_planning_inference", "verification_required": "none",
        });
        let command = json!({
            "version": 1, "kind": "clawmesh.command", "commandId": "c", "createdAtMs": NOW_MS,
            "target": {"kind": "peer", "ref": "x"}, "operation": {"name": "open"}, "trust": trust,
        });
        for (field, value, code) in [
            ("command", command, Code::DeliveryFailed),
            ("trust", trust.clone(), Code::DeliveryFailed),
            ("channel", json!("clawmesh"), Code::DeliveryFailed),
            ("message", json!(""), Code::DeliveryFailed),
            ("message", Value::Null, Code::DeliveryFailed),
            ("message", json!("x".repeat(RELAYED_BYTES_MAX + 1)), Code::TooLarge),
            ("to", json!("actuator:valve:1"), Code::ActuationDeclarationRequired),
        ] {
            let mut said = message();
            said[field] = value;
            assert_eq!(relayed(&said).unwrap_err().code, code, "{field}");
        }
    }
}
