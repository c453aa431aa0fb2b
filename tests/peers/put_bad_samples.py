"""put_bad_samples.py ENDPOINT NUMBER_KEY JSON_KEY: puts everything that is no measurement."""

import sys

from zenoh_client import connect, put

endpoint, number_key, json_key = sys.argv[1:]
with connect(endpoint) as session:
    for payload in [b"warm", b"", b"\xff\xfe", b"NaN", b"inf", b"-inf", b"1e999"]:
        put(session, number_key, payload)
    for payload in [b'{"air": ', b'{"water": 4}']:
        put(session, json_key, payload)
    put(session, number_key, b"7" * 10_000_000)
    put(session, number_key + "/not/mapped", b"7")
