"""`marchwarden demo`: a broker, an exercise, the service and an officer's eye on it, in a folder that is gone afterwards."""

import json
import shutil
import signal
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from rich.console import Console

from alerts.outbox import Outbox
from model.time import NS
from runtime.broker import Broker, broker
from runtime.configuration import load
from runtime.entries import Configuration
from runtime.places import Places, exercise_key
from runtime.service import serve
from runtime.simulator.exercise import read_exercise
from runtime.simulator.play import play
from runtime.simulator.seeing import simulated
from runtime.terminal import terminal
from runtime.watch import alert_text
from runtime.world import world_of

SITE = Path(__file__).parents[1] / "configs"
LEAD_S = 1  # from when the service is connected until the exercise begins
POLL_S = 0.1


def demonstrate(seconds: float | None, embedded: bool, people: Console) -> int:
    """Run it; 0 when an alert reached an agency."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with tempfile.TemporaryDirectory(prefix="marchwarden-demo-") as folder, broker(embedded) as running:
        site = _site(Path(folder), running)
        c = load(site)
        said = (
            "Mosquitto"
            if running.kind == "mosquitto"
            else "the embedded broker (Mosquitto is not installed, or was not wanted)"
        )
        people.print(f"{c.site.site.title}: {len(c.sensors)} sensors, {said} on port {running.port}.", markup=False)
        people.print(
            f"In another terminal:  marchwarden alerts watch {site}     marchwarden status {site}\n"
            "Ctrl-C ends it." + (f" It ends by itself after {seconds:g} s." if seconds else ""),
            markup=False,
        )
        return _play(c, site, running, stop, seconds, people)


def _play(
    c: Configuration, site: Path, running: Broker, stop: threading.Event, seconds: float | None, people: Console
) -> int:
    officer = Officer(c, running, terminal())
    timer = threading.Timer(seconds or 0.0, stop.set)

    def begin() -> None:
        """The exercise, once the service is connected: on a slow machine its first minute would be lost else."""
        outbox = Outbox(Places(c.state).database)
        while not outbox.status().get("service") and not stop.wait(POLL_S):
            pass
        outbox.close()
        exercise = read_exercise(site / "exercises" / "demo.toml")
        messages, _ = simulated(world_of(c, exercise_key(c)), exercise, (time.time_ns() // NS + LEAD_S) * NS)
        if seconds:
            timer.start()
        play(messages, running.host, running.port, stop)

    player = threading.Thread(target=begin, daemon=True)
    player.start()
    try:
        serve(site, stop, threading.Event(), lambda text: people.print(text, markup=False))
    finally:
        stop.set()
        timer.cancel()
        player.join(10)
        time.sleep(0.2)
        officer.close()
    _summary(officer, Outbox(Places(c.state).database).status(), people)
    return 0 if officer.reached else 1


class Officer:
    """Every agency's watch officer at once: shows what arrives on their topics, each alert's revision once."""

    def __init__(self, c: Configuration, running: Broker, console: Console) -> None:
        self.reached: Counter[str] = Counter()
        self.raised: Counter[str] = Counter()
        self._seen: set[tuple[str, int]] = set()
        self._console, self._zone = console, c.site.site.time_zone
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="officers")
        self._client.on_message = self._on_message
        self._client.connect(running.host, running.port)
        topics = [ch.topic for w in c.agencies for ch in w.value.channel if ch.kind == "mqtt"]
        self._client.subscribe([(topic, 1) for topic in topics])
        self._client.loop_start()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_message(self, _: mqtt.Client, __: Any, message: mqtt.MQTTMessage) -> None:
        record = json.loads(message.payload)
        self.reached[record["to"]] += 1
        key = (record["alert"], record["revision"])
        if key not in self._seen:
            self._seen.add(key)
            self.raised[record["rule"]] += record["phase"] == "raised"
            self._console.print(alert_text(record, self._zone))


def _site(folder: Path, running: Broker) -> Path:
    """A copy of the shipped site that speaks to this broker."""
    site = folder / "site"
    shutil.copytree(SITE, site, ignore=shutil.ignore_patterns("state"))
    text = (site / "site.toml").read_text()
    (site / "site.toml").write_text(
        text.replace("port = 1883", f"port = {running.port}", 1) + "\n[console]\nport = 0\n"
    )
    return site


def _summary(officer: Officer, status: dict[str, Any], people: Console) -> None:
    service = status.get("service", {})
    people.print(
        f"\n{service.get('messages', 0):,} messages in, {service.get('detections', 0):,} detections, "
        f"{sum(officer.raised.values())} alerts raised: "
        + (", ".join(f"{n} {rule}" for rule, n in sorted(officer.raised.items()) if n) or "none")
        + ".",
        markup=False,
    )
    for agency, count in sorted(officer.reached.items()):
        people.print(f"  {agency}: {count} messages", markup=False)
    for each in status["rejections"]:
        people.print(f"  not used: {each['reason']} {each['count']:,} ({each['detail']})", markup=False)
