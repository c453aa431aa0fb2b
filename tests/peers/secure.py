"""An existing node that comes over TLS, checks the fingerprint of the certificate itself, and then shows who it is.

Usage: secure.py ADDRESS SEED MESH_NAME PIN"""

import json
import sys
import time

from clawmesh_client import Identity, Node, mesh_id

address, seed, mesh_name, pin = sys.argv[1:5]
identity, mesh = Identity(bytes.fromhex(seed)), mesh_id(mesh_name)

node = Node(address, pin=pin)
version, cipher = node.socket.version(), node.socket.cipher()[0]
answer = node.connect(identity, mesh)
# It is in the next picture of the world, and not before.
peers, begun = [], time.monotonic()
while not peers and time.monotonic() - begun < 20:
    peers = node.call("mesh.peers")["peers"]
    time.sleep(0.02)
try:
    Node(address, pin="ab" * 32)
    wrong = "connected"
except ConnectionError as fault:
    wrong = str(fault)
print(
    json.dumps(
        {
            "version": version,
            "cipher": cipher,
            "listener": answer.get("deviceId"),
            "refused": answer.get("error"),
            "peers": [peer["deviceId"] for peer in peers],
            "wrong": wrong,
        }
    )
)
