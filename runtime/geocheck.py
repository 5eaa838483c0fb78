"""Whether what a site folder places on the map can be where it is said to be: near the border, and of a size that is meant."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geo.frames import EARTH_M_PER_DEGREE
from runtime.entries import Configuration, Drawn, Reading, Written
from runtime.schema import SensorEntry

Array = NDArray[np.float64]
FAR_KM = 100.0  # a site's things lie this near to its border line
ZONE_KM, LINE_KM = 500.0, 10_000.0  # larger ones have a point that is mistyped
FENCE_KM = 10.0  # from one post to the other
NO_MINUS = "Its longitude has lost its minus sign: west is negative."
EXCHANGED = "Latitude and longitude look exchanged."
# What people do to coordinates, and how it shows: x and y as written → as meant.
SLIPS: tuple[tuple[Callable[[Array], Array], str], ...] = (
    (lambda xy: xy * [-1.0, 1.0], NO_MINUS),
    (lambda xy: xy[:, ::-1], EXCHANGED),
    (lambda xy: xy[:, ::-1] * [-1.0, 1.0], f"{EXCHANGED} And west is negative."),
    (lambda xy: xy * [1.0, -1.0], "Check the sign of the latitude: south is negative."),
)


class Plan:
    """Degrees laid out so that distances about some place are right to a few percent, which is enough to find slips."""

    def __init__(self, about: shapely.Geometry) -> None:
        lon, lat = shapely.get_coordinates(about).T
        self._stretch = float(np.cos(np.radians(lat.mean())))
        self._middle = float(np.degrees(np.angle(np.exp(1j * np.radians(lon)).mean())))

    def drawn(self, shape: Any) -> Any:
        """With longitudes counted from the middle, so that the antimeridian tears nothing."""
        return shapely.transform(shape, lambda xy: self._from_middle(xy) * [self._stretch, 1.0])

    def _from_middle(self, lonlat: Array) -> Array:
        return np.stack([(lonlat[:, 0] - self._middle + 180) % 360 - 180, lonlat[:, 1]], axis=1)

    def km(self, one: Any, other: Any) -> Array:
        """Distances between WGS84 shapes, along the earth between the points that are nearest on the plan."""
        between = np.atleast_1d(shapely.shortest_line(self.drawn(one), self.drawn(other)))
        ends = np.radians(shapely.get_coordinates(between).reshape(-1, 2, 2) / [self._stretch, 1.0])
        (lon, lat), (to_lon, to_lat) = ends[:, 0].T, ends[:, 1].T
        half = np.sin((to_lat - lat) / 2) ** 2 + np.cos(lat) * np.cos(to_lat) * np.sin((to_lon - lon) / 2) ** 2
        return np.asarray(2 * np.degrees(np.arcsin(np.sqrt(np.minimum(half, 1.0)))) * EARTH_M_PER_DEGREE / 1000)

    def across_km(self, shape: Any) -> float:
        """How far a shape reaches, corner to corner."""
        west, south, east, north = shapely.bounds(self.drawn(shape))
        return float(np.hypot(east - west, north - south) * EARTH_M_PER_DEGREE / 1000)


def check_places(reading: Reading, c: Configuration) -> None:
    """Note what cannot be where it is."""
    if not (c.lines or c.sensors or c.zones or c.jurisdictions):
        if not reading.lost & {"line", "sensor", "zone", "jurisdiction"} and not reading.lost_ids:
            hint = f"Draw the border line in {c.site.files.border}, or register a sensor."
            reading.wrong("site.toml", "", "", "has nothing on the map: no line, sensor, zone or jurisdiction.", hint)
        return
    _sizes(reading, c)
    _fences(reading, c.sensors)
    points = [shapely.Point(w.value.lon, w.value.lat) for w in c.sensors]
    border = shapely.union_all([d.geometry for d in c.lines]) if c.lines else None
    if border is not None and points:
        km = Plan(border).km(np.array(points), border)
        if len(points) > 1 and np.count_nonzero(km > FAR_KM) * 2 > len(points):  # rather the line than all of them
            _misplaced_lines(reading, c, shapely.MultiPoint(points))
            return
        for i in np.flatnonzero(km > FAR_KM).tolist():
            _misplaced_sensor(reading, c.sensors[i], border, float(km[i]))
        points = [point for point, away in zip(points, km, strict=True) if away <= FAR_KM]
    anchors = [*([] if border is None else [border]), *points]
    if anchors:
        _misplaced_areas(reading, [*c.zones, *c.jurisdictions], shapely.union_all(anchors))
        _misplaced_roads(reading, c, shapely.union_all(anchors))


def _misplaced_sensor(reading: Reading, at: Written[SensorEntry], border: shapely.Geometry, km: float) -> None:
    wrong = f"{at.value.lat:g}, {at.value.lon:g} lies {km:,.0f} km from the border line."
    point = shapely.Point(at.value.lon, at.value.lat)
    reading.wrong(at.file, at.entry, "lat, lon", wrong, slip(point, border) or "Check both.")


def _misplaced_lines(reading: Reading, c: Configuration, sensors: shapely.Geometry) -> None:
    for at in c.lines:
        km = float(Plan(sensors).km(at.geometry, sensors)[0])
        if km > FAR_KM:
            wrong = f"lies {km:,.0f} km from the sensors."
            reading.wrong(at.file, at.entry, "geometry", wrong, slip(at.geometry, sensors) or "Draw it again.")


def _misplaced_areas(reading: Reading, areas: Sequence[Drawn[Any]], near: shapely.Geometry) -> None:
    if not areas:
        return
    km = Plan(near).km(np.array([at.geometry for at in areas]), near)
    for i in np.flatnonzero(km > FAR_KM).tolist():
        at = areas[i]
        wrong = f"lies {km[i]:,.0f} km from the border line and from every sensor."
        reading.wrong(at.file, at.entry, "geometry", wrong, slip(at.geometry, near) or "Draw it where it is.")


def _misplaced_roads(reading: Reading, c: Configuration, near: shapely.Geometry) -> None:
    """An extract of roads may reach far; that all of them are elsewhere is a mistake."""
    if not c.roads:
        return
    roads = shapely.union_all([d.geometry for d in c.roads])
    km = float(Plan(near).km(roads, near)[0])
    if km > FAR_KM:
        wrong = f"holds no road within {km:,.0f} km of the border line and the sensors."
        reading.wrong(c.roads[0].file, "", "", wrong, slip(roads, near) or "Extract the roads of this site.")


def slip(shape: shapely.Geometry, near: shapely.Geometry) -> str:
    """What was done to coordinates that are far from where they belong; empty where nothing known explains it."""
    for meant, what in SLIPS:
        moved = shapely.transform(shape, meant)
        if np.abs(shapely.get_coordinates(moved)[:, 1]).max() <= 90 and float(Plan(near).km(moved, near)[0]) <= FAR_KM:
            return what
    return ""


def _sizes(reading: Reading, c: Configuration) -> None:
    for at, most_km in _measured(c):
        if _tears(at.geometry):
            wrong = "has an edge that goes around the earth, or crosses the antimeridian."
            hint = "Where it crosses the antimeridian, cut it there: one part ends at 180, the other begins at -180."
            reading.wrong(at.file, at.entry, "geometry", wrong, hint)
            continue
        across = Plan(at.geometry).across_km(at.geometry)
        if across > most_km:
            wrong = f"reaches over {across:,.0f} km."
            reading.wrong(at.file, at.entry, "geometry", wrong, "One of its points is probably mistyped.")


def _tears(shape: shapely.Geometry) -> bool:
    """Is there an edge that is longer the way it is written than the other way round?"""
    parts = [shapely.boundary(shape) if shapely.get_dimensions(shape) == 2 else shape]
    edges = [np.diff(shapely.get_coordinates(line)[:, 0]) for line in shapely.get_parts(parts)]
    return any(float(np.abs(edge).max(initial=0.0)) > 180 for edge in edges)


def _measured(c: Configuration) -> Iterator[tuple[Drawn[Any], float]]:
    yield from ((at, ZONE_KM) for at in c.zones)
    yield from ((at, LINE_KM) for at in c.lines)
    yield from ((at, LINE_KM) for at in c.jurisdictions)


def _fences(reading: Reading, sensors: Sequence[Written[SensorEntry]]) -> None:
    for at in sensors:
        sensor = at.value
        if sensor.to_lat is None or sensor.to_lon is None:
            continue
        here, there = shapely.Point(sensor.lon, sensor.lat), shapely.Point(sensor.to_lon, sensor.to_lat)
        km = float(Plan(here).km(here, there)[0])
        if km > FENCE_KM:
            wrong = f"{sensor.to_lat:g}, {sensor.to_lon:g} lies {km:,.0f} km from its other end."
            reading.wrong(at.file, at.entry, "to_lat, to_lon", wrong, slip(there, here) or "Check both.")
