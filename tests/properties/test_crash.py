"""No alert is lost, and none comes under another key, whatever the moment at which the pipeline dies."""

import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.time import NS
from runtime.configuration import load
from runtime.pipeline import Pipeline
from runtime.places import Places
from runtime.simulator.exercise import read_exercise
from runtime.simulator.seeing import simulated
from sensors.journal import Writer
from tests.site import site_at

SECONDS = 40


class Died(BaseException):
    """As kill -9 would have it: nothing is put in order."""


class Mortal(Pipeline):
    """Dies before telling, between telling and the snapshot, or after it, once so many of these have gone by."""

    left = 1 << 30

    def _moment(self) -> None:
        Mortal.left -= 1
        if Mortal.left == 0:
            raise Died

    def _tell(self) -> None:
        self._moment()
        super()._tell()
        self._moment()

    def commit(self) -> None:
        super().commit()
        self._moment()


def run(site: Path, moments: list[int]) -> tuple[list[dict[str, object]], set[str]]:
    """Every revision that the database holds, and the keys of all deliveries, after a run that died at these moments."""
    c = load(site)
    for file in c.state.glob("marchwarden.db*"):
        file.unlink()
    Mortal.left = 1 << 30
    pipeline: Pipeline = Mortal(c, lambda _: None)
    for moment in [*moments, 1 << 30]:
        Mortal.left = moment
        try:
            while pipeline.turn():
                pass
            pipeline.commit()
        except Died:
            pipeline = pipeline.again()
    keys = {row[0] for row in pipeline.outbox._db.execute("SELECT key FROM deliveries")}
    told = [record for _, record in pipeline.outbox.revisions_after(0)]
    Mortal.left = 1 << 30
    pipeline.close()
    return told, keys


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, object]], set[str]]:
    """A site whose journal holds the first part of the demonstration, and what comes of it undisturbed."""
    site = site_at(tmp_path_factory.mktemp("crash"))
    c = load(site)
    pipeline, start_ns = Pipeline(c, lambda _: None), time.time_ns() // NS * NS - 600 * NS
    exercise = read_exercise(site / "exercises" / "demo.toml").model_copy(update={"duration_s": SECONDS})
    messages, _ = simulated(pipeline._world, exercise, start_ns)
    pipeline.close()
    places = Places(c.state)
    with Writer(places.journal, places.journal_keys()) as journal:
        for start in range(0, len(messages), 20):
            journal.append(messages.between(start, min(start + 20, len(messages))))
        journal.tick(start_ns + (SECONDS + 60) * NS)
    told, keys = run(site, [])
    assert len(told) >= 4
    return site, told, keys


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 12), min_size=1, max_size=6))
def test_whatever_the_moments_at_which_it_dies_the_same_is_told(
    calm: tuple[Path, list[dict[str, object]], set[str]], moments: list[int]
) -> None:
    site, told, keys = calm
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("runtime.pipeline.ROUND_MESSAGES", 60)
        patch.setattr("runtime.pipeline.COMMIT_S", 0.0)
        patch.setattr("runtime.pipeline.COMMIT_S_MAX", 0.0)
        again, same_keys = run(site, moments)
    assert again == told
    assert same_keys == keys
