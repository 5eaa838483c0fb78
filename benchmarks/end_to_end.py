"""The whole way on two cores: publisher, Mosquitto, ingest, journal, pipeline, history, outbox.

`python -m benchmarks.end_to_end [SECONDS]`. The rate is sustained when the pipeline has taken in everything within two
seconds of the last message and nothing was lost. In the same run, before it: a bare paho subscriber at QoS 1 whose callback
does nothing, under the same load: the limit that any Python service on this machine has.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from alerts.outbox import Outbox
from benchmarks.publisher import places
from model.rejections import Reason
from model.time import NS
from runtime.broker import Broker, broker
from tests.site import service, site_at, until

LIMIT_QOS1 = 56_000  # messages/s through Mosquitto on two such cores, QoS 1, measured elsewhere
LIMIT_ROWS = 680_000  # rows/s when fifty come in a message, durable
LOADS = ((30_000, 1, 10_000), (2_000, 50, 200))  # messages/s, detections each, sensors
# Far above the loads, so that what is measured is the service, and not what it refuses.
LIMITS = "\n[limits]\nsensor_detections_per_s_max = 100000\ndetections_per_s_max = 10000000\n"


def main(seconds: int = 20) -> None:
    print(
        f"{'load':>28} {'sent':>9} {'taken':>9} {'behind after':>13} {'messages/s':>11} {'rows/s':>9} {'of limit':>9}"
    )
    for rate, per, sensors in LOADS:
        with broker() as running:
            said = _bare(running, rate, seconds, sensors, per)
            _row(f"bare paho, {per} a message", said, per)
        with broker() as running, tempfile.TemporaryDirectory() as folder:
            said = _marchwarden(running, Path(folder), rate, seconds, sensors, per)
            _row(f"marchwarden, {per} a message", said, per)


def _row(name: str, said: dict[str, Any], per: int) -> None:
    rate = said["taken"] / said["took_s"]
    share = rate / LIMIT_QOS1 if per == 1 else rate * per / LIMIT_ROWS
    figures = f"{said['sent']:>9,} {said['taken']:>9,} {said['behind_s']:>11.2f} s"
    print(f"{name:>28} {figures} {rate:>11,.0f} {rate * per:>9,.0f} {share:>9.2f}", flush=True)


def _publisher(running: Broker, rate: int, seconds: int, sensors: int, per: int) -> subprocess.Popen[str]:
    arguments = [str(a) for a in (running.port, rate, seconds, sensors, per)]
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.publisher", *arguments], stdout=subprocess.PIPE, text=True
    )


def _bare(running: Broker, rate: int, seconds: int, sensors: int, per: int) -> dict[str, Any]:
    taken, last = 0, time.monotonic()

    def on_message(*_: Any) -> None:
        nonlocal taken, last
        taken, last = taken + 1, time.monotonic()

    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.max_inflight_messages_set(20_000)
    client.on_message = on_message
    client.connect(running.host, running.port)
    client.subscribe("marchwarden/#", 1)
    client.loop(1.0)
    publisher = _publisher(running, rate, seconds, sensors, per)
    while publisher.poll() is None or time.monotonic() - last < 1.0:
        client.loop(0.05)
    said = json.loads(publisher.communicate()[0])
    client.disconnect()
    return said | {"taken": taken, "behind_s": max(0.0, last - time.monotonic() + 1.0)}


def _marchwarden(running: Broker, folder: Path, rate: int, seconds: int, sensors: int, per: int) -> dict[str, Any]:
    site = site_at(folder, running.port)
    lat, lon = places(sensors)
    rows = [f"load-{i},radar,{a:.6f},{b:.6f},5,300,native" for i, (a, b) in enumerate(zip(lat, lon, strict=True))]
    (site / "sensors" / "load.csv").write_text("id,kind,lat,lon,accuracy_m,range_m,feed\n" + "\n".join(rows) + "\n")
    (site / "site.toml").write_text((site / "site.toml").read_text() + LIMITS)
    log = folder / "log"
    with service(site, log):
        until(lambda: log.exists() and "Connected" in log.read_text(), "the service connected")
        publisher = _publisher(running, rate, seconds, sensors, per)
        said = json.loads(publisher.communicate()[0])
        end_ns = said["start_ns"] + int(said["took_s"] * NS)
        outbox = Outbox(site / "state" / "marchwarden.db")
        until(lambda: _done(outbox, end_ns), "the pipeline took in everything", 300)
        behind_s = max(0.0, (time.time_ns() - end_ns) / NS)
        taken = until(lambda: _whole(outbox, said["sent"]), "the status said so", 300)
        refused = sum(r["count"] for r in outbox.rejections() if r["reason"] == Reason.OVER_LIMIT)
        assert not refused, f"{refused:,} detections were over the limits: the limits were measured."
    return said | {"taken": taken, "behind_s": behind_s, "took_s": said["took_s"] + behind_s}


def _done(outbox: Outbox, end_ns: int) -> bool:
    return outbox.now_ns() >= end_ns


def _whole(outbox: Outbox, sent: int) -> int | None:
    """How many messages the service says it has read, once that is no less than were sent."""
    read = int(outbox.status()["service"]["messages"])
    return read if read >= sent else None


if __name__ == "__main__":
    main(*(int(a) for a in sys.argv[1:2]))
