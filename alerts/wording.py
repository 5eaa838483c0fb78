"""What an officer reads: an alert in two lines of plain English."""

from alerts.rules import Ground
from model.alerts import EventKind, Happening, Incident, Phase, Routed
from model.time import NS

CERTAIN = 0.99
OTHERS_NAMED = 4  # things that happened besides the gravest
REASONS = {
    "jurisdiction": "its jurisdiction",
    "precedence": "first by precedence",
    "overlap": "shares the area",
    "nearest_jurisdiction": "nearest, nobody's area",
    "owner": "runs the sensor",
    "moved_into": "moved into its area",
    "fallback": "first by precedence, no areas drawn",
    "named_by_rule": "named by the rule",
    "whole_site": "concerns the whole site",
}
PHRASES = {
    EventKind.CROSSING: "{who} crossed {place}{direction}",
    EventKind.ENTERING: "{who} entered {place}",
    EventKind.LEAVING: "{who} left {place}",
    EventKind.DWELLING: "{who} has stayed in {place} for {lasting}",
    EventKind.APPROACH: "{who} comes towards {place}, there in some {within}",
    EventKind.SPEED: "{who} at {kmh:.0f} km/h{in_place}",
    EventKind.WRONG_WAY: "{who} goes the wrong way{in_place} at {kmh:.0f} km/h",
    EventKind.GROUP: "Group of {count:.0f}{in_place}, mostly {what}",
    EventKind.CONVOY: "Convoy of {count:.0f}{in_place}",
    EventKind.WATCHED_PLATE: "Watched plate read by {place}{off}",
    EventKind.ABSENCE: "{absent} in {place} for {lasting}",
    EventKind.SILENT_SENSOR: "{silent}",
    EventKind.TAMPERED_SENSOR: "Sensor {place} is tampered with",
    EventKind.COVERAGE_GAP: "{share:.0%} of the cover of {place} is lost",
    EventKind.SYSTEM_FAULT: "System fault, {fault}, {place}: {fault_detail}",
}
SILENT = {
    "unheard": "Sensor {place} has fallen silent",
    "offline": "Sensor {place} is down",
    "switched_off": "Sensor {place} is switched off and does not look",
    "gateway_down": "Gateway {place} is down, and with it {count:.0f} {sensors}",
}
OF_ANOTHER = {
    "agreement": "agreement",
    "offered_by": "offered by",
    "shared_by": "shared by",
    "escalated": "escalated by",
}


def text_of(ground: Ground, incident: Incident, why: str) -> str:
    """Two lines: what, where, how sure; seen by whom, sent to whom and why."""
    first = incident.gravest
    what = _what(ground, incident, first)
    others = dict.fromkeys(_briefly(ground, h) for h in incident.happenings if h is not first)
    if others:
        what += "; also " + ", ".join([*others][:OTHERS_NAMED]) + (" …" if len(others) > OTHERS_NAMED else "")
    if incident.phase is Phase.CLEARED:
        what = f"Over ({why.replace('_', ' ')}): {what}"
    elif incident.phase is Phase.UPDATED:
        what = f"Again ({why.replace('_', ' ')}): {what}"
    if incident.disputed:
        what = f"Disputed: {what}"
    sent = "; ".join(_routed(ground, r) for r in incident.routed) or "nobody"
    if first.kind is EventKind.SYSTEM_FAULT:
        return f"{what}\nsent to {sent}"
    seen = ", ".join(e.sensor for e in incident.evidence) or "no sensor"
    if ("condition", "gateway_down") in first.detail:
        return f"{what} at {_where(incident)}\nbehind it {seen} → {sent}"
    return f"{what} at {_where(incident)}, {_percent(first.probability)} sure\nseen by {seen} → {sent}"


def _briefly(ground: Ground, happening: Happening) -> str:
    return f"{happening.kind.value.replace('_', ' ')} {place_name(ground, happening.zone)}".rstrip()


def _what(ground: Ground, incident: Incident, happening: Happening) -> str:
    said = dict(happening.detail)
    figure = {name: float(value) for name, value in said.items() if isinstance(value, float | int)}
    place, edits = place_name(ground, happening.zone), int(figure.get("edits", 0))
    return PHRASES[happening.kind].format(
        who=_who(incident),
        what=_class(incident).lower(),
        place=place,
        in_place=f" in {place}" if place else "",
        direction=f" {said['direction']}" if "direction" in said else "",
        lasting=_span(figure.get("dwell_s", figure.get("absent_s", 0.0)) + (incident.last_ns - incident.first_ns) / NS),
        within=_span(figure.get("within_s", 0.0)),
        kmh=figure.get("speed_mps", 0.0) * 3.6,
        count=figure.get("count", 0.0),
        off=f", {edits} {'letter' if edits == 1 else 'letters'} off" if edits else "",
        share=figure.get("lost_share", 0.0),
        silent=_silent(said, place),
        absent=f"Fewer than {figure['count_min']:.0f}" if "count_min" in figure else "Nobody",
        fault=str(said.get("fault", "")).replace("_", " "),
        fault_detail=said.get("what", ""),
    )


def _silent(said: dict[str, str | float], place: str) -> str:
    count = float(said.get("sensors", 0))
    phrase = SILENT[str(said.get("condition", "unheard"))]
    return phrase.format(place=place, count=count, sensors="sensor" if count == 1 else "sensors")


def _who(incident: Incident) -> str:
    if incident.storm:
        return f"Storm of alerts, {len(incident.subjects)} so far: {_class(incident).lower()}"
    tracks = sum(1 for s in incident.subjects if s.startswith("T")) or len(incident.subjects)
    return _class(incident) if tracks == 1 else f"{tracks} tracks, mostly {_class(incident).lower()}"


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _class(incident: Incident) -> str:
    return incident.classes[0][0].capitalize() if incident.classes else "Something"


def place_name(ground: Ground, id: str) -> str:
    """A zone, line or sensor as people call it."""
    for ids, names in (
        (ground.zones.ids, ground.zones.names),
        (ground.lines.ids, ground.lines.names),
        (ground.sensor_ids, ground.sensor_names),
    ):
        if id in ids:
            return names[ids.index(id)] or id
    return id


def _where(incident: Incident) -> str:
    lat = f"{abs(incident.at.lat):.5f}° {'N' if incident.at.lat >= 0 else 'S'}"
    lon = f"{abs(incident.at.lon):.5f}° {'E' if incident.at.lon >= 0 else 'W'}"
    return f"{lat} {lon} ±{incident.at.sigma_m:.0f} m"


def _percent(probability: float) -> str:
    return "over 99 %" if probability > CERTAIN else f"{100 * probability:.0f} %"


def _routed(ground: Ground, to: Routed) -> str:
    name = ground.agency_of[to.agency].name if to.agency in ground.agency_of else to.agency
    reason, _, other = to.reason.partition(":")
    said = f"{OF_ANOTHER[reason]} {other}" if reason in OF_ANOTHER else REASONS.get(reason, reason)
    return f"{name} ({'leads' if to.lead else 'copy'}: {said})"
