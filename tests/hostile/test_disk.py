"""A disk that is full, read-only or damaged: one sentence with the file and what to do, and the service goes on after."""

import errno
import sqlite3
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from alerts import outbox_tables
from alerts.outbox import Outbox
from runtime import cli, service
from runtime.accepted import accept
from runtime.configuration import load
from runtime.disk_problems import disk_problem
from runtime.places import Places
from runtime.service import Service
from tests.site import site_at

READING = [("status", "{site}"), ("alerts", "list", "{site}")]


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = site_at(tmp_path_factory.mktemp("disk"))
    text = (site / "site.toml").read_text()
    (site / "site.toml").write_text(text.replace("[console]", "[console]\nenabled = false"))
    return site


@pytest.fixture
def site(shipped: Path) -> Path:
    """With a database that is whole and closed."""
    state = Places(load(shipped).state)
    for path in state.state.glob("marchwarden.db*"):
        path.unlink()
    Outbox(state.database).close()
    return shipped


def said(
    arguments: tuple[str, ...], site: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> str:
    """What a command writes to standard error."""
    monkeypatch.setattr(sys, "argv", ["marchwarden", *(a.format(site=site) for a in arguments)])
    with pytest.raises(SystemExit):
        cli.main()
    return capsys.readouterr().err


@pytest.mark.parametrize("arguments", READING)
@pytest.mark.parametrize("damage", ["zeroed header", "cut off", "garbage", "no meta"])
def test_a_command_over_a_damaged_database_answers_in_one_sentence(
    damage: str,
    arguments: tuple[str, ...],
    site: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    database = Places(load(site).state).database
    data = database.read_bytes()
    match damage:
        case "zeroed header":
            database.write_bytes(bytes(100) + data[100:])
        case "cut off":
            database.write_bytes(data[: len(data) // 3])
        case "garbage":
            database.write_bytes(b"garbage" * 1000)
        case _:
            db = sqlite3.connect(database)
            db.execute("DELETE FROM meta")
            db.commit()
            db.close()
    text = said(arguments, site, capsys, monkeypatch)
    assert "marchwarden.db" in text
    assert "damaged" in text
    assert "Traceback" not in text


@pytest.mark.parametrize("arguments", READING)
def test_a_command_over_a_database_that_cannot_be_written_shows_it_and_says_so(
    arguments: tuple[str, ...], site: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Places(load(site).state).database
    monkeypatch.setattr(outbox_tables, "opened", partial(_refused, "attempt to write a readonly database", database))
    monkeypatch.setattr("alerts.outbox.opened", partial(_refused, "attempt to write a readonly database", database))
    text = said(arguments, site, capsys, monkeypatch)
    assert f"{database}: " in text.replace("\n", "")
    assert "What was committed is shown." in text.replace("\n", " ")


def _refused(what: str, database: Path, _: Path) -> sqlite3.Connection:
    """As SQLite refuses it, with its own code."""
    db = sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, isolation_level=None)
    with pytest.raises(sqlite3.OperationalError, match=what) as raised:
        db.execute("UPDATE meta SET version = version")
    db.close()
    raised.value.add_note(str(database))
    raise raised.value


def test_what_the_disk_refuses_is_told_and_the_service_goes_on_when_it_takes_writing_again(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MEND_S", 0.0)
    c, reports, stop = load(site), list[str](), threading.Event()
    running = Service(site, accept(c, time.time_ns()), None, reports.append)
    try:
        first = running._pipeline
        first.outbox._db.execute("PRAGMA max_page_count = 1")  # SQLite's own way to be full

        def turn() -> bool:
            first.outbox._db.execute("CREATE TABLE more (a)")
            raise AssertionError("it was not full")

        monkeypatch.setattr(first, "turn", turn)
        running.run_once(stop)
        assert running._pipeline is not first
        assert [text for text in reports if "the disk is full" in text and "Free space on it." in text]
        assert "The disk takes writing again." in reports
        running.run_once(stop)
        faults = [f for f in running._pipeline.outbox.faults() if f["kind"] == "writing_failed"]
        assert ["the disk is full" in f["detail"] for f in faults] == [True]
    finally:
        running.close()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO, errno.EDQUOT, errno.EFBIG])
def test_an_error_of_the_disk_is_a_sentence_with_the_file_and_what_to_do(code: int) -> None:
    sentence = disk_problem(OSError(code, "as the system says", "/state/journal/1.journal"))
    assert sentence is not None
    assert sentence.startswith("/state/journal/1.journal: ")
    assert sentence.count(". ") == 1


def test_an_error_that_is_none_of_the_disk_stays_what_it_is() -> None:
    assert disk_problem(ConnectionRefusedError(errno.ECONNREFUSED, "refused")) is None
    assert disk_problem(sqlite3.ProgrammingError("a mistake of ours")) is None
