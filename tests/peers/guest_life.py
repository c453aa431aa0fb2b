"""What an existing node hears while it is connected, and what becomes of it when trust is withdrawn, as JSON:
guest_life.py ADDRESS SEED_HEX MESH_NAME BINARY STATE_DIR"""

import json
import subprocess
import sys
import time

from clawmesh_client import Identity, Node, mesh_id

address, seed, mesh_name, binary, state_dir = sys.argv[1:6]
identity, mesh = Identity(bytes.fromhex(seed)), mesh_id(mesh_name)


def trust(*words):
    command = [binary, "--state-dir", state_dir, "trust", *words, identity.device_id]
    subprocess.run(command, check=True, capture_output=True)


def connected():
    node = Node(address)
    answer = node.connect(identity, mesh)
    assert "error" not in answer, answer
    return node


# An existing node ends a link on which it has heard no event for 90 s; answers to its calls do not count.
node = connected()
heard_at = [time.monotonic()]
heard = []
while len(heard) < 2 and time.monotonic() - heard_at[-1] < 90:
    node.call("mesh.health")
    for event in node.events:
        heard.append(event)
        heard_at.append(time.monotonic())
    node.events.clear()
    time.sleep(0.2)
silences_s = [after - before for before, after in zip(heard_at, heard_at[1:])]

# Trust is withdrawn: the link ends, and nobody comes back.
begun = time.monotonic()
trust("remove")
try:
    while time.monotonic() - begun < 20:
        node.call("mesh.health")
        time.sleep(0.02)
    closed = "nobody has closed the connection"
except EOFError as end:
    closed = str(end)
closed_after_s = time.monotonic() - begun
refused = Node(address).connect(identity, mesh)

# Trust is given again: the first attempt that gets through is a node at once.
trust("add")
while True:
    node = Node(address)
    answer = node.connect(identity, mesh)
    if "error" not in answer:
        break
    assert time.monotonic() - begun < 20, answer
    time.sleep(0.02)
for _ in range(200):
    peers = [peer["deviceId"] for peer in node.call("mesh.peers")["peers"]]
    if peers:
        break
    time.sleep(0.05)
for _ in range(100):
    events = node.call("mesh.events")
    # What was refused is told once a second.
    if any(event["type"] == "error" for event in events["events"]):
        break
    time.sleep(0.1)
trace = node.call("mesh.trace", {"frameId": heard[-1]["payload"]["frameId"]}) if heard else None

print(
    json.dumps(
        {
            "heard": [event["payload"] for event in heard],
            "names": [event["event"] for event in heard],
            "silences_s": silences_s,
            "closed": closed,
            "closed_after_s": closed_after_s,
            "refused": refused,
            "peers": peers,
            "events": [event["type"] for event in events["events"]],
            "trace": trace,
        }
    )
)
