"""Roads and trails: straight pieces in order, and which is nearest."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from geo.frames import APART_M, Sectors, plane_from_wgs84, sector_of

NEAR_M = 100.0  # no road is wider, nor anything that follows it farther off


@dataclass(frozen=True, eq=False)
class Roads:
    """k straight pieces of roads, in order along each road, road after road; in the planes of their sectors."""

    road: NDArray[np.int64]  # (k,) which road each belongs to, from 0
    sector: NDArray[np.int16]  # (k,)
    start: NDArray[np.float64]  # (k, 2) m
    way: NDArray[np.float64]  # (k, 2) unit vector
    length_m: NDArray[np.float64]  # (k,)
    half_width_m: NDArray[np.float64]  # (k,)
    reached_m: NDArray[np.float64]  # (k,) length of all pieces before it, of all roads before it too
    first_m: NDArray[np.float64]  # (roads,) where each begins, in the same measure
    last_m: NDArray[np.float64]  # (roads,) where it ends
    tree: shapely.STRtree


def roads_of(lines: Sequence[NDArray[np.float64]], sectors: Sequence[int], half_width_m: Sequence[float]) -> Roads:
    """Roads along lines (vertices, 2) [m], each in the plane of one sector."""
    starts = [line[:-1] for line in lines] or [np.zeros((0, 2))]
    steps = [np.diff(line, axis=0) for line in lines] or [np.zeros((0, 2))]
    start, step = np.concatenate(starts), np.concatenate(steps)
    count = np.array([len(s) for s in starts], np.int64)
    road = np.repeat(np.arange(len(count)), count)
    length = np.hypot(step[:, 0], step[:, 1])
    ends = np.cumsum(length)
    reached = ends - length
    first = np.cumsum(count) - count
    sector = np.repeat(np.array(sectors, np.int16), count) if len(lines) else np.zeros(0, np.int16)
    width = np.repeat(np.array(half_width_m, np.float64), count) if len(lines) else np.zeros(0)
    apart = np.column_stack([APART_M * sector, np.zeros(len(sector))]) if len(start) else np.zeros((0, 2))
    drawn: list[shapely.Geometry] = []
    if len(start):
        drawn = np.asarray(shapely.linestrings(np.stack([start + apart, start + step + apart], axis=1))).tolist()
    tree = shapely.STRtree(drawn)
    return Roads(
        road=road,
        sector=sector,
        start=start,
        way=step / np.maximum(length, 1e-9)[:, None],
        length_m=length,
        half_width_m=width,
        reached_m=reached,
        first_m=reached[first] if len(start) else np.zeros(0),
        last_m=ends[np.cumsum(count) - 1] if len(start) else np.zeros(0),
        tree=tree,
    )


def roads_along(sectors: Sectors, geometries: Sequence[shapely.LineString], half_width_m: Sequence[float]) -> Roads:
    """Roads drawn in WGS84, each in the plane of the sector that its middle lies in; pieces of a road stay together."""
    lines, own = [], []
    for geometry in geometries:
        lonlat = shapely.get_coordinates(geometry)
        middle = lonlat[len(lonlat) // 2]
        sector = sector_of(sectors, middle[1:], middle[:1])
        own.append(max(int(sector[0]), 0))
        lines.append(plane_from_wgs84(sectors, np.full(len(lonlat), own[-1], np.int16), lonlat[:, 1], lonlat[:, 0]))
    return roads_of(lines, own, half_width_m)


def nearest_piece(
    roads: Roads, sector: NDArray[np.int16], position: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(rows that have a piece within NEAR_M, the nearest piece of each), of positions (n, 2) in sectors (n,)."""
    points = shapely.points(position + np.column_stack([APART_M * sector, np.zeros(len(sector))]))
    found, piece = roads.tree.query_nearest(points, max_distance=NEAR_M, all_matches=False)
    return np.asarray(found, np.int64), np.asarray(piece, np.int64)
