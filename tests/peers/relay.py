"""A message that a node of ours brings to the one that has its channel, and a command that it brings to nobody, as JSON:
relay.py ADDRESS SENDER_SEED_HEX OFFICE_SEED_HEX MESH_NAME BINARY STATE_DIR"""

import json
import subprocess
import sys
import threading
import time
import uuid

from clawmesh_client import Identity, Node, mesh_id

address, sender_seed, office_seed, mesh_name, binary, state_dir = sys.argv[1:7]
mesh = mesh_id(mesh_name)
sender_identity, office_identity = (Identity(bytes.fromhex(seed)) for seed in (sender_seed, office_seed))


class Office(Node):
    """Has a channel, and answers what comes for it."""

    came = []

    def serve(self):
        try:
            while True:
                message = self._receive()
                if message["type"] != "req":
                    continue
                answer = {"type": "res", "id": message["id"], "ok": True, "payload": {}}
                if message["method"] == "mesh.message.forward":
                    self.came.append(message["params"])
                    answer["payload"] = {"messageId": "m-1", "channel": message["params"]["channel"]}
                self.send(answer)
        except (EOFError, OSError):
            pass

    def tell_abilities(self, capabilities):
        frame = {
            "gen": 1,
            "kind": "capability_update",
            "frameId": str(uuid.uuid4()),
            "sourceDeviceId": office_identity.device_id,
            "timestamp": int(time.time() * 1000),
            "data": {"capabilities": capabilities},
            "trust": {"evidence_sources": ["device"], "evidence_trust_tier": "T2_operational_observation"},
            "hops": 0,
        }
        self.send({"type": "event", "event": "context.frame", "payload": frame})


def capabilities(pattern):
    command = [binary, "--state-dir", state_dir, "capabilities", pattern, "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["capabilities"]


def until(look):
    begun = time.monotonic()
    while not (found := look()):
        assert time.monotonic() - begun < 20, "it does not come to be"
        time.sleep(0.05)
    return found


office = Office(address)
answer = office.connect(
    office_identity, mesh, name="office", capabilities=["channel:telegram", "actuator:pump:p9"]
)
assert "error" not in answer, answer
serving = threading.Thread(target=office.serve, daemon=True)
serving.start()
sender = Node(address)
assert "error" not in sender.connect(sender_identity, mesh, name="sender")
found = until(lambda: [row for row in capabilities("channel:telegram") if row["takes_calls"]])


def forward(**fields):
    params = {"channel": "telegram", "to": "chat:7", "originGatewayId": sender_identity.device_id}
    answer = sender.call("mesh.message.forward", {**params, "message": "the tank is full", **fields})
    return answer.get("error") or answer


def pump():
    trust = {
        "action_type": "actuation",
        "evidence_sources": ["sensor", "human"],
        "evidence_trust_tier": "T3_verified_action_evidence",
        "minimum_trust_tier": "T2_operational_observation",
        "verification_required": "human",
        "verification_satisfied": True,
        "approved_by": ["operator:local-cli"],
    }
    target = {"kind": "capability", "ref": "actuator:pump:p9"}
    return {
        "version": 1,
        "kind": "clawmesh.command",
        "commandId": str(uuid.uuid4()),
        "createdAtMs": int(time.time() * 1000),
        "target": target,
        "operation": {"name": "start"},
        "trust": trust,
    }


taken = forward(commandDraft={"operation": {"name": "intent:parse"}}, originGatewayId="somebody else")
command = forward(channel="clawmesh", to="actuator:pump:p9", command=pump())
again = forward(relayedBy=office_identity.device_id)
unknown = forward(channel="sms")
many = [forward().get("code") for _ in range(12)]
office.tell_abilities(["channel:mail"])
until(lambda: not capabilities("channel:telegram"))
moved = forward()
mail = [row["node"] for row in capabilities("channel:mail")]
# The one breaks off, the other says goodbye.
office.socket.shutdown(2)
leaving = {"gen": 1, "deviceId": sender_identity.device_id, "timestamp": int(time.time() * 1000)}
sender.send({"type": "event", "event": "peer.leaving", "payload": leaving})

print(
    json.dumps(
        {
            "found": found,
            "taken": taken,
            "came": office.came,
            "command": command,
            "again": again,
            "unknown": unknown,
            "many": many,
            "moved": moved,
            "mail": mail,
            "sender": sender_identity.device_id,
            "office": office_identity.device_id,
        }
    )
)
