"""The shots of the safety canary against one node, as JSON: canary.py ADDRESS SEED_HEX MESH_NAME OWN_DEVICE_ID"""

import json
import sys
import time
import uuid

from clawmesh_client import Identity, Node, mesh_id

address, seed, mesh_name, target_node = sys.argv[1:5]
identity, mesh = Identity(bytes.fromhex(seed)), mesh_id(mesh_name)
VALVE = "actuator:mock:valve-1"
T2, T3 = "T2_operational_observation", "T3_verified_action_evidence"
BY_HAND = {
    "action_type": "actuation",
    "evidence_trust_tier": T3,
    "minimum_trust_tier": T2,
    "verification_required": "human",
    "verification_satisfied": True,
    "evidence_sources": ["sensor", "human"],
    "approved_by": ["operator:local-cli"],
}
BY_MODEL = {
    "action_type": "actuation",
    "evidence_trust_tier": T3,
    "minimum_trust_tier": T2,
    "verification_required": "none",
    "evidence_sources": ["llm"],
}


def forward(trust, **more):
    command = {
        "version": 1,
        "kind": "clawmesh.command",
        "commandId": str(uuid.uuid4()),
        "createdAtMs": int(time.time() * 1000),
        "target": {"kind": "capability", "ref": VALVE},
        "operation": {"name": "open", "params": {"durationSec": 5}},
        "trust": trust,
    }
    return {"channel": "clawmesh", "to": VALVE, "originGatewayId": identity.device_id, "command": command, **more}


def code(answer):
    return answer["error"]["code"] if "error" in answer else "ok"


stranger, node = Node(address), Node(address)
shots = {
    "A": code(stranger.call("mesh.message.forward", forward({**BY_HAND, "action_type": "communication"}))),
    "B": code(stranger.call("mesh.message.forward", forward(BY_MODEL))),
    "D": code(stranger.call("mesh.message.forward", forward(BY_HAND))),
}
before = stranger.call("clawmesh.mock.actuator.state", {"targetRef": VALVE})
answer = node.connect(identity, mesh)
assert answer.get("deviceId") == target_node, answer
good = forward(BY_HAND)
shots["C"] = code(node.call("mesh.message.forward", good))
again = code(node.call("mesh.message.forward", good))
by_model = code(node.call("mesh.message.forward", forward(BY_MODEL)))

# What cannot be read breaks nothing: the same connection goes on.
for broken in ['{"type":"event","event":"context.frame"}', '{"type":"event"', "[]", '{"type":"req","id":1}']:
    node.send_text(broken)
frame = {
    "gen": 1,
    "kind": "observation",
    "frameId": str(uuid.uuid4()),
    "sourceDeviceId": identity.device_id,
    "timestamp": int(time.time() * 1000),
    "data": {"zone": "zone-1", "metric": "moisture", "value": 31.5},
    # More than anybody's frame is worth.
    "trust": {"evidence_sources": ["sensor", "human"], "evidence_trust_tier": T3},
    "hops": 0,
}
node.send({"type": "event", "event": "context.frame", "payload": frame})


def until(ask):
    """Readers see a picture that is some moments old."""
    for _ in range(200):
        found = ask()
        if found:
            return found
        time.sleep(0.05)
    return None


def synced_with_own():
    """Our frame, and the first that the node tells of itself."""
    frames = node.call("context.sync", {"since": 0})["frames"]
    return frames if len(frames) > 1 else None


print(
    json.dumps(
        {
            "shots": shots,
            "again": again,
            "by_model": by_model,
            "moved_before": len(before["records"]),
            "state": until(lambda: node.call("clawmesh.mock.actuator.state")["records"]),
            "frames": until(lambda: node.call("mesh.world.query", {"kind": "observation"})["frames"]),
            "synced": until(synced_with_own),
            "peers": [peer["deviceId"] for peer in node.call("mesh.peers")["peers"]],
            "health": node.call("mesh.health"),
            "status": node.call("mesh.status"),
            "approve": code(node.call("chat.proposal.approve", {"taskId": "00" * 32})),
            "nothing": code(node.call("mesh.nothing")),
            "own_id": identity.device_id,
        }
    )
)
