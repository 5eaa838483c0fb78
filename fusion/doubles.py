"""Sensors that report a target twice in one frame: both reports are one detection."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from fusion.estimation import distance2, inverse, packed
from model.detections import Detections, Kind
from model.world import SensorColumns

SAME2 = 0.02  # squared Mahalanobis distance: of two targets, one pair in a hundred lies so near by chance
TWICE2 = 13.8  # … and of one target reported twice, each time with its own error, one pair in a thousand farther
APART_M = 1e7  # frames are laid out this far from each other


def one_each(sensors: SensorColumns, detections: Detections, frame: NDArray[np.int64]) -> Detections:
    """The detections, where two of one frame that are each other's nearest and one target's are put together.

    Any sensor's are, when they are all but identical; those of a sensor that is registered to report twice, when they lie
    within its error of each other. `frame` (n,) numbers the frame of each, and rises.
    """
    first, second = _candidates(sensors, detections, frame)
    if not len(first):
        return detections
    a, b = detections.take(first), detections.take(second)
    inverted, _ = inverse(packed(a.covariance + b.covariance))
    far = np.where(sensors.twice[a.sensor], TWICE2, SAME2)
    same = distance2((a.position - b.position).T, inverted) < far
    if not same.any():
        return detections
    kept, dropped = first[same], second[same]
    a, b = a.take(same), b.take(same)
    likelihood = a.class_likelihood + b.class_likelihood
    # Two reports with errors of their own know the place better than one; the same report twice does not.
    better = np.where(sensors.twice[a.sensor], 0.5, 1.0)[:, None, None]
    merged = a.but(
        position=(a.position + b.position) / 2,
        covariance=better * (a.covariance + b.covariance) / 2,
        class_likelihood=likelihood / likelihood.sum(axis=1, keepdims=True),
        source=np.where(a.source != 0, a.source, b.source),
        plate=np.where(a.plate != 0, a.plate, b.plate),
        plates=np.where(a.plate[:, None] != 0, a.plates, b.plates),
        plate_share=np.where(a.plate[:, None] != 0, a.plate_share, b.plate_share),
    )
    left = np.ones(len(detections), np.bool_)
    left[dropped] = False
    return detections.put(kept, merged).take(left)


def _candidates(
    sensors: SensorColumns, detections: Detections, frame: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of rows of one frame, no row in two: each other's nearest, of sensors that report twice; of the others,
    rows that follow each other in their order by place, since what is all but identical does."""
    place = detections.kind == Kind.POSITION
    twice = sensors.twice[detections.sensor]
    follows = (frame[1:] == frame[:-1]) & place[1:] & place[:-1] & ~twice[1:]
    first = np.flatnonzero(follows)
    off = np.abs(detections.position[first + 1, 0] - detections.position[first, 0])
    first = first[off**2 <= SAME2 * (detections.covariance[first, 0, 0] + detections.covariance[first + 1, 0, 0])]
    first = first[np.diff(first, prepend=-2) > 1]
    rows = np.flatnonzero(twice & place)
    if len(rows) < 2:
        return first, first + 1
    where = np.column_stack([detections.position[rows], APART_M * frame[rows]])
    nearest = np.asarray(cKDTree(where).query(where, k=2)[1], np.int64)[:, 1]
    own = np.arange(len(rows))
    one = np.flatnonzero((nearest[nearest] == own) & (own < nearest) & (frame[rows] == frame[rows[nearest]]))
    return np.r_[first, rows[one]], np.r_[first + 1, rows[nearest[one]]]
