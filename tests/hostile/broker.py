"""Mosquitto as docs/broker.md sets it up: user names, the access list of `marchwarden acl`, two listeners."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from runtime.broker import free_port, mosquitto
from runtime.broker_access import grants_of, mosquitto_acl, users_of
from runtime.configuration import load
from tests.site import until

CONF = """per_listener_settings false
allow_anonymous false
password_file {folder}/passwords
acl_file {folder}/acl
max_inflight_messages 0
max_queued_messages 0
queue_qos0_messages true
persistence false
log_dest file {folder}/log
log_type all
listener {outer} 127.0.0.1
use_username_as_clientid true
listener {inner} 127.0.0.1
"""


@dataclass(frozen=True)
class GuardedBroker:
    """Two ports: `outer` for equipment and agencies, where a client's id is its user name; `inner` for the service alone."""

    outer: int
    inner: int
    folder: Path

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")


def password(user: str) -> str:
    return f"password of {user}"


@contextmanager
def guarded_broker(folder: Path, site: Path, inner: int) -> Iterator[GuardedBroker]:
    """The broker of a site whose configuration names `inner` as the service's port."""
    folder.mkdir()
    configuration, outer = load(site), free_port()
    (folder / "acl").write_text(mosquitto_acl(configuration))
    passwords = folder / "passwords"
    passwords.write_text("".join(f"{user}:{password(user)}\n" for user in users_of(grants_of(configuration))))
    subprocess.run(["mosquitto_passwd", "-U", str(passwords)], check=True, capture_output=True)
    root = "user root\n" if os.geteuid() == 0 else ""
    (folder / "mosquitto.conf").write_text(root + CONF.format(folder=folder, outer=outer, inner=inner))
    process = subprocess.Popen([str(mosquitto()), "-c", str(folder / "mosquitto.conf")], stderr=subprocess.DEVNULL)
    running = GuardedBroker(outer, inner, folder)
    try:
        until(lambda: (folder / "log").exists() and "running" in running.log, "Mosquitto started")
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def try_to_publish(broker: GuardedBroker, user: str, topic: str, payload: bytes, **more: Any) -> None:
    """What is not allowed. By a client of its own: Mosquitto may end its connection. Returns when it was denied."""
    denied = f"Denied PUBLISH from {user} "
    before = broker.log.count(denied)
    with Client(user, broker.outer) as hostile:
        assert hostile.connected.wait(20), hostile.refused
        hostile.mqtt.publish(topic, payload, qos=1, **more)
        until(lambda: broker.log.count(denied) > before, f"{topic} was denied to {user}")


@dataclass
class Client:
    """A client with a password, and what it was sent."""

    user: str
    port: int
    reads: tuple[str, ...] = ()
    client_id: str = ""
    clean: bool = True
    will: tuple[str, bytes] | None = None
    got: list[tuple[str, bytes]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    disconnects: int = 0
    subscribed: threading.Event = field(default_factory=threading.Event)
    connected: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Client":
        self.mqtt = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=self.client_id or self.user, clean_session=self.clean
        )
        self.mqtt.username_pw_set(self.user, password(self.user))
        if self.will is not None:
            self.mqtt.will_set(*self.will, qos=1)
        self.mqtt.on_message = lambda _, __, message: self.got.append((message.topic, message.payload))
        self.mqtt.on_subscribe = lambda *_: self.subscribed.set()
        self.mqtt.on_connect = self._on_connect
        self.mqtt.on_disconnect = self._on_disconnect
        self.mqtt.connect("127.0.0.1", self.port)
        self.mqtt.loop_start()
        for topic in self.reads:
            assert self.connected.wait(20), self.refused
            self.subscribed.clear()
            self.mqtt.subscribe(topic, 1)
            assert self.subscribed.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self.mqtt.disconnect()
        self.mqtt.loop_stop()

    def publish(self, topic: str, payload: bytes, retain: bool = False) -> None:
        """What is allowed; returns when the broker has it."""
        assert self.connected.wait(20)
        self.mqtt.publish(topic, payload, qos=1, retain=retain).wait_for_publish(20)

    def vanish(self) -> None:
        """Lose the connection without a word, so that the broker publishes the will."""
        sock: Any = self.mqtt.socket()
        self.mqtt.loop_stop()
        sock.close()

    def _on_connect(self, _: mqtt.Client, __: Any, ___: Any, reason: Any, ____: Any) -> None:
        if reason.is_failure:
            self.refused.append(str(reason))
        else:
            self.connected.set()

    def _on_disconnect(self, *_: Any) -> None:
        self.disconnects += 1


class Listener:
    """What a broker without users publishes on a topic."""

    def __init__(self, port: int, topic: str) -> None:
        self.got: list[tuple[str, bytes]] = []
        subscribed = threading.Event()
        self._mqtt = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._mqtt.on_message = lambda _, __, message: self.got.append((message.topic, message.payload))
        self._mqtt.on_subscribe = lambda *_: subscribed.set()
        self._mqtt.connect("127.0.0.1", port)
        self._mqtt.loop_start()
        self._mqtt.subscribe(topic, 1)
        assert subscribed.wait(20)

    def __enter__(self) -> "Listener":
        return self

    def __exit__(self, *_: object) -> None:
        self._mqtt.disconnect()
        self._mqtt.loop_stop()
