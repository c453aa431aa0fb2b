"""Three nodes of ours in a row, and a node written from the description at one end, as JSON, one line for each command on standard
input: `tell ID VALUE` tells a frame at the first node, `know ID` waits until the last one knows it.
chain.py FIRST_ADDRESS LAST_ADDRESS_FILE SEED_HEX MESH_NAME"""

import json
import sys
import time

from clawmesh_client import Identity, Node, mesh_id

first, last_file, seed, mesh_name = sys.argv[1:5]
identity = Identity(bytes.fromhex(seed))
node = Node(first)
answer = node.connect(identity, mesh_id(mesh_name))
assert "error" not in answer, answer


def tell(frame_id, value):
    frame = {
        "gen": 1,
        "kind": "observation",
        "frameId": frame_id,
        "sourceDeviceId": identity.device_id,
        "timestamp": int(time.time() * 1000),
        "data": {"zone": "zone-1", "metric": "moisture", "value": float(value)},
        "trust": {"evidence_sources": ["sensor"], "evidence_trust_tier": "T2_operational_observation"},
        "hops": 0,
    }
    node.send({"type": "event", "event": "context.frame", "payload": frame})
    assert "error" not in node.call("mesh.health")
    return {"told": frame_id}


def know(frame_id):
    with open(last_file) as file:
        last = Node(file.read().strip())
    for _ in range(400):
        # Pings of the first node are answered while we look at the last one.
        node.call("mesh.health")
        frames = last.call("mesh.world.query", {"sourceDeviceId": identity.device_id})["frames"]
        for frame in frames:
            if frame["frameId"] == frame_id:
                return frame
        time.sleep(0.1)
    return {"frameId": None}


for line in sys.stdin:
    words = line.split()
    said = tell(*words[1:]) if words[0] == "tell" else know(*words[1:])
    print(json.dumps(said), flush=True)
