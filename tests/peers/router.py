"""A stock zenoh router, not ours: router.py [ENDPOINT_OF_ANOTHER ...]. Answers each line with where it listens and who is linked."""

import json
import socket
import sys

import zenoh


def open_somewhere():
    """zenoh does not tell which port it took, so we take a free one; another program may be faster."""
    for _ in range(20):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            endpoint = f"tcp/127.0.0.1:{free.getsockname()[1]}"
        config = zenoh.Config()
        for setting, value in [
            ("mode", "router"),
            ("listen/endpoints", [endpoint]),
            ("listen/exit_on_failure", True),
            ("connect/endpoints", sys.argv[1:]),
            ("scouting/multicast/enabled", False),
        ]:
            config.insert_json5(setting, json.dumps(value))
        try:
            return endpoint, zenoh.open(config)
        except zenoh.ZError as fault:
            print(f"{endpoint}: {fault}", file=sys.stderr)
    sys.exit("no port of this machine is free")


endpoint, session = open_somewhere()
with session:
    for _ in sys.stdin:
        routers = [str(zid) for zid in session.info.routers_zid()]
        clients = [str(zid) for zid in session.info.peers_zid()]
        print(json.dumps({"endpoint": endpoint, "routers": routers, "peers": clients}), flush=True)
