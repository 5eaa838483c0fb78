"""An alert as Cursor on Target, for a TAK server. Values only, no sending.

One event an incident: its `uid` stays, so a later word replaces the one before, and one whose `stale` is now goes from the map.
9999999 stands for what is not known.
"""

from datetime import datetime, timedelta
from xml.etree import ElementTree

import msgspec

from alerts.wire import xml_text

DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'
UNKNOWN = "9999999.0"
TYPES = {"person": "a-s-G-U-C", "vehicle": "a-s-G-E-V", "vessel": "a-s-S", "aircraft": "a-s-A", "animal": "a-n-G"}
SUSPECT, EQUIPMENT = "a-s-G", "a-f-G-E-S"  # something suspect on the ground; a sensor of ours


def cot_event(body: bytes, stale_s: float) -> bytes:
    """The XML of a delivery's body; it is stale after `stale_s`, or at once when it is over."""
    record = msgspec.json.decode(body)
    told = datetime.fromisoformat(record["told"])
    stale = told if record["phase"] == "cleared" else told + timedelta(seconds=stale_s)
    event = ElementTree.Element(
        "event",
        version="2.0",
        uid=f"marchwarden.{record['alert']}",
        type=_type(record),
        how="m-f",
        time=_time(told),
        start=_time(told),
        stale=_time(stale),
    )
    error_m = f"{record['sigma_m']:.1f}" if record["sigma_m"] else UNKNOWN
    ElementTree.SubElement(
        event, "point", lat=str(record["lat"]), lon=str(record["lon"]), hae=UNKNOWN, ce=error_m, le=UNKNOWN
    )
    detail = ElementTree.SubElement(event, "detail")
    ElementTree.SubElement(detail, "contact", callsign=f"{record['severity'].upper()} {record['alert'][:6]}")
    ElementTree.SubElement(detail, "remarks").text = xml_text(record["text"])
    ElementTree.SubElement(
        detail,
        "marchwarden",
        delivery=record["delivery"],
        alert=record["alert"],
        revision=str(record["revision"]),
        phase=record["phase"],
        status=record["status"],
    )
    return DECLARATION + ElementTree.tostring(event, encoding="unicode").encode()


def _type(record: dict[str, dict[str, str]]) -> str:
    if str(record["reason"]["kind"]) in ("silent_sensor", "tampered_sensor", "coverage_gap", "system_fault"):
        return EQUIPMENT
    likeliest = next(iter(record["class"]), "")
    return TYPES.get(likeliest, SUSPECT)


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
