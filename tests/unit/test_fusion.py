"""Fusion: the filter, association, layers, event time, and the life of a track."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.optimize import linear_sum_assignment

from fusion.association import Pairs, chosen
from fusion.estimation import inverse_2x2, largest_sigma, updated
from fusion.layers import layers_of
from fusion.motion import predicted
from fusion.order import FusionState, at_rest, fuse
from fusion.settings import Settings
from geo.frames import Sectors, plane_from_wgs84, sector_of, wgs84_from_plane
from model.detections import Detections, Looks
from model.time import NS
from model.tracks import Scan
from tests.builders import ONE_SECTOR, T0, detections, sensors

SETTINGS = Settings()


def run(
    *batches: Detections, sectors: Sectors = ONE_SECTOR, settings: Settings = SETTINGS
) -> tuple[FusionState, list[Scan]]:
    """Each batch in a step of its own, then silence until all is closed."""
    state, scans = at_rest(), []
    few = sensors(8)
    for batch in batches:
        state, fused = fuse(settings, few, sectors, state, batch, Looks.none(), None)
        scans += fused.scans
    state, fused = fuse(settings, few, sectors, state, Detections.none(), Looks.none(), state.clock_ns + 5 * NS)
    return state, [*scans, *fused.scans]


def walk(
    seconds: range, sensor: int = 0, start: tuple[float, float] = (0.0, 0.0), speed: float = 1.5, seed: int = 1
) -> Detections:
    random = np.random.default_rng(seed)
    at = np.array(seconds, float)
    place = np.stack([start[0] + speed * at, np.full(len(at), start[1])], axis=1) + random.normal(0, 2, (len(at), 2))
    return detections(at + 0.1, place, sensor=sensor)


# ── the filter ───────────────────────────────────────────────────────────────────────────────────


def test_prediction_equals_the_integral_of_the_model() -> None:
    """Van Loan's (1978) matrix exponential gives transition and process noise of the same continuous model."""
    dt, psd = 3.7, 0.5
    drift = np.zeros((4, 4))
    drift[0, 2] = drift[1, 3] = 1.0
    noise = np.diag([0.0, 0.0, psd, psd])
    block = expm(np.block([[-drift, noise], [np.zeros((4, 4)), drift.T]]) * dt)
    transition = block[4:, 4:].T
    process = transition @ block[:4, 4:]
    mean = np.array([1.0, 2.0, 0.5, -0.7])
    spread = np.diag([4.0, 9.0, 1.0, 2.0]) + 0.1
    later_mean, later = predicted(mean[None], spread[None], np.array([dt]), psd)
    assert later_mean[0] == pytest.approx(transition @ mean)
    assert later[0] == pytest.approx(transition @ spread @ transition.T + process)


def test_the_update_equals_the_textbook_one() -> None:
    random = np.random.default_rng(3)
    root = random.normal(size=(4, 4))
    spread, noise = root @ root.T + np.eye(4), np.array([[2.0, 0.5], [0.5, 1.0]])
    mean, seen = random.normal(size=4), random.normal(size=2)
    observe = np.eye(2, 4)
    gain = spread @ observe.T @ np.linalg.inv(observe @ spread @ observe.T + noise)
    later_mean, later = updated(mean[None], spread[None], seen[None], noise[None])
    assert later_mean[0] == pytest.approx(mean + gain @ (seen - observe @ mean))
    assert later[0] == pytest.approx((np.eye(4) - gain @ observe) @ spread)


def test_small_matrices_are_inverted_as_numpy_inverts_them() -> None:
    m = np.array([[[4.0, 1.0], [1.0, 3.0]], [[1e-3, 0.0], [0.0, 1e3]]])
    inverse, determinant = inverse_2x2(m)
    assert inverse == pytest.approx(np.linalg.inv(m))
    assert determinant == pytest.approx(np.linalg.det(m))
    assert largest_sigma(m) == pytest.approx(np.sqrt(np.linalg.eigvalsh(m)[:, 1]))


# ── association ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seed", range(20))
def test_the_choice_is_the_best_of_all_one_to_one_choices(seed: int) -> None:
    random = np.random.default_rng(seed)
    rows, columns = random.integers(1, 8, 2)
    evidence = random.normal(1, 4, (rows, columns))
    near = random.random((rows, columns)) < 0.6
    detection, track = np.nonzero(near)
    pairs = Pairs(track, detection, evidence[near], evidence[near])
    picked = chosen(pairs, int(rows), int(columns))
    # The dense reference: staying alone is worth nothing, and so is a pair outside the gate.
    worth = np.where(near, np.maximum(evidence, 0), 0.0)
    best = worth[linear_sum_assignment(-worth)].sum()
    assert pairs.evidence[picked].sum() == pytest.approx(best)
    assert len(set(pairs.detection[picked])) == len(picked) == len(set(pairs.track[picked]))


def test_frames_near_each_other_are_taken_one_after_the_other_and_far_ones_together() -> None:
    rows = detections([0.1, 0.1, 0.2, 0.3], [[0, 0], [5000, 0], [10, 0], [5, 0]], sensor=[0, 1, 2, 0])
    assert [sorted(layer.tolist()) for layer in layers_of(rows)] == [[0, 1], [2], [3]]


def test_detections_of_one_frame_stay_in_one_layer() -> None:
    rows = detections(0.1, [[0, 0], [3, 0], [6, 0]])
    assert [layer.tolist() for layer in layers_of(rows)] == [[0, 1, 2]]


# ── tracks ───────────────────────────────────────────────────────────────────────────────────────


def test_a_walker_seen_every_second_becomes_one_confirmed_track_that_follows_him() -> None:
    state, scans = run(walk(range(30)))
    assert len(state.tracks) == 1
    track = scans[-1].tracks
    assert track.confirmed.all()
    assert track.mean[0, 2] == pytest.approx(1.5, abs=0.5)
    assert track.hits[0] == 30


def test_one_detection_alone_is_no_confirmed_track() -> None:
    _, scans = run(walk(range(1)))
    assert not scans[-1].tracks.confirmed.any()


def test_two_walkers_100_m_apart_seen_by_two_sensors_are_two_tracks() -> None:
    both = Detections.joined(
        [
            walk(range(20), 0),
            walk(range(20), 0, (0.0, 100.0), seed=2),
            walk(range(20), 1, seed=3),
            walk(range(20), 1, (0.0, 100.0), seed=4),
        ]
    )
    both = both.take(np.argsort(both.received_ns, kind="stable"))
    state, scans = run(both)
    assert scans[-1].tracks.confirmed.sum() == 2
    assert sorted(state.tracks.hits.tolist()) == [40, 40]
    assert {frozenset(row[row >= 0].tolist()) for row in state.tracks.sensors} == {frozenset({0, 1})}


def test_a_track_unseen_for_longer_than_it_may_coast_is_dropped() -> None:
    later = detections(200.0, [[9000.0, 9000.0]])
    state, _ = run(walk(range(20)), later)
    assert len(state.tracks) == 1
    assert state.tracks.mean[0, 0] > 8000


def test_a_track_that_walks_into_another_sector_is_handed_over_and_stays_itself() -> None:
    two = Sectors((31.35, 31.35), (-110.6, -110.5), 100_000.0)
    one_state, one = run(walk(range(60), speed=8.0, start=(4600.0, 0.0)))
    rows = walk(range(60), speed=8.0, start=(4600.0, 0.0))
    lat, lon = wgs84_from_plane(two, rows.sector, rows.position)
    own = sector_of(two, lat, lon)
    assert set(own.tolist()) == {0, 1}
    split_state, split = run(rows.but(sector=own, position=plane_from_wgs84(two, own, lat, lon)), sectors=two)
    assert len(split_state.tracks) == len(one_state.tracks) == 1
    assert split_state.tracks.hits[0] == one_state.tracks.hits[0] == 60
    assert split_state.tracks.sector[0] == 1
    assert split_state.tracks.id[0] == one_state.tracks.id[0]
    there = wgs84_from_plane(two, split_state.tracks.sector, split_state.tracks.mean[:, :2])
    here = wgs84_from_plane(two, one_state.tracks.sector, one_state.tracks.mean[:, :2])
    assert np.abs(np.array(there) - np.array(here)).max() < 1e-5
    assert len(split) == len(one)


# ── event time ───────────────────────────────────────────────────────────────────────────────────


def test_a_scan_closes_when_the_clock_has_passed_its_end_by_the_settling_time() -> None:
    start = T0 // NS * NS
    state, fused = fuse(SETTINGS, sensors(1), ONE_SECTOR, at_rest(), detections(0.4, [[0.0, 0.0]]), Looks.none(), None)
    assert start + NS not in [scan.time_ns for scan in fused.scans]
    state, fused = fuse(SETTINGS, sensors(1), ONE_SECTOR, state, detections(1.4, [[0.0, 0.0]]), Looks.none(), None)
    assert start + NS not in [scan.time_ns for scan in fused.scans]
    state, fused = fuse(SETTINGS, sensors(1), ONE_SECTOR, state, detections(1.6, [[0.0, 0.0]]), Looks.none(), None)
    assert [scan.time_ns for scan in fused.scans] == [start + NS]


def test_a_sensor_whose_clock_runs_ahead_moves_nothing() -> None:
    state, _ = run(walk(range(5)))
    ahead = detections(60.0, [[0.0, 0.0]], late_s=-50.0)
    after, fused = fuse(SETTINGS, sensors(8), ONE_SECTOR, state, ahead, Looks.none(), None)
    assert not fused.scans
    assert after.clock_ns == state.clock_ns


def test_a_row_too_late_for_any_scan_is_given_back() -> None:
    state, _ = run(walk(range(50)))
    old = detections(1.0, [[0.0, 0.0]], late_s=60.0)
    state, _ = fuse(SETTINGS, sensors(8), ONE_SECTOR, state, old, Looks.none(), None)
    state, fused = fuse(SETTINGS, sensors(8), ONE_SECTOR, state, walk(range(60, 62)), Looks.none(), None)
    assert fused.too_late.observed_ns.tolist() == old.observed_ns.tolist()


def test_with_nothing_to_track_ten_hours_are_one_scan() -> None:
    state, _ = run(walk(range(2)))
    state, _ = fuse(SETTINGS, sensors(8), ONE_SECTOR, state, detections(300.0, [[0.0, 0.0]]), Looks.none(), None)
    state, fused = fuse(SETTINGS, sensors(8), ONE_SECTOR, state, detections(36_300.0, [[0.0, 0.0]]), Looks.none(), None)
    assert len(fused.scans) < 70


def test_scans_say_which_of_those_before_them_they_make_void() -> None:
    _, scans = run(walk(range(10)), walk(range(12, 20)))
    for before, after in pairwise(scans):
        assert after.after_ns <= before.time_ns < after.time_ns or after.time_ns <= before.time_ns
