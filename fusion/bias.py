"""Sensors that are always off by the same: what they are off by is learned from tracks that others see too.

A filter for each such sensor's offset beside the tracks' own, as in Friedland (1969), "Treatment of bias in recursive
filtering", with the tracks' errors taken for independent of the offset's. Only sensors that are registered with a `bias_sigma_m`
are doubted. Offsets are metres in the plane of the sensor's sector; planes of neighbouring sectors are turned against each
other by less than matters over such lengths.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusion.association import Pairs
from fusion.motion import seconds
from model.columns import Columns, column
from model.detections import Detections, Kind
from model.time import NS
from model.tracks import Tracks
from model.world import SensorColumns

Array = NDArray[np.float64]
OTHERS_NS = 5 * NS  # a track that another sensor has seen within this time can teach
DOUBT = 0.1  # of what a sensor may be off by: it is never known better, since mounts move and tracks are not wholly independent


@dataclass(frozen=True, eq=False)
class Biases(Columns):
    """k sensors that may be off, in the order of the catalogue."""

    sensor: NDArray[np.int32] = column(np.int32)  # (k,) row of the catalogue, rising
    offset: NDArray[np.float64] = column(np.float64, 2)  # (k, 2) m, what it says less what is
    variance: NDArray[np.float64] = column(np.float64)  # (k,) m², along each axis


def unlearned(sensors: SensorColumns) -> Biases:
    """Before anything has been learned."""
    rows = np.flatnonzero(sensors.bias_sigma_m > 0)
    return Biases(rows.astype(np.int32), np.zeros((len(rows), 2)), sensors.bias_sigma_m[rows] ** 2)


def doubted(sensors: SensorColumns, biases: Biases) -> Biases:
    """The offsets of the sensors that are registered so now: those known, and the others unlearned."""
    fresh = unlearned(sensors)
    if np.array_equal(fresh.sensor, biases.sensor):
        return biases
    row = _rows(biases, fresh.sensor)
    return fresh.put(row >= 0, biases.take(row[row >= 0]))


def corrected(biases: Biases, detections: Detections) -> Detections:
    """Detections where they would be but for the offsets, as sure as those are known."""
    row = _rows(biases, detections.sensor)
    off = (row >= 0) & (detections.kind == Kind.POSITION)
    if not off.any():
        return detections
    position, covariance = detections.position.copy(), detections.covariance.copy()
    position[off] -= biases.offset[row[off]]
    covariance[off] += biases.variance[row[off], None, None] * np.eye(2)
    return detections.but(position=position, covariance=covariance)


def learned(
    sensors: SensorColumns, biases: Biases, tracks: Tracks, detections: Detections, pairs: Pairs, chance: Array
) -> Biases:
    """The offsets after a scan. `detections` are corrected, `tracks` as they were before, `chance` (k,) is that of the pairs."""
    if not len(biases) or not len(pairs.track):
        return biases
    sensor = detections.sensor[pairs.detection]
    row, ours = _rows(biases, sensor), tracks.take(pairs.track)
    seen_by_others = (ours.sensors >= 0) & (ours.sensors != sensor[:, None])
    seen_by_others &= detections.observed_ns[pairs.detection, None] - ours.sensors_ns < OTHERS_NS
    here = ours.sector == detections.sector[pairs.detection]
    taught = np.flatnonzero((row >= 0) & (chance > 0.5) & here & seen_by_others.any(axis=1))
    if not len(taught):
        return biases
    ours, seen, row = ours.take(taught), detections.take(pairs.detection[taught]), row[taught]
    dt = seconds(seen.observed_ns - ours.updated_ns)
    off = seen.position - ours.mean[:, :2] - dt[:, None] * ours.mean[:, 2:]
    spread = ours.covariance[:, :2, :2] + seen.covariance + dt[:, None, None] ** 2 * ours.covariance[:, 2:, 2:]
    noise = np.maximum(np.trace(spread, axis1=1, axis2=2) / 2 - biases.variance[row], 0.01)
    count = len(biases)
    precision = np.bincount(row, 1 / noise, count)
    mean = np.stack([np.bincount(row, off[:, axis] / noise, count) for axis in (0, 1)], axis=1)
    gain = biases.variance * precision / (1 + biases.variance * precision)
    known = np.maximum(precision, 1e-12)[:, None]
    least = (DOUBT * sensors.bias_sigma_m[biases.sensor]) ** 2
    return biases.but(
        offset=biases.offset + gain[:, None] * mean / known, variance=np.maximum((1 - gain) * biases.variance, least)
    )


def _rows(biases: Biases, sensor: NDArray[np.int32]) -> NDArray[np.int64]:
    """(n,) which row of the biases is each sensor's; -1 none."""
    if not len(biases):
        return np.full(len(sensor), -1)
    at = np.minimum(np.searchsorted(biases.sensor, sensor), len(biases) - 1)
    return np.where(biases.sensor[at] == sensor, at, -1)
