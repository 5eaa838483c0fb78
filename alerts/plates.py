"""Watched plates, by their keyed tokens: this room never sees a plate.

A reader names several texts that a plate may read, with probabilities; a watched plate is near each text that differs from it by
few letters. Which token stands for what is worked out where the key is known, from the plates that are watched.
"""

import numpy as np
from numpy.typing import NDArray

from alerts.memory import looked_up
from alerts.rules import Ground, Rule
from alerts.schedule import in_force
from alerts.subjects import shares
from geo.frames import wgs84_from_plane
from model.alerts import Event, EventKind, Evidence, Fix
from model.detections import Detections


def plates_read(ground: Ground, arrived: Detections) -> list[Event]:
    """An event for each reading of a watched plate, in order of arrival."""
    read = arrived.take(arrived.plate != 0)
    if not len(read):
        return []
    return [e for rule in ground.rules if rule.kind is EventKind.WATCHED_PLATE for e in _events(ground, rule, read)]


def _events(ground: Ground, rule: Rule, read: Detections) -> list[Event]:
    found, entry = looked_up(read.plates.ravel(), rule.watch_list.token)
    chance = read.confidence[:, None] * read.plate_share
    counts = found.reshape(chance.shape) & (read.plate_share >= rule.probability_min)
    counts &= (read.plates != 0) & (read.confidence >= rule.confidence_min)[:, None]
    rows = np.flatnonzero(counts.any(axis=1))
    if not len(rows):
        return []
    best = np.where(counts, chance, -1.0).argmax(axis=1)
    entry = entry.reshape(chance.shape)
    lat, lon = wgs84_from_plane(ground.sectors, read.sector, read.position)
    sigma = np.sqrt(np.linalg.eigvalsh(read.covariance)[:, 1])
    return [
        Event(
            kind=rule.kind,
            rule=rule.id,
            zone=ground.sensor_ids[read.sensor[i]],
            subjects=(_token(rule.watch_list.watched[entry[i, best[i]]]),),
            observed_ns=int(read.observed_ns[i]),
            origin_ns=int(read.observed_ns[i]),
            at=Fix(
                int(read.sector[i]),
                (float(read.position[i, 0]), float(read.position[i, 1])),
                float(lat[i]),
                float(lon[i]),
                float(sigma[i]),
            ),
            probability=float(chance[i, best[i]]),
            classes=shares(read.class_likelihood[i]),
            evidence=(Evidence(ground.sensor_ids[read.sensor[i]], int(read.observed_ns[i])),),
            detail=(
                ("plate", _token(rule.watch_list.watched[entry[i, best[i]]])),
                ("read", _token(read.plate[i])),
                ("edits", float(rule.watch_list.edits[entry[i, best[i]]])),
                ("reading", float(best[i] + 1)),
            ),
        )
        for i in rows.tolist()
        if in_force(rule.schedule, int(read.observed_ns[i]))
    ]


def carriers(plates: set[str], tracks: NDArray[np.uint64]) -> dict[str, NDArray[np.int64]]:
    """Rows of the tracks that carry each of the plates, by token."""
    return {plate: np.flatnonzero(tracks == np.uint64(int(plate, 16))) for plate in sorted(plates)}


def _token(plate: np.uint64) -> str:
    return f"{int(plate):016x}"
