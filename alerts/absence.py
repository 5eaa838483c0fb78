"""Somebody who should be there and is not: a post that is left, a patrol that does not come."""

import numpy as np

from alerts.conditions import depth_m
from alerts.rules import Ground, Rule
from alerts.schedule import in_force
from alerts.subjects import Subjects, eligible, event_at
from alerts.units import Unit, explaining
from geo.zones import inside
from model.alerts import Detail, Event
from model.time import NS


def absent(
    ground: Ground, rule: Rule, zone: int, present_ns: int, units: tuple[Unit, ...], subjects: Subjects
) -> tuple[int, list[Event]]:
    """When enough were last there; and, when that is too long ago, the event that says so."""
    now_ns = subjects.time_ns
    if (
        present_ns == 0
        or not in_force(rule.schedule, now_ns)
        or _count(ground, rule, zone, units, subjects) >= rule.count_min
    ):
        return now_ns, []
    if now_ns - present_ns < rule.dwell_ns:
        return present_ns, []
    return present_ns, [_event(ground, rule, zone, present_ns, now_ns)]


def _count(ground: Ground, rule: Rule, zone: int, units: tuple[Unit, ...], subjects: Subjects) -> int:
    """Tracks and units that are there. A unit that is also a track counts once."""
    there = eligible(rule, subjects) & (depth_m(ground, zone, subjects) > -subjects.sigma_m)
    fresh = explaining(ground, units, subjects.time_ns)
    if not fresh:
        return int(there.sum())
    _, zones = inside(
        ground.zones, np.array([u.sector for u in fresh], np.int16), np.array([u.position for u in fresh])
    )
    return int((there & (subjects.unit == 0)).sum()) + int((zones == zone).sum())


def _event(ground: Ground, rule: Rule, zone: int, present_ns: int, now_ns: int) -> Event:
    id = ground.zones.ids[zone]
    sector = max(range(len(ground.zones.planes)), key=lambda k: float(ground.zones.planes[k][zone].area))
    middle = ground.zones.planes[sector][zone].representative_point()
    detail: Detail = (("absent_s", float((now_ns - present_ns) // NS)),)
    if rule.count_min > 1:
        detail += (("count_min", float(rule.count_min)),)
    return event_at(ground, rule, id, sector, (float(middle.x), float(middle.y)), present_ns, now_ns, (), detail)
