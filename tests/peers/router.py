"""A stock zenoh router, not ours: router.py [SETTINGS.json5] [ENDPOINT_OF_ANOTHER ...]. Answers each line with where it listens and
who is linked. With settings it runs in their folder, and listens over TLS."""

import json
import os
import socket
import sys

import zenoh


def open_somewhere():
    """zenoh does not tell which port it took, so we take a free one; another program may be faster."""
    for _ in range(20):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            transport = "tls" if settings else "tcp"
            endpoint = f"{transport}/127.0.0.1:{free.getsockname()[1]}"
        config = zenoh.Config.from_file(settings) if settings else zenoh.Config()
        for setting, value in [
            ("mode", "router"),
            ("listen/endpoints", [endpoint]),
            ("listen/exit_on_failure", True),
            ("connect/endpoints", others),
            ("scouting/multicast/enabled", False),
        ]:
            config.insert_json5(setting, json.dumps(value))
        try:
            return endpoint, zenoh.open(config)
        except zenoh.ZError as fault:
            print(f"{endpoint}: {fault}", file=sys.stderr)
    sys.exit("no port of this machine is free")


others = sys.argv[1:]
settings = None
if others and others[0].endswith(".json5"):
    folder, settings = os.path.split(others.pop(0))
    os.chdir(folder)
endpoint, session = open_somewhere()
with session:
    for _ in sys.stdin:
        routers = [str(zid) for zid in session.info.routers_zid()]
        clients = [str(zid) for zid in session.info.peers_zid()]
        print(json.dumps({"endpoint": endpoint, "routers": routers, "peers": clients}), flush=True)
