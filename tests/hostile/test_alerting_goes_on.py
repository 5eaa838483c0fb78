"""Alerting depends on journal and outbox only: what befalls history, vault, pictures, live view or status holds up no alert."""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from history.embedded import EmbeddedStore
from history.store import Query, StoreFailed
from model.messages import Messages
from model.time import MS, NS, iso_from_ns
from runtime import pipeline as pipelines
from runtime import side_stores
from runtime.configuration import load
from runtime.pipeline import Pipeline
from runtime.places import Places
from sensors.journal import Writer
from sensors.vault import Vault
from tests.site import site_at

RADAR = "marchwarden/san-rafael/detections/radar-west"


def walk(places: Places) -> None:
    """One who walks over the line in view of a radar."""
    start_ns = time.time_ns() // NS * NS - 60 * NS
    with Writer(places.journal, places.journal_keys()) as journal:
        for second in range(20):
            at_ns = start_ns + second * NS
            said = {"lat": 31.33230 + second * 0.00003, "lon": -110.6, "sigma_m": 2.0, "class": "person"}
            payload = msgspec.json.encode({"time": iso_from_ns(at_ns), "detections": [said]})
            journal.append(Messages(np.array([at_ns + 100 * MS]), (RADAR,), (payload,), np.zeros(1, np.bool_)))
        journal.tick(start_ns + 40 * NS)


def run(site: Path) -> tuple[Pipeline, list[str]]:
    """The pipeline after all that the journal holds, and what it reported."""
    reports: list[str] = []
    pipeline = Pipeline(load(site), reports.append)
    walk(pipeline._places)
    while pipeline.turn():
        pass
    pipeline.commit()
    return pipeline, reports


def raising(error: Exception) -> Callable[..., None]:
    def planted(*_: object, **__: object) -> None:
        raise error

    return planted


@pytest.mark.parametrize(
    "error", [StoreFailed("away"), OSError("no"), sqlite3.OperationalError("locked"), ValueError("?")]
)
@pytest.mark.parametrize(
    "where", ["Vault.seal", "Pictures.keep", "EmbeddedStore.write", "EmbeddedStore.flush", "EmbeddedStore.__init__"]
)
def test_a_store_that_raises_anything_holds_up_no_alert(
    where: str, error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, method = where.split(".")
    home = {"Vault": "sensors.vault", "Pictures": "sensors.vault", "EmbeddedStore": "history.embedded"}[name]
    monkeypatch.setattr(f"{home}.{name}.{method}", raising(error))
    pipeline, reports = run(site_at(tmp_path))
    assert len(pipeline.outbox.incidents()) == 1
    assert pipeline.outbox.state() is None  # it waits for the store
    assert any("takes no writing" in text for text in reports)
    monkeypatch.setattr(side_stores, "GRACE_S", 0.0)
    pipeline.commit()
    assert pipeline.outbox.state() is not None  # and then no longer
    assert {f["kind"] for f in pipeline.outbox.faults()} == {"writing_failed"}
    pipeline.close()


def test_what_a_store_could_not_take_is_there_once_it_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = site_at(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(EmbeddedStore, "flush", raising(OSError("full")))
        pipeline, _ = run(site)
    monkeypatch.setattr(side_stores, "AGAIN_S", 0.0)
    pipeline._stores._history._next_try = 0.0
    pipeline.commit()
    pipeline.close()
    rows = EmbeddedStore(Places(load(site).state).history).query(Query("detections", 0, 1 << 62))
    assert rows.num_rows == 20


@pytest.mark.parametrize("name", ["plates.db", "pictures.db"])
@pytest.mark.parametrize("damage", [b"garbage" * 1000, b"SQLite format 3\x00" + bytes(8000)])
def test_a_damaged_vault_is_renamed_and_told_and_alerting_goes_on(name: str, damage: bytes, tmp_path: Path) -> None:
    site = site_at(tmp_path)
    vault = Places(load(site).state).vault
    vault.mkdir(parents=True)
    (vault / name).write_bytes(damage)
    pipeline, reports = run(site)
    assert len(pipeline.outbox.incidents()) == 1
    assert pipeline.outbox.state() is not None
    assert len(list(vault.glob(f"{name}.damaged-*"))) == 1
    assert sum("is damaged" in text for text in reports) == 1
    assert {f["kind"] for f in pipeline.outbox.faults()} == {"store_damaged"}
    pipeline.close()
    Vault(vault).close()


@pytest.mark.parametrize("function", ["picture", "iso_from_ns"])
def test_a_live_view_or_status_that_raises_holds_up_no_alert(
    function: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipelines, function, raising(RuntimeError("planted")))
    monkeypatch.setattr(pipelines, "COMMIT_S", 0.0)
    pipeline, reports = run(site_at(tmp_path))
    assert len(pipeline.outbox.incidents()) == 1
    assert pipeline.outbox.state() is not None
    assert any("was not written: RuntimeError" in text for text in reports)
    pipeline.close()


@pytest.mark.parametrize("function", ["detection_rows", "track_rows", "alert_rows"])
def test_rows_that_cannot_be_made_are_left_out_and_told(
    function: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(side_stores, function, raising(ValueError("planted")))
    pipeline, reports = run(site_at(tmp_path))
    assert len(pipeline.outbox.incidents()) == 1
    assert pipeline.outbox.state() is not None
    assert any("could not be made" in text for text in reports)
    pipeline.close()
