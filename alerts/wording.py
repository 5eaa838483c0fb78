"""What an officer reads: an alert in two lines of plain English."""

from alerts.rules import Ground
from model.alerts import EventKind, Incident, Phase, Routed

CERTAIN = 0.99
REASONS = {
    "jurisdiction": "its jurisdiction",
    "precedence": "first by precedence",
    "overlap": "shares the area",
    "nearest_jurisdiction": "nearest, nobody's area",
    "owner": "runs the sensor",
    "moved_into": "moved into its area",
    "fallback": "first by precedence, no areas drawn",
}


def text_of(ground: Ground, incident: Incident, why: str) -> str:
    """Two lines: what, where, how sure; seen by whom, sent to whom and why."""
    what = _what(ground, incident)
    if incident.phase is Phase.CLEARED:
        what = f"Over ({why.replace('_', ' ')}): {what}"
    elif incident.phase is Phase.UPDATED:
        what = f"Again ({why.replace('_', ' ')}): {what}"
    seen = ", ".join(e.sensor for e in incident.evidence) or "no sensor"
    sent = "; ".join(_routed(ground, r) for r in incident.routed) or "nobody"
    return f"{what} at {_where(incident)}, {_percent(incident.probability)} sure\nseen by {seen} → {sent}"


def _what(ground: Ground, incident: Incident) -> str:
    detail = dict(incident.detail)
    count = len(incident.subjects)
    who = _class(incident) if count == 1 else f"{count} tracks, mostly {_class(incident).lower()}"
    place = _place(ground, incident.zone)
    match incident.kind:
        case EventKind.CROSSING:
            return f"{who} crossed {place} {detail.get('direction', '')}".rstrip()
        case EventKind.ENTERING:
            return f"{who} entered {place}"
        case EventKind.DWELLING:
            return f"{who} has stayed in {place} for {_duration(incident, detail)}"
        case EventKind.WATCHED_PLATE:
            return f"Watched plate read by {place}"
        case EventKind.SILENT_SENSOR:
            return f"Sensor {place} has fallen silent"


def _duration(incident: Incident, detail: dict[str, str | float]) -> str:
    since_s = float(detail.get("dwell_s", 0.0)) + (incident.last_ns - incident.first_ns) / 1e9
    return f"{since_s:.0f} s" if since_s < 120 else f"{since_s / 60:.0f} min"


def _class(incident: Incident) -> str:
    return incident.classes[0][0].capitalize() if incident.classes else "Something"


def _place(ground: Ground, id: str) -> str:
    for ids, names in (
        (ground.zones.ids, ground.zones.names),
        (ground.lines.ids, ground.lines.names),
        (ground.sensor_ids, ground.sensor_names),
    ):
        if id in ids:
            return names[ids.index(id)] or id
    return id


def _where(incident: Incident) -> str:
    lat = f"{abs(incident.lat):.5f}° {'N' if incident.lat >= 0 else 'S'}"
    lon = f"{abs(incident.lon):.5f}° {'E' if incident.lon >= 0 else 'W'}"
    return f"{lat} {lon} ±{incident.sigma_m:.0f} m"


def _percent(probability: float) -> str:
    return "over 99 %" if probability > CERTAIN else f"{100 * probability:.0f} %"


def _routed(ground: Ground, to: Routed) -> str:
    name = next((a.name for a in ground.agencies if a.id == to.agency), to.agency)
    reason, _, paper = to.reason.partition(":")
    said = f"agreement {paper}" if reason == "agreement" else REASONS.get(reason, reason)
    return f"{name} ({'leads' if to.lead else 'copy'}: {said})"
