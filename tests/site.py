"""A copy of the shipped site for a test, and the ways to run it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CONFIGS = Path(__file__).parents[1] / "configs"
MARCHWARDEN = [sys.executable, "-m", "runtime.cli"]
DEADLINE_S = 60.0


def site_at(folder: Path, port: int = 1883) -> Path:
    """A copy of the shipped site whose broker listens on `port`."""
    site = folder / "site"
    shutil.copytree(CONFIGS, site, ignore=shutil.ignore_patterns("state"))
    text = (site / "site.toml").read_text()
    (site / "site.toml").write_text(text.replace("port = 1883", f"port = {port}", 1) + "\n[console]\nport = 0\n")
    return site


def marchwarden(*arguments: Any) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*MARCHWARDEN, *map(str, arguments)], capture_output=True, text=True, timeout=300, check=False
    )


@contextmanager
def service(site: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`marchwarden run` for as long as the context lasts."""
    process = started(site, log)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def started(site: Path, log: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*MARCHWARDEN, "run", str(site)], stderr=log.open("ab"), env=os.environ | {"PYTHONUNBUFFERED": "1"}
    )


def until(happened: Callable[[], Any], what: str, seconds: float = DEADLINE_S) -> Any:
    """The first true answer of `happened`; fails after a generous deadline, saying what never came."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = happened()
        if answer:
            return answer
        time.sleep(0.05)
    raise AssertionError(f"In {seconds:g} s: {what} did not happen; the last answer was {answer!r}.")
