"""How targets move between observations: nearly constant velocity, batched.

Li & Jilkov (2003), "Survey of maneuvering target tracking, part I", eq. 16: white-noise acceleration with power
spectral density q. Each row has its own interval.
"""

import numpy as np
from numpy.typing import NDArray

from model.time import NS
from model.tracks import Tracks

Array = NDArray[np.float64]


def seconds(interval_ns: NDArray[np.int64]) -> Array:
    """Intervals as float seconds."""
    return np.asarray(interval_ns / NS, dtype=np.float64)


def position_after(mean: Array, covariance: Array, dt_s: Array, psd: float) -> tuple[Array, Array]:
    """Where n states are after `dt_s` (n,), positions only: (n, 2) m and (n, 2, 2) m². Gating needs no more."""
    dt = dt_s[:, None, None]
    cross = covariance[:, :2, 2:]
    spread = covariance[:, :2, :2] + dt * (cross + cross.swapaxes(1, 2)) + dt**2 * covariance[:, 2:, 2:]
    spread[:, 0, 0] += psd * np.abs(dt_s) ** 3 / 3
    spread[:, 1, 1] += psd * np.abs(dt_s) ** 3 / 3
    return mean[:, :2] + dt_s[:, None] * mean[:, 2:], spread


def predicted(mean: Array, covariance: Array, dt_s: Array, psd: float) -> tuple[Array, Array]:
    """n states (n, 4), (n, 4, 4) after `dt_s` (n,)."""
    later_mean, later = mean.copy(), np.empty_like(covariance)
    later_mean[:, :2], later[:, :2, :2] = position_after(mean, covariance, dt_s, psd)
    later[:, :2, 2:] = covariance[:, :2, 2:] + dt_s[:, None, None] * covariance[:, 2:, 2:]
    later[:, 2:, 2:] = covariance[:, 2:, 2:]
    half, full = psd * dt_s * np.abs(dt_s) / 2, psd * np.abs(dt_s)
    for axis in (0, 1):
        later[:, axis, axis + 2] += half
        later[:, axis + 2, axis + 2] += full
    later[:, 2:, :2] = later[:, :2, 2:].swapaxes(1, 2)
    return later_mean, later


def tracks_at(tracks: Tracks, time_ns: int, psd: float) -> Tracks:
    """All tracks as they are at one instant, which is not before any of them was updated."""
    mean, covariance = predicted(tracks.mean, tracks.covariance, seconds(time_ns - tracks.updated_ns), psd)
    return tracks.but(mean=mean, covariance=covariance, updated_ns=np.full(len(tracks), time_ns, np.int64))
