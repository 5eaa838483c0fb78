"""The first three quarters of an hour of the long night: few alerts for each happening, and none missed."""

from pathlib import Path

import msgspec
import pytest

from model.time import ns_from_iso
from runtime import recording
from runtime.configuration import load
from runtime.replay import replay
from runtime.score.alerts import read_alerts, score_alerts
from runtime.score.score import read_rows
from runtime.simulator.exercise import read_exercise
from runtime.simulator.seeing import simulated
from runtime.world import world_of
from tests.builders import CONFIGS, KEY

SECONDS = 2700


@pytest.mark.parametrize("seed", [501])
def test_there_are_few_alerts_for_each_happening_and_none_is_missed(tmp_path: Path, seed: int) -> None:
    world = world_of(load(CONFIGS), KEY)
    exercise = read_exercise(CONFIGS / "exercises" / "long-night.toml").model_copy(
        update={"duration_s": SECONDS, "seed": seed}
    )
    messages, truth = simulated(world, exercise, ns_from_iso(exercise.start))
    files = {name: tmp_path / f"{name}.ndjson" for name in ("truth", "messages", "tracks", "alerts")}
    files["truth"].write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in truth))
    recording.write(files["messages"], [messages])
    replay(world, recording.read(files["messages"], recording.BATCH), files["tracks"], files["alerts"], None)
    said = score_alerts(world, read_alerts(files["alerts"]), read_rows(files["tracks"]), read_rows(files["truth"]))
    assert said["happenings_seen"] >= 8
    assert said["missed"] == 0, said["missed_list"]
    assert said["alerts_per_happening"] <= 1.05, said
