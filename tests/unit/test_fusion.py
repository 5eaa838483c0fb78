"""Fusion: the filter, association, layers, event time, and the life of a track."""

import itertools
from itertools import pairwise

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.spatial import KDTree
from scipy.stats import multivariate_normal

from fusion.association import Pairs, marginals
from fusion.estimation import (
    REACH_SIGMAS,
    blended,
    inverse,
    largest_sigma,
    log_densities,
    packed,
    updated,
    within_reach,
)
from fusion.layers import layers_of
from fusion.measurements import heading
from fusion.motion import MEMORY_S, SPEED_SIGMA_MPS, begun, collapsed, habit_of, mixed, moved
from fusion.order import FusionState, at_rest, fuse
from fusion.plates import evidence, fused
from fusion.settings import Settings
from geo.frames import Sectors, plane_from_wgs84, sector_of, wgs84_from_plane
from model.classes import CLASSES
from model.detections import PLATES, Detections, Kind, Looks
from model.time import NS
from model.tracks import COLUMN, COMPONENTS, FULL, MODELS, ROW, Reasons, Scan, What
from tests.builders import ONE_SECTOR, T0, detections, sensors

SETTINGS = Settings()
OFF = np.array([25.0, -15.0])


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


# ── motion and estimation ────────────────────────────────────────────────────────────────────────


def a_bank(random: np.random.Generator, tracks: int) -> tuple[np.ndarray, np.ndarray]:
    """Random estimates (14, MODELS, tracks) with weights (MODELS, tracks)."""
    bank = np.zeros((COMPONENTS, MODELS, tracks))
    bank[:4] = random.normal(0, 5, (4, MODELS, tracks))
    root = random.normal(size=(MODELS, tracks, 4, 4))
    spread = root @ root.swapaxes(2, 3) + np.eye(4)
    bank[4:] = spread[:, :, ROW, COLUMN].transpose(2, 0, 1)
    weight = random.dirichlet(np.ones(MODELS), tracks).T
    return bank, weight


def matrices(bank: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means (MODELS, n, 4) and covariances (MODELS, n, 4, 4)."""
    return bank[:4].transpose(1, 2, 0), bank[FULL].transpose(2, 3, 0, 1)


def test_prediction_equals_the_integral_of_each_model() -> None:
    """Van Loan's (1978) matrix exponential gives transition and process noise of the same continuous model."""
    random = np.random.default_rng(1)
    bank, _ = a_bank(random, 5)
    dt = 3.7
    later_mean, later = matrices(moved(bank, np.full(5, dt)))
    mean, spread = matrices(bank)
    for model in range(MODELS):
        drift = np.zeros((4, 4))
        drift[0, 2] = drift[1, 3] = 1.0
        drift[2, 2] = drift[3, 3] = -1 / MEMORY_S[model]
        heat = 2 * SPEED_SIGMA_MPS[model] ** 2 / MEMORY_S[model]
        block = expm(np.block([[-drift, np.diag([0, 0, heat, heat])], [np.zeros((4, 4)), drift.T]]) * dt)
        transition = block[4:, 4:].T
        process = transition @ block[:4, 4:]
        for i in range(5):
            assert later_mean[model, i] == pytest.approx(transition @ mean[model, i])
            assert later[model, i] == pytest.approx(transition @ spread[model, i] @ transition.T + process)


def test_a_change_of_mind_keeps_the_whole_mean_and_no_time_changes_nothing() -> None:
    random = np.random.default_rng(2)
    bank, weight = a_bank(random, 6)
    habit = habit_of(random.dirichlet(np.ones(len(CLASSES)), 6))
    same, still = mixed(bank, weight, habit, np.zeros(6))
    assert same == pytest.approx(bank)
    assert still == pytest.approx(weight)
    later, later_weight = mixed(bank, weight, habit, np.full(6, 1e-9))
    assert collapsed(later, later_weight) == pytest.approx(collapsed(bank, weight), abs=1e-6)
    assert mixed(bank, weight, habit, np.full(6, 1e9))[1] == pytest.approx(habit)


def test_a_track_unseen_for_minutes_is_where_a_random_walk_would_be() -> None:
    """Long after, the variance of an integrated Ornstein–Uhlenbeck process grows by 2 σ² τ a second."""
    bank = np.zeros((COMPONENTS, MODELS, 1))
    hour, more = (moved(bank, np.array([t])) for t in (3600.0, 3700.0))
    assert (more[4] - hour[4])[:, 0] == pytest.approx(100 * 2 * SPEED_SIGMA_MPS**2 * MEMORY_S, rel=1e-4)


def test_the_update_equals_the_textbook_one_under_every_model() -> None:
    random = np.random.default_rng(3)
    bank, _ = a_bank(random, 4)
    seen, noise = random.normal(size=(2, 4)), np.tile(np.array([[2.0], [0.5], [1.0]]), 4)
    observe, as_matrix = np.eye(2, 4), np.array([[2.0, 0.5], [0.5, 1.0]])
    later_mean, later = matrices(updated(bank, seen, noise))
    mean, spread = matrices(bank)
    d2, log_density = log_densities(bank, seen, noise)
    for model in range(MODELS):
        for i in range(4):
            innovation = spread[model, i][:2, :2] + as_matrix
            off = seen[:, i] - mean[model, i, :2]
            gain = spread[model, i] @ observe.T @ np.linalg.inv(innovation)
            assert later_mean[model, i] == pytest.approx(mean[model, i] + gain @ off)
            assert later[model, i] == pytest.approx((np.eye(4) - gain @ observe) @ spread[model, i])
            assert log_density[model, i] == pytest.approx(multivariate_normal(cov=innovation).logpdf(off))
            assert d2[model, i] == pytest.approx(off @ np.linalg.solve(innovation, off))


def test_a_blend_has_the_moments_of_the_mixture() -> None:
    random = np.random.default_rng(4)
    bank, weight = a_bank(random, 2)
    later, later_weight = a_bank(random, 5)
    of, starts = np.array([0, 0, 0, 1, 1]), np.array([0, 3])
    shares = np.array([0.2, 0.1, 0.4, 0.5, 0.3])
    stayed = np.array([0.3, 0.2])
    whole, both = blended(bank, stayed * weight, later, shares * later_weight, of, starts)
    assert both.sum(axis=0) == pytest.approx(1.0)
    means, spreads = matrices(np.concatenate([bank, later], axis=2))
    shared = np.concatenate([stayed * weight, shares * later_weight], axis=1)
    got_mean, got = matrices(whole)
    for track, rows in ((0, [0, 2, 3, 4]), (1, [1, 5, 6])):
        for model in range(MODELS):
            w = shared[model, rows] / shared[model, rows].sum()
            mean = w @ means[model, rows]
            off = means[model, rows] - mean
            assert got_mean[model, track] == pytest.approx(mean)
            assert got[model, track] == pytest.approx(
                np.einsum("k,kij->ij", w, spreads[model, rows]) + (w * off.T) @ off
            )


def test_one_detection_each_blends_as_many_do() -> None:
    random = np.random.default_rng(5)
    (bank, weight), (later, later_weight) = a_bank(random, 3), a_bank(random, 3)
    share = np.array([0.2, 0.9, 1.0])
    one = blended(bank, (1 - share) * weight, later, share * later_weight, np.arange(3), np.arange(3))
    again = np.repeat(np.arange(3), 2)
    two = blended(
        bank,
        (1 - share) * weight,
        later[..., again],
        (share / 2 * later_weight)[..., again],
        again,
        np.array([0, 2, 4]),
    )
    assert one[0] == pytest.approx(two[0])
    assert one[1] == pytest.approx(two[1])


def test_within_reach_gives_the_moments_of_the_belief_cut_off_there() -> None:
    """Against sampling: a long belief about something that is within reach of a sensor."""
    random = np.random.default_rng(6)
    spread = np.array([[400.0, 150.0], [150.0, 900.0]])
    mean, centre, sigma = np.array([30.0, -10.0]), np.array([0.0, 0.0]), 30.0
    whole = np.zeros((COMPONENTS, 1))
    whole[:2, 0], whole[4, 0], whole[5, 0], whole[6, 0] = mean, 400.0, 150.0, 900.0
    place, noise = within_reach(whole, centre[:, None], np.array([[sigma**2], [0.0], [sigma**2]]))
    as_matrix = np.array([[noise[0, 0], noise[1, 0]], [noise[1, 0], noise[2, 0]]])
    gain = spread @ np.linalg.inv(spread + as_matrix)
    got_mean, got = mean + gain @ (place[:, 0] - mean), (np.eye(2) - gain) @ spread
    _, axes = np.linalg.eigh(spread)
    drawn = random.multivariate_normal(mean, spread, 400_000)
    kept = drawn[(np.abs(drawn @ axes) < REACH_SIGMAS * sigma).all(axis=1)]
    assert got_mean == pytest.approx(kept.mean(axis=0), abs=0.2)
    assert got == pytest.approx(np.cov(kept.T), abs=6.0)


def test_something_in_reach_said_a_hundred_times_is_not_known_better_than_its_reach() -> None:
    rows = detections(np.arange(100) * 2.0, np.zeros((100, 2)), sigma_m=30.0, kind=np.full(100, Kind.PRESENCE, np.int8))
    _, scans = run(rows)
    track = scans[-1].tracks.take(scans[-1].tracks.confirmed)
    assert len(track) == 1
    assert largest_sigma(packed(track.covariance))[0] > 15.0


def test_small_matrices_are_inverted_as_numpy_inverts_them() -> None:
    m = np.array([[[4.0, 1.0], [1.0, 3.0]], [[1e-3, 0.0], [0.0, 1e3]]])
    inverted, determinant = inverse(packed(m))
    assert inverted == pytest.approx(packed(np.linalg.inv(m)))
    assert determinant == pytest.approx(np.linalg.det(m))
    assert largest_sigma(packed(m)) == pytest.approx(np.sqrt(np.linalg.eigvalsh(m)[:, 1]))


# ── association ──────────────────────────────────────────────────────────────────────────────────


def exact_marginals(odds: np.ndarray) -> np.ndarray:
    """By counting every way in which each track and each detection has at most one partner."""
    total, shares = 0.0, np.zeros_like(odds)
    tracks, count = odds.shape
    for choice in itertools.product(range(-1, count), repeat=tracks):
        taken = [j for j in choice if j >= 0]
        if len(set(taken)) < len(taken):
            continue
        weight = float(np.prod([odds[i, j] for i, j in enumerate(choice) if j >= 0]))
        total += weight
        for i, j in enumerate(choice):
            if j >= 0:
                shares[i, j] += weight
    return shares / total


@pytest.mark.parametrize("seed", range(20))
def test_marginals_are_near_those_counted_out(seed: int) -> None:
    random = np.random.default_rng(seed)
    evidence = random.normal(0.5, 2.5, random.integers(1, 5, 2))
    track, detection = (a.ravel() for a in np.indices(evidence.shape))
    found = marginals(Pairs(track, detection, evidence.ravel()), np.zeros(evidence.shape[1], np.int64))
    assert np.abs(found.reshape(evidence.shape) - exact_marginals(np.exp(evidence))).max() < 0.1


def test_marginals_of_what_forms_no_loop_are_exact() -> None:
    evidence = np.array([2.0, 0.5, 1.0])  # two tracks that share one detection, one of which has another
    found = marginals(Pairs(np.array([0, 0, 1]), np.array([0, 1, 1]), evidence), np.zeros(2, np.int64))
    odds = np.array([[np.exp(2.0), np.exp(0.5)], [0.0, np.exp(1.0)]])
    assert found == pytest.approx(exact_marginals(odds)[[0, 0, 1], [0, 1, 1]], abs=1e-3)


@pytest.mark.parametrize("seed", range(10))
def test_marginals_stay_probabilities_whatever_the_evidence(seed: int) -> None:
    random = np.random.default_rng(seed)
    track, detection = (a.ravel() for a in np.indices((6, 7)))
    evidence = random.choice([-700.0, -20.0, 0.0, 30.0, 60.0, 700.0], 42)
    chance = marginals(Pairs(track, detection, evidence), np.zeros(7, np.int64))
    assert np.isfinite(chance).all()
    assert (np.bincount(track, chance) <= 1 + 1e-9).all()
    assert (np.bincount(detection, chance) <= 1.1).all()  # belief propagation's own error where all is a loop


def test_a_track_may_be_seen_once_in_each_of_two_frames() -> None:
    evidence = np.array([8.0, 8.0])
    both = Pairs(np.array([0, 0]), np.array([0, 1]), evidence)
    assert marginals(both, np.array([0, 1])) == pytest.approx([1.0, 1.0], abs=1e-3)
    assert marginals(both, np.array([0, 0])) == pytest.approx([0.5, 0.5], abs=1e-3)


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


def test_a_track_unseen_for_longer_than_it_may_coast_is_told_of_no_more_and_later_forgotten() -> None:
    _, scans = run(walk(range(20)), detections(200.0, [[9000.0, 9000.0]]))
    told = {round((scan.time_ns - T0) / NS): int(scan.tracks.confirmed.sum()) for scan in scans}
    assert told[39] == 1
    assert told[41] == 0
    state, _ = run(walk(range(20)), detections(400.0, [[9000.0, 9000.0]]))
    assert len(state.tracks) == 1
    assert state.tracks.mean[0, 0] > 8000


def test_a_walker_found_again_after_a_minute_is_the_same_track() -> None:
    seen = Detections.joined([walk(range(20)), walk(range(80, 100), seed=2)])
    _, scans = run(seen)
    told = [set(scan.tracks.id[scan.tracks.confirmed].tolist()) for scan in scans]
    assert len(set().union(*told)) == 1
    assert told[-8]
    assert not told[50]


def test_another_who_comes_where_nobody_could_have_walked_is_another_track() -> None:
    seen = Detections.joined([walk(range(20)), walk(range(80, 100), start=(900.0, 900.0), seed=2)])
    _, scans = run(seen)
    assert len(set().union(*(scan.tracks.id[scan.tracks.confirmed].tolist() for scan in scans))) == 2


def test_a_camera_that_looks_and_does_not_see_a_track_takes_belief_from_it() -> None:
    rows = walk(range(10))
    looks = Looks(*(np.array(c) for c in zip(*[(T0 + s * NS, T0 + s * NS, 0) for s in range(10, 16)], strict=True)))
    looks = looks.but(sensor=looks.sensor.astype(np.int32))
    said = {}
    for who, known in ((0, True), (0, False), (1, True), (1, False)):
        few = sensors(8, view_known=np.full(8, known))
        theirs = looks.but(sensor=np.full(len(looks), who, np.int32))
        state, _ = fuse(SETTINGS, few, ONE_SECTOR, at_rest(), rows, Looks.none(), None)
        state, _ = fuse(SETTINGS, few, ONE_SECTOR, state, Detections.none(), theirs, None)
        said[who, known] = float(state.tracks.existence[0])
    assert said[0, True] == said[0, False] < 0.5  # it saw the track before, so it looks there
    assert said[0, True] < said[1, True] < said[1, False]  # another may not see the place, or not even look there
    assert said[1, False] > 0.95


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


# ── kinds of measurement ─────────────────────────────────────────────────────────────────────────


def bearings(at_s: float, foot: np.ndarray, target: np.ndarray, sensor: int, random: np.random.Generator) -> Detections:
    """What a camera without range says: the middle of its 2 km ray, long along it and half a degree wide."""
    ray = target - foot
    angle = np.arctan2(ray[1], ray[0]) + random.normal(0, 0.009)
    along = np.array([np.cos(angle), np.sin(angle)])
    aside = np.array([-along[1], along[0]])
    covariance = (2000 / np.sqrt(12)) ** 2 * np.outer(along, along) + (1000 * 0.009) ** 2 * np.outer(aside, aside)
    row = detections(at_s, [foot + 1000 * along], sensor=sensor, kind=np.array([Kind.BEARING], np.int8))
    return row.but(covariance=covariance[None])


def test_two_cameras_that_know_only_bearings_find_where_a_walker_is() -> None:
    random = np.random.default_rng(7)
    feet = np.array([[0.0, -600.0], [700.0, -500.0]])
    few = sensors(2, position=feet, range_m=np.full(2, 2000.0))
    rows = Detections.joined(
        [
            bearings(second + 0.2 + sensor * 0.3, feet[sensor], np.array([100 + 1.4 * second, 50.0]), sensor, random)
            for second in range(30)
            for sensor in (0, 1)
        ]
    )
    state, _ = fuse(SETTINGS, few, ONE_SECTOR, at_rest(), rows, Looks.none(), None)
    told = state.tracks.take(state.tracks.confirmed)
    assert len(told) == 1
    truth = np.array([100 + 1.4 * (told.updated_ns[0] - T0) / NS, 50.0])
    off = told.mean[0, :2] - truth
    assert np.hypot(*off) < 12.0
    assert off @ np.linalg.solve(told.covariance[0, :2, :2], off) < 13.8  # 99.9 % of two degrees of freedom


def test_bearings_from_one_place_do_not_make_the_range_known() -> None:
    random = np.random.default_rng(8)
    foot = np.array([0.0, 0.0])
    few = sensors(1, position=foot[None], range_m=np.array([2000.0]))
    rows = Detections.joined([bearings(s + 0.2, foot, np.array([0.0, 900.0]), 0, random) for s in range(60)])
    state, _ = fuse(SETTINGS, few, ONE_SECTOR, at_rest(), rows, Looks.none(), None)
    track = state.tracks.take(state.tracks.confirmed)
    assert len(track) == 1
    across, along = np.sqrt(track.covariance[0, [0, 1], [0, 1]])
    assert across < 10.0
    assert along > 60.0


@pytest.mark.parametrize(("sigma", "speed"), [(np.inf, 1.0), (0.7, 2.0)])
def test_who_crosses_a_fence_goes_the_way_it_says(sigma: float, speed: float) -> None:
    fence = np.array([[40.0**2 / 12, 0.0], [0.0, 1.0]])
    row = detections(0.2, [[0.0, 0.0]], kind=np.array([Kind.CROSSING], np.int8)).but(
        covariance=fence[None], velocity=np.array([[0.0, speed]]), velocity_sigma_mps=np.array([sigma])
    )
    _, scans = run(row)
    track = scans[-1].tracks
    assert track.mean[0, 3] > 0.5
    assert abs(track.mean[0, 2]) < 0.1
    assert np.linalg.eigvalsh(track.covariance[0]).min() > 0
    if np.isfinite(sigma):
        assert track.mean[0, 3] == pytest.approx(speed, abs=0.7)


def test_a_stated_direction_cuts_off_the_other_half_of_the_velocity() -> None:
    """Half of a normal has mean σ√(2/π) and variance σ²(1 − 2/π)."""
    row = detections(0.0, [[0.0, 0.0]]).but(velocity=np.array([[1.0, 0.0]]), velocity_sigma_mps=np.array([np.inf]))
    bank, _ = heading(begun(row.position, row.covariance), np.full((MODELS, 1), 1 / MODELS), row)
    assert bank[2, :, 0] == pytest.approx(SPEED_SIGMA_MPS * np.sqrt(2 / np.pi))
    assert bank[11, :, 0] == pytest.approx(SPEED_SIGMA_MPS**2 * (1 - 2 / np.pi))
    assert bank[13, :, 0] == pytest.approx(SPEED_SIGMA_MPS**2)


def test_an_aircraft_that_nobody_calls_one_is_followed() -> None:
    at = np.arange(0.0, 60.0, 5.0)
    unlabelled = np.full((len(at), len(CLASSES)), 1 / len(CLASSES))
    rows = detections(at, np.stack([200 * at, 50 * at], axis=1), sigma_m=30.0).but(class_likelihood=unlabelled)
    wide = sensors(1, range_m=np.array([100_000.0]))
    state, _ = fuse(SETTINGS, wide, ONE_SECTOR, at_rest(), rows, Looks.none(), int(rows.received_ns[-1]) + NS)
    track = state.tracks.take(state.tracks.confirmed)
    assert len(track) == 1
    assert track.mean[0, 2:] == pytest.approx([200.0, 50.0], abs=12.0)
    assert track.hits[0] == len(at)


def test_a_ship_that_reports_every_three_minutes_by_name_stays_itself() -> None:
    at = np.arange(0.0, 1800.0, 180.0)
    rows = detections(at, np.stack([5 * at, 0 * at], axis=1), sigma_m=10.0, source=np.full(len(at), 7, np.uint64))
    state, scans = run(*(rows.take(slice(i, i + 1)) for i in range(len(at))))
    assert len(state.tracks) == 1
    assert state.tracks.hits[0] == len(at)
    assert len({int(i) for scan in scans for i in scan.tracks.id[scan.tracks.confirmed]}) == 1


@pytest.mark.parametrize(("own_error", "twice"), [(0.0, False), (3.0, True)])
def test_a_sensor_that_reports_each_target_twice_makes_one_track(own_error: float, twice: bool) -> None:
    random = np.random.default_rng(9)
    once = walk(range(30))
    again = once.but(position=once.position + random.normal(0, 1, once.position.shape) * (own_error or 0.01))
    rows = Detections.joined([once, again])
    rows = rows.take(np.argsort(rows.received_ns, kind="stable"))
    few = sensors(1, twice=np.array([twice]))
    state, _ = fuse(SETTINGS, few, ONE_SECTOR, at_rest(), rows, Looks.none(), int(rows.received_ns[-1]) + 3 * NS)
    assert state.tracks.confirmed.sum() == 1
    assert state.tracks.hits[state.tracks.confirmed][0] == 30


def test_two_who_walk_together_are_not_taken_for_one_reported_twice() -> None:
    both = Detections.joined([walk(range(30)), walk(range(30), start=(0.0, 12.0), seed=2)])
    _, scans = run(both.take(np.argsort(both.received_ns, kind="stable")))
    assert scans[-1].tracks.confirmed.sum() == 2


def test_what_a_sensor_is_always_off_by_is_learned_from_those_who_see_the_same() -> None:
    """A radar that sees all, and a camera that puts everyone 25 m east and 15 m south: one track each, and where they are."""
    random = np.random.default_rng(10)
    few = sensors(2, bias_sigma_m=np.array([0.0, 30.0]))
    start, speed = random.uniform(-300, 300, (4, 2)), random.normal(0, 1.2, (4, 2))
    rows = Detections.joined(
        [
            detections(
                s + 0.2 + 0.3 * k, start + s * speed + random.normal(0, 4, (4, 2)) + k * OFF, sensor=k, sigma_m=4.0
            )
            for s in range(90)
            for k in (0, 1)
        ]
    )
    state, _ = fuse(SETTINGS, few, ONE_SECTOR, at_rest(), rows, Looks.none(), int(rows.received_ns[-1]) + 2 * NS)
    told = state.tracks.take(state.tracks.confirmed & (state.tracks.existence > 0.5))
    assert len(told) == 4
    assert state.checkpoints[-1].biases.offset[0] == pytest.approx(OFF, abs=4.0)
    away, _ = KDTree(start + 90 * speed).query(told.mean[:, :2])
    assert away.max() < 8.0


def read_as(*said: dict[int, float]) -> tuple[np.ndarray, np.ndarray]:
    """(n, PLATES) tokens and shares."""
    tokens, shares = np.zeros((len(said), PLATES), np.uint64), np.zeros((len(said), PLATES))
    for row, one in enumerate(said):
        tokens[row, : len(one)], shares[row, : len(one)] = list(one), list(one.values())
    return tokens, shares


def test_a_plate_misread_in_one_frame_is_what_all_frames_together_say() -> None:
    state = read_as({1: 0.5, 2: 0.4})  # the true plate is 2
    for said in ({2: 0.6, 1: 0.3}, {3: 0.5, 2: 0.45}, {2: 0.9}):
        state = fused(*state, *read_as(said))
    assert state[0][0, 0] == 2
    assert state[1][0, 0] > 0.9
    assert state[1].sum() <= 1 + 1e-9


def test_two_readings_are_evidence_by_what_both_may_be() -> None:
    same, likely, other = read_as({1: 0.95}), read_as({2: 0.5, 1: 0.4}), read_as({9: 0.95})
    assert evidence(*same, *same) == pytest.approx(6.0, abs=0.2)
    assert 3.0 < evidence(*same, *likely)[0] < 6.0
    assert evidence(*same, *other) == pytest.approx(-6.0)
    assert evidence(*same, *read_as({})) == 0.0


def test_a_car_read_kilometres_apart_is_one_track() -> None:
    """Two readers 3 km apart on a road, three minutes between them, and nothing that sees the car on its way."""
    few = sensors(2, position=np.array([[0.0, 0.0], [3000.0, 0.0]]), range_m=np.full(2, 30.0))
    first, second = (
        detections(at + np.arange(4) * 0.3, np.tile([[x, 0.0]], (4, 1)), sensor=k, plate=np.full(4, 77, np.uint64))
        for k, at, x in ((0, 0.0, 0.0), (1, 180.0, 3000.0))
    )
    cars = [row.but(class_likelihood=np.tile(np.eye(len(CLASSES))[1] * 0.9 + 0.02, (4, 1))) for row in (first, second)]
    state, _ = fuse(SETTINGS, few, ONE_SECTOR, at_rest(), Detections.joined(cars), Looks.none(), T0 + 185 * NS)
    told = state.tracks.take(state.tracks.confirmed)
    assert len(told) == 1
    assert told.hits[0] == 8


# ── reasons ──────────────────────────────────────────────────────────────────────────────────────


def test_a_track_tells_its_whole_story() -> None:
    seen = Detections.joined([walk(range(20)), walk(range(80, 100), seed=2)])
    _, scans = run(seen, detections(500.0, [[9000.0, 9000.0]]))
    why = Reasons.joined([scan.reasons for scan in scans])
    first = why.track[0]
    told = [(What(w).name, int(o)) for t, w, o in zip(why.track, why.what, why.other, strict=True) if t == first]
    names = [name for name, _ in told]
    again = next(other for name, other in told if name == "FOUND_AGAIN")
    assert names[:2] == ["FOUNDED", "SEEN"]
    assert names.index("CONFIRMED") < names.index("UNSEEN") < names.index("FOUND_AGAIN")
    assert names[-1] == "FORGOTTEN"
    others = [What(w).name for t, w in zip(why.track, why.what, strict=True) if t == again]
    assert others[0] == "FOUNDED"
    assert names.count("SEEN") + others.count("SEEN") == 38
    counted = why.take(why.what == What.SEEN)
    assert (counted.sensor == 0).all()
    assert (counted.probability > 0.9).mean() > 0.9


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


def test_with_nothing_to_track_ten_hours_are_not_ten_hours_of_scans() -> None:
    state, _ = run(walk(range(2)))
    state, _ = fuse(SETTINGS, sensors(8), ONE_SECTOR, state, detections(300.0, [[0.0, 0.0]]), Looks.none(), None)
    state, fused = fuse(SETTINGS, sensors(8), ONE_SECTOR, state, detections(36_300.0, [[0.0, 0.0]]), Looks.none(), None)
    assert len(fused.scans) < 310


def test_scans_say_which_of_those_before_them_they_make_void() -> None:
    _, scans = run(walk(range(10)), walk(range(12, 20)))
    for before, after in pairwise(scans):
        assert after.after_ns <= before.time_ns < after.time_ns or after.time_ns <= before.time_ns
