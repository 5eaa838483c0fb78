"""Cursor on Target: where units of ours are, as a TAK server or a bridge to MQTT tells it, one XML `event` a message.

Source: MITRE's "Cursor-on-Target Message Router User's Guide" and the event schema it describes, version 2.0. Time: RFC 3339
in `time`. Place: `point`, degrees WGS84; `ce` is one standard deviation in metres, 9999999 unknown. Course from true north in °
and speed in m/s in `detail/track`. Only friends are units of ours: a type that begins with `a-f`. Life cycle: a word each few
seconds; `stale` says when it no longer holds, which the age of the last word says as well. Two messages are the same when their
`uid` and `time` are.
"""

from xml.etree import ElementTree

from model.rejections import Reason
from sensors.catalogue import Feed
from sensors.formats.bounds import BearingDeg, Latitude, Longitude, SigmaM, SpeedMps, Weight, converted, ns_from_text
from sensors.formats.common import Rows

UNKNOWN = 9_999_999.0
FRIEND = "a-f"


def subscriptions(feed: Feed) -> tuple[str, ...]:
    return () if feed.server else (f"{feed.topic}/#",)


def source_in(_: Feed, __: str) -> str:
    """Units are no sensors."""
    return ""


def read(feed: Feed, _: str, payload: bytes, rows: Rows) -> None:
    """Write what a message says into `rows`. Raises Unusable for what is not of this shape."""
    if b"<!" in payload[:2000]:
        rows.reject(Reason.WRONG_SHAPE, "A document type in Cursor on Target: entities are not read.")
        return
    try:
        event = ElementTree.fromstring(payload)  # noqa: S314 - no entities, by the line above
    except (
        ElementTree.ParseError,
        LookupError,
        ValueError,
    ) as error:  # of an encoding that nobody knows, or cannot read
        rows.reject(Reason.WRONG_SHAPE, f"Not XML: {error}."[:200])
        return
    point = event.find("point")
    if event.tag != "event" or point is None:
        rows.reject(Reason.WRONG_SHAPE, "No `event` with a `point`.")
        return
    if not event.get("type", "").startswith(FRIEND):
        rows.reject(Reason.NO_DETECTION, "Not a friend: only types that begin with a-f are units of ours.")
        return
    track, contact = event.find("detail/track"), event.find("detail/contact")
    error_m = converted(point.get("ce", UNKNOWN), Weight, "ce")
    rows.unit(
        feed.id,
        event.get("uid", ""),
        ns_from_text(event.get("time", "")),
        converted(point.get("lat"), Latitude, "lat"),
        converted(point.get("lon"), Longitude, "lon"),
        name="" if contact is None else contact.get("callsign", ""),
        sigma_m=converted(error_m, SigmaM, "ce") if 0 < error_m < UNKNOWN else None,
        course_deg=None if track is None else _stated(track.get("course"), BearingDeg, "course"),
        speed_mps=None if track is None else _stated(track.get("speed"), SpeedMps, "speed"),
    )


def _stated(text: str | None, kind: type[float], name: str) -> float | None:
    """A number, or None where it is left out or said to be unknown."""
    value = converted(text or UNKNOWN, Weight, name)
    return converted(value, kind, name) if value < UNKNOWN else None
