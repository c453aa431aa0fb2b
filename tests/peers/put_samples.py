"""put_samples.py ENDPOINT KEY TEXT [KEY TEXT ...]: puts each text once."""

import sys

from zenoh_client import connect, put

endpoint, *pairs = sys.argv[1:]
with connect(endpoint) as session:
    for key, text in zip(pairs[::2], pairs[1::2]):
        put(session, key, text)
