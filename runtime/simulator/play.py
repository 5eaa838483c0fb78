"""Playing an exercise to a broker in real time, as the equipment would publish it."""

import re
import threading
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from model.messages import Messages
from model.time import NS

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
) -> int:
    """Publish each message at QoS 1 when its time has come; how many the broker has confirmed. `told` hears of progress."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"marchwarden-exercise-{time.time_ns()}")
    client.max_inflight_messages_set(0)
    client.max_queued_messages_set(0)
    if username:
        client.username_pw_set(username, password)
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


def address(url: str) -> tuple[str, int, str, str]:
    """(host, port, user, password) of an `mqtt://` URL. Raises ValueError."""
    parts = urlsplit(url if "//" in url else f"mqtt://{url}")
    if parts.scheme != "mqtt" or not parts.hostname:
        raise ValueError(f"{re.sub(r'//[^/]*@', '//…@', url)!r} is no broker's address; write mqtt://host:1883.")
    return parts.hostname, parts.port or 1883, parts.username or "", parts.password or ""
