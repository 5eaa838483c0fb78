"""Frigate NVR over MQTT: `<prefix>/events`, `/reviews`, `/tracked_object_update`, snapshots, availability and status.

Source: Frigate's documentation, "MQTT" page, versions 0.11 to 0.17. Time: epoch seconds as a float. Place: `box`, corners in
pixels of the detect resolution, Y down; the target stands at the middle of its lower edge. Confidence: 0–1. Two messages
are the same when camera, object id and frame time are: a stationary object is published again at least once a minute, and
the end of an event repeats its last frame. Life cycle: new, update, end by object id; plates and names come separately and
are joined on the id.

What says whether a camera looks (Frigate's `comms/mqtt.py` and `video/ffmpeg.py`): `available` is about Frigate itself, `offline`
being its last will; `<camera>/status/detect` comes every few seconds while a camera's stream runs, and says nothing of detection;
`<camera>/detect/state` and `<camera>/enabled/state` are the switches. All but `status` are retained.
"""

from typing import Any, TypeVar

import msgspec

from model.health import Sign, Switch
from model.rejections import Reason
from sensors.catalogue import Feed
from sensors.formats.bounds import EpochS, Label, Name, Pixel, PlateRead, Share, converted, ns_from_epoch_s
from sensors.formats.common import Rows
from sensors.readings import Place
from sensors.repeats import key_of

T = TypeVar("T")


class Seen(msgspec.Struct, gc=False):
    """`after` of an event: the object as it is now. Frigate adds keys with every version; unknown ones pass."""

    id: Name
    camera: Name
    label: Label | None = None
    sub_label: Any = None  # null, a name, or [name, score]
    frame_time: EpochS | None = None
    box: tuple[Pixel, Pixel, Pixel, Pixel] | None = None
    score: Share | None = None
    top_score: Share | None = None
    false_positive: bool | None = None
    recognized_license_plate: Any = None  # a plate, or [plate, score]
    recognized_license_plate_score: Share | None = None


class Event(msgspec.Struct, gc=False):
    """`<prefix>/events`."""

    type: Name
    after: Seen | None = None


class Reviewed(msgspec.Struct):
    camera: Name


class Review(msgspec.Struct):
    """`<prefix>/reviews`: a summary of events that arrive by themselves."""

    type: Name
    after: Reviewed | None = None


class Update(msgspec.Struct):
    """`<prefix>/tracked_object_update`: what Frigate learnt of an object later."""

    type: Name
    id: Name | None = None
    camera: Name | None = None
    plate: PlateRead | None = None
    score: Share | None = None
    timestamp: EpochS | None = None


AVAILABLE = {b"online": True, b"offline": False, b"stopped": False}
Signed = tuple[tuple[Sign, int], ...]
SWITCHES: dict[str, dict[bytes, Signed]] = {
    kind: {b"ON": ((Sign.SWITCHED_ON, switch),), b"OFF": ((Sign.SWITCHED_OFF, switch),)}
    for kind, switch in (("detect", Switch.DETECTION), ("enabled", Switch.SENSOR))
}
STATUS: dict[bytes, Signed] = {
    b"online": ((Sign.ONLINE, 0), (Sign.SWITCHED_ON, Switch.SENSOR)),
    b"offline": ((Sign.OFFLINE, 0),),
    b"disabled": ((Sign.SWITCHED_OFF, Switch.SENSOR),),
}

_event = msgspec.json.Decoder(Event)
_review = msgspec.json.Decoder(Review)
_update = msgspec.json.Decoder(Update)


def subscriptions(feed: Feed) -> tuple[str, ...]:
    """All that is read; statistics are left at the broker."""
    read = (
        "events",
        "reviews",
        "tracked_object_update",
        "available",
        "+/status/detect",
        "+/detect/state",
        "+/enabled/state",
        "+/+/snapshot",
    )
    return tuple(f"{feed.topic}/{rest}" for rest in read)


def is_state(feed: Feed, topic: str) -> bool:
    """Does a retained message on this topic say what is so now?"""
    match topic[len(feed.topic) + 1 :].split("/"):
        case ["available"] | [_, "detect" | "enabled", "state"]:
            return True
        case _:
            return False


def source_in(feed: Feed, topic: str) -> str:
    """What the camera calls itself, by the topic alone."""
    rest = topic[len(feed.topic) + 1 :].split("/")
    return rest[0] if len(rest) == 3 else ""


def read(feed: Feed, topic: str, payload: bytes, rows: Rows) -> None:
    """Write what a message says into `rows`. Raises msgspec's errors, or Unusable, for what is not of this shape."""
    match topic[len(feed.topic) + 1 :].split("/"):
        case ["events"]:
            _read_event(feed, _event.decode(payload), rows)
        case ["reviews"]:
            review = _review.decode(payload)
            if review.after is not None:
                _heard(feed, review.after.camera, rows)
        case ["tracked_object_update"]:
            _read_update(feed, _update.decode(payload), rows)
        case ["available"] | [_, "status", "detect"] | [_, "detect" | "enabled", "state"] as rest:
            _read_state(feed, rest, payload, rows)
        case [camera, label, "snapshot"]:
            row = rows.sensor(feed.id, camera)
            if row is not None:
                rows.picture(row, label, payload)
        case _:
            pass  # statistics, counts, switches: nothing to detect


def _read_state(feed: Feed, rest: list[str], payload: bytes, rows: Rows) -> None:
    """Whether Frigate is up, and whether a camera looks."""
    if rest == ["available"]:
        up = _word(payload, AVAILABLE, rows)
        if up is not None:
            rows.gateway(feed.id, up)
        return
    camera, kind, _ = rest
    signs = _word(payload, STATUS if kind == "status" else SWITCHES[kind], rows)
    row = rows.sensor(feed.id, camera)
    if row is not None and signs is not None:
        for sign, value in signs:
            rows.sign(row, sign, value)


def _word(payload: bytes, words: dict[bytes, T], rows: Rows) -> T | None:
    """What a state's word means; another one is rejected. Nothing at all: the state was deleted, and says nothing.

    Frigate publishes the bare word; a recording or a bridge may have put it in quotes.
    """
    word = payload.strip(b' "')
    if word and word not in words:
        rows.reject(Reason.UNKNOWN_EVENT, f"Not one of {', '.join(w.decode() for w in words)}.")
    return words.get(word)


def _read_event(feed: Feed, event: Event, rows: Rows) -> None:
    seen = event.after
    if seen is None:
        return
    sensor = rows.sensor(feed.id, seen.camera)
    if sensor is None:
        return
    rows.sign(sensor, Sign.HEARD)
    if seen.false_positive:
        rows.reject(Reason.FALSE_POSITIVE, "Frigate itself calls it a false positive.", sensor)
        return
    if seen.box is None or seen.frame_time is None:
        rows.reject(Reason.NO_DETECTION, f"An event of type {event.type[:20]!r} without a box.", sensor)
        return
    observed_ns = ns_from_epoch_s(seen.frame_time)
    x1, _, x2, y2 = seen.box
    score = seen.score if seen.score is not None else seen.top_score
    score = 0.5 if score is None else score
    plate, plate_score = _with_score(seen.recognized_license_plate, seen.recognized_license_plate_score)
    rows.detection(
        sensor,
        observed_ns,
        key=key_of(b"frigate", feed.id, seen.camera, seen.id, str(seen.frame_time)),
        place=Place.PIXEL,
        where=((x1 + x2) / 2, y2),
        classes=rows.label(sensor, seen.label or "other", score),
        confidence=score if plate is None else min(score, plate_score),
        source=rows.source(sensor, seen.id),
        plates=() if plate is None else rows.candidates(plate, {}, observed_ns, sensor),
    )


def _read_update(feed: Feed, update: Update, rows: Rows) -> None:
    if update.camera is None:
        return  # a description by a language model, before cameras were named in it
    sensor = _heard(feed, update.camera, rows)
    if sensor is None or update.type != "lpr" or not update.plate or update.id is None:
        return
    observed_ns = rows.received_ns if update.timestamp is None else ns_from_epoch_s(update.timestamp)
    rows.detection(
        sensor,
        observed_ns,
        key=key_of(
            b"frigate-lpr",
            feed.id,
            update.camera,
            update.id,
            update.plate,
            str(update.timestamp),
        ),
        classes=rows.label(sensor, "vehicle", 0.9),
        confidence=0.5 if update.score is None else update.score,
        source=rows.source(sensor, update.id),
        plates=rows.candidates(update.plate, {}, observed_ns, sensor),
        timeless=update.timestamp is None,
    )


def _heard(feed: Feed, camera: str, rows: Rows) -> int | None:
    sensor = rows.sensor(feed.id, camera)
    if sensor is not None:
        rows.sign(sensor, Sign.HEARD)
    return sensor


def _with_score(said: Any, score: float | None) -> tuple[str | None, float]:
    """A plate and its score, from either of the forms that Frigate has used."""
    if isinstance(said, list) and said and isinstance(said[0], str):
        score = (
            converted(said[1], Share, "recognized_license_plate[1]") if len(said) > 1 and said[1] is not None else score
        )
        said = said[0]
    if isinstance(said, str) and said:
        return converted(said, PlateRead, "recognized_license_plate"), 0.5 if score is None else score
    return None, 0.0
