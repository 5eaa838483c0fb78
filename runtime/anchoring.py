"""The audit log's watch: at intervals the log is read and compared with its anchors, and a checkpoint of it is put where
whoever can change the log cannot change it: a file elsewhere, this machine's syslog, or a topic at the broker, as `[audit]` in
site.toml says. What is wrong is a system fault, and over when it works again.
"""

import socket
import time
from collections.abc import Callable
from pathlib import Path

from alerts import audit
from alerts.audit import AuditUnusable, Checkpoint
from alerts.channels.broker import publish_once
from model.faults import FaultKind
from model.time import iso_from_ns
from runtime.channels import broker_address
from runtime.entries import Configuration
from runtime.fault_queue import FaultQueue
from runtime.places import Places, audit_key
from runtime.process_report import Part
from runtime.schema import AnyAnchor, FileAnchor, MqttAnchor, SyslogAnchor
from runtime.supervision import Ended, Threads

LOG = "audit.log"
RETRY_S = 60.0
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


def name_of(anchor: AnyAnchor) -> str:
    """What a technician calls it."""
    match anchor:
        case FileAnchor():
            return f"file {anchor.path}"
        case SyslogAnchor():
            return f"syslog {anchor.address}"
        case MqttAnchor():
            return f"mqtt {anchor.topic}"


class AuditWatch:
    """A thread that verifies and anchors the log, at the start and every so often, until `stop`."""

    def __init__(self, c: Configuration, report: Callable[[str], None], faults: FaultQueue, on_end: Ended) -> None:
        self._c, self._report, self._faults, self._threads = c, report, faults, Threads(on_end)
        self._working = dict[str, bool]()  # by an anchor's name: was it put the last time?
        self._readable = True
        self._found = ""  # what was wrong with the log the last time
        self._threads.start("audit watch", self._run)

    def parts(self) -> tuple[Part, ...]:
        return self._threads.parts()

    def stop(self) -> None:
        self._threads.stop()

    def look(self) -> bool:
        """Verify and anchor once. Did all of it work?"""
        try:
            verdict = audit.verify(Places(self._c.state).audit, audit_key(self._c), kept_anchors(self._c, []))
            line = checkpoint_of(self._c).encoded()
        except (AuditUnusable, OSError) as error:
            self._tell(FaultKind.WRITING_FAILED, LOG, str(error))
            self._readable = False
            return False
        if not self._readable:
            self._faults.over(FaultKind.WRITING_FAILED, LOG)
            self._readable = True
        self._tell_of(verdict)
        put = [self._put(anchor, line) for anchor in self._c.site.audit.anchor]  # each, whatever becomes of the others
        return all(put)

    def _run(self) -> None:
        while not self._threads.stopping.is_set():
            every_s = self._c.site.audit.every_minutes * 60
            self._threads.stopping.wait(every_s if self.look() else min(RETRY_S, every_s))

    def _tell_of(self, verdict: audit.Verdict) -> None:
        """Each new finding once: what is broken stays so, and goes on being in the log."""
        found = verdict.broken
        if found and found != self._found:
            more = len(verdict.findings) - 1
            rest = f" And {more} more: `marchwarden audit verify` names all." if more else ""
            self._tell(FaultKind.AUDIT_BROKEN, LOG, verdict.findings[0] + rest)
        self._found = found

    def _put(self, anchor: AnyAnchor, line: bytes) -> bool:
        name = name_of(anchor)
        try:
            put(self._c, anchor, line)
        except (OSError, ValueError) as error:  # ValueError: what paho cannot make a connection or a topic of
            self._tell(FaultKind.ANCHOR_FAILED, name, f"The audit log could not be anchored ({name}): {error}.")
            self._working[name] = False
            return False
        if not self._working.get(name, False):
            self._faults.over(FaultKind.ANCHOR_FAILED, name)
        self._working[name] = True
        return True

    def _tell(self, kind: FaultKind, about: str, detail: str) -> None:
        self._report(detail)
        self._faults.add(kind, about, detail)
