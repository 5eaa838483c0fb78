"""What a detection says about a track: the Kalman filter's update, and two-by-two algebra in closed form.

Bar-Shalom, Li & Kirubarajan (2001), "Estimation with applications to tracking and navigation", eqs. 5.2.3-11 to -17.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def inverse_2x2(m: Array) -> tuple[Array, Array]:
    """Inverses (n, 2, 2) and determinants (n,) of symmetric positive matrices (n, 2, 2)."""
    a, b, d = m[:, 0, 0], m[:, 0, 1], m[:, 1, 1]
    determinant = a * d - b * b
    inverse = np.empty_like(m)
    inverse[:, 0, 0], inverse[:, 1, 1] = d / determinant, a / determinant
    inverse[:, 0, 1] = inverse[:, 1, 0] = -b / determinant
    return inverse, determinant


def largest_sigma(covariance: Array) -> Array:
    """(n,) standard deviation along the longest axis of (n, 2, 2) covariances."""
    a, b, d = covariance[:, 0, 0], covariance[:, 0, 1], covariance[:, 1, 1]
    return np.asarray(np.sqrt((a + d) / 2 + np.hypot((a - d) / 2, b)))


def mahalanobis2_and_log_density(innovation: Array, spread: Array) -> tuple[Array, Array]:
    """Squared Mahalanobis distances (n,) and log densities (n,) [log 1/m²] of innovations (n, 2) under (n, 2, 2)."""
    inverse, determinant = inverse_2x2(spread)
    x, y = innovation[:, 0], innovation[:, 1]
    d2 = inverse[:, 0, 0] * x * x + 2 * inverse[:, 0, 1] * x * y + inverse[:, 1, 1] * y * y
    return d2, -0.5 * (d2 + np.log(determinant)) - np.log(2 * np.pi)


def updated(mean: Array, covariance: Array, position: Array, noise: Array) -> tuple[Array, Array]:
    """n predicted states (n, 4), (n, 4, 4), given positions (n, 2) with noise (n, 2, 2)."""
    inverse, _ = inverse_2x2(covariance[:, :2, :2] + noise)
    to_state = covariance[:, :, :2]  # P Hᵀ
    gain = to_state[:, :, :1] * inverse[:, None, 0, :] + to_state[:, :, 1:] * inverse[:, None, 1, :]
    innovation = position - mean[:, :2]
    later_mean = mean + gain[:, :, 0] * innovation[:, :1] + gain[:, :, 1] * innovation[:, 1:]
    later = covariance - (gain[:, :, :1] * to_state[:, None, :, 0] + gain[:, :, 1:] * to_state[:, None, :, 1])
    return later_mean, (later + later.swapaxes(1, 2)) / 2
