"""What receivers and texts do to a channel ends no worker, holds up no other delivery, and is reported."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from alerts.cap import cap_alert
from alerts.channels.broker import BrokerAddress, MqttChannel
from alerts.channels.email import EmailChannel, message_of
from alerts.channels.http import HttpChannel, webhook
from alerts.channels.results import Channel, Delivered, Result, TryAgain
from alerts.channels.tak import TakChannel
from alerts.cot import cot_event
from alerts.outbox import Outbox
from model.alerts import Delivery
from runtime.delivery_workers import DeliveryWorkers
from runtime.process_report import Part
from runtime.service import SystemClock
from tests.receivers import smtp, web
from tests.site import until
from tests.unit.test_channels import TOLD
from tests.unit.test_outbox import commit, delivery

CONTROLS = "a\rb\x0bc\x1cd\x85e\u2028f\x00g\x1bh"


def with_text(of: Delivery, headline: str) -> Delivery:
    return replace(of, body=msgspec.json.encode(json.loads(of.body) | {"text": f"{headline}\nseen by radar-west"}))


@dataclass
class Reports:
    """What the workers report."""

    ended: list[tuple[str, str]] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)

    def workers(self, database: Path, **builders: Callable[[], Channel]) -> DeliveryWorkers:
        return DeliveryWorkers(
            database,
            builders,
            SystemClock(),
            lambda _: None,
            lambda name, error: self.ended.append((name, error)),
            lambda name, detail: self.failed.append((name, detail)),
        )


@pytest.mark.parametrize(
    "value", ["\u00b2", "1e9", "-1", "9" * 400, "inf", "Fri, 31 Dec 1999 23:59:59 GMT", "", "\xff"]
)
def test_whatever_a_receiver_writes_as_retry_after_it_is_tried_again(value: str) -> None:
    with web(status=503, headers={"Retry-After": value}) as receiver:
        channel = HttpChannel("c", receiver.url, webhook("marchwarden/test"), timeout_s=10.0)
        assert channel.send(TOLD[:1]) == [TryAgain("The receiver answered 503.")]
        channel.close()


def test_a_headline_with_control_characters_goes_out_by_every_channel() -> None:
    spoiled = with_text(TOLD[0], CONTROLS)
    assert message_of(spoiled, "a@example.org", ["b@example.org"])["Subject"].endswith("a b c d e f g h")
    for xml in (cap_alert(spoiled.body, "a@example.org", "Test"), cot_event(spoiled.body, 60.0)):
        ElementTree.fromstring(xml)
    with smtp() as mailbox:
        channel = EmailChannel("c", "127.0.0.1", mailbox.port, "a@example.org", ["b@example.org"], starttls=False)
        assert channel.send([spoiled]) == [Delivered()]
    assert len(mailbox.messages) == 1


@pytest.mark.parametrize(
    "channel",
    [
        HttpChannel("c", f"http://{'a' * 64}.example/", webhook("marchwarden/test")),
        HttpChannel("c", "http://127.0.0.1:1/\u00e4 b", webhook("marchwarden/test")),
        EmailChannel("c", "a" * 64 + ".example", 25, "a@example.org", ["b@example.org"]),
        TakChannel("c", "a" * 64 + ".example", 1, 60.0),
        MqttChannel("c", "alerts", BrokerAddress("a" * 64 + ".example", 1, "test")),
    ],
    ids=["http-host", "http-path", "email-host", "tak-host", "mqtt-host"],
)
def test_a_name_that_cannot_be_encoded_is_a_failure_and_raises_nothing(channel: Channel) -> None:
    results = channel.send(TOLD[:2])
    assert [type(r) for r in results] == [TryAgain, TryAgain]
    channel.close()


@dataclass
class Raising:
    """A channel that raises for what is about one alert, whatever else is with it."""

    got: list[str]
    id: str = "c"
    per_minute: int | None = None

    def send(self, deliveries: list[Delivery]) -> list[Result]:
        if any(d.incident == "A5" for d in deliveries):
            raise RuntimeError("cannot be put into words")
        self.got += [d.incident for d in deliveries]
        return [Delivered()] * len(deliveries)

    def close(self) -> None: ...


def test_a_delivery_that_cannot_be_sent_holds_up_no_other_and_is_reported(tmp_path: Path) -> None:
    outbox, got, reports = Outbox(tmp_path / "o.db"), [], Reports()
    outbox.commit(commit(*(delivery(1, incident=f"A{n}") for n in range(10))))
    workers = reports.workers(tmp_path / "o.db", c=lambda: Raising(got))
    until(lambda: outbox.status()["deliveries"]["delivered"] == 9, "the others were delivered")
    until(lambda: reports.failed, "it was reported")
    workers.stop()
    assert reports.failed[0][0] == "channel c"
    assert "A5 cannot be sent: RuntimeError: cannot be put into words" in reports.failed[0][1]
    assert reports.ended == []


def test_a_worker_that_ends_is_reported_counted_and_started_again(tmp_path: Path) -> None:
    outbox, got, reports = Outbox(tmp_path / "o.db"), [], Reports()
    outbox.commit(commit(delivery(1)))
    broken = threading.Event()
    broken.set()

    def build() -> Channel:
        if broken.is_set():
            raise LookupError("the certificate")
        return Raising(got)

    workers = reports.workers(tmp_path / "o.db", c=build)

    def part() -> Part:
        return workers.parts()[0]

    until(lambda: part().starts >= 2, "it was started again")
    until(lambda: part().since is None, "it is down")
    assert reports.ended[0] == ("channel c", "LookupError: the certificate")
    broken.clear()
    until(lambda: outbox.status()["deliveries"]["delivered"] == 1, "it goes on")
    assert part().since is not None
    assert part().error == "LookupError: the certificate"
    workers.stop()
    assert got == ["A1"]
