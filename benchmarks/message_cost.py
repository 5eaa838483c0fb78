"""What the costliest messages cost to decode, and whether any vanishes. `python -m benchmarks.message_cost [MESSAGES]`.

First a table: messages of 64 kB, each with as much as fits of one thing that a decoder has to look at one by one. Then so many
messages of a second fuzz, which knows nothing of formats: bytes as equipment sends them are cut, spliced and repeated, and what a
decoder answers in a new way is mutated further. Neither may find a message that leaves nothing, one that a decoder fails on, or
one above 50 ms.
"""

import random
import re
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import NamedTuple

import numpy as np

from model.messages import Aside, Messages
from model.time import NS, iso_from_ns
from sensors.catalogue import Catalogue, Feed
from sensors.decode import decode
from sensors.intake import Intake
from sensors.readings import Decoded
from sensors.repeats import Seen
from tests.builders import decoded, shipped_world

NOW_NS = 1_795_000_000 * NS
TIME = iso_from_ns(NOW_NS).encode()
LONGEST, MOST_S = 64_000, 0.05
RADAR, EUI = "marchwarden/san-rafael/detections/radar-west", "24e124535b300001"
FRAME = b'{"time":"' + TIME + b'","detections":['
RESULTS = b'{"data_type":"alpr_results","camera_id":"1001","epoch_time":1795000000000,"results":['
GROUP = b'{"data_type":"alpr_group","camera_id":"1001","epoch_end":1795000000000,'
EVENT = b'<event uid="a" type="a-f" time="' + TIME + b'"'
UPLINK = b'{"deduplicationId":"1","deviceInfo":{"devEui":"' + EUI.encode() + b'"},'


def filled(head: bytes, piece: Callable[[int], bytes], tail: bytes, between: bytes = b",") -> bytes:
    """As many pieces as fit."""
    pieces, size = [], len(head) + len(tail)
    for number in count():
        pieces.append(piece(number))
        size += len(pieces[-1]) + len(between)
        if size > LONGEST:
            return head + between.join(pieces[:-1]) + tail
    raise AssertionError


CASES: dict[str, tuple[str, bytes]] = {
    "native, empty members": (RADAR, filled(FRAME, lambda _: b"{}", b"]}")),
    "native, unknown classes": (RADAR, filled(FRAME, lambda k: b'{"class":"c%d"}' % k, b"]}")),
    "native, unknown class shares": (
        RADAR,
        filled(FRAME, lambda k: b'{"class":{"c%d":0.1,"d%d":0.2}}' % (k, k), b"]}"),
    ),
    "native, unknown fields": (RADAR, filled(FRAME, lambda k: b'{"class":"car","a%d":1,"b%d":1}' % (k, k), b"]}")),
    "native, wrong members": (RADAR, filled(FRAME, lambda k: b'{"lat":"x%d"}' % k, b"]}")),
    "native, times of members": (RADAR, filled(FRAME, lambda _: b'{"class":"car","time":"' + TIME + b'"}', b"]}")),
    "native, plates": (RADAR, filled(FRAME, lambda k: b'{"plate":"P%d"}' % k, b"]}")),
    "native, candidates of a plate": (
        RADAR,
        filled(b'{"plate":"A1","plate_candidates":{', lambda k: b'"Q%d":1' % k, b"}}"),
    ),
    "native, nesting": (RADAR, b"[" * LONGEST),
    "native, a long number": (RADAR, b'{"lat":' + b"9" * (LONGEST - 20) + b',"lon":1}'),
    "openalpr, results without an id": ("openalpr", filled(RESULTS, lambda k: b'{"plate":"A%d"}' % k, b"]}")),
    "openalpr, empty results": ("openalpr", filled(RESULTS, lambda _: b"{}", b"]}")),
    "openalpr, candidates": (
        "openalpr",
        filled(GROUP + b'"best_plate":{"plate":"B","candidates":[', lambda k: b'{"plate":"A%d"}' % k, b"]}}"),
    ),
    "frigate, a long event": (
        "frigate/events",
        filled(
            b'{"type":"new","after":{"id":"1","camera":"west_1","path_data":[', lambda _: b"[[0.5,0.5],1.0]", b"]}}"
        ),
    ),
    "frigate, segments of a picture": ("frigate/west_1/person/snapshot", b"\xff\xd8" + b"\xff\xe1\x00\x02" * 15_000),
    "chirpstack, gateways": (
        f"application/1/device/{EUI}/event/up",
        filled(UPLINK + b'"object":{},"rxInfo":[', lambda _: b'{"gwTime":"' + TIME + b'"}', b"]}"),
    ),
    "chirpstack, a deep object": (
        f"application/1/device/{EUI}/event/up",
        UPLINK + b'"object":' + b'{"a":' * 900 + b"1" + b"}" * 901,
    ),
    "cot, attributes": (
        "cot/x",
        filled(EVENT, lambda k: b' a%d="1"' % k, b'><point lat="31" lon="-110"/></event>', b""),
    ),
    "cot, nesting": ("cot/x", EVENT + b"><detail>" + b"<a>" * 9_000 + b"</a>" * 9_000 + b"</detail></event>"),
}
SEEDS: tuple[tuple[str, bytes], ...] = (
    (
        RADAR,
        FRAME + b'{"lat":31.3,"lon":-110.6,"sigma_m":3,"class":"person","id":"7"},{"bearing_deg":4,"range_m":50}]}',
    ),
    (RADAR, b'{"time":1795000000000,"lat":31.3,"lon":-110.6,"covariance_m2":[[4,1],[1,4]],"class":{"person":0.5}}'),
    (RADAR.replace("detections", "health"), b'{"online":true,"battery":0.5,"tampered":false}'),
    ("marchwarden/san-rafael/units/ranger-2", b'{"time":1795000000000,"lat":31.3,"lon":-110.6,"sigma_m":4}'),
    (
        "frigate/events",
        b'{"type":"update","before":null,"after":{"id":"1-a","camera":"west_1","frame_time":1795000000.08,"label":"person",'
        b'"sub_label":["x",0.5],"score":0.87,"box":[432,496,544,854],"recognized_license_plate":["AB1",0.9]}}',
    ),
    (
        "frigate/tracked_object_update",
        b'{"type":"lpr","id":"1-a","camera":"west_1","plate":"AB1","timestamp":1795000000.1}',
    ),
    ("frigate/west_1/status/detect", b"online"),
    (
        f"application/1/device/{EUI}/event/up",
        UPLINK + b'"time":"2026-11-18T11:06:40Z","object":{"pir":"trigger","battery":80},"rxInfo":[{"rssi":-70}]}',
    ),
    (f"application/1/device/{EUI}/event/log", UPLINK + b'"level":"ERROR","code":"UPLINK_CODEC"}'),
    ("openalpr", GROUP + b'"uuids":["v-1"],"best_plate":{"plate":"A1","candidates":[{"plate":"A1","confidence":92}]}}'),
    ("openalpr", RESULTS + b'{"plate":"A1","confidence":90}]}'),
    ("openalpr", b'{"data_type":"heartbeat","video_streams":[{"camera_id":1001,"is_streaming":true}]}'),
    (
        "cot/x",
        EVENT + b'><point lat="31.3" lon="-110.6" ce="5"/><detail><track course="1" speed="2"/></detail></event>',
    ),
    ("us915/gateway/24e124fffef79304/state/conn", b'{"gatewayId":"24e124fffef79304","state":"ONLINE"}'),
)
TOKENS = (
    *(b"null", b"true", b"{}", b"[]", b'""', b"0", b"-1", b"1e308", b"NaN", b"9" * 20, b"[[]]", b'{"a":1}', b"\\u0000"),
    *(b"\xff", b"\x00", b",", b":", b'"', b'"detections":[]', b'"time":0', b'"results":[]', b'"plate":" "', b"&amp;"),
)
FIGURES = re.compile(r"[0-9]+|'[^']*'")


class Found(NamedTuple):
    """What the second fuzz found."""

    kinds_of_answer: int
    slowest_ms: float
    vanished: tuple[tuple[str, bytes], ...]
    failed: tuple[Aside, ...]


def main(messages: int = 50_000) -> None:
    catalogue = catalogue_of_all_formats()
    for cost_s, name, size, left in sorted((_case(catalogue, *case) for case in CASES.items()), reverse=True):
        print(f"{1000 * cost_s:8.1f} ms {size:8,} bytes  {name}: {left}{'  ABOVE' * (cost_s > MOST_S)}", flush=True)
    found = searched(catalogue, messages, 1)
    print(f"{messages:,} messages of the second fuzz: {found}")


def catalogue_of_all_formats() -> Catalogue:
    catalogue = shipped_world().catalogue
    more = (Feed("tak", "cot", "cot", ()), Feed("gateways", "chirpstack-gateway", "us915/gateway", ()))
    return replace(catalogue, feeds=(*catalogue.feeds, *more))


def _case(catalogue: Catalogue, name: str, message: tuple[str, bytes]) -> tuple[float, str, int, str]:
    costs = []
    for _ in range(3):
        began = time.process_time()
        heard = decoded(catalogue, _alone(message, NOW_NS))
        costs.append(time.process_time() - began)
    reasons = sorted({r.reason.value for r in heard.rejections})
    return min(costs), name, len(message[1]), f"{len(heard.readings)} rows, {', '.join(reasons) or 'nothing rejected'}"


def searched(catalogue: Catalogue, messages: int, seed: int) -> Found:
    """What a fuzz of bytes finds: messages that vanish, that a decoder fails on, and the slowest."""
    chance, corpus, kinds = random.Random(seed), list(SEEDS), set()
    seen, intake, now_ns = Seen.none(), Intake.initial(len(catalogue)), NOW_NS
    vanished: list[tuple[str, bytes]] = []
    failed: list[Aside] = []
    slowest_s = 0.0
    for _ in range(messages):
        topic, payload = chance.choice(corpus)
        for _ in range(chance.choice((1, 1, 2, 4))):
            payload = mutated(chance, payload, chance.choice(corpus)[1])
        now_ns += NS // 300
        before = time.process_time()
        seen, intake, heard = decode(catalogue, seen, intake, _alone((topic, payload[:LONGEST]), now_ns))
        slowest_s = max(slowest_s, time.process_time() - before)
        if not any(parts_of(heard)):
            vanished.append((topic, payload))
        failed += heard.aside
        reasons = sorted({(r.reason.value, FIGURES.sub("", r.detail)[:60]) for r in heard.rejections})
        kind = (topic[:12], *(min(n, 3) for n in parts_of(heard)), *reasons)
        if kind not in kinds:
            kinds.add(kind)
            corpus.append((topic, payload))
    return Found(len(kinds), round(1000 * slowest_s, 1), tuple(vanished), tuple(failed))


def parts_of(heard: Decoded) -> tuple[int, ...]:
    return (
        *(len(heard.readings), len(heard.looks), len(heard.signs)),
        *(len(heard.rejections), len(heard.units), len(heard.pictures)),
    )


def mutated(chance: random.Random, payload: bytes, other: bytes) -> bytes:
    """One thing done to the bytes, whatever they mean."""
    at = chance.randrange(len(payload) + 1)
    end = min(len(payload), at + chance.choice((1, 2, 4, 16, 64)))
    match chance.randrange(7):
        case 0:
            return payload[:at] + payload[end:]
        case 1:
            return payload[:at] + chance.choice(TOKENS) + payload[at:]
        case 2:
            return payload[:at] + chance.choice(TOKENS) + payload[end:]
        case 3:
            return payload[:at] + payload[at:end] * chance.choice((2, 8, 64)) + payload[end:]
        case 4:
            start = chance.randrange(len(other) + 1)
            return payload[:at] + other[start : start + chance.choice((4, 32, 128))] + payload[end:]
        case 5:
            return (
                payload[:at]
                + bytes(byte ^ (1 << chance.randrange(8)) for byte in payload[at : at + 1])
                + payload[at + 1 :]
            )
        case _:
            return payload[:at]


def _alone(message: tuple[str, bytes], now_ns: int) -> Messages:
    return Messages(np.array([now_ns]), (message[0],), (message[1],), np.zeros(1, np.bool_))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
