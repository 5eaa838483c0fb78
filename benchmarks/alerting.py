"""Alerting beside Alertmanager: 20,000 events of which nine in ten repeat, from event to webhook.

`python -m benchmarks.alerting [EVENTS] [REPEATS]`. One sender, a process of its own, offers the same events in batches of 50 as
fast as they are taken; one receiver, a process of its own, answers every webhook and notes when each alert first came.
Alertmanager (Debian's package, group_wait 0 s, a group an alert) is posted to over HTTP, as its users do, and keeps what it has
in memory. Ours is the alerting stage of the service, in a process of its own, fed through a pipe as JSON: incidents, routing,
outbox on disk, webhook. Both in turns in one run; medians of the runs. Rate: events taken per second, to the last. Latency: from
the first offer of an alert to its webhook.
"""

import asyncio
import gc
import http.client
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from alerts.channels.http import HttpChannel, webhook
from alerts.dispatch import dispatched
from alerts.incidents import grouped
from alerts.judge import AlertsState
from alerts.kept import Ledger, Records
from alerts.outbox import Commit, Outbox, StoredState
from alerts.rules import Habits
from model.alerts import Event, EventKind, Fix, Incident
from model.time import NS
from runtime.delivery_workers import DeliveryWorkers
from runtime.service import GC_THRESHOLDS, SystemClock
from runtime.snapshot import Parts
from tests.script import ground
from tests.unit.test_rules import PLATE

BATCH = 50
SNAPSHOT_S = 0.25
TIMEOUT_S = 60.0


def main(events: int = 20_000, repeats: int = 3) -> None:
    found: dict[str, list[dict[str, float]]] = {"alertmanager": [], "marchwarden": [], "marchwarden, batched": []}
    for _ in range(repeats):
        for name, measure in (
            ("alertmanager", alertmanager),
            ("marchwarden", lambda n: marchwarden(n, 1)),
            ("marchwarden, batched", lambda n: marchwarden(n, 100)),
        ):
            found[name].append(measure(events))
    print(f"{'':>22} {'events/s':>10} {'p50 ms':>8} {'p99 ms':>8} {'alerts':>7} {'webhooks':>9}")
    for name, runs in found.items():
        said = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        spread = f"   ({min(r['rate'] for r in runs):,.0f}–{max(r['rate'] for r in runs):,.0f} events/s)"
        print(
            f"{name:>22} {said['rate']:>10,.0f} {said['p50_ms']:>8.1f} {said['p99_ms']:>8.1f} {said['alerts']:>7,.0f} "
            f"{said['webhooks']:>9,.0f}{spread}"
        )


def batches(events: int) -> list[list[int]]:
    """Which alert each event is of: each is new once, and repeated nine times within the next few hundred events."""
    distinct, random = events // 10, np.random.default_rng(1)
    new = np.arange(distinct)[:, None] * 10.0
    when = np.concatenate([new, new + random.uniform(1, 4000, (distinct, 9))], axis=1)
    order = np.argsort(when.ravel(), kind="stable")
    numbers = (order // 10).tolist()
    return [numbers[i : i + BATCH] for i in range(0, len(numbers), BATCH)]


# ── the receiver ─────────────────────────────────────────────────────────────────────────────────


class Receiver(asyncio.Protocol):
    """Answers every POST; notes when each alert first came."""

    first: dict[str, int] = {}  # noqa: RUF012 - one for all connections
    requests = 0

    def connection_made(self, transport: Any) -> None:
        self._transport, self._rest = transport, b""

    def data_received(self, data: bytes) -> None:
        self._rest += data
        while True:
            head, found, body = self._rest.partition(b"\r\n\r\n")
            if not found:
                return
            length = next(int(x.split(b":")[1]) for x in head.split(b"\r\n") if x.lower().startswith(b"content-length"))
            if len(body) < length:
                return
            self._note(body[:length])
            self._rest = body[length:]
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    def _note(self, body: bytes) -> None:
        now, said = time.monotonic_ns(), json.loads(body)
        Receiver.requests += 1
        events = said if isinstance(said, list) else [said]
        for event in events:
            names = (
                [a["labels"]["subject"] for a in event["alerts"]]
                if "alerts" in event
                else [event["data"]["subjects"][0]]
            )
            for name in names:
                Receiver.first.setdefault(name, now)


async def receive() -> None:
    server = await asyncio.get_running_loop().create_server(Receiver, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, lambda: print(len(Receiver.first), flush=True))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()
    print(json.dumps({"first": Receiver.first, "requests": Receiver.requests}), flush=True)


@contextmanager
def receiver() -> Any:
    """(its port, a function that says how many alerts have come, one that ends it and says all)."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.alerting", "receive"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    port = int(process.stdout.readline())

    def count() -> int:
        process.send_signal(signal.SIGUSR1)
        return int(process.stdout.readline())

    def ended() -> dict[str, Any]:
        process.terminate()
        return dict(json.loads(process.stdout.readline()))

    try:
        yield port, count, ended
    finally:
        process.kill()
        process.wait()


def figures(
    offered: dict[str, int], said: dict[str, Any], start_ns: int, taken_ns: int, events: int
) -> dict[str, float]:
    waits = [(said["first"][name] - at) / 1e6 for name, at in offered.items() if name in said["first"]]
    assert len(waits) == len(offered), f"{len(offered) - len(waits)} alerts never came."
    return {
        "rate": events / ((taken_ns - start_ns) / NS),
        "p50_ms": float(np.percentile(waits, 50)),
        "p99_ms": float(np.percentile(waits, 99)),
        "alerts": len(waits),
        "webhooks": said["requests"],
    }


def _all_came(count: Any, distinct: int) -> None:
    until = time.monotonic() + TIMEOUT_S
    while count() < distinct and time.monotonic() < until:
        time.sleep(0.05)


# ── Alertmanager ─────────────────────────────────────────────────────────────────────────────────


def alertmanager(events: int) -> dict[str, float]:
    program = shutil.which("prometheus-alertmanager")
    if program is None:
        raise SystemExit("Alertmanager is not installed: sudo apt-get install prometheus-alertmanager")
    plan = batches(events)
    with receiver() as (port, count, ended), tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "alertmanager.yml"
        config.write_text(
            "route:\n  receiver: hook\n  group_by: ['...']\n  group_wait: 0s\n  group_interval: 1s\n  repeat_interval: 1h\n"
            f"receivers:\n- name: hook\n  webhook_configs:\n  - url: http://127.0.0.1:{port}/\n    send_resolved: false\n"
        )
        api = _free_port()
        process = subprocess.Popen(
            [
                program,
                f"--config.file={config}",
                f"--storage.path={folder}",
                f"--web.listen-address=127.0.0.1:{api}",
                "--cluster.listen-address=",
            ],
            stderr=subprocess.DEVNULL,
        )
        try:
            _listening(api)
            said = subprocess.run(
                [sys.executable, "-m", "benchmarks.alerting", "post", str(api), str(events)],
                capture_output=True,
                text=True,
                check=True,
            )
            sent = json.loads(said.stdout)
            _all_came(count, len({n for batch in plan for n in batch}))
            return figures(sent["offered"], ended(), sent["start"], sent["end"], events)
        finally:
            process.terminate()
            process.wait()


def post(port: int, events: int) -> None:
    """The sender's side for Alertmanager."""
    plan, offered = batches(events), dict[str, int]()
    bodies = [
        json.dumps(
            [{"labels": {"alertname": "crossing", "subject": f"s{n}", "zone": "line", "severity": "major"}} for n in b]
        )
        for b in plan
    ]
    connection = http.client.HTTPConnection("127.0.0.1", port)
    start = time.monotonic_ns()
    for batch, body in zip(plan, bodies, strict=True):
        now = time.monotonic_ns()
        for n in batch:
            offered.setdefault(f"s{n}", now)
        connection.request("POST", "/api/v2/alerts", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        response.read()
        assert response.status == 200, response.status
    print(json.dumps({"offered": offered, "start": start, "end": time.monotonic_ns()}))


# ── Marchwarden ──────────────────────────────────────────────────────────────────────────────────


def marchwarden(events: int, batch_max: int) -> dict[str, float]:
    distinct = len({n for batch in batches(events) for n in batch})
    with receiver() as (port, count, ended):
        stage = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.alerting", "stage", str(port), str(batch_max)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert stage.stdin is not None and stage.stdout is not None
        stage.stdout.readline()
        sender = subprocess.run(
            [sys.executable, "-m", "benchmarks.alerting", "offer", str(events)],
            stdout=stage.stdin,
            stderr=subprocess.PIPE,
            text=True,
            check=True,
        )
        sent = json.loads(sender.stderr)
        stage.stdin.close()
        taken = int(stage.stdout.readline())
        _all_came(count, distinct)
        stage.kill()
        stage.wait()
        return figures(sent["offered"], ended(), sent["start"], taken, events)


def offer(events: int) -> None:
    """The sender's side for ours: a line a batch."""
    plan, offered = batches(events), dict[str, int]()
    encode, lines = msgspec.json.encode, []
    for batch in plan:
        lines.append(encode([_event(n) for n in batch]) + b"\n")
    out = sys.stdout.buffer
    start = time.monotonic_ns()
    for batch, line in zip(plan, lines, strict=True):
        now = time.monotonic_ns()
        for n in batch:
            offered.setdefault(f"s{n}", now)
        out.write(line)
        out.flush()
    print(json.dumps({"offered": offered, "start": start}), file=sys.stderr)


def _event(n: int) -> Event:
    at = Fix(0, (-3000.0, 500.0), 31.35, -110.6, 5.0, (0.0, 0.0), 1.0)
    now_ns, classes = 1_795_000_000 * NS, (("person", 0.9),)
    return Event(EventKind.WATCHED_PLATE, "watched_plate", "alpr-1", (f"s{n}",), now_ns, now_ns, at, 0.9, classes, ())


def stage(port: int, batch_max: int) -> None:
    """The alerting stage of the service: events in, incidents, deliveries, outbox, webhooks."""
    site = replace(
        ground(PLATE, habits=Habits(storm_incidents=0)),
        agreements=(),
    )
    site = replace(
        site, agencies=tuple(replace(a, channels=a.channels if a.id == "west" else ()) for a in site.agencies)
    )
    folder = tempfile.mkdtemp()
    database = Path(folder) / "o.db"
    outbox, parts, ledger = Outbox(database), Parts(()), Ledger()
    builders = {
        "west-mqtt": lambda: HttpChannel(
            "west-mqtt", f"http://127.0.0.1:{port}/", webhook("bench", batch_max=batch_max)
        )
    }
    workers = DeliveryWorkers(database, builders, SystemClock(), print, print, print)
    decoder = msgspec.json.Decoder(list[Event])
    gc.set_threshold(*GC_THRESHOLDS)
    incidents: tuple[Incident, ...] = ()
    print("ready", flush=True)
    rest, due, position, ended = b"", 0.0, 0, False
    while not ended:
        data = os.read(0, 1 << 20)
        ended = not data
        *lines, rest = (rest + data).split(b"\n")
        events = [event for line in lines for event in decoder.decode(line)]
        now_ns = time.time_ns()
        incidents, alerts = grouped(site, (), incidents, events, now_ns)
        outbox.tell(alerts, dispatched(site, alerts))
        workers.wake()
        position += len(lines)
        if time.monotonic() >= due or ended:
            root, fresh, used = parts.snapshot(_state())
            state = StoredState(1, b"", root, fresh, frozenset(used))
            outbox.commit(Commit(state, position, now_ns, kept=ledger.changes(Records(incidents))))
            due = time.monotonic() + SNAPSHOT_S
    print(time.monotonic_ns(), flush=True)
    time.sleep(TIMEOUT_S)


def _state() -> Any:
    return AlertsState((), (), (), (), ())


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _listening(port: int) -> None:
    until = time.monotonic() + TIMEOUT_S
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit("Alertmanager did not begin to listen.")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["receive"]:
            asyncio.run(receive())
        case ["post", port, events]:
            post(int(port), int(events))
        case ["offer", events]:
            offer(int(events))
        case ["stage", port, batch_max]:
            stage(int(port), int(batch_max))
        case numbers:
            main(*map(int, numbers))
