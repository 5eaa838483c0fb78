"""ChirpStack v4 over MQTT: `application/{id}/device/{eui}/event/{up,status,join,ack,txack,log,location,integration}`.

Source: ChirpStack's documentation, "Event types", and its API's `integration.proto` in JSON. Time: RFC 3339 with up to nine
digits. Place: the device's own, from its registration. Confidence: none but what the profile says. Two uplinks are the
same when their `deduplicationId` is. Life cycle: a pulse a message. JSON leaves out fields that are zero or false, so a
profile says what a missing value means.

Which events come from the device (ChirpStack's `uplink/data.rs` and `downlink/`): `up`, `join` (its first uplink after joining),
`status` (its answer to a request), and an `ack` that is not the time-out. `txack` comes from the gateway, `log`, `location` and
`integration` from the network server, however long the device has been gone.
"""

from typing import Any

import msgspec

from model.faults import FaultKind
from model.health import Sign
from model.rejections import Reason
from sensors.catalogue import Detect, Feed, Profile
from sensors.formats.bounds import (
    EpochS,
    Name,
    Percent,
    TimeText,
    Weight,
    converted,
    is_number,
    ns_from_epoch_s,
    ns_from_text,
)
from sensors.formats.common import Rows
from sensors.repeats import key_of

OF_THE_DEVICE = frozenset({"up", "join", "status"})
OF_THE_NETWORK = frozenset({"txack", "location", "integration"})
DEVICE_FAULTS = {
    "UPLINK_CODEC": "Its codec on ChirpStack fails, so what it says is lost",
    "UPLINK_MIC": "A frame in its name is not authentic: wrong keys, or somebody else's sender",
    "UPLINK_F_CNT_RESET": "Its frame counter was reset, so its frames are dropped: it was restarted, or somebody replays them",
    "OTAA": "It cannot join the network",
}
MISSING = object()
GATEWAYS_MAX = 64  # receptions of one uplink whose times are read


class Gateway(msgspec.Struct):
    """One gateway's reception, `rxInfo`."""

    time: TimeText | None = None
    gwTime: TimeText | None = None
    nsTime: TimeText | None = None


class Uplink(msgspec.Struct):
    """`event/up`."""

    deduplicationId: Name | None = None
    time: TimeText | None = None
    object: Any = None
    data: str | None = None
    rxInfo: list[Gateway] | None = None


class Status(msgspec.Struct):
    """`event/status`."""

    batteryLevel: Percent | None = None
    batteryLevelUnavailable: bool = False
    externalPowerSource: bool = False


class Ack(msgspec.Struct):
    """`event/ack`: a confirmed downlink was acknowledged, or was not in time."""

    acknowledged: bool = False


class Log(msgspec.Struct):
    """`event/log`."""

    level: Name = "INFO"
    code: Name = "UNKNOWN"


_ack = msgspec.json.Decoder(Ack)
_log = msgspec.json.Decoder(Log)
_uplink = msgspec.json.Decoder(Uplink)
_status = msgspec.json.Decoder(Status)


def subscriptions(feed: Feed) -> tuple[str, ...]:
    return (f"{feed.topic}/+/device/+/event/+",)


def source_in(feed: Feed, topic: str) -> str:
    """The device's EUI, by the topic alone."""
    rest = topic[len(feed.topic) + 1 :].split("/")
    return rest[2].lower() if len(rest) == 5 else ""


def read(feed: Feed, topic: str, payload: bytes, rows: Rows) -> None:
    """Write what a message says into `rows`. Raises msgspec's errors, or Unusable, for what is not of this shape."""
    match topic[len(feed.topic) + 1 :].split("/"):
        case [_, "device", eui, "event", event]:
            sensor = rows.sensor(feed.id, eui.lower())
            if sensor is None:
                return
            if event not in OF_THE_DEVICE:
                rows.named = None  # whatever is wrong with it, it is no sign of the device
            if event == "up":
                _read_uplink(sensor, _uplink.decode(payload), key_of(topic, payload), rows)
            elif event == "status":
                _read_status(sensor, _status.decode(payload), rows)
            elif event == "join":
                rows.sign(sensor, Sign.HEARD)
            elif event == "ack":
                _read_ack(sensor, _ack.decode(payload), rows)
            elif event == "log":
                _read_log(sensor, _log.decode(payload), rows)
            elif event in OF_THE_NETWORK:
                rows.reject(Reason.NETWORK_EVENT, "From the network, not from the device.", sensor)
            else:
                rows.reject(Reason.UNKNOWN_EVENT, f"ChirpStack has no event {event[:40]!r} that we know.", sensor)
        case _:
            rows.reject(Reason.UNKNOWN_TOPIC, f"Not application/…/device/…/event/…: {topic[:100]!r}.")


def _read_uplink(sensor: int, uplink: Uplink, whole_key: int, rows: Rows) -> None:
    rows.sign(sensor, Sign.HEARD)
    profile = rows.catalogue.sensors[sensor].profile
    if uplink.object is None:
        if uplink.data:
            rows.reject(
                Reason.WRONG_SHAPE, "No decoded object: set a codec in the device profile on ChirpStack.", sensor
            )
        return
    if profile is None:
        rows.reject(Reason.NO_DETECTION, "The sensor has no profile that says what its values mean.", sensor)
        return
    _read_signs(sensor, profile, uplink.object, rows)
    key = whole_key if uplink.deduplicationId is None else key_of("chirpstack", uplink.deduplicationId)
    for number, detect in enumerate(profile.detects):
        if _holds(detect, uplink.object):
            rows.detection(
                sensor,
                _observed_ns(profile, uplink, rows.received_ns),
                key=key + number & 0xFFFFFFFFFFFFFFFF,
                classes=rows.classes(sensor, dict(detect.classes)) if detect.classes else -1,
                confidence=detect.confidence,
                timeless=uplink.deduplicationId is None and uplink.time is None,
            )
            return


def _read_signs(sensor: int, profile: Profile, said: Any, rows: Rows) -> None:
    if profile.battery is not None:
        level = value_at(said, profile.battery)
        if is_number(level):
            share = converted(level, Weight, ".".join(profile.battery)) / profile.battery_full
            rows.sign(sensor, Sign.BATTERY, min(max(share, 0.0), 1.0))
    if profile.tamper is not None and _holds(profile.tamper, said):
        rows.sign(sensor, Sign.TAMPERED)


def _read_status(sensor: int, status: Status, rows: Rows) -> None:
    rows.sign(sensor, Sign.HEARD)
    if status.externalPowerSource:
        rows.sign(sensor, Sign.BATTERY, 1.0)
    elif not status.batteryLevelUnavailable:
        rows.sign(sensor, Sign.BATTERY, (status.batteryLevel or 0.0) / 100)


def _read_ack(sensor: int, ack: Ack, rows: Rows) -> None:
    if ack.acknowledged:
        rows.sign(sensor, Sign.HEARD)
    else:
        rows.reject(Reason.NETWORK_EVENT, "The device did not acknowledge a downlink in time.", sensor)


def _read_log(sensor: int, log: Log, rows: Rows) -> None:
    """The network server's word about a device. Its description is free text, and stays there."""
    fault = DEVICE_FAULTS.get(log.code)
    if fault is None:
        rows.reject(Reason.NETWORK_EVENT, "The network server's log, not the device's word.", sensor)
        return
    rows.reject(Reason.DEVICE_FAULT, f"{fault} ({log.code}).", sensor)
    rows.fault(FaultKind.DEVICE_FAULT, rows.catalogue.sensors[sensor].id, f"{fault} ({log.code}).")


def _observed_ns(profile: Profile, uplink: Uplink, received_ns: int) -> int:
    if profile.time is not None:
        own = value_at(uplink.object, profile.time)
        if is_number(own):
            return ns_from_epoch_s(converted(own, EpochS, ".".join(profile.time)))
    if uplink.time:
        return ns_from_text(uplink.time)
    heard = [time for g in (uplink.rxInfo or [])[:GATEWAYS_MAX] for time in (g.gwTime, g.nsTime, g.time) if time]
    return min(map(ns_from_text, heard), default=received_ns)


def value_at(said: Any, path: tuple[str, ...]) -> Any:
    """The value at a path of keys and list indices, or MISSING."""
    for step in path:
        if isinstance(said, dict) and step in said:
            said = said[step]
        elif isinstance(said, list) and step.isdecimal() and int(step) < len(said):
            said = said[int(step)]
        else:
            return MISSING
    return said


def _holds(detect: Detect, said: Any) -> bool:
    value = value_at(said, detect.path)
    if value is MISSING:
        value = detect.default
    if value is None:
        return False
    if detect.above is not None and is_number(value) and value > detect.above:
        return True
    return value in detect.values
