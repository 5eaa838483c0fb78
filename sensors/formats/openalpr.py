"""OpenALPR (Rekor Scout) agents, whose HTTP posts a bridge publishes as they are: `alpr_group`, `alpr_results`, `heartbeat`.

Source: OpenALPR's documentation, "Web server / JSON payload". Time: epoch milliseconds. Place: the reader's own, from its
registration (the corners of a plate in pixels say little of where the car stands). Confidence: 0–100. Two groups are the
same when reader, best frame and start are; two results when reader and frame id are. Life cycle: some fifty `alpr_results`
a car, a frame each, then one `alpr_group` up to ten seconds late.
"""

from typing import Any

import msgspec

from model.health import Sign
from model.rejections import Reason
from sensors.catalogue import Feed
from sensors.formats.bounds import EpochMs, Identity, Name, Percent, PlateRead, Unusable, converted, ns_from_epoch_ms
from sensors.formats.common import Rows
from sensors.repeats import key_of

STREAMS_MAX = 1_000  # cameras of one agent whose state is read
KNOWN_TYPES = "alpr_group, alpr_results, alpr_alert, vehicle or heartbeat"


class Candidate(msgspec.Struct, gc=False):
    plate: PlateRead = ""
    confidence: Percent = 0.0


class Plate(Candidate, gc=False):
    candidates: list[Candidate] = []


class Stream(msgspec.Struct):
    camera_id: Identity | None = None
    is_streaming: bool | int = True


class Message(msgspec.Struct):
    """Any of the agent's messages; `data_type` says which, and so which fields matter."""

    data_type: Name | None = None
    agent_uid: Name | None = None
    camera_id: Identity | None = None
    camera_number: Identity | None = None  # what alerts call it
    uuid: Name | None = None
    epoch_time: EpochMs | None = None
    results: list[Plate] | None = None
    epoch_start: EpochMs | None = None
    epoch_end: EpochMs | None = None
    best_uuid: Name | None = None
    best_plate: Any = None
    best_plate_number: PlateRead | None = None
    best_confidence: Percent | None = None
    uuids: list[Name] | None = None
    is_preview: bool | None = None
    group: Any = None
    video_streams: list[Stream] | None = None


_message = msgspec.json.Decoder(Message)


def subscriptions(feed: Feed) -> tuple[str, ...]:
    return (feed.topic, f"{feed.topic}/#")


def source_in(feed: Feed, topic: str) -> str:
    """What the reader calls itself, by the topic alone."""
    return topic.rpartition("/")[2] if topic != feed.topic else ""


def read(feed: Feed, topic: str, payload: bytes, rows: Rows) -> None:
    """Write what a message says into `rows`. Raises msgspec's errors, or Unusable, for what is not of this shape."""
    message = _message.decode(payload)
    if message.camera_id is None:
        message.camera_id = message.camera_number
    if message.camera_id is None and topic != feed.topic:
        message.camera_id = source_in(feed, topic)  # a bridge that names the camera in the topic alone
    match message.data_type:
        case "alpr_results":
            _read_results(feed, message, payload, rows)
        case "alpr_group" | "vehicle":
            _read_group(feed, message, payload, rows)
        case "alpr_alert":
            if message.group is not None:
                group = converted(message.group, Message, "group")  # which does not say again that it is one
                group.camera_id = message.camera_id if group.camera_id is None else group.camera_id
                _read_group(feed, group, payload, rows)
        case "heartbeat":
            _read_heartbeat(feed, message, rows)
        case None:
            raise Unusable(
                Reason.WRONG_SHAPE,
                f"No data_type: not a message of an OpenALPR agent, which says {KNOWN_TYPES}. Plates of other readers go to the "
                "native topic …/detections/<sensor>.",
            )
        case other:
            rows.reject(Reason.UNKNOWN_EVENT, f"OpenALPR has no data_type {other[:40]!r} that we know: {KNOWN_TYPES}.")


def _read_results(feed: Feed, message: Message, payload: bytes, rows: Rows) -> None:
    sensor = _sensor(feed, message, rows)
    if sensor is None:
        return
    observed_ns = _ns(message.epoch_time, rows.received_ns)
    rows.look(sensor, observed_ns, empty=not message.results)
    frame = message.uuid or f"{key_of(payload):016x}"
    timeless = message.epoch_time is None and not message.uuid
    for number, result in enumerate(rows.within(sensor, message.results or [])):
        key = key_of(b"alpr", feed.id, str(sensor), frame, str(number))
        _detection(sensor, observed_ns, key, timeless, result, rows)


def _read_group(feed: Feed, message: Message, payload: bytes, rows: Rows) -> None:
    sensor = _sensor(feed, message, rows)
    if sensor is None:
        return
    rows.sign(sensor, Sign.HEARD)
    best = (
        converted(message.best_plate, Plate, "best_plate")
        if isinstance(message.best_plate, dict)
        else Plate(converted(message.best_plate or "", PlateRead, "best_plate"))
    )
    best.plate = message.best_plate_number or best.plate
    best.confidence = message.best_confidence if message.best_confidence is not None else best.confidence
    first = message.best_uuid or (message.uuids or [""])[0]
    key = key_of(
        b"group",
        feed.id,
        str(sensor),
        first or payload,
        str(message.epoch_start),
        b"preview" if message.is_preview else b"",
    )
    end = message.epoch_end if message.epoch_end is not None else message.epoch_start
    timeless = end is None and not first
    _detection(sensor, _ns(end, rows.received_ns), key, timeless, best, rows)


def _detection(sensor: int, observed_ns: int, key: int, timeless: bool, read: Plate, rows: Rows) -> None:
    rows.detection(
        sensor,
        observed_ns,
        key=key,
        classes=rows.label(sensor, "vehicle", 0.95),
        confidence=read.confidence / 100,
        plates=rows.candidates(read.plate, {c.plate: c.confidence for c in read.candidates}, observed_ns, sensor),
        timeless=timeless,
    )


def _read_heartbeat(feed: Feed, message: Message, rows: Rows) -> None:
    for stream in (message.video_streams or [])[:STREAMS_MAX]:
        sensor = _row(feed, message.agent_uid, stream.camera_id, rows)
        if sensor is not None:
            rows.sign(sensor, Sign.ONLINE if stream.is_streaming else Sign.OFFLINE)


def _sensor(feed: Feed, message: Message, rows: Rows) -> int | None:
    row = _row(feed, message.agent_uid, message.camera_id, rows)
    if row is None:
        rows.reject(
            Reason.UNKNOWN_SENSOR,
            f"No sensor with source {str(message.camera_id)[:64]!r}, or '<agent_uid>/{str(message.camera_id)[:64]}', "
            f"is registered on feed {feed.id!r}.",
        )
    return row


def _row(feed: Feed, agent_uid: str | None, camera_id: int | str | None, rows: Rows) -> int | None:
    """A reader is registered by its camera id, or, where several agents share a topic, by agent and camera."""
    index = rows.catalogue.index_of
    exact = index.get((feed.id, f"{agent_uid}/{camera_id}"))
    return exact if exact is not None else index.get((feed.id, str(camera_id)))


def _ns(epoch_ms: float | None, otherwise_ns: int) -> int:
    return otherwise_ns if epoch_ms is None else ns_from_epoch_ms(epoch_ms)
