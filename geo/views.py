"""How far inside a sensor's view a place lies."""

import numpy as np
from numpy.typing import NDArray

from model.world import SensorColumns

Array = NDArray[np.float64]


def depth_in_view_m(one: SensorColumns, offset: Array) -> Array:
    """(n,) how far each offset (n, 2) m from its sensor lies inside the view's nearest edge; negative outside."""
    away = np.hypot(offset[:, 0], offset[:, 1])
    turn = np.arctan2(offset[:, 1], offset[:, 0]) - one.facing_rad
    off = np.abs((turn + np.pi) % (2 * np.pi) - np.pi)
    aside = np.where(
        one.half_angle_rad < np.pi, away * np.sin(np.clip(one.half_angle_rad - off, -np.pi / 2, np.pi / 2)), np.inf
    )
    inner = np.where(one.near_m > 0, away - one.near_m, np.inf)
    return np.asarray(np.minimum(np.minimum(one.range_m - away, inner), aside))
