"""GOSPA by hand and by brute force; identity switches; the simulator's promises; recordings; snapshots."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.alerts import Incident
from model.messages import Messages
from model.time import NS, iso_from_ns, ns_from_iso
from runtime import recording
from runtime.advance import State, beginning
from runtime.score.gospa import gospa
from runtime.score.score import Row, score
from runtime.simulator.exercise import read_exercise
from runtime.simulator.seeing import simulated
from runtime.snapshot import Parts, Unreadable, restored, snapshot
from runtime.steps import steps
from tests.builders import CONFIGS, T0, messages, shipped_world

POINTS = st.lists(st.tuples(st.floats(-200, 200), st.floats(-200, 200)), max_size=4)


def brute(truth: list[tuple[float, float]], tracks: list[tuple[float, float]], c: float) -> float:
    """The definition: the best over all partial one-to-one assignments."""
    best = np.inf
    for size in range(min(len(truth), len(tracks)) + 1):
        for a in itertools.combinations(range(len(truth)), size):
            for b in itertools.permutations(range(len(tracks)), size):
                near = sum(
                    min(np.hypot(truth[i][0] - tracks[j][0], truth[i][1] - tracks[j][1]), c) ** 2
                    for i, j in zip(a, b, strict=True)
                )
                best = min(best, near + c**2 / 2 * (len(truth) + len(tracks) - 2 * size))
    return float(np.sqrt(best))


@settings(deadline=None)
@given(POINTS, POINTS)
def test_gospa_is_the_best_over_all_assignments(
    truth: list[tuple[float, float]], tracks: list[tuple[float, float]]
) -> None:
    found = gospa(np.array(truth).reshape(-1, 2), np.array(tracks).reshape(-1, 2), 100.0)
    assert found.distance == pytest.approx(brute(truth, tracks, 100.0), abs=1e-6)
    assert found.missed + len(found.pairs) == len(truth)
    assert found.false + len(found.pairs) == len(tracks)


def test_gospa_by_hand() -> None:
    found = gospa(np.array([[0.0, 0.0], [500.0, 0.0]]), np.array([[3.0, 4.0], [-500.0, 0.0]]), 100.0)
    assert (found.localisation, found.missed, found.false) == (25.0, 1, 1)
    assert found.distance == pytest.approx(np.sqrt(25 + 2 * 100**2 / 2))


def row(second: int, lat: float, track: str = "", target: str = "", in_view: bool = True) -> tuple[int, Row]:
    return T0 + second * NS, Row(iso_from_ns(T0 + second * NS), lat, -110.6, track, target, in_view)


def test_a_track_that_changes_its_name_is_one_switch_and_a_target_long_out_of_view_does_not_count() -> None:
    truth = [row(t, 31.34, target="a", in_view=t < 10) for t in range(60)]
    tracks = [row(t, 31.34, track="T1" if t < 5 else "T2") for t in range(10)]
    said = score(tracks, truth, memory_s=20)
    assert said["identity_switches"] == 1
    assert said["missed"] * said["scans"] == pytest.approx(20)
    assert said["siap"]["completeness"] == pytest.approx(10 / 30)


# ── the simulator ────────────────────────────────────────────────────────────────────────────────


def test_the_same_seed_gives_the_same_messages_and_another_gives_others() -> None:
    world = shipped_world()
    exercise = read_exercise(CONFIGS / "exercises" / "demo.toml").model_copy(update={"duration_s": 40})
    one, truth = simulated(world, exercise, T0)
    two, _ = simulated(world, exercise, T0)
    other, _ = simulated(world, exercise.model_copy(update={"seed": 99}), T0)
    assert one.payloads == two.payloads
    assert one.payloads != other.payloads
    assert (np.diff(one.received_ns) >= 0).all()
    assert any(line["in_view"] for line in truth)


# ── recordings and snapshots ─────────────────────────────────────────────────────────────────────


@given(
    st.lists(
        st.tuples(st.text(max_size=8), st.binary(max_size=30) | st.just(b'{"a":\n [1]}'), st.booleans()), max_size=10
    )
)
def test_a_recording_gives_back_what_was_received(
    tmp_path_factory: pytest.TempPathFactory, said: list[tuple[str, bytes, bool]]
) -> None:
    batch = Messages(
        T0 + 1000 * np.arange(len(said)),
        tuple(t for t, _, _ in said),
        tuple(p for _, p, _ in said),
        np.array([r for _, _, r in said], np.bool_),
    )
    path = tmp_path_factory.mktemp("r") / "m.ndjson"
    recording.write(path, [batch])
    read = Messages.joined(list(recording.read(path)))
    assert read.received_ns.tolist() == batch.received_ns.tolist()
    assert read.topics == batch.topics
    for a, b in zip(read.payloads, batch.payloads, strict=True):
        assert a == b or json.loads(a) == json.loads(b)


@pytest.mark.parametrize("line", ["{", '{"received": "noon", "topic": "t", "payload": 1}', '{"topic": "t"}'])
def test_a_bad_line_of_a_recording_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "m.ndjson"
    path.write_text('{"received": "2026-11-20T04:20:30Z", "topic": "t", "payload": 1, "retain": false}\n' + line + "\n")
    with pytest.raises(recording.BadRecording, match="line 2"):
        list(recording.read(path))


def played() -> State:
    world = shipped_world()
    exercise = read_exercise(CONFIGS / "exercises" / "demo.toml").model_copy(update={"duration_s": 30})
    sent, _ = simulated(world, exercise, T0)
    state = beginning(world, T0)
    for state, _, _ in steps(world, state, sent, int(sent.received_ns[-1])):  # noqa: B007, B020
        pass
    return state


def test_a_snapshot_gives_back_the_state_whole_and_in_parts() -> None:
    state = played()
    assert state.alerts.incidents
    assert len(state.fusion.tracks)
    whole = snapshot(state)
    assert snapshot(restored(State, whole)) == whole
    parts = Parts((type(state.fusion.checkpoints[0]),))
    root, fresh, used = parts.snapshot(state)
    assert snapshot(restored(State, root, fresh)) == whole
    again, none, still = parts.snapshot(state)
    assert (again, none, still) == (root, {}, used)


def test_a_snapshot_of_another_type_is_not_misread() -> None:
    with pytest.raises(Unreadable):
        restored(Incident, snapshot(beginning(shipped_world(), T0)))


def test_times_are_read_to_the_nanosecond_and_in_any_zone() -> None:
    assert ns_from_iso("2026-11-20T04:20:30.123456789Z") % NS == 123_456_789
    assert ns_from_iso("2026-11-20T04:20:30-07:00") == ns_from_iso("2026-11-20 11:20:30")
    for bad in ("2026-13-20T04:20:30Z", "2026-11-20", "20 Nov", "2026-11-20T25:00:00Z"):
        with pytest.raises(ValueError):
            ns_from_iso(bad)
    assert messages((0, "t", b"")).received_ns[0] == T0
