"""Marchwarden's own format, topics `marchwarden/<site>/{detections,health}/<sensor>` and `…/units/<unit>`. See docs/native.md.

Time: RFC 3339 or epoch milliseconds; left out, the time of receipt. Place: degrees WGS84 with σ or covariance in m², or
bearing from true north in degrees and range in m, or a pixel (Y down) of the detect resolution, or none: the sensor's
own. Course from true north in degrees and speed in m/s, where known. Confidence: 0–1. Two messages are the same when their
`id` is, or, where there is none, their topic and payload; where these hold no time either, only if the broker says so or one
follows the other at once. Life cycle: a frame is a look; an empty one says that nothing was seen.
"""

from typing import Any, TypeVar

import msgspec

from model.health import Sign
from model.rejections import Reason
from sensors.catalogue import Feed
from sensors.formats.bounds import (
    BearingDeg,
    EpochMs,
    Identity,
    Label,
    Latitude,
    Longitude,
    Name,
    Pixel,
    PlateRead,
    RangeM,
    Share,
    SigmaDeg,
    SigmaM,
    SpeedMps,
    TimeText,
    Unusable,
    VarianceM2,
    Weight,
    ns_from_epoch_ms,
    ns_from_text,
    unusable_by,
)
from sensors.formats.common import NAN, NO_MOTION, NO_SPREAD, OTHER_NAMES, Rows
from sensors.readings import Place
from sensors.repeats import key_of

ODD = 0x9E3779B97F4A7C15  # spreads the members of one frame over the keys
MASK = 0xFFFFFFFFFFFFFFFF
HALF_A_PLACE = "A place needs both lat and lon."
LEAST = (
    "A detection has at least one of lat and lon, bearing_deg, pixel, class, plate, source_id, time; "
    "what gear says of itself goes to …/health/<sensor>."
)


class Member(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """One detection."""

    time: TimeText | EpochMs | None = None
    id: Identity | None = None
    lat: Latitude | None = None
    lon: Longitude | None = None
    sigma_m: SigmaM | None = None
    covariance_m2: tuple[tuple[VarianceM2, VarianceM2], tuple[VarianceM2, VarianceM2]] | None = None
    bearing_deg: BearingDeg | None = None
    bearing_sigma_deg: SigmaDeg | None = None
    range_m: RangeM | None = None
    range_sigma_m: SigmaM | None = None
    course_deg: BearingDeg | None = None
    speed_mps: SpeedMps | None = None
    pixel: tuple[Pixel, Pixel] | None = None
    class_: Label | dict[Label, Share] | None = msgspec.field(name="class", default=None)
    confidence: Share | None = None
    source_id: Identity | None = None
    plate: PlateRead | None = None
    plate_candidates: dict[PlateRead, Weight] | None = None


class Message(Member, gc=False, forbid_unknown_fields=True):
    """A detection, or a frame of them."""

    detections: list[Member] | None = None


class Frame(msgspec.Struct):
    """A frame whose members are read one by one."""

    detections: list[msgspec.Raw]
    time: TimeText | EpochMs | None = None


class Unit(msgspec.Struct, forbid_unknown_fields=True):
    """`units/<unit>`: where a patrol of ours is."""

    lat: Latitude
    lon: Longitude
    time: TimeText | EpochMs | None = None
    name: Name = ""
    sigma_m: SigmaM | None = None
    course_deg: BearingDeg | None = None
    speed_mps: SpeedMps | None = None


class Condition(msgspec.Struct, forbid_unknown_fields=True):
    """`health/<sensor>`: what gear says of itself."""

    online: bool | None = None
    battery: Share | None = None
    tampered: bool = False


T = TypeVar("T", Member, Message, Unit, Condition)
_unit = msgspec.json.Decoder(Unit)
_condition = msgspec.json.Decoder(Condition)
_message = msgspec.json.Decoder(Message)
_frame = msgspec.json.Decoder(Frame)
_member = msgspec.json.Decoder(Member)
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
EMPTY_MEMBER, EMPTY_MESSAGE = Member(), Message()
LEAST_OF = {
    Member: LEAST,
    Message: LEAST,
    Unit: "A unit has lat and lon, and should have time.",
    Condition: "Gear says of itself online, battery or tampered.",
}


def subscriptions(feed: Feed) -> tuple[str, ...]:
    return tuple(f"{feed.topic}/{kind}/+" for kind in ("detections", "units", "health"))


def source_in(feed: Feed, topic: str) -> str:
    """What the sensor calls itself, by the topic alone."""
    return topic[len(feed.topic) + 1 :].partition("/")[2]


def read(feed: Feed, topic: str, payload: bytes, rows: Rows) -> None:
    """Write what a message says into `rows`. Raises msgspec's errors, or Unusable, for what is not of this shape."""
    kind, _, name = topic[len(feed.topic) + 1 :].partition("/")
    if kind == "units":
        _read_unit(feed, name, _by_known_fields(_unit, payload, rows), rows)
        return
    sensor = rows.sensor(feed.id, name)
    if sensor is None:
        return
    if kind == "health":
        _read_condition(sensor, _by_known_fields(_condition, payload, rows), rows)
        return
    try:
        message = _message.decode(payload)
    except msgspec.ValidationError:
        if b'"detections"' in payload and "detections" in _fields.decode(payload):
            _read_one_by_one(payload, sensor, rows)
            return
        message = _by_known_fields(_message, payload, rows)
    frame_ns = _observed_ns(message.time, rows.received_ns)
    if message.detections is not None:
        _read_frame(message.detections, message.time is None, sensor, frame_ns, key_of(topic, payload), rows)
        return
    if message == EMPTY_MESSAGE:
        raise Unusable(Reason.WRONG_SHAPE, f"Names nothing that the format knows. {LEAST}")
    if _half_a_place(message):
        raise Unusable(Reason.WRONG_SHAPE, HALF_A_PLACE)
    key = key_of(topic, payload) if message.id is None else key_of(topic, str(message.id))
    _detection(message, sensor, frame_ns, key, message.time is None and message.id is None, rows)


# ── frames ───────────────────────────────────────────────────────────────────────────────────────


def _read_frame(members: list[Member], timeless: bool, sensor: int, frame_ns: int, frame_key: int, rows: Rows) -> None:
    rows.look(sensor, frame_ns, empty=not members)
    taken = _telling(rows.within(sensor, members), sensor, rows)
    if all(m.time is None and m.id is None and m.plate is None for m in taken):
        _plain_detections(taken[: rows.room(sensor, len(taken))], timeless, sensor, frame_ns, frame_key, rows)
        return
    for number, member in enumerate(taken):
        _member_detection(member, timeless, sensor, frame_ns, frame_key + number * ODD & MASK, rows)


def _read_one_by_one(payload: bytes, sensor: int, rows: Rows) -> None:
    """A frame with something wrong in it, or unknown fields: what is right still counts."""
    fields = _fields.decode(payload)
    unknown = [name for name in fields if name not in Message.__struct_encode_fields__]
    _refuse_another_time(fields, unknown)
    frame = _frame.decode(payload)
    frame_ns = _observed_ns(frame.time, rows.received_ns)
    rows.note_unknown_fields(unknown, Message.__struct_encode_fields__, sensor)
    rows.look(sensor, frame_ns, empty=not frame.detections)
    key = key_of(rows.topic, payload)
    for number, raw in enumerate(rows.within(sensor, frame.detections)):
        try:
            (member,) = _telling([_by_known_fields(_member, raw, rows)], sensor, rows) or (None,)
        except Unusable as error:
            rows.reject(error.reason, error.detail, sensor)
        except msgspec.ValidationError as error:
            found = unusable_by(error)
            rows.reject(found.reason, found.detail, sensor)
        else:
            if member is not None:
                _member_detection(member, frame.time is None, sensor, frame_ns, key + number * ODD & MASK, rows)


def _telling(members: list[Member], sensor: int, rows: Rows) -> list[Member]:
    """Those that say something; the others are counted."""
    telling = [member for member in members if member != EMPTY_MEMBER]
    if len(telling) < len(members):
        detail = f"A member of a frame names nothing that the format knows. {LEAST}"
        rows.reject(Reason.WRONG_SHAPE, detail, sensor, len(members) - len(telling))
    whole = [member for member in telling if not _half_a_place(member)]
    if len(whole) < len(telling):
        rows.reject(Reason.WRONG_SHAPE, HALF_A_PLACE, sensor, len(telling) - len(whole))
    return whole


def _member_detection(
    member: Member, frame_timeless: bool, sensor: int, frame_ns: int, frame_key: int, rows: Rows
) -> None:
    """A member of a frame, which inherits the frame's time and has a key of its own."""
    try:
        observed_ns = frame_ns if member.time is None else _observed_ns(member.time, frame_ns)
    except Unusable as error:
        rows.reject(error.reason, f"time: {error.detail}", sensor)
        return
    key = frame_key if member.id is None else key_of(rows.topic, str(member.id))
    timeless = frame_timeless and member.time is None and member.id is None
    _detection(member, sensor, observed_ns, key, timeless, rows)


def _plain_detections(
    members: list[Member], timeless: bool, sensor: int, frame_ns: int, frame_key: int, rows: Rows
) -> None:
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
        keys=[frame_key + number * ODD & MASK for number in range(len(members))],
        places=[_place(member) for member in members],
        motions=[_motion(member) for member in members],
        classes=classes,
        confidences=[1.0 if m.confidence is None else m.confidence for m in members],
        sources=[0 if m.source_id is None else rows.source(sensor, str(m.source_id)) for m in members],
        timeless=timeless,
    )


# ── what a message names ─────────────────────────────────────────────────────────────────────────


def _by_known_fields(decoder: "msgspec.json.Decoder[T]", payload: bytes | msgspec.Raw, rows: Rows) -> T:
    """A message by the fields that the format knows; others are counted. Raises Unusable where it knows none."""
    try:
        return decoder.decode(payload)
    except msgspec.ValidationError:
        fields, names = _fields.decode(payload), decoder.type.__struct_encode_fields__
        unknown = [name for name in fields if name not in names]
        if not unknown:
            raise
    _refuse_another_time(fields, unknown)
    if len(unknown) == len(fields):
        named = ", ".join(filter(None, (rows.suggestion(name, names) for name in unknown[:3]))) or "further fields"
        raise Unusable(Reason.WRONG_SHAPE, f"Names nothing that the format knows: {named}. {LEAST_OF[decoder.type]}")
    message = decoder.decode(msgspec.json.encode({name: raw for name, raw in fields.items() if name in names}))
    rows.note_unknown_fields(unknown, names, rows.named)
    return message


def _refuse_another_time(fields: dict[str, msgspec.Raw], unknown: list[str]) -> None:
    """A message that says under another name when it was observed is not one of now."""
    if "_type" in fields:
        raise Unusable(
            Reason.WRONG_SHAPE, "OwnTracks' own JSON: let a bridge send lat, lon, sigma_m and time (from `tst`)."
        )
    other = next((name for name in unknown if OTHER_NAMES.get(name.lower()) == "time"), None)
    if "time" not in fields and other is not None:
        raise Unusable(
            Reason.WRONG_SHAPE, f"Its time stands in {other[:32]!r}; write `time`, RFC 3339 or epoch milliseconds."
        )


def _half_a_place(member: Member) -> bool:
    return (member.lat is None) != (member.lon is None)


def _read_unit(feed: Feed, source: str, said: Unit, rows: Rows) -> None:
    rows.unit(
        feed,
        source,
        _observed_ns(said.time, rows.received_ns),
        said.lat,
        said.lon,
        name=said.name,
        sigma_m=said.sigma_m,
        course_deg=said.course_deg,
        speed_mps=said.speed_mps,
    )


def _read_condition(sensor: int, said: Condition, rows: Rows) -> None:
    rows.sign(sensor, Sign.HEARD if said.online is None else Sign.ONLINE if said.online else Sign.OFFLINE)
    if said.battery is not None:
        rows.sign(sensor, Sign.BATTERY, said.battery)
    if said.tampered:
        rows.sign(sensor, Sign.TAMPERED)


def _motion(member: Member) -> tuple[float, float]:
    if member.course_deg is None and member.speed_mps is None:
        return NO_MOTION
    return (
        NAN if member.course_deg is None else member.course_deg,
        NAN if member.speed_mps is None else member.speed_mps,
    )


def _detection(member: Member, sensor: int, observed_ns: int, key: int, timeless: bool, rows: Rows) -> None:
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
        confidence=1.0 if member.confidence is None else member.confidence,
        source=0 if member.source_id is None else rows.source(sensor, str(member.source_id)),
        plates=rows.candidates(member.plate, member.plate_candidates or {}, observed_ns, sensor)
        if member.plate
        else (),
        timeless=timeless,
    )


def _place(member: Member) -> tuple[Place, tuple[float, float], tuple[float, float, float]]:
    if member.lat is not None and member.lon is not None:
        where = (member.lat, member.lon)
        if member.covariance_m2 is not None:
            (ee, en), (ne, nn) = member.covariance_m2
            return Place.WGS84, where, (ee, (en + ne) / 2, nn)
        if member.sigma_m is not None:
            return Place.WGS84, where, (member.sigma_m**2, 0.0, member.sigma_m**2)
        return Place.WGS84, where, NO_SPREAD
    if member.pixel is not None:
        return Place.PIXEL, member.pixel, NO_SPREAD
    if member.bearing_deg is not None:
        sigma = NAN if member.bearing_sigma_deg is None else member.bearing_sigma_deg
        if member.range_m is None:
            return Place.BEARING, (member.bearing_deg, NAN), (sigma, NAN, NAN)
        range_sigma = NAN if member.range_sigma_m is None else member.range_sigma_m
        return Place.RANGE, (member.bearing_deg, member.range_m), (sigma, range_sigma, NAN)
    return Place.OWN, (NAN, NAN), NO_SPREAD


def _classes(member: Member, sensor: int, rows: Rows) -> int:
    said = member.class_
    if said is None:
        return -1
    if isinstance(said, str):
        return rows.label(sensor, said, 1.0 if member.confidence is None else member.confidence)
    return rows.classes(sensor, said)


def _observed_ns(time: str | float | None, otherwise_ns: int) -> int:
    if time is None:
        return otherwise_ns
    return ns_from_text(time) if isinstance(time, str) else ns_from_epoch_ms(time)
