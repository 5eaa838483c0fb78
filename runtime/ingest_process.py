"""The ingest as a process of its own: `python -m runtime.ingest_process SITE PARENT`.

Ends when it is told to, or when its parent, whose pid it is given, is its parent no more."""

import os
import signal
import sqlite3
import sys
import time
from pathlib import Path

from alerts.outbox import Outbox
from model.stored import Damaged, UnreadableFormat
from runtime.accepted import configuration_in_use
from runtime.channels import address, password_of
from runtime.disk_problems import disk_problem
from runtime.entries import Configuration
from runtime.fault_queue import FaultQueue
from runtime.places import Places
from runtime.process_report import Reporter
from runtime.supervision import Threads
from runtime.terminal import visible
from runtime.world import feeds_of
from sensors.ingest import Actions, Broker, Ingest
from sensors.journal import JournalTaken, Writer
from sensors.keys import KeyUnusable
from sensors.tak import TakServer, TakStream

TAKEOVER_S = 10.0  # how long the writer before may take to die


def ingest(folder: Path, parent: int) -> int:
    c, ended = configuration_in_use(folder), list[bool]()
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it too, and ends this process in order
    places, mqtt = Places(c.state), c.site.mqtt
    outbox = Outbox(places.database)
    broker = Broker(
        mqtt.host,
        mqtt.port,
        mqtt.client_id or f"marchwarden-{c.site.site.name}",
        mqtt.username,
        password_of(c),
        str(c.path(mqtt.tls_ca_file)) if mqtt.tls_ca_file else "",
        mqtt.keepalive_s,
    )

    def on_end(name: str, error: str) -> None:
        _say(f"The {name} is down: {error} It is started again.")
        faults.part_failed(name, error)
        reporter.soon()

    faults = FaultQueue()
    threads = Threads(on_end)
    reporter = Reporter(places.processes, "ingest", threads.parts)
    streams = tuple(TakStream(server, _say, threads.stopping) for server in _tak_servers(c))
    for stream in streams:
        threads.start(stream.name, stream.run)

    def stop() -> bool:
        """Asked twenty times a second, by the loop that does the work."""
        reporter.tick()
        faults.hand_in(outbox.report_fault)
        return bool(ended) or os.getppid() != parent

    with _writer(places) as journal:
        Ingest(
            broker,
            tuple(topic for feed in feeds_of(c) for topic in feed.subscriptions),
            journal,
            c.site.limits.payload_bytes_max,
            _say,
            Actions(outbox.waiting_actions, outbox.actions_taken),
            streams,
        ).run(stop)
    threads.stop()
    reporter.write(ended=True)
    return 0


def _say(text: str) -> None:
    print(visible(text), file=sys.stderr, flush=True)


def _tak_servers(c: Configuration) -> list[TakServer]:
    """Every feed that comes from a TAK server instead of the broker."""
    return [
        TakServer(
            f"{feed.topic}/tak",
            *address(feed.server),
            *(str(c.path(file)) if file else "" for file in (feed.ca_file, feed.cert_file, feed.key_file)),
        )
        for feed in c.site.feed
        if feed.server
    ]


def _writer(places: Places) -> Writer:
    """The journal's writer, as soon as one that was left behind by a killed service has ended."""
    until = time.monotonic() + TAKEOVER_S
    while True:
        try:
            return Writer(places.journal, places.journal_keys())
        except JournalTaken:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def main(folder: Path, parent: int) -> int:
    """Until the parent says so or is gone. What stands in the way is one sentence; the parent starts it again."""
    try:
        return ingest(folder, parent)
    except (UnreadableFormat, Damaged, KeyUnusable, JournalTaken) as error:
        _say(str(error))
    except (sqlite3.Error, OSError) as error:
        problem = disk_problem(error)
        if problem is None:
            raise
        _say(problem)
    return 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
