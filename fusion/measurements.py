"""What each kind of detection says of a track."""

import numpy as np
from numpy.typing import NDArray

from fusion.estimation import (
    along_ray,
    cut_off,
    distance2,
    inverse,
    largest_sigma,
    log_densities,
    packed,
    reweighted,
    updated,
    updated_along,
    widened_along,
    within_reach,
)
from fusion.motion import collapsed, seconds
from geo.frames import Sectors, plane_from_plane
from model.detections import Detections, Kind
from model.tracks import MODELS, Tracks
from model.world import SensorColumns

Array = NDArray[np.float64]
Rows = NDArray[np.int64]
MOTION = np.array([2, 3, 11, 12, 13])  # components of velocity and its covariance
RANGE_UNKNOWN = (
    100.0  # by how much a ray's length is vaguer than the sensor's reach, once something is known of the range
)
PASSING_MPS = 1.0  # at this pace a target crosses a ground sensor's reach, and its activations are one measurement


def as_seen(
    sensors: SensorColumns, sectors: Sectors, bank: Array, weight: Array, detections: Detections, row: Rows
) -> tuple[Array, Array]:
    """Positions (2, n) and noises (3, n) of rows `row` (n,) of detections, each held against a track of (14, MODELS, n)."""
    place, noise = detections.position[row].T, packed(detections.covariance)[:, row]
    rays = np.flatnonzero(detections.kind[row] == Kind.BEARING)
    if not len(rays):
        return place, noise
    place, noise = place.copy(), noise.copy()
    sensor, sector = detections.sensor[row[rays]], detections.sector[row[rays]]
    foot = plane_from_plane(sectors, sensors.sector[sensor], sector, sensors.position[sensor]).T
    both = along_ray(collapsed(bank[..., rays], weight[:, rays]), foot, place[:, rays], noise[:, rays])
    place[:, rays], noise[:, rays] = both[:2], both[2:]
    return place, noise


def given(
    sensors: SensorColumns, sectors: Sectors, ours: Tracks, of: Rows, bank: Array, weight: Array, seen: Detections
) -> tuple[Array, Array]:
    """Bank and weights given a detection each: row k of `seen` is about track `of[k]`, whose state then is row k of the bank."""
    place, noise = as_seen(sensors, sectors, bank, weight, seen, np.arange(len(seen)))
    log_density = log_densities(bank, place, noise)[1]
    special = np.flatnonzero(seen.kind != Kind.POSITION)
    if len(special):
        place, noise = place.copy(), noise.copy()
    near = special[seen.kind[special] == Kind.PRESENCE]
    if len(near):
        whole = collapsed(bank[..., near], weight[:, near])
        place[:, near], noise[:, near] = within_reach(whole, place[:, near], noise[:, near])
    rays = special[seen.kind[special] == Kind.BEARING]
    if len(rays):
        noise[:, rays] = widened_along(noise[:, rays], RANGE_UNKNOWN)
    later = updated(bank, place, noise)
    if len(near):
        # Still within reach of the same sensor: that says where it is, little of its pace, and nothing of its course. All that
        # is said while it passes is one measurement.
        again = near[ours.seen_by[of[near]] == seen.sensor[near]]
        later[np.ix_(MOTION, np.arange(MODELS), again)] = bank[np.ix_(MOTION, np.arange(MODELS), again)]
        since_s = seconds(seen.observed_ns[again] - ours.seen_ns[of[again]])
        passing_s = 2 * largest_sigma(packed(seen.covariance[again])) / PASSING_MPS
        log_density[:, again] *= np.clip(since_s / passing_s, 0.0, 1.0)
    return heading(later, reweighted(weight, log_density)[0], seen)


def heading(bank: Array, weight: Array, seen: Detections) -> tuple[Array, Array]:
    """Bank and weights given also what the detections say of velocity: all of it, or only which way."""
    rows = np.flatnonzero(seen.velocity_sigma_mps > 0)
    if not len(rows):
        return bank, weight
    bank, weight = bank.copy(), weight.copy()
    known = np.isfinite(seen.velocity_sigma_mps[rows])
    bank[..., rows[known]], weight[:, rows[known]] = _at_velocity(
        bank[..., rows[known]],
        weight[:, rows[known]],
        seen.velocity[rows[known]].T,
        seen.velocity_sigma_mps[rows[known]] ** 2,
    )
    bank[..., rows[~known]] = _that_way(bank[..., rows[~known]], seen.velocity[rows[~known]].T)
    return bank, weight


def _at_velocity(bank: Array, weight: Array, velocity: Array, variance: Array) -> tuple[Array, Array]:
    """Given velocities (2, n) with `variance` (n,) along each axis."""
    inverted, determinant = inverse(bank[[11, 12, 13]] + np.array([1.0, 0.0, 1.0])[:, None, None] * variance)
    density = -0.5 * (distance2(velocity[:, None] - bank[2:4], inverted) + np.log(determinant))
    ones, zeros = np.ones_like(variance), np.zeros_like(variance)
    bank = updated_along(bank, np.stack([ones, zeros]), velocity[0], variance)
    bank = updated_along(bank, np.stack([zeros, ones]), velocity[1], variance)
    return bank, reweighted(weight, density)[0]


def _that_way(bank: Array, way: Array) -> Array:
    """Given that the velocity has a positive part along unit vectors (2, n)."""
    pace = way[0] * bank[2] + way[1] * bank[3]
    spread = way[0] ** 2 * bank[11] + 2 * way[0] * way[1] * bank[12] + way[1] ** 2 * bank[13]
    seen, noise = cut_off(pace, np.sqrt(spread), np.zeros_like(pace), np.full_like(pace, np.inf))
    # A model that has it going the other way altogether is told that it stands, as vaguely as it knows its pace.
    lost = np.isnan(seen)
    return updated_along(bank, way, np.where(lost, 0.0, seen), np.where(lost, spread, noise))
