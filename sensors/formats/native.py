"""Marchwarden's own format, topics `marchwarden/<site>/{detections,health}/<sensor>` and `…/units/<unit>`. See docs/native.md.

Time: RFC 3339 or epoch milliseconds; left out, the time of receipt. Place: degrees WGS84 with σ or covariance in m², or
bearing from true north in degrees and range in m, or a pixel (Y down) of the detect resolution, or none: the sensor's
own. Course from true north in degrees and speed in m/s, where known. Confidence: 0–1. Two messages are the same when their
`id` is, or, where there is none, their topic and payload.
Life cycle: a frame is a look; an empty one says that nothing was seen.
"""

from typing import Any

import msgspec

from model.health import Sign
from model.rejections import Reason
from model.time import MS, ns_from_iso
from sensors.catalogue import Feed
from sensors.formats.common import NAN, NO_MOTION, NO_SPREAD, Rows
from sensors.readings import Place
from sensors.repeats import key_of

Number = int | float
ODD = 0x9E3779B97F4A7C15  # spreads the members of one frame over the keys


class Member(msgspec.Struct, gc=False):
    """One detection."""

    time: str | Number | None = None
    id: str | int | None = None
    lat: Number | None = None
    lon: Number | None = None
    sigma_m: Number | None = None
    covariance_m2: tuple[tuple[Number, Number], tuple[Number, Number]] | None = None
    bearing_deg: Number | None = None
    bearing_sigma_deg: Number | None = None
    range_m: Number | None = None
    range_sigma_m: Number | None = None
    course_deg: Number | None = None
    speed_mps: Number | None = None
    pixel: tuple[Number, Number] | None = None
    class_: str | dict[str, Number] | None = msgspec.field(name="class", default=None)
    confidence: Number | None = None
    source_id: str | int | None = None
    plate: str | None = None
    plate_candidates: dict[str, Number] | None = None


class Message(Member, gc=False):
    """A detection, or a frame of them."""

    detections: list[Member] | None = None


class Loose(msgspec.Struct):
    """A frame with a bad member in it: the others still count."""

    detections: list[msgspec.Raw]
    time: str | Number | None = None


class Unit(msgspec.Struct):
    """`units/<unit>`: where a patrol of ours is."""

    lat: Number
    lon: Number
    time: str | Number | None = None
    name: str = ""
    sigma_m: Number | None = None
    course_deg: Number | None = None
    speed_mps: Number | None = None


class Condition(msgspec.Struct):
    """`health/<sensor>`: what gear says of itself."""

    online: bool | None = None
    battery: Number | None = None
    tampered: bool = False


_unit = msgspec.json.Decoder(Unit)
_condition = msgspec.json.Decoder(Condition)
_message = msgspec.json.Decoder(Message)
_loose = msgspec.json.Decoder(Loose)
_member = msgspec.json.Decoder(Member)


def subscriptions(feed: Feed) -> tuple[str, ...]:
    return tuple(f"{feed.topic}/{kind}/+" for kind in ("detections", "units", "health"))


def read(feed: Feed, topic: str, payload: bytes, rows: Rows) -> None:
    """Write what a message says into `rows`. Raises msgspec's errors for what is not of this shape."""
    kind, _, name = topic[len(feed.topic) + 1 :].partition("/")
    if kind == "units":
        _read_unit(name, _unit.decode(payload), rows)
        return
    sensor = rows.sensor(feed.id, name)
    if sensor is None:
        return
    if kind == "health":
        _read_condition(sensor, _condition.decode(payload), rows)
        return
    try:
        message = _message.decode(payload)
    except msgspec.ValidationError:
        if b'"detections"' not in payload:
            raise
        _read_loose(payload, sensor, rows)
        return
    frame_ns = _observed_ns(message.time, rows.received_ns)
    if message.detections is None:
        key = key_of(topic, payload) if message.id is None else key_of(topic, str(message.id))
        _detection(message, sensor, frame_ns, key, rows)
        return
    rows.look(sensor, frame_ns)
    key = key_of(topic, payload)
    if all(m.time is None and m.id is None and m.plate is None for m in message.detections):
        _plain_detections(message.detections, sensor, frame_ns, key, rows)
        return
    for number, member in enumerate(message.detections):
        _member_detection(member, sensor, frame_ns, key, number, rows)


def _read_unit(name: str, said: Unit, rows: Rows) -> None:
    rows.unit(
        name,
        _observed_ns(said.time, rows.received_ns),
        float(said.lat),
        float(said.lon),
        name=said.name,
        sigma_m=None if said.sigma_m is None else float(said.sigma_m),
        course_deg=None if said.course_deg is None else float(said.course_deg),
        speed_mps=None if said.speed_mps is None else float(said.speed_mps),
    )


def _read_condition(sensor: int, said: Condition, rows: Rows) -> None:
    rows.sign(sensor, Sign.HEARD if said.online is None else Sign.ONLINE if said.online else Sign.OFFLINE)
    if said.battery is not None:
        rows.sign(sensor, Sign.BATTERY, min(max(float(said.battery), 0.0), 1.0))
    if said.tampered:
        rows.sign(sensor, Sign.TAMPERED)


def _read_loose(payload: bytes, sensor: int, rows: Rows) -> None:
    frame = _loose.decode(payload)  # what is no frame at all is the caller's to reject
    frame_ns = _observed_ns(frame.time, rows.received_ns)
    rows.look(sensor, frame_ns)
    key = key_of(rows.topic, payload)
    for number, raw in enumerate(frame.detections):
        try:
            member = _member.decode(raw)
        except msgspec.ValidationError as error:
            rows.reject(Reason.WRONG_SHAPE, f"Member {number} of the frame: {error}.", sensor)
            continue
        _member_detection(member, sensor, frame_ns, key, number, rows)


def _member_detection(member: Member, sensor: int, frame_ns: int, frame_key: int, number: int, rows: Rows) -> None:
    """A member of a frame, which inherits the frame's time and has a key of its own."""
    try:
        observed_ns = frame_ns if member.time is None else _observed_ns(member.time, frame_ns)
    except ValueError as error:
        rows.reject(Reason.WRONG_SHAPE, f"time: {error}", sensor)
        return
    key = frame_key + number * ODD & 0xFFFFFFFFFFFFFFFF if member.id is None else key_of(rows.topic, str(member.id))
    _detection(member, sensor, observed_ns, key, rows)


def _plain_detections(members: list[Member], sensor: int, frame_ns: int, frame_key: int, rows: Rows) -> None:
    """Members that have neither a time nor an id of their own nor a plate: what cameras and radars send all day.

    The same as `_member_detection` of each, at a third of its cost.
    """
    known: dict[Any, int] = {}
    classes = []
    for member in members:
        said = (member.class_, member.confidence) if isinstance(member.class_, str) else None
        number = known.get(said, -2)
        if number == -2:
            number = _classes(member, sensor, rows)
            if said is not None:
                known[said] = number
        classes.append(number)
    rows.detections(
        sensor,
        frame_ns,
        keys=[frame_key + number * ODD & 0xFFFFFFFFFFFFFFFF for number in range(len(members))],
        places=[_place(member) for member in members],
        motions=[_motion(member) for member in members],
        classes=classes,
        confidences=[1.0 if m.confidence is None else float(m.confidence) for m in members],
        sources=[0 if m.source_id is None else rows.source(sensor, str(m.source_id)) for m in members],
    )


def _motion(member: Member) -> tuple[float, float]:
    if member.course_deg is None and member.speed_mps is None:
        return NO_MOTION
    return (
        NAN if member.course_deg is None else float(member.course_deg),
        NAN if member.speed_mps is None else float(member.speed_mps),
    )


def _detection(member: Member, sensor: int, observed_ns: int, key: int, rows: Rows) -> None:
    place, where, spread = _place(member)
    rows.detection(
        sensor,
        observed_ns,
        key=key,
        place=place,
        where=where,
        spread=spread,
        motion=_motion(member),
        classes=_classes(member, sensor, rows),
        confidence=1.0 if member.confidence is None else float(member.confidence),
        source=0 if member.source_id is None else rows.source(sensor, str(member.source_id)),
        plates=rows.candidates(member.plate, member.plate_candidates or {}, observed_ns, sensor)
        if member.plate
        else (),
    )


def _place(member: Member) -> tuple[Place, tuple[float, float], tuple[float, float, float]]:
    if member.lat is not None and member.lon is not None:
        where = (float(member.lat), float(member.lon))
        if member.covariance_m2 is not None:
            (ee, en), (ne, nn) = member.covariance_m2
            return Place.WGS84, where, (float(ee), (float(en) + float(ne)) / 2, float(nn))
        if member.sigma_m is not None:
            variance = float(member.sigma_m) ** 2 if abs(member.sigma_m) < 1e9 else float("inf")
            return Place.WGS84, where, (variance, 0.0, variance)
        return Place.WGS84, where, NO_SPREAD
    if member.pixel is not None:
        return Place.PIXEL, (float(member.pixel[0]), float(member.pixel[1])), NO_SPREAD
    if member.bearing_deg is not None:
        sigma = NAN if member.bearing_sigma_deg is None else float(member.bearing_sigma_deg)
        if member.range_m is None:
            return Place.BEARING, (float(member.bearing_deg), NAN), (sigma, NAN, NAN)
        range_sigma = NAN if member.range_sigma_m is None else float(member.range_sigma_m)
        return Place.RANGE, (float(member.bearing_deg), float(member.range_m)), (sigma, range_sigma, NAN)
    return Place.OWN, (NAN, NAN), NO_SPREAD


def _classes(member: Member, sensor: int, rows: Rows) -> int:
    said = member.class_
    if said is None:
        return -1
    if isinstance(said, str):
        return rows.label(sensor, said, 1.0 if member.confidence is None else float(member.confidence))
    return rows.classes(sensor, {label: float(share) for label, share in said.items()})


def _observed_ns(time: Any, otherwise_ns: int) -> int:
    if time is None:
        return otherwise_ns
    if isinstance(time, str):
        return ns_from_iso(time)
    if not -1e16 < time < 1e16:
        raise ValueError(f"{time!r} is no epoch time in milliseconds.")
    return int(time * 1000) * 1000 if isinstance(time, float) else time * MS
