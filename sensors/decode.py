"""Decoding: from messages to readings. Bytes in, values out; every message leaves a trace, whatever it was.

This file finds each message's feed and holds what all formats share: size, retained and repeated messages, the checks that need
no knowledge of the vendor, and what becomes of a message that a decoder fails on. How a format reads lives in `formats/`.
"""

import traceback
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from weakref import WeakKeyDictionary

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.faults import FaultKind
from model.messages import TOO_LARGE_MARK, Aside, Messages
from model.rejections import Reason, Rejection, summed
from sensors.catalogue import Catalogue, Feed, Limits
from sensors.formats import chirpstack, chirpstack_gateway, cot, frigate, native, openalpr
from sensors.formats.bounds import Unusable, unusable_by
from sensors.formats.common import TIMES, Rows
from sensors.intake import Intake
from sensors.readings import Decoded, Place, Readings
from sensors.repeats import Seen, recognise

FORMATS: dict[str, ModuleType] = {
    "native": native,
    "frigate": frigate,
    "chirpstack": chirpstack,
    "chirpstack-gateway": chirpstack_gateway,
    "openalpr": openalpr,
    "cot": cot,
}
STATES = {
    "frigate": frigate.is_state,
    "chirpstack-gateway": chirpstack_gateway.is_state,
}  # formats that retain what is so now
INTERNAL = "$marchwarden/"
Route = tuple[Feed, Callable[..., None]] | None

# Where each topic leads, found once for each catalogue. Topics are the senders' to choose, so there is a bound.
_ROUTES: WeakKeyDictionary[Catalogue, dict[str, Route]] = WeakKeyDictionary()
ROUTES_MAX, ROUTE_LONGEST = 100_000, 200
ASIDE_MAX = 20  # messages of one batch that are kept aside; all are counted

CHECKS = {
    Reason.NOT_FINITE: "A number is NaN or infinite.",
    Reason.OUT_OF_RANGE: "A number is beyond what can be: a covariance that is not positive.",
    **TIMES,
    Reason.REPEATED: "The same message again.",
}
REFUSED = tuple(CHECKS)


def decode(catalogue: Catalogue, seen: Seen, intake: Intake, messages: Messages) -> tuple[Seen, Intake, Decoded]:
    """What the messages say, and after them the memory of repeats and what each sensor may still say."""
    if not len(messages):
        return seen, intake, Rows(catalogue, intake).decoded()
    rows = Rows(catalogue, intake)
    aside: list[Aside] = []
    for number, (topic, payload, received_ns, retained) in enumerate(
        zip(messages.topics, messages.payloads, messages.received_ns.tolist(), messages.retained.tolist(), strict=True)
    ):
        route = _route(catalogue, topic)
        rows.at(number, received_ns, topic)
        if route is None:
            if not topic.startswith(INTERNAL):
                rows.reject(Reason.UNKNOWN_TOPIC, f"No feed reads topic {topic[:100]!r}.")
            continue
        mark = rows.mark()
        try:
            _read(route, catalogue.limits, topic, payload, retained, rows)
        except Exception as error:
            rows.undo(mark)
            aside.append(_failed(route[0], error, topic, payload, retained, rows))
        if not rows.has_left(mark):
            rows.reject(Reason.NO_DETECTION, "Understood; there is nothing in it to detect.")
    seen, decoded = _checked(catalogue.limits, seen, rows, messages.duplicate, tuple(aside[:ASIDE_MAX]))
    return seen, rows.intake(), decoded


def _no_state(_: Feed, __: str) -> bool:
    return False


def _route(catalogue: Catalogue, topic: str) -> Route:
    routes = _ROUTES.setdefault(catalogue, {})
    if topic in routes:
        return routes[topic]
    route = next(
        ((f, FORMATS[f.format].read) for f in catalogue.feeds if topic == f.topic or topic.startswith(f.topic + "/")),
        None,
    )
    if len(topic) <= ROUTE_LONGEST:
        if len(routes) >= ROUTES_MAX:
            routes.clear()
        routes[topic] = route
    return route


def _read(
    route: tuple[Feed, Callable[..., None]], limits: Limits, topic: str, payload: bytes, retained: bool, rows: Rows
) -> None:
    """One message into the rows. What is wrong with it is rejected here; what a decoder did not foresee is raised."""
    feed, read = route
    if retained and not STATES.get(feed.format, _no_state)(feed, topic):
        rows.reject(Reason.RETAINED, "A retained message is what was, not news.")
        return
    if len(payload) > limits.payload_bytes_max or payload.startswith(TOO_LARGE_MARK):
        rows.reject(Reason.TOO_LARGE, f"Above {limits.payload_bytes_max:,} bytes.", _named_by_topic(feed, topic, rows))
        return
    try:
        read(feed, topic, payload, rows)
    except Unusable as error:
        rows.reject(error.reason, error.detail, rows.named)
    except msgspec.ValidationError as error:
        found = unusable_by(error)
        rows.reject(found.reason, found.detail, rows.named)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        number = any(word in payload[:10_000] for word in (b"NaN", b"Infinity"))
        detail = "A number is NaN or infinite." if number else f"Not JSON: {error}."[:200]
        rows.reject(Reason.NOT_FINITE if number else Reason.NOT_JSON, detail, rows.named)


def _named_by_topic(feed: Feed, topic: str, rows: Rows) -> int | None:
    """The sensor that a message names by its topic alone, where the format has that."""
    return rows.catalogue.index_of.get((feed.id, FORMATS[feed.format].source_in(feed, topic)))


def _failed(feed: Feed, error: Exception, topic: str, payload: bytes, retained: bool, rows: Rows) -> Aside:
    """A message that its decoder raised an exception on. The exception's own words, which may hold a plate, are kept aside."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    detail = f"{type(error).__name__} in {where.name}: a fault of ours; the message is kept aside for the maintainer."
    rows.reject(Reason.DECODER_FAILED, detail, rows.named)
    rows.fault(FaultKind.DECODER_FAILED, feed.id, detail)
    text = "".join(traceback.format_exception(error))
    return Aside(rows.received_ns, topic, payload, retained, f"sensors.formats.{feed.format}", text)


def _checked(
    limits: Limits, seen: Seen, rows: Rows, duplicate: NDArray[np.bool_], aside: tuple[Aside, ...]
) -> tuple[Seen, Decoded]:
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
        seen,
        rows.keys()[good],
        readings.received_ns[good],
        rows.timeless()[good],
        duplicate[readings.message[good]],
        limits.repeat_ns,
        limits.redelivery_ns,
    )
    why[good[repeated]] = 1 + REFUSED.index(Reason.REPEATED)
    bad = np.flatnonzero(why)
    sensors = rows.catalogue.sensors
    rejections = [
        Rejection(
            int(readings.received_ns[i]),
            sensors[readings.sensor[i]].feed,
            REFUSED[why[i] - 1],
            CHECKS[REFUSED[why[i] - 1]],
            sensors[readings.sensor[i]].id,
        )
        for i in bad
    ]
    kept = readings.take(why == 0) if len(bad) else readings
    tokens = set(kept.plate[kept.plate != 0].tolist())
    return seen, replace(
        decoded,
        readings=kept,
        rejections=summed([*decoded.rejections, *rejections]),
        plates=tuple(p for p in decoded.plates if p.token in tokens),  # of what is rejected nothing is sealed
        aside=aside,
    )


def _sound(readings: Readings) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(n,) are all numbers that matter finite, and (n,) is each covariance positive. Decoders hold each number in its bounds."""
    at, spread = readings.where, readings.spread
    has_first = readings.place != Place.OWN
    has_second = has_first & (readings.place != Place.BEARING)
    finite = np.where(has_first, np.isfinite(at[:, 0]), True) & np.where(has_second, np.isfinite(at[:, 1]), True)
    finite &= np.isfinite(readings.confidence) & ~np.isinf(spread).any(axis=1)
    finite &= np.isfinite(readings.class_likelihood).all(axis=1)
    stated = (readings.place == Place.WGS84) & ~np.isnan(spread[:, 0])
    with np.errstate(invalid="ignore"):
        positive = (spread[:, 0] > 0) & (spread[:, 2] > 0) & (spread[:, 0] * spread[:, 2] > spread[:, 1] ** 2)
    return finite, ~stated | positive
