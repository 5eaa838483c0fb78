"""Channels: how a delivery reaches an agency. Each says by a named result what became of it."""

import hashlib
import hmac
import http.client
import ssl
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

import msgspec
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from model.alerts import Delivery

SIGNATURE = "Marchwarden-Signature"


@dataclass(frozen=True)
class Delivered:
    """The receiver has it."""


@dataclass(frozen=True)
class TryAgain:
    """Not now; `after_s` where the receiver said when."""

    error: str
    after_s: float | None = None


@dataclass(frozen=True)
class Refused:
    """The receiver will never take this one."""

    error: str


Result = Delivered | TryAgain | Refused


class Channel(Protocol):
    """One way to one agency."""

    id: str

    def send(self, deliveries: list[Delivery]) -> list[Result]:
        """What became of each, in order. Never raises for what the receiver does."""
        ...

    def close(self) -> None: ...


class MqttChannel:
    """A topic per agency at QoS 1. Delivered means that the broker has said it has it."""

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
    ) -> None:
        self.id, self._topic, self._host, self._port, self._timeout_s = id, topic, host, port, timeout_s
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
        sent = [self._client.publish(self._topic, d.body, qos=1) for d in deliveries]
        results: list[Result] = []
        for info in sent:
            try:
                info.wait_for_publish(self._timeout_s)
            except (ValueError, RuntimeError) as failure:
                results.append(TryAgain(f"{failure}"))
                continue
            results.append(Delivered() if info.is_published() else TryAgain("The broker did not confirm in time."))
        return results

    def close(self) -> None:
        if self._started:
            self._client.disconnect()
            self._client.loop_stop()

    def _connected(self) -> str:
        """Empty once there is a connection; paho keeps it up from then on."""
        if self._client.is_connected():
            return ""
        if not self._started:
            try:
                self._client.connect(self._host, self._port)
            except OSError as failure:
                return f"No connection to {self._host}:{self._port}: {failure}."
            self._client.loop_start()
            self._started = True
            return "Connecting."
        return "The broker is away."


class WebhookChannel:
    """A POST of a CloudEvents 1.0 envelope in structured mode, signed with HMAC-SHA256 over exactly the body's bytes."""

    def __init__(self, id: str, url: str, source: str, secret: bytes = b"", timeout_s: float = 5.0) -> None:
        self.id, self._url, self._source, self._secret, self._timeout_s = id, urlsplit(url), source, secret, timeout_s

    def send(self, deliveries: list[Delivery]) -> list[Result]:
        return [self._post(delivery) for delivery in deliveries]

    def close(self) -> None: ...

    def _post(self, delivery: Delivery) -> Result:
        body = cloud_event(delivery, self._source)
        headers = {"Content-Type": "application/cloudevents+json", "Idempotency-Key": delivery.key}
        if self._secret:
            headers[SIGNATURE] = "sha256=" + signature(self._secret, body)
        connection = self._connection()
        try:
            connection.request(
                "POST", self._url.path + (f"?{self._url.query}" if self._url.query else ""), body, headers
            )
            response = connection.getresponse()
            response.read(65_536)
            return _judged(response.status, response.getheader("Retry-After"))
        except (OSError, http.client.HTTPException) as failure:
            return TryAgain(f"{type(failure).__name__}: {failure}"[:200])
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        host = self._url.hostname or ""
        if self._url.scheme == "https":
            return http.client.HTTPSConnection(
                host, self._url.port, timeout=self._timeout_s, context=ssl.create_default_context()
            )
        return http.client.HTTPConnection(host, self._url.port, timeout=self._timeout_s)


def cloud_event(delivery: Delivery, source: str) -> bytes:
    """The CloudEvents envelope of a delivery; its id is the delivery's key."""
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": delivery.key,
            "source": source,
            "type": "org.marchwarden.alert",
            "subject": delivery.incident,
            "datacontenttype": "application/json",
            "data": msgspec.Raw(delivery.body),
        }
    )


def signature(secret: bytes, body: bytes) -> str:
    """What a receiver computes to know that the body is ours."""
    return hmac.new(secret, body, hashlib.sha256).hexdigest()


def _judged(status: int, retry_after: str | None) -> Result:
    if 200 <= status < 300:
        return Delivered()
    said = f"The receiver answered {status}."
    if status in (408, 425, 429) or status >= 500:
        return TryAgain(said, float(retry_after) if retry_after and retry_after.isdigit() else None)
    return Refused(said)
