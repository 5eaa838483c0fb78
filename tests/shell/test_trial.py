"""Rules tried on the past: the history of a real run of the pipeline, judged again."""

import json
import time
from pathlib import Path

import pytest

from model.time import NS, iso_from_ns
from runtime.configuration import load
from runtime.pipeline import Pipeline
from runtime.places import Places
from runtime.simulator.exercise import read_exercise
from runtime.simulator.seeing import simulated
from sensors.journal import Writer
from tests.site import marchwarden, site_at


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, set[str]]:
    """A site through whose pipeline two minutes of the demonstration went; when they began; and what they raised."""
    folder = tmp_path_factory.mktemp("past")
    site = site_at(folder)
    c = load(site)
    pipeline, start_ns = Pipeline(c, lambda _: None), time.time_ns() // NS * NS - 600 * NS
    exercise = read_exercise(site / "exercises" / "demo.toml").model_copy(update={"duration_s": 120})
    messages, _ = simulated(pipeline._world, exercise, start_ns)
    places = Places(c.state)
    with Writer(places.journal, places.journal_keys()) as journal:
        for start in range(0, len(messages), 500):
            journal.append(messages.between(start, min(start + 500, len(messages))))
        journal.tick(start_ns + 200 * NS)
        journal.sync()
        while pipeline.turn():
            pass
    raised = {i["rule"] for i in pipeline.outbox.incidents()}
    pipeline.close()
    return site, start_ns, raised


def tried(past: tuple[Path, int, set[str]], rule: object, *more: str) -> list[dict[str, object]]:
    site, start_ns, _ = past
    times = ("--from", iso_from_ns(start_ns), "--to", iso_from_ns(start_ns + 300 * NS))
    done = marchwarden("rules", "try", rule, "--site", site, *times, "--json", "--reason", "test", *more)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_rule_of_the_site_raises_from_the_history_what_it_raised_then(past: tuple[Path, int, set[str]]) -> None:
    _, _, raised = past
    assert "inbound-crossing" in raised
    again = tried(past, "inbound-crossing")
    crossed = [r for r in again if r["revision"] == 1]
    assert 1 <= len(crossed) <= 3
    assert {r["rule"] for r in again} == {"inbound-crossing"}
    assert tried(past, "pumping-station", "--to", iso_from_ns(past[1] + 10 * NS)) == []


def test_a_rule_that_is_not_in_force_can_be_tried_from_a_file(past: tuple[Path, int, set[str]], tmp_path: Path) -> None:
    new = tmp_path / "new.toml"
    new.write_text('[[rule]]\nid = "two"\nkind = "group"\nclasses = ["person"]\ncount_min = 2\nwithin_m = 60.0\n')
    assert any(r["reason"]["kind"] == "group" for r in tried(past, new))  # type: ignore[index]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("inbound-crosing", "Did you mean 'inbound-crossing'?"),
        ("silent-sensors", "Replay a recording with it instead"),
    ],
)
def test_what_cannot_be_tried_is_said_with_the_way_out(past: tuple[Path, int, set[str]], rule: str, said: str) -> None:
    done = marchwarden("rules", "try", rule, "--site", past[0])
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


def test_a_plate_that_was_read_can_be_looked_for_afterwards(past: tuple[Path, int, set[str]], tmp_path: Path) -> None:
    new = tmp_path / "plate.toml"
    new.write_text('[[rule]]\nid = "seen"\nkind = "watched_plate"\nplates = ["TST0001"]\n')
    assert [r["revision"] for r in tried(past, new)][:1] == [1]
