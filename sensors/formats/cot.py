"""Cursor on Target: where units of ours are, as a TAK server or a bridge to MQTT tells it, one XML `event` a message.

Source: MITRE's "Cursor-on-Target Message Router User's Guide" and the event schema it describes, version 2.0; TAK's protocol of
streams (`protocol.txt` beside ATAK's `commoncommo`). Time: RFC 3339 in `time`; `stale` says until when the event holds. Place:
`point`, degrees WGS84; `ce` is one standard deviation in metres, 9999999 unknown. Course from true north in ° and speed in m/s in
`detail/track`. Configuration says which types are patrols (`unit_types` of the feed) and which uids (units). Life cycle: a word
each few seconds, until it is stale. Two messages are the same when their `uid` and `time` are.

What comes in is UTF-8 without a document type, whatever its declaration says, and of bounded depth. Version 1 of TAK's protocol
(Protocol Buffers) is not read: servers send it to who asks for it, which we do not.
"""

from typing import Any
from xml.etree import ElementTree

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser, ParseError

from model.rejections import Reason
from sensors.catalogue import Feed
from sensors.formats.bounds import (
    BearingDeg,
    Latitude,
    Longitude,
    SigmaM,
    SpeedMps,
    Unusable,
    Weight,
    converted,
    ns_from_text,
)
from sensors.formats.common import Rows

UNKNOWN = 9_999_999.0
FRIEND = "a-f"
DEPTH_MAX = 32  # elements within each other; TAK's own events have some six
MAGIC = 0xBF  # begins each message of TAK's protocol, version 1, and no text in UTF-8
NOT_UTF_8 = "Not in UTF-8, as Cursor on Target is."
PROTOBUF = "TAK's protocol of version 1 (Protocol Buffers): have its sender use version 0, which is XML."


class _Shallow(ElementTree.TreeBuilder):
    """A tree of bounded depth."""

    depth = 0

    def start(self, tag: Any, attrs: dict[Any, Any], /) -> ElementTree.Element:
        self.depth += 1
        if self.depth > DEPTH_MAX:
            raise Unusable(Reason.WRONG_SHAPE, f"More than {DEPTH_MAX} elements within each other.")
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> ElementTree.Element:
        self.depth -= 1
        return super().end(tag)


def subscriptions(feed: Feed) -> tuple[str, ...]:
    return () if feed.server else (f"{feed.topic}/#",)


def source_in(_: Feed, __: str) -> str:
    """Units are no sensors."""
    return ""


def read(feed: Feed, _: str, payload: bytes, rows: Rows) -> None:
    """Write what a message says into `rows`. Raises Unusable for what is not of this shape."""
    event = _event(payload)
    point = event.find("point")
    if event.tag != "event" or point is None:
        rows.reject(Reason.WRONG_SHAPE, "No `event` with a `point`.")
        return
    kind = event.get("type", "")
    if not any(kind == patrol or kind.startswith(f"{patrol}-") for patrol in feed.unit_types):
        friend = kind == FRIEND or kind.startswith(f"{FRIEND}-")
        what = f"The type {kind[:64]!r} is none of the feed's unit_types." if friend else "Not a friend."
        rows.reject(Reason.NO_DETECTION, f"{what} It explains no track.")
        return
    stale_ns = ns_from_text(event.get("stale", ""))
    if stale_ns <= rows.received_ns:
        rows.reject(Reason.TOO_OLD, "It was stale when it came.")
        return
    track, contact = event.find("detail/track"), event.find("detail/contact")
    error_m = converted(point.get("ce", UNKNOWN), Weight, "ce")
    rows.unit(
        feed,
        event.get("uid", ""),
        ns_from_text(event.get("time", "")),
        converted(point.get("lat"), Latitude, "lat"),
        converted(point.get("lon"), Longitude, "lon"),
        until_ns=stale_ns,
        name="" if contact is None else contact.get("callsign", ""),
        sigma_m=converted(error_m, SigmaM, "ce") if 0 < error_m < UNKNOWN else None,
        course_deg=None if track is None else _stated(track.get("course"), BearingDeg, "course"),
        speed_mps=None if track is None else _stated(track.get("speed"), SpeedMps, "speed"),
    )


def _event(payload: bytes) -> ElementTree.Element:
    """The root of an XML document. Raises Unusable for all that is not plain XML in UTF-8."""
    if payload[:1] == bytes([MAGIC]):
        raise Unusable(Reason.WRONG_SHAPE, PROTOBUF)
    try:
        text = payload.decode("utf-8-sig").lstrip()
    except UnicodeDecodeError as error:
        raise Unusable(Reason.WRONG_SHAPE, NOT_UTF_8) from error
    if "\0" in text:  # UTF-16, which expat would recognise and read
        raise Unusable(Reason.WRONG_SHAPE, NOT_UTF_8)
    if text[:1] != "<":
        what = f"it begins with {text[:1]!r}" if text else "it is empty"
        raise Unusable(Reason.WRONG_SHAPE, f"Not XML: {what}. Protocol Buffers are not read, only TAK's version 0.")
    parser = DefusedXMLParser(target=_Shallow(), forbid_dtd=True)
    try:
        parser.feed(text)  # as text, so that a declaration of another encoding changes nothing
        event: ElementTree.Element = parser.close()
    except DefusedXmlException as error:
        raise Unusable(
            Reason.WRONG_SHAPE, "A document type in Cursor on Target: it and entities are not read."
        ) from error
    except (ParseError, ValueError) as error:
        raise Unusable(Reason.WRONG_SHAPE, f"Not XML: {error}."[:200]) from error
    return event


def _stated(text: str | None, kind: type[float], name: str) -> float | None:
    """A number, or None where it is left out or said to be unknown."""
    value = converted(text or UNKNOWN, Weight, name)
    return converted(value, kind, name) if value < UNKNOWN else None
