"""The fault matrix: what goes wrong, and what of it agencies notice. `python -m benchmarks.faults [--write] [NAME …]`.

An exercise plays in real time on two brokers, message for message. One service is left in peace, the other has the fault. Both
tell an agency by webhook; what the two receivers took is compared. Lost: alerts that the calm one told and the other never did.
Under another key: alerts that the other told of one happening a second time, or under a key that the calm one never used (where
the fault changes what arrives when, keys may differ between the two, and only the first counts). After kill -9 every word is held
against what the killed service's own journal leads to, read in one go. `--write` puts the table into docs/reliability.md.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from alerts.outbox import Outbox
from benchmarks.places import between_m
from model.messages import Messages
from model.time import NS, ns_from_iso
from runtime.broker import Broker, broker
from runtime.configuration import load
from runtime.simulator.exercise import Exercise, Targets, read_exercise
from runtime.simulator.play import play
from runtime.simulator.seeing import simulated
from runtime.world import world_of
from tests.receivers import Certificates, Web, web
from tests.site import MARCHWARDEN, marchwarden, site_at, until

KEY = b"a key for plates, of 32 bytes..."
PLAYED_S, SETTLE_S = 60, 120.0
SAME_M, SAME_S = 150.0, 60.0  # alerts of one rule this near each other are of one happening
PAGE = Path(__file__).parents[1] / "docs" / "reliability.md"
MARKS = ("<!-- faults -->", "<!-- end of faults -->")
TABLE = ("| fault | what was done | alerts | lost | under another key | delivered again |", "|---|---|---|---|---|---|")
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")


@dataclass
class Service:
    """A service that can be killed and started again, and the receivers of its agency."""

    name: str
    site: Path
    running: Broker
    receivers: dict[str, Web]
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.site.parent / f"{self.name}.log"

    def start(self) -> None:
        self.process = subprocess.Popen(
            [*MARCHWARDEN, "run", str(self.site)],
            stderr=self.log.open("ab"),
            env=os.environ | {"PYTHONUNBUFFERED": "1"} | self.environment,
        )

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)


@dataclass(frozen=True)
class Fault:
    """One line of the table. `disturb` runs beside the play, `warp` changes what is played to the other service."""

    name: str
    what: str
    disturb: Callable[[Service, float], str] = lambda *_: ""  # what was done, with numbers
    warp: Callable[[Messages], Messages] = lambda messages: messages
    seconds: int = PLAYED_S
    exact: bool = True  # both services get the same at the same time, so keys must be equal
    own_journal: bool = False  # held against what its own journal leads to when nothing interrupts it, word for word
    from_s: float = 0.0  # alerts before this are not counted: nobody could have told them
    environment: Callable[[Path], dict[str, str]] = lambda _: {}
    receivers: Callable[[ExitStack, Path], dict[str, Web]] = lambda stack, _: {"hook": stack.enter_context(web())}
    small_disk: bool = False


def main(names: list[str], write: bool) -> None:
    head, _, rest = PAGE.read_text().partition(MARKS[0])
    before, _, tail = rest.partition(MARKS[1])
    rows = {line.split(" | ")[0]: line for line in before.splitlines() if line.startswith("| ")}
    for fault in FAULTS:
        if not names or fault.name in names:
            row = measured(fault)
            print(row, flush=True)
            rows[row.split(" | ")[0]] = row
    if write:
        order = [f"| {fault.name}" for fault in FAULTS if f"| {fault.name}" in rows]
        table = "\n".join([*TABLE, *(rows[name] for name in order)])
        PAGE.write_text(f"{head}{MARKS[0]}\n{table}\n{MARKS[1]}{tail}")


def measured(fault: Fault) -> str:
    """One row of the table."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="marchwarden-faults-")))
        calm = _service(stack, folder, "calm", {"hook": stack.enter_context(web())}, {}, False)
        torn_receivers = fault.receivers(stack, folder)
        torn = _service(stack, folder, "torn", torn_receivers, fault.environment(folder), fault.small_disk)
        start_ns = (time.time_ns() // NS + 2) * NS
        world = world_of(load(calm.site), KEY)
        exercise = busy(read_exercise(calm.site / "exercises" / "demo.toml"), fault.seconds)
        messages, _ = simulated(world, exercise, start_ns)
        players = [
            threading.Thread(target=play, args=(sent, s.running.host, s.running.port, threading.Event()))
            for s, sent in ((calm, messages), (torn, fault.warp(messages)))
        ]
        for player in players:
            player.start()
        done = fault.disturb(torn, start_ns / NS)
        for player in players:
            player.join()
        told = {name: _settled(calm, torn, receiver, fault, start_ns) for name, receiver in torn_receivers.items()}
        calm.end()
        torn.end()
        ours = _raised(calm.receivers["hook"], start_ns + round(fault.from_s * NS))
        theirs = {name: _raised(receiver, 0) for name, receiver in torn_receivers.items()}
        lost = sum(
            len(_unmatched(ours, t)) if not fault.exact else len(ours.keys() - t.keys()) for t in theirs.values()
        )
        other = sum(len(t.keys() - ours.keys()) if fault.exact else _twice(t) for t in theirs.values())
        again = sum(len(r.taken) - len({_id(body) for body in r.taken}) for r in torn_receivers.values())
        if fault.own_journal:
            expected, got = _expected(torn), {_id(body) for body in torn_receivers["hook"].taken}
            lost, other = lost + len(expected - got), len(got - expected)
            done += f"; {len(expected)} words in all"
        waited = "" if all(told.values()) else " (not all had come when the wait ended)"
        channels = f" × {len(theirs)} channels" if len(theirs) > 1 else ""
        return f"| {fault.name} | {fault.what}{done}{waited} | {len(ours)}{channels} | {lost} | {other} | {again} |"


def busy(demo: Exercise, seconds: int) -> Exercise:
    """The demonstration with ten more who walk over the line, some 300 m apart, and others after them."""
    lanes = [
        Targets.model_validate(
            {
                "id": f"lane-{lane}",
                "class": "person",
                "path": [[31.33215, -110.6150 + 0.0032 * lane], [31.33700, -110.6150 + 0.0032 * lane]],
                "speed_mps": 1.3,
                "depart_s": 4.0 * lane,
                "again_every_s": 240.0,
            }
        )
        for lane in range(10)
    ]
    return demo.model_copy(update={"duration_s": seconds, "targets": [*demo.targets, *lanes]})


def _service(
    stack: ExitStack, folder: Path, name: str, receivers: dict[str, Web], environment: dict[str, str], small: bool
) -> Service:
    running = stack.enter_context(broker())
    site = site_at(folder / name, running.port)
    if small:
        stack.enter_context(_small_disk(site / "state"))
    keys = site / "state" / "keys"
    keys.mkdir(parents=True)
    (keys / "plates.key").write_bytes(KEY)
    agencies = (site / "agencies.toml").read_text()
    hooks = "".join(
        f'[[agency.channel]]\nid = "{id}"\nkind = "webhook"\nurl = "{receiver.url}"\ntimeout_s = 2.0\n'
        + (f'ca_file = "{folder / "ours" / "authority.pem"}"\n' if receiver.url.startswith("https") else "")
        for id, receiver in receivers.items()
    )
    first = agencies.index("[[agency.channel]]")
    (site / "agencies.toml").write_text(agencies[:first] + hooks + agencies[first:])
    service = Service(name, site, running, receivers, environment)
    service.start()
    stack.callback(service.end)
    until(lambda: service.log.exists() and "Connected" in service.log.read_text(), f"{name} connected")
    return service


@contextmanager
def _small_disk(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def _expected(torn: Service) -> set[str]:
    """Keys of all words that its journal leads to, read in one go, up to where the service had come."""
    recording, deliveries = torn.site.parent / "recorded.ndjson", torn.site.parent / "deliveries.ndjson"
    for command in (
        ("record", torn.site, "--out", recording, "--reason", "fault matrix"),
        ("replay", torn.site, recording, "--deliveries", deliveries),
    ):
        done = marchwarden(*command)
        assert done.returncode == 0, done.stderr
    until_ns = Outbox(torn.site / "state" / "marchwarden.db").now_ns()
    lines = map(json.loads, deliveries.read_text().splitlines())
    return {d["delivery"] for d in lines if d["channel"] == "hook" and ns_from_iso(d["body"]["told"]) <= until_ns}


# ── what the receivers took ──────────────────────────────────────────────────────────────────────


def _id(body: bytes) -> str:
    return str(json.loads(body)["id"])


def _raised(receiver: Web, from_ns: int) -> dict[str, dict[str, Any]]:
    """The first word of every alert about what moves, by key."""
    found: dict[str, dict[str, Any]] = {}
    for body in receiver.taken:
        record = json.loads(body)["data"]
        moving = record["reason"]["kind"] not in ("silent_sensor", "coverage_gap", "tampered_sensor", "system_fault")
        if moving and ns_from_iso(record["raised"]) >= from_ns:
            found.setdefault(record["alert"], record)
    return found


def alike(a: dict[str, Any], b: dict[str, Any]) -> bool:
    soon = abs(ns_from_iso(a["observed"]) - ns_from_iso(b["observed"])) <= SAME_S * NS
    return soon and between_m(a["lat"], a["lon"], b["lat"], b["lon"]) <= SAME_M


def _unmatched(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    return [key for key, a in ours.items() if key not in theirs and not any(alike(a, b) for b in theirs.values())]


def _twice(told: dict[str, dict[str, Any]]) -> int:
    """Alerts that are of the same happening as one before them: same rule, subjects' place and time."""
    seen: list[dict[str, Any]] = []
    twice = 0
    for record in told.values():
        same = [s for s in seen if s["rule"] == record["rule"] and alike(s, record)]
        close = [s for s in same if between_m(s["lat"], s["lon"], record["lat"], record["lon"]) <= SAME_M / 5]
        twice += bool(close)
        seen.append(record)
    return twice


def _settled(calm: Service, torn: Service, receiver: Web, fault: Fault, start_ns: int) -> bool:
    """Wait until the other has told what the calm one has, or the time is up."""
    deadline = time.monotonic() + SETTLE_S
    while time.monotonic() < deadline:
        ours = _raised(calm.receivers["hook"], start_ns + round(fault.from_s * NS))
        waiting = Outbox(torn.site / "state" / "marchwarden.db").status()["deliveries"]["waiting"]
        if not _unmatched(ours, _raised(receiver, 0)) and not waiting:
            return True
        time.sleep(0.5)
    return False


# ── what goes wrong ──────────────────────────────────────────────────────────────────────────────


def _kills(times: int) -> Callable[[Service, float], str]:
    def disturb(torn: Service, start_s: float) -> str:
        chance, until_s = random.Random(4), start_s + 3.0 * times
        count = 0
        while count < times and time.time() < until_s:
            time.sleep(chance.uniform(0.3, 5.0) * 0.95)
            torn.kill()
            torn.start()
            count += 1
        return f"{count} times, at random instants"

    return disturb


def _broker_restarts(torn: Service, start_s: float) -> str:
    for at in (12, 25, 40):
        time.sleep(max(start_s + at - time.time(), 0))
        torn.running.stop()
        time.sleep(2.0)
        torn.running.start()
    return ""


def _heal(torn: Service, start_s: float) -> str:
    time.sleep(max(start_s + 35 - time.time(), 0))
    for receiver in torn.receivers.values():
        receiver.status, receiver.slow_s, receiver.headers = 204, 0.0, {}
    return ""


def _receivers(stack: ExitStack, _: Path) -> dict[str, Web]:
    faults: dict[str, dict[str, Any]] = {
        "slow": {"slow_s": 1.5},
        "too-slow": {"slow_s": 3.0},
        "answers-500": {"status": 500},
        "answers-429": {"status": 429, "headers": {"Retry-After": "3"}},
        "garbage": {"status": 0},
    }
    return {name: stack.enter_context(web(**said)) for name, said in faults.items()}


class Late:
    """Receivers that are not there, or not the right ones, until they are."""

    def __init__(self) -> None:
        self.stack = ExitStack()

    def receivers(self, stack: ExitStack, folder: Path) -> dict[str, Web]:
        ours, another = Certificates(folder / "ours"), Certificates(folder / "another")
        self.ours = ours
        self.stack = stack.enter_context(ExitStack())
        self.wrong = ExitStack()
        wrong = self.wrong.enter_context(web(another))
        absent = Web()
        with web() as free:
            absent.url = free.url
        return {"down": absent, "wrong-certificate": wrong}

    def heal(self, torn: Service, start_s: float) -> str:
        time.sleep(max(start_s + 35 - time.time(), 0))
        refused = len(torn.receivers["wrong-certificate"].got)
        self.wrong.close()
        for name, certificates in (("down", None), ("wrong-certificate", self.ours)):
            port = int(torn.receivers[name].url.split(":")[2].split("/")[0])
            right = self.stack.enter_context(web(certificates, port=port))
            torn.receivers[name].got, torn.receivers[name].taken = right.got, right.taken
        return f"; {refused} requests reached the one with the wrong certificate"


def _full(torn: Service, start_s: float) -> str:
    ballast = torn.site / "state" / "ballast"
    time.sleep(max(start_s + 12 - time.time(), 0))
    with ballast.open("wb") as file:
        try:
            while True:
                file.write(b"x" * 65_536)
                file.flush()
        except OSError:
            pass
    time.sleep(max(start_s + 30 - time.time(), 0))
    ballast.unlink()
    said = torn.log.read_text()
    return f", {said.count('Could not be written') + said.count('ended with code')} times met"


def _clock(offset_s: int) -> tuple[Callable[[Path], dict[str, str]], Callable[[Service, float], str]]:
    def environment(folder: Path) -> dict[str, str]:
        file = folder / "clock"
        file.write_text(f"{offset_s:+d}")
        return {
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    def disturb(torn: Service, start_s: float) -> str:
        time.sleep(max(start_s + 10 - time.time(), 0))
        Path(torn.environment["FAKETIME_TIMESTAMP_FILE"]).write_text("+0")
        return ""

    return environment, disturb


def _doubled(messages: Messages) -> Messages:
    n = np.repeat(np.arange(len(messages)), 2)
    return _chosen(messages, n, messages.received_ns[n])


def _shuffled(messages: Messages) -> Messages:
    late = np.random.default_rng(6).uniform(0, 2, len(messages)) * NS
    return _sorted(messages, messages.received_ns + late.astype(np.int64))


def _delayed(messages: Messages) -> Messages:
    chance = np.random.default_rng(7)
    late = np.where(chance.random(len(messages)) < 0.2, chance.uniform(0, 12, len(messages)), 0.0) * NS
    return _sorted(messages, messages.received_ns + late.astype(np.int64))


def _sorted(messages: Messages, received_ns: Any) -> Messages:
    order = np.argsort(received_ns, kind="stable")
    return _chosen(messages, order, received_ns[order])


def _chosen(messages: Messages, rows: Any, received_ns: Any) -> Messages:
    return Messages(
        received_ns,
        tuple(messages.topics[i] for i in rows.tolist()),
        tuple(messages.payloads[i] for i in rows.tolist()),
        messages.retained[rows],
    )


LATE = Late()
AHEAD, BEHIND = _clock(3600), _clock(-3600)
FAULTS = (
    Fault("broker restarted", "three times, away for 2 s each", _broker_restarts, exact=False),
    Fault(
        "receiver slow, answering 500, 429, garbage",
        "five receivers, each with its fault for the first 35 s",
        _heal,
        receivers=_receivers,
    ),
    Fault(
        "receiver down; wrong certificate",
        "two receivers, neither there nor right for 35 s",
        LATE.heal,
        receivers=LATE.receivers,
    ),
    Fault("disk full", "for 18 s", _full, exact=False, small_disk=True),
    Fault(
        "clock set back an hour",
        "it had been an hour ahead for 10 s; alerts are counted from 10 s after",
        AHEAD[1],
        environment=AHEAD[0],
        exact=False,
        from_s=20.0,
    ),
    Fault(
        "clock set forward an hour",
        "it had been an hour behind for 10 s; alerts are counted from 10 s after",
        BEHIND[1],
        environment=BEHIND[0],
        exact=False,
        from_s=20.0,
    ),
    Fault("messages duplicated", "each twice", warp=_doubled),
    Fault("messages reordered", "each up to 2 s late", warp=_shuffled, exact=False),
    Fault("messages delayed", "every fifth up to 12 s late", warp=_delayed, exact=False),
    Fault("kill -9", "the service, ", _kills(200), seconds=600, exact=False, own_journal=True),
)


if __name__ == "__main__":
    if shutil.which("faketime") is None:
        raise SystemExit("The clock is set with faketime: sudo apt-get install faketime")
    main([a for a in sys.argv[1:] if a != "--write"], "--write" in sys.argv)
