"""What a detection says about a track: the Kalman filter's update under every model, and two-by-two algebra in closed form.

Bar-Shalom, Li & Kirubarajan (2001), "Estimation with applications to tracking and navigation", eqs. 5.2.3-11 to -17 and, for
the models' probabilities, 11.6.6-7 to -13. Banks are as in `motion`: (14, MODELS, n).
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from fusion.motion import TINY
from model.tracks import COLUMN, ROW

Array = NDArray[np.float64]
Rows = NDArray[np.int64]
REACH_SIGMAS = 2.5  # a uniform disc's radius is two of its standard deviations; the half more is its soft edge
SQRT_2PI = np.sqrt(2 * np.pi)
WITH_X, WITH_Y = np.array([4, 5, 7, 8]), np.array([5, 6, 9, 10])  # covariances of the state with each position


def packed(covariance: Array) -> Array:
    """(3, n) xx, xy, yy of (n, 2, 2)."""
    return np.stack([covariance[:, 0, 0], covariance[:, 0, 1], covariance[:, 1, 1]])


def largest_sigma(spread: Array) -> Array:
    """Standard deviation along the longest axis of covariances (3, …)."""
    return np.asarray(np.sqrt((spread[0] + spread[2]) / 2 + np.hypot((spread[0] - spread[2]) / 2, spread[1])))


def smallest_sigma(spread: Array) -> Array:
    """Standard deviation along the shortest axis of covariances (3, …)."""
    middle, half = (spread[0] + spread[2]) / 2, np.hypot((spread[0] - spread[2]) / 2, spread[1])
    return np.asarray(np.sqrt(np.maximum((spread[0] * spread[2] - spread[1] ** 2) / (middle + half), 0.0)))


def inverse(spread: Array) -> tuple[Array, Array]:
    """Inverses (3, …) and determinants (…) of symmetric positive matrices (3, …)."""
    determinant = spread[0] * spread[2] - spread[1] ** 2
    return np.stack([spread[2], -spread[1], spread[0]]) / determinant, determinant


def distance2(off: Array, inverted: Array) -> Array:
    """Squared Mahalanobis distances (…) of (2, …) under inverses (3, …)."""
    return np.asarray(inverted[0] * off[0] ** 2 + 2 * inverted[1] * off[0] * off[1] + inverted[2] * off[1] ** 2)


def log_densities(bank: Array, position: Array, noise: Array) -> tuple[Array, Array]:
    """Squared Mahalanobis distances and log densities [log 1/m²] (MODELS, n) of positions (2, n) with noise (3, n)."""
    inverted, determinant = inverse(bank[4:7] + noise[:, None])
    d2 = distance2(position[:, None] - bank[:2], inverted)
    return d2, -0.5 * (d2 + np.log(determinant)) - np.log(2 * np.pi)


def updated(bank: Array, position: Array, noise: Array) -> Array:
    """The bank, given positions (2, n) with noise (3, n)."""
    inverted, _ = inverse(bank[4:7] + noise[:, None])
    with_x, with_y = bank[WITH_X], bank[WITH_Y]
    gain_x = with_x * inverted[0] + with_y * inverted[1]
    gain_y = with_x * inverted[1] + with_y * inverted[2]
    off = position[:, None] - bank[:2]
    later = bank.copy()
    later[:4] += gain_x * off[0] + gain_y * off[1]
    later[4:] -= gain_x[ROW] * with_x[COLUMN] + gain_y[ROW] * with_y[COLUMN]
    return later


def reweighted(weight: Array, log_density: Array) -> tuple[Array, Array]:
    """The models' probabilities (MODELS, n) given each one's log density, and the log density (n,) of all together."""
    top = log_density.max(axis=0)
    joint = weight * np.exp(log_density - top)
    total = joint.sum(axis=0)
    return joint / np.maximum(total, TINY), top + np.log(np.maximum(total, TINY))


def blended(
    bank: Array, weight: Array, later: Array, later_weight: Array, of: Rows, starts: Rows
) -> tuple[Array, Array]:
    """What n tracks are, when their belief is shared among estimates: one Gaussian for each model, with the same moments.

    `bank` with `weight` (MODELS, n) is the share that nothing happened to; `later` with `later_weight` (MODELS, k) are the
    others, row k about track `of[k]`, those of one track together from `starts` (n,) on. A track's shares add up to 1.
    """
    if len(of) == len(starts):
        both = weight + later_weight
        part = later_weight / np.maximum(both, TINY)
        mixed = bank + part * (later - bank)
        off = later[:4] - bank[:4]
        mixed[4:] += part * (1 - part) * off[ROW] * off[COLUMN]
        return mixed, both
    both = weight + np.add.reduceat(later_weight, starts, axis=-1)
    scale = 1 / np.maximum(both, TINY)
    mixed = (weight * bank + np.add.reduceat(later_weight * later, starts, axis=-1)) * scale
    off, stayed = later[:4] - mixed[:4][..., of], bank[:4] - mixed[:4]
    spread = np.add.reduceat(later_weight * off[ROW] * off[COLUMN], starts, axis=-1)
    mixed[4:] += (weight * stayed[ROW] * stayed[COLUMN] + spread) * scale
    return mixed, both


def within_reach(whole: Array, centre: Array, spread: Array) -> tuple[Array, Array]:
    """Positions (2, n) and noises (3, n) that say no more than that something is within reach of a sensor.

    The belief (14, n) is cut off at REACH_SIGMAS standard deviations `spread` (3, n) from `centre` (2, n), along the belief's own
    axes; the measurement returned is the one that leads to the moments of what
    remains (moments of the truncated normal: Johnson, Kotz & Balakrishnan 1994, eqs. 13.134-5). A target that stays where it
    is can so be reported any number of times without seeming better known.
    """
    xx, xy, yy = whole[4], whole[5], whole[6]
    angle = np.arctan2(2 * xy, xx - yy) / 2
    axes = np.stack([np.cos(angle), np.sin(angle)]), np.stack([-np.sin(angle), np.cos(angle)])
    half = REACH_SIGMAS * np.sqrt((spread[0] + spread[2]) / 2)
    place, noise = np.zeros_like(centre), np.zeros_like(spread)
    for axis in axes:
        variance = axis[0] ** 2 * xx + 2 * axis[0] * axis[1] * xy + axis[1] ** 2 * yy
        sigma = np.sqrt(variance)
        off = axis[0] * (whole[0] - centre[0]) + axis[1] * (whole[1] - centre[1])
        low, high = np.clip((-half - off) / sigma, -30, 30), np.clip((half - off) / sigma, -30, 30)
        inside = ndtr(high) - ndtr(low)
        at_low, at_high = np.exp(-(low**2) / 2) / SQRT_2PI, np.exp(-(high**2) / 2) / SQRT_2PI
        safe = np.maximum(inside, 1e-12)
        shift = (at_low - at_high) / safe
        shrunk = 1 + (low * at_low - high * at_high) / safe - shift**2
        shrunk = np.clip(shrunk, 1e-3, 1 - 1e-6)
        # From the moments before and after to the measurement between them; outside altogether, the plain Gaussian.
        own = variance * shrunk / (1 - shrunk)
        seen = off + sigma * shift / (1 - shrunk)
        outside = inside < 1e-3
        own, seen = np.where(outside, (half / REACH_SIGMAS) ** 2, own), np.where(outside, 0.0, seen)
        place += axis * seen
        noise += own * np.stack([axis[0] ** 2, axis[0] * axis[1], axis[1] ** 2])
    return centre + place, noise
