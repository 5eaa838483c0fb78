"""What configuration says of places and things, in the form that every pure room reads. Never changes in a step."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.columns import Columns, column


@dataclass(frozen=True, eq=False)
class SensorColumns(Columns):
    """The registered sensors as fusion and alerts need them, one row each, in the catalogue's order."""

    sector: NDArray[np.int16] = column(np.int16)  # (n,)
    position: NDArray[np.float64] = column(np.float64, 2)  # (n, 2) m in the sector plane
    line_m: NDArray[np.float64] = column(np.float64, 2)  # (n, 2) m to its other end; zero: it is in one place
    accuracy_m: NDArray[np.float64] = column(np.float64)  # (n,) standard deviation, 1 axis
    bias_sigma_m: NDArray[np.float64] = column(np.float64)  # (n,) of what it is always off by, 1 axis; 0: by nothing
    range_m: NDArray[np.float64] = column(np.float64)  # (n,) reach
    near_m: NDArray[np.float64] = column(np.float64)  # (n,) nothing nearer is seen
    facing_rad: NDArray[np.float64] = column(np.float64)  # (n,) middle of the view, from the plane's east to its north
    half_angle_rad: NDArray[np.float64] = column(np.float64)  # (n,) of the view; pi: all round
    view_known: NDArray[np.bool_] = column(np.bool_)  # (n,) so that where it looks is known, and not only what it saw
    detection_probability: NDArray[np.float64] = column(np.float64)  # (n,) per look, of what is in reach
    twice: NDArray[np.bool_] = column(np.bool_)  # (n,) it reports each target twice in a frame
    false_alarms_per_hour: NDArray[np.float64] = column(np.float64)  # (n,)
    looks_per_s: NDArray[np.float64] = column(np.float64)  # (n,) frames a second while it sees something
    fades_s: NDArray[np.float64] = column(
        np.float64
    )  # (n,) a track that only it has seen, and too little, fades in this time
    latency_s: NDArray[np.float64] = column(np.float64)  # (n,) typical, from observed to received
    silent_after_s: NDArray[np.float64] = column(np.float64)  # (n,) infinity: never called silent
