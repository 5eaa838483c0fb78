"""What drives on a road follows its bends: a prediction straight ahead is laid along the road instead.

A rigid motion of each estimate: where it would have gone straight on becomes where the road goes, and velocity and covariance
turn with the road's direction. So nothing becomes surer by there being a road; it only looks the right way round the bend.
"""

import numpy as np
from numpy.typing import NDArray

from geo.roads import Roads, nearest_piece
from model.tracks import COLUMN, FULL, ROW

Array = NDArray[np.float64]
FOLLOWS_MPS = 2.0  # what is slower than this may do anything
ALONG = np.cos(np.radians(30))  # who goes within this angle of the road goes along it
BESIDE_M = 15.0  # and within this beyond its edge


def bent(roads: Roads, sector: NDArray[np.int16], before: Array, after: Array) -> Array:
    """The bank `after` (14, MODELS, n), carried straight on, with tracks that follow a road carried along it.

    `before` (4, n) are their positions and velocities where they started, in the planes of their sectors (n,).
    """
    rows, piece, sense = _following(roads, sector, before)
    if not len(rows):
        return after
    start, way = before[:2, rows].T, roads.way[piece]
    along = ((start - roads.start[piece]) * way).sum(axis=1)
    whole = after[:2, :, rows].mean(axis=1).T - start  # how far, straight on; the same way for every model in the mean
    gone = np.hypot(whole[:, 0], whole[:, 1])
    road = roads.road[piece]
    at = np.clip(roads.reached_m[piece] + along + sense * gone, roads.first_m[road], roads.last_m[road])
    reached = roads.reached_m
    later = np.clip(np.searchsorted(reached, at, side="right") - 1, 0, len(reached) - 1)
    onto = roads.start[later] + (at - reached[later])[:, None] * roads.way[later]
    old, new = sense[:, None] * way, sense[:, None] * roads.way[later]
    cos, sin = (old * new).sum(axis=1), old[:, 0] * new[:, 1] - old[:, 1] * new[:, 0]
    # Pivot: where the straight prediction meets the road's, both measured along the way from the start.
    beside = start + gone[:, None] * old
    foot = roads.start[piece] + along[:, None] * way
    turned = after.copy()
    turned[..., rows] = _turned(after[..., rows], beside.T, (onto + _rotated(start - foot, cos, sin)).T, cos, sin)
    return turned


def _following(
    roads: Roads, sector: NDArray[np.int16], before: Array
) -> tuple[NDArray[np.int64], NDArray[np.int64], Array]:
    """(rows of the tracks that go along a road, the piece of road each is on, 1 or -1: which way along it)."""
    nothing = np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    speed = np.hypot(before[2], before[3])
    rows = np.flatnonzero(speed > FOLLOWS_MPS)
    if not len(roads.start) or not len(rows):
        return nothing
    found, piece = nearest_piece(roads, sector[rows], before[:2, rows].T)
    rows = rows[found]
    offset = before[:2, rows].T - roads.start[piece]
    along = (offset * roads.way[piece]).sum(axis=1)
    aside = np.abs(offset[:, 0] * roads.way[piece, 1] - offset[:, 1] * roads.way[piece, 0])
    pace = (before[2:4, rows].T * roads.way[piece]).sum(axis=1) / speed[rows]
    on = (aside < roads.half_width_m[piece] + BESIDE_M) & (np.abs(pace) > ALONG)
    on &= (along > -BESIDE_M) & (along < roads.length_m[piece] + BESIDE_M)
    return rows[on], piece[on], np.sign(pace[on])


def _rotated(vector: Array, cos: Array, sin: Array) -> Array:
    return np.stack([cos * vector[:, 0] - sin * vector[:, 1], sin * vector[:, 0] + cos * vector[:, 1]], axis=1)


def _turned(bank: Array, pivot: Array, to: Array, cos: Array, sin: Array) -> Array:
    """The bank turned about `pivot` (2, n), which comes to lie at `to` (2, n)."""
    turn = np.array([[cos, -sin], [sin, cos]])
    later = bank.copy()
    off = bank[:2] - pivot[:, None]
    later[:2] = to[:, None] + np.einsum("ijn,jmn->imn", turn, off)
    later[2:4] = np.einsum("ijn,jmn->imn", turn, bank[2:4])
    both = np.zeros((4, 4, len(cos)))
    both[:2, :2] = both[2:, 2:] = turn
    spread = np.einsum("ijn,jkmn,lkn->ilmn", both, bank[FULL], both)
    later[4:] = spread[ROW, COLUMN]
    return later
