"""Placing: from what a source said in its own terms to a position on the ground, with its covariance.

All rows of all sensors at once; each way of saying where has one function, which works in the plane of the sensor's
sector. A row whose place cannot be had is dropped with its reason.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geo.frames import (
    NOWHERE,
    Sectors,
    convergence,
    plane_from_plane,
    plane_from_wgs84,
    sector_of,
    turn_between,
    wgs84_from_plane,
)
from geo.zones import Zones, distance_m
from model.detections import Detections, Kind
from model.rejections import Reason, Rejection, summed
from sensors.cameras import ground_from_pixel
from sensors.catalogue import Catalogue
from sensors.readings import Place, Readings

Array = NDArray[np.float64]
ELSEWHERE_M = 1e7  # in no sector's plane
FASTEST_MPS = 1000.0  # what claims to be faster says nothing of its speed
SPEED_SIGMA_MPS, SPEED_SHARE = 0.5, 0.1  # of a stated speed: a floor, and a share of it
REACH = 5.0  # a stated position farther from the sensor than this many times its range is somebody's mistake
FAR = 1.5  # what a sensor says of places beyond its range by this factor is no measurement
DETAIL = {
    Reason.BEYOND_HORIZON: "The place lies above the horizon or beyond the sensor's range; check its pose and range_m.",
    Reason.OUT_OF_REACH: "The place is many times range_m away from the sensor: are lat and lon exchanged, or the wrong unit's?",
    Reason.OUTSIDE_SITE: "The place lies outside every sector of this site.",
    Reason.PRIVACY_ZONE: "Inside a privacy zone: dropped before anything is kept.",
    Reason.OUT_OF_RANGE: "The covariance is not positive.",
}


@dataclass(frozen=True)
class Placed:
    """Places of n readings in the planes of their sensors' sectors; NaN where there is none."""

    kind: Kind | NDArray[np.int64]
    position: Array  # (n, 2) m
    covariance: Array  # (n, 2, 2) m²


def place(
    catalogue: Catalogue, sectors: Sectors, zones: Zones, readings: Readings
) -> tuple[Detections, tuple[Rejection, ...]]:
    """Detections in the sector planes, in the order of the readings, and a rejection for each that was dropped."""
    n = len(readings)
    if not n:
        return Detections.none(), ()
    kind, position, covariance = np.zeros(n, np.int8), np.full((n, 2), np.nan), np.full((n, 2, 2), np.nan)
    for said, placed_by in WAYS.items():
        rows = np.flatnonzero(readings.place == said)
        if len(rows):
            placed = placed_by(catalogue, sectors, readings.take(rows))
            kind[rows], position[rows], covariance[rows] = placed.kind, placed.position, placed.covariance
    why = np.full(n, "", object)
    _because(why, ~np.isfinite(position).all(axis=1), Reason.BEYOND_HORIZON)
    _because(why, _out_of_reach(catalogue, readings, position, covariance), Reason.OUT_OF_REACH)
    sector, position, covariance = _resectored(sectors, catalogue.columns.sector[readings.sensor], position, covariance)
    _because(why, sector == NOWHERE, Reason.OUTSIDE_SITE)
    velocity, velocity_sigma = _moving(sectors, readings, sector, position)
    determinant = covariance[:, 0, 0] * covariance[:, 1, 1] - covariance[:, 0, 1] * covariance[:, 1, 0]
    _because(why, ~((determinant > 0) & (covariance[:, 0, 0] > 0)), Reason.OUT_OF_RANGE)
    _because(why, _private(zones, sector, position), Reason.PRIVACY_ZONE)
    detections = Detections(
        observed_ns=readings.observed_ns,
        received_ns=readings.received_ns,
        sensor=readings.sensor,
        kind=kind,
        sector=sector,
        position=position,
        covariance=covariance,
        velocity=velocity,
        velocity_sigma_mps=velocity_sigma,
        class_likelihood=readings.class_likelihood,
        confidence=readings.confidence,
        source=readings.source,
        plate=readings.plate,
        plates=readings.plates,
        plate_share=readings.plate_share,
    )
    dropped = np.flatnonzero(why != "")
    rejections = summed(
        Rejection(
            int(readings.received_ns[i]),
            catalogue.sensors[readings.sensor[i]].feed,
            why[i],
            DETAIL[why[i]],
            catalogue.sensors[readings.sensor[i]].id,
        )
        for i in dropped
    )
    return (detections.take(why == "") if len(dropped) else detections), rejections


def _own(catalogue: Catalogue, _: Sectors, readings: Readings) -> Placed:
    """Somewhere within reach, a disc of radius r: a variance of r²/4 along each axis. Or on a line l: l²/12 along it."""
    columns, row = catalogue.columns, readings.sensor
    line = columns.line_m[row]
    lies = (line != 0).any(axis=1)
    variance = columns.accuracy_m[row] ** 2 + np.where(lies, 0.0, columns.range_m[row] ** 2 / 4)
    return Placed(
        np.where(lies, Kind.CROSSING, Kind.PRESENCE),
        columns.position[row] + line / 2,
        variance[:, None, None] * np.eye(2) + _outer(line) / 12,
    )


def _out_of_reach(catalogue: Catalogue, readings: Readings, position: Array, covariance: Array) -> NDArray[np.bool_]:
    """(n,) which stated positions, in the planes of their sensors' sectors, are many times the sensor's range away from it."""
    row = readings.sensor
    stated = (readings.place == Place.WGS84) & (position[:, 0] != ELSEWHERE_M)
    sigma_m = np.sqrt(np.maximum(covariance[:, 0, 0], covariance[:, 1, 1]))
    away = position - catalogue.columns.position[row]
    return np.asarray(
        stated & (np.hypot(away[:, 0], away[:, 1]) > REACH * catalogue.columns.range_m[row] + 3 * sigma_m)
    )


def _moving(sectors: Sectors, readings: Readings, sector: NDArray[np.int16], position: Array) -> tuple[Array, Array]:
    """Velocities (n, 2) and their standard deviations (n,) as in Detections, from courses and speeds."""
    velocity, sigma = np.zeros((len(sector), 2)), np.zeros(len(sector))
    course, speed = readings.motion.T
    rows = np.flatnonzero(np.isfinite(course) & (sector != NOWHERE) & np.isfinite(position).all(axis=1))
    if not len(rows):
        return velocity, sigma
    heading = np.radians(course[rows]) - convergence(sectors, sector[rows], position[rows])
    known = np.isfinite(speed[rows]) & (speed[rows] >= 0) & (speed[rows] < FASTEST_MPS)
    pace = np.where(known, speed[rows], 1.0)
    velocity[rows] = pace[:, None] * np.stack([np.sin(heading), np.cos(heading)], axis=1)
    sigma[rows] = np.where(known, SPEED_SIGMA_MPS + SPEED_SHARE * pace, np.inf)
    return velocity, sigma


def _wgs84(catalogue: Catalogue, sectors: Sectors, readings: Readings) -> Placed:
    row = readings.sensor
    sector = catalogue.columns.sector[row]
    far = sector_of(sectors, readings.where[:, 0], readings.where[:, 1]) == NOWHERE
    # What lies outside the site is left where no sector will claim it.
    position = plane_from_wgs84(sectors, sector, readings.where[:, 0], readings.where[:, 1])
    position[far | ~np.isfinite(position).all(axis=1)] = ELSEWHERE_M
    stated = np.isfinite(readings.spread[:, 0])
    own = catalogue.columns.accuracy_m[row] ** 2
    east2 = np.where(stated, readings.spread[:, 0], own)
    cross = np.where(stated, readings.spread[:, 1], 0.0)
    north2 = np.where(stated, readings.spread[:, 2], own)
    true = np.stack([np.stack([east2, cross], axis=1), np.stack([cross, north2], axis=1)], axis=1)
    return Placed(
        Kind.POSITION, position, _turned(true, convergence(sectors, sector, _sensor_position(catalogue, row)))
    )


def _ranged(catalogue: Catalogue, sectors: Sectors, readings: Readings) -> Placed:
    """Polar to Cartesian by the standard linearisation (Bar-Shalom, Li & Kirubarajan 2001, eq. 10.4.3-3).

    The bias that unbiased conversion removes (Lerro & Bar-Shalom 1993) matters where range × σ_bearing² is not far
    below σ_range; at the ranges and bearing errors of ground radars it is centimetres.
    """
    row = readings.sensor
    far = readings.where[:, 1] > FAR * catalogue.columns.range_m[row]
    return _polar(
        catalogue,
        sectors,
        row,
        readings.where[:, 0],
        np.where(far, np.nan, readings.where[:, 1]),
        np.where(np.isfinite(readings.spread[:, 1]), readings.spread[:, 1], catalogue.columns.accuracy_m[row]),
        readings.spread[:, 0],
        Kind.POSITION,
    )


def _borne(catalogue: Catalogue, sectors: Sectors, readings: Readings) -> Placed:
    """Anywhere along the ray within range: the middle, with the standard deviation of a uniform, range/√12."""
    reach = catalogue.columns.range_m[readings.sensor]
    return _polar(
        catalogue,
        sectors,
        readings.sensor,
        readings.where[:, 0],
        reach / 2,
        reach / np.sqrt(12),
        readings.spread[:, 0],
        Kind.BEARING,
    )


def _polar(
    catalogue: Catalogue,
    sectors: Sectors,
    row: NDArray[np.int32],
    bearing_deg: Array,
    range_m: Array,
    range_sigma_m: Array,
    bearing_sigma_deg: Array,
    kind: Kind,
) -> Placed:
    foot = _sensor_position(catalogue, row)
    bearing = np.radians(bearing_deg) - convergence(sectors, catalogue.columns.sector[row], foot)
    across_m = range_m * np.radians(np.where(np.isfinite(bearing_sigma_deg), bearing_sigma_deg, 1.0))
    along = np.stack([np.sin(bearing), np.cos(bearing)], axis=1)
    aside = np.stack([along[:, 1], -along[:, 0]], axis=1)
    covariance = _outer(along * range_sigma_m[:, None]) + _outer(aside * np.maximum(across_m, 0.1)[:, None])
    return Placed(kind, foot + along * range_m[:, None], covariance)


def _pixel(catalogue: Catalogue, sectors: Sectors, readings: Readings) -> Placed:
    """Through the registered pose and lens; a camera without a pose says no more than that something is in reach."""
    row = readings.sensor
    posed = np.isfinite(catalogue.cameras.height_m[row])
    ground, spread = ground_from_pixel(catalogue.cameras, row, readings.where)
    ground[np.hypot(ground[:, 0], ground[:, 1]) > FAR * catalogue.columns.range_m[row]] = np.nan
    foot = _sensor_position(catalogue, row)
    turn = convergence(sectors, catalogue.columns.sector[row], foot)
    position = foot + np.einsum("nij,nj->ni", _rotation(turn), ground)
    vague = _own(catalogue, sectors, readings)
    return Placed(
        Kind.POSITION,
        np.where(posed[:, None], position, vague.position),
        np.where(posed[:, None, None], _turned(spread, turn), vague.covariance),
    )


WAYS: dict[Place, Callable[[Catalogue, Sectors, Readings], Placed]] = {
    Place.OWN: _own,
    Place.WGS84: _wgs84,
    Place.RANGE: _ranged,
    Place.BEARING: _borne,
    Place.PIXEL: _pixel,
}


def _resectored(
    sectors: Sectors, sector: NDArray[np.int16], position: Array, covariance: Array
) -> tuple[NDArray[np.int16], Array, Array]:
    """Each place in the plane of the sector it lies in, which may be another than its sensor's."""
    good: NDArray[np.bool_] = np.asarray(np.isfinite(position).all(axis=1))
    reach_m = 0.3 * sectors.reach_m
    if len(sectors) == 1 and (np.abs(position[good]) < reach_m).all():
        return sector, position, covariance
    lat, lon = wgs84_from_plane(sectors, sector, np.where(good[:, None], position, 0.0))
    own = sector_of(sectors, lat, lon)
    moves = good & (own != sector) & (own != NOWHERE)
    out_position, out_covariance = position.copy(), covariance.copy()
    if moves.any():
        source, target = sector[moves], own[moves]
        turn = turn_between(sectors, source, target, position[moves])
        out_position[moves] = plane_from_plane(sectors, source, target, position[moves])
        out_covariance[moves] = turn @ covariance[moves] @ turn.swapaxes(1, 2)
    return np.where(good, own, sector).astype(np.int16), out_position, out_covariance


def _private(zones: Zones, sector: NDArray[np.int16], position: Array) -> NDArray[np.bool_]:
    private = np.zeros(len(sector), np.bool_)
    for zone in np.flatnonzero(zones.privacy).tolist():
        private |= distance_m(zones, zone, sector, position, far_m=1.0) <= 0
    return private


def _because(why: NDArray[np.object_], where: NDArray[np.bool_], reason: Reason) -> None:
    """The first reason found stands."""
    why[where & (why == "")] = reason


def _sensor_position(catalogue: Catalogue, row: NDArray[np.int32]) -> Array:
    return catalogue.columns.position[row]


def _rotation(convergence_rad: Array) -> Array:
    """(n, 2, 2) the plane's east and north from true ones."""
    cos, sin = np.cos(convergence_rad), np.sin(convergence_rad)
    return np.stack([np.stack([cos, -sin], axis=1), np.stack([sin, cos], axis=1)], axis=1)


def _turned(covariance: Array, convergence_rad: Array) -> Array:
    turn = _rotation(convergence_rad)
    return np.asarray(turn @ covariance @ turn.swapaxes(1, 2))


def _outer(v: Array) -> Array:
    return np.asarray(v[:, :, None] * v[:, None, :])
