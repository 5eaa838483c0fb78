"""What must not change the tracks: order of arrival, chunking, and where and how the scene lies."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion.order import FusionState, at_rest, fuse
from fusion.settings import Settings
from model.detections import Detections, Looks
from model.time import NS
from model.tracks import Scan
from tests.builders import ONE_SECTOR, T0, detections, sensors

SETTINGS = Settings()
FEW = sensors(6)


def scene(seed: int, targets: int = 5, seconds: int = 12) -> Detections:
    """Walkers among false alarms, seen by sensors that are not in step, in order of receipt."""
    random = np.random.default_rng(seed)
    start, speed = random.uniform(-150, 150, (targets, 2)), random.normal(0, 1.2, (targets, 2))
    rows = []
    for second in range(seconds):
        for sensor in range(6):
            at_s = second + sensor * 0.13
            seen = random.random(targets) < 0.7
            place = (start + at_s * speed)[seen] + random.normal(0, 3, (int(seen.sum()), 2))
            place = np.concatenate([place, random.uniform(-200, 200, (random.poisson(0.3), 2))])
            rows.append(detections(at_s, place, sensor=sensor, late_s=random.uniform(0.05, 0.4)))
    joined = Detections.joined(rows)
    return joined.take(np.argsort(joined.received_ns, kind="stable"))


def settled(batches: list[Detections]) -> dict[int, Scan]:
    """The last word on every scan."""
    state: FusionState = at_rest()
    scans: dict[int, Scan] = {}
    end_ns = max(int(b.received_ns.max(initial=0)) for b in batches)
    for batch in [*batches, Detections.none()]:
        idle = end_ns + 5 * NS if not len(batch) else None
        state, fused = fuse(SETTINGS, FEW, ONE_SECTOR, state, batch, Looks.none(), idle)
        for scan in fused.scans:
            scans = {t: s for t, s in scans.items() if t <= scan.after_ns} | {scan.time_ns: scan}
    return scans


def same(one: dict[int, Scan], other: dict[int, Scan]) -> bool:
    """Are the confirmed tracks of both the same to the bit, at every instant that both have?"""
    times = one.keys() & other.keys()
    for time_ns in times:
        a, b = (s[time_ns].tracks.take(np.argsort(s[time_ns].tracks.id)) for s in (one, other))
        for name, column in a.arrays().items():
            if not np.array_equal(column, getattr(b, name)):
                return False
    return len(times) > 5


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(1, 60), min_size=1, max_size=30))
def test_however_a_recording_is_cut_the_tracks_are_the_same(seed: int, cuts: list[int]) -> None:
    rows = scene(seed)
    edges = [0, *np.cumsum(cuts).clip(max=len(rows)).tolist(), len(rows)]
    assert same(settled([rows]), settled([rows.take(slice(a, b)) for a, b in pairwise(edges)]))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_in_whatever_order_rows_arrive_within_the_lateness_the_tracks_are_the_same(seed: int, shuffle: int) -> None:
    rows = scene(seed)
    random = np.random.default_rng(shuffle)
    late_ns = np.where(random.random(len(rows)) < 0.3, random.uniform(0, 25, len(rows)) * NS, 0).astype(np.int64)
    late = rows.but(received_ns=rows.received_ns + late_ns)
    late = late.take(np.argsort(late.received_ns, kind="stable"))
    # Times of receipt are not part of a track, so both orders may be compared to the bit.
    assert same(settled([rows]), settled([late]))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_covariances_stay_symmetric_and_positive_and_nothing_is_nan(seed: int) -> None:
    for scan in settled([scene(seed, targets=8)]).values():
        covariance = scan.tracks.covariance
        assert np.array_equal(covariance, covariance.swapaxes(1, 2))
        assert (np.linalg.eigvalsh(covariance) > 0).all()
        assert np.isfinite(scan.tracks.mean).all()
        assert ((scan.tracks.existence >= 0) & (scan.tracks.existence <= 1)).all()
        assert np.allclose(scan.tracks.class_probability.sum(axis=1), 1)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.floats(-3, 3), st.floats(-5e3, 5e3), st.floats(-5e3, 5e3))
def test_a_scene_moved_and_turned_gives_tracks_moved_and_turned(
    seed: int, angle: float, east: float, north: float
) -> None:
    rows = scene(seed)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = rows.but(position=rows.position @ turn.T + [east, north])
    here, there = settled([rows]), settled([moved])
    last = max(here)
    expected = here[last].tracks.mean[:, :2] @ turn.T + [east, north]
    found = there[last].tracks.mean[:, :2]
    assert len(found) == len(expected)
    away = np.abs(found[:, None] - expected[None]).max(axis=2).min(axis=1)
    assert (away < 1e-4).all()
    assert last > T0
