"""A copy of the shipped site for a test, and the ways to run it."""

import io
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from runtime.cli import main

CONFIGS = Path(__file__).parents[1] / "configs"
MARCHWARDEN = [sys.executable, "-m", "runtime.cli"]
DEADLINE_S = 240.0  # for all that tests wait for: only what never comes misses it, however busy the machine
LOOK_S = 0.05


def site_at(folder: Path, port: int = 1883) -> Path:
    """A copy of the shipped site whose broker listens on `port`."""
    site = folder / "site"
    shutil.copytree(CONFIGS, site, ignore=shutil.ignore_patterns("state"))
    text = (site / "site.toml").read_text()
    (site / "site.toml").write_text(text.replace("port = 1883", f"port = {port}", 1) + "\n[console]\nport = 0\n")
    return site


def marchwarden(*arguments: Any) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return ran(*MARCHWARDEN, *arguments)


def in_process(*arguments: Any, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """The same in this process, without the start of another: for commands that end by themselves."""
    out, told, code = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(told):
        patch.setattr(sys, "argv", ["marchwarden", *map(str, arguments)])
        patch.setattr(sys, "stdin", io.StringIO(stdin))
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
    return subprocess.CompletedProcess([], code, out.getvalue(), told.getvalue())


def ran(*command: Any) -> subprocess.CompletedProcess[str]:
    """Any program, to its end."""
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=DEADLINE_S, check=False)


@contextmanager
def service(site: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`marchwarden run` for as long as the context lasts."""
    process = started(site, log)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(DEADLINE_S)


def started(site: Path, log: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*MARCHWARDEN, "run", str(site)], stderr=log.open("ab"), env=os.environ | {"PYTHONUNBUFFERED": "1"}
    )


def until(happened: Callable[[], Any], what: str, seconds: float = DEADLINE_S) -> Any:
    """The first true answer of `happened`; fails after the deadline, saying what never came."""
    deadline = time.monotonic() + seconds
    while not (answer := happened()):
        if time.monotonic() > deadline:
            raise AssertionError(f"In {seconds:g} s: {what} did not happen; the last answer was {answer!r}.")
        time.sleep(LOOK_S)
    return answer
