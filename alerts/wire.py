"""Alerts as others read them: the record of contract.md, and the key of a delivery. Values only, no sending."""

import re
from hashlib import blake2b
from typing import Any

import msgspec

from model.alerts import Alert, Happening, Incident, Phase
from model.time import iso_from_ns

NO_XML = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")


def record_of(alert: Alert) -> dict[str, Any]:
    """One revision as contract.md lays down, and what we add to it."""
    incident, first = alert.incident, alert.incident.gravest
    lead = next((r.agency for r in incident.routed if r.lead), None)
    return {
        "alert": incident.key,
        "revision": incident.revision,
        "phase": incident.phase.value,
        "rule": first.rule,
        "severity": incident.severity,
        "observed": iso_from_ns(incident.first_ns),
        "raised": iso_from_ns(incident.raised_ns),
        "lat": round(incident.at.lat, 6),
        "lon": round(incident.at.lon, 6),
        "zone": first.zone,
        "agencies": [r.agency for r in incident.routed],
        "reason": {
            "kind": first.kind.value,
            "why": alert.why,
            "probability": _rounded(first.probability),
            "detail": _detail(first),
            "routing": [_route(r) for r in incident.routed],
            "happenings": [_happening(h) for h in incident.happenings],
        },
        "evidence": [{"sensor": e.sensor, "time": iso_from_ns(e.time_ns)} for e in incident.evidence],
        "text": alert.text,
        "lead": lead,
        "last_seen": iso_from_ns(incident.last_ns),
        "told": iso_from_ns(alert.told_ns),
        "sigma_m": _rounded(incident.at.sigma_m),
        "class": dict(incident.classes),
        "subjects": list(incident.subjects),
        "status": status_of(incident),
        "acknowledged_by": incident.acknowledged_by or None,
        "acknowledged": iso_from_ns(incident.acknowledged_ns) if incident.acknowledged_ns else None,
        "assigned_to": incident.assigned_to or None,
        "resolution": incident.resolution or None,
        "resolved_by": incident.resolved_by or None,
        "muted": incident.muted or None,
        "offered_to": incident.offered_to or None,
        "disputed": incident.disputed,
        "storm": incident.storm,
        "merged_into": incident.merged_into or None,
        "parts": list(incident.parts),
        "split_from": incident.split_from or None,
        "log": [{"time": iso_from_ns(e.time_ns), "what": e.what, "by": e.by, "note": e.note} for e in incident.log],
    }


def status_of(incident: Incident) -> str:
    """Where in its life it is, in a word."""
    if incident.resolution:
        return "resolved"
    if incident.merged_into:
        return "merged"
    if incident.phase is Phase.CLEARED:
        return "cleared"
    if incident.assigned_to:
        return "assigned"
    return "acknowledged" if incident.acknowledged_by else "open"


def encoded(record: dict[str, Any]) -> bytes:
    """The record's bytes, without a newline: the same record always gives the same."""
    return msgspec.json.encode(record)


def delivery_key(agency: str, channel: str, incident: str, revision: int) -> str:
    """What makes a delivery this one: receivers that get the same key again may drop it."""
    said = f"{agency}|{channel}|{incident}|{revision}"
    return blake2b(said.encode(), digest_size=12).hexdigest()


def one_line(text: str) -> str:
    """The text with a space for each character that ends a line or controls a terminal: what a header may hold."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def xml_text(text: str) -> str:
    """The text with a space for each character that XML 1.0 (2.2) does not allow."""
    return NO_XML.sub(" ", text)


def _route(r: Any) -> dict[str, Any]:
    return {
        "agency": r.agency,
        "lead": r.lead,
        "reason": r.reason,
        "area": r.area,
        "stance": r.stance.value or None,
        "rung": r.rung,
        "muted": r.muted or None,
    }


def _happening(h: Happening) -> dict[str, Any]:
    return {
        "rule": h.rule,
        "kind": h.kind.value,
        "zone": h.zone,
        "severity": h.severity,
        "first": iso_from_ns(h.first_ns),
        "last": iso_from_ns(h.event_ns),
        "probability": _rounded(h.probability),
        "detail": _detail(h),
    }


def _detail(happening: Happening) -> dict[str, Any]:
    return {name: _rounded(value) for name, value in happening.detail}


def _rounded(value: float | str) -> float | str:
    return round(value, 3) if isinstance(value, float) else value
