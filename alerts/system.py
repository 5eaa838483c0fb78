"""System faults to events: what is wrong with Marchwarden itself.

A fault has no place of its own. It concerns the whole site, so its event lies in the middle of the site's sensors, with a
standard deviation that reaches the farthest of them.
"""

from collections.abc import Iterable

import numpy as np

from alerts.equipment import ORIGIN_NS
from alerts.revisions import Told, Why, is_open, revised
from alerts.rules import Clears, Ground, Rule
from alerts.schedule import in_force
from geo.frames import wgs84_from_plane
from model.alerts import Event, EventKind, Fix, Happening, Incident
from model.faults import Fault


def fault_events(ground: Ground, faults: Iterable[Fault], now_ns: int) -> list[Event]:
    """An event for each fault and rule that names its kind, in the order of faults and then of rules."""
    rules = [r for r in ground.rules if r.kind is EventKind.SYSTEM_FAULT and in_force(r.schedule, now_ns)]
    return [
        _event(ground, rule, fault, now_ns)
        for fault in faults
        for rule in rules
        if not fault.over
        if not rule.faults or fault.kind in rule.faults
    ]


def mended(
    ground: Ground, incidents: tuple[Incident, ...], faults: Iterable[Fault], clock_ns: int, now_ns: int
) -> Told:
    """The incidents about faults that are over end, but for those that end by hand alone."""
    over = {fault.subject for fault in faults if fault.over}
    if not over:
        return incidents, ()
    told = {
        i.key: revised(ground, i, Why.WORKS_AGAIN, clock_ns, now_ns)
        for i in incidents
        if is_open(i) and over.issuperset(i.subjects) and all(_ends_by_itself(ground, h) for h in i.happenings)
    }
    return tuple(told[i.key].incident if i.key in told else i for i in incidents), tuple(told.values())


def _ends_by_itself(ground: Ground, happening: Happening) -> bool:
    rule = ground.rule_of.get(happening.rule)
    return happening.kind is EventKind.SYSTEM_FAULT and (rule is None or rule.clears is not Clears.HAND)


def _event(ground: Ground, rule: Rule, fault: Fault, now_ns: int) -> Event:
    return Event(
        kind=rule.kind,
        rule=rule.id,
        zone=fault.about,
        subjects=(fault.subject,),
        observed_ns=now_ns,
        origin_ns=fault.observed_ns // ORIGIN_NS * ORIGIN_NS,
        at=site_fix(ground),
        probability=1.0,
        classes=(),
        evidence=(),
        detail=(("fault", fault.kind.value), ("what", fault.detail)),
    )


def site_fix(ground: Ground) -> Fix:
    """The middle of the sensors in the sector that has most of them, and how far the farthest stands from it."""
    counts = np.bincount(np.maximum(ground.sensors.sector, 0), minlength=len(ground.sectors))
    sector = int(np.argmax(counts))
    places = ground.sensors.position[ground.sensors.sector == sector]
    middle = places.mean(axis=0) if len(places) else np.zeros(2)
    reach_m = float(np.hypot(*(places - middle).T).max()) if len(places) else ground.sectors.reach_m
    lat, lon = wgs84_from_plane(ground.sectors, np.array([sector], np.int16), middle[None])
    return Fix(sector, (float(middle[0]), float(middle[1])), float(lat[0]), float(lon[0]), reach_m)
