"""Escalation: an incident that nobody acknowledges in time climbs its agencies' ladders, rung by rung."""

from collections.abc import Iterator
from dataclasses import replace

from alerts.revisions import Told, Why, is_open, revised
from alerts.rules import Ground, Rung
from alerts.standing import ESCALATED_MAY, withheld_from_copies
from model.alerts import Alert, Incident, Routed


def escalated(ground: Ground, incidents: tuple[Incident, ...], clock_ns: int, now_ns: int) -> Told:
    """Incidents whose next rung has come, told to whom that rung names."""
    kept: list[Incident] = []
    alerts: list[Alert] = []
    for incident in incidents:
        climbed = _climbed(ground, incident, now_ns) if _waits(incident) else incident
        if climbed is incident:
            kept.append(incident)
            continue
        climbing = [r.agency for r, b in zip(climbed.routed, incident.routed, strict=False) if r.rung > b.rung]
        alert = revised(ground, climbed, Why.ESCALATED, clock_ns, now_ns, note=", ".join(climbing))
        alerts.append(alert)
        kept.append(alert.incident)
    return tuple(kept), tuple(alerts)


def escalation_due_ns(ground: Ground, incident: Incident) -> Iterator[int]:
    """When an incident reaches a rung, if nobody acknowledges it."""
    if _waits(incident):
        for route in incident.routed:
            agency = ground.agency_of.get(route.agency)
            yield from (route.since_ns + rung.after_ns for rung in (agency.rungs(incident.severity) if agency else ()))


def _waits(incident: Incident) -> bool:
    """Told, and by nobody acknowledged."""
    return is_open(incident) and bool(incident.informed) and not incident.muted and not incident.acknowledged_by


def _climbed(ground: Ground, incident: Incident, now_ns: int) -> Incident:
    routed = list(incident.routed)
    for i, route in enumerate(incident.routed):
        agency = ground.agency_of.get(route.agency)
        if agency is None or not route.lead or route.muted:
            continue
        rungs = agency.rungs(incident.severity)
        reached = sum(1 for rung in rungs if now_ns - route.since_ns >= rung.after_ns)
        if reached > route.rung:
            routed[i] = replace(route, rung=reached)
            routed += _called(ground, incident, routed, rungs[route.rung : reached], route, now_ns)
    return incident if tuple(routed) == incident.routed else replace(incident, routed=tuple(routed))


def _called(
    ground: Ground, incident: Incident, routed: list[Routed], rungs: list[Rung], by: Routed, now_ns: int
) -> list[Routed]:
    """Agencies that the rungs name and that do not have it yet."""
    has = {r.agency for r in routed}
    names = dict.fromkeys(a for rung in rungs for a in rung.agencies if a not in has)
    withheld = withheld_from_copies(ground, incident)
    reason = f"escalated:{by.agency}"
    return [Routed(a, False, reason, withheld=withheld, since_ns=now_ns, may=ESCALATED_MAY) for a in names]
