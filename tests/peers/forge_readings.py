"""forge_readings.py ENDPOINT: hears one batch of signed readings, and under its key says it again and says nonsense."""

import sys

from zenoh_client import connect, put

with connect(sys.argv[1]) as session:
    readings = session.declare_subscriber("clawmesh/*/*/reading/**")
    heard = readings.recv()
    key, signed = str(heard.key_expr), heard.payload.to_bytes()
    put(session, key, signed)
    put(session, key, b"not signed by anybody")
