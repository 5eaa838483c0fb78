"""GOSPA: the distance between two sets of points, as localisation, missed and false.

Rahmathullah, García-Fernández & Svensson (2017), "Generalized optimal sub-pattern assignment metric", eq. 1 with α = 2,
for which the metric splits into these parts (proposition 1).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Gospa:
    """One scan's distance. `pairs` (k, 2) are rows of truth and track that were matched."""

    distance: float  # m
    localisation: float  # m^p
    missed: int
    false: int
    pairs: NDArray[np.int64]


def gospa(truth: Array, tracks: Array, c_m: float = 100.0, p: float = 2.0) -> Gospa:
    """Between truth (n, d) and tracks (m, d), metres."""
    if not len(truth) or not len(tracks):
        return _of(0.0, len(truth), len(tracks), np.zeros((0, 2), np.int64), c_m, p)
    away = np.linalg.norm(truth[:, None] - tracks[None], axis=2)
    # A pair farther than c costs as much as a miss and a false track together, so it is none.
    cost = np.minimum(away, c_m) ** p
    row, column = linear_sum_assignment(cost)
    near = away[row, column] < c_m
    pairs = np.stack([row[near], column[near]], axis=1)
    return _of(
        float(cost[row[near], column[near]].sum()), len(truth) - len(pairs), len(tracks) - len(pairs), pairs, c_m, p
    )


def _of(localisation: float, missed: int, false: int, pairs: NDArray[np.int64], c_m: float, p: float) -> Gospa:
    total = localisation + c_m**p / 2 * (missed + false)
    return Gospa(total ** (1 / p), localisation, missed, false, pairs)
