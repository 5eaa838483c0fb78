"""What tests of commands share: a site through whose pipeline two minutes of the demonstration went."""

import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from model.time import NS
from runtime.accepted import accept
from runtime.configuration import load
from runtime.pipeline import Pipeline
from runtime.places import Places
from runtime.simulator.exercise import read_exercise
from runtime.simulator.seeing import simulated
from sensors.journal import Writer
from tests.site import site_at


@dataclass(frozen=True)
class Past:
    site: Path
    start_ns: int
    raised: frozenset[str]  # rules
    alerts: tuple[str, ...]  # keys
    subjects: tuple[str, ...]  # of the first


@pytest.fixture(scope="session")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    """No service runs it any more. Its configuration is an accepted one."""
    site = site_at(tmp_path_factory.mktemp("past"))
    c = load(site)
    pipeline, start_ns = Pipeline(c, lambda _: None), time.time_ns() // NS * NS - 600 * NS
    accept(c, start_ns)
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
    incidents = pipeline.outbox.incidents()
    pipeline.close()
    rules, keys = frozenset(i["rule"] for i in incidents), tuple(i["alert"] for i in incidents)
    return Past(site, start_ns, rules, keys, tuple(incidents[0]["subjects"]))
