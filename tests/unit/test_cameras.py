"""From pixels to the ground and back, and what placing makes of every way of saying where."""

from dataclasses import replace

import numpy as np
import pytest

from geo.frames import plane_from_wgs84
from geo.zones import zones_of
from model.detections import Kind
from model.rejections import Reason
from sensors.cameras import ground_from_pixel, pixel_from_ground
from sensors.catalogue import Cameras
from sensors.placing import place
from sensors.readings import Place, Readings
from tests.builders import T0, shipped_world

WORLD = shipped_world()
ROW = WORLD.catalogue.row_of_id


def camera(**changed: float) -> Cameras:
    base = {
        "height_m": 10.0,
        "azimuth_deg": 0.0,
        "tilt_deg": -45.0,
        "roll_deg": 0.0,
        "pixel_sigma_px": 3.0,
        "angle_sigma_deg": 0.2,
        "height_sigma_m": 0.3,
        "position_sigma_m": 2.0,
    } | changed
    return Cameras.blank(1).but(
        size_px=np.array([[1280.0, 720.0]]),
        focal_px=np.array([[1000.0, 1000.0]]),
        centre_px=np.array([[640.0, 360.0]]),
        **{name: np.array([value]) for name, value in base.items()},
    )


FIRST = np.zeros(1, np.int32)


def test_a_camera_10_m_high_that_looks_down_by_45_degrees_sees_10_m_ahead_in_its_middle() -> None:
    ground, _ = ground_from_pixel(camera(), FIRST, np.array([[640.0, 360.0]]))
    assert ground[0] == pytest.approx([0.0, 10.0], abs=1e-9)


def test_right_in_the_picture_of_a_camera_that_looks_east_is_south() -> None:
    ground, _ = ground_from_pixel(camera(azimuth_deg=90.0), FIRST, np.array([[740.0, 360.0]]))
    assert ground[0, 0] == pytest.approx(10.0, abs=1e-9)
    assert ground[0, 1] < -1


def test_a_ray_above_the_horizon_meets_no_ground() -> None:
    ground, _ = ground_from_pixel(camera(tilt_deg=10.0), FIRST, np.array([[640.0, 100.0]]))
    assert np.isnan(ground).all()


def test_a_pixel_comes_back_from_the_ground_through_a_distorted_and_rolled_lens() -> None:
    lens = camera(azimuth_deg=130.0, tilt_deg=-12.0, roll_deg=4.0).but(
        distortion=np.array([[-0.2, 0.05, 0.001, 0.001, 0.0]])
    )
    pixels = np.array([[200.0, 500.0], [1100.0, 650.0], [640.0, 400.0]])
    ground, _ = ground_from_pixel(lens, np.zeros(3, np.int32), pixels)
    assert np.abs(pixel_from_ground(lens, 0, ground) - pixels).max() < 0.01


def test_the_covariance_is_as_wide_as_the_errors_that_it_is_propagated_from() -> None:
    """Normalised squared error of 4,000 draws, within the 99.9 % bounds of chi squared with two degrees of freedom."""
    random, n = np.random.default_rng(11), 4000
    true = camera(tilt_deg=-8.0)
    spot = np.array([[640.0, 520.0]])
    centre, _ = ground_from_pixel(true, FIRST, spot)
    seen = np.repeat(spot, n, axis=0) + random.normal(0, 3.0, (n, 2))
    wrong = Cameras(**{name: np.repeat(column, n, axis=0) for name, column in true.arrays().items()})
    wrong = wrong.but(
        azimuth_deg=wrong.azimuth_deg + random.normal(0, 0.2, n),
        tilt_deg=wrong.tilt_deg + random.normal(0, 0.2, n),
        height_m=wrong.height_m + random.normal(0, 0.3, n),
    )
    ground, covariance = ground_from_pixel(wrong, np.arange(n, dtype=np.int32), seen)
    error = ground + random.normal(0, 2.0, (n, 2)) - centre
    nees = np.einsum("ni,nij,nj->n", error, np.linalg.inv(covariance), error).mean()
    assert 2 - 3.3 * 2 / np.sqrt(n) - 0.1 < nees < 2 + 3.3 * 2 / np.sqrt(n) + 0.1


def reading(
    sensor: str, said: Place, where: tuple[float, float] = (np.nan, np.nan), spread: float = np.nan
) -> Readings:
    return Readings.blank(1).but(
        observed_ns=np.array([T0]),
        received_ns=np.array([T0]),
        sensor=np.array([ROW[sensor]], np.int32),
        place=np.array([said], np.int8),
        where=np.array([where]),
        spread=np.array([[spread, 0.0 if said is Place.WGS84 else spread, spread]]),
        class_likelihood=np.full((1, 6), 1 / 6),
        confidence=np.ones(1),
    )


def placed(readings: Readings, world: object = WORLD):  # type: ignore[no-untyped-def]
    return place(WORLD.catalogue, WORLD.sectors, world.zones, readings)  # type: ignore[attr-defined]


def test_a_sensor_that_says_only_here_is_somewhere_within_its_reach() -> None:
    found, dropped = placed(reading("ugs-01", Place.OWN))
    assert not dropped
    assert found.kind[0] == Kind.PRESENCE
    assert found.covariance[0] == pytest.approx(np.eye(2) * (8**2 + 35**2 / 4))


def test_bearing_and_range_are_taken_from_true_north() -> None:
    found, _ = placed(reading("radar-west", Place.RANGE, (90.0, 1000.0), 0.5))
    row = ROW["radar-west"]
    lat, lon = WORLD.catalogue.lat[row], WORLD.catalogue.lon[row]
    east = plane_from_wgs84(WORLD.sectors, np.zeros(1, np.int16), np.array([lat]), np.array([lon + 0.0105]))[0]
    away = found.position[0] - WORLD.catalogue.columns.position[row]
    expected = east - WORLD.catalogue.columns.position[row]
    assert np.hypot(*away) == pytest.approx(1000.0)
    assert np.arctan2(*away) == pytest.approx(np.arctan2(*expected), abs=1e-4)


def test_a_bearing_alone_stretches_along_its_ray() -> None:
    found, _ = placed(reading("radar-west", Place.BEARING, (0.0, np.nan), 0.5))
    assert found.kind[0] == Kind.BEARING
    axes = np.sqrt(np.linalg.eigvalsh(found.covariance[0]))
    assert axes[1] == pytest.approx(1500 / np.sqrt(12))
    assert axes[0] == pytest.approx(750 * np.radians(0.5))


@pytest.mark.parametrize(
    ("said", "where", "reason"),
    [
        (Place.PIXEL, (640.0, 1.0), Reason.BEYOND_HORIZON),
        (Place.RANGE, (10.0, 99_000.0), Reason.BEYOND_HORIZON),
        (Place.WGS84, (48.0, 2.0), Reason.OUTSIDE_SITE),
    ],
)
def test_what_has_no_place_here_is_dropped_with_its_reason(
    said: Place, where: tuple[float, float], reason: Reason
) -> None:
    sensor = "cam-01" if said is Place.PIXEL else "radar-west"
    found, dropped = placed(reading(sensor, said, where, 1.0))
    assert len(found) == 0
    assert [r.reason for r in dropped] == [reason]
    assert dropped[0].sensor == sensor


def test_what_lies_in_a_privacy_zone_is_dropped_before_anything_is_kept() -> None:
    here = (31.35376, -110.60600)
    found, dropped = placed(reading("radar-west", Place.WGS84, here, 1.0))
    assert len(found) == 0
    assert [r.reason for r in dropped] == [Reason.PRIVACY_ZONE]
    open_world = replace(WORLD, zones=zones_of(WORLD.sectors, [], [], [], []))
    found, dropped = placed(reading("radar-west", Place.WGS84, here, 0.0), open_world)
    assert [r.reason for r in dropped] == [Reason.OUT_OF_RANGE]
