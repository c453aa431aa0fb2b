"""An existing node that comes over TLS, checks the fingerprint of the certificate itself, and then shows who it is.

Usage: secure.py ADDRESS SEED MESH_NAME PIN"""

import json
import sys

from clawmesh_client import Identity, Node, mesh_id

address, seed, mesh_name, pin = sys.argv[1:5]
identity, mesh = Identity(bytes.fromhex(seed)), mesh_id(mesh_name)

node = Node(address, pin=pin)
version, cipher = node.socket.version(), node.socket.cipher()[0]
answer = node.connect(identity, mesh)
peers = node.call("mesh.peers")["peers"]
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
