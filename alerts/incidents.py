"""Events into incidents: one real-world happening is one incident, with revisions.

An event belongs to an open incident of its rule when they share a subject, or when it is near enough in space and
time at the same place. What is told, and when again, is decided here, and every decision has a named reason.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import blake2b

from alerts.routing import routed, routed_again
from alerts.rules import Ground, Rule
from alerts.wording import text_of
from model.alerts import Action, Alert, Event, EventKind, Evidence, Incident, Phase
from model.time import NS
from model.tracks import name_of

SETTLE_SUBJECT_NS = 10 * NS  # another track is told of no sooner than this after the last revision
SETTLE_SENSOR_NS = 30 * NS  # another sensor likewise


class Why(StrEnum):
    """Why an incident is told of, or told of again."""

    RAISED = "raised"
    ANOTHER_SUBJECT = "another_subject"
    NEW_SENSORS = "new_sensors"
    REPEAT = "repeat_interval_elapsed"
    CLEARED_BY_TIME = "cleared_by_time"
    HEARD_AGAIN = "heard_again"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


@dataclass(frozen=True)
class Sighting:
    """Where a subject of an incident is now, and who sees it."""

    subject: str
    seen_ns: int
    sector: int
    position: tuple[float, float]
    lat: float
    lon: float
    sigma_m: float
    probability: float
    classes: tuple[tuple[str, float], ...]
    evidence: tuple[Evidence, ...]


def grouped(
    ground: Ground, incidents: tuple[Incident, ...], events: Iterable[Event], now_ns: int
) -> tuple[tuple[Incident, ...], tuple[Alert, ...]]:
    """The incidents after `events`, and the alerts of those just raised."""
    known = list(incidents)
    alerts: list[Alert] = []
    for event in events:
        rule = ground.rule(event.rule)
        place = next((i for i in reversed(range(len(known))) if _belongs(rule, known[i], event)), None)
        if place is None:
            incident = _raised(ground, rule, event, now_ns)
            known.append(incident)
            alerts.append(told(ground, incident, Why.RAISED, now_ns))
        else:
            known[place] = _joined(known[place], event)
    return tuple(known), tuple(alerts)


def sustained(incidents: tuple[Incident, ...], sightings: dict[str, Sighting]) -> tuple[Incident, ...]:
    """Open incidents follow their subjects."""
    return tuple(
        _followed(incident, [sightings[s] for s in incident.subjects if s in sightings])
        if is_open(incident)
        else incident
        for incident in incidents
    )


def reviewed(
    ground: Ground, incidents: tuple[Incident, ...], clock_ns: int, now_ns: int, silent: frozenset[str] | None = None
) -> tuple[tuple[Incident, ...], tuple[Alert, ...]]:
    """Which incidents are told of again, and which are over, at `clock_ns` of observed time.

    Incidents of silent sensors are reviewed only with the set of those that are `silent` now, all others only
    without it.
    """
    kept: list[Incident] = []
    alerts: list[Alert] = []
    for incident in incidents:
        reason = None
        if is_open(incident) and (incident.kind is EventKind.SILENT_SENSOR) == (silent is not None):
            reason = _news(ground.rule(incident.rule), incident, clock_ns, silent)
        if reason is None:
            kept.append(incident)
            continue
        alert = told(ground, _revised(ground, incident, reason, clock_ns), reason, now_ns)
        kept.append(alert.incident)
        alerts.append(alert)
    return tuple(kept), tuple(alerts)


def acted(
    ground: Ground, incidents: tuple[Incident, ...], actions: Iterable[Action]
) -> tuple[tuple[Incident, ...], tuple[Alert, ...], tuple[Action, ...]]:
    """Incidents after what people did; the alerts that say so; and the actions that met no incident."""
    known = {incident.key: incident for incident in incidents}
    alerts: list[Alert] = []
    astray: list[Action] = []
    for action in actions:
        incident = known.get(action.alert)
        if incident is None:
            astray.append(action)
            continue
        if action.action == "resolve":
            incident, why = (
                replace(incident, phase=Phase.CLEARED, resolution=action.note or "unspecified", resolved_by=action.by),
                Why.RESOLVED,
            )
        else:
            incident, why = (
                replace(incident, acknowledged_by=action.by, acknowledged_ns=action.received_ns),
                Why.ACKNOWLEDGED,
            )
        alerts.append(told(ground, replace(incident, revision=incident.revision + 1), why, action.received_ns))
        known[incident.key] = alerts[-1].incident
    return tuple(known.values()), tuple(alerts), tuple(astray)


def remembered(ground: Ground, incidents: tuple[Incident, ...], clock_ns: int) -> tuple[Incident, ...]:
    """Incidents that are open, or over so recently that a scan run again could speak of them."""
    return tuple(
        i
        for i in incidents
        if is_open(i) or clock_ns - i.last_ns <= ground.rule(i.rule).clear_after_ns + 2 * ground.lateness_ns
    )


def is_open(incident: Incident) -> bool:
    return incident.phase is not Phase.CLEARED


def told(ground: Ground, incident: Incident, why: Why, now_ns: int) -> Alert:
    """One revision, as agencies read it."""
    return Alert(incident, why.value, now_ns, text_of(ground, incident, why.value))


def _belongs(rule: Rule, incident: Incident, event: Event) -> bool:
    if incident.rule != event.rule:
        return False
    if event.subject in incident.subjects:
        return is_open(incident) or event.observed_ns <= incident.last_ns
    if event.kind in (EventKind.WATCHED_PLATE, EventKind.SILENT_SENSOR) or event.zone != incident.zone:
        return False
    apart_m = ((event.position[0] - incident.position[0]) ** 2 + (event.position[1] - incident.position[1]) ** 2) ** 0.5
    soon = incident.first_ns - rule.join_ns <= event.observed_ns <= incident.last_ns + rule.join_ns
    return soon and event.sector == incident.sector and apart_m <= rule.join_m + event.sigma_m + incident.sigma_m


def _raised(ground: Ground, rule: Rule, event: Event, now_ns: int) -> Incident:
    said = "|".join((ground.site, event.rule, event.zone, event.subject, str(event.origin_ns)))
    key = "A" + name_of(int.from_bytes(blake2b(said.encode(), digest_size=8).digest()))[1:]
    return Incident(
        key=key,
        rule=rule.id,
        kind=event.kind,
        zone=event.zone,
        severity=rule.severity,
        subjects=(event.subject,),
        first_ns=event.observed_ns,
        last_ns=event.observed_ns,
        raised_ns=now_ns,
        sector=event.sector,
        position=event.position,
        lat=event.lat,
        lon=event.lon,
        sigma_m=event.sigma_m,
        probability=event.probability,
        classes=event.classes,
        evidence=event.evidence,
        routed=routed(ground, event),
        revision=1,
        phase=Phase.RAISED,
        told_ns=event.observed_ns,
        told_subjects=1,
        told_sensors=len(event.evidence),
        detail=event.detail,
    )


def _joined(incident: Incident, event: Event) -> Incident:
    if not is_open(incident):
        return incident
    subjects = incident.subjects if event.subject in incident.subjects else (*incident.subjects, event.subject)
    newest = event.observed_ns >= incident.last_ns
    return replace(
        incident,
        subjects=subjects,
        first_ns=min(incident.first_ns, event.observed_ns),
        last_ns=max(incident.last_ns, event.observed_ns),
        position=event.position if newest else incident.position,
        lat=event.lat if newest else incident.lat,
        lon=event.lon if newest else incident.lon,
        sigma_m=event.sigma_m if newest else incident.sigma_m,
        sector=event.sector if newest else incident.sector,
        probability=max(incident.probability, event.probability),
        classes=event.classes if newest else incident.classes,
        evidence=_merged(incident.evidence, event.evidence),
    )


def _followed(incident: Incident, sightings: list[Sighting]) -> Incident:
    if not sightings:
        return incident
    newest = max(sightings, key=lambda s: (s.seen_ns, s.subject))
    evidence = incident.evidence
    for sighting in sightings:
        evidence = _merged(evidence, sighting.evidence)
    if newest.seen_ns < incident.last_ns:
        return replace(incident, evidence=evidence)
    return replace(
        incident,
        last_ns=newest.seen_ns,
        sector=newest.sector,
        position=newest.position,
        lat=newest.lat,
        lon=newest.lon,
        sigma_m=newest.sigma_m,
        classes=newest.classes,
        evidence=evidence,
    )


def _merged(ours: tuple[Evidence, ...], theirs: tuple[Evidence, ...]) -> tuple[Evidence, ...]:
    newest = {e.sensor: e.time_ns for e in ours}
    for e in theirs:
        newest[e.sensor] = max(e.time_ns, newest.get(e.sensor, e.time_ns))
    return tuple(Evidence(sensor, time_ns) for sensor, time_ns in newest.items())


def _news(rule: Rule, incident: Incident, clock_ns: int, silent: frozenset[str] | None) -> Why | None:
    since_told_ns = clock_ns - incident.told_ns
    if silent is not None and incident.zone not in silent:
        return Why.HEARD_AGAIN
    if clock_ns - incident.last_ns > rule.clear_after_ns:
        return Why.CLEARED_BY_TIME
    if len(incident.subjects) > incident.told_subjects and since_told_ns >= SETTLE_SUBJECT_NS:
        return Why.ANOTHER_SUBJECT
    if len(incident.evidence) > incident.told_sensors and since_told_ns >= SETTLE_SENSOR_NS:
        return Why.NEW_SENSORS
    if since_told_ns >= rule.repeat_ns and incident.last_ns > incident.told_ns and not incident.acknowledged_by:
        return Why.REPEAT
    return None


def _revised(ground: Ground, incident: Incident, why: Why, clock_ns: int) -> Incident:
    over = why in (Why.CLEARED_BY_TIME, Why.HEARD_AGAIN)
    return replace(
        incident,
        revision=incident.revision + 1,
        phase=Phase.CLEARED if over else Phase.UPDATED,
        told_ns=clock_ns,
        told_subjects=len(incident.subjects),
        told_sensors=len(incident.evidence),
        routed=incident.routed if over else routed_again(ground, incident),
    )
