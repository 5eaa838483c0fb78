"""A process beside the service that hangs is started again, and one that cannot be blamed is not."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime import children
from runtime.children import HUNG_AT_START_S, HUNG_S, PAUSED_S, ChildProcesses, SignsOfLife
from runtime.process_report import ProcessReport, Reporter, write_report
from tests.site import until

REPORTS = """
import sys, time
from pathlib import Path
from runtime.process_report import Reporter
reporter = Reporter(Path(sys.argv[1]), "ingest", tuple)
while True:
    reporter.write()
    time.sleep(0.05)
"""


class Stoppable(ChildProcesses):
    """Real processes that report as ours do, and do nothing else."""

    def _start(self, name: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", REPORTS, str(self._folder)])

    def pid(self) -> int:
        return self._processes["ingest"].pid if "ingest" in self._processes else 0


@pytest.fixture
def ended() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def processes(tmp_path: Path, ended: list[tuple[str, str]]) -> Iterator[Stoppable]:
    made = Stoppable(["ingest"], tmp_path, tmp_path, lambda: None, lambda *how: ended.append(how))
    yield made
    made.end()


def test_a_process_that_is_stopped_is_killed_and_started_again_and_counted(
    tmp_path: Path, processes: Stoppable, ended: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "HUNG_S", 3.0)
    monkeypatch.setattr(children, "READ_S", 0.05)
    ours = Reporter(tmp_path, "service", processes.parts)

    def look() -> bool:
        ours.write()
        processes.look()
        return True

    processes.look()
    first = processes.pid()
    until(lambda: look() and (tmp_path / "ingest.json").exists(), "it reported")
    os.kill(first, signal.SIGSTOP)
    until(lambda: look() and processes.pid() not in (0, first), "another runs")
    (part,) = processes.parts()
    assert (part.starts, part.since is not None) == (2, True)
    assert "no sign of life" in part.error
    assert ended == [("ingest process", part.error)]


class Clock:
    now_s = 0.0


@pytest.mark.parametrize(
    ("ours_written", "reported", "still_s", "hung"),
    [
        (True, True, HUNG_S - 2, False),
        (True, True, HUNG_S + 2, True),
        (True, False, HUNG_AT_START_S - 2, False),  # a slow start
        (True, False, HUNG_AT_START_S + 2, True),
        (False, True, 10 * HUNG_S, False),  # the disk takes no reports, ours neither
    ],
)
def test_only_a_process_that_is_silent_while_we_are_not_hangs(
    tmp_path: Path, ours_written: bool, reported: bool, still_s: float, hung: bool
) -> None:
    clock = Clock()
    signs = SignsOfLife(tmp_path, lambda: clock.now_s)
    signs.read({"ingest": 77})
    if reported:
        clock.now_s += 2
        write_report(tmp_path, ProcessReport("ingest", 77, "", "2026-11-20T04:00:00Z"))
        signs.read({"ingest": 77})
    begun_s = clock.now_s
    while clock.now_s < begun_s + still_s:
        clock.now_s += 1
        if ours_written:
            write_report(tmp_path, ProcessReport("service", os.getpid(), "", f"{clock.now_s}"))
        signs.read({"ingest": 77})
    assert (signs.hung_s("ingest") > 0) == hung


def test_when_all_of_us_were_stopped_nobody_is_blamed(tmp_path: Path) -> None:
    clock = Clock()
    signs = SignsOfLife(tmp_path, lambda: clock.now_s)
    for name, pid in (("ingest", 77), ("service", os.getpid())):
        write_report(tmp_path, ProcessReport(name, pid, "", "2026-11-20T04:00:00Z"))
    signs.read({"ingest": 77})
    clock.now_s += 2
    signs.read({"ingest": 77})
    clock.now_s += 3600
    write_report(tmp_path, ProcessReport("service", os.getpid(), "", "2026-11-20T05:00:00Z"))
    signs.read({"ingest": 77})
    assert signs.hung_s("ingest") == 0
    assert PAUSED_S < HUNG_S


def test_a_report_of_the_process_before_is_no_sign_of_the_new_one(tmp_path: Path) -> None:
    clock = Clock()
    signs = SignsOfLife(tmp_path, lambda: clock.now_s)
    for second in range(int(HUNG_AT_START_S) + 10):
        clock.now_s = second
        write_report(tmp_path, ProcessReport("ingest", 77, "", f"{second}"))
        write_report(tmp_path, ProcessReport("service", os.getpid(), "", f"{second}"))
        signs.read({"ingest": 78})
    assert signs.hung_s("ingest") > 0
