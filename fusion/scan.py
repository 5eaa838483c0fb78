"""One scan: the tracks at its end, from the tracks before it and what was observed within it."""

import numpy as np

from fusion.association import chosen, gated
from fusion.layers import layers_of
from fusion.life import born, continued, faded, lasting
from fusion.motion import tracks_at
from fusion.settings import Settings
from geo.frames import Sectors
from model.detections import Detections
from model.tracks import Scan, Tracks
from model.world import SensorColumns


def scanned(
    settings: Settings, sensors: SensorColumns, sectors: Sectors, tracks: Tracks, detections: Detections, end_ns: int
) -> Tracks:
    """The tracks after all `detections` observed up to `end_ns`, in whatever order they are given."""
    detections = detections.take(canonical_order(detections))
    for rows in layers_of(detections):
        seen = detections.take(rows)
        pairs = gated(settings, sensors, sectors, tracks, seen)
        choice = chosen(pairs, len(seen), len(tracks))
        fresh = np.ones(len(seen), np.bool_)
        fresh[pairs.detection[choice]] = False
        tracks = continued(settings, sectors, tracks, seen, pairs, choice)
        tracks = Tracks.joined([tracks, born(settings, sensors, seen.take(fresh))])
    return tracks.take(lasting(settings, tracks, end_ns, tracks_at(tracks, end_ns, settings.acceleration_psd)))


def canonical_order(detections: Detections) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Row order by content alone: time, sensor, place, identity."""
    return np.lexsort(
        (
            detections.plate,
            detections.source,
            detections.confidence,
            detections.position[:, 1],
            detections.position[:, 0],
            detections.sensor,
            detections.observed_ns,
        )
    )


def scan_of(settings: Settings, tracks: Tracks, end_ns: int, after_ns: int) -> Scan:
    """All tracks as they are believed to be at `end_ns`, where the scan before ended at `after_ns`."""
    at_end = tracks_at(tracks, end_ns, settings.acceleration_psd)
    return Scan(end_ns, after_ns, at_end.but(existence=faded(settings, tracks, end_ns)))
