"""Playing an exercise to a broker in real time, as the equipment would publish it."""

import re
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from model.messages import Messages
from model.time import NS
from runtime.connection_check import is_loopback

PORTS = {"mqtt": 1883, "mqtts": 8883}
CONFIRM_S = 10.0  # the broker may take this long to confirm the last message


class NoConnection(Exception):
    """The broker cannot be reached."""


def play(
    messages: Messages,
    host: str,
    port: int,
    stop: threading.Event,
    told: Callable[[int], None] = lambda _: None,
    username: str = "",
    password: str = "",
    tls: ssl.SSLContext | None = None,
) -> int:
    """Publish each message at QoS 1 when its time has come; how many the broker has confirmed. `told` hears of progress."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"marchwarden-exercise-{time.time_ns()}")
    client.max_inflight_messages_set(0)
    client.max_queued_messages_set(0)
    if username:
        client.username_pw_set(username, password)
    if tls is not None:
        client.tls_set_context(tls)
    try:
        client.connect(host, port)
    except OSError as error:
        raise NoConnection(f"No broker at {host}:{port}: {error}.") from error
    confirmed, all_sent = [0], 0
    client.on_publish = lambda *_: confirmed.__setitem__(0, confirmed[0] + 1)
    client.loop_start()
    for number in range(len(messages)):
        wait_s = (int(messages.received_ns[number]) - time.time_ns()) / NS
        if wait_s > 0 and stop.wait(wait_s):
            break
        # Without a connection it is kept, and goes out with the next one.
        client.publish(
            messages.topics[number], messages.payloads[number], qos=1, retain=bool(messages.retained[number])
        )
        all_sent = number + 1
        told(all_sent)
    until = time.monotonic() + CONFIRM_S
    while confirmed[0] < all_sent and time.monotonic() < until and not stop.wait(0.05):
        pass
    client.disconnect()
    client.loop_stop()
    return confirmed[0]


@dataclass(frozen=True)
class Address:
    """A broker's, from its URL."""

    host: str
    port: int
    username: str
    password: str
    encrypted: bool


def address(url: str, plain: bool) -> Address:
    """The address in an `mqtt://` or `mqtts://` URL. Raises ValueError, also where all would go beyond this machine in the clear
    and `plain` does not say that it may."""
    try:
        parts = urlsplit(url if "//" in url else f"mqtt://{url}")
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in PORTS or not parts.hostname or parts.path.strip("/"):
        raise ValueError(f"{re.sub(r'//.*@', '//…@', url)!r} is no broker's address; write mqtt://host:1883.")
    encrypted = parts.scheme == "mqtts"
    if not (encrypted or plain or is_loopback(parts.hostname)):
        raise ValueError(
            f"{parts.hostname!r} is beyond this machine, and all that goes there would be in the clear. "
            f"Write mqtts://{parts.hostname}:8883, or add --plain where that is meant."
        )
    return Address(
        parts.hostname,
        port or PORTS[parts.scheme],
        unquote(parts.username or ""),
        unquote(parts.password or ""),
        encrypted,
    )
