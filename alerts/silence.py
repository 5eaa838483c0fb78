"""Sensors that have fallen silent: no word for longer than their registration allows, or their own word that they are down."""

import numpy as np

from alerts.rules import Ground
from geo.frames import wgs84_from_plane
from model.alerts import Event, EventKind, Evidence
from model.health import Health
from model.time import NS


def silences(ground: Ground, health: Health, now_ns: int) -> list[Event]:
    """An event for each sensor that is silent at `now_ns`, in the order of rules and catalogue."""
    limit_ns = np.minimum(ground.sensors.silent_after_s, 1e9) * NS
    silent = (now_ns - health.heard_ns > limit_ns) | (health.offline & np.isfinite(ground.sensors.silent_after_s))
    events: list[Event] = []
    for rule in ground.rules:
        if rule.kind is EventKind.SILENT_SENSOR:
            rows = np.array(rule.sensors, np.int64)
            events += [_event(ground, rule.id, health, int(row), now_ns) for row in rows[silent[rows]]]
    return events


def _event(ground: Ground, rule: str, health: Health, row: int, now_ns: int) -> Event:
    id, xy = ground.sensor_ids[row], ground.sensors.position[row]
    lat, lon = wgs84_from_plane(ground.sectors, ground.sensors.sector[row : row + 1], xy[None])
    said = "offline" if health.offline[row] else "unheard"
    last_ns = int(health.observed_ns[row])
    return Event(
        kind=EventKind.SILENT_SENSOR,
        rule=rule,
        zone=id,
        subject=id,
        observed_ns=now_ns,
        origin_ns=last_ns,
        sector=int(ground.sensors.sector[row]),
        position=(float(xy[0]), float(xy[1])),
        lat=float(lat[0]),
        lon=float(lon[0]),
        sigma_m=0.0,
        probability=1.0,
        classes=(),
        evidence=(Evidence(id, last_ns),) if last_ns else (),
        detail=(("condition", said), ("silent_s", float((now_ns - int(health.heard_ns[row])) // NS))),
    )
