"""Whose area a place lies in, and where areas overlap or leave gaps."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from geo.frames import Rows, Sectors, wgs84_from_plane
from geo.zones import Lines, Zones, distance_m, inside, zones_of

Array = NDArray[np.float64]
Index = NDArray[np.int64]
SMALLEST_KM2 = 0.5  # smaller overlaps and gaps are slivers of two drawings of one boundary


@dataclass(frozen=True)
class Jurisdictions:
    """Areas, each of one agency; an agency may have several, and areas may overlap."""

    ids: tuple[str, ...]
    agencies: tuple[str, ...]
    areas: Zones


@dataclass(frozen=True)
class Overlap:
    """Two areas of different agencies that share ground."""

    first: str
    second: str
    km2: float


@dataclass(frozen=True)
class Gap:
    """Ground on our side of the border that is nobody's."""

    km2: float
    lat: float
    lon: float


def jurisdictions_of(
    sectors: Sectors,
    ids: Sequence[str],
    agencies: Sequence[str],
    names: Sequence[str],
    areas: Sequence[shapely.Geometry],
) -> Jurisdictions:
    """Jurisdictions from WGS84 polygons."""
    return Jurisdictions(tuple(ids), tuple(agencies), zones_of(sectors, ids, names, [False] * len(ids), areas))


def areas_at(jurisdictions: Jurisdictions, sector: Rows, position: Array) -> tuple[Index, Index]:
    """(point, area) of every point in an area, ordered."""
    return inside(jurisdictions.areas, sector, position)


def nearest(jurisdictions: Jurisdictions, sector: Rows, position: Array) -> tuple[Index, Array]:
    """(n,) nearest area of each point, and (n,) its distance in m: what stands in where a place is nobody's."""
    away = np.stack(
        [distance_m(jurisdictions.areas, area, sector, position, far_m=1e7) for area in range(len(jurisdictions.ids))]
    )
    chosen = np.argmin(away, axis=0)
    return chosen, np.maximum(away[chosen, np.arange(len(position))], 0.0)


def overlaps(jurisdictions: Jurisdictions) -> list[Overlap]:
    """Every pair of areas of different agencies that overlap by more than a sliver."""
    found: dict[tuple[int, int], float] = {}
    for plane in jurisdictions.areas.planes:
        one, other = shapely.STRtree(plane).query(plane, predicate="intersects")
        for a, b in zip(one.tolist(), other.tolist(), strict=True):
            if a < b and jurisdictions.agencies[a] != jurisdictions.agencies[b]:
                km2 = float(shapely.area(shapely.intersection(plane[a], plane[b]))) / 1e6
                found[a, b] = max(km2, found.get((a, b), 0.0))
    ids = jurisdictions.ids
    return [Overlap(ids[a], ids[b], km2) for (a, b), km2 in sorted(found.items()) if km2 >= SMALLEST_KM2]


def gaps(sectors: Sectors, jurisdictions: Jurisdictions, lines: Lines, width_m: float = 10_000.0) -> list[Gap]:
    """Parts of a strip along the home side of the lines that no area covers."""
    found: list[Gap] = []
    for k, plane in enumerate(jurisdictions.areas.planes):
        edges = lines.planes[k]
        strips: list[shapely.Geometry] = []
        for line in range(len(lines.ids)):
            ours = edges.line == line
            if ours.any():
                path = shapely.LineString(np.concatenate([edges.start[ours], edges.end[ours][-1:]]))
                strips.append(shapely.buffer(path, width_m * int(lines.home[line]), single_sided=True))
        bare = shapely.difference(shapely.union_all(strips), shapely.union_all(plane))
        for part in shapely.get_parts(bare):
            km2 = float(shapely.area(part)) / 1e6
            if km2 >= SMALLEST_KM2:
                spot = shapely.get_coordinates(shapely.point_on_surface(part))
                lat, lon = wgs84_from_plane(sectors, np.array([k], np.int16), spot)
                found.append(Gap(round(km2, 1), float(lat[0]), float(lon[0])))
    return found
