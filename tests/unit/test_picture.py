"""The live picture, the status, the history and a replay show one list of tracks: that of the newest scan."""

import json
from pathlib import Path

from history.store import Query
from model.time import NS, iso_from_ns
from runtime.advance import beginning
from runtime.configuration import load
from runtime.picture import picture
from runtime.pipeline import Pipeline
from runtime.places import Places, history_of
from runtime.simulator.exercise import read_exercise
from runtime.simulator.seeing import simulated
from runtime.steps import steps
from runtime.tracklines import track_lines
from sensors.journal import Writer
from tests.builders import T0, shipped_world
from tests.site import CONFIGS, site_at

WORLD = shipped_world()
PLAYED_S, AFTERWARDS_S = 30, 20  # afterwards nobody is seen any more: what was, is remembered for minutes


def exercise() -> object:
    return read_exercise(CONFIGS / "exercises" / "demo.toml").model_copy(update={"duration_s": PLAYED_S})


def test_the_picture_has_the_tracks_of_the_newest_scan_and_none_that_is_only_remembered() -> None:
    messages, _ = simulated(WORLD, exercise(), T0)
    most, ghosts = 0, 0
    for state, outcome, _ in steps(WORLD, beginning(WORLD, T0), messages, T0 + (PLAYED_S + AFTERWARDS_S) * NS):
        if not outcome.scans:
            continue
        newest = max(outcome.scans, key=lambda scan: scan.time_ns)
        shown = json.loads(picture(WORLD, state))
        lines = [json.loads(line) for line in track_lines(WORLD, newest)]
        assert shown["time"] == iso_from_ns(newest.time_ns)
        assert sorted(t[0] for t in shown["tracks"]) == [line["track"] for line in lines]
        sure = {line["track"]: line["existence"] for line in lines}
        assert all(abs(t[10] - sure[t[0]]) <= 0.006 for t in shown["tracks"])  # two decimals of it
        assert all(t[10] >= WORLD.fusion.told_existence for t in shown["tracks"])
        most = max(most, len(shown["tracks"]))
        ghosts = max(ghosts, int(state.fusion.tracks.confirmed.sum()) - len(shown["tracks"]))
    assert most >= 5
    assert ghosts >= 3  # there were such


def test_picture_status_and_history_of_a_running_pipeline_are_one_list(tmp_path: Path) -> None:
    site = site_at(tmp_path)
    c = load(site)
    places, pipeline = Places(c.state), Pipeline(c, lambda _: None)
    messages, _ = simulated(WORLD, exercise(), T0)
    with Writer(places.journal, places.journal_keys()) as journal:
        journal.append(messages)
        journal.tick(T0 + (PLAYED_S + 5) * NS)
        journal.sync()
        while pipeline.turn():
            pass
    pipeline.close()
    shown = json.loads(places.picture.read_bytes())
    names = sorted(t[0] for t in shown["tracks"])
    store = history_of(c)
    rows = store.query(Query("tracks", T0, T0 + 3600 * NS)).to_pylist()
    newest_ns = max(row["time_ns"] for row in rows)
    assert iso_from_ns(newest_ns) == shown["time"]
    assert sorted(row["track"] for row in rows if row["time_ns"] == newest_ns) == names
    assert pipeline._status()["service"]["tracks"] == len(names) > 0
