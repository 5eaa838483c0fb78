"""Damage to every file of a state folder, whatever files there are: a bit flipped, cut, emptied, removed.

The folder is that of a service which ran twice and was killed the second time, so that whatever kind of file a service writes is
in it, without being named here. What is read back is what was written, or a sentence says what is not.
"""

import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from alerts import audit
from alerts.outbox import Outbox
from history.embedded import EmbeddedStore
from history.store import Query
from history.tables import KINDS
from model.messages import Messages
from model.stored import Damaged, UnreadableFormat, is_whole
from model.time import MS, NS, iso_from_ns
from runtime.accepted import AcceptedDamaged, accept, accepted
from runtime.broker import free_port
from runtime.configuration import load
from runtime.pipeline import Pipeline, _lost_commits, _opened_outbox
from runtime.places import Places
from runtime.process_report import read_reports
from runtime.service import Service
from runtime.side_stores import SideStores
from runtime.simulator.vendors import frigate_snapshot
from sensors import journal
from sensors.aside import AsideStore, Kept
from sensors.journal import JournalDamaged, Position, Writer, read_whole
from sensors.keys import KeyUnusable, lasting_key
from sensors.vault import Pictures, Vault
from tests.hostile.test_alerting_goes_on import RADAR
from tests.hostile.test_pictures import CAMERA
from tests.site import site_at, until
from tests.unit.test_formats import group

WHOLE = 1 << 62
# What may be damaged or removed without a word, and why. Whatever else is in the folder, its loss is told.
SILENT = {
    r".*\.lock": "holds nothing",
    r".*-shm": "SQLite makes it anew from the file beside it",
    r"journal/forgotten\.json": "is made anew of the segments that are there",
    r"history/format": "stands in segments.json too, and is made anew",
    r"aside/.*": "a copy for the maintainer: what it is about was told, and is counted",
}


def messages_of(start_ns: int) -> list[Messages]:
    """One who walks over the line in view of a radar, a plate and a camera's picture; and the end of it."""
    camera_picture = frigate_snapshot("person", [100, 100, 140, 200], (1280, 720))
    plate = group(epoch_start=start_ns // MS - 900, epoch_end=start_ns // MS)
    sent = [(0, f"frigate/{CAMERA}/person/snapshot", camera_picture), (0, plate[0], msgspec.json.encode(plate[1]))]
    for second in range(20):
        at_ns = start_ns + second * NS
        seen = {"lat": 31.33230 + second * 0.00003, "lon": -110.6, "sigma_m": 2.0, "class": "person"}
        sent.append((second, RADAR, msgspec.json.encode({"time": iso_from_ns(at_ns), "detections": [seen]})))
    return [
        Messages(np.array([start_ns + second * NS + 100 * MS]), (topic,), (payload,), np.zeros(1, np.bool_))
        for second, topic, payload in sent
    ]


def written(places: Places, seconds_ago: int) -> None:
    with Writer(places.journal, places.journal_keys()) as writer:
        start_ns = time.time_ns() // NS * NS - seconds_ago * NS
        for messages in messages_of(start_ns):
            writer.append(messages)
        writer.tick(start_ns + 40 * NS)


def alerts_in(places: Places) -> set[str]:
    with Outbox(places.database) as outbox:
        return {i["alert"] for i in outbox.incidents(since_ns=1) if i["reason"]["kind"] != "system_fault"}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site whose pipeline ran and ended, and whose service ran as it would stand after kill -9."""
    site = site_at(tmp_path_factory.mktemp("running"), free_port())
    text = (site / "site.toml").read_text()
    (site / "site.toml").write_text(text.replace("[console]", "[console]\nenabled = false"))
    c = load(site)
    places = Places(c.state)
    pipeline = Pipeline(c, lambda _: None)
    written(places, 300)
    while pipeline.turn():
        pass
    pipeline.close()
    first = alerts_in(places)
    AsideStore(places.aside, places.journal_keys()).keep([Kept(messages_of(time.time_ns())[0], "decode", "planted")])
    for number in range(3):
        audit.append(places.audit, lasting_key(places.state / "keys" / "audit.key"), str(number), "x", "y", "z", "why")
    written(places, 100)
    running = Service(site, accept(c, time.time_ns()), None, lambda _: None)
    stop = threading.Event()

    def until_there_is(condition: Callable[[], Any], what: str) -> None:
        until(lambda: (running.run_once(stop) and condition()) or condition(), what)

    try:
        until_there_is(lambda: alerts_in(places) - first and places.picture.exists(), "an alert of the second walk")
        with Outbox(places.database) as outbox:
            request = outbox.add_action({"action": "ack", "alert": min(first), "by": "ana"})
            until_there_is(lambda: outbox.answer_to(request) == "", "the answer to an action")
        until_there_is(lambda: list(places.history.glob("*/*.arrow")), "a write-ahead file")
        until_there_is(lambda: len(read_reports(places.processes)) == 2, "a report of every process")
        copy = tmp_path_factory.mktemp("ran") / "site"
        shutil.copytree(site, copy, symlinks=True)
    finally:
        running.close()
    return copy


def files_of(state: Path) -> list[str]:
    return sorted(str(p.relative_to(state)) for p in state.rglob("*") if p.is_file() and not p.is_symlink())


# ── damages ──────────────────────────────────────────────────────────────────────────────────────


def flipped(path: Path, seed: int) -> None:
    if not path.stat().st_size:
        return
    random, data = np.random.default_rng(seed), bytearray(path.read_bytes())
    data[random.integers(len(data))] ^= 1 << random.integers(8)
    path.write_bytes(data)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "a bit flipped": lambda path: flipped(path, 1),
    "another bit flipped": lambda path: flipped(path, 2),
    "cut to half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "empty": lambda path: path.write_bytes(b""),
    "removed": Path.unlink,
}


# ── what is read back ────────────────────────────────────────────────────────────────────────────


@dataclass
class Read:
    """What was read of a state folder, and the sentences about what could not be."""

    values: dict[str, list[Any]] = field(default_factory=dict)
    sentences: list[str] = field(default_factory=list)


Reader = Callable[[Path, Read], None]


def read_outbox(site: Path, into: Read) -> None:
    outbox, sentences = _opened_outbox(Places(site / "state"))
    with outbox:
        into.sentences += sentences
        into.sentences += _lost_commits(Places(site / "state"), outbox.status().get("commits", 0))
        rows, damaged = outbox.kept()
        into.sentences += damaged
        tables = ("revisions", "views", "deliveries", "actions", "withheld", "rejections", "faults")
        into.values["records"] = [(r.table, r.key, r.data) for r in rows]
        for table in tables:
            names = [r[1] for r in outbox._db.execute(f"PRAGMA table_info({table})") if "checksum" not in r[1]]
            into.values[table] = outbox._db.execute(f"SELECT {', '.join(names)} FROM {table}").fetchall()
        into.values["seen"] = [r for number, r in outbox.revisions_after(0, "border-patrol")]
        for name in ("position", "state"):
            try:
                into.values[name] = [getattr(outbox, name)()]
            except Damaged as error:
                into.sentences.append(str(error))
        into.sentences += [f["detail"] for f in outbox.faults() if f["waiting"]]


def read_journal(site: Path, into: Read) -> None:
    places = Places(site / "state")
    frames = list(read_whole(places.journal, places.journal_keys(), into.sentences.append))
    with Outbox(places.database) as outbox:
        position, status = outbox.position(), outbox.status()
    try:
        list(
            journal.read(
                places.journal,
                places.journal_keys(),
                Position.of(position[0]),
                bytes.fromhex(status["journal_segment"]),
            )
        )
    except JournalDamaged as error:
        into.sentences.append(str(error))
    into.values["messages"] = [m for f in frames for m in zip(f.messages.topics, f.messages.payloads, strict=True)]


def read_history(site: Path, into: Read) -> None:
    for write in (False, True):
        store = EmbeddedStore(Places(site / "state").history, write)
        for kind in KINDS if not write else ():
            into.values[kind] = store.query(Query(kind, 0, WHOLE)).to_pylist()
            into.sentences += store.damaged
        into.sentences += store.damaged
        store.close()


def read_vault(site: Path, into: Read) -> None:
    with Outbox(Places(site / "state").database) as outbox:
        committed = outbox.status()["stores"]
    stores = SideStores(load(site), lambda _, __, text: into.sentences.append(text), committed)
    stores.write()
    stores.close()
    with closing(Vault(Places(site / "state").vault)) as vault:
        tokens = [token for (token,) in vault._db.execute("SELECT token FROM plates")]
        into.values["plates"] = [r for token in tokens for r in vault.reveal(token % (1 << 64))]
    with closing(Pictures(Places(site / "state").vault)) as pictures:
        into.values["pictures"] = [pictures.newest("cam-05", 0, WHOLE)]


def read_audit(site: Path, into: Read) -> None:
    verdict = audit.verify(site / "state" / "audit.log", lasting_key(site / "state" / "keys" / "audit.key"))
    into.sentences += verdict.findings
    into.values["audit"] = list(range(verdict.lines))


def read_accepted(site: Path, into: Read) -> None:
    try:
        found = accepted(site)
    except AcceptedDamaged as error:
        into.sentences.append(str(error))
    else:
        into.values["configuration"] = [None if found is None else (found.digest, found.time)]


def read_aside(site: Path, into: Read) -> None:
    places = Places(site / "state")
    found = list(AsideStore(places.aside, places.journal_keys()).read())
    into.sentences += [each for each in found if isinstance(each, str)]
    into.values["aside"] = [repr(each) for each in found if not isinstance(each, str)]


def read_live(site: Path, into: Read) -> None:
    """As the console does: what is not whole is passed over, and the page shows the age of what it has."""
    try:
        data = Places(site / "state").picture.read_bytes()
    except FileNotFoundError:
        data = b""
    into.values["live"] = [data] if is_whole(data) else []
    into.sentences += [] if is_whole(data) else ["The live view is passed over."]


def read_processes(site: Path, into: Read) -> None:
    """Of a process that is not among them, `status` says that nothing is known of it."""
    reports = read_reports(Places(site / "state").processes)
    into.values["processes"] = sorted(map(repr, reports))
    into.sentences += [f"Nothing is known of {name}." for name in {"service", "ingest"} - {r.process for r in reports}]


READERS: dict[str, tuple[Reader, ...]] = {
    r"marchwarden\.db.*|commits\.json": (read_outbox,),
    r"journal/.*|keys/journal.*": (read_journal,),
    r"history/.*": (read_history,),
    r"vault/.*": (read_vault,),
    r"audit.*|keys/audit.*": (read_audit,),
    r"configuration/.*": (read_accepted,),
    r"processes/.*": (read_processes,),
    r"live\.json": (read_live,),
    r"aside/.*": (read_aside,),
}
ALL_READERS = tuple(reader for readers in READERS.values() for reader in readers)


def read(site: Path, name: str) -> Read:
    """All that can be read of what a file belongs to."""
    found = Read()
    readers = next((readers for pattern, readers in READERS.items() if re.fullmatch(pattern, name)), ALL_READERS)
    for reader in readers:
        try:
            reader(site, found)
        except (Damaged, UnreadableFormat, KeyUnusable) as error:
            found.sentences.append(str(error))
    found.sentences = [text for text in found.sentences if text]
    return found


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in memory, where there is one: every store waits for the disk."""
    shared = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=shared if shared.is_dir() else None))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def before(ran: Path, memory: Path) -> dict[str, Read]:
    """What is read with each file as it was written."""
    found: dict[str, Read] = {}
    for name in files_of(ran / "state"):
        pattern = next((p for p in READERS if re.fullmatch(p, name)), "")
        if pattern not in found:
            with copied(ran, memory) as site:
                found[pattern] = read(site, name)
        found[name] = found[pattern]
    return found


@contextmanager
def copied(ran: Path, folder: Path) -> Iterator[Path]:
    shutil.copytree(ran, folder / "site", symlinks=True)
    try:
        yield folder / "site"
    finally:
        shutil.rmtree(folder / "site")


def problem(before: Read, after: Read) -> str:
    """What is silently wrong with what was read; empty: nothing."""
    new = [text for text in after.sentences if text not in before.sentences]
    if any("\n" in text or "Traceback" in text for text in new):
        return f"no sentence: {new}"
    wrong = [key for key, value in before.values.items() if after.values.get(key) != value]
    return f"silently wrong: {', '.join(wrong)}" if wrong and not new else ""


def is_silent(state: Path, name: str) -> bool:
    """May it be damaged without a word? An empty file may."""
    return not (state / name).stat().st_size or any(re.fullmatch(pattern, name) for pattern in SILENT)


def one_of_each_kind(names: list[str]) -> list[str]:
    """The first of all that differ in numbers and in the kind of rows only; and one copy of a configuration's files."""
    kinds: dict[str, str] = {}
    for name in names:
        kind = re.sub(r"^configuration/[^/]*/(?!manifest).*", "copy", name)
        kinds.setdefault(re.sub(r"-?\d+|[0-9a-f]{16,}|\b(alerts|detections|reasons|tracks)\b", "", kind), name)
    return list(kinds.values())


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_read_after_any_damage_is_what_was_written_or_a_sentence_says_what_is_not(
    damage: str, ran: Path, before: dict[str, Read], memory: Path
) -> None:
    problems = {}
    for name in files_of(ran / "state"):
        with copied(ran, memory) as site:
            DAMAGES[damage](site / "state" / name)
            wrong = problem(before[name], read(site, name))
        if wrong and not is_silent(ran / "state", name):
            problems[name] = wrong
    assert not problems


def started(site: Path) -> list[str]:
    """All that a start of the service over a folder says, and that commands say of what the service does not read."""
    reports: list[str] = []
    try:
        pipeline = Pipeline(load(site), reports.append)
        while pipeline.turn():
            pass
        pipeline.commit()
        pipeline.close()
    except (UnreadableFormat, KeyUnusable) as error:  # the command says it, and what to do
        reports.append(str(error))
    found = Read()
    for reader in (read_audit, read_accepted, read_processes, read_live):
        reader(site, found)
    return reports + found.sentences


def test_a_service_starts_without_any_file_loses_no_alert_and_says_what_is_missing(ran: Path, memory: Path) -> None:
    with copied(ran, memory) as site:
        usual = started(site)
        alerts = alerts_in(Places(site / "state"))
    problems = {}
    for name in one_of_each_kind(files_of(ran / "state")):
        with copied(ran, memory) as site:
            (site / "state" / name).unlink()
            reports = [text for text in started(site) if text not in usual]
            lost = alerts - alerts_in(Places(site / "state"))
        if lost or not (reports or is_silent(ran / "state", name)) or any("Traceback" in text for text in reports):
            problems[name] = lost or reports
    assert alerts
    assert not problems
