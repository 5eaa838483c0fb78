"""The outbox's database damaged, removed or full of what is old: nothing silently wrong, and alerting goes on."""

import shutil
import sqlite3
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alerts.kept import TABLES
from alerts.outbox import DAMAGED, Commit, Outbox
from alerts.outbox_tables import CHECKED
from model.alerts import Phase, View
from model.faults import FaultKind, fault_of
from model.messages import Messages
from model.rejections import Reason, Rejection
from model.stored import Damaged
from model.time import DAY_NS, NS
from runtime.configuration import load
from runtime.pipeline import Pipeline
from runtime.places import Places
from sensors.journal import Writer
from tests.builders import T0
from tests.hostile.test_alerting_goes_on import walk
from tests.site import site_at
from tests.unit.test_outbox import ALERT, STORED, delivery

CHANGES = {
    "position": "position = position + 1",
    "snapshot": "format = format + 1",
    "parts": "data = data || x'00'",
    "incidents": "record = record || x'00'",
    "silences": "record = record || x'00'",
    "tallies": "record = record || x'00'",
    "revisions": "severity = 'minor'",
    "views": "record = record || x'00'",
    "deliveries": "body = body || x'00'",
    "actions": "payload = payload || x'00'",
    "rejections": "count = count + 1",
    "withheld": "reason = 'other'",
    "status": "value = value || x'00'",
    "faults": "count = count + 1",
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site over which somebody walked over the line: one alert, not delivered yet."""
    site = site_at(tmp_path_factory.mktemp("ran"))
    pipeline = Pipeline(load(site), lambda _: None)
    walk(pipeline._places)
    while pipeline.turn():
        pass
    pipeline.commit()
    pipeline.outbox.add_action({"action": "note", "by": "x", "alert": "A", "note": "n"})
    pipeline.close()
    return site


@pytest.fixture
def site(ran: Path, tmp_path: Path) -> Path:
    shutil.copytree(ran, tmp_path / "site")
    return tmp_path / "site"


def restarted(site: Path) -> tuple[Pipeline, list[str]]:
    reports: list[str] = []
    pipeline = Pipeline(load(site), reports.append)
    while pipeline.turn():
        pass
    pipeline.commit()
    return pipeline, reports


def alert_keys(database: Path) -> set[str]:
    with Outbox(database) as outbox:
        return {i["alert"] for i in outbox.incidents() if i["reason"]["kind"] != "system_fault"}


def delivery_keys(database: Path) -> set[str]:
    with Outbox(database) as outbox:
        return {d.delivery.key for d in outbox.due("border-patrol-mqtt", 1 << 62)}


def test_there_is_a_change_for_each_table_that_has_checksums() -> None:
    assert CHANGES.keys() == CHECKED.keys() >= TABLES.keys()


@pytest.mark.parametrize("table", ["position", "snapshot", "parts", "incidents"])
def test_a_changed_row_of_the_state_is_noticed_and_no_alert_is_lost(table: str, site: Path) -> None:
    database = Places(load(site).state).database
    alerts, deliveries = alert_keys(database), delivery_keys(database)
    db = sqlite3.connect(database)
    db.execute(f"UPDATE {table} SET {CHANGES[table]}")
    db.commit()
    db.close()
    pipeline, reports = restarted(site)
    assert any("damaged" in text for text in reports)
    assert "state_lost" in {f["kind"] for f in pipeline.outbox.faults()}
    pipeline.close()
    assert alert_keys(database) >= alerts
    assert delivery_keys(database) >= deliveries
    _, again = restarted(site)
    assert not any("damaged" in text for text in again)


def test_a_changed_revision_is_not_shown_and_a_changed_delivery_is_a_dead_letter(site: Path) -> None:
    database = Places(load(site).state).database
    db = sqlite3.connect(database)
    for table in ("revisions", "deliveries", "actions"):
        db.execute(f"UPDATE {table} SET {CHANGES[table]}")
    db.commit()
    db.close()
    with Outbox(database) as outbox:
        assert outbox.incidents() == []
        assert outbox.due("border-patrol-mqtt", 1 << 62) == []
        assert {d["error"] for d in outbox.dead_letters()} == {DAMAGED}
        waiting = outbox.waiting_actions()
        assert [topic for _, topic, _ in waiting] == ["$marchwarden/fault"] * len(waiting)
        abouts = {f["about"] for f in outbox.faults() if f["waiting"]}
        assert abouts >= {"marchwarden.db: revisions", "marchwarden.db: deliveries"}


@pytest.mark.parametrize("damage", ["done_ns = 5", "dead = 1", "next_ns = 1 << 40", "attempts = 200"])
def test_a_delivery_whose_state_is_damaged_is_made_again(damage: str, site: Path) -> None:
    database = Places(load(site).state).database
    deliveries = delivery_keys(database)
    db = sqlite3.connect(database)
    db.execute(f"UPDATE deliveries SET {damage}")
    db.commit()
    db.close()
    pipeline, reports = restarted(site)
    pipeline.close()
    assert any("deliveries are damaged" in text for text in reports)
    assert delivery_keys(database) >= deliveries


def test_what_waits_and_is_damaged_is_ended_at_the_start_and_told(site: Path) -> None:
    database = Places(load(site).state).database
    with Outbox(database) as outbox:
        for table in ("deliveries", "actions"):
            outbox._db.execute(f"UPDATE {table} SET {CHANGES[table]}")
        found = outbox.mend()
        assert ["not carried out" in text for text in found] == [True, True]
        assert {d["error"] for d in outbox.dead_letters()} == {DAMAGED}
        assert outbox.waiting_actions() == []
        assert outbox.mend() == []


def test_counts_that_are_damaged_are_removed_and_told(site: Path) -> None:
    database = Places(load(site).state).database
    with Outbox(database) as outbox:
        outbox.commit(
            Commit(None, *(outbox.position() or (0, 0)), rejections=(Rejection(T0, "t", Reason.NOT_JSON, "d", "s"),))
        )
        assert outbox.mend() == []
        outbox._db.execute("UPDATE rejections SET count = 9")
        assert outbox.mend() == ["1 of the table rejections are damaged, and are removed."]
        assert outbox.rejections() == []


def test_a_damaged_view_never_shows_the_whole_record_instead(tmp_path: Path) -> None:
    agency = ALERT.incident.routed[0].agency
    less = b'{"alert": "A", "agencies": ["' + agency.encode() + b'"], "text": "less"}'
    for change in ("record = record || x'00'", "agency = 'other'"):
        outbox = Outbox(tmp_path / f"{change[:6]}.db")
        outbox.tell((ALERT,), (), (View(ALERT.incident.key, ALERT.incident.revision, agency, less),))
        assert [r["text"] for r in outbox.incidents(agency=agency)] == ["less"]
        outbox._db.execute(f"UPDATE views SET {change}")
        assert outbox.incidents(agency=agency) == []
        assert [f["about"] for f in outbox.faults()] == ["marchwarden.db: revisions"]
        outbox.close()


@pytest.mark.parametrize("seed", range(6))
def test_a_flipped_bit_anywhere_in_the_file_loses_no_alert_and_no_delivery_in_silence(
    seed: int, ran: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    shutil.copytree(ran, site)
    database = Places(load(site).state).database
    alerts, deliveries = alert_keys(database), delivery_keys(database)
    data, random = bytearray(database.read_bytes()), np.random.default_rng(seed)
    data[random.integers(len(data))] ^= 1 << random.integers(8)
    database.write_bytes(data)
    pipeline, reports = restarted(site)
    dead = {d["delivery"] for d in pipeline.outbox.dead_letters()}
    pipeline.close()
    assert alert_keys(database) >= alerts or reports
    assert delivery_keys(database) | dead >= deliveries


@pytest.mark.parametrize("damage", ["garbage", "zeros", "cut", "empty", "removed", "a table is gone"])
def test_a_database_that_cannot_be_read_is_kept_aside_and_the_journal_gives_the_same_again(
    damage: str, site: Path
) -> None:
    database = Places(load(site).state).database
    alerts, deliveries = alert_keys(database), delivery_keys(database)
    data = database.read_bytes()
    match damage:
        case "garbage":
            database.write_bytes(b"garbage" * 1000)
        case "zeros":
            database.write_bytes(bytes(100) + data[100:])
        case "cut":
            database.write_bytes(data[: len(data) // 2])
        case "empty":
            database.write_bytes(b"")
        case "removed":
            database.unlink()
        case _:
            db = sqlite3.connect(database)
            db.execute("DROP TABLE meta")
            db.commit()
            db.close()
    pipeline, reports = restarted(site)
    assert "state_lost" in {f["kind"] for f in pipeline.outbox.faults()}
    assert reports
    pipeline.close()
    assert alert_keys(database) == alerts
    assert delivery_keys(database) == deliveries


def test_who_holds_the_old_file_open_goes_on_with_the_new_one(site: Path) -> None:
    database = Places(load(site).state).database
    ingest = Outbox(database)
    database.with_name("x").write_bytes(b"")
    db = sqlite3.connect(database)
    db.execute("DROP TABLE meta")
    db.commit()
    db.close()
    pipeline, _ = restarted(site)
    pipeline.outbox.report_fault(fault_of(FaultKind.KEY_LOST, "x", "y", time.time_ns()))
    assert any(b"key_lost" in payload for _, _, payload in ingest.waiting_actions())
    pipeline.close()
    ingest.close()


def test_retention_reaches_every_table_and_leaves_what_is_open(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o.db")
    old, kept = replace(ALERT.incident, key="OLD", phase=Phase.CLEARED), replace(ALERT.incident, key="OPEN")
    for incident in (old, kept):
        alert = replace(ALERT, incident=incident, told_ns=T0)
        outbox.tell((alert,), (delivery(incident=incident.key),), (View(incident.key, 1, "west", b"{}"),))
    outbox.commit(Commit(STORED, 1, T0))
    outbox.add_action({"action": "note"})
    outbox.actions_taken([id for id, *_ in outbox.waiting_actions()])
    outbox._db.execute("INSERT INTO withheld (time_ns, rule, zone, subject, reason) VALUES (?, '', '', '', '')", (T0,))
    outbox._db.execute("INSERT INTO rejections (reason, last_ns) VALUES ('r', ?)", (T0,))
    outbox._db.execute("INSERT INTO faults (kind, last_ns) VALUES ('k', ?)", (T0,))
    outbox.forget_before(max(T0, time.time_ns()) + DAY_NS, ["OPEN"])
    counts = {
        table: outbox._db.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
        for table in ("revisions", "views", "deliveries", "withheld", "actions", "rejections", "faults")
    }
    assert counts == {"revisions": 1, "views": 1, "deliveries": 1} | dict.fromkeys(
        ("withheld", "actions", "rejections", "faults"), 0
    )
    outbox.close()


def test_pages_that_are_free_are_given_back_to_the_disk(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o.db")
    parts = {n: bytes(200_000) for n in range(100)}
    outbox.commit(Commit(replace(STORED, parts=parts, parts_used=frozenset(parts)), 1, T0))
    outbox.commit(Commit(STORED, 1, T0))
    outbox.forget_before(T0, [])
    outbox._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 1_000_000
    outbox.close()


def test_a_state_that_is_damaged_says_so(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o.db")
    outbox.commit(Commit(STORED, 1, T0))
    outbox._db.execute("UPDATE snapshot SET mark = x'00'")
    with pytest.raises(Damaged):
        outbox.state()
    outbox._db.execute(f"UPDATE position SET now_ns = {NS}")
    with pytest.raises(Damaged):
        outbox.position()
    outbox.close()


def test_an_incident_whose_tracking_is_lost_is_acknowledged_and_ends(site: Path) -> None:
    places = Places(load(site).state)
    (key,) = alert_keys(places.database)
    db = sqlite3.connect(places.database)
    db.execute(f"UPDATE snapshot SET {CHANGES['snapshot']}")
    db.commit()
    db.close()
    pipeline, _ = restarted(site)
    for action in ("ack", "resolve"):
        request = pipeline.outbox.add_action({"action": action, "by": "ana", "alert": key, "note": "genuine"})
        with Writer(places.journal, places.journal_keys()) as journal:
            waiting = [(topic, payload) for _, topic, payload in pipeline.outbox.waiting_actions()]
            pipeline.outbox.actions_taken([id for id, *_ in pipeline.outbox.waiting_actions()])
            topics, payloads = zip(*waiting, strict=True)
            times = np.full(len(waiting), journal.newest_ns + NS)
            journal.append(Messages(times, topics, payloads, np.zeros(len(waiting), np.bool_)))
            journal.tick(journal.newest_ns + 2 * NS)
        while pipeline.turn():
            pass
        pipeline.commit()
        assert pipeline.outbox.answer_to(request) == ""
    phases = {i["alert"]: i["phase"] for i in pipeline.outbox.incidents(since_ns=1)}
    assert phases[key] == "cleared"
    pipeline.close()


def test_what_a_flood_needed_is_given_back_with_the_next_commits(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o.db")
    parts = {n: bytes(200_000) for n in range(200)}
    outbox.commit(Commit(replace(STORED, parts=parts, parts_used=frozenset(parts)), 1, T0))
    for _ in range(5):
        outbox.commit(Commit(STORED, 1, T0))
    outbox._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert (tmp_path / "o.db").stat().st_size < 10_000_000
    outbox.close()
