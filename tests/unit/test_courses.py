"""How tracks have gone of late: measured on where they stood, from the same instants for all."""

import numpy as np
import pytest

from alerts.courses import NEW_MPS, SPAN_NS, courses, known_after
from alerts.memory import Known
from model.time import NS
from tests.script import T0, track

START_NS = -(-T0 // SPAN_NS) * SPAN_NS
BELIEVED = (9.0, 9.0)  # m/s, ± 0.5: what the filter says


def course_after(
    seconds: int, velocity: tuple[float, float], since: int = 0
) -> tuple[tuple[float, float], float, bool]:
    """The course of one who has gone at a velocity since some second, its σ, and whether it was measured."""
    known, told = Known.none(), ((0.0, 0.0), 0.0, False)
    for second in range(since, seconds + 1):
        tracks = track(1, (velocity[0] * second, velocity[1] * second), BELIEVED)
        time_ns, sigma_m = START_NS + second * NS, np.full(1, 2.0)
        course, sigma, measured = courses(known, time_ns, tracks, sigma_m, np.full(1, 0.5))
        known = known_after(known, time_ns, tracks, sigma_m)
        told = ((float(course[0, 0]), float(course[0, 1])), float(sigma[0]), bool(measured[0]))
    return told


@pytest.mark.parametrize(("since", "until"), [(0, 29), (7, 36), (31, 60)])
def test_until_somebody_has_been_known_for_half_a_minute_the_filter_is_believed(since: int, until: int) -> None:
    assert course_after(until, (1.3, 0.0), since) == (BELIEVED, NEW_MPS, False)


@pytest.mark.parametrize("velocity", [(1.3, 0.0), (0.0, 0.0), (-8.0, 11.0)])
def test_after_that_the_course_is_what_was_gone(velocity: tuple[float, float]) -> None:
    course, sigma, measured = course_after(89, velocity)
    assert measured
    assert course == pytest.approx(velocity)
    assert sigma == pytest.approx(np.hypot(2.0, 2.0) / 59.0)  # from the half minute before the last


def test_a_track_handed_over_to_another_sector_begins_anew() -> None:
    sigma = np.full(1, 2.0)
    here = track(1, (0.0, 0.0), (1.0, 0.0))
    known = known_after(Known.none(), START_NS, here, sigma)
    there = here.but(sector=here.sector + 1, mean=np.array([[90_000.0, 0.0, 1.0, 0.0]]))
    later_ns = START_NS + 40 * NS
    assert courses(known, later_ns, there, sigma, np.full(1, 0.5))[0].tolist() == [[1.0, 0.0]]
    assert known_after(known, later_ns, there, sigma).stood_ns.tolist() == [[later_ns] * 2]
