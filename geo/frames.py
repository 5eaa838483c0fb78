"""Sectors and their planes: the only place where latitude and longitude become metres and back.

The border is cut into sectors at most a given span across. Each has a conformal plane of its own: transverse Mercator
on the WGS84 ellipsoid about the sector's centre, scale 1 there, so that at 50 km from it lengths are right to 3 parts
in 100,000. Every function serves one row or n rows; `sector` says in whose plane each row's position is.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer

from model.tracks import COLUMN, FULL, ROW, Tracks

Array = NDArray[np.float64]
Rows = NDArray[np.int16]
T = TypeVar("T")
NOWHERE = -1
APART_M = 1e8  # planes are laid out this far from each other where one tree is to hold the places of all
EARTH_M_PER_DEGREE = 111_195.0  # mean sphere; good enough to choose a sector by


@dataclass(frozen=True)
class Sectors:
    """k sectors. A point belongs to the nearest centre, unless it is farther than `reach_m` from all."""

    lat: tuple[float, ...]
    lon: tuple[float, ...]
    reach_m: float

    def __len__(self) -> int:
        return len(self.lat)


def sectors_along(lat: Array, lon: Array, span_m: float = 100_000.0, margin_m: float = 50_000.0) -> Sectors:
    """Sectors that cover all given points, each at most `span_m` across in its longer direction.

    The points' bounding box is cut along its longer side, so that a border's sectors lie in a row.
    """
    lon = _unbroken(lon)
    low, high = np.array([lat.min(), lon.min()]), np.array([lat.max(), lon.max()])
    stretch = np.array([1.0, np.cos(np.radians((low[0] + high[0]) / 2))]) * EARTH_M_PER_DEGREE
    along = int(np.argmax((high - low) * stretch))
    coordinate = (lat, lon)[along]
    count = max(1, int(np.ceil((high - low)[along] * stretch[along] / span_m)))
    edges = np.linspace(low[along], high[along], count + 1)
    centres = []
    for first, last in itertools.pairwise(edges):
        within = (coordinate >= first) & (coordinate <= last)
        other = (lon, lat)[along]
        across = other[within] if within.any() else other
        middle, beside = (first + last) / 2, (across.min() + across.max()) / 2
        centres.append((middle, beside) if along == 0 else (beside, middle))
    reach = max(span_m, float(((high - low) * stretch).min())) / 2 + margin_m
    return Sectors(
        tuple(float(c[0]) for c in centres),
        tuple(float(c[1]) - (360 if c[1] >= 180 else 0) for c in centres),
        reach,
    )


def _unbroken(lon: Array) -> Array:
    """Longitudes without a step where a site lies across the antimeridian: its widest gap lies opposite."""
    around = np.sort(lon)
    gaps = np.diff(around, append=around[0] + 360)
    widest = int(gaps.argmax())
    return lon if widest == len(around) - 1 else np.where(lon <= around[widest], lon + 360, lon)


def sector_of(sectors: Sectors, lat: Array, lon: Array) -> Rows:
    """(n,) the sector that each point belongs to; -1 for points outside the site, or that are no place."""
    best = np.full(np.shape(lat), np.inf)
    chosen = np.full(np.shape(lat), NOWHERE, np.int16)
    for number, (centre_lat, centre_lon) in enumerate(zip(sectors.lat, sectors.lon, strict=True)):
        north = (lat - centre_lat) * EARTH_M_PER_DEGREE
        east = ((lon - centre_lon + 180) % 360 - 180) * EARTH_M_PER_DEGREE * np.cos(np.radians(centre_lat))
        distance = np.hypot(north, east)
        nearer = (distance < best) & (distance <= sectors.reach_m)
        chosen[nearer], best[nearer] = number, distance[nearer]
    return chosen


def plane_from_wgs84(sectors: Sectors, sector: Rows, lat: Array, lon: Array) -> Array:
    """(n, 2) m east and north in each row's plane; NaN where the sector is -1."""
    x, y = _by_sector(sector, lambda k, rows: _plane(sectors, k).transform(lon[rows], lat[rows]))
    return np.stack([x, y], axis=-1)


def wgs84_from_plane(sectors: Sectors, sector: Rows, position: Array) -> tuple[Array, Array]:
    """(n,) latitudes and (n,) longitudes in degrees of positions (n, 2) m."""
    x, y = position[:, 0], position[:, 1]
    lon, lat = _by_sector(sector, lambda k, rows: _plane(sectors, k).transform(x[rows], y[rows], direction="INVERSE"))
    return lat, lon


def plane_from_plane(sectors: Sectors, source: Rows, target: Rows, position: Array) -> Array:
    """(n, 2) m: the same places in other sectors' planes."""
    moved = position.copy()
    differs = source != target
    if differs.any():
        lat, lon = wgs84_from_plane(sectors, source[differs], position[differs])
        moved[differs] = plane_from_wgs84(sectors, target[differs], lat, lon)
    return moved


def turn_between(sectors: Sectors, source: Rows, target: Rows, position: Array) -> Array:
    """(n, 2, 2) how small steps at `position` in the source plane look in the target plane."""
    step_m = 1.0
    here = plane_from_plane(sectors, source, target, position)
    east = plane_from_plane(sectors, source, target, position + np.array([step_m, 0.0]))
    north = plane_from_plane(sectors, source, target, position + np.array([0.0, step_m]))
    return np.stack([(east - here) / step_m, (north - here) / step_m], axis=-1)


def convergence(sectors: Sectors, sector: Rows, position: Array) -> Array:
    """(n,) radians from true north to the plane's north, clockwise positive."""
    lat, lon = wgs84_from_plane(sectors, sector, position)
    north = plane_from_wgs84(sectors, sector, lat + 1e-5, lon) - position
    return -np.arctan2(north[:, 0], north[:, 1])


def nearest_sector(sectors: Sectors, lat: Array, lon: Array) -> Rows:
    """(n,) the sector whose centre is nearest, however far away."""
    return sector_of(Sectors(sectors.lat, sectors.lon, np.inf), lat, lon)


def geocentric_from_plane(sectors: Sectors, sector: Rows, position: Array) -> Array:
    """(n, 3) m earth-centred: distances between places of different sectors."""
    return geocentric_from_wgs84(*wgs84_from_plane(sectors, sector, position))


def geocentric_from_wgs84(lat: Array, lon: Array) -> Array:
    """(n, 3) m earth-centred. Straight distances between places near each other are those on the ground: over 10 km to 1 mm."""
    x, y, z = _geocentric().transform(lon, lat, np.zeros(len(lat)))
    return np.stack([x, y, z], axis=-1)


def near_each_other(
    sectors: Sectors, sector: Rows, position: Array, other_sector: Rows, other: Array
) -> tuple[Array, Array]:
    """Both sets of places as points whose straight distances are those on the ground: as they are where all share one plane."""
    if len(sector) and (sector == sector[0]).all() and (other_sector == sector[0]).all():
        return position, other
    return geocentric_from_plane(sectors, sector, position), geocentric_from_plane(sectors, other_sector, other)


def moved_to_sector(sectors: Sectors, tracks: Tracks, sector: Rows) -> Tracks:
    """The tracks, handed over: those of another sector with their states in the new plane."""
    rows = np.flatnonzero(tracks.sector != sector)
    if not len(rows):
        return tracks
    moving, target = tracks.take(rows), sector[rows]
    turn = turn_between(sectors, moving.sector, target, moving.mean[:, :2])
    both = np.zeros((len(rows), 4, 4))
    both[:, :2, :2] = both[:, 2:, 2:] = turn
    mean = np.einsum("nij,nj->ni", both, moving.mean)
    mean[:, :2] = plane_from_plane(sectors, moving.sector, target, moving.mean[:, :2])
    # Near the track the planes differ by a turn and a shift, so each model's estimate keeps its place beside the whole one.
    bank = moving.bank.copy()
    off = np.einsum("nij,njm->nim", both, moving.bank[:, :4] - moving.mean[:, :, None])
    bank[:, :4] = mean[:, :, None] + off
    spread = moving.bank[:, FULL].transpose(0, 3, 1, 2)
    spread = both[:, None] @ spread @ both[:, None].swapaxes(2, 3)
    bank[:, 4:] = spread[:, :, ROW, COLUMN].transpose(0, 2, 1)
    return tracks.put(
        rows,
        moving.but(sector=target, mean=mean, covariance=both @ moving.covariance @ both.swapaxes(1, 2), bank=bank),
    )


def _by_sector(sector: Rows, transform: Callable[[int, NDArray[np.int64]], tuple[Array, Array]]) -> tuple[Array, Array]:
    """A transform of each sector's rows by its own plane, put together again."""
    if len(sector) and sector[0] != NOWHERE and (sector == sector[0]).all():
        return transform(int(sector[0]), np.arange(len(sector)))
    out = np.full(len(sector), np.nan), np.full(len(sector), np.nan)
    for k in np.unique(sector[sector != NOWHERE]).tolist():
        rows = np.flatnonzero(sector == k)
        for column, values in zip(out, transform(k, rows), strict=True):
            column[rows] = values
    return out


def _plane(sectors: Sectors, k: int) -> Transformer:
    return _transformer(sectors.lat[k], sectors.lon[k])


@cache
def _transformer(lat: float, lon: float) -> Transformer:
    plane = f"+proj=tmerc +lat_0={lat!r} +lon_0={lon!r} +k=1 +x_0=0 +y_0=0 +ellps=WGS84 +units=m +no_defs"
    return Transformer.from_crs("EPSG:4326", plane, always_xy=True)


@cache
def _geocentric() -> Transformer:
    return Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)
