"""What judging remembers of each track from scan to scan: where it stood, which zones it was in and since when."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from model.columns import Columns, column


class Stay(IntEnum):
    """A track's standing towards one zone. Outside is not written down."""

    UNSURE = 0  # first seen so near the boundary that either may be true
    ARRIVED = 1  # came in from outside, and no rule has been told yet
    INSIDE = 2


@dataclass(frozen=True, eq=False)
class Stays(Columns):
    """n tracks in or about one zone, sorted by track."""

    track: NDArray[np.uint64] = column(np.uint64)  # (n,)
    stay: NDArray[np.int8] = column(np.int8)  # (n,) Stay
    since_ns: NDArray[np.int64] = column(np.int64)  # (n,) ns, when it was first found so


@dataclass(frozen=True, eq=False)
class Anchors(Columns):
    """Where n tracks last stood clear of one line, sorted by track."""

    track: NDArray[np.uint64] = column(np.uint64)  # (n,)
    sector: NDArray[np.int16] = column(np.int16)  # (n,)
    position: NDArray[np.float64] = column(np.float64, 2)  # (n, 2) m
    sigma_m: NDArray[np.float64] = column(np.float64)  # (n,)


@dataclass(frozen=True)
class Memory:
    """After the scan at `time_ns`."""

    time_ns: int
    known: NDArray[np.uint64]  # all tracks of that scan, sorted
    stays: tuple[Stays, ...]  # one for each (rule, zone) that is watched
    anchors: tuple[Anchors, ...]  # one for each (rule, line)


def looked_up(keys: NDArray[np.uint64], sorted_keys: NDArray[np.uint64]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """For each key: is it among the sorted ones, and in which row (any row where it isn't)."""
    if not len(sorted_keys):
        return np.zeros(len(keys), np.bool_), np.zeros(len(keys), np.int64)
    row = np.minimum(np.searchsorted(sorted_keys, keys), len(sorted_keys) - 1)
    return sorted_keys[row] == keys, row
