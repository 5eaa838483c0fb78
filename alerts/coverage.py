"""Which spots of a place each sensor has in view, worked out once from registrations."""

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import KDTree

from alerts.rules import Cover
from geo.frames import Sectors, near_each_other, plane_from_plane
from geo.views import depth_in_view_m
from geo.zones import Lines, Zones
from model.world import SensorColumns

SPOTS = 400  # a place is taken as about so many spots, evenly spread


def cover_of_zone(sectors: Sectors, zones: Zones, zone: int, sensors: SensorColumns, rows: tuple[int, ...]) -> Cover:
    """How the sensors in `rows` of the catalogue cover a zone."""
    sector = max(range(len(zones.planes)), key=lambda k: float(shapely.area(zones.planes[k][zone])))
    area = zones.planes[sector][zone]
    west, south, east, north = area.bounds
    step = max(np.sqrt(float(shapely.area(area)) / SPOTS), 1e-3)
    x, y = np.meshgrid(np.arange(west + step / 2, east, step), np.arange(south + step / 2, north, step))
    spots = np.column_stack([x.ravel(), y.ravel()])
    return _cover(sectors, sector, spots[shapely.intersects(area, shapely.points(spots))], sensors, rows)


def cover_of_line(sectors: Sectors, lines: Lines, line: int, sensors: SensorColumns, rows: tuple[int, ...]) -> Cover:
    """How they cover a line, in the sector that holds most of it."""
    lengths = [float(np.hypot(*(edges.end - edges.start)[edges.line == line].T).sum()) for edges in lines.planes]
    sector = int(np.argmax(lengths))
    edges = lines.planes[sector]
    ours = edges.line == line
    path = shapely.multilinestrings(
        [shapely.linestrings([a, b]) for a, b in zip(edges.start[ours], edges.end[ours], strict=True)]
    )
    along = (np.arange(SPOTS) + 0.5) / SPOTS * lengths[sector]
    ends = np.cumsum(np.hypot(*(edges.end - edges.start)[ours].T))
    edge = np.searchsorted(ends, along)
    first = shapely.get_parts(path)[edge]
    spots = shapely.get_coordinates(shapely.line_interpolate_point(first, along - np.r_[0.0, ends][edge]))
    return _cover(sectors, sector, spots, sensors, rows)


def _cover(
    sectors: Sectors, sector: int, spots: NDArray[np.float64], sensors: SensorColumns, rows: tuple[int, ...]
) -> Cover:
    chosen = np.array(rows, np.int64)
    looking = sensors.take(chosen)
    there = np.full(len(spots), sector, np.int16)
    at_sensor, at_spot = near_each_other(sectors, looking.sector, looking.position, there, spots)
    near: list[list[int]] = []
    if len(chosen) and len(spots):
        near = list(KDTree(at_spot).query_ball_point(at_sensor, looking.range_m))
    sensor = np.array([row for row, found in enumerate(near) for _ in found], np.int64)
    spot = np.array([s for found in near for s in found], np.int64)
    one = looking.take(sensor)
    place = plane_from_plane(sectors, there[spot], one.sector, spots[spot])
    seen = depth_in_view_m(one, place - one.position) >= 0
    return Cover(len(np.unique(spot[seen])), spot[seen], chosen[sensor[seen]], sector, spots)
