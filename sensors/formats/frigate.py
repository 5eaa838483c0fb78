"""Frigate NVR over MQTT: `<prefix>/events`, `/reviews`, `/tracked_object_update`, snapshots, availability and status.

Source: Frigate's documentation, "MQTT" page, versions 0.11 to 0.17. Time: epoch seconds as a float. Place: `box`, corners in
pixels of the detect resolution, Y down; the target stands at the middle of its lower edge. Confidence: 0–1. Two messages
are the same when camera, object id and frame time are: a stationary object is published again at least once a minute, and
the end of an event repeats its last frame. Life cycle: new, update, end by object id; plates and names come separately and
are joined on the id.
"""

from typing import Any

import msgspec

from model.health import Sign
from model.rejections import Reason
from sensors.catalogue import Feed
from sensors.formats.bounds import EpochS, Label, Name, Pixel, PlateRead, Share, converted, ns_from_epoch_s
from sensors.formats.common import Rows
from sensors.readings import Place
from sensors.repeats import key_of


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


_event = msgspec.json.Decoder(Event)
_review = msgspec.json.Decoder(Review)
_update = msgspec.json.Decoder(Update)


def subscriptions(feed: Feed) -> tuple[str, ...]:
    """All that is read; statistics are left at the broker."""
    read = ("events", "reviews", "tracked_object_update", "available", "+/status/+", "+/+/snapshot")
    return tuple(f"{feed.topic}/{rest}" for rest in read)


def is_state(feed: Feed, topic: str) -> bool:
    """Is a retained message on this topic good news of the present?"""
    rest = topic[len(feed.topic) + 1 :].split("/")
    return rest == ["available"] or (len(rest) == 3 and rest[1] == "status")


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
        case ["available"]:
            for number, sensor in enumerate(rows.catalogue.sensors):
                if sensor.feed == feed.id:
                    rows.sign(number, _up_or_down(payload))
        case [camera, "status", "detect"]:
            row = rows.sensor(feed.id, camera)
            if row is not None:
                rows.sign(row, _up_or_down(payload))
        case [camera, label, "snapshot"]:
            row = rows.sensor(feed.id, camera)
            if row is not None:
                rows.picture(row, label, payload)
        case _:
            pass  # statistics, counts, switches: nothing to detect


def _up_or_down(payload: bytes) -> Sign:
    """Frigate publishes the bare word; a recording or a bridge may have put it in quotes."""
    return Sign.ONLINE if payload.strip(b' "') == b"online" else Sign.OFFLINE


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
