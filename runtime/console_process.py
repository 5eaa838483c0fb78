"""The console as a process of its own: `python -m runtime.console_process SITE PARENT`.

It reads what the pipeline writes and hands actions in, so that nothing it does can hold up an alert. Ends when it is told to, or
when its parent, whose pid it is given, is its parent no more.
"""

import asyncio
import os
import signal
import socket
import sys
import time
from pathlib import Path

import msgspec
import uvicorn

from alerts import audit
from alerts.audit import AuditUnusable
from alerts.outbox import Outbox
from console.app import make_app
from console.connection import TimedHttp
from console.desk import Desk, PerThread
from console.people import Account, Accounts, Person
from console.records import Lasting, Records
from console.tiles import Tiles
from model.faults import FaultKind, fault_of
from model.stored import Damaged
from model.time import iso_from_ns
from runtime.accepted import configuration_in_use
from runtime.anchoring import LOG
from runtime.crosscheck import LOOPBACK
from runtime.entries import Configuration
from runtime.fault_queue import FaultQueue
from runtime.places import Places, audit_key, exercise_key, history_of
from runtime.process_report import Reporter, read_reports
from runtime.scene import areas, scene_of, site_names
from runtime.supervision import Tasks, described
from runtime.terminal import visible
from runtime.world import world_of
from sensors.keys import KeyUnusable
from sensors.vault import Pictures

ORPHANED_S = 1.0
CONNECTIONS_MAX = 1000  # more at once are answered with 503, so that files are left for the database


def desk_of(c: Configuration, tasks: Tasks, faults: FaultQueue) -> Desk:
    """The desk of a site, whose tasks are kept going by `tasks`."""
    places, said = Places(c.state), c.site.console

    lasting = Lasting(int(said.session_hours * 3600), int(said.idle_minutes * 60))
    pictures = PerThread(lambda: Pictures(places.vault))

    def shown(sensor: str, from_ns: int, to_ns: int, kind: str) -> tuple[int, str, bytes] | None:
        try:
            found = pictures().newest(sensor, from_ns, to_ns, kind)
        except Damaged as error:
            with Outbox(places.database) as outbox:
                outbox.report_fault(fault_of(FaultKind.STORE_DAMAGED, "pictures", str(error), time.time_ns()))
            return None
        return None if found is None else (found.received_ns, found.label, found.jpeg)

    def note(who: str, what: str, about: str, reason: str) -> bool:
        try:
            found = audit.append(places.audit, audit_key(c), iso_from_ns(time.time_ns()), who, what, about, reason)
        except (AuditUnusable, KeyUnusable) as error:
            faults.add(FaultKind.WRITING_FAILED, LOG, str(error))
            return False
        if found:
            faults.add(FaultKind.AUDIT_BROKEN, LOG, found)
        return True

    return Desk(
        site=site_names(c),
        scene=scene_of(c, world_of(c, exercise_key(c))),
        accounts=Accounts(
            Account(Person(a.id, a.name, a.agency, a.role), a.password, a.token) for a in (w.value for w in c.accounts)
        ),
        areas=areas(c),
        outboxes=PerThread(lambda: Outbox(places.database)),
        all_records=PerThread(lambda: Records(c.state / "console.db", lasting)),
        picture=places.picture,
        shown=shown,
        history=lambda: history_of(c),
        audit=note,
        tiles=_tiles(c),
        hosts=(*LOOPBACK, said.host, *said.names),
        secure=bool(said.cert_file),
        now_s=time.time,
        supervise=tasks.run,
        processes=lambda: msgspec.to_builtins(read_reports(places.processes)),
    )


def _tiles(c: Configuration) -> Tiles | None:
    """The base map; a map without it is better than no console."""
    base_map = c.site.console.base_map
    try:
        return Tiles(c.path(base_map)) if base_map else None
    except Exception as error:  # the reader has an exception of its own for each way to be no archive
        _say(f"The base map {base_map} cannot be read: {described(error)}. The map is shown without it.")
        return None


def _say(text: str) -> None:
    print(visible(text), file=sys.stderr, flush=True)


async def serve(c: Configuration, parent: int) -> None:
    """Until SIGTERM, or the parent is gone."""
    said = c.site.console
    listening = socket.create_server(
        (said.host, said.port), family=socket.AF_INET6 if ":" in said.host else socket.AF_INET
    )
    host, port = listening.getsockname()[:2]
    places = Places(c.state)

    def on_end(name: str, error: str) -> None:
        _say(f"The console's {name} is down: {error} It is started again.")
        faults.part_failed(f"console's {name}", error)
        reporter.soon()

    faults = FaultQueue()
    tasks = Tasks(on_end)
    reporter = Reporter(places.processes, "console", tasks.parts)
    desk = desk_of(c, tasks, faults)
    config = uvicorn.Config(
        make_app(desk),
        http=TimedHttp,
        limit_concurrency=CONNECTIONS_MAX,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        ssl_certfile=str(c.path(said.cert_file)) if said.cert_file else None,
        ssl_keyfile=str(c.path(said.key_file)) if said.key_file else None,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)

    def tick() -> None:
        reporter.tick()
        faults.hand_in(desk.outbox.report_fault)

    async def while_not_orphaned() -> None:
        while os.getppid() == parent:
            await asyncio.to_thread(tick)
            await asyncio.sleep(ORPHANED_S)
        server.should_exit = True
        await asyncio.Event().wait()  # until it is cancelled, when the server has ended

    address = f"{'https' if said.cert_file else 'http'}://{f'[{host}]' if ':' in host else host}:{port}/"
    places.console.write_text(address + "\n")
    _say(f"The console is at {address}")
    watching = asyncio.create_task(tasks.run("process report", while_not_orphaned))
    await server.serve(sockets=[listening])
    watching.cancel()
    reporter.write(ended=True)


def main(folder: Path, parent: int) -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it too, and ends this process in order
    try:
        asyncio.run(serve(configuration_in_use(folder), parent))
    except OSError as error:
        _say(f"The console cannot be served: {error}.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
