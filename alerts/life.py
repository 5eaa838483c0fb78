"""The life of incidents: they follow their subjects, are told of again when there is news, and end as their rules say."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from alerts.incidents import ALONE, REOPEN_NS, merged_evidence, split
from alerts.revisions import OVER, Told, Why, is_open, revised
from alerts.routing import routed_again
from alerts.rules import Clears, Ground, Rule
from alerts.schedule import in_force
from alerts.subjects import Sighting
from model.alerts import EQUIPMENT, SEVERITIES, Alert, EventKind, Happening, Incident
from model.time import NS

SETTLE_RULE_NS = 10 * NS  # another rule, or another track, is told of no sooner than this after the last revision
SETTLE_SENSOR_NS = 30 * NS  # another sensor likewise
KEPT_NS = 3600 * NS  # an incident that is over can still be resolved for this long


@dataclass(frozen=True)
class Holding:
    """What is so at an instant: (rule, place, subject) of every condition that a subject of an open incident meets."""

    now: frozenset[tuple[str, str, str]]

    def of(self, happening: Happening, subjects: Iterable[str]) -> bool:
        return any((happening.rule, happening.zone, s) in self.now for s in subjects)


def sustained(
    incidents: tuple[Incident, ...], sightings: dict[str, Sighting], holding: Holding, clock_ns: int
) -> tuple[Incident, ...]:
    """Open incidents follow their subjects, and what is so goes on."""
    return tuple(
        _followed(i, [sightings[s] for s in i.subjects if s in sightings], holding, clock_ns)
        if is_open(i) and i.kind not in EQUIPMENT
        else i
        for i in incidents
    )


def sustained_equipment(incidents: tuple[Incident, ...], holding: Holding, now_ns: int) -> tuple[Incident, ...]:
    """The same for what is about sensors."""
    return tuple(
        replace(_held(i, holding, now_ns), last_ns=now_ns if _any_held(i, holding) else i.last_ns)
        if is_open(i) and i.kind in EQUIPMENT
        else i
        for i in incidents
    )


def reviewed(ground: Ground, incidents: tuple[Incident, ...], equipment: bool, clock_ns: int, now_ns: int) -> Told:
    """Which incidents are told of again, and which are over, at `clock_ns` of observed time."""
    kept: list[Incident] = []
    alerts: list[Alert] = []
    for incident in incidents:
        why = None
        if is_open(incident) and (incident.kind in EQUIPMENT) == equipment:
            why = _news(ground, incident, clock_ns)
        if why is None:
            kept.append(incident)
            continue
        routed = incident.routed if why in OVER else routed_again(ground, incident, now_ns)
        alerts.append(revised(ground, replace(incident, routed=routed), why, clock_ns, now_ns))
        kept.append(alerts[-1].incident)
    return tuple(kept), tuple(alerts)


def parted(
    ground: Ground, incidents: tuple[Incident, ...], sightings: dict[str, Sighting], clock_ns: int, now_ns: int
) -> Told:
    """Subjects that have long been far from the others of their incident are one of their own."""
    kept: list[Incident] = []
    alerts: list[Alert] = []
    for incident in incidents:
        strayed = _strayed(ground, incident, sightings, clock_ns) if is_open(incident) else incident
        far = [s for s, since_ns in strayed.astray if clock_ns - since_ns >= ground.habits.split_ns]
        going = tuple(s for s in far if s in sightings)
        pair = split(ground, strayed, going, sightings[going[0]], clock_ns, now_ns) if going else None
        kept += [strayed] if pair is None else [pair[1].incident, pair[0].incident]
        alerts += pair or ()
    return tuple(kept), tuple(alerts)


def _strayed(ground: Ground, incident: Incident, sightings: dict[str, Sighting], clock_ns: int) -> Incident:
    here = [sightings[s] for s in incident.subjects if s in sightings]
    # Whatever carries a watched plate belongs to its incident, wherever it is.
    if incident.storm or len(here) < 2 or any(h.kind is EventKind.WATCHED_PLATE for h in incident.happenings):
        return incident
    astray = _astray(ground, incident, here, clock_ns)
    return incident if astray == incident.astray else replace(incident, astray=astray)


def remembered(ground: Ground, incidents: tuple[Incident, ...], clock_ns: int) -> tuple[Incident, ...]:
    """Incidents that are open, or over so recently that a scan run again could speak of them, or somebody resolve them."""
    return tuple(i for i in incidents if is_open(i) or clock_ns - i.told_ns <= _kept_ns(ground))


def incident_due_ns(ground: Ground, incident: Incident) -> Iterator[int]:
    """When it may be told of again, be over, be forgotten or no longer come back, if nothing is seen of it."""
    yield incident.raised_ns + ground.habits.storm_ns
    yield from (incident.last_ns, incident.last_ns + REOPEN_NS)
    if not is_open(incident):
        yield incident.told_ns + _kept_ns(ground)
        return
    yield from (incident.told_ns + wait_ns for wait_ns in (0, SETTLE_RULE_NS, SETTLE_SENSOR_NS))
    yield from (incident.told_ns + rule.repeat_ns for rule in _rules(ground, incident))
    for happening in incident.happenings:
        rule = ground.rule_of.get(happening.rule)
        wait_ns = rule.clear_after_ns if rule else 0
        yield from (t + wait_ns for t in (happening.event_ns, happening.held_ns, incident.last_ns))


def _kept_ns(ground: Ground) -> int:
    return 2 * ground.lateness_ns + KEPT_NS


def _followed(incident: Incident, here: list[Sighting], holding: Holding, clock_ns: int) -> Incident:
    incident = _watched(_held(incident, holding, clock_ns), here, clock_ns)
    if not here:
        return replace(incident, last_ns=max(incident.last_ns, clock_ns)) if _any_held(incident, holding) else incident
    newest = max(here, key=lambda s: (s.seen_ns, s.subject))
    evidence = incident.evidence
    for sighting in here:
        evidence = merged_evidence(evidence, sighting.evidence)
    if newest.seen_ns < incident.last_ns:
        return replace(incident, evidence=evidence)
    return replace(incident, last_ns=newest.seen_ns, at=newest.at, classes=newest.classes, evidence=evidence)


def _watched(incident: Incident, here: list[Sighting], clock_ns: int) -> Incident:
    """Which of its subjects are in sight, and when one of them was last lost."""
    now = tuple(s.subject for s in here)
    if now == incident.in_sight:
        return incident
    lost = any(subject not in now for subject in incident.in_sight)
    return replace(incident, in_sight=now, lost_ns=clock_ns if lost else incident.lost_ns)


def _held(incident: Incident, holding: Holding, clock_ns: int) -> Incident:
    happenings = tuple(
        replace(h, held_ns=clock_ns) if h.held_ns < clock_ns and holding.of(h, incident.subjects) else h
        for h in incident.happenings
    )
    return incident if happenings == incident.happenings else replace(incident, happenings=happenings)


def _any_held(incident: Incident, holding: Holding) -> bool:
    return any(holding.of(h, incident.subjects) for h in incident.happenings)


def _astray(ground: Ground, incident: Incident, here: list[Sighting], clock_ns: int) -> tuple[tuple[str, int], ...]:
    """The subjects that are far from the place where most of the others are, and since when."""
    ours = [s for s in here if s.at.sector == incident.at.sector]
    if len(ours) < 2:
        return ()
    places = np.array([s.at.position for s in ours])
    apart = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1))
    # The core is who has most others near; of equals the first that was named.
    near = apart <= ground.habits.split_m
    core = int(near.sum(axis=1).argmax())
    since = dict(incident.astray)
    return tuple(
        (s.subject, since.get(s.subject, clock_ns)) for s, close in zip(ours, near[core], strict=True) if not close
    )


def _news(ground: Ground, incident: Incident, clock_ns: int) -> Why | None:
    since_told_ns = clock_ns - incident.told_ns
    over = _over(ground, incident, clock_ns)
    if over is not None:
        return over
    told = incident.happenings[: incident.told_happenings]
    fresh = incident.happenings[incident.told_happenings :]
    if fresh and max(map(_rank, fresh)) > max(map(_rank, told), default=-1):
        return Why.GRAVER
    if fresh and since_told_ns >= SETTLE_RULE_NS:
        return Why.ANOTHER_RULE
    if len(incident.subjects) > incident.told_subjects and since_told_ns >= SETTLE_RULE_NS:
        return Why.ANOTHER_SUBJECT
    if len(incident.evidence) > incident.told_sensors and since_told_ns >= SETTLE_SENSOR_NS:
        return Why.NEW_SENSORS
    repeat_ns = min((r.repeat_ns for r in _rules(ground, incident)), default=0)
    goes_on = incident.last_ns > incident.told_ns
    if repeat_ns and since_told_ns >= repeat_ns and goes_on and not incident.acknowledged_by:
        return Why.REPEAT
    return None


def _rank(happening: Happening) -> int:
    return SEVERITIES.index(happening.severity)


def _rules(ground: Ground, incident: Incident) -> list[Rule]:
    return [ground.rule_of[h.rule] for h in incident.happenings if h.rule in ground.rule_of]


def _over(ground: Ground, incident: Incident, clock_ns: int) -> Why | None:
    """Why it is over, when each of its happenings is."""
    whys = [_ended(ground, incident, h, clock_ns) for h in incident.happenings]
    if any(why is None for why in whys):
        return None
    return whys[-1]


def _ended(ground: Ground, incident: Incident, happening: Happening, clock_ns: int) -> Why | None:
    rule = ground.rule_of.get(happening.rule)
    if rule is None:
        return Why.TIME_PASSED  # of a configuration that is no more
    match rule.clears:
        case Clears.HAND:
            return None
        case Clears.TIME:
            return Why.TIME_PASSED if clock_ns - happening.event_ns > rule.clear_after_ns else None
        case Clears.LEAVING if clock_ns - happening.held_ns <= rule.clear_after_ns:
            return None
        case Clears.LEAVING if happening.kind in ALONE:
            return _back(happening) if in_force(rule.schedule, clock_ns) else Why.HOURS_OVER
    unseen = clock_ns - incident.last_ns > rule.clear_after_ns
    if rule.clears is Clears.LEAVING:
        return Why.UNSEEN if unseen else Why.LEFT
    return Why.UNSEEN if unseen else None


def _back(happening: Happening) -> Why:
    """Why something without a target in it is over, by what it was."""
    match happening.kind:
        case EventKind.ABSENCE:
            return Why.PRESENT_AGAIN
        case EventKind.COVERAGE_GAP:
            return Why.COVERED_AGAIN
        case EventKind.TAMPERED_SENSOR:
            return Why.TAMPERING_OVER
        case _:
            return Why.SWITCHED_ON if ("condition", "switched_off") in happening.detail else Why.HEARD_AGAIN
