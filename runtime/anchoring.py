"""Anchors of the audit log: checkpoints put where whoever can change the log cannot change them, at intervals.

To a file elsewhere, this machine's syslog, or a topic at the broker, as `[audit]` in site.toml says.
"""

import socket
import time
from collections.abc import Callable
from pathlib import Path

from alerts import audit
from alerts.audit import Checkpoint
from alerts.channels.broker import publish_once
from model.time import iso_from_ns
from runtime.channels import broker_address
from runtime.entries import Configuration
from runtime.places import Places, audit_key
from runtime.process_report import Part
from runtime.schema import AnyAnchor, FileAnchor, MqttAnchor, SyslogAnchor
from runtime.supervision import Ended, Threads

SYSLOG_PRIORITY = 10 * 8 + 5  # authpriv, notice


def checkpoint_of(c: Configuration) -> Checkpoint:
    """What the audit log is now."""
    return audit.checkpoint(Places(c.state).audit, audit_key(c), iso_from_ns(time.time_ns()))


def kept_anchors(c: Configuration, files: list[Path]) -> list[Checkpoint]:
    """The checkpoints in the site's own anchor files, where they can be reached, and in others."""
    own = [c.folder / anchor.path for anchor in c.site.audit.anchor if isinstance(anchor, FileAnchor)]
    texts = [path.read_text(errors="replace") for path in (*(p for p in own if p.is_file()), *files)]
    return [found for text in texts for found in audit.anchors_in(text)]


def put(c: Configuration, anchor: AnyAnchor, line: bytes) -> None:
    """Raises OSError, naming the anchor, where it cannot be put."""
    match anchor:
        case FileAnchor():
            with (c.folder / anchor.path).open("ab") as file:
                file.write(line + b"\n")
        case SyslogAnchor():
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
                log.connect(anchor.address)
                log.send(b"<%d>marchwarden audit: %s" % (SYSLOG_PRIORITY, line))
        case MqttAnchor():
            publish_once(broker_address(c, "audit"), anchor.topic, line)


class Anchoring:
    """A thread that puts anchors, at the start and every so often, until `stop`."""

    def __init__(self, c: Configuration, report: Callable[[str], None], on_end: Ended) -> None:
        self._c, self._report, self._threads = c, report, Threads(on_end)
        if c.site.audit.anchor:
            self._threads.start("audit anchors", self._run)

    def parts(self) -> tuple[Part, ...]:
        return self._threads.parts()

    def stop(self) -> None:
        self._threads.stop()

    def _run(self) -> None:
        while not self._threads.stopping.is_set():
            for anchor in self._c.site.audit.anchor:
                try:
                    put(self._c, anchor, checkpoint_of(self._c).encoded())
                except OSError as error:
                    self._report(f"The audit log could not be anchored ({anchor.kind}): {error}.")
            self._threads.stopping.wait(self._c.site.audit.every_minutes * 60)
