"""A zenoh client of one node: no discovery, and every put waits for its place instead of being dropped."""

import contextlib
import json
import time

import zenoh

# Closing a session drops what still waits on the way out.
LINGER_S = 1.0


@contextlib.contextmanager
def connect(endpoint):
    config = zenoh.Config()
    config.insert_json5("mode", json.dumps("client"))
    config.insert_json5("connect/endpoints", json.dumps([endpoint]))
    config.insert_json5("scouting/multicast/enabled", "false")
    with zenoh.open(config) as session:
        yield session
        time.sleep(LINGER_S)


def put(session, key, payload):
    session.put(key, payload, congestion_control=zenoh.CongestionControl.BLOCK)
