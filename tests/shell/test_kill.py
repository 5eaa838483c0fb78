"""kill -9 of the whole service at random moments while an exercise plays through Mosquitto, beside one left in peace."""

import json
import os
import random
import threading
import time
from collections import defaultdict
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from model.time import NS
from runtime.broker import broker
from runtime.configuration import load
from runtime.simulator.exercise import read_exercise
from runtime.simulator.play import play
from runtime.simulator.seeing import simulated
from runtime.world import world_of
from tests.site import DEADLINE_S, site_at, started, until

KILLS = 6
PLAYED_S = 45


def test_whatever_moment_it_is_killed_at_no_alert_is_lost_and_none_comes_under_another_key(tmp_path: Path) -> None:
    received: dict[str, dict[str, set[int]]] = {"calm": defaultdict(set), "torn": defaultdict(set)}
    key, chance = os.urandom(32), random.Random(20261121)
    with broker() as running:
        sites = {name: _site(tmp_path / name, name, running.port, key) for name in received}

        def on_message(_: object, __: object, message: mqtt.MQTTMessage) -> None:
            record = json.loads(message.payload)
            received[message.topic.split("/", maxsplit=1)[0]][record["alert"]].add(record["revision"])

        agencies = mqtt.Client(CallbackAPIVersion.VERSION2)
        agencies.on_message = on_message
        agencies.connect(running.host, running.port)
        agencies.subscribe([("calm/#", 1), ("torn/#", 1)])
        agencies.loop_start()
        logs = {name: tmp_path / f"{name}.log" for name in sites}
        services = {name: started(site, logs[name]) for name, site in sites.items()}
        try:
            for name in sites:
                until(lambda n=name: logs[n].exists() and "Connected" in logs[n].read_text(), f"{name} connected")
            world = world_of(load(sites["calm"]), key)
            start_ns = (time.time_ns() // NS + 1) * NS
            exercise = read_exercise(sites["calm"] / "exercises" / "demo.toml").model_copy(
                update={"duration_s": PLAYED_S}
            )
            messages, _ = simulated(world, exercise, start_ns)
            player = threading.Thread(target=play, args=(messages, running.host, running.port, threading.Event()))
            player.start()
            for _ in range(KILLS):
                player.join(chance.uniform(0.5, 2 * PLAYED_S / KILLS - 3))
                services["torn"].kill()
                services["torn"].wait()
                services["torn"] = started(sites["torn"], logs["torn"])
            player.join()
            until(
                lambda: (
                    received["calm"]
                    and all(revisions <= received["torn"][alert] for alert, revisions in received["calm"].items())
                ),
                "every alert of the undisturbed service reached the other's agencies",
            )
        finally:
            for process in services.values():
                process.terminate()
            for process in services.values():
                process.wait(DEADLINE_S)
            agencies.disconnect()
            agencies.loop_stop()
    assert len(received["calm"]) >= 3
    assert set(received["torn"]) == set(received["calm"])


def _site(folder: Path, name: str, port: int, key: bytes) -> Path:
    site = site_at(folder, port)
    settings = (site / "site.toml").read_text()
    (site / "site.toml").write_text(settings.replace("[mqtt]", f'[mqtt]\nclient_id = "{name}"', 1))
    agencies = (site / "agencies.toml").read_text()
    (site / "agencies.toml").write_text(
        agencies.replace('topic = "marchwarden/san-rafael/agencies/', f'topic = "{name}/')
    )
    (site / "state" / "keys").mkdir(parents=True)
    (site / "state" / "keys" / "plates.key").write_bytes(key)
    return site
