"""The pipeline as it reads the journal: what is in it is taken in, wherever a round of reading happens to end."""

import sqlite3
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest

from model.messages import SERVICE_TOPIC, Messages
from model.time import MS, NS, iso_from_ns
from runtime.configuration import load
from runtime.pipeline import Pipeline
from sensors.journal import Writer
from tests.site import site_at

RADAR = "marchwarden/san-rafael/detections/radar-west"


def test_what_comes_in_the_first_step_of_a_services_life_counts_however_it_is_read(tmp_path: Path) -> None:
    pipeline = Pipeline(load(site_at(tmp_path)), lambda _: None)
    places = pipeline._places
    with Writer(places.journal, places.journal_keys()) as journal:
        second_ns = time.time_ns() // NS * NS  # retention works by the real clock
        begun_ns = second_ns + 10 * MS
        _append(journal, begun_ns, SERVICE_TOPIC, {"event": "connected"})
        pipeline.turn()
        for n in range(5):
            _append(
                journal, begun_ns + n * MS, RADAR, {"time": iso_from_ns(begun_ns + n * MS), "lat": 31.34, "lon": -110.6}
            )
        pipeline.turn()
        later_ns = second_ns + 10 * NS
        _append(journal, later_ns, RADAR, {"time": iso_from_ns(later_ns), "lat": 31.34, "lon": -110.6})
        _append(journal, second_ns + 20 * NS, SERVICE_TOPIC, {"event": "connected"})
        pipeline.turn()
    assert pipeline.tallies.detections == 6
    pipeline.close()


def _walk(journal: Writer, start_ns: int, seconds: int = 20) -> None:
    """One who walks over the line in view of a radar, from so many seconds before to after."""
    for second in range(seconds):
        time_ns = start_ns + second * NS
        lat = 31.33230 + second * 0.0000300
        said = {"time": iso_from_ns(time_ns), "lat": lat, "lon": -110.6, "sigma_m": 2.0, "class": "person"}
        _append(journal, time_ns + 100 * MS, RADAR, {"time": said["time"], "detections": [said]})
        journal.tick(time_ns + 900 * MS)


def test_after_the_clock_was_set_back_an_hour_alerts_come_as_before(tmp_path: Path) -> None:
    reports: list[str] = []
    pipeline = Pipeline(load(site_at(tmp_path)), reports.append)
    places, now_ns = pipeline._places, time.time_ns() // NS * NS
    with Writer(places.journal, places.journal_keys()) as journal:
        _walk(journal, now_ns)
        journal.tick(now_ns + 40 * NS)
        journal.sync()
        while pipeline.turn():
            pass
        before = {i["alert"] for i in pipeline.outbox.incidents()}
        assert len(before) == 1
        hour_ago_ns = now_ns - 3600 * NS
        journal.set_back(hour_ago_ns - NS)
        _append(journal, hour_ago_ns - NS // 2, SERVICE_TOPIC, {"event": "connected", "until": hour_ago_ns - NS})
        _walk(journal, hour_ago_ns)
        journal.tick(hour_ago_ns + 40 * NS)
        journal.sync()
        while pipeline.turn():
            pass
    after = {i["alert"] for i in pipeline.outbox.incidents()} - before
    assert len(after) == 1
    assert pipeline.state is not None
    assert before <= {i.key for i in pipeline.state.alerts.incidents}
    assert any("set back" in said for said in reports)
    pipeline.close()


def test_after_a_crash_that_followed_the_telling_and_not_the_snapshot_nothing_is_told_anew(tmp_path: Path) -> None:
    site = site_at(tmp_path)
    pipeline = Pipeline(load(site), lambda _: None)
    places, now_ns = pipeline._places, time.time_ns() // NS * NS
    with Writer(places.journal, places.journal_keys()) as journal:
        _walk(journal, now_ns)
        journal.tick(now_ns + 40 * NS)
        journal.sync()
        pipeline.commit = lambda: None  # type: ignore[method-assign]
        while pipeline.turn():
            pass
        told = pipeline.outbox.incidents()
        assert told
        assert pipeline.outbox.state() is None
        again = pipeline.again()
        while again.turn():
            pass
        again.commit()
    assert again.outbox.incidents() == told
    assert again.outbox.state() is not None
    again.close()


def test_a_disk_that_is_full_is_met_and_what_was_to_be_told_is_told_once_it_is_not(tmp_path: Path) -> None:
    pipeline = Pipeline(load(site_at(tmp_path)), lambda _: None)
    places, now_ns = pipeline._places, time.time_ns() // NS * NS
    pages = pipeline.outbox._db.execute("PRAGMA page_count").fetchone()[0]
    pipeline.outbox._db.execute(f"PRAGMA max_page_count = {pages}")  # SQLite's own way to be full
    with Writer(places.journal, places.journal_keys()) as journal:
        _walk(journal, now_ns)
        journal.tick(now_ns + 40 * NS)
        journal.sync()
        with pytest.raises(sqlite3.OperationalError, match="full"):
            pipeline.commit() if pipeline.turn() else None
        pipeline = pipeline.again()
        while pipeline.turn():
            pass
        pipeline.commit()
    assert len(pipeline.outbox.incidents()) == 1
    pipeline.close()


def _append(journal: Writer, received_ns: int, topic: str, said: object) -> None:
    journal.append(Messages(np.array([received_ns]), (topic,), (msgspec.json.encode(said),), np.zeros(1, np.bool_)))
    journal.sync()
