"""Decoding: from messages to readings. Bytes in, values out; every message leaves a trace, whatever it was.

This file finds each message's feed and holds what all formats share: size, retained and repeated messages, and the checks
that need no knowledge of the vendor. How a format reads lives in `formats/`.
"""

from collections.abc import Callable
from types import ModuleType
from weakref import WeakKeyDictionary

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.messages import TOO_LARGE_MARK, Messages
from model.rejections import Reason, Rejection
from sensors.catalogue import Catalogue, Feed, Limits
from sensors.formats import chirpstack, cot, frigate, native, openalpr
from sensors.formats.common import Rows
from sensors.readings import Decoded, Place, Readings
from sensors.repeats import Seen, recognise

FORMATS: dict[str, ModuleType] = {
    "native": native,
    "frigate": frigate,
    "chirpstack": chirpstack,
    "openalpr": openalpr,
    "cot": cot,
}
INTERNAL = "$marchwarden/"
Route = tuple[Feed, Callable[..., None]] | None

# Where each topic leads, found once for each catalogue. Topics are the senders' to choose, so there is a bound.
_ROUTES: WeakKeyDictionary[Catalogue, dict[str, Route]] = WeakKeyDictionary()
ROUTES_MAX = 200_000

CHECKS = {
    Reason.NOT_FINITE: "A number is NaN or infinite.",
    Reason.OUT_OF_RANGE: "A number is beyond what can be: a latitude over 90, a negative σ, a confidence over 1.",
    Reason.IN_THE_FUTURE: "Observed after it was received; check the sensor's clock and time zone.",
    Reason.TOO_OLD: "Observed too long before it was received; check the sensor's clock and time zone.",
    Reason.REPEATED: "The same message again.",
}
REFUSED = tuple(CHECKS)


def decode(catalogue: Catalogue, seen: Seen, messages: Messages) -> tuple[Seen, Decoded]:
    """What the messages say, and the memory of repeats after them."""
    rows = Rows(catalogue)
    routes = _ROUTES.setdefault(catalogue, {})
    if len(routes) > ROUTES_MAX:
        routes.clear()
    retained = messages.retained.tolist()
    for number, (topic, payload, received_ns) in enumerate(
        zip(messages.topics, messages.payloads, messages.received_ns.tolist(), strict=True)
    ):
        if topic not in routes:
            routes[topic] = _route(catalogue, topic)
        rows.at(number, received_ns, topic)
        route = routes[topic]
        if route is None:
            if not topic.startswith(INTERNAL):
                rows.reject(Reason.UNKNOWN_TOPIC, f"No feed reads topic {topic[:100]!r}.")
            continue
        _read(route, catalogue.limits, topic, payload, retained[number], rows)
    return _checked(catalogue.limits, seen, rows)


def _route(catalogue: Catalogue, topic: str) -> Route:
    for feed in catalogue.feeds:
        if topic == feed.topic or topic.startswith(feed.topic + "/"):
            return feed, FORMATS[feed.format].read
    return None


def _read(
    route: tuple[Feed, Callable[..., None]], limits: Limits, topic: str, payload: bytes, retained: bool, rows: Rows
) -> None:
    feed, read = route
    if len(payload) > limits.payload_bytes_max or payload.startswith(TOO_LARGE_MARK):
        rows.reject(Reason.TOO_LARGE, f"Above {limits.payload_bytes_max:,} bytes.")
        return
    before = rows.count()
    if retained:
        if feed.format == "frigate" and frigate.is_state(feed, topic):
            read(feed, topic, payload, rows)
        else:
            rows.reject(Reason.RETAINED, "A retained message is what was, not news.")
        return
    try:
        read(feed, topic, payload, rows)
    except msgspec.ValidationError as error:
        rows.reject(Reason.OUT_OF_RANGE if "out of range" in str(error) else Reason.WRONG_SHAPE, f"{error}.")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        number = any(word in payload[:10_000] for word in (b"NaN", b"Infinity"))
        rows.reject(Reason.NOT_FINITE if number else Reason.NOT_JSON, f"{type(error).__name__}: {error}."[:200])
    except (ValueError, OverflowError) as error:
        rows.reject(Reason.WRONG_SHAPE, f"{error}"[:200])
    if rows.count() == before:
        rows.reject(Reason.NO_DETECTION, "Understood; there is nothing in it to detect.")


def _checked(limits: Limits, seen: Seen, rows: Rows) -> tuple[Seen, Decoded]:
    """The rows that pass every check, with a rejection for each that doesn't."""
    decoded = rows.decoded()
    readings = decoded.readings
    why = np.zeros(len(readings), np.int8)  # 0: nothing is wrong; else one more than the place in REFUSED
    finite, possible = _sound(readings)
    ahead = readings.observed_ns - readings.received_ns
    for where, reason in (
        (~finite, Reason.NOT_FINITE),
        (~possible, Reason.OUT_OF_RANGE),
        (ahead > limits.ahead_ns_max, Reason.IN_THE_FUTURE),
        (-ahead > limits.age_ns_max, Reason.TOO_OLD),
    ):
        why[where & (why == 0)] = 1 + REFUSED.index(reason)
    good = np.flatnonzero(why == 0)
    seen, repeated = recognise(
        seen, np.array(rows.keys(), np.uint64)[good], readings.received_ns[good], limits.repeat_ns
    )
    why[good[repeated]] = 1 + REFUSED.index(Reason.REPEATED)
    bad = np.flatnonzero(why)
    sensors = rows.catalogue.sensors
    rejections = tuple(
        Rejection(
            int(readings.received_ns[i]),
            sensors[readings.sensor[i]].feed,
            REFUSED[why[i] - 1],
            CHECKS[REFUSED[why[i] - 1]],
            sensors[readings.sensor[i]].id,
        )
        for i in bad
    )
    known = decoded.looks.observed_ns - decoded.looks.received_ns
    kept = readings.take(why == 0) if len(bad) else readings
    tokens = set(kept.plate[kept.plate != 0].tolist())
    return seen, Decoded(
        kept,
        decoded.looks.take((known <= limits.ahead_ns_max) & (-known <= limits.age_ns_max)),
        decoded.signs,
        (*decoded.rejections, *rejections),
        tuple(plate for plate in decoded.plates if plate.token in tokens),  # of what is rejected nothing is sealed
        decoded.units,
        decoded.pictures,
    )


def _sound(readings: Readings) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(n,) are all numbers that matter finite, and (n,) are they possible."""
    at, spread = readings.where, readings.spread
    said = readings.place
    has_first = said != Place.OWN
    has_second = has_first & (said != Place.BEARING)
    finite = np.where(has_first, np.isfinite(at[:, 0]), True) & np.where(has_second, np.isfinite(at[:, 1]), True)
    finite &= np.isfinite(readings.confidence) & ~np.isinf(spread).any(axis=1)
    finite &= np.isfinite(readings.class_likelihood).all(axis=1)
    wgs84 = said == Place.WGS84
    with np.errstate(invalid="ignore"):
        possible = ~wgs84 | ((np.abs(at[:, 0]) <= 90) & (np.abs(at[:, 1]) <= 180))
        possible &= (
            ~wgs84
            | np.isnan(spread[:, 0])
            | (
                (spread[:, 0] > 0)
                & (spread[:, 2] > 0)
                & (spread[:, 0] * spread[:, 2] > spread[:, 1] ** 2)
                & (spread[:, 0] < 1e10)
                & (spread[:, 2] < 1e10)
            )
        )
        ranged = (said == Place.RANGE) | (said == Place.BEARING)
        possible &= ~ranged | (
            (np.abs(at[:, 0]) <= 720) & ~(at[:, 1] < 0) & ~(spread[:, 0] <= 0) & ~(spread[:, 1] <= 0)
        )
        possible &= (said != Place.PIXEL) | (np.abs(at).max(axis=1, initial=0) < 1e6)
    possible &= (readings.confidence >= 0) & (readings.confidence <= 1)
    possible &= (readings.class_likelihood >= 0).all(axis=1)
    return finite, possible
