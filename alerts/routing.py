"""Whose it is: from a place and a kind of event to agencies, each with the named reason why it is told."""

from collections.abc import Iterable

import numpy as np

from alerts.rules import Agency, Agreement, Ground
from geo.jurisdictions import areas_at, nearest
from geo.zones import inside
from model.alerts import Event, EventKind, Incident, Routed


def routed(ground: Ground, event: Event) -> tuple[Routed, ...]:
    """Who is told of an event: one lead, then the copies. Never empty where there are agencies."""
    areas = _areas(ground, event.sector, event.position)
    owner = _owner(ground, event)
    agreement = _agreement(ground, event.kind, event.sector, event.position, areas)
    if owner is not None:
        lead = Routed(owner.id, True, "owner", event.zone)
        agreed: list[Routed] = []
    elif agreement is not None:
        reason = f"agreement:{agreement.id}"
        lead = Routed(agreement.lead, True, reason, agreement.area)
        agreed = [Routed(agency, False, reason, agreement.area) for agency in agreement.copies]
    elif areas:
        lead = Routed(areas[0][0], True, "precedence" if len(areas) > 1 else "jurisdiction", areas[0][1])
        agreed = []
    else:
        return (_fallback(ground, event),)
    return _unique([lead, *agreed, *(Routed(agency, False, "overlap", area) for agency, area in areas)])


def routed_again(ground: Ground, incident: Incident) -> tuple[Routed, ...]:
    """The same agencies, and those into whose area it has moved since."""
    areas = _areas(ground, incident.sector, incident.position)
    return _unique([*incident.routed, *(Routed(agency, False, "moved_into", area) for agency, area in areas)])


def _areas(ground: Ground, sector: int, position: tuple[float, float]) -> list[tuple[str, str]]:
    """(agency, area) of every jurisdiction that holds the place, by the agencies' precedence."""
    _, found = areas_at(ground.jurisdictions, np.array([sector], np.int16), np.array([position]))
    rank = {agency.id: (agency.precedence, n) for n, agency in enumerate(ground.agencies)}
    held = [(ground.jurisdictions.agencies[a], ground.jurisdictions.ids[a]) for a in found.tolist()]
    return sorted(held, key=lambda pair: (rank[pair[0]], pair[1]))


def _owner(ground: Ground, event: Event) -> Agency | None:
    if event.kind is not EventKind.SILENT_SENSOR:
        return None
    owner = ground.sensor_owners[ground.sensor_ids.index(event.zone)]
    return next((a for a in ground.agencies if a.id == owner), None)


def _agreement(
    ground: Ground, kind: EventKind, sector: int, position: tuple[float, float], areas: list[tuple[str, str]]
) -> Agreement | None:
    _, zones = inside(ground.zones, np.array([sector], np.int16), np.array([position]))
    here = {area for _, area in areas} | {ground.zones.ids[z] for z in zones.tolist()}
    return next((a for a in ground.agreements if a.area in here and (not a.kinds or kind in a.kinds)), None)


def _fallback(ground: Ground, event: Event) -> Routed:
    if len(ground.jurisdictions.ids):
        area, _ = nearest(ground.jurisdictions, np.array([event.sector], np.int16), np.array([event.position]))
        return Routed(
            ground.jurisdictions.agencies[int(area[0])],
            True,
            "nearest_jurisdiction",
            ground.jurisdictions.ids[int(area[0])],
        )
    first = min(ground.agencies, key=lambda a: (a.precedence, a.id))
    return Routed(first.id, True, "fallback")


def _unique(routes: Iterable[Routed]) -> tuple[Routed, ...]:
    """Each agency once, with the first reason given."""
    first: dict[str, Routed] = {}
    for route in routes:
        first.setdefault(route.agency, route)
    return tuple(first.values())
