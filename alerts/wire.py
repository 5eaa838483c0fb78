"""Alerts as others read them: the record of contract.md, and the key of a delivery. Values only, no sending."""

import json
from hashlib import blake2b
from typing import Any

from model.alerts import Alert, EventKind
from model.time import iso_from_ns

WITHHELD = "withheld"
PLATE_FIELDS = ("plate",)


def record_of(alert: Alert, plates: bool = True) -> dict[str, Any]:
    """One revision as contract.md lays down, and what we add to it. Without `plates`, tokens are withheld."""
    incident = alert.incident
    detail = {
        name: WITHHELD if name in PLATE_FIELDS and not plates else _rounded(value) for name, value in incident.detail
    }
    subjects = list(incident.subjects)
    if incident.kind is EventKind.WATCHED_PLATE and not plates:
        subjects = [WITHHELD] * len(subjects)
    lead = next((r.agency for r in incident.routed if r.lead), None)
    return {
        "alert": incident.key,
        "revision": incident.revision,
        "phase": incident.phase.value,
        "rule": incident.rule,
        "severity": incident.severity,
        "observed": iso_from_ns(incident.first_ns),
        "raised": iso_from_ns(incident.raised_ns),
        "lat": round(incident.lat, 6),
        "lon": round(incident.lon, 6),
        "zone": incident.zone,
        "agencies": [r.agency for r in incident.routed],
        "reason": {
            "kind": incident.kind.value,
            "why": alert.why,
            "probability": _rounded(incident.probability),
            "detail": detail,
            "routing": [
                {"agency": r.agency, "lead": r.lead, "reason": r.reason, "area": r.area} for r in incident.routed
            ],
        },
        "evidence": [{"sensor": e.sensor, "time": iso_from_ns(e.time_ns)} for e in incident.evidence],
        "text": alert.text,
        "lead": lead,
        "last_seen": iso_from_ns(incident.last_ns),
        "told": iso_from_ns(alert.told_ns),
        "sigma_m": _rounded(incident.sigma_m),
        "class": dict(incident.classes),
        "subjects": subjects,
        "acknowledged_by": incident.acknowledged_by or None,
        "acknowledged": iso_from_ns(incident.acknowledged_ns) if incident.acknowledged_ns else None,
        "resolution": incident.resolution or None,
        "resolved_by": incident.resolved_by or None,
    }


def encoded(record: dict[str, Any]) -> bytes:
    """The record's bytes, without a newline: the same record always gives the same."""
    return json.dumps(record, ensure_ascii=False, separators=(", ", ": "), allow_nan=False).encode()


def delivery_key(agency: str, channel: str, incident: str, revision: int) -> str:
    """What makes a delivery this one: receivers that get the same key again may drop it."""
    said = f"{agency}|{channel}|{incident}|{revision}"
    return blake2b(said.encode(), digest_size=12).hexdigest()


def _rounded(value: float | str) -> float | str:
    return round(value, 3) if isinstance(value, float) else value
