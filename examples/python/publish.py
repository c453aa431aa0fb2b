"""publish.py ENDPOINT KEY: a CPU temperature (degrees Celsius) once a second; without a thermal zone, the 1-minute load."""
import json, os, pathlib, signal, sys, time
import zenoh

THERMAL = pathlib.Path("/sys/class/thermal/thermal_zone0/temp")
endpoint, key = sys.argv[1:]
signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it at once, also while it waits for the node.
# `timeout_ms: -1`: wait for the node as long as it takes, so the order of starting does not matter.
config = {"mode": "client", "connect": {"endpoints": [endpoint], "timeout_ms": -1}}
with zenoh.open(zenoh.Config.from_json5(json.dumps(config))) as session:
    while True:
        value = int(THERMAL.read_text()) / 1000 if THERMAL.exists() else os.getloadavg()[0]
        session.put(key, str(value))
        time.sleep(1)
