//! What a guest is sent: the command envelope of version 1, in which every word about trust is so. Pure.

use clawmesh_authority::{AuthorizedCommand, Capability, NodeId, SafingCommand, Setpoint};
use clawmesh_twin::site::OnGuest;
use serde_json::{Value, json};

/// An actuator of a guest, and how it is told what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// The guest.
    pub peer: NodeId,
    /// What the actuator is called over there.
    target: Capability,
    on: String,
    off: String,
}

impl Remote {
    /// As the site says, which was checked when it was read.
    pub fn of(guest: &OnGuest) -> Option<Self> {
        Some(Self {
            peer: guest.peer.parse().ok()?,
            target: Capability::new(&guest.target).ok()?,
            on: guest.on.clone(),
            off: guest.off.clone(),
        })
    }
}

/// Who sends.
#[derive(Debug, Clone)]
pub struct Sender {
    /// The guardian.
    pub node: NodeId,
    /// What it is for.
    pub role: String,
}

impl Sender {
    /// What the gate allowed: a person has signed for it, whom the story of the proposal names, and without whom there is no
    /// such command. On what else it rests the command does not say, so nothing else is claimed.
    pub fn command(&self, remote: &Remote, command: &AuthorizedCommand, unix_ms: u64) -> Value {
        let trust = json!({
            "action_type": "actuation",
            "evidence_sources": ["human"],
            "evidence_trust_tier": "T2_operational_observation",
            "minimum_trust_tier": "T2_operational_observation",
            "verification_required": "human",
            "verification_satisfied": true,
            "approved_by": [format!("operator:proposal/{}", command.proposal())],
        });
        // A guest that can end by itself what it is told to begin shall not end it before us.
        let seconds = command.run_for_ms().map(|run_for_ms| run_for_ms.div_ceil(1_000));
        let params = seconds.map_or_else(|| json!({}), |seconds| json!({ "durationSec": seconds }));
        self.message(remote, command.setpoint(), &params, &id_of(command), &trust, unix_ms)
    }

    /// The safe state: this node says so by the site and its own policy, and nobody was asked.
    pub fn safing(&self, remote: &Remote, command: &SafingCommand, id: &str, unix_ms: u64) -> Value {
        let trust = json!({
            "action_type": "actuation",
            "evidence_sources": ["device"],
            "evidence_trust_tier": "T2_operational_observation",
            "minimum_trust_tier": "T2_operational_observation",
            "verification_required": "none",
        });
        self.message(remote, command.setpoint(), &json!({}), id, &trust, unix_ms)
    }

    fn message(
        &self,
        remote: &Remote,
        setpoint: Setpoint,
        params: &Value,
        id: &str,
        trust: &Value,
        unix_ms: u64,
    ) -> Value {
        let operation = match setpoint {
            Setpoint::On => &remote.on,
            Setpoint::Off => &remote.off,
        };
        json!({
            "channel": "clawmesh",
            "to": remote.target,
            "originGatewayId": self.node,
            "idempotencyKey": id,
            "command": {
                "version": 1,
                "kind": "clawmesh.command",
                "commandId": id,
                "createdAtMs": unix_ms,
                "source": { "nodeId": self.node, "role": self.role },
                "target": { "kind": "capability", "ref": remote.target },
                "operation": { "name": operation, "params": params },
                "trust": trust,
            },
            "trust": trust,
        })
    }
}

/// A step of a proposal is dispatched once, so its name is the name of its command.
pub fn id_of(command: &AuthorizedCommand) -> String {
    format!("{}-{}", command.proposal(), command.step())
}
