"""The mathematics under fusion: motion, estimates, marginals, plates, each against a reference worked out another way."""

import itertools

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.stats import multivariate_normal

from fusion.association import Pairs, marginals
from fusion.coverage import false_density, undetected_density, watched
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
from fusion.measurements import heading
from fusion.motion import MEMORY_S, SPEED_SIGMA_MPS, begun, collapsed, habit_of, mixed, moved
from fusion.plates import evidence, fused
from fusion.settings import Settings
from model.classes import CLASSES
from model.detections import PLATES
from model.tracks import COLUMN, COMPONENTS, FULL, MODELS, ROW, Tracks
from model.world import SensorColumns
from tests.builders import ONE_SECTOR, detections, sensors

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


# ── velocity and plates ──────────────────────────────────────────────────────────────────────────


def test_a_stated_direction_cuts_off_the_other_half_of_the_velocity() -> None:
    """Half of a normal has mean σ√(2/π) and variance σ²(1 − 2/π)."""
    row = detections(0.0, [[0.0, 0.0]]).but(velocity=np.array([[1.0, 0.0]]), velocity_sigma_mps=np.array([np.inf]))
    bank, _ = heading(begun(row.position, row.covariance), np.full((MODELS, 1), 1 / MODELS), row)
    assert bank[2, :, 0] == pytest.approx(SPEED_SIGMA_MPS * np.sqrt(2 / np.pi))
    assert bank[11, :, 0] == pytest.approx(SPEED_SIGMA_MPS**2 * (1 - 2 / np.pi))
    assert bank[13, :, 0] == pytest.approx(SPEED_SIGMA_MPS**2)


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


# ── coverage ─────────────────────────────────────────────────────────────────────────────────────


def fan(**columns: np.ndarray) -> SensorColumns:
    """One camera at the origin that looks east, 30° to either side, from 20 m to 1,000 m."""
    view = {"range_m": [1000.0], "near_m": [20.0], "facing_rad": [0.0], "half_angle_rad": [np.radians(30)]}
    return sensors(1, **view | columns)


@pytest.mark.parametrize(
    ("place", "chance"),
    [
        ([500.0, 0.0], 1.0),
        ([1000.0, 0.0], 0.5),
        ([1100.0, 0.0], 0.0),
        ([20.0, 0.0], 0.5),
        ([-500.0, 0.0], 0.0),
        ([500 * np.cos(np.radians(30)), 500 * np.sin(np.radians(30))], 0.5),
        ([0.0, 500.0], 0.0),
    ],
)
def test_a_track_is_in_view_as_far_as_its_uncertainty_lies_in_it(place: list[float], chance: float) -> None:
    track = Tracks.blank(1).but(mean=np.array([[*place, 0, 0]]), covariance=25.0 * np.eye(4)[None])
    _, _, found = watched(fan(), ONE_SECTOR, track, np.array([0], np.int32))
    assert found.sum() == pytest.approx(chance, abs=0.02)


def test_someone_new_is_expected_at_the_edge_of_a_view_and_not_in_its_middle() -> None:
    rows = detections(0.0, [[600.0, 0.0], [995.0, 0.0], [5000.0, 0.0]])
    middle, edge, beyond = undetected_density(Settings(), fan(), ONE_SECTOR, rows)
    assert edge > 10 * middle
    assert beyond == pytest.approx(Settings().birth_per_m2, rel=0.5)


def test_false_alarms_are_spread_over_the_view() -> None:
    camera = fan(false_alarms_per_hour=np.array([720.0]), looks_per_s=np.array([1.0]))
    area = np.radians(30) * (1000.0**2 - 20.0**2)
    assert false_density(camera, np.array([0]))[0] == pytest.approx(0.2 / area)
