"""MQTT: a topic per agency at QoS 1. Delivered means that the broker has said it has it. Signed where there is a secret."""

import ssl
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from alerts.channels import signing
from alerts.channels.results import Delivered, Result, TryAgain, failure
from model.alerts import Delivery


@dataclass(frozen=True)
class BrokerAddress:
    """Where the broker is, and who we are to it."""

    host: str
    port: int
    client_id: str
    username: str = ""
    password: str = field(default="", repr=False)
    tls_ca_file: str = ""  # empty: no TLS

    def client(self) -> mqtt.Client:
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=self.client_id)
        if self.username:
            client.username_pw_set(self.username, self.password)
        if self.tls_ca_file:
            client.tls_set(self.tls_ca_file, tls_version=ssl.PROTOCOL_TLS_CLIENT)
        return client


def publish_once(address: BrokerAddress, topic: str, payload: bytes, timeout_s: float = 10.0) -> None:
    """One retained message, on a connection of its own. Raises OSError where the broker does not confirm it."""
    client, answered, refusals = address.client(), threading.Event(), list[str]()

    def on_connect(_: mqtt.Client, __: Any, ___: Any, reason: Any, ____: Any) -> None:
        refusals.extend([str(reason)] if reason.is_failure else [])
        answered.set()

    client.on_connect = on_connect
    client.connect(address.host, address.port)
    client.loop_start()
    try:
        if not answered.wait(timeout_s) or refusals:
            raise ConnectionError(f"the broker at {address.host}:{address.port}: {', '.join(refusals) or 'no answer'}")
        published = client.publish(topic, payload, qos=1, retain=True)
        published.wait_for_publish(timeout_s)
        if not published.is_published():
            raise TimeoutError(f"the broker at {address.host}:{address.port} did not confirm in {timeout_s:g} s")
    except RuntimeError as error:
        raise ConnectionError(f"the broker at {address.host}:{address.port}: {error}") from error
    finally:
        client.disconnect()
        client.loop_stop()


class MqttChannel:
    """A connection of its own, kept up by paho."""

    def __init__(
        self,
        id: str,
        topic: str,
        address: BrokerAddress,
        timeout_s: float = 5.0,
        per_minute: int | None = None,
        secret: bytes = b"",
    ) -> None:
        self.id, self.per_minute = id, per_minute
        self._topic, self._address, self._timeout_s, self._secret = topic, address, timeout_s, secret
        self._client = address.client()
        self._started = False

    def send(self, deliveries: list[Delivery]) -> list[Result]:
        error = self._connected()
        if error:
            return [TryAgain(error)] * len(deliveries)
        try:
            sent = [self._client.publish(self._topic, self._signed(d.body), qos=1) for d in deliveries]
        except ValueError as problem:
            return [failure(problem)] * len(deliveries)
        results: list[Result] = []
        for info in sent:
            try:
                info.wait_for_publish(self._timeout_s)
            except (ValueError, RuntimeError) as problem:
                results.append(TryAgain(f"{problem}"))
                continue
            results.append(Delivered() if info.is_published() else TryAgain("The broker did not confirm in time."))
        return results

    def close(self) -> None:
        if self._started:
            self._client.disconnect()
            self._client.loop_stop()

    def _signed(self, body: bytes) -> bytes:
        return signing.with_signature(self._secret, body, int(time.time())) if self._secret else body

    def _connected(self) -> str:
        """Empty once there is a connection; paho keeps it up from then on."""
        if self._started:
            self._client.loop_start()  # starts paho's thread again where it has ended, and else does nothing
        if self._client.is_connected():
            return ""
        if not self._started:
            try:
                self._client.connect(self._address.host, self._address.port)
            except (OSError, ValueError) as problem:
                return f"No connection to {self._address.host}:{self._address.port}: {problem}."
            self._client.loop_start()
            self._started = True
            return "Connecting."
        return "The broker is away."
