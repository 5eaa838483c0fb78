"""The audit log against who can write in the state folder, with the key and without, and against crashes and a full log."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from alerts import audit
from model.faults import Fault
from runtime.anchoring import AuditWatch
from runtime.broker import broker
from runtime.configuration import load
from runtime.fault_queue import FaultQueue
from runtime.places import Places, audit_key
from tests.hostile.broker import Listener
from tests.site import DEADLINE_S, in_process, site_at, until
from tests.unit.test_configuration import change, mistakes

KEY, TIME = b"k" * 32, "2026-11-20T04:20:30.000000Z"
# Written by the version before: four lines, and a head without a signature.
OLD_LOG = Path(__file__).parent / "audit-0.1.log"
OLD_HEAD = Path(__file__).parent / "audit-0.1.head"


def written(path: Path, lines: int, first: int = 0) -> Path:
    for n in range(first, first + lines):
        audit.append(path, KEY, TIME, "desk-1", "looked", f"A{n}", "shift")
    return path


def cut(path: Path, keep: int) -> None:
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:keep]))


def head_of(path: Path) -> Path:
    return path.with_suffix(".head")


# ── a log that was cut ───────────────────────────────────────────────────────────────────────────


def old_form(path: Path) -> None:
    newest = json.loads(path.read_bytes().splitlines()[-1])["hash"]
    head_of(path).write_text(f"3 {newest}\n")


def garbled(path: Path) -> None:
    head_of(path).write_bytes(os.urandom(200))


def counted_down(path: Path) -> None:
    head = json.loads(head_of(path).read_bytes())
    newest = json.loads(path.read_bytes().splitlines()[-1])["hash"]
    head_of(path).write_text(json.dumps(head | {"lines": 3, "hash": newest, "size": path.stat().st_size}))


@pytest.mark.parametrize(
    "disguise",
    [lambda _: None, lambda p: head_of(p).unlink(), garbled, counted_down],
    ids=["as is", "gone", "garbled", "counted down"],
)
@pytest.mark.parametrize("more", [0, 1, 3], ids=["found at once", "and after a line more", "and after more lines"])
def test_a_cut_end_is_found_without_an_anchor_where_the_key_is_not_known(
    tmp_path: Path, disguise: Callable[[Path], None], more: int
) -> None:
    path = written(tmp_path / "audit.log", 6)
    cut(path, 3)
    disguise(path)
    written(path, more, 6)
    assert audit.verify(path, KEY).findings


def test_a_cut_within_a_line_is_found_and_what_is_written_next_can_be_read(tmp_path: Path) -> None:
    path = written(tmp_path / "audit.log", 6)
    os.truncate(path, path.stat().st_size - 30)
    written(path, 2, 6)
    assert [json.loads(line)["about"] for line in path.read_bytes().splitlines()[-2:]] == ["A6", "A7"]
    assert audit.verify(path, KEY).findings


def older_copy(path: Path) -> None:
    """Log and head as they were at an earlier time: everything is signed, and by the right key."""
    for file in path.parent.glob("audit.*"):
        file.unlink()
    written(path, 3)


def written_anew(path: Path) -> None:
    """By who has the key: another line 2, and all hashes right."""
    for file in path.parent.glob("audit.*"):
        file.unlink()
    for n in range(6):
        audit.append(path, KEY, TIME, "desk-1", "looked", "A9" if n == 1 else f"A{n}", "shift")


def gone(path: Path) -> None:
    for file in path.parent.glob("audit.*"):
        file.unlink()


def downgraded(path: Path) -> None:
    cut(path, 3)
    old_form(path)


@pytest.mark.parametrize("attack", [older_copy, written_anew, gone, downgraded])
@pytest.mark.parametrize("more", [0, 5])
def test_who_has_the_key_is_found_by_an_anchor(tmp_path: Path, attack: Callable[[Path], None], more: int) -> None:
    path = written(tmp_path / "audit.log", 6)
    anchor = audit.checkpoint(path, KEY, TIME)
    attack(path)
    written(path, more, 6)
    assert audit.verify(path, KEY, [anchor]).findings


def test_a_log_that_stands_agrees_with_every_anchor_of_its_life(tmp_path: Path) -> None:
    path, anchors = tmp_path / "audit.log", []
    for n in range(5):
        anchors.append(audit.checkpoint(path, KEY, TIME))
        written(path, 1, n)
    verdict = audit.verify(path, KEY, anchors)
    assert (verdict.lines, verdict.findings) == (5, ())
    assert verdict.notes == ("An anchor vouches for lines 1 to 4.",)
    assert "No anchor was given" in audit.verify(path, KEY).notes[0]


def test_an_anchor_that_was_changed_or_is_of_another_key_is_said_and_not_believed(tmp_path: Path) -> None:
    path = written(tmp_path / "audit.log", 2)
    anchor = audit.checkpoint(path, KEY, TIME)
    assert "changed since" in audit.verify(path, KEY, [replace(anchor, lines=9)]).broken
    assert "cut" not in audit.verify(path, KEY, [replace(anchor, lines=9)]).broken
    another = audit.checkpoint(written(tmp_path / "b" / "audit.log", 1), b"x" * 32, TIME)
    assert "exchanged, or they are of another site" in audit.verify(path, KEY, [another]).broken
    assert audit.verify(path, KEY, [another, anchor]).findings == ()


def test_anchors_are_found_in_a_syslog_among_other_lines(tmp_path: Path) -> None:
    anchor = audit.checkpoint(written(tmp_path / "audit.log", 2), KEY, TIME)
    line = f"Nov 20 04:20:30 ops marchwarden audit: {anchor.encoded().decode()}"
    text = "\n".join(["Nov 20 kernel: {not json", line, '{"lines": 1}', '{"lines": "1", "hash": 2}', "{" * 5000, ""])
    assert audit.anchors_in(text) == [anchor]


# ── crashes, several processes, length ───────────────────────────────────────────────────────────


@pytest.mark.parametrize("torn", [b'{"number": 7, "time": "20', b"\0" * 512, b"{"])
def test_a_crash_in_the_middle_of_a_line_leaves_a_log_that_stands_and_goes_on(tmp_path: Path, torn: bytes) -> None:
    path = written(tmp_path / "audit.log", 6)
    with path.open("ab") as file:
        file.write(torn)
    assert audit.verify(path, KEY).findings == ()
    written(path, 2, 6)
    verdict = audit.verify(path, KEY)
    assert (verdict.lines, verdict.findings) == (8, ())


def test_a_crash_between_any_two_steps_leaves_a_log_that_stands(tmp_path: Path) -> None:
    """Every state that a crash can leave: the head of any of the last lines, with any part of the next line written."""
    path, heads = tmp_path / "audit.log", []
    for n in range(4):
        written(path, 1, n)
        heads.append((head_of(path).read_bytes(), path.stat().st_size))
    whole = path.read_bytes()
    for head, size in heads[1:]:
        for end in range(size, len(whole) + 1, 7):
            head_of(path).write_bytes(head)
            path.write_bytes(whole[:end])
            assert audit.verify(path, KEY).findings == (), end
            written(path, 1, 9)
            assert audit.verify(path, KEY).findings == (), end


APPEND_MANY = """
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from alerts import audit
for n in range(60):
    audit.append(Path(sys.argv[1]), b"k" * 32, "2026-11-20T04:20:30Z", f"process-{sys.argv[2]}", "looked", f"A{n}", "shift")
"""


def test_several_processes_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    processes = [subprocess.Popen([sys.executable, "-c", APPEND_MANY, path, str(who)]) for who in range(4)]
    assert [process.wait(DEADLINE_S) for process in processes] == [0] * 4
    verdict = audit.verify(path, KEY)
    assert (verdict.lines, verdict.findings) == (240, ())


def test_a_line_costs_the_same_in_a_long_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted in bytes that are read, not in time: a line reads nothing of the lines before it."""
    path = written(tmp_path / "audit.log", 2)
    reads = list[int]()
    read_on = audit._read_on

    def counting(log: audit.BinaryIO, key: bytes, end: audit._End) -> audit._End:
        reads.append(os.fstat(log.fileno()).st_size - end.size)
        return read_on(log, key, end)

    monkeypatch.setattr(audit, "_read_on", counting)
    written(path, 50, 2)
    assert reads == [0] * 50


def test_what_no_text_can_hold_is_written_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    audit.append(path, KEY, TIME, "\udcff", "line\nbreak", "\0", "\u2028é😀")
    assert audit.verify(path, KEY).findings == ()


def test_nobody_else_on_the_machine_can_read_it(tmp_path: Path) -> None:
    path = written(tmp_path / "audit.log", 1)
    assert [oct(file.stat().st_mode & 0o777) for file in (path, head_of(path))] == ["0o600", "0o600"]


# ── logs of the version before ───────────────────────────────────────────────────────────────────


def old(tmp_path: Path) -> Path:
    path = tmp_path / "audit.log"
    path.write_bytes(OLD_LOG.read_bytes())
    head_of(path).write_bytes(OLD_HEAD.read_bytes())
    return path


def test_a_log_of_the_version_before_stands_and_goes_on(tmp_path: Path) -> None:
    path = old(tmp_path)
    verdict = audit.verify(path, KEY)
    assert (verdict.lines, verdict.findings) == (4, ())
    assert "not signed" in verdict.notes[0]
    written(path, 2)
    verdict = audit.verify(path, KEY)
    assert (verdict.lines, verdict.findings) == (6, ())


@pytest.mark.parametrize("more", [0, 2])
def test_a_cut_log_of_the_version_before_is_found(tmp_path: Path, more: int) -> None:
    path = old(tmp_path)
    cut(path, 2)
    written(path, more)
    assert audit.verify(path, KEY).findings


# ── a site's anchors ─────────────────────────────────────────────────────────────────────────────


def anchored(site: Path, *anchors: str) -> None:
    text = "[audit]\nevery_minutes = 60\n" + "".join(f"[[audit.anchor]]\n{anchor}\n" for anchor in anchors)
    change(site, "site.toml", "[privacy]", f"{text}\n[privacy]")


def test_a_site_anchors_in_a_file_at_the_broker_and_in_syslog_and_verify_finds_a_cut(tmp_path: Path) -> None:
    with broker() as running, Listener(running.port, "elsewhere/audit") as listening:
        site, reports = site_at(tmp_path, running.port), list[str]()
        (tmp_path / "elsewhere").mkdir()
        syslog = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        syslog.bind(str(tmp_path / "log.socket"))
        anchored(
            site,
            'kind = "file"\npath = "../elsewhere/anchors"',
            f'kind = "syslog"\naddress = "{tmp_path}/log.socket"',
            'kind = "mqtt"\ntopic = "elsewhere/audit"',
        )
        c = load(site)
        key, log = audit_key(c), Places(c.state).audit
        for n in range(5):
            audit.append(log, key, TIME, "desk-1", "looked", f"A{n}", "shift")
        watch = AuditWatch(c, reports.append, FaultQueue(), lambda *ended: reports.append(str(ended)))
        until(lambda: listening.got, "the anchor came by the broker")
        watch.stop()
        said = syslog.recv(10_000).decode()
        assert reports == []
    (at_broker,) = audit.anchors_in(listening.got[0][1].decode())
    (in_syslog,) = audit.anchors_in(said)
    assert {a.lines for a in (at_broker, in_syslog)} == {5}
    assert in_process("audit", "verify", site).returncode == 0
    for file in c.state.glob("audit.*"):
        file.unlink()
    for n in range(3):
        audit.append(log, key, TIME, "desk-1", "looked", f"A{n}", "shift")
    done = in_process("audit", "verify", site)
    assert (done.returncode, "it had 5: it was cut" in done.stderr) == (1, True), done.stderr
    (tmp_path / "elsewhere" / "anchors").unlink()
    assert in_process("audit", "verify", site).returncode == 0
    (tmp_path / "syslog").write_text(said)
    assert in_process("audit", "verify", site, "--anchor", tmp_path / "syslog").returncode == 1


class Watched:
    """A site's audit watch, that looks when it is told to, and the faults that it hands in."""

    def __init__(self, site: Path) -> None:
        self.c, self.queue, self.reports = load(site), FaultQueue(), list[str]()
        self.log, self.key = Places(self.c.state).audit, audit_key(self.c)
        self.watch = AuditWatch(self.c, self.reports.append, self.queue, lambda *ended: None)
        self.watch.stop()
        self.faults()

    def write(self, lines: int) -> None:
        for n in range(lines):
            audit.append(self.log, self.key, TIME, "desk-1", "looked", f"A{n}", "shift")

    def faults(self) -> list[Fault]:
        handed = list[Fault]()
        self.queue.hand_in(handed.append)
        return handed

    def look(self) -> list[tuple[str, str, bool]]:
        self.watch.look()
        return [(f.kind.value, f.about, f.over) for f in self.faults()]


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path fits into a socket's address and into what a fault is about."""
    with TemporaryDirectory(prefix="mw-") as folder:
        yield Path(folder)


def test_an_anchor_that_cannot_be_put_is_a_fault_until_it_can_and_the_others_are_put(
    tmp_path: Path, short_folder: Path
) -> None:
    site, socket_path = site_at(tmp_path), short_folder / "log.socket"
    (tmp_path / "elsewhere").mkdir()
    anchored(
        site,
        f'kind = "syslog"\naddress = "{socket_path}"',
        'kind = "mqtt"\ntopic = "elsewhere/audit"',  # nobody listens there
        'kind = "file"\npath = "../elsewhere/anchors"',
    )
    change(site, "site.toml", "port = 1883", "port = 1")
    watched = Watched(site)
    failed = [
        ("anchor_failed", f"syslog {socket_path}", False),
        ("anchor_failed", "mqtt elsewhere/audit", False),
    ]
    for _ in range(2):
        assert [fault for fault in watched.look() if not fault[2]] == failed
    assert len(audit.anchors_in((tmp_path / "elsewhere" / "anchors").read_text())) == 3
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listening.bind(str(socket_path))
    assert watched.look() == [("anchor_failed", f"syslog {socket_path}", True), failed[1]]
    (tmp_path / "elsewhere" / "anchors").unlink()
    (tmp_path / "elsewhere").rmdir()
    assert watched.look() == [failed[1], ("anchor_failed", "file ../elsewhere/anchors", False)]
    assert all(report.startswith("The audit log could not be anchored") for report in watched.reports)
    listening.close()


def garbage_line(log: Path) -> None:
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join([*lines[:2], b"\xff\x00 garbage {".ljust(len(lines[2]) - 1) + b"\n", *lines[3:]]))


def foreign_end(log: Path) -> None:
    forged = json.loads(log.read_bytes().splitlines()[-1]) | {"number": 9, "who": "nobody", "hash": "\ud800"}
    with log.open("ab") as file:
        file.write(json.dumps(forged).encode() + b"\n" + b"[" * 5000 + b"\n")


def head_is(content: bytes) -> Callable[[Path], None]:
    return lambda log: head_of(log).write_bytes(content) and None


def head_as_folder(log: Path) -> None:
    head_of(log).unlink()
    head_of(log).mkdir()


DAMAGES = {
    "garbage head": (head_is(os.urandom(300)), "The head file is not as this log's key signed it."),
    "deep head": (head_is(b'{"lines":' + b"[" * 3000), "The head file is not as this log's key signed it."),
    "empty head": (head_is(b""), "The head file is not as this log's key signed it."),
    "no head": (lambda log: head_of(log).unlink(), "The head file is missing."),
    "cut": (lambda log: cut(log, 4), "The log has 4 lines; its head says 8."),
    "emptied": (lambda log: log.write_bytes(b"") and None, "The log has 0 lines; its head says 8."),
    "gone": (lambda log: log.unlink(), "The log is gone; it had lines."),
    "garbage line": (garbage_line, "Line 3 is no record."),
    "foreign end": (foreign_end, "Line 9 is not as it was written, or a line before it is missing."),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_log_is_one_sentence_and_a_fault_and_goes_on_so_that_what_is_there_can_be_proved(
    tmp_path: Path, damage: str
) -> None:
    do, sentence = DAMAGES[damage]
    watched = Watched(site_at(tmp_path))
    watched.write(8)
    assert watched.look() == []
    kept = watched.log.read_bytes().splitlines()
    do(watched.log)
    assert audit.verify(watched.log, watched.key).findings[0] == sentence
    assert watched.look() == [("audit_broken", "audit.log", False)]
    assert watched.look() == []  # told once
    done = in_process("audit", "verify", watched.c.folder)
    assert (done.returncode, sentence in done.stderr) == (1, True)
    assert audit.append(watched.log, watched.key, TIME, "desk-2", "looked", "B0", "") or damage == "garbage line"
    for n in range(1, 4):
        assert audit.append(watched.log, watched.key, TIME, "desk-2", "looked", f"B{n}", "") == ""
    verdict = audit.verify(watched.log, watched.key)
    left = {json.loads(line)["about"]: json.loads(line)["number"] for line in kept if line in watched.log.read_bytes()}
    numbers = {r["about"]: r["number"] for r in map(audit._record, watched.log.read_bytes().splitlines(True)) if r}
    proved = verdict.notes[0] if verdict.findings else ""
    assert proved.endswith(f"to {numbers['B3']}.")  # up to the end
    if damage == "garbage line":
        assert proved == "As they were written stand lines 1 to 2, lines 5 to 12."
    elif left:
        assert f"lines 1 to {max(left.values())}" in proved or proved == "As they were written stand lines 1 to 13."
    # What is said of it stays the same, however much is written since.
    assert len(verdict.findings) <= 3


def test_a_break_says_where_it_goes_on_and_an_anchor_from_after_it_agrees(tmp_path: Path) -> None:
    path = written(tmp_path / "audit.log", 8)
    cut(path, 3)
    written(path, 2, 8)
    anchor = audit.checkpoint(path, KEY, TIME)
    written(path, 2, 10)
    verdict = audit.verify(path, KEY, [anchor])
    (found,) = verdict.findings
    assert "Before line 9 the log was broken: It had 8 lines" in found
    assert "Lines 4 to 8 are missing. It goes on with line 9." in found
    assert verdict.notes[0] == "As they were written stand lines 1 to 3, lines 9 to 13."


def test_a_mark_that_somebody_copies_or_forges_moves_nothing(tmp_path: Path) -> None:
    """Who cuts lines out cannot hide it behind a mark from elsewhere in the log."""
    path = written(tmp_path / "audit.log", 4)
    head_of(path).unlink()
    written(path, 4, 4)
    lines = path.read_bytes().splitlines(keepends=True)
    mark = next(n for n, line in enumerate(lines) if b"head lost" in line)
    path.write_bytes(b"".join([*lines[:2], *lines[mark:]]))
    assert len(audit.verify(path, KEY).findings) >= 1
    forged = json.loads(lines[mark]) | {"number": 3, "about": json.loads(lines[1])["hash"]}
    path.write_bytes(b"".join([*lines[:2], json.dumps(forged).encode() + b"\n", *lines[mark + 1 :]]))
    assert any("is not as it was written" in finding for finding in audit.verify(path, KEY).findings)


@pytest.mark.parametrize("which", ["log", "head"])
def test_a_log_that_cannot_be_written_is_a_sentence_and_nothing_is_shown_that_must_leave_a_trace(
    tmp_path: Path, which: str
) -> None:
    site = site_at(tmp_path)
    watched = Watched(site)
    (watched.log if which == "log" else watched.log.with_name(".audit.head")).mkdir(parents=True)
    done = in_process("history", site, "tracks")
    assert (done.returncode, done.stderr) == (
        1,
        f"The audit log {watched.log} cannot be written: Is a directory. "
        "Without it nothing is shown that has to leave a trace there.\n",
    )
    if which == "log":
        assert watched.look() == [("writing_failed", "audit.log", False)]
        watched.log.rmdir()
        assert watched.look() == [("writing_failed", "audit.log", True)]


@pytest.mark.parametrize(
    ("anchor", "wrong"),
    [
        ('kind = "file"\npath = "state/anchors"', "beside the log"),
        ('kind = "file"\npath = "zones/../state/anchors"', "beside the log"),
        ('kind = "file"\npath = "nowhere/anchors"', "does not exist"),
        ('kind = "mqtt"\ntopic = "frigate/audit"', "could be forged"),
        ('kind = "mqtt"\ntopic = "audit"\nagency = "nobody"', "no agency 'nobody'"),
    ],
)
def test_an_anchor_that_holds_nothing_is_a_mistake(tmp_path: Path, anchor: str, wrong: str) -> None:
    site = site_at(tmp_path)
    anchored(site, anchor)
    assert any(wrong in mistake for mistake in mistakes(site)), mistakes(site)
