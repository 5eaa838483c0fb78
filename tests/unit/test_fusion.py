"""Fusion: the life of a track, kinds of measurement, reasons, event time."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.spatial import KDTree

from fusion.estimation import largest_sigma, packed
from fusion.layers import layers_of
from fusion.order import FusionState, at_rest, fuse
from fusion.settings import Settings
from geo.frames import Sectors, plane_from_wgs84, sector_of, wgs84_from_plane
from geo.roads import roads_of
from model.classes import CLASSES
from model.detections import Detections, Kind, Looks
from model.time import NS
from model.tracks import Reasons, Scan, What
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


# ── frames and ground sensors ────────────────────────────────────────────────────────────────────


def test_something_in_reach_said_a_hundred_times_is_not_known_better_than_its_reach() -> None:
    rows = detections(np.arange(100) * 2.0, np.zeros((100, 2)), sigma_m=30.0, kind=np.full(100, Kind.PRESENCE, np.int8))
    _, scans = run(rows)
    track = scans[-1].tracks.take(scans[-1].tracks.confirmed)
    assert len(track) == 1
    assert largest_sigma(packed(track.covariance))[0] > 15.0


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


def test_a_car_that_nobody_sees_follows_the_bend_of_its_road() -> None:
    """Seen for 20 s on a road that turns left 150 m on; 15 s later it is round the bend, where straight on it would not be."""
    road = roads_of([np.array([[-1000.0, 0.0], [500.0, 0.0], [500.0, 900.0]])], [0], [4.0])
    at = np.arange(20.0)
    vehicle = np.tile(np.eye(len(CLASSES))[1] * 0.9 + 0.02, (20, 1))
    rows = detections(at, np.stack([70 + 15 * at, 0 * at], axis=1), sigma_m=2.0).but(class_likelihood=vehicle)
    away = {}
    for name, network in (("road", road), ("none", roads_of([], [], []))):
        _, scans = run(rows, detections(36.0, [[9e3, 9e3]]), settings=replace(SETTINGS, roads=network, vague_m=500.0))
        scan = next(s for s in scans if s.time_ns >= T0 + 34 * NS)
        gone = 70 + 15 * (scan.time_ns - T0) / NS - 500
        away[name] = np.hypot(*(scan.tracks.mean[scan.tracks.confirmed][0, :2] - [500.0, gone]))
        velocity = scan.tracks.mean[scan.tracks.confirmed][0, 2:]
        assert np.linalg.eigvalsh(scan.tracks.covariance[0]).min() > 0
        if name == "road":
            assert velocity[1] > 10 > 2 > abs(velocity[0])
    assert away["road"] < 30.0 < 80.0 < away["none"]


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


def test_rows_that_are_chosen_are_those_that_are_taken() -> None:
    rows = detections(np.arange(5.0), np.arange(10.0).reshape(5, 2))
    for which in (np.array([3, 0, 0]), np.array([True, False, True, False, True]), np.zeros(0, np.int64)):
        chosen, taken = rows.chosen(which), rows.take(which)
        assert len(chosen) == len(taken)
        again = np.arange(len(taken))[::-1]
        for one, other in ((chosen.chosen(again), taken.take(again)), (chosen, taken)):
            for name, column in other.arrays().items():
                assert np.array_equal(one.arrays()[name], column)
        assert list(chosen.arrays()) == list(rows.arrays())
    with pytest.raises(AttributeError):
        _ = rows.chosen(np.array([0])).nothing  # type: ignore[attr-defined]
