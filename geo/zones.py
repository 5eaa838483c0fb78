"""Zones and lines drawn on the map, in every sector's plane: who is inside, how far from the edge, which way across.

All predicates are shapely's, vectorised. Geometries come in WGS84 and are laid into a plane with points added along
long edges, so that an edge straight on the map stays where it was drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from geo.frames import Rows, Sectors, plane_from_wgs84
from model.columns import Columns, column

Array = NDArray[np.float64]
Index = NDArray[np.int64]
DENSE_DEG = 0.01  # about 1 km between the points of an edge: its sagitta is then centimetres


@dataclass(frozen=True)
class Zones:
    """z areas. `planes[k][i]` is zone i in the plane of sector k; empty where it lies out of reach."""

    ids: tuple[str, ...]
    names: tuple[str, ...]
    privacy: NDArray[np.bool_]  # (z,)
    area_m2: Array  # (z,)
    planes: tuple[NDArray[np.object_], ...]
    trees: tuple[shapely.STRtree, ...]


@dataclass(frozen=True)
class Lines:
    """l lines, each with a side that is ours."""

    ids: tuple[str, ...]
    names: tuple[str, ...]
    home: NDArray[np.int8]  # (l,) +1: ours is on the left as drawn, -1: on the right
    error_m: Array  # (l,) stated error of the line
    planes: tuple["Edges", ...]


@dataclass(frozen=True)
class Edges:
    """The straight edges of all lines in one sector's plane, in order along each line."""

    line: Index  # (e,)
    start: Array  # (e, 2) m
    end: Array  # (e, 2) m
    tree: shapely.STRtree


@dataclass(frozen=True, eq=False)
class Crossings(Columns):
    """Proper crossings of lines by segments."""

    segment: NDArray[np.int64] = column(np.int64)  # (n,) which of the segments asked about
    line: NDArray[np.int64] = column(np.int64)  # (n,)
    direction: NDArray[np.int64] = column(np.int64)  # (n,) +1 inbound, to the home side; -1 outbound
    fraction: NDArray[np.float64] = column(np.float64)  # (n,) where on the segment, 0 its start, 1 its end
    point: NDArray[np.float64] = column(np.float64, 2)  # (n, 2) m


def zones_of(
    sectors: Sectors,
    ids: Sequence[str],
    names: Sequence[str],
    privacy: Sequence[bool],
    areas: Sequence[shapely.Geometry],
) -> Zones:
    """Zones from WGS84 polygons (x = longitude, y = latitude, degrees)."""
    planes = tuple(_in_plane(sectors, k, areas) for k in range(len(sectors)))
    area = np.max([shapely.area(p) for p in planes], axis=0) if len(ids) else np.zeros(0)
    return Zones(
        tuple(ids), tuple(names), np.array(privacy, np.bool_), area, planes, tuple(shapely.STRtree(p) for p in planes)
    )


def lines_of(
    sectors: Sectors,
    ids: Sequence[str],
    names: Sequence[str],
    home: Sequence[int],
    error_m: Sequence[float],
    lines: Sequence[shapely.Geometry],
) -> Lines:
    """Lines from WGS84 line strings; `home` is +1 where ours is the left side as drawn."""
    planes = tuple(_edges(_in_plane(sectors, k, lines)) for k in range(len(sectors)))
    return Lines(tuple(ids), tuple(names), np.array(home, np.int8), np.array(error_m, np.float64), planes)


def inside(zones: Zones, sector: Rows, position: Array) -> tuple[Index, Index]:
    """(point, zone) of every point in a zone, its boundary included; ordered by point, then zone."""
    points, found = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for k in np.unique(sector[sector >= 0]).tolist():
        rows = np.flatnonzero(sector == k)
        point, zone = zones.trees[k].query(shapely.points(position[rows]), predicate="intersects")
        points.append(rows[point])
        found.append(zone)
    point, zone = np.concatenate(points), np.concatenate(found)
    order = np.lexsort((zone, point))
    return point[order], zone[order]


def distance_m(zones: Zones, zone: int, sector: Rows, position: Array, far_m: float = 1000.0) -> Array:
    """(n,) signed distance to one zone's boundary: negative inside. Points farther than `far_m` get that at least."""
    out = np.full(len(position), far_m)
    for k in np.unique(sector[sector >= 0]).tolist():
        area = zones.planes[k][zone]
        if area.is_empty:
            continue
        west, south, east, north = area.bounds
        x, y = position[:, 0], position[:, 1]
        near = (sector == k) & (x > west - far_m) & (x < east + far_m) & (y > south - far_m) & (y < north + far_m)
        points = shapely.points(position[near])
        away = shapely.distance(area.boundary, points)
        out[near] = np.where(shapely.intersects(area, points), -away, away)
    return out


def offset_m(lines: Lines, line: int, sector: Rows, position: Array) -> Array:
    """(n,) signed distance to one line, positive on the home side; NaN where the sector does not hold it.

    The side is that of the nearest edge; where two edges meet in the nearest point, of the one to which the point
    stands more squarely, which is right on both sides of a bend.
    """
    out = np.full(len(position), np.nan)
    for k in np.unique(sector[sector >= 0]).tolist():
        rows = np.flatnonzero(sector == k)
        edges = lines.planes[k]
        ours = edges.line == line
        if ours.any():
            out[rows] = lines.home[line] * _left_of(edges.start[ours], edges.end[ours], position[rows])
    return out


def crossings(lines: Lines, sector: Rows, start: Array, end: Array) -> Crossings:
    """Where segments from `start` to `end` (n, 2) m cross lines, ordered by segment, line and place on the segment.

    A segment through a vertex crosses once, and the parts of a cut segment cross as often as the whole. A point exactly
    on an edge counts as on its left.
    """
    parts = [
        _crossings(lines, k, np.flatnonzero(sector == k), start, end) for k in np.unique(sector[sector >= 0]).tolist()
    ]
    found = Crossings.joined(parts)
    return found.take(np.lexsort((found.fraction, found.line, found.segment)))


def _crossings(lines: Lines, k: int, rows: Index, start: Array, end: Array) -> Crossings:
    edges = lines.planes[k]
    if not len(edges.line):
        return Crossings.none()
    segments = shapely.linestrings(np.stack([start[rows], end[rows]], axis=1))
    segment, edge = edges.tree.query(segments, predicate="intersects")
    p, q = start[rows][segment], end[rows][segment]
    a, b = edges.start[edge], edges.end[edge]
    from_side, to_side = _cross(b - a, p - a), _cross(b - a, q - a)
    # The edge is crossed when the ends lie on different sides (zero counts as left), and the segment's own line
    # passes between a (included) and b (excluded), so that a shared vertex belongs to one edge.
    sides = (from_side >= 0) != (to_side >= 0)
    along_a, along_b = _cross(q - p, a - p), _cross(q - p, b - p)
    between = (along_a >= 0) != (along_b >= 0)
    crossed = sides & between
    segment, edge = segment[crossed], edge[crossed]
    fraction = from_side[crossed] / (from_side[crossed] - to_side[crossed])
    to_left = np.where(to_side[crossed] >= 0, 1, -1)
    line = edges.line[edge]
    return Crossings(
        segment=rows[segment],
        line=line,
        direction=to_left * lines.home[line].astype(np.int64),
        fraction=fraction,
        point=p[crossed] + fraction[:, None] * (q - p)[crossed],
    )


def _left_of(start: Array, end: Array, position: Array) -> Array:
    """(n,) distance to the nearest of the edges, positive to its left."""
    lines = _segments(start, end)
    tree, points = shapely.STRtree(lines), shapely.points(position)
    (point, _), least = tree.query_nearest(points, all_matches=False, return_distance=True)
    # Both edges of a vertex are as near as each other but for rounding.
    point, edge = tree.query(points, predicate="dwithin", distance=least[np.argsort(point)] * (1 + 1e-12) + 1e-6)
    away = shapely.distance(shapely.points(position[point]), lines[edge])
    direction = end[edge] - start[edge]
    side: Array = _cross(direction, position[point] - start[edge]) / np.hypot(direction[:, 0], direction[:, 1])
    order = np.lexsort((edge, -np.abs(side), point))
    ranked = point[order]
    first = order[np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])] if len(order) else order
    out = np.empty(len(position))
    out[point[first]] = np.where(side[first] >= 0, away[first], -away[first])
    return out


def _segments(start: Array, end: Array) -> NDArray[np.object_]:
    """(n,) straight lines between points (n, 2)."""
    return np.asarray(shapely.linestrings(np.stack([start, end], axis=1)), np.object_)


def _cross(u: Array, v: Array) -> Array:
    return np.asarray(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0])


def _in_plane(sectors: Sectors, k: int, shapes: Sequence[shapely.Geometry]) -> NDArray[np.object_]:
    """Geometries in one sector's plane; an empty one for what lies wholly out of its reach."""
    out = np.empty(len(shapes), np.object_)
    reach_deg = 2 * sectors.reach_m / 111_195.0
    stretch = 1 / max(np.cos(np.radians(sectors.lat[k])), 0.1)
    window: shapely.Geometry = shapely.box(
        sectors.lon[k] - reach_deg * stretch,
        sectors.lat[k] - reach_deg,
        sectors.lon[k] + reach_deg * stretch,
        sectors.lat[k] + reach_deg,
    )
    west, _, east, _ = shapely.bounds(window)
    over = np.array([360.0 * (int(west < -180) - int(east > 180)), 0.0])
    if over.any():  # the other side of the antimeridian
        window = shapely.union(window, shapely.transform(window, lambda lonlat: lonlat + over))
    for i, shape in enumerate(shapes):
        near = shape if shapely.contains(window, shape) else shapely.intersection(shape, window)
        dense = shapely.segmentize(near, DENSE_DEG)
        out[i] = shapely.transform(
            dense,
            lambda lonlat: plane_from_wgs84(sectors, np.full(len(lonlat), k, np.int16), lonlat[:, 1], lonlat[:, 0]),
        )
    return out


def _edges(shapes: NDArray[np.object_]) -> Edges:
    starts, ends, line = [np.zeros((0, 2))], [np.zeros((0, 2))], [np.zeros(0, np.int64)]
    for number, shape in enumerate(shapes):
        for part in shapely.get_parts(shape) if not shape.is_empty else ():
            points = shapely.get_coordinates(part)
            points = points[np.r_[True, (np.diff(points, axis=0) != 0).any(axis=1)]]
            starts.append(points[:-1])
            ends.append(points[1:])
            line.append(np.full(max(len(points) - 1, 0), number, np.int64))
    start, end = np.concatenate(starts), np.concatenate(ends)
    tree = shapely.STRtree(_segments(start, end))
    return Edges(np.concatenate(line), start, end, tree)
