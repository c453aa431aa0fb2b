"""An existing node with an actuator, from the description alone: guest_actuator.py PORT ADDRESS SEED_HEX MESH_NAME
It listens on PORT and carries out what it is told there; on links that it opens itself it answers no calls, as existing nodes
do. Each line on standard input is answered with a line of JSON: `told` lists what it was told so far; `obey`, `silent` and
`garbage` say how it answers from then on; `dial` has it open a link to ADDRESS and tells what came of that."""

import json
import socket
import sys
import threading
import uuid

from clawmesh_client import Identity, Listener, Node, mesh_id

port, address, seed, mesh_name = sys.argv[1:5]
TIERS = [
    "T0_planning_inference",
    "T1_unverified_observation",
    "T2_operational_observation",
    "T3_verified_action_evidence",
]
told, manners = [], ["obey"]
identity, mesh = Identity(bytes.fromhex(seed)), mesh_id(mesh_name)
door = socket.create_server(("127.0.0.1", int(port)))


def refusal(params):
    """The code of the first row of the receiver's table that applies."""
    if not all(params.get(name) for name in ("channel", "to", "originGatewayId")):
        return "INVALID_PARAMS"
    command = params["command"]
    if command["version"] != 1 or command["kind"] != "clawmesh.command" or not command["commandId"]:
        return "INVALID_COMMAND_ENVELOPE"
    trust = command["trust"]
    if params["trust"] != trust:
        return "TRUST_ENVELOPE_MISMATCH"
    if command["target"]["ref"].startswith("actuator:") and trust["action_type"] != "actuation":
        return "ACTUATION_DECLARATION_REQUIRED"
    if trust["evidence_sources"] and all(source == "llm" for source in trust["evidence_sources"]):
        return "LLM_ONLY_ACTUATION_BLOCKED"
    if TIERS.index(trust["evidence_trust_tier"]) < TIERS.index(trust["minimum_trust_tier"]):
        return "INSUFFICIENT_TRUST_TIER"
    if trust["verification_required"] != "none" and trust.get("verification_satisfied") is not True:
        return "VERIFICATION_REQUIRED"
    return None


def response(message):
    """What is answered to a call; nothing while it is silent."""
    answer = {"type": "res", "id": message["id"], "ok": False}
    if message["method"] != "mesh.message.forward":
        return {**answer, "error": {"code": "UNKNOWN_METHOD", "message": "there is no such method here"}}
    params = message["params"]
    code = refusal(params)
    command = params["command"]
    told.append(
        {
            "id": command["commandId"],
            "from": params["originGatewayId"],
            "to": params["to"],
            "operation": command["operation"],
            "sources": command["trust"]["evidence_sources"],
            "approved_by": command["trust"].get("approved_by"),
            "refused": code,
        }
    )
    if manners[0] == "silent":
        return None
    if manners[0] == "garbage":
        return {"type": "res", "id": message["id"], "ok": True, "payload": ["what", "is", "this"]}
    if code:
        return {**answer, "error": {"code": code, "message": "the table says so"}}
    payload = {"messageId": f"mesh-fwd-{uuid.uuid4()}", "channel": params["channel"]}
    return {"type": "res", "id": message["id"], "ok": True, "payload": payload}


def serve():
    while True:
        try:
            accepted, _ = door.accept()
            node = Listener(accepted, identity, mesh, capabilities=["actuator:pump"])
            while True:
                message = node._receive()
                reply = response(message) if message["type"] == "req" else None
                if reply:
                    # Whoever answers twice is heard once.
                    node.send(reply)
                    node.send(reply)
        except (OSError, EOFError):
            # The guardian has gone, and dials again.
            continue


threading.Thread(target=serve, daemon=True).start()
for line in sys.stdin:
    word = line.strip()
    if word == "dial":
        print(json.dumps(Node(address).connect(identity, mesh)), flush=True)
        continue
    if word != "told":
        manners[0] = word
    print(json.dumps(told), flush=True)
