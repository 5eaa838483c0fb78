"""A broker on loopback for demonstrations and tests: Mosquitto where it is installed, else the embedded one."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

DEADLINE_S = 60.0

# Mosquitto's defaults drop messages for a slow subscriber once 1,000 wait, and let 20 be under way; see docs/broker.md.
MOSQUITTO = """listener {port} 127.0.0.1
allow_anonymous true
persistence true
persistence_location {folder}/
autosave_interval 10
max_inflight_messages 0
max_queued_messages 0
queue_qos0_messages true
log_type error
log_type warning
"""


class NoBroker(Exception):
    """None could be started; says why."""


@dataclass
class Broker:
    """A running broker."""

    kind: str  # mosquitto | embedded
    port: int
    folder: Path
    process: subprocess.Popen[bytes] | None = field(default=None)
    host: str = "127.0.0.1"

    def start(self) -> None:
        """Start, and wait until it takes connections."""
        self.process = subprocess.Popen(
            self._command(),
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "broker.log").open("ab"),
            start_new_session=True,
        )
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            with socket.socket() as probe:
                if probe.connect_ex((self.host, self.port)) == 0:
                    return
            time.sleep(0.02)
        raise NoBroker(f"The {self.kind} broker did not start: {(self.folder / 'broker.log').read_text()[-500:]}")

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def _command(self) -> list[str]:
        if self.kind == "embedded":
            return [sys.executable, "-m", "runtime.broker_embedded", str(self.port)]
        file = self.folder / "mosquitto.conf"
        text = MOSQUITTO.format(port=self.port, folder=self.folder)
        file.write_text(text + ("user root\n" if os.geteuid() == 0 else ""))
        return [str(mosquitto()), "-c", str(file)]


def mosquitto() -> Path | None:
    """Mosquitto's program; Debian puts it where not every PATH looks."""
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    return Path(found) if found else None


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def broker(embedded: bool = False) -> Iterator[Broker]:
    """A broker for as long as the context lasts."""
    with tempfile.TemporaryDirectory(prefix="marchwarden-broker-") as folder:
        kind = "embedded" if embedded or mosquitto() is None else "mosquitto"
        running = Broker(kind, free_port(), Path(folder))
        running.start()
        try:
            yield running
        finally:
            running.stop()
