"""Detections: what sensors say that they saw, on the ground, with its uncertainty."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from model.classes import CLASSES
from model.columns import Columns, column

PLATES = 4  # readings of a plate that are kept


class Kind(IntEnum):
    """What a row measured."""

    POSITION = 0  # a place with its covariance
    BEARING = 1  # a direction only: the place lies mid-range, the covariance stretches along the ray
    PRESENCE = 2  # something within reach of the sensor: the sensor's own place, a wide covariance
    CROSSING = 3  # something passed between the sensor's two ends: their middle, a covariance stretched along them


@dataclass(frozen=True, eq=False)
class Detections(Columns):
    """n detections. A vague sensor gets a wide covariance, not a missing column."""

    observed_ns: NDArray[np.int64] = column(np.int64)  # (n,) ns, when it was seen
    received_ns: NDArray[np.int64] = column(np.int64)  # (n,) ns, when the message arrived
    sensor: NDArray[np.int32] = column(np.int32)  # (n,) row of the catalogue
    kind: NDArray[np.int8] = column(np.int8)  # (n,) Kind
    sector: NDArray[np.int16] = column(np.int16)  # (n,) whose plane the position is in
    position: NDArray[np.float64] = column(np.float64, 2)  # (n, 2) m, east and north in the sector plane
    covariance: NDArray[np.float64] = column(np.float64, 2, 2)  # (n, 2, 2) m²
    velocity: NDArray[np.float64] = column(np.float64, 2)  # (n, 2) m/s, or only its direction
    velocity_sigma_mps: NDArray[np.float64] = column(np.float64)  # (n,) 0: nothing said; infinite: the direction only
    class_likelihood: NDArray[np.float64] = column(np.float64, len(CLASSES))  # (n, classes), sums to 1
    confidence: NDArray[np.float64] = column(np.float64)  # (n,) the source's own, 0–1
    source: NDArray[np.uint64] = column(np.uint64)  # (n,) the source's object id, hashed; 0 none
    plate: NDArray[np.uint64] = column(np.uint64)  # (n,) keyed token of a plate; 0 none
    plates: NDArray[np.uint64] = column(
        np.uint64, PLATES
    )  # (n, PLATES) tokens of all that it may read, likeliest first
    plate_share: NDArray[np.float64] = column(np.float64, PLATES)  # (n, PLATES) probability of each


@dataclass(frozen=True, eq=False)
class Looks(Columns):
    """Frames in which a sensor looked, whether or not it saw anything: seeing nothing is evidence too."""

    observed_ns: NDArray[np.int64] = column(np.int64)  # (n,) ns
    received_ns: NDArray[np.int64] = column(np.int64)  # (n,) ns
    sensor: NDArray[np.int32] = column(np.int32)  # (n,) row of the catalogue
