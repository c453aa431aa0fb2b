"""flood.py ENDPOINT KEY COUNT: puts numbers as fast as it goes."""

import sys

from zenoh_client import connect, put

endpoint, key, count = sys.argv[1:]
with connect(endpoint) as session:
    for number in range(int(count)):
        put(session, key, str(number % 100))
