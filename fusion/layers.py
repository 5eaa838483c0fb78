"""Which frames of a scan can be taken at once: those that are nowhere near each other.

A frame is what one sensor saw at one instant. Within a frame one target gives one detection; between frames near
each other the later one must meet the tracks that the earlier one has updated. So frames that may share a target
are put in successive layers, in order of time, and everything else in a layer is done together, vectorised.
"""

import numpy as np
import shapely
from numpy.typing import NDArray

from fusion.estimation import largest_sigma, packed
from geo.frames import APART_M
from model.detections import Detections

SIGMAS = 3.0  # how far, in its own standard deviations, a detection's target may be
PAD_M = 10.0  # and how far it may move within a scan, beyond that


def frames_of(detections: Detections) -> NDArray[np.int64]:
    """(n,) number of the frame of each row; numbered in order of time, for rows sorted by time and sensor."""
    if not len(detections):
        return np.zeros(0, np.int64)
    fresh = np.ones(len(detections), np.int64)
    fresh[0] = 0
    fresh[1:] = (np.diff(detections.observed_ns) != 0) | (np.diff(detections.sensor) != 0)
    return np.cumsum(fresh)


def layers_of(detections: Detections) -> list[NDArray[np.int64]]:
    """Row numbers of each layer, for rows sorted by time and sensor."""
    frame = frames_of(detections)
    count = int(frame[-1]) + 1 if len(frame) else 0
    if count <= 1:
        return [np.arange(len(frame))] if count else []
    layer = _depths(count, *_near_frames(detections, frame))[frame]
    order = np.argsort(layer, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(layer[order])) + 1)


def _near_frames(detections: Detections, frame: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs (earlier, later) of frames whose reaches overlap."""
    reach = SIGMAS * largest_sigma(packed(detections.covariance)) + PAD_M
    place = detections.position + np.stack([detections.sector * APART_M, np.zeros(len(reach))], axis=1)
    starts = np.flatnonzero(np.r_[True, np.diff(frame) != 0])
    low = np.minimum.reduceat(place - reach[:, None], starts)
    high = np.maximum.reduceat(place + reach[:, None], starts)
    boxes = shapely.box(low[:, 0], low[:, 1], high[:, 0], high[:, 1])
    one, other = shapely.STRtree(boxes).query(boxes)
    ordered = one < other
    return one[ordered], other[ordered]


def _depths(count: int, earlier: NDArray[np.int64], later: NDArray[np.int64]) -> NDArray[np.int64]:
    """(count,) the longest chain of near frames that ends in each: as many passes as there are layers."""
    depth = np.zeros(count, np.int64)
    while True:
        deeper = depth.copy()
        np.maximum.at(deeper, later, depth[earlier] + 1)
        if np.array_equal(deeper, depth):
            return depth
        depth = deeper
