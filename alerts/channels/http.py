"""HTTP POST: webhooks in CloudEvents 1.0, and CAP 1.2, either signed where there is a secret (`signing.py`).

Connections are kept, and several are used at once: deliveries handed over together are of different alerts, so their order
does not matter.
"""

import http.client
import ssl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

import msgspec

from alerts.cap import cap_alert
from alerts.channels import signing
from alerts.channels.results import Delivered, Refused, Result, TryAgain, failure
from model.alerts import Delivery

CONNECTIONS = 4
ANSWER_BYTES = 65_536  # of a receiver's answer that are read
DIGITS_MAX = 9  # of a Retry-After in seconds
FAILURES = (OSError, http.client.HTTPException, ValueError)  # ValueError: a name or header that cannot be encoded


@dataclass(frozen=True)
class Post:
    """One request, and how many deliveries are in it."""

    body: bytes
    headers: dict[str, str]
    deliveries: int


class HttpChannel:
    """POSTs to one address. `wrap` makes requests of deliveries, in order."""

    def __init__(
        self,
        id: str,
        url: str,
        wrap: Callable[[list[Delivery]], list[Post]],
        timeout_s: float = 5.0,
        ca_file: str = "",
        per_minute: int | None = None,
    ) -> None:
        self.id, self.per_minute = id, per_minute
        self._url, self._wrap, self._timeout_s = urlsplit(url), wrap, timeout_s
        self._path = (self._url.path or "/") + (f"?{self._url.query}" if self._url.query else "")
        self._tls = ssl.create_default_context(cafile=ca_file or None) if self._url.scheme == "https" else None
        self._connections = [self._connection() for _ in range(CONNECTIONS)]
        self._pool = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix=f"channel {id}")

    def send(self, deliveries: list[Delivery]) -> list[Result]:
        posts = self._wrap(deliveries)
        lanes = [posts[lane::CONNECTIONS] for lane in range(CONNECTIONS)]
        answers = list(self._pool.map(self._post_all, self._connections, lanes))
        in_order = [answers[i % CONNECTIONS][i // CONNECTIONS] for i in range(len(posts))]
        return [result for post, result in zip(posts, in_order, strict=True) for _ in range(post.deliveries)]

    def close(self) -> None:
        self._pool.shutdown()
        for connection in self._connections:
            connection.close()

    def _post_all(self, connection: http.client.HTTPConnection, posts: list[Post]) -> list[Result]:
        return [self._post(connection, post) for post in posts]

    def _post(self, connection: http.client.HTTPConnection, post: Post) -> Result:
        kept = connection.sock is not None
        try:
            return self._answer(connection, post)
        except (http.client.RemoteDisconnected, ConnectionError) as error:
            connection.close()
            if not kept:
                return failure(error)
        except FAILURES as error:
            connection.close()
            return failure(error)
        # The receiver had closed a connection that it had kept: that is no failure of this request.
        try:
            return self._answer(connection, post)
        except FAILURES as error:
            connection.close()
            return failure(error)

    def _answer(self, connection: http.client.HTTPConnection, post: Post) -> Result:
        connection.request("POST", self._path, post.body, post.headers)
        response = connection.getresponse()
        response.read(ANSWER_BYTES)
        if not response.isclosed():
            connection.close()  # an answer without end; the next request has a connection of its own
        return _judged(response.status, response.getheader("Retry-After"))

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self._url.hostname or "", self._url.port
        if self._tls is not None:
            return http.client.HTTPSConnection(host, port, timeout=self._timeout_s, context=self._tls)
        return http.client.HTTPConnection(host, port, timeout=self._timeout_s)


def webhook(source: str, secret: bytes = b"", batch_max: int = 1) -> Callable[[list[Delivery]], list[Post]]:
    """Deliveries as CloudEvents, one a request in structured mode, or several in batched mode."""

    def wrap(deliveries: list[Delivery]) -> list[Post]:
        events = [cloud_event(d, source) for d in deliveries]
        if batch_max == 1:
            return [
                _signed(event, "application/cloudevents+json", secret, 1, {"Idempotency-Key": d.key})
                for event, d in zip(events, deliveries, strict=True)
            ]
        return [
            _signed(b"[" + b",".join(part) + b"]", "application/cloudevents-batch+json", secret, len(part), {})
            for part in (events[i : i + batch_max] for i in range(0, len(events), batch_max))
        ]

    return wrap


def cap(sender: str, status: str, secret: bytes = b"") -> Callable[[list[Delivery]], list[Post]]:
    """Deliveries as CAP 1.2, one a request."""

    def wrap(deliveries: list[Delivery]) -> list[Post]:
        kind = "application/cap+xml; charset=utf-8"
        return [
            _signed(cap_alert(d.body, sender, status), kind, secret, 1, {"Idempotency-Key": d.key}) for d in deliveries
        ]

    return wrap


def _signed(body: bytes, kind: str, secret: bytes, deliveries: int, headers: dict[str, str]) -> Post:
    headers = headers | {"Content-Type": kind}
    if secret:
        headers[signing.HEADER] = signing.signature(secret, body, int(time.time()))
    return Post(body, headers, deliveries)


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


def _judged(status: int, retry_after: str | None) -> Result:
    if 200 <= status < 300:
        return Delivered()
    said = f"The receiver answered {status}."
    if status in (408, 425, 429) or status >= 500:
        return TryAgain(said, _seconds(retry_after or ""))
    return Refused(said)


def _seconds(retry_after: str) -> float | None:
    """How long to wait, where the receiver says it in seconds (RFC 9110, 10.2.3); a date, or anything else, is passed over."""
    digits = retry_after.strip()
    usable = digits.isascii() and digits.isdecimal() and len(digits) <= DIGITS_MAX
    return float(digits) if usable else None
