"""Whose it is: from a place and a kind of event to agencies, each with the named reason why it is told."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from alerts.rules import Agreement, Channel, Ground, Rule
from alerts.schedule import in_force
from geo.jurisdictions import areas_at, nearest
from geo.zones import inside
from model.alerts import GATEWAY, SEVERITIES, Event, EventKind, Fix, Incident, Routed, Stance


def routed(ground: Ground, event: Event, now_ns: int) -> tuple[Routed, ...]:
    """Who is told of an event: one lead, then the copies. Never empty where there are agencies."""
    if event.kind is EventKind.SYSTEM_FAULT:
        return _responsible(ground, ground.rule_of[event.rule], now_ns)
    areas = _areas_of(ground, event)
    owners = _owners(ground, event)
    agreement = _agreement(ground, event, areas)
    agreed: list[Routed] = []
    if len(owners) == 1:
        lead = Routed(owners[0], True, "owner", event.zone, since_ns=now_ns)
    elif agreement is not None:
        reason = f"agreement:{agreement.id}"
        lead = Routed(agreement.lead, True, reason, agreement.area, since_ns=now_ns)
        agreed = [
            Routed(agency, False, reason, agreement.area, agreement.withheld, now_ns, may=agreement.copies_may)
            for agency in agreement.copies
        ]
    elif areas:
        reason = "precedence" if len({agency for agency, _ in areas}) > 1 else "jurisdiction"
        lead = Routed(areas[0][0], True, reason, areas[0][1], since_ns=now_ns)
    else:
        return (_fallback(ground, event, now_ns),)
    overlap = [Routed(agency, False, "overlap", area, since_ns=now_ns) for agency, area in areas]
    owning = [Routed(agency, False, "owner", event.zone, since_ns=now_ns) for agency in owners]
    return _unique([lead, *agreed, *owning, *overlap])


def routed_again(ground: Ground, incident: Incident, now_ns: int) -> tuple[Routed, ...]:
    """The same agencies, and those into whose area it has moved since. A system fault or a gateway moves nowhere."""
    if incident.kind is EventKind.SYSTEM_FAULT or incident.subjects[0].startswith(GATEWAY):
        return incident.routed
    areas = _areas(ground, *_point(incident.at))
    moved = [Routed(agency, False, "moved_into", area, since_ns=now_ns) for agency, area in areas]
    return _unique([*incident.routed, *moved])


def routed_also(ground: Ground, incident: Incident, event: Event, now_ns: int) -> tuple[Routed, ...]:
    """The agencies of an incident after something more has happened in it.

    Whose that is by itself gets it as well. The lead moves only by an agreement, for something graver than all before, and
    while nobody has taken it in hand.
    """
    more = routed(ground, event, now_ns)
    has = {r.agency for r in incident.routed}
    lead = more[0]
    graver = SEVERITIES.index(ground.rule_of[event.rule].severity) > SEVERITIES.index(incident.severity)
    in_hand = incident.acknowledged_by or any(r.lead and r.stance is not Stance.NONE for r in incident.routed)
    moves = graver and not in_hand and lead.reason.startswith("agreement:")
    kept = tuple(
        replace(r, lead=r.agency == lead.agency, reason=lead.reason if r.agency == lead.agency else r.reason)
        if moves
        else r
        for r in incident.routed
    )
    return (*kept, *(replace(r, lead=moves and r.lead) for r in more if r.agency not in has))


def channels_of(ground: Ground, incident: Incident) -> list[tuple[Routed, Channel]]:
    """Every channel that an incident goes to: each agency's own, and those that its escalation has reached."""
    found = []
    for route in incident.routed:
        agency = ground.agency_of.get(route.agency)
        if agency is None:
            continue  # of a configuration that is no more
        later = {c for rung in agency.ladder for c in rung.channels}
        reached = {c for rung in agency.rungs(incident.severity)[: route.rung] for c in rung.channels}
        found += [(route, c) for c in agency.channels if c.id not in later or c.id in reached]
    grave = SEVERITIES.index(incident.severity)
    known = {i.channel for i in incident.informed}
    return [(r, c) for r, c in found if SEVERITIES.index(c.severity_min) <= grave or c.id in known]


def _responsible(ground: Ground, rule: Rule, now_ns: int) -> tuple[Routed, ...]:
    """The agencies that a rule on system faults names, or all of the site, by precedence; the first leads."""
    by_precedence = [a.id for a in sorted(ground.agencies, key=lambda a: (a.precedence, a.id))]
    named = [id for id in rule.agencies if id in ground.agency_of]
    reason = "named_by_rule" if named else "whole_site"
    return tuple(Routed(id, n == 0, reason, since_ns=now_ns) for n, id in enumerate(named or by_precedence))


def _point(at: Fix) -> tuple[NDArray[np.int16], NDArray[np.float64]]:
    return np.array([at.sector], np.int16), np.array([at.position])


def _areas_of(ground: Ground, event: Event) -> list[tuple[str, str]]:
    """The jurisdictions of an event: of its place; or of all sensors behind a gateway, wherever the middle of them is."""
    if not event.subjects[0].startswith(GATEWAY):
        return _areas(ground, *_point(event.at))
    rows = _sensors_named(ground, event)
    return _areas(ground, ground.sensors.sector[rows], ground.sensors.position[rows])


def _sensors_named(ground: Ground, event: Event) -> list[int]:
    named = {e.sensor for e in event.evidence}
    return [row for row, id in enumerate(ground.sensor_ids) if id in named]


def _areas(ground: Ground, sector: NDArray[np.int16], position: NDArray[np.float64]) -> list[tuple[str, str]]:
    """(agency, area) of every jurisdiction that holds one of the places, by the agencies' precedence."""
    found = np.unique(areas_at(ground.jurisdictions, sector, position)[1])
    rank = {agency.id: (agency.precedence, n) for n, agency in enumerate(ground.agencies)}
    held = [(ground.jurisdictions.agencies[a], ground.jurisdictions.ids[a]) for a in found.tolist()]
    return sorted(held, key=lambda pair: (rank[pair[0]], pair[1]))


def _owners(ground: Ground, event: Event) -> list[str]:
    """The agencies whose sensors an event is about."""
    if event.kind not in (EventKind.SILENT_SENSOR, EventKind.TAMPERED_SENSOR):
        return []
    gateway = event.subjects[0].startswith(GATEWAY)
    rows = _sensors_named(ground, event) if gateway else [ground.sensor_ids.index(event.zone)]
    return sorted({ground.sensor_owners[row] for row in rows} & ground.agency_of.keys())


def _agreement(ground: Ground, event: Event, areas: list[tuple[str, str]]) -> Agreement | None:
    """The first that holds for the place, the kind, what it probably is, and the time."""
    _, zones = inside(ground.zones, *_point(event.at))
    here = {area for _, area in areas} | {ground.zones.ids[z] for z in zones.tolist()}
    likeliest = event.classes[0][0] if event.classes else ""
    return next(
        (
            a
            for a in ground.agreements
            if a.area in here
            and (not a.kinds or event.kind in a.kinds)
            and (not a.classes or likeliest in a.classes)
            and in_force(a.schedule, event.observed_ns)
        ),
        None,
    )


def _fallback(ground: Ground, event: Event, now_ns: int) -> Routed:
    if len(ground.jurisdictions.ids):
        area, _ = nearest(ground.jurisdictions, *_point(event.at))
        found = int(area[0])
        agency, name = ground.jurisdictions.agencies[found], ground.jurisdictions.ids[found]
        return Routed(agency, True, "nearest_jurisdiction", name, since_ns=now_ns)
    first = min(ground.agencies, key=lambda a: (a.precedence, a.id))
    return Routed(first.id, True, "fallback", since_ns=now_ns)


def _unique(routes: Iterable[Routed]) -> tuple[Routed, ...]:
    """Each agency once, with the first reason given."""
    first: dict[str, Routed] = {}
    for route in routes:
        first.setdefault(route.agency, route)
    return tuple(first.values())
