"""Floods: more than a site's limits allow. Memory and work stay bounded, and the other sensors are served."""

import json
from dataclasses import replace

import numpy as np

from fusion.order import at_rest, fuse
from fusion.settings import Settings
from model.detections import Detections, Looks
from model.faults import FaultKind
from model.rejections import Reason
from model.time import NS, iso_from_ns
from model.tracks import Reasons, What
from runtime.advance import advance, beginning
from tests.builders import ONE_SECTOR, T0, detections, messages, sensors, shipped_world

BOUNDED = replace(Settings(), tracks_max=50, checkpoint_tracks_max=200)


def flood(second: int, count: int, sensor: int) -> Detections:
    """Detections all over a square kilometre, none near another's of a second before."""
    place = np.random.default_rng(second).uniform(-500, 500, (count, 2))
    return detections(np.full(count, second + 0.3), place, sensor=sensor)


def test_one_sensors_flood_displaces_its_own_tracks_and_no_other_sensors() -> None:
    state, few, reasons = at_rest(), sensors(2, range_m=[2000.0, 2000.0]), []
    for second in range(20):
        walker = detections(second + 0.1, [[1000 + 1.5 * second, 900]], sensor=1)
        rows = Detections.joined([walker, flood(second, 400, 0)])
        state, fused = fuse(BOUNDED, few, ONE_SECTOR, state, rows, Looks.none(), None)
        reasons += [scan.reasons for scan in fused.scans]
        assert len(state.tracks) <= BOUNDED.tracks_max
    followed = state.tracks.take(state.tracks.mean[:, 0] > 900)
    assert followed.confirmed.tolist() == [True]
    assert followed.hits[0] == 18
    shed = Reasons.joined(reasons)
    shed = shed.take(shed.what == What.SHED)
    assert len(shed) > 1000
    assert set(shed.sensor.tolist()) == {0}


def test_checkpoints_hold_no_more_tracks_than_their_limit_and_what_they_no_longer_reach_is_too_late() -> None:
    state, few = at_rest(), sensors(1, range_m=[2000.0])
    for second in range(20):
        state, _ = fuse(BOUNDED, few, ONE_SECTOR, state, flood(second, 400, 0), Looks.none(), None)
        assert sum(len(c.tracks) for c in state.checkpoints) <= BOUNDED.checkpoint_tracks_max
    late = detections(12.0, [[0, 0]])
    _, fused = fuse(BOUNDED, few, ONE_SECTOR, state, Detections.joined([late, flood(20, 1, 0)]), Looks.none(), None)
    assert len(fused.too_late) == 1


def test_a_single_scan_of_more_tracks_than_all_checkpoints_may_hold_is_kept() -> None:
    tight = replace(BOUNDED, checkpoint_tracks_max=10)
    state, few = at_rest(), sensors(1, range_m=[2000.0])
    for second in range(5):
        state, _ = fuse(tight, few, ONE_SECTOR, state, flood(second, 100, 0), Looks.none(), None)
    assert len(state.checkpoints) == 1
    assert len(state.tracks) == BOUNDED.tracks_max


def test_rows_that_come_29_s_late_each_second_run_at_most_two_scans_again_for_each_new_one() -> None:
    rationed, few = replace(Settings(), rerun_tracks=0), sensors(2, range_m=[2000.0, 2000.0])
    state, closed, again, waits_s = at_rest(), 0, 0, []
    for second in range(100):
        walker = detections(second, [[1.5 * second, 0]], sensor=0)
        late = detections(second - 29.0, [[1.5 * second - 43.5, 900]], sensor=1)
        rows = Detections.joined([late.but(received_ns=walker.received_ns), walker])
        newest_ns = state.closed_ns
        state, fused = fuse(rationed, few, ONE_SECTOR, state, rows, Looks.none(), None)
        assert not len(fused.too_late) or second < 30
        assert state.closed_ns == T0 + (second - 1) * NS  # what is in time waits for nothing
        closed += sum(s.time_ns > newest_ns for s in fused.scans)
        again += sum(s.time_ns <= newest_ns for s in fused.scans)
        waiting = [row for chunk in state.chunks[state.seen :] for row in chunk.rows.observed_ns.tolist()]
        waits_s.append((state.closed_ns - min(waiting, default=state.closed_ns)) / NS)
    assert again <= 2 * closed + 60
    assert max(waits_s) <= 60
    _, fused = fuse(rationed, few, ONE_SECTOR, state, Detections.none(), Looks.none(), T0 + 110 * NS)
    assert len(fused.scans) > 20  # when nothing else arrives, they wait no longer


def test_tracks_that_there_is_no_room_for_are_counted_and_told_by_sensor() -> None:
    world = shipped_world()
    world = replace(world, fusion=replace(world.fusion, tracks_max=5))
    state, rejected, faults = beginning(world, T0), 0, set()
    for second in range(1, 8):
        said = {
            "time": iso_from_ns(T0 + second * NS),
            "detections": [{"bearing_deg": 7 * i + second, "range_m": 200 + 30 * i} for i in range(40)],
        }
        sent = messages((second + 0.05, "marchwarden/san-rafael/detections/radar-west", json.dumps(said).encode()))
        state, outcome = advance(world, state, sent, T0 + (second + 1) * NS)
        rejected += sum(r.count for r in outcome.rejections if r.reason == Reason.OVER_LIMIT)
        faults |= {(fault.kind, fault.about) for fault in outcome.faults}
        assert len(state.fusion.tracks) <= 5
    assert rejected > 50
    assert faults == {(FaultKind.LOAD_SHED, "radar-west")}
