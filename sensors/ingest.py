"""From the broker into the journal. One thread owns paho: it reads, writes, syncs, and only then acknowledges.

Nothing is decoded here. A message is acknowledged when the disk has it; if this process dies before, the broker sends it
again, and the pipeline knows it by its content.
"""

import random
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
import numpy as np
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from model.messages import OWN_TOPICS, SERVICE_TOPIC, TOO_LARGE_MARK, Messages
from model.time import MS, NS
from sensors.journal import Writer

BATCH_MESSAGES = 5_000
BATCH_BYTES = 16_000_000  # of payloads: what one batch holds in memory, some times over
BATCH_NS = 50 * MS
TICK_NS = 200 * MS
WINDOW = 20_000  # unacknowledged messages that the broker may send on
BACKOFF_MAX_S = 30.0
STEP_NS = 2 * NS  # a clock that is off by less is being slewed, and waited for


@dataclass(frozen=True)
class Broker:
    """Where the messages come from."""

    host: str
    port: int
    client_id: str
    username: str = ""
    password: str = ""
    tls_ca_file: str = ""
    keepalive_s: int = 30


@dataclass(frozen=True)
class Actions:
    """What people did, or went wrong, and no journal holds yet: `waiting` gives (id, topic, payload), `taken` is told when the
    disk has them."""

    waiting: Callable[[], list[tuple[int, str, bytes]]]
    taken: Callable[[list[int]], None]


class Stream(Protocol):
    """What comes another way than through the broker."""

    topic: str

    def taken(self) -> list[bytes]:
        """All that has come since the last time."""
        ...


def no_actions() -> Actions:
    return Actions(list, lambda _: None)


class Ingest:
    """The state of one connection, and the batch being gathered."""

    def __init__(
        self,
        broker: Broker,
        subscriptions: tuple[str, ...],
        journal: Writer,
        payload_bytes_max: int,
        report: Callable[[str], None],
        actions: Actions,
        streams: tuple[Stream, ...] = (),
    ) -> None:
        self._broker, self._subscriptions, self._journal = broker, subscriptions, journal
        self._bytes_max, self._report, self._actions = payload_bytes_max, report, actions
        self._streams = streams
        self._batch: list[tuple[int, str, bytes, bool, bool]] = []
        self._batch_bytes = 0
        self._pending: list[tuple[int, int]] = []
        self._failures, self._ending, self._kept = 0, False, ""
        self._note("disconnected")  # before anything else: nobody listened since the service before this one ended
        self._ahead_ns = time.time_ns() - time.monotonic_ns()  # of the wall's clock, before the machine's own
        self.client = self._client()

    def run(self, stop: Callable[[], bool]) -> None:
        """Until `stop` says so, however often the broker goes away."""
        while not stop():
            if not self._connected():
                self._backoff(stop)
                continue
            self._listen(stop)
        self._flush()
        self._ending = True
        self.client.disconnect()

    def _client(self) -> mqtt.Client:
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._broker.client_id,
            clean_session=False,
            manual_ack=True,
            reconnect_on_failure=False,
        )
        client.max_inflight_messages_set(WINDOW)
        if self._broker.username:
            client.username_pw_set(self._broker.username, self._broker.password)
        if self._broker.tls_ca_file:
            client.tls_set(self._broker.tls_ca_file, tls_version=ssl.PROTOCOL_TLS_CLIENT)
        client.on_message = self._on_message
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        return client

    def _connected(self) -> bool:
        try:
            self.client.connect(self._broker.host, self._broker.port, self._broker.keepalive_s)
        except (OSError, ValueError) as error:
            self._failures += 1
            self._report(f"No connection to the broker at {self._broker.host}:{self._broker.port}: {error}.")
            return False
        return True

    def _backoff(self, stop: Callable[[], bool]) -> None:
        """Wait, twice as long each time and never quite as long as anybody else."""
        wait_s = min(0.25 * 2 ** min(self._failures, 10), BACKOFF_MAX_S) * random.uniform(0.5, 1.0)
        until = time.monotonic() + wait_s
        while not stop() and time.monotonic() < until:
            self._take_actions()
            self._take_streams()
            self._flush()
            self._journal.sync()
            time.sleep(0.05)

    def _listen(self, stop: Callable[[], bool]) -> None:
        while not stop():
            opened_ns = time.monotonic_ns()
            code = mqtt.MQTT_ERR_SUCCESS
            while code == mqtt.MQTT_ERR_SUCCESS and not self._is_full():
                left_ns = opened_ns + BATCH_NS - time.monotonic_ns()
                if left_ns <= 0:
                    break
                code = self.client.loop(left_ns / NS)
                # What has arrived meanwhile is read without asking the system for each message whether there is one.
                read = -1
                while code == mqtt.MQTT_ERR_SUCCESS and read < len(self._batch) and not self._is_full():
                    read = len(self._batch)
                    code = self.client.loop_read()
            self._take_actions()
            self._take_streams()
            self._flush()
            if code != mqtt.MQTT_ERR_SUCCESS:
                return

    def _is_full(self) -> bool:
        return len(self._batch) >= BATCH_MESSAGES or self._batch_bytes >= BATCH_BYTES

    def _flush(self) -> None:
        """Write, sync, acknowledge: in this order."""
        self._look_at_the_clock()
        if self._batch:
            received, topics, payloads, retained, duplicate = zip(*self._batch, strict=True)
            self._journal.append(
                Messages(
                    np.maximum.accumulate(np.array(received, np.int64)),
                    topics,
                    payloads,
                    np.array(retained, np.bool_),
                    np.array(duplicate, np.bool_),
                )
            )
            self._batch, self._batch_bytes = [], 0
            self._journal.sync()
            for mid, qos in self._pending:
                self.client.ack(mid, qos)
            self._pending = []
        elif time.time_ns() - self._journal.newest_ns >= TICK_NS:
            self._journal.tick(time.time_ns())
            self._journal.flush()

    def _look_at_the_clock(self) -> None:
        """A clock that was set is noted, as a time in which nobody was heard: no sensor is silent because of it.

        Set forward, time goes on from there. Set back by more than a little, the journal begins anew at the earlier time;
        by less, it waits for the clock to come to where it was.
        """
        ahead_ns = time.time_ns() - time.monotonic_ns()
        stepped_ns, self._ahead_ns = ahead_ns - self._ahead_ns, ahead_ns
        if abs(stepped_ns) < STEP_NS:
            return
        self._report(f"The clock was set by {stepped_ns / NS:+,.1f} s.")
        if stepped_ns < 0:
            self._batch = [(time.time_ns(), *each[1:]) for each in self._batch]
            self._journal.set_back(time.time_ns() - 1)
        self._batch.insert(0, self._said())

    def _take_actions(self) -> None:
        waiting = self._actions.waiting()
        if waiting:
            now_ns = time.time_ns()
            self._journal.append(
                Messages(
                    np.full(len(waiting), now_ns, np.int64),
                    tuple(topic for _, topic, _ in waiting),
                    tuple(payload for _, _, payload in waiting),
                    np.zeros(len(waiting), np.bool_),
                )
            )
            self._journal.sync()
            self._actions.taken([id for id, *_ in waiting])

    def _take_streams(self) -> None:
        for stream in self._streams:
            self._batch += [(time.time_ns(), stream.topic, payload, False, False) for payload in stream.taken()]

    def _on_message(self, _: mqtt.Client, __: Any, message: mqtt.MQTTMessage) -> None:
        payload = bytes(message.payload)
        if len(payload) > self._bytes_max:
            payload = TOO_LARGE_MARK + str(len(payload)).encode()
        self._batch.append((time.time_ns(), _not_ours(message.topic), payload, message.retain, message.dup))
        self._batch_bytes += len(payload)
        if message.qos:
            self._pending.append((message.mid, message.qos))

    def _on_connect(self, client: mqtt.Client, _: Any, flags: Any, reason: Any, __: Any) -> None:
        if reason.is_failure:
            self._failures += 1
            self._report(f"The broker refused the connection: {reason}.")
            return
        self._failures = 0
        client.subscribe([(topic, 1) for topic in self._subscriptions])
        self._kept = "and it kept our session" if flags.session_present else "with a new session"

    def _on_subscribe(self, _: mqtt.Client, __: Any, ___: Any, reasons: Any, ____: Any) -> None:
        """Only now is nothing missed any more, and what the broker had kept for us is on its way."""
        refused = [topic for topic, reason in zip(self._subscriptions, reasons, strict=False) if reason.is_failure]
        self._report(f"Connected to the broker at {self._broker.host}:{self._broker.port}, {self._kept}.")
        if refused:
            self._report(f"The broker refuses us {', '.join(refused)}: look at its access list.")
        self._note("connected")

    def _on_disconnect(self, _: mqtt.Client, __: Any, ___: Any, reason: Any, ____: Any) -> None:
        self._pending = []  # ids come again after a reconnect, for other messages
        if self._ending:
            return
        self._report(f"The broker is gone ({reason}); what was not acknowledged will come again.")
        self._note("disconnected")

    def _note(self, event: str) -> None:
        """A message to ourselves, of what holds from now on."""
        self._event = event
        self._batch.append(self._said())

    def _said(self) -> tuple[int, str, bytes, bool, bool]:
        """`until` says up to when the silence before it was one that we listened to, if we listened."""
        payload = msgspec.json.encode({"event": self._event, "until": self._journal.newest_ns})
        return time.time_ns(), SERVICE_TOPIC, payload, False, False


def _not_ours(topic: str) -> str:
    """A broker's topic. It may send any, whatever was subscribed; one of the service's own is marked, and then rejected."""
    return f"broker:{topic}" if topic.startswith(OWN_TOPICS) else topic
