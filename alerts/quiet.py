"""What keeps an incident from being told: somebody's silence, or a greater incident of which it is a lesser part.

A muted incident is raised, followed and written down as any other; only nobody is told. When what muted it is over and
it is not, they are.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from alerts.revisions import Told, Why, is_open, revised
from alerts.rules import Ground, Inhibition
from model.alerts import Alert, Incident, Routed, Silence

FIELDS = ("rule", "kind", "zone", "severity", "subject", "sensor", "agency", "class")


def matches(incident: Incident, matchers: tuple[tuple[str, str], ...]) -> bool:
    """Do all hold? A value may name several with commas, or end in `*`."""
    return all(any(_fits(said, value) for said in _said(incident, field)) for field, value in matchers)


def _said(incident: Incident, field: str) -> set[str]:
    match field:
        case "rule":
            return {h.rule for h in incident.happenings}
        case "kind":
            return {h.kind.value for h in incident.happenings}
        case "zone":
            return {h.zone for h in incident.happenings}
        case "severity":
            return {incident.severity}
        case "subject":
            return set(incident.subjects)
        case "sensor":
            return {e.sensor for e in incident.evidence}
        case "agency":
            return {r.agency for r in incident.routed}
        case _:
            return {name for name, _ in incident.classes[:1]}


def _fits(said: str, value: str) -> bool:
    return any(said.startswith(v[:-1]) if v.endswith("*") else said == v for v in value.split(","))


def reason_to_mute(
    ground: Ground, silences: tuple[Silence, ...], incidents: Iterable[Incident], incident: Incident, now_ns: int
) -> str:
    """The named reason; empty where there is none."""
    for silence in silences:
        if not silence.agency and _in_force(silence, incident, now_ns):
            return f"silence:{silence.id}"
    for inhibition in ground.inhibitions:
        if not matches(incident, inhibition.mutes):
            continue
        for other in incidents:
            if other.key != incident.key and is_open(other) and _inhibits(inhibition, other, incident):
                return f"inhibition:{inhibition.id}:{other.key}"
    return ""


def _in_force(silence: Silence, incident: Incident, now_ns: int) -> bool:
    return silence.from_ns <= now_ns < silence.until_ns and matches(incident, silence.matchers)


def with_own_silences(silences: tuple[Silence, ...], incident: Incident, now_ns: int) -> Incident:
    """The incident, each agency of which is kept from it by a silence of its own, or no longer.

    Nobody could acknowledge what nobody was told of: where a silence ends, the agency's ladder begins.
    """
    routed = tuple(_with_own_silence(silences, incident, route, now_ns) for route in incident.routed)
    return incident if routed == incident.routed else replace(incident, routed=routed)


def _with_own_silence(silences: tuple[Silence, ...], incident: Incident, route: Routed, now_ns: int) -> Routed:
    own = (s for s in silences if s.agency == route.agency and _in_force(s, incident, now_ns))
    reason = next((f"silence:{silence.id}" for silence in own), "")
    if reason == route.muted:
        return route
    return replace(route, muted=reason, since_ns=route.since_ns if reason else now_ns)


def _inhibits(inhibition: Inhibition, other: Incident, incident: Incident) -> bool:
    if not matches(other, inhibition.by) or matches(other, inhibition.mutes):
        return False  # what would be muted itself mutes nothing, so that two cannot mute each other
    (ax, ay), (bx, by) = other.at.position, incident.at.position
    near = other.at.sector == incident.at.sector and (ax - bx) ** 2 + (ay - by) ** 2 <= inhibition.within_m**2
    return near or inhibition.within_m == float("inf")


def silences_due_ns(silences: tuple[Silence, ...]) -> Iterator[int]:
    """When they begin and end."""
    for silence in silences:
        yield from (silence.from_ns, silence.until_ns)


def muted(
    ground: Ground, silences: tuple[Silence, ...], incidents: tuple[Incident, ...], clock_ns: int, now_ns: int
) -> Told:
    """Open incidents for which that has changed, told of accordingly."""
    if (
        not silences
        and not ground.inhibitions
        and not any(i.muted or any(r.muted for r in i.routed) for i in incidents)
    ):
        return incidents, ()
    kept: list[Incident] = []
    alerts: list[Alert] = []
    for incident in incidents:
        alert: Alert | None = None
        after = incident
        if is_open(incident):
            reason = reason_to_mute(ground, silences, incidents, incident, now_ns)
            after, alert = _with_mutes(ground, silences, incident, reason, clock_ns, now_ns)
        kept.append(after if alert is None else alert.incident)
        alerts += [] if alert is None else [alert]
    return tuple(kept), tuple(alerts)


def _with_mutes(
    ground: Ground, silences: tuple[Silence, ...], incident: Incident, reason: str, clock_ns: int, now_ns: int
) -> tuple[Incident, Alert | None]:
    """An open incident as it is muted now, and the revision that says so, which concerns all or who made a silence of its own."""
    after = with_own_silences(silences, incident, now_ns)
    if reason != incident.muted:
        # Nobody could acknowledge what nobody was told of: ladders begin when they are.
        routed = after.routed if reason else tuple(replace(r, since_ns=now_ns) for r in after.routed)
        after = replace(after, muted=reason, routed=routed)
        return after, revised(ground, after, _why(incident.muted, reason), clock_ns, now_ns)
    changed = [r for r, before in zip(after.routed, incident.routed, strict=True) if r.muted != before.muted]
    if not changed:
        return after, None
    over = tuple(r.agency for r in changed if not r.muted)
    why, agencies = (Why.SILENCE_OVER, over) if over else (Why.SILENCED, tuple(r.agency for r in changed))
    return after, replace(revised(ground, after, why, clock_ns, now_ns, note=", ".join(agencies)), agencies=agencies)


def _why(before: str, after: str) -> Why:
    if after:
        return Why.SILENCED if after.startswith("silence:") else Why.INHIBITED
    return Why.SILENCE_OVER if before.startswith("silence:") else Why.INHIBITION_OVER
