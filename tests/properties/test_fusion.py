"""What must not change the tracks: order of arrival, chunking, and where and how the scene lies."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial import KDTree

from fusion.order import FusionState, at_rest, fuse
from fusion.settings import Settings
from model.detections import Detections, Looks
from model.time import NS
from model.tracks import Scan, Tracks
from model.world import SensorColumns
from tests.builders import ONE_SECTOR, T0, detections, sensors

SETTINGS = Settings()
RATIONED = Settings(rerun_tracks=0)  # late rows wait until in-time scans have earned their re-run
LOOKING = np.linspace(-3, 3, 6)
PLACES = 250.0 * np.stack([np.cos(LOOKING), np.sin(LOOKING)], axis=1)
FEW = sensors(
    6,
    position=PLACES,
    facing_rad=LOOKING + np.pi,
    half_angle_rad=np.full(6, 0.9),
    range_m=np.full(6, 450.0),
    false_alarms_per_hour=np.full(6, 1000.0),
)


@dataclass(frozen=True)
class Scene:
    """Rows and frames, each in order of receipt, and the sensors they are from."""

    rows: Detections
    looks: Looks
    sensors: SensorColumns = FEW

    def cut(self, times_ns: NDArray[np.int64]) -> "list[Scene]":
        """The same in pieces, by time of receipt."""
        edges = [-(1 << 62), *times_ns.tolist(), 1 << 62]
        return [
            Scene(*(c.take((c.received_ns > a) & (c.received_ns <= b)) for c in (self.rows, self.looks)), self.sensors)
            for a, b in pairwise(edges)
        ]

    def arriving(self, late_ns: NDArray[np.int64], looks_late_ns: NDArray[np.int64]) -> "Scene":
        rows = self.rows.but(received_ns=self.rows.received_ns + late_ns)
        looks = self.looks.but(received_ns=self.looks.received_ns + looks_late_ns)
        return Scene(*(c.take(np.argsort(c.received_ns, kind="stable")) for c in (rows, looks)), self.sensors)


def scene(seed: int, targets: int = 5, seconds: int = 12) -> Scene:
    """Walkers among false alarms, seen by sensors that are not in step."""
    random = np.random.default_rng(seed)
    start, speed = random.uniform(-150, 150, (targets, 2)), random.normal(0, 1.2, (targets, 2))
    rows, frames = [], []
    for second in range(seconds):
        for sensor in range(6):
            at_s = second + sensor * 0.13
            seen = random.random(targets) < 0.7
            place = (start + at_s * speed)[seen] + random.normal(0, 3, (int(seen.sum()), 2))
            place = np.concatenate([place, random.uniform(-200, 200, (random.poisson(0.3), 2))])
            late_s = random.uniform(0.05, 0.4)
            rows.append(detections(at_s, place, sensor=sensor, late_s=late_s))
            observed_ns = T0 + round(at_s * NS)
            frames.append((observed_ns, observed_ns + round(late_s * NS), sensor))
    joined = Detections.joined(rows)
    times = np.array(frames, np.int64)
    looks = Looks(times[:, 0], times[:, 1], times[:, 2].astype(np.int32))
    nothing = np.zeros(len(joined), np.int64), np.zeros(len(looks), np.int64)
    return Scene(joined, looks).arriving(*nothing)


def settled(batches: list[Scene], fusion: Settings = SETTINGS) -> dict[int, Scan]:
    """The last word on every scan."""
    state: FusionState = at_rest()
    scans: dict[int, Scan] = {}
    end_ns = max(int(c.received_ns.max(initial=0)) for b in batches for c in (b.rows, b.looks))
    for batch in [*batches, None]:
        rows, looks = (batch.rows, batch.looks) if batch else (Detections.none(), Looks.none())
        idle = None if batch else end_ns + 5 * NS
        state, fused = fuse(fusion, batches[0].sensors, ONE_SECTOR, state, rows, looks, idle)
        for scan in fused.scans:
            scans = {t: s for t, s in scans.items() if t <= scan.after_ns} | {scan.time_ns: scan}
    return scans


def same(one: dict[int, Scan], other: dict[int, Scan]) -> bool:
    """Are the tracks of both the same to the bit, at every instant that both have?"""
    times = one.keys() & other.keys()
    for time_ns in times:
        a, b = (s[time_ns].tracks.take(np.argsort(s[time_ns].tracks.id)) for s in (one, other))
        for name, column in a.arrays().items():
            if not np.array_equal(column, getattr(b, name)):
                return False
    return len(times) > 5


def alike(one: Scan, other: Scan, turn: NDArray[np.float64], shift: NDArray[np.float64]) -> bool:
    """Are the confirmed tracks of both the same but for a turn and a shift, to what rounding allows?"""
    a, b = (scan.tracks.take(scan.tracks.confirmed) for scan in (one, other))
    if len(a) != len(b) or not len(a):
        return False
    expected = a.mean[:, :2] @ turn.T + shift
    away, nearest = KDTree(b.mean[:, :2]).query(expected)
    return bool((away < 0.01).all() and np.allclose(a.existence, b.existence[nearest], atol=1e-4))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.floats(0, 14), min_size=1, max_size=30))
def test_however_a_recording_is_cut_the_tracks_are_the_same(seed: int, cuts: list[float]) -> None:
    whole = scene(seed)
    times = T0 + (np.sort(cuts) * NS).astype(np.int64)
    assert same(settled([whole]), settled(whole.cut(times)))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_in_whatever_order_rows_arrive_within_the_lateness_the_tracks_are_the_same(seed: int, shuffle: int) -> None:
    whole = scene(seed)
    random = np.random.default_rng(shuffle)
    late, looks_late = (
        np.where(random.random(n) < 0.3, random.uniform(0, 25, n) * NS, 0).astype(np.int64)
        for n in (len(whole.rows), len(whole.looks))
    )
    # Times of receipt are not part of a track, so both orders may be compared to the bit.
    assert same(settled([whole]), settled([whole.arriving(late, looks_late)]))


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.floats(0, 40), min_size=1, max_size=30))
def test_late_rows_that_wait_for_their_re_run_give_the_same_tracks_however_the_recording_is_cut(
    seed: int, cuts: list[float]
) -> None:
    whole = scene(seed, seconds=25)
    random = np.random.default_rng(seed)
    late, looks_late = (
        np.where(random.random(n) < 0.1, random.uniform(0, 29, n) * NS, 0).astype(np.int64)
        for n in (len(whole.rows), len(whole.looks))
    )
    delayed = whole.arriving(late, looks_late)
    times = T0 + (np.sort(cuts) * NS).astype(np.int64)
    waited = settled([delayed], RATIONED)
    assert same(settled([whole]), waited)
    assert same(waited, settled(delayed.cut(times), RATIONED))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_covariances_stay_symmetric_and_positive_and_nothing_is_nan(seed: int) -> None:
    for scan in settled([scene(seed, targets=8)]).values():
        sound(scan.tracks)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(-6, 9), st.floats(-6, 9), st.integers(1, 40))
def test_whatever_comes_in_nothing_is_nan(seed: int, least: float, most: float, count: int) -> None:
    """Covariances of every size and shape, from millimetres to a thousand kilometres, in one place and scattered."""
    random = np.random.default_rng(seed)
    place = random.normal(0, 10 ** random.uniform(-3, 5), (count, 2))
    sizes = 10.0 ** random.uniform(min(least, most), max(least, most), (count, 2))
    angle = random.uniform(0, np.pi, count)
    axes = np.stack([np.stack([np.cos(angle), -np.sin(angle)], 1), np.stack([np.sin(angle), np.cos(angle)], 1)], 1)
    spread = np.einsum("nij,nj,nkj->nik", axes, sizes, axes)
    rows = detections(
        random.integers(0, 8, count) / 2,
        place,
        sensor=random.integers(0, 6, count),
        kind=random.integers(0, 3, count).astype(np.int8),
        source=random.integers(0, 3, count).astype(np.uint64),
        plate=random.integers(0, 3, count).astype(np.uint64),
    ).but(covariance=(spread + spread.swapaxes(1, 2)) / 2)
    rows = rows.take(np.argsort(rows.received_ns, kind="stable"))
    for scan in settled([Scene(rows, Looks.none())]).values():
        sound(scan.tracks)


def sound(tracks: Tracks) -> None:
    covariance = tracks.covariance
    assert np.array_equal(covariance, covariance.swapaxes(1, 2))
    assert (np.linalg.eigvalsh(covariance) > 0).all()
    for column in (tracks.mean, tracks.bank, tracks.weight, tracks.existence, tracks.visible):
        assert np.isfinite(column).all()
    assert ((tracks.existence >= 0) & (tracks.existence <= 1)).all()
    assert np.allclose(tracks.weight.sum(axis=1), 1)
    assert np.allclose(tracks.class_probability.sum(axis=1), 1)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.floats(-3, 3), st.floats(-5e3, 5e3), st.floats(-5e3, 5e3))
def test_a_scene_moved_and_turned_gives_tracks_moved_and_turned(
    seed: int, angle: float, east: float, north: float
) -> None:
    whole = scene(seed)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shift = np.array([east, north])
    moved = Scene(
        whole.rows.but(position=whole.rows.position @ turn.T + shift),
        whole.looks,
        FEW.but(position=PLACES @ turn.T + shift, facing_rad=FEW.facing_rad + angle),
    )
    here, there = settled([whole]), settled([moved])
    assert alike(here[max(here)], there[max(here)], turn, shift)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.permutations(range(6)))
def test_sensors_in_another_order_give_the_same_tracks(seed: int, order: list[int]) -> None:
    whole = scene(seed)
    again = np.argsort(order)
    other = Scene(
        whole.rows.but(sensor=again[whole.rows.sensor].astype(np.int32)),
        whole.looks.but(sensor=again[whole.looks.sensor].astype(np.int32)),
        FEW.take(np.array(order)),
    )
    here, there = settled([whole]), settled([other])
    assert alike(here[max(here)], there[max(here)], np.eye(2), np.zeros(2))
    confirmed = (set(s[max(here)].tracks.id[s[max(here)].tracks.confirmed].tolist()) for s in (here, there))
    assert next(confirmed) == next(confirmed)
