"""Which detection belongs to which track: pairs within the gate, their evidence, and the best one-to-one choice.

The evidence of a pair is the logarithm of the ratio between "this track caused it" and "something new or nothing
did" (Blackman & Popoli 1999, "Design and analysis of modern tracking systems", ch. 6.2). The choice is exact over all
clusters at once: a sparse assignment in which every detection may also stay alone.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching
from scipy.spatial import KDTree

from fusion.estimation import largest_sigma, mahalanobis2_and_log_density
from fusion.motion import position_after, seconds
from fusion.settings import Settings
from geo.frames import Sectors, geocentric_from_plane, moved_to_sector
from model.detections import Detections
from model.time import NS
from model.tracks import Tracks
from model.world import SensorColumns

GATE2 = 16.0  # squared Mahalanobis gate: 99.97 % of true pairs in two dimensions
NEIGHBOURS = 8  # tracks looked at per detection, nearest first
SAME_SOURCE = 4.0  # log evidence that the source's own object id goes on
OTHER_SOURCE = -4.0  # … that the same sensor calls this by another id
SOURCE_NS = 10 * NS  # for how long an object id is believed to go on
OTHER_PLATE = -6.0  # a misread is possible
SAME_PLATE = 6.0


@dataclass(frozen=True)
class Pairs:
    """k pairs within the gate."""

    track: NDArray[np.int64]  # (k,)
    detection: NDArray[np.int64]  # (k,)
    evidence: NDArray[np.float64]  # (k,) log ratio, tracked over not tracked
    strength: NDArray[np.float64]  # (k,) log ratio, true over false alarm: what existence gains by it


def false_density(sensors: SensorColumns, detections: Detections) -> NDArray[np.float64]:
    """(n,) false alarms expected per m² in one frame of each row's sensor, from its registration."""
    row = detections.sensor
    per_frame = sensors.false_alarms_per_hour[row] / 3600 / sensors.looks_per_s[row]
    return np.maximum(per_frame / (np.pi * sensors.range_m[row] ** 2), 1e-15)


def gated(
    settings: Settings, sensors: SensorColumns, sectors: Sectors, tracks: Tracks, detections: Detections
) -> Pairs:
    """All pairs that may belong together."""
    track, detection = _near(settings, sectors, tracks, detections)
    dt = seconds(detections.observed_ns[detection] - tracks.updated_ns[track])
    place, spread = position_after(
        *_in_plane_of(sectors, tracks, track, detections.sector[detection]), dt, settings.acceleration_psd
    )
    d2, log_density = mahalanobis2_and_log_density(
        detections.position[detection] - place, spread + detections.covariance[detection]
    )
    within = d2 < GATE2
    track, detection, log_density = track[within], detection[within], log_density[within]
    seen = np.log(np.maximum(sensors.detection_probability[detections.sensor[detection]], 1e-3))
    alike = np.einsum("kc,kc->k", tracks.class_probability[track], detections.class_likelihood[detection])
    alike = np.log(np.maximum(alike * detections.class_likelihood.shape[1], 1e-3))
    strength = seen + log_density + _identity(tracks, detections, track, detection)
    false = false_density(sensors, detections)
    evidence = (
        strength
        + alike
        + np.log(np.maximum(tracks.existence[track], 1e-6))
        - np.log(false + settings.birth_per_m2)[detection]
    )
    return Pairs(track, detection, evidence, strength - np.log(false)[detection])


def _in_plane_of(
    sectors: Sectors, tracks: Tracks, track: NDArray[np.int64], sector: NDArray[np.int16]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """States of the chosen tracks in the plane of the detection that each is held against."""
    if (tracks.sector[track] == sector).all():
        return tracks.mean[track], tracks.covariance[track]
    moved = moved_to_sector(sectors, tracks.take(track), sector)
    return moved.mean, moved.covariance


def _near(
    settings: Settings, sectors: Sectors, tracks: Tracks, detections: Detections
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs near enough to be worth a closer look."""
    if not len(tracks) or not len(detections):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    time_ns = detections.observed_ns[len(detections) // 2]
    dt = seconds(time_ns - tracks.updated_ns)
    place, spread = position_after(tracks.mean, tracks.covariance, dt, settings.acceleration_psd)
    reach = np.sqrt(GATE2) * np.hypot(largest_sigma(spread).max(), largest_sigma(detections.covariance).max())
    here, there = detections.position, place
    if (tracks.sector != detections.sector[0]).any() or (detections.sector != detections.sector[0]).any():
        here = geocentric_from_plane(sectors, detections.sector, here)
        there = geocentric_from_plane(sectors, tracks.sector, there)
    count = min(NEIGHBOURS, len(tracks))
    _, found = KDTree(there).query(here, k=count, distance_upper_bound=reach)
    found = np.asarray(found, np.int64).reshape(len(detections), count)
    detection, rank = np.nonzero(found < len(tracks))
    return found[detection, rank], detection


def _identity(
    tracks: Tracks, detections: Detections, track: NDArray[np.int64], detection: NDArray[np.int64]
) -> NDArray[np.float64]:
    """(k,) log evidence from object ids and plates."""
    ours, theirs = tracks.source[track], detections.source[detection]
    fresh = detections.observed_ns[detection] - tracks.source_ns[track] < SOURCE_NS
    comparable = (ours != 0) & (theirs != 0) & fresh & (tracks.source_sensor[track] == detections.sensor[detection])
    evidence = np.where(comparable, np.where(ours == theirs, SAME_SOURCE, OTHER_SOURCE), 0.0)
    ours, theirs = tracks.plate[track], detections.plate[detection]
    both = (ours != 0) & (theirs != 0)
    return evidence + np.where(both, np.where(ours == theirs, SAME_PLATE, OTHER_PLATE), 0.0)


def chosen(pairs: Pairs, detections: int, tracks: int) -> NDArray[np.int64]:
    """Rows of `pairs` that together explain best, each detection and each track at most once."""
    worth = np.flatnonzero(pairs.evidence > 0)
    if not len(worth):
        return worth
    alone = np.bincount(pairs.detection[worth], minlength=detections)[pairs.detection[worth]] == 1
    alone &= np.bincount(pairs.track[worth], minlength=tracks)[pairs.track[worth]] == 1
    return np.sort(np.r_[worth[alone], _assigned(pairs, worth[~alone])])


def _assigned(pairs: Pairs, contested: NDArray[np.int64]) -> NDArray[np.int64]:
    """The contested pairs' best choice. Staying alone is a column of its own for each detection, at evidence 0."""
    if not len(contested):
        return contested
    rows, row = np.unique(pairs.detection[contested], return_inverse=True)
    columns, column = np.unique(pairs.track[contested], return_inverse=True)
    evidence = pairs.evidence[contested]
    bound = evidence.max() + 1.0  # the solver minimises, and takes a zero for no edge
    size = len(rows)
    costs = csr_array(
        (
            np.r_[bound - evidence, np.full(size, bound)],
            (np.r_[row, np.arange(size)], np.r_[column, len(columns) + np.arange(size)]),
        ),
        shape=(size, len(columns) + size),
    )
    picked_row, picked_column = min_weight_full_bipartite_matching(costs)
    match = np.full(size, -1)
    match[picked_row] = picked_column
    taken: NDArray[np.int64] = contested[match[row] == column]
    return taken
