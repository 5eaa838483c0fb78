"""What earlier versions stored is read and brought to the format of now.

`tests/data/state-67afa47.tar.xz` is a state folder that commit 67afa47 wrote and left without closing it: four open incidents
with undelivered alerts, a silence, journal, history with segments and write-ahead files, plates and a picture.
`outbox-3.db.xz` is the database that commit 30a3826 wrote: an open incident of two revisions, four undelivered alerts, a silence.
"""

import lzma
import multiprocessing
import os
import re
import signal
import sqlite3
import tarfile
import time
from pathlib import Path

import pytest

from alerts import outbox_tables
from alerts.kept import records_of
from alerts.outbox import Outbox
from history.embedded import VERSION_FILE, EmbeddedStore
from history.store import Query
from history.tables import KINDS
from model.stored import NewerFormat, UnreadableFormat
from runtime.configuration import load
from runtime.pipeline import Pipeline
from sensors.journal import FRAME_MAGIC, Position, read
from sensors.keys import DayKeys
from sensors.vault import Pictures, Vault
from tests.site import site_at

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    with tarfile.open(DATA / "state-67afa47.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "state"


def test_a_journal_of_format_1_is_read(old: Path) -> None:
    assert next((old / "journal").glob("*.journal")).read_bytes()[:4] == FRAME_MAGIC[1]
    frames = list(read(old / "journal", DayKeys(old / "keys", "journal"), Position(0, 0)))
    assert sum(len(frame.messages) for frame in frames) == 275


def test_a_history_of_format_1_is_read_and_taken_over(old: Path) -> None:
    folder = old / "history"
    before = {kind: EmbeddedStore(folder).query(Query(kind, 0, 1 << 62)) for kind in KINDS}
    assert all(table.num_rows for table in before.values())
    store = EmbeddedStore(folder, True)
    store.close()
    assert (folder / VERSION_FILE).read_text() == "3\n"
    assert all(len(path.stem.split("-")) == 4 for path in folder.glob("*/*.parquet"))
    assert store.damaged == []
    for kind in KINDS:
        assert EmbeddedStore(folder).query(Query(kind, 0, 1 << 62)).equals(before[kind])


def test_a_vault_and_pictures_of_format_1_are_sealed_anew_and_open_as_before(old: Path) -> None:
    vault = Vault(old / "vault")
    tokens = [token for (token,) in vault._db.execute("SELECT token FROM plates")]
    assert tokens
    assert all(len(vault.reveal(token % (1 << 64))) == 1 for token in tokens)
    vault.close()
    pictures = Pictures(old / "vault")
    sensor, at_ns = pictures._db.execute("SELECT sensor, received_ns FROM pictures").fetchone()
    found = pictures.newest(sensor, at_ns, at_ns)
    assert found is not None
    assert found.jpeg[:2] == b"\xff\xd8"
    pictures.close()


INCIDENTS = ["A4ZXKKWP4FQSV2", "A90XN1NG6CSQD5", "A9AGN5WDSGB5J4", "AE0P04RPWF7207"]


def test_an_outbox_of_version_2_keeps_incidents_silences_alerts_and_deliveries(old: Path) -> None:
    db = sqlite3.connect(old / "marchwarden.db")
    before = {
        table: db.execute(f"SELECT COUNT(*) FROM {table}").fetchone() for table in ("revisions", "deliveries", "views")
    }
    assert db.execute("SELECT version FROM meta").fetchone() == (2,)
    position = db.execute("SELECT position, now_ns FROM snapshot").fetchone()
    db.close()
    for _ in range(2):  # a second time nothing is left to do
        with Outbox(old / "marchwarden.db") as outbox:
            rows, damaged = outbox.kept()
            records, unreadable = records_of(rows)
            assert (damaged, unreadable) == ([], [])
            assert sorted(i.key for i in records.incidents) == INCIDENTS
            assert all(i.routed and i.happenings for i in records.incidents)
            assert [s.note if hasattr(s, "note") else s.reason for s in records.silences] == ["test of an upgrade"]
            assert outbox.position() == position
            assert sorted(i["alert"] for i in outbox.incidents()) == INCIDENTS
            assert len(outbox.due("border-patrol-mqtt", 0)) == 4
            assert outbox.check() == ""
            after = {t: outbox._db.execute(f"SELECT COUNT(*) FROM {t}").fetchone() for t in before}
            assert after == before
            seen = outbox.incidents(agency="park-rangers")
            assert all("park-rangers" in record["agencies"] for record in seen)


def test_an_outbox_of_version_3_keeps_incidents_silences_alerts_and_deliveries(tmp_path: Path) -> None:
    database = tmp_path / "marchwarden.db"
    database.write_bytes(lzma.decompress((DATA / "outbox-3.db.xz").read_bytes()))
    for _ in range(2):
        with Outbox(database) as outbox:
            rows, damaged = outbox.kept()
            records, unreadable = records_of(rows)
            assert (damaged, unreadable, outbox.check(), outbox.mend()) == ([], [], "", [])
            assert [(i.key, i.revision) for i in records.incidents] == [("AFN9ZRJ3PQN6GP", 2)]
            assert [(s.by, s.reason) for s in records.silences] == [("ana", "test of an upgrade")]
            assert len(outbox.history_of("AFN9ZRJ3PQN6GP")) == 2
            deliveries = outbox.deliveries_of("AFN9ZRJ3PQN6GP")
            assert len(deliveries) == 4
            for channel in {d["channel"] for d in deliveries}:
                assert [due.delivery.revision for due in outbox.due(channel, 0)] == [1]


def upgraded_site(folder: Path) -> Path:
    """The shipped site over the old state folder, which it keeps however old it is."""
    site = site_at(folder)
    text = (site / "site.toml").read_text()
    long = re.sub(r"^(plates_days|pictures_days|history_days) = .*$", r"\1 = 36500.0", text, flags=re.M)
    long = re.sub(r"^journal_hours = .*$", "journal_hours = 87600.0", long, flags=re.M)
    (site / "site.toml").write_text(long)
    with tarfile.open(DATA / "state-67afa47.tar.xz") as archive:
        archive.extractall(site, filter="data")
    return site


def test_a_service_goes_on_with_the_open_incidents_of_an_old_state_folder(tmp_path: Path) -> None:
    reports: list[str] = []
    pipeline = Pipeline(load(upgraded_site(tmp_path)), reports.append)
    assert pipeline.state is not None
    assert sorted(i.key for i in pipeline.state.alerts.incidents) == INCIDENTS
    assert len(pipeline.state.alerts.silences) == 1
    while pipeline.turn():
        pass
    pipeline.commit()
    assert {i["alert"] for i in pipeline.outbox.incidents()} >= set(INCIDENTS)
    assert not any("damaged" in text for text in reports)
    pipeline.close()


def _upgrade(path: str) -> None:
    Outbox(Path(path)).close()


def test_an_upgrade_that_is_killed_at_any_moment_is_done_again(old: Path) -> None:
    database = old / "marchwarden.db"
    context = multiprocessing.get_context("spawn")
    for after_s in (0.0, 0.2, 0.4, 0.6, 0.8):
        process = context.Process(target=_upgrade, args=(str(database),))
        process.start()
        time.sleep(after_s)  # some moment, whichever: what holds must hold after any
        if process.pid is not None and process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
        process.join()
    with Outbox(database) as outbox:
        records, unreadable = records_of(outbox.kept()[0])
        assert (sorted(i.key for i in records.incidents), unreadable) == (INCIDENTS, [])
        assert len(outbox.due("border-patrol-mqtt", 0)) == 4


@pytest.mark.parametrize("version", [outbox_tables.VERSION + 1, 1])
def test_an_outbox_of_a_later_version_or_from_before_the_first_is_one_sentence(version: int, tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "o.db")
    db.execute("CREATE TABLE meta (version INTEGER)")
    db.execute("INSERT INTO meta VALUES (?)", (version,))
    if version > 1:
        db.execute(f"PRAGMA user_version = {version}")
    db.commit()
    db.close()
    with pytest.raises(NewerFormat if version > 1 else UnreadableFormat) as raised:
        Outbox(tmp_path / "o.db")
    assert "\n" not in str(raised.value)
