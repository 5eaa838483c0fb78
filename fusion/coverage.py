"""What sensors can see, by their registration: chance of being in view, false alarms, and who may have walked in unseen."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import ndtr

from fusion.estimation import largest_sigma, packed
from fusion.settings import Settings
from geo.frames import Sectors, near_each_other, plane_from_plane
from geo.views import depth_in_view_m
from model.detections import Detections
from model.tracks import Tracks
from model.world import SensorColumns

Array = NDArray[np.float64]
Rows = NDArray[np.int64]
WATCHERS = 8  # looks held against a track in one scan come from at most this many sensors, nearest first
ENTERING_MPS = 1.5  # how fast the undetected come in over the edge of a view
FEWEST_PER_M2 = 1e-15  # of anything: nothing is impossible


def false_density(sensors: SensorColumns, sensor: NDArray[np.int32]) -> Array:
    """(n,) false alarms expected per m² in one frame of each sensor, spread evenly over its view."""
    per_frame = sensors.false_alarms_per_hour / 3600 / sensors.looks_per_s
    area_m2 = sensors.half_angle_rad * (sensors.range_m**2 - sensors.near_m**2)
    return np.maximum(per_frame / area_m2, FEWEST_PER_M2)[sensor]


def undetected_density(settings: Settings, sensors: SensorColumns, sectors: Sectors, detections: Detections) -> Array:
    """(n,) targets per m² that nobody has seen yet, where each of the detections lies.

    The steady state of a Poisson field that looks empty and that fills from outside: what was seen is no longer undetected, and
    the rest has come in since, so that someone new is expected at the edge of a view and not in its middle.
    """
    one = sensors.chosen(detections.sensor)
    place = plane_from_plane(sectors, detections.sector, one.sector, detections.position)
    depth_m = np.maximum(depth_in_view_m(one, place - one.position), 1.0)
    filling = ENTERING_MPS / depth_m
    emptying = one.looks_per_s * one.detection_probability
    return np.maximum(settings.birth_per_m2 * filling / (filling + emptying), FEWEST_PER_M2)


def watched(
    sensors: SensorColumns, sectors: Sectors, tracks: Tracks, looker: NDArray[np.int32]
) -> tuple[Rows, Rows, Array]:
    """Pairs (row of tracks, row of `looker`) in view of each other, and the probability (k,) of that.

    `looker` (m,) are rows of the catalogue.
    """
    if not len(tracks) or not len(looker):
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    sigma_m = largest_sigma(packed(tracks.covariance))
    lookers = sensors.chosen(looker)
    there, here = near_each_other(sectors, lookers.sector, lookers.position, tracks.sector, tracks.mean[:, :2])
    count = min(WATCHERS, len(looker))
    farthest = float(lookers.range_m.max()) + 2 * float(sigma_m.max())
    _, found = cKDTree(there).query(here, k=count, distance_upper_bound=farthest)
    row, rank = np.nonzero((found := np.asarray(found, np.int64).reshape(len(tracks), count)) < len(looker))
    looks = found[row, rank]
    one = lookers.chosen(looks)
    place = plane_from_plane(sectors, tracks.sector[row], one.sector, tracks.mean[row, :2])
    depth = depth_in_view_m(one, place - one.position)
    chance = ndtr(depth / np.maximum(sigma_m[row], 0.1))
    seen = chance > 0.01
    return row[seen], looks[seen], chance[seen]
