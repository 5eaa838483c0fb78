"""A load generator: QoS 1 PUBLISH packets made beforehand and sent in bulk over a raw socket, paced, acknowledgements counted.

It costs the machine far less than a client library would, so that what is measured beside it has the cores.
`python -m benchmarks.publisher PORT RATE SECONDS SENSORS PER_MESSAGE` is a process of its own.
"""

import contextlib
import json
import socket
import struct
import sys
import time

import numpy as np

from geo.frames import wgs84_from_plane
from model.time import NS, iso_from_ns
from runtime.configuration import load
from runtime.world import sectors_of
from tests.builders import CONFIGS

PACE_S = 0.02


def topic_of(number: int) -> str:
    return f"marchwarden/san-rafael/detections/load-{number}"


def places(count: int, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Sensors along the site's border: (n,) latitudes and longitudes."""
    random = np.random.default_rng(seed)
    xy = np.stack([random.uniform(-40_000, 40_000, count), random.uniform(-19_000, -8_000, count)], axis=1)
    return wgs84_from_plane(sectors_of(load(CONFIGS)), np.zeros(count, np.int16), xy)


class Targets:
    """What each sensor sees: so many walkers about it."""

    def __init__(self, sensors: int, per: int) -> None:
        random = np.random.default_rng(4)
        self.lat, self.lon = places(sensors)
        self.per, self.random = per, random
        self.offset = random.uniform(-200, 200, (sensors, per, 2))
        self.speed = random.normal(0, 1.0, (sensors, per, 2))

    def payload(self, sensor: int, number: int, at_s: float, time_ns: int) -> bytes:
        metres = self.offset[sensor] + at_s * self.speed[sensor] + self.random.normal(0, 4, (self.per, 2))
        lat = np.round(self.lat[sensor] + metres[:, 1] / 111_195, 6).tolist()
        lon = np.round(self.lon[sensor] + metres[:, 0] / 95_000, 6).tolist()
        if self.per == 1:
            said = {
                "time": iso_from_ns(time_ns),
                "id": f"m{number}",
                "lat": lat[0],
                "lon": lon[0],
                "sigma_m": 5.0,
                "class": {"person": 0.8, "animal": 0.1},
                "confidence": 0.9,
                "source_id": "17",
                "note": "." * 90,
            }
        else:
            said = {
                "time": iso_from_ns(time_ns),
                "detections": [
                    {"lat": a, "lon": b, "sigma_m": 5.0, "class": "person", "confidence": 0.8}
                    for a, b in zip(lat, lon, strict=True)
                ],
            }
        return json.dumps(said).encode()


def publish_packet(topic: str, payload: bytes, mid: int) -> bytes:
    """One MQTT 3.1.1 PUBLISH at QoS 1 (OASIS 2014, section 3.3)."""
    name = topic.encode()
    body = struct.pack(">H", len(name)) + name + struct.pack(">H", mid) + payload
    length, size = bytearray(), len(body)
    while True:
        size, digit = divmod(size, 128)
        length.append(digit | (0x80 if size else 0))
        if not size:
            return b"\x32" + bytes(length) + body


def connect(port: int) -> socket.socket:
    link = socket.create_connection(("127.0.0.1", port))
    client = f"load-{time.time_ns()}".encode()
    body = b"\x00\x04MQTT\x04\x02\x00\x00" + struct.pack(">H", len(client)) + client
    link.sendall(b"\x10" + bytes([len(body)]) + body)
    assert link.recv(4) == b"\x20\x02\x00\x00", "The broker refused the load generator."
    link.setblocking(False)
    return link


def run(port: int, rate: int, seconds: int, sensors: int, per: int) -> None:
    """Publish, and print how many were sent and how many the broker acknowledged."""
    targets, count = Targets(sensors, per), rate * seconds
    # Packets are made for a start some way ahead, so that making them costs nothing while they are sent.
    start_ns = time.time_ns() + int((2 + count * (30e-6 + per * 4e-6)) * NS)
    packets = [
        publish_packet(
            topic_of(k % sensors),
            targets.payload(k % sensors, k, k / rate, start_ns + k * NS // rate),
            k % 65_535 + 1,
        )
        for k in range(count)
    ]
    link = connect(port)
    if time.time_ns() > start_ns:
        print("late", file=sys.stderr)
    time.sleep(max(0.0, (start_ns - time.time_ns()) / NS))
    began, sent, acknowledged, rest = time.monotonic(), 0, 0, b""
    while acknowledged < count and time.monotonic() - began < 3 * seconds + 30:
        due = min(count, int((time.monotonic() - began) * rate))
        if sent < due:
            data = b"".join(packets[sent:due])
            link.setblocking(True)
            link.sendall(data)
            link.setblocking(False)
            sent = due
        with contextlib.suppress(BlockingIOError):
            rest += link.recv(1 << 20)
        whole = len(rest) // 4
        acknowledged, rest = acknowledged + whole, rest[whole * 4 :]
        time.sleep(PACE_S)
    print(
        json.dumps(
            {"sent": sent, "acknowledged": acknowledged, "took_s": time.monotonic() - began, "start_ns": start_ns}
        )
    )


if __name__ == "__main__":
    run(*map(int, sys.argv[1:6]))
