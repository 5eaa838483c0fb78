"""A broker that sends what nobody subscribed to: it cannot speak for the service, or for its officers."""

import socket
import threading
from pathlib import Path

import pytest

from model.messages import ACTION_TOPIC, OWN_TOPICS, SERVICE_TOPIC, Messages
from model.rejections import Reason
from runtime.inbox import opened
from sensors.ingest import Broker, Ingest, no_actions
from sensors.journal import Position, Writer, read
from sensors.keys import DayKeys
from tests.builders import decoded, shipped_world

CONNACK, SUBACK = b"\x20\x02\x00\x00", b"\x90\x03\x00\x01\x01"
SILENCE = b'{"action":"silence","by":"x","note":"x","matchers":{"rule":"*"},"until":"2030-01-01T00:00:00Z"}'


def published(topic: str, payload: bytes) -> bytes:
    """An MQTT 3.1.1 PUBLISH packet at QoS 0."""
    name = topic.encode()
    rest = len(name).to_bytes(2) + name + payload
    length = bytes([len(rest)]) if len(rest) < 128 else bytes([len(rest) % 128 | 128, len(rest) // 128])  # below 16 kB
    return b"\x30" + length + rest


class LyingBroker:
    """Takes one client, and publishes to it whatever it likes."""

    def __init__(self, *packets: bytes) -> None:
        self._packets, self._listening = packets, socket.create_server(("127.0.0.1", 0))
        self.port, self.subscribed = self._listening.getsockname()[1], threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        client, _ = self._listening.accept()
        client.recv(65_536)
        client.sendall(CONNACK)
        client.recv(65_536)
        client.sendall(SUBACK + b"".join(self._packets))
        self.subscribed.set()
        client.recv(65_536)  # held open until the client goes
        client.close()
        self._listening.close()


def journal_after(folder: Path, *packets: bytes) -> Messages:
    """What an ingest writes that listens to such a broker."""
    broker, keys = LyingBroker(*packets), DayKeys(folder / "keys", "journal")

    def written() -> Messages:
        return Messages.joined([frame.messages for frame in read(folder / "journal", keys, Position(0, 0))])

    with Writer(folder / "journal", keys) as journal:
        ingest = Ingest(
            Broker("127.0.0.1", broker.port, "us"), ("frigate/events",), journal, 10_000, lambda _: None, no_actions()
        )
        ingest.run(lambda: "frigate/events" in written().topics)
    return written()


@pytest.mark.parametrize(("topic", "payload"), [(ACTION_TOPIC, SILENCE), (SERVICE_TOPIC, b'{"event":"disconnected"}')])
def test_a_broker_cannot_speak_as_the_service(tmp_path: Path, topic: str, payload: bytes) -> None:
    messages = journal_after(tmp_path, published(topic, payload), published("frigate/events", b"{}"))
    forged = [(t, p) for t, p in zip(messages.topics, messages.payloads, strict=True) if p == payload]
    assert forged == [(f"broker:{topic}", payload)]
    inbox = opened(messages, 0, True, 0, int(messages.received_ns[-1]))
    assert inbox.actions == ()
    assert inbox.listening, "it was not talked into being deaf"
    rejections = decoded(shipped_world().catalogue, messages).rejections
    assert (f"broker:{topic}", Reason.UNKNOWN_TOPIC) in {(r.topic, r.reason) for r in rejections}


def test_what_the_service_writes_itself_begins_so() -> None:
    assert all(topic.startswith(OWN_TOPICS) for topic in (ACTION_TOPIC, SERVICE_TOPIC))
