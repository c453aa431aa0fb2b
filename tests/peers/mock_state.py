"""What the mock actuator of a node on this machine has done, oldest first, as JSON: mock_state.py ADDRESS"""

import json
import sys

from clawmesh_client import Node

print(json.dumps(Node(sys.argv[1]).call("clawmesh.mock.actuator.state")["history"]))
