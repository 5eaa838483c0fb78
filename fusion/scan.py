"""One scan: the tracks at its end, from the tracks before it and what was observed within it."""

import numpy as np
from numpy.typing import NDArray

from fusion import reasons
from fusion.association import NO_PAIRS, NullDensities, Pairs, gated, marginals, null_densities, same_identity
from fusion.bias import Biases, corrected, learned
from fusion.doubles import one_each
from fusion.layers import frames_of, layers_of
from fusion.life import at_hand, born, carried, continued, lasting, told, unseen, within_bound
from fusion.settings import Settings
from fusion.stitching import stitched
from geo.frames import Sectors
from model.detections import Detections, Looks
from model.tracks import Reasons, Scan, Tracks
from model.world import SensorColumns

Array = NDArray[np.float64]
Rows = NDArray[np.int64]
UNKNOWN = 0.3  # a detection founds a track when it is at least so likely to have none yet
WORTH = 0.01  # a pair less likely than this changes nothing


def scanned(
    settings: Settings,
    sensors: SensorColumns,
    sectors: Sectors,
    before: Tracks,
    biases: Biases,
    detections: Detections,
    looks: Looks,
    end_ns: int,
) -> tuple[Tracks, Biases, Reasons]:
    """The tracks after all that was observed up to `end_ns`, in whatever order it is given, and why they are so."""
    if not len(before) and not len(detections):
        return before, biases, Reasons.none()
    begin_ns = end_ns - settings.scan_ns
    detections = detections.take(canonical_order(detections))
    detections = corrected(biases, one_each(sensors, detections, frames_of(detections)))
    frame = frames_of(detections)
    null = null_densities(settings, sensors, sectors, detections)
    known, unknown, pairs, chance = _followed(settings, sensors, sectors, before, detections, frame, null)
    news = np.flatnonzero(unknown > UNKNOWN)
    fresh, founded = _founded(
        settings, sensors, sectors, detections.take(news), frame[news], null.take(news), unknown[news]
    )
    tracks = carried(settings, sensors, Tracks.joined([known, fresh]), begin_ns, end_ns)
    tracks = unseen(sensors, sectors, tracks, looks, begin_ns)
    tracks, found = stitched(settings, sectors, tracks, before, end_ns)
    lasts = lasting(settings, tracks, end_ns)
    kept = tracks.take(lasts)
    fits = within_bound(settings, kept)
    why = reasons.changed(settings, before, tracks, lasts, kept, fits, begin_ns, end_ns)
    seen = reasons.seen(before, detections, pairs, chance)
    return (
        kept if fits.all() else kept.take(fits),
        learned(sensors, biases, before, detections, pairs, chance),
        Reasons.joined([seen, founded, found, why]),
    )


def _followed(
    settings: Settings,
    sensors: SensorColumns,
    sectors: Sectors,
    tracks: Tracks,
    detections: Detections,
    frame: Rows,
    null: NullDensities,
) -> tuple[Tracks, Array, Pairs, Array]:
    """The known tracks continued; (n,) the chance that each detection has another cause; what counted, and by what chance."""
    if not len(tracks) or not len(detections):
        return tracks, np.ones(len(detections)), NO_PAIRS, np.zeros(0)
    near = at_hand(settings, sensors, tracks, int(detections.observed_ns.max(initial=0)))
    # What says who it is may be anyone seen before; what does not, only what was seen of late.
    rows = np.flatnonzero(
        near | _named(tracks.source, detections.source) | _named(tracks.plates, detections.plate).any(axis=1)
    )
    pairs = gated(sensors, sectors, tracks.chosen(rows), detections, null).of(rows)
    pairs = pairs.take(near[pairs.track] | same_identity(tracks, detections, pairs))
    chance = marginals(pairs, frame)
    unknown = np.maximum(1 - np.bincount(pairs.detection, chance, len(detections)), 0.0)
    worth = chance > WORTH
    pairs, chance = pairs.take(worth), chance[worth]
    later = continued(settings, sensors, sectors, tracks, detections, frame, pairs, chance)
    return later, unknown, pairs, chance


def _founded(
    settings: Settings,
    sensors: SensorColumns,
    sectors: Sectors,
    detections: Detections,
    frame: Rows,
    null: NullDensities,
    unknown: Array,
) -> tuple[Tracks, Reasons]:
    """New tracks. Detections near each other are taken frame by frame: the later may continue what the earlier began."""
    tracks, why = Tracks.none(), []
    for rows in layers_of(detections):
        near = detections.take(rows)
        known, still, pairs, chance = _followed(settings, sensors, sectors, tracks, near, frame[rows], null.take(rows))
        why.append(reasons.seen(tracks, near, pairs, chance))
        news = np.flatnonzero(still > UNKNOWN)
        fresh = born(near.take(news), null.take(rows[news]), (unknown[rows] * still)[news])
        tracks = Tracks.joined([known, fresh])
        why.append(reasons.founded(fresh))
    return tracks, Reasons.joined(why)


def _named(ours: NDArray[np.uint64], theirs: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """(n,) which of our identities are among theirs; 0 is none."""
    if not theirs.any():
        return np.zeros(ours.shape, np.bool_)
    return np.asarray((ours != 0) & np.isin(ours, theirs))


def canonical_order(detections: Detections) -> Rows:
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


def scan_of(settings: Settings, tracks: Tracks, why: Reasons, end_ns: int, after_ns: int) -> Scan:
    """All tracks that the world is told of at `end_ns`, where the scan before ended at `after_ns`."""
    return Scan(end_ns, after_ns, tracks.take(told(settings, tracks, end_ns)), why)
