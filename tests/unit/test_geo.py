"""Frames, zones, lines and jurisdictions."""

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geo.frames import (
    NOWHERE,
    Sectors,
    convergence,
    moved_to_sector,
    plane_from_plane,
    plane_from_wgs84,
    sector_of,
    sectors_along,
    wgs84_from_plane,
)
from geo.jurisdictions import areas_at, gaps, jurisdictions_of, nearest, overlaps
from geo.zones import crossings, distance_m, inside, lines_of, offset_m, zones_of
from model.tracks import Tracks

TWO = Sectors((31.3, 31.3), (-110.9, -110.0), 100_000.0)
ONE = Sectors((31.3,), (-110.5,), 100_000.0)
METRES = st.floats(-40_000, 40_000)
millimetre = 1e-3


def rows(sector: int, n: int) -> np.ndarray:
    return np.full(n, sector, np.int16)


@given(st.lists(st.tuples(METRES, METRES), min_size=1, max_size=20))
def test_a_place_comes_back_from_latitude_and_longitude_to_the_millimetre(places: list[tuple[float, float]]) -> None:
    xy = np.array(places)
    lat, lon = wgs84_from_plane(ONE, rows(0, len(xy)), xy)
    assert np.abs(plane_from_wgs84(ONE, rows(0, len(xy)), lat, lon) - xy).max() < millimetre


@given(st.lists(st.tuples(METRES, METRES), min_size=1, max_size=20))
def test_a_place_comes_back_from_another_sector_to_the_centimetre(places: list[tuple[float, float]]) -> None:
    xy = np.array(places)
    there = plane_from_plane(TWO, rows(0, len(xy)), rows(1, len(xy)), xy)
    assert np.abs(plane_from_plane(TWO, rows(1, len(xy)), rows(0, len(xy)), there) - xy).max() < 10 * millimetre


def test_a_border_of_300_km_is_cut_into_sectors_of_at_most_100_km() -> None:
    lon = np.linspace(-111.0, -107.85, 200)
    sectors = sectors_along(np.full(200, 31.33), lon)
    assert len(sectors) == 3
    assert set(sector_of(sectors, np.full(200, 31.33), lon).tolist()) == {0, 1, 2}


def test_a_place_far_from_every_sector_belongs_to_none() -> None:
    assert sector_of(ONE, np.array([48.0, 31.3]), np.array([2.0, -110.5])).tolist() == [NOWHERE, 0]


def test_grid_north_lies_east_of_true_north_to_the_east_of_the_centre() -> None:
    # γ = Δλ · sin φ to first order.
    turn = convergence(ONE, rows(0, 1), np.array([[40_000.0, 0.0]]))
    lat, lon = wgs84_from_plane(ONE, rows(0, 1), np.array([[40_000.0, 0.0]]))
    assert turn[0] == pytest.approx(np.radians(lon[0] + 110.5) * np.sin(np.radians(lat[0])), rel=1e-3)


def test_a_track_handed_over_keeps_its_place_speed_and_spread() -> None:
    tracks = Tracks.blank(1).but(
        mean=np.array([[42_000.0, 100.0, 1.2, -0.5]]), covariance=np.diag([9.0, 4.0, 1.0, 0.5])[None]
    )
    there = moved_to_sector(TWO, tracks, rows(1, 1))
    back = moved_to_sector(TWO, there, rows(0, 1))
    assert there.sector[0] == 1
    assert np.hypot(*there.mean[0, 2:]) == pytest.approx(1.3, rel=1e-3)
    assert np.linalg.eigvalsh(there.covariance[0]) == pytest.approx(np.linalg.eigvalsh(tracks.covariance[0]), rel=1e-3)
    assert np.abs(back.mean - tracks.mean).max() < 10 * millimetre


# ── zones and lines ──────────────────────────────────────────────────────────────────────────────


def degrees(*xy: tuple[float, float]) -> list[tuple[float, float]]:
    lat, lon = wgs84_from_plane(ONE, rows(0, len(xy)), np.array(xy, np.float64))
    return list(zip(lon.tolist(), lat.tolist(), strict=True))


SQUARE = shapely.Polygon(degrees((0, 0), (100, 0), (100, 100), (0, 100)))
BENT = lines_of(ONE, ["bent"], [""], [1], [0.0], [shapely.LineString(degrees((-500, 0), (0, 0), (0, 500)))])
WEST_EAST = lines_of(ONE, ["line"], [""], [1], [0.0], [shapely.LineString(degrees((-9000, 0), (9000, 0)))])
POINT = st.tuples(st.floats(-400, 400), st.floats(-400, 400))


def test_points_are_found_in_the_zones_that_hold_them_and_at_the_right_distance() -> None:
    zones = zones_of(ONE, ["square"], [""], [False], [SQUARE])
    points = np.array([[50.0, 50.0], [150.0, 50.0], [10.0, 50.0], [5000.0, 0.0]])
    point, zone = inside(zones, rows(0, 4), points)
    assert (point.tolist(), zone.tolist()) == ([0, 2], [0, 0])
    assert distance_m(zones, 0, rows(0, 4), points)[:3] == pytest.approx([-50, 50, -10], abs=0.01)
    assert distance_m(zones, 0, rows(0, 4), points)[3] >= 1000
    assert zones.area_m2[0] == pytest.approx(10_000, rel=1e-3)


def crossed(lines: object, start: tuple[float, float], end: tuple[float, float]) -> list[int]:
    found = crossings(lines, rows(0, 1), np.array([start], np.float64), np.array([end], np.float64))  # type: ignore[arg-type]
    return found.direction.tolist()


def test_crossing_to_the_left_of_the_line_as_drawn_is_inbound_where_home_is_left() -> None:
    assert crossed(WEST_EAST, (0, -10), (0, 10)) == [1]
    assert crossed(WEST_EAST, (0, 10), (0, -10)) == [-1]
    assert crossed(WEST_EAST, (0, 10), (500, 20)) == []


def test_a_segment_through_a_vertex_of_the_line_crosses_it_once() -> None:
    assert sum(crossed(BENT, (100, -100), (-100, 100))) == 1
    assert len(crossed(BENT, (100, -100), (-100, 100))) % 2 == 1


def off_the_line(*points: tuple[float, float]) -> bool:
    """A point on the line itself may count to either side of a bend."""
    return bool((np.abs(offset_m(BENT, 0, rows(0, len(points)), np.array(points))) > 1e-6).all())


@given(POINT, POINT)
def test_going_back_crosses_the_other_way(start: tuple[float, float], end: tuple[float, float]) -> None:
    if off_the_line(start, end):
        assert sum(crossed(BENT, start, end)) == -sum(crossed(BENT, end, start))


@given(POINT, POINT, st.floats(0.1, 0.9))
def test_a_segment_in_two_parts_crosses_as_often_as_the_whole(
    start: tuple[float, float], end: tuple[float, float], cut: float
) -> None:
    middle = (start[0] + cut * (end[0] - start[0]), start[1] + cut * (end[1] - start[1]))
    if off_the_line(start, middle, end):
        assert sum(crossed(BENT, start, middle)) + sum(crossed(BENT, middle, end)) == sum(crossed(BENT, start, end))


@given(POINT)
def test_the_side_of_a_bent_line_is_where_a_walk_from_a_known_side_leads(point: tuple[float, float]) -> None:
    offset = offset_m(BENT, 0, rows(0, 1), np.array([point]))[0]
    if abs(offset) > 1e-3 and min(point) > -400:
        home = sum(crossed(BENT, (300.0, -300.0), point)) == 1
        assert (offset > 0) == home


# ── jurisdictions ────────────────────────────────────────────────────────────────────────────────


def test_overlaps_gaps_and_the_nearest_area_are_found() -> None:
    areas = [
        shapely.Polygon(degrees((-9000, 0), (0, 0), (0, 12_000), (-9000, 12_000))),
        shapely.Polygon(degrees((-1000, 0), (5000, 0), (5000, 12_000), (-1000, 12_000))),
    ]
    held = jurisdictions_of(ONE, ["west", "east"], ["a", "b"], ["", ""], areas)
    assert [(o.first, o.second, round(o.km2)) for o in overlaps(held)] == [("west", "east", 12)]
    assert [round(gap.km2) for gap in gaps(ONE, held, WEST_EAST)] == [40]
    points = np.array([[-500.0, 100.0], [7000.0, 100.0]])
    point, area = areas_at(held, rows(0, 2), points)
    assert (point.tolist(), area.tolist()) == ([0, 0], [0, 1])
    chosen, away = nearest(held, rows(0, 2), points)
    assert chosen[1] == 1
    assert away[1] == pytest.approx(2000, abs=5)
