"""Watched plates, by their keyed tokens: this room never sees a plate."""

import numpy as np

from alerts.rules import Ground, Rule
from alerts.subjects import shares
from geo.frames import wgs84_from_plane
from model.alerts import Event, EventKind, Evidence
from model.detections import Detections


def plates_read(ground: Ground, arrived: Detections) -> list[Event]:
    """An event for each reading of a watched plate, in order of arrival."""
    events: list[Event] = []
    for rule in ground.rules:
        if rule.kind is EventKind.WATCHED_PLATE:
            watched = np.isin(arrived.plate, np.array(rule.tokens, np.uint64))
            events += _events(ground, rule, arrived.take(watched & (arrived.confidence >= rule.confidence_min)))
    return events


def _events(ground: Ground, rule: Rule, read: Detections) -> list[Event]:
    if not len(read):
        return []
    lat, lon = wgs84_from_plane(ground.sectors, read.sector, read.position)
    sigma = np.sqrt(np.linalg.eigvalsh(read.covariance)[:, 1])
    return [
        Event(
            kind=rule.kind,
            rule=rule.id,
            zone=ground.sensor_ids[read.sensor[i]],
            subject=f"{read.plate[i]:016x}",
            observed_ns=int(read.observed_ns[i]),
            origin_ns=int(read.observed_ns[i]),
            sector=int(read.sector[i]),
            position=(float(read.position[i, 0]), float(read.position[i, 1])),
            lat=float(lat[i]),
            lon=float(lon[i]),
            sigma_m=float(sigma[i]),
            probability=float(read.confidence[i]),
            classes=shares(read.class_likelihood[i]),
            evidence=(Evidence(ground.sensor_ids[read.sensor[i]], int(read.observed_ns[i])),),
            detail=(("plate", f"{read.plate[i]:016x}"),),
        )
        for i in range(len(read))
    ]
