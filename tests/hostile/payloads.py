"""Seeded hostile messages of every format: what equipment sends, mutated as attackers, broken devices and careless bridges do.

One seed gives one sequence, and each message is made on its own, so any part of a sequence can be had again.
"""

import base64
import gzip
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from model.time import NS, iso_from_ns
from sensors.catalogue import Catalogue
from tests.hostile.jpegs import crafted

LARGEST = 1_200_000  # bytes of a payload
BULK_SHARE = 0.002  # of messages that may become large
GROWTH, BULK_GROWTH = 100, 100_000  # by how much one message's mutations may make it longer, all together


def raw(text: str | bytes) -> msgspec.Raw:
    """A value that is written as it stands, valid JSON or not."""
    return msgspec.Raw(text.encode() if isinstance(text, str) else text)


NUMBERS: tuple[Any, ...] = (
    *(0, -1, 1, 2, 90, 180, -180, 359.99, 360, 0.1, 1e5, 1e6, 1e200, -1e308, 5e-324, 2**31, 2**53 + 1, 2**63 - 1),
    *(raw(str(number)) for number in (2**63, 2**64, -(2**64), 10**26, -(10**40))),
    *(raw(token) for token in ("NaN", "Infinity", "-Infinity", "nan", "1e999", "-0", "-0.0", "0x10", "01", "1.", "+1")),
    *(raw("9" * digits) for digits in (20, 400, 5_000)),
    raw("0." + "0" * 400 + "1"),
    raw("1e-99999999999999999999"),
)
TEXTS: tuple[Any, ...] = (
    *("", "a", "\0", "ñ" * 40, "💥" * 20, "../../x", "' OR 1=1", "TST0001", "\r\nx: y", "1e5", "NaN", "٣", "null"),
    *("\u202e", "x" * 65, "x" * 257, "e\u0301" * 20, "31.34", "31,34", "N31 20 24", "0", "true", "<b>x</b>", "=1+1"),
    *(raw(token) for token in (r'"\ud800"', r'"\udc00\ud800"', r'"\u0000"', b'"\xff\xfe"', b'"\xed\xa0\x80"', r'"\x"')),
)
KEYS = (
    *("latitude", "lattitude", "lat ", "Time", "timestamp", "ts", "_type", "detections", "class", "pixel", "lat", "id"),
    *("", "x" * 500, "\u202e", "\0", "__class__", "detections ", "time\u0301", "plate", "source_id", "object", "after"),
)
TIMES: tuple[Any, ...] = (
    *(
        "2026-13-40T99:99:99Z",
        "0000-00-00T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "1970-01-01T00:00:00Z",
        "now",
        "2026-11-20",
    ),
    *(
        "2026-11-18T11:06:44",
        "2026-11-18 11:06:44Z",
        "2026-11-18T11:06:60Z",
        "2026-11-18T24:00:00Z",
        "2026-W47-3T11:06Z",
    ),
    *(
        "2026-11-18T11:06:44+14:00",
        "2026-11-18T11:06:44-00:00",
        "2026-11-18T11:06:44+23:59",
        "2026-11-18T11:06:44+99:99",
    ),
    *(
        "2026-11-18T11:06:44,5Z",
        "2026-11-18T11:06:44." + "9" * 40 + "Z",
        "20261118T110644Z",
        "2026-11-18T11:06:44 MST",
        "-1",
    ),
    *("1795000000", "18/11/2026 11:06", "Wed, 18 Nov 2026 11:06:44 GMT", "２０２６-11-18T11:06:44Z", ""),
    *(
        0,
        -1,
        1,
        1795000000,
        1795000000000,
        1795000000000000,
        1795000000000000000,
        -1795000000000,
        253402300800000,
        1e14,
    ),
    *(1.5, 9.9e13, -1e14, 1e11, raw("1795000000000.0000000001"), None, True, [2026, 11, 18, 11, 6, 44], {"$date": 1}),
)
TIME_KEYS = ("time", "epoch_time", "epoch_start", "epoch_end", "frame_time", "timestamp", "gwTime", "nsTime", "tst")
SCALES = (1000, 0.001, -1, 57.2957795, 1 / 57.2957795, 1e7, 1e-7, 3.28084, 3.6, 1e12, 100, 0.01)  # careless units


@dataclass(frozen=True)
class Sent:
    topic: str
    payload: bytes
    retained: bool = False


class Chance(random.Random):
    """The chance of one message, with how much longer its mutations may still make it."""

    def __init__(self, seed: str) -> None:
        super().__init__(seed)
        self.growth = BULK_GROWTH if self.random() < BULK_SHARE else GROWTH

    def times(self, *factors: int) -> int:
        """One of these factors, within what growth is left; the product of all stays below it."""
        factor = max(min(self.choice(factors), self.growth), 1)
        self.growth //= factor
        return factor


class Fuzz:
    """Hostile messages as of sensors of a catalogue, of nobody, and of units."""

    def __init__(
        self, catalogue: Catalogue, seed: int, sensors: list[str] | None = None, units_share: float = 0.05
    ) -> None:
        """`sensors` are ids of those whose topics and names it uses; all of them by default."""
        self._seed, self._units_share = seed, units_share
        self._sensors = [s for s in catalogue.sensors if sensors is None or s.id in sensors]
        self._feeds = {feed.id: feed for feed in catalogue.feeds}
        self._cots = [feed for feed in catalogue.feeds if feed.format == "cot"]
        self._gateways = [feed for feed in catalogue.feeds if feed.format == "chirpstack-gateway"]

    def message(self, number: int, now_ns: int) -> Sent:
        """The message of this number, with times about `now_ns`."""
        chance = Chance(f"{self._seed}/{number}")
        topic, content = self._ordinary(chance, now_ns)
        if isinstance(content, bytes):
            payload = content
        else:
            for _ in range(chance.choice((0, 1, 1, 1, 2, 3, 8))):
                content = _mutated(chance, content)
            payload = _encoded(chance, content)
        if chance.random() < 0.12:
            payload = _damaged(chance, payload)
        if chance.random() < 0.1:
            topic = _mistaken(chance, topic)
        return Sent(topic, payload[:LARGEST], chance.random() < 0.03)

    def _ordinary(self, chance: Chance, now_ns: int) -> tuple[str, Any]:
        """A message as the equipment itself would send it, or one of a TAK server or patrol."""
        if chance.random() < self._units_share:
            return self._unit(chance, now_ns)
        if self._gateways and chance.random() < 0.02:
            return _gateway(chance, self._gateways[0].topic)
        sensor = chance.choice(self._sensors)
        feed = self._feeds[sensor.feed]
        at_ns = now_ns - chance.choice((0, 0, 0, 1, 5, 29, 31, 4000, -4, -60)) * NS // 2
        return FORMATS[feed.format](chance, feed.topic, sensor.source, at_ns)

    def _unit(self, chance: Chance, now_ns: int) -> tuple[str, Any]:
        if self._cots and chance.random() < 0.5:
            return f"{self._cots[0].topic}/bridge", _cot(chance, now_ns)
        place = {"lat": 31.34, "lon": -110.9, "sigma_m": 8, "course_deg": 3, "speed_mps": 1}
        content = place | {"time": iso_from_ns(now_ns), "name": "x"}
        return f"{self._feeds['native'].topic}/units/fuzz-{chance.randrange(50)}", content


# ── what equipment sends ─────────────────────────────────────────────────────────────────────────


def _native(chance: Chance, topic: str, source: str, at_ns: int) -> tuple[str, Any]:
    if chance.random() < 0.1:
        condition = {"online": chance.random() < 0.9, "battery": chance.random(), "tampered": False}
        return f"{topic}/health/{source}", condition
    time = chance.choice((iso_from_ns(at_ns), at_ns // 1_000_000))
    if chance.random() < 0.5:
        members = [_native_member(chance) for _ in range(chance.choice((0, 1, 2, 5, 40)))]
        return f"{topic}/detections/{source}", {"time": time, "detections": members}
    timed = {"time": time} if chance.random() < 0.9 else {}
    return f"{topic}/detections/{source}", _native_member(chance) | timed


def _native_member(chance: Chance) -> dict[str, Any]:
    bearing: dict[str, Any] = {"bearing_deg": chance.uniform(0, 360)}
    near = {"lat": 31.34 + chance.uniform(-0.1, 0.1), "lon": -110.6 + chance.uniform(-0.1, 0.1)}
    places: tuple[dict[str, Any], ...] = (
        bearing | {"range_m": chance.uniform(1, 300), "bearing_sigma_deg": 1, "range_sigma_m": 5},
        bearing,
        {"pixel": [chance.randrange(640), chance.randrange(480)]},
        near | {"sigma_m": 5},
        near | {"covariance_m2": [[4, 1], [1, 9]]},
        {},
    )
    marks: tuple[dict[str, Any], ...] = (
        {"class": "person", "confidence": 0.8},
        {"class": {"person": 0.7, "animal": 0.2}},
        {"source_id": chance.randrange(9), "class": "car"},
        {"plate": "TST0001", "plate_candidates": {"TST0001": 0.7, "TST0O01": 0.2}},
        {"course_deg": 90, "speed_mps": 3, "id": chance.randrange(1000)},
        {},
    )
    return chance.choice(places) | chance.choice(marks)


def _frigate(chance: Chance, topic: str, source: str, at_ns: int) -> tuple[str, Any]:
    at_s = at_ns / NS
    kind = chance.randrange(12)
    if kind == 0:
        update = {"type": "lpr", "id": "1.1-x", "camera": source, "plate": "TST0001", "score": 0.9, "timestamp": at_s}
        return f"{topic}/tracked_object_update", update
    if kind == 1:
        review = {"type": "new", "before": {}, "after": {"id": "1", "camera": source, "severity": "alert"}}
        return f"{topic}/reviews", review
    if kind == 2:
        return f"{topic}/{source}/status/detect", chance.choice((b"online", b'"online"', b"", b"\x00"))
    if kind == 3:
        jpeg = crafted(*chance.choice(((64, 48), (640, 480), (1, 1), (65535, 65535))), chance.choice((1, 10, 40)))
        return f"{topic}/{source}/person/snapshot", chance.choice((jpeg, jpeg[:-40], b"\x89PNG", b""))
    x, y = chance.randrange(1280), chance.randrange(720)
    seen = {
        "id": f"{at_s}-{chance.randrange(40)}",
        "camera": source,
        "frame_time": at_s,
        "label": chance.choice(("person", "car", "dog", "umbrella", "persn")),
        "sub_label": chance.choice((None, "x", ["x", 0.8])),
        "top_score": 0.9,
        "false_positive": chance.random() < 0.1,
        "score": 0.8,
        "box": [x, y, x + 40, y + 90],
        "stationary": False,
        "recognized_license_plate": chance.choice((None, "TST0001", ["TST0001", 0.9])),
        "path_data": [[[0.5, 0.9], at_s - 1], [[0.51, 0.9], at_s]],
    }
    return f"{topic}/events", {"type": chance.choice(("new", "update", "end")), "before": seen, "after": seen}


def _chirpstack(chance: Chance, topic: str, source: str, at_ns: int) -> tuple[str, Any]:
    events = ("up", "up", "up", "status", "join", "ack", "txack", "log", "location", "integration", "other")
    event = chance.choice(events)
    contents: dict[str, dict[str, Any]] = {
        "status": {"deviceInfo": {"devEui": source}, "batteryLevel": 80.0, "margin": 10},
        "log": {"deviceInfo": {"devEui": source}, "level": "ERROR", "code": "UPLINK_CODEC", "description": "x"},
    }
    uplink = {
        "deduplicationId": f"{chance.randrange(10**6)}",
        "time": iso_from_ns(at_ns),
        "deviceInfo": {"tenantName": "t", "deviceName": "d", "devEui": source},
        "fPort": 85,
        "data": "AQIDBA==",
        "object": {
            "pir": chance.choice((1, "trigger", 0)),
            "battery": 80,
            "seismic": {"energy": 55},
            "status": {"lid_open": True, "battery_mv": 3300},
        },
        "rxInfo": [{"gatewayId": "1", "gwTime": iso_from_ns(at_ns), "rssi": -57, "snr": 10}],
        "txInfo": {"frequency": 868100000},
    }
    return f"{topic}/1/device/{source}/event/{event}", contents.get(event, uplink)


def _openalpr(chance: Chance, topic: str, source: str, at_ns: int) -> tuple[str, Any]:
    at_ms = at_ns // 1_000_000
    plate = {
        "plate": "TST0002",
        "confidence": 92.5,
        "candidates": [{"plate": "TST0O02", "confidence": 80.0}],
        "coordinates": [{"x": 1, "y": 2}],
    }
    best = f"u{chance.randrange(10**6)}"
    group = {
        "data_type": "alpr_group",
        "epoch_start": at_ms - 900,
        "epoch_end": at_ms,
        "camera_id": source,
        "agent_uid": "AGENT",
        "uuids": [best],
        "best_uuid": best,
        "best_confidence": 92.5,
        "best_plate_number": "TST0002",
        "best_plate": plate,
    }
    results = {"data_type": "alpr_results", "epoch_time": at_ms, "camera_id": source, "uuid": best, "results": [plate]}
    beat = {"data_type": "heartbeat", "agent_uid": "AGENT", "video_streams": [{"camera_id": source, "is_streaming": 1}]}
    alert = {"data_type": "alpr_alert", "camera_number": source, "group": group}
    return topic, chance.choice((group, group, results, results, beat, alert, {"plate": "TST0001", "score": 0.9}))


def _gateway(chance: Chance, topic: str) -> tuple[str, Any]:
    name = f"{chance.randrange(50):016x}"
    as_protobuf = b"\x0a\x10" + name.encode() + chance.choice((b"\x10\x01", b"", b"\x10\x80\x01", b"\xff\xff"))
    return f"{topic}/{name}/state/conn", chance.choice(({"gatewayId": name, "state": "ONLINE"}, {}, as_protobuf))


def _cot(chance: Chance, at_ns: int) -> bytes:
    numbers = ("31.34", "31.34", "nan", "1e999", "-inf", "", "٣", "9999999", "x" * 500, "0x1p3", "1_0")
    heads = (
        "",
        '<?xml version="1.0"?>',
        '<?xml version="1.0" encoding="foo"?>',
        '<!DOCTYPE a [<!ENTITY b "c">]>',
        " " * 3000,
    )
    head, kind = chance.choice(heads), chance.choice(("a-f-G-U-C", "a-f-G-U-C", "a-h-G", "b-m-p", "", "t-x-c-t"))
    lat, ce, course, speed = (chance.choice(numbers) for _ in range(4))
    depth = chance.times(1, 1, 1, 50, 5_000)
    times = (iso_from_ns(at_ns), str(chance.choice(TIMES[:24])), iso_from_ns(at_ns + 60 * NS))
    text = (
        f'{head}<event version="2.0" uid="FUZZ-{chance.randrange(50)}" type="{kind}" time="{chance.choice(times)}" '
        f'start="{times[0]}" stale="{times[2]}"><point lat="{lat}" lon="-110.9" ce="{ce}"/>'
        f'<detail><contact callsign="X"/><track course="{course}" speed="{speed}"/>{"<a>" * depth}{"</a>" * depth}'
        "</detail></event>"
    )
    return text.encode(chance.choice(("utf-8", "utf-8", "utf-16", "utf-16-be", "utf-32")))


FORMATS: dict[str, Callable[[Chance, str, str, int], tuple[str, Any]]] = {
    "native": _native,
    "frigate": _frigate,
    "chirpstack": _chirpstack,
    "openalpr": _openalpr,
}


# ── mutations ────────────────────────────────────────────────────────────────────────────────────


def _leaf(chance: Chance) -> Any:
    match chance.randrange(8):
        case 0 | 1 | 2:
            return chance.choice(NUMBERS)
        case 3 | 4:
            return chance.choice(TEXTS)
        case 5:
            return chance.choice((None, True, False, [], {}, [[]], {"a": {}}, chance.choice(TIMES)))
        case 6:
            depth = chance.times(5, 200, 20_000)
            return raw("[" * depth + "]" * depth)
        case _:
            return _bulk(chance)


def _bulk(chance: Chance) -> Any:
    """Much of one thing."""
    count = chance.times(1, 3, 70, 1_000, 100_000)
    match chance.randrange(5):
        case 0:
            return [chance.choice(NUMBERS)] * count
        case 1:
            return "x" * count
        case 2:
            return {f"k{number}": 0.1 for number in range(count)}
        case 3:
            return {"k" * count: 1}
        case _:
            return [{}] * count


def _mutated(chance: Chance, content: Any) -> Any:
    """One thing about it changed, somewhere inside."""
    if isinstance(content, dict) and content and chance.random() < 0.85:
        return _mutated_object(chance, dict(content))
    if isinstance(content, list) and content and chance.random() < 0.9:
        at = chance.randrange(len(content))
        return [*content[:at], _mutated(chance, content[at]), *content[at + 1 :]]
    return _leaf(chance)


def _mutated_object(chance: Chance, content: dict[str, Any]) -> dict[str, Any]:
    key = chance.choice(list(content))
    value = content[key]
    kind = chance.randrange(10)
    if key in TIME_KEYS and chance.random() < 0.7:
        content[key] = chance.choice(TIMES)
    elif kind == 0:
        del content[key]
    elif kind == 1:
        content[chance.choice(KEYS)] = content.pop(key)
    elif kind == 2:
        content[chance.choice(KEYS)] = _leaf(chance)
    elif kind == 3 and type(value) in (int, float):
        content[key] = float(value) * chance.choice(SCALES)
    elif kind == 4 and isinstance(value, list) and value:
        content[key] = value * chance.times(2, 5, 100, 3_000, 100_000)
    elif kind == 5 and isinstance(value, list | dict | str):
        content[key] = chance.choice(([value], {"value": value}, str(value)[:200]))
    elif kind == 6 and "lat" in content and "lon" in content:
        content["lat"], content["lon"] = content["lon"], content["lat"]
    elif kind < 9 and isinstance(value, dict | list):
        content[key] = _mutated(chance, value)
    else:
        content[key] = _leaf(chance)
    return content


def _encoded(chance: Chance, content: Any) -> bytes:
    payload = msgspec.json.encode(content)
    if chance.random() < 0.05 and payload.startswith(b"{") and len(payload) > 2:
        return payload[:-1] + b"," + payload[1:]  # every key twice
    return payload


def _damaged(chance: Chance, payload: bytes) -> bytes:
    at = chance.randrange(len(payload) + 1)
    match chance.randrange(12):
        case 0:
            return payload[:at]
        case 1:
            return payload[:at] + chance.randbytes(chance.choice((1, 4, 100))) + payload[at:]
        case 2:
            return chance.randbytes(chance.choice((0, 1, 50, 2_000)))
        case 3:
            return payload.decode("utf-8", "replace").encode(
                chance.choice(("utf-16", "utf-16-le", "utf-32", "utf-32-be"))
            )
        case 4:
            return chance.choice((b"\n", b"", b",")).join([payload] * 2)
        case 5:
            return bytes(byte ^ (1 << chance.randrange(8) if chance.random() < 0.02 else 0) for byte in payload[:2_000])
        case 6:
            return chance.choice((b"\xef\xbb\xbf", b"\x00", b")]}',\n", b"data: ", b"/* x */", b"\xa7")) + payload
        case 7:
            return chance.choice(
                (gzip.compress(payload[:5_000], 1), base64.b64encode(payload), msgspec.json.encode(payload))
            )
        case 8:
            return bytes((0x08, 0x96, 0x01, 0x12, len(payload) % 128)) + payload  # protobuf: a number, then bytes
        case 9:
            return b"\xa2\x64time\x1b" + chance.randbytes(8) + b"\x66object" + payload  # CBOR: a map of two
        case 10:
            return payload.replace(b'"', b"'") if at % 2 else payload.replace(b":", b"=").replace(b",", b"&")
        case _:
            return _flood(chance)


def _flood(chance: Chance) -> bytes:
    """Much of next to nothing, at the top of the message."""
    count = chance.times(1, 30, 20_000, 100_000)
    return chance.choice(
        (
            b'{"detections":[' + b"{}," * count + b"{}]}",
            b"[" * count,
            b" " * count * 10,
            b'{"a":' * count,
            b'{"k":1,' + b'"k":1,' * count + b'"k":1}',
            b'{"' + b"\\u0041" * count + b'":1}',
        )
    )


def _mistaken(chance: Chance, topic: str) -> str:
    """A topic that is not quite the right one. It holds no wildcard and no NUL: no broker takes those."""
    levels = topic.split("/")
    match chance.randrange(6):
        case 0:
            levels[-1] = f"nobody-{chance.randrange(10**6)}"
        case 1:
            levels.append(chance.choice(("x", "", "y" * 2_000)))
        case 2:
            words = ("detections", "units", "health", "event", "events", "snapshot", "é", " ", "", "\u202e", "💥" * 60)
            levels[chance.randrange(1, len(levels)) if len(levels) > 1 else 0] = chance.choice(words)
        case 3:
            levels = levels[: chance.randrange(len(levels) + 1)] or ["/"]
        case 4:
            levels = [level.upper() for level in levels]
        case _:
            levels = ["$marchwarden", chance.choice(("action", "service", "fault", "x"))]
    return "/".join(levels) or "/"
