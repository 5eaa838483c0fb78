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
WITH_U, WITH_V = np.array([7, 9, 11, 12]), np.array([8, 10, 12, 13])  # … and with each velocity
ON_RAY_SIGMAS = 5.0  # a track within so many standard deviations of a bearing lies on its ray
NEAREST_M = 1.0  # no target is nearer than this to who takes its bearing


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


def updated_along(bank: Array, direction: Array, seen: Array, noise: Array) -> Array:
    """The bank, given what its velocity is along a direction.

    `direction` (2, n) is a unit vector, `seen` [m/s] and `noise` [m²/s²] are (n,) or (MODELS, n).
    """
    with_it = direction[0] * bank[WITH_U] + direction[1] * bank[WITH_V]
    gain = with_it / (direction[0] * with_it[2] + direction[1] * with_it[3] + noise)
    later = bank.copy()
    later[:4] += gain * (seen - direction[0] * bank[2] - direction[1] * bank[3])
    later[4:] -= gain[ROW] * with_it[COLUMN]
    return later


def along_ray(whole: Array, foot: Array, place: Array, noise: Array) -> Array:
    """Positions (2, n) where rays pass what is believed (14, n), with noise (3, n): a bearing, linearised there.

    Each ray goes from `foot` (2, n) through `place` (2, n), across which the given noise (3, n) is narrow. Returns (5, n):
    positions, then noises.
    """
    ray, believed = place - foot, whole[:2] - foot
    reach, away = np.hypot(ray[0], ray[1]), np.maximum(np.hypot(believed[0], believed[1]), NEAREST_M)
    sigma, length = smallest_sigma(noise) / reach, largest_sigma(noise)
    sight, along = believed / away, ray / reach
    off = np.arctan2(sight[0] * ray[1] - sight[1] * ray[0], sight[0] * ray[0] + sight[1] * ray[1])
    # A track far off the ray is drawn to it, at right angles. One that lies on it is corrected across the line of sight: two rays
    # from one foot meet only there, and strips across each would pull the track to it.
    on_it = np.abs(off) < ON_RAY_SIGMAS * sigma
    along = np.where(on_it, sight, along)
    there = np.maximum(along[0] * believed[0] + along[1] * believed[1], NEAREST_M)
    aside = np.where(on_it, away * off, 0.0) * np.stack([-along[1], along[0]])
    across2 = (sigma * there) ** 2
    spread = np.stack([along[0] ** 2, along[0] * along[1], along[1] ** 2]) * (length**2 - across2)
    spread[[0, 2]] += across2
    return np.concatenate([foot + along * there + aside, spread])


def widened_along(noise: Array, by: float) -> Array:
    """Noises (3, n) with their longest axis `by` times as long."""
    angle = np.arctan2(2 * noise[1], noise[0] - noise[2]) / 2
    more = (by**2 - 1) * largest_sigma(noise) ** 2
    along = np.stack([np.cos(angle) ** 2, np.cos(angle) * np.sin(angle), np.sin(angle) ** 2])
    return np.asarray(noise + more * along)


def cut_off(off: Array, sigma: Array, low: Array, high: Array) -> tuple[Array, Array]:
    """Measurement and noise that make N(off, sigma²) what it is when cut off below `low` and above `high`; any shape.

    The moments of the truncated normal (Johnson, Kotz & Balakrishnan 1994, eqs. 13.134-5), and from those before and after the
    measurement between them. Where nothing of it lies within, both are NaN.
    """
    low, high = np.clip((low - off) / sigma, -30, 30), np.clip((high - off) / sigma, -30, 30)
    inside = ndtr(high) - ndtr(low)
    at_low, at_high = np.exp(-(low**2) / 2) / SQRT_2PI, np.exp(-(high**2) / 2) / SQRT_2PI
    some = np.where(inside > 1e-3, inside, np.nan)
    shift = (at_low - at_high) / some
    shrunk = np.clip(1 + (low * at_low - high * at_high) / some - shift**2, 1e-3, 1 - 1e-6)
    return off + sigma * shift / (1 - shrunk), sigma**2 * shrunk / (1 - shrunk)


def within_reach(whole: Array, centre: Array, spread: Array) -> tuple[Array, Array]:
    """Positions (2, n) and noises (3, n) that say no more than that something is within reach of a sensor.

    The belief (14, n) is cut off at REACH_SIGMAS standard deviations `spread` (3, n) from `centre` (2, n), along the belief's own
    axes; the measurement returned leads to the moments of what remains. A target that stays where it is can so be reported any
    number of times without seeming better known.
    """
    xx, xy, yy = whole[4], whole[5], whole[6]
    angle = np.arctan2(2 * xy, xx - yy) / 2
    own = (spread[0] + spread[2]) / 2
    half = REACH_SIGMAS * np.sqrt(own)
    place, noise = centre.copy(), np.zeros_like(spread)
    for x, y in ((np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))):
        sigma = np.sqrt(x**2 * xx + 2 * x * y * xy + y**2 * yy)
        seen, error = cut_off(x * (whole[0] - centre[0]) + y * (whole[1] - centre[1]), sigma, -half, half)
        outside = np.isnan(seen)  # altogether: then the plain Gaussian
        place += np.where(outside, 0.0, seen) * np.stack([x, y])
        noise += np.where(outside, own, error) * np.stack([x**2, x * y, y**2])
    return place, noise
