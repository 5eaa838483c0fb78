"""MQTT: a topic per agency at QoS 1. Delivered means that the broker has said it has it. Signed where there is a secret."""

import ssl
import time

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from alerts.channels import signing
from alerts.channels.results import Delivered, Result, TryAgain, failure
from model.alerts import Delivery


class MqttChannel:
    """A connection of its own, kept up by paho."""

    def __init__(
        self,
        id: str,
        topic: str,
        host: str,
        port: int,
        client_id: str,
        username: str = "",
        password: str = "",
        tls_ca_file: str = "",
        timeout_s: float = 5.0,
        per_minute: int | None = None,
        secret: bytes = b"",
    ) -> None:
        self._secret = secret
        self.id, self.per_minute = id, per_minute
        self._topic, self._host, self._port, self._timeout_s = topic, host, port, timeout_s
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=client_id)
        if username:
            self._client.username_pw_set(username, password)
        if tls_ca_file:
            self._client.tls_set(tls_ca_file, tls_version=ssl.PROTOCOL_TLS_CLIENT)
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
                self._client.connect(self._host, self._port)
            except (OSError, ValueError) as problem:
                return f"No connection to {self._host}:{self._port}: {problem}."
            self._client.loop_start()
            self._started = True
            return "Connecting."
        return "The broker is away."
