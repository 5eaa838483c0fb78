"""A hostile sensor beside an exercise: does every alert of the undisturbed exercise still arrive, in 2 GiB of memory?

`python -m benchmarks.hostile [--messages 20000] [--seed 1] [--rate 400] [--limit-mib 2048]`. An exercise plays in real time to a
real Mosquitto and the real service, while a seeded fuzz of every format (`tests/hostile/payloads.py`) is published beside it. All
processes of the service together have the memory limit: a control group where there is one, else a watch of what they hold. What
agencies' webhooks took is compared with what the same exercise leads to when it is replayed alone.

What the attacker holds: the credentials of five sensors of his own, one of each format and a radar more, registered at a place
without targets of the exercise, and topics of sensors and units that nobody registered. He says whatever he likes under these
names, as fast as he likes. He does not publish under the names of other sensors: the broker's access list keeps him from that
(`marchwarden acl`), and what he said there would be that sensor's word. The watched plates of the exercise he knows and uses.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from alerts.outbox import Outbox
from benchmarks.faults import KEY, alike, busy
from benchmarks.publisher import connect, publish_packet
from model.time import NS, ns_from_iso
from runtime import recording
from runtime.broker import Broker, broker
from runtime.configuration import load
from runtime.simulator.exercise import read_exercise
from runtime.simulator.play import play
from runtime.simulator.seeing import simulated
from runtime.world import world_of
from tests.hostile.payloads import Fuzz
from tests.receivers import Web, web
from tests.site import MARCHWARDEN, marchwarden, site_at, until

Word = tuple[str, dict[str, Any]]  # a channel, and what came over it

MIB = 1 << 20
LEAD_S, TRAIL_S = 10, 20  # the exercise begins before the fuzz and ends after it
SETTLE_S = 3 * 3600.0  # for what is behind when the fuzz ends
SERVICES_OWN = ("silent_sensor", "coverage_gap", "tampered_sensor", "system_fault")
ATTACKERS = ("mole-radar", "mole-native", "mole-camera", "mole-ground", "mole-reader")
SENSORS = """
[[sensor]]
id = "mole-radar"
kind = "radar"
lat = 31.40
lon = -110.34
range_m = 1500.0
accuracy_m = 8.0

[[sensor]]
id = "mole-native"
kind = "other"
lat = 31.41
lon = -110.33
range_m = 500.0
accuracy_m = 8.0

[[sensor]]
id = "mole-camera"
kind = "camera"
feed = "frigate"
source = "mole_1"
lat = 31.40
lon = -110.34
range_m = 400.0
accuracy_m = 10.0
[sensor.camera]
height_m = 18.0
azimuth_deg = 292.5
tilt_deg = -8.0
width_px = 1280
height_px = 720
hfov_deg = 68.0

[[sensor]]
id = "mole-ground"
kind = "ground"
feed = "lora"
source = "24e124535b3fffff"
profile = "seismic"
lat = 31.40
lon = -110.35
range_m = 60.0
accuracy_m = 8.0

[[sensor]]
id = "mole-reader"
kind = "plate_reader"
feed = "alpr"
source = "6666"
lat = 31.40
lon = -110.36
range_m = 30.0
accuracy_m = 6.0
"""
COT = '[[feed]]\nid = "tak"\nformat = "cot"\ntopic = "cot"\n\n'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=int, default=400, help="messages of the fuzz a second")
    parser.add_argument("--limit-mib", type=int, default=2048)
    parser.add_argument(
        "--words", type=Path, help="write what was expected and what came to this file, to look into it"
    )
    parser.add_argument("--publish", nargs=2, metavar=("SITE", "PORT"), help="be the publisher of the fuzz")
    asked = parser.parse_args()
    if asked.publish:
        publish(Path(asked.publish[0]), int(asked.publish[1]), asked.messages, asked.seed, asked.rate)
        return
    result = run(asked.messages, asked.seed, asked.rate, asked.limit_mib, asked.words)
    print(json.dumps(result, indent=1), flush=True)
    raise SystemExit(1 if result["missing"] or result["faults"] else 0)


def run(messages: int, seed: int, rate: int, limit_mib: int, words: Path | None) -> dict[str, Any]:
    """One run; `missing` lists alerts that did not arrive, `faults` whatever else must not happen."""
    seconds = -(-messages // rate) + LEAD_S + TRAIL_S
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="marchwarden-hostile-")))
        running = stack.enter_context(broker())
        receivers: dict[str, Web] = {}
        site = hostile_site(folder, running, lambda name: receivers.setdefault(name, stack.enter_context(web())).url)
        log, memory = folder / "log", stack.enter_context(limited_memory(limit_mib * MIB))
        service = started_in(memory, site, log)
        stack.callback(ended, service)
        until(lambda: log.exists() and "Connected" in log.read_text(), "the service connected")
        start_ns = (time.time_ns() // NS + 2) * NS
        exercise = busy(read_exercise(site / "exercises" / "demo.toml"), seconds)
        sent, _ = simulated(world_of(load(site), KEY), exercise, start_ns)
        recording.write(folder / "exercise.ndjson", [sent])
        player = threading.Thread(target=play, args=(sent, running.host, running.port, threading.Event()))
        player.start()
        time.sleep(LEAD_S)
        figures = ["--messages", messages, "--seed", seed, "--rate", rate]
        command = [sys.executable, "-m", "benchmarks.hostile", "--publish", site, running.port, *figures]
        began = time.monotonic()
        publisher = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)
        watch = Watch(site, memory)
        while publisher.poll() is None and service.poll() is None:
            watch.look()
            time.sleep(0.5)
        fuzzed_s = time.monotonic() - began
        player.join()
        end_ns = time.time_ns()
        deadline = time.monotonic() + SETTLE_S
        while service.poll() is None and time.monotonic() < deadline and not settled(site, end_ns):
            watch.look()
            time.sleep(0.5)
        behind_s = (time.time_ns() - end_ns) / NS
        status = Outbox(site / "state" / "marchwarden.db").status()
        code = service.poll()
        ended(service)
        expected = expected_alerts(site, folder, end_ns)
        taken = ((name, json.loads(body)["data"]) for name, receiver in receivers.items() for body in receiver.taken)
        got = first_words(taken, 0)
        text = log.read_text()
        if words is not None:
            words.write_text(json.dumps({"expected": expected, "got": got, "status": status, "log": text}))
        faults = [line for line in text.splitlines() if "Traceback" in line or "ended with" in line][:20]
        if code is not None:
            faults.append(f"The service ended with code {code}.")
        faults += memory.faults()
        rejections: Counter[str] = Counter()
        for rejection in status.get("rejections", []):
            rejections[rejection["reason"]] += rejection["count"]
        faults += [
            f"{rejections[reason]} × {reason}" for reason in ("decoder_failed", "step_failed") if rejections[reason]
        ]
        return {
            "messages": messages,
            "seed": seed,
            "fuzzed_s": round(fuzzed_s, 1),
            "publisher": json.loads(publisher.communicate()[0] or "{}"),
            "behind_at_the_end_s": round(behind_s, 1),
            "behind_most_s": round(watch.behind_s, 1),
            "memory_peak_mib": watch.memory_bytes // MIB,
            "memory_limit": memory.kind,
            "expected": len(expected),
            "delivered_in_all": len(got),
            "missing": unmatched(expected, got),
            "rejections": dict(rejections),
            "faults": faults,
            "load_average": os.getloadavg(),
        }


# ── the site ─────────────────────────────────────────────────────────────────────────────────────


def hostile_site(folder: Path, running: Broker, url_of: Callable[[str], str]) -> Path:
    """The shipped site with the attacker's sensors, a feed of Cursor on Target, and a webhook for every agency."""
    site = site_at(folder, running.port)
    (site / "sensors" / "moles.toml").write_text(SENSORS)
    text = (site / "site.toml").read_text()
    (site / "site.toml").write_text(text.replace("[[profile]]", COT + "[[profile]]", 1))
    agencies = (site / "agencies.toml").read_text().split("[[agency]]")
    for number, agency in enumerate(agencies[1:], 1):
        name = f"hook-{number}"
        hook = f'[[agency.channel]]\nid = "{name}"\nkind = "webhook"\nurl = "{url_of(name)}"\n'
        before, channel, rest = agency.partition("[[agency.channel]]")
        agencies[number] = before + hook + channel + rest
    (site / "agencies.toml").write_text("[[agency]]".join(agencies))
    keys = site / "state" / "keys"
    keys.mkdir(parents=True, mode=0o700)
    (keys / "plates.key").write_bytes(KEY)
    (keys / "plates.key").chmod(0o600)
    return site


def settled(site: Path, end_ns: int) -> bool:
    """Has the service read everything up to `end_ns` and delivered what came of it?"""
    outbox = Outbox(site / "state" / "marchwarden.db")
    return outbox.now_ns() >= end_ns and not outbox.status()["deliveries"]["waiting"]


# ── memory ───────────────────────────────────────────────────────────────────────────────────────


class Unlimited:
    """No control group can be made: a watch that fails the run when the service's processes hold more than the limit."""

    kind = "watched"

    def __init__(self, limit: int) -> None:
        self._limit, self._most, self._pid = limit, 0, 0

    def take(self, pid: int) -> None:
        self._pid = pid

    def used(self) -> int:
        """Bytes that the processes hold, what they share counted once (PSS)."""
        total = 0
        for pid in processes_under(self._pid):
            with suppress(OSError):
                rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
                total += sum(int(row.split()[1]) * 1024 for row in rows if row.startswith("Pss:"))
        self._most = max(self._most, total)
        return total

    def faults(self) -> list[str]:
        return [f"{self._most // MIB} MiB were held."] if self._most > self._limit else []


class ControlGroup:
    """A memory control group: the kernel keeps its processes below the limit, or ends one of them."""

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder, self._second = folder, (folder / "memory.max").exists()
        self.kind = f"control group {'v2' if self._second else 'v1'}"
        (folder / ("memory.max" if self._second else "memory.limit_in_bytes")).write_text(str(limit))

    def take(self, pid: int) -> None:
        (self._folder / "cgroup.procs").write_text(str(pid))

    def used(self) -> int:
        """Bytes of memory without what is only a cache of files."""
        rows = dict(row.split() for row in (self._folder / "memory.stat").read_text().splitlines())
        return int(rows["anon"] if self._second else rows["total_rss"])

    def faults(self) -> list[str]:
        file = self._folder / ("memory.events" if self._second else "memory.oom_control")
        rows = dict(row.split() for row in file.read_text().splitlines())
        return ["The kernel ended a process for want of memory."] if int(rows.get("oom_kill", 0)) else []


@contextmanager
def limited_memory(limit: int) -> Iterator[ControlGroup | Unlimited]:
    """A control group for as long as the context lasts, where one can be made."""
    root = Path("/sys/fs/cgroup")
    folder = (root / "memory" if (root / "memory").is_dir() else root) / f"marchwarden-hostile-{os.getpid()}"
    try:
        folder.mkdir()
        group = ControlGroup(folder, limit)
    except OSError:
        yield Unlimited(limit)
        return
    try:
        yield group
    finally:
        with suppress(OSError):
            folder.rmdir()


def processes_under(pid: int) -> list[int]:
    """A process and all that descend from it."""
    found = [pid]
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += processes_under(int(child))
    return found


def started_in(memory: ControlGroup | Unlimited, site: Path, log: Path) -> subprocess.Popen[bytes]:
    """`marchwarden run`, in the control group before it allocates anything."""
    wait = 'read line && exec "$@"'
    process = subprocess.Popen(
        ["/bin/sh", "-c", wait, "sh", *MARCHWARDEN, "run", str(site)],
        stdin=subprocess.PIPE,
        stderr=log.open("ab"),
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    memory.take(process.pid)
    assert process.stdin is not None
    process.stdin.write(b"go\n")
    process.stdin.close()
    return process


def ended(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        process.wait(120)


class Watch:
    """The most memory, and the most that the service was behind."""

    def __init__(self, site: Path, memory: ControlGroup | Unlimited) -> None:
        self._database, self._memory = site / "state" / "marchwarden.db", memory
        self.memory_bytes, self.behind_s = 0, 0.0

    def look(self) -> None:
        self.memory_bytes = max(self.memory_bytes, self._memory.used())
        self.behind_s = max(self.behind_s, (time.time_ns() - Outbox(self._database).now_ns()) / NS)


# ── the fuzz ─────────────────────────────────────────────────────────────────────────────────────


def publish(site: Path, port: int, count: int, seed: int, rate: int) -> None:
    """Publish the fuzz over a raw socket at QoS 0 or 1, paced, and print how much of it went."""
    catalogue = world_of(load(site), KEY).catalogue
    fuzz, chance = Fuzz(catalogue, seed, list(ATTACKERS)), random.Random(seed)
    link, began, sent, size, lost = connect(port), time.monotonic(), 0, 0, 0
    while sent < count:
        due = min(count, int((time.monotonic() - began) * rate) + 1)
        for number in range(sent, due):
            message = fuzz.message(number, time.time_ns())
            packet = bytearray(publish_packet(message.topic, message.payload, number % 65_535 + 1))
            packet[0] |= message.retained
            if chance.random() < 0.2:
                packet = bytearray(without_acknowledgement(packet, message.topic))
            size += len(message.payload)
            try:
                link.setblocking(True)
                link.sendall(packet)
                link.setblocking(False)
                with suppress(BlockingIOError):
                    link.recv(1 << 20)
            except OSError:  # the broker throws a publisher out that it does not understand
                lost += 1
                link.close()
                link = connect(port)
        sent = due
        time.sleep(0.005)
    print(json.dumps({"sent": sent, "bytes": size, "thrown_out": lost, "took_s": round(time.monotonic() - began, 1)}))


def without_acknowledgement(packet: bytearray, topic: str) -> bytes:
    """The same packet at QoS 0: without its id."""
    at = 1
    while packet[at] & 0x80:
        at += 1
    end = at + 3 + len(topic.encode())
    body = packet[at + 1 : end] + packet[end + 2 :]
    length, size = bytearray(), len(body)
    while True:
        size, digit = divmod(size, 128)
        length.append(digit | (0x80 if size else 0))
        if not size:
            return bytes((packet[0] & ~0x06,)) + bytes(length) + bytes(body)


# ── the alerts ───────────────────────────────────────────────────────────────────────────────────


def expected_alerts(site: Path, folder: Path, end_ns: int) -> list[Word]:
    """What the exercise alone leads to: first words to each agency of what moves."""
    out = folder / "deliveries.ndjson"
    done = marchwarden("replay", site, folder / "exercise.ndjson", "--deliveries", out)
    assert done.returncode == 0, done.stderr
    deliveries = [json.loads(line) for line in out.read_text().splitlines()]
    return first_words(((d["channel"], d["body"]) for d in deliveries if d["channel"].startswith("hook-")), end_ns)


def first_words(records: Iterable[tuple[str, dict[str, Any]]], until_ns: int) -> list[Word]:
    """The first record of each alert over each channel, of what moves, and told before `until_ns` where that is given."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for channel, record in records:
        if record["reason"]["kind"] in SERVICES_OWN or (until_ns and ns_from_iso(record["told"]) > until_ns):
            continue
        found.setdefault((channel, record["alert"]), record)
    return [(channel, record) for (channel, _), record in found.items()]


def unmatched(expected: list[Word], got: list[Word]) -> list[str]:
    """The expected that have no partner of their own over the same channel: of the same rule, near in place and time."""
    free, missing = list(got), []
    for channel, record in expected:
        at_ns = ns_from_iso(record["observed"])
        same = [w for w in free if w[0] == channel and w[1]["rule"] == record["rule"] and alike(w[1], record)]
        if same:
            free.remove(min(same, key=lambda word: abs(ns_from_iso(word[1]["observed"]) - at_ns)))
        else:
            missing.append(" ".join([channel, *(str(record[n]) for n in ("alert", "rule", "observed", "lat", "lon"))]))
    return missing


if __name__ == "__main__":
    main()
