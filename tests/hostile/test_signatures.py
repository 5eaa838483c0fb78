"""Alerts that are signed, and what a receiver makes of those that were changed, captured or kept back."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from alerts.channels import signing
from alerts.channels.broker import BrokerAddress, MqttChannel
from alerts.channels.http import HttpChannel, cap, webhook
from alerts.channels.results import Delivered
from runtime.broker import broker
from tests.hostile.broker import Listener
from tests.hostile.receiver import documented_receiver
from tests.receivers import web
from tests.site import until
from tests.unit.test_channels import TOLD
from tests.unit.test_configuration import change, mistakes, site  # noqa: F401 - a fixture

SECRET = b"a secret of the two of them"
NOW_S = 1_800_000_000
receiver = documented_receiver()


def over_mqtt(body: bytes = TOLD[0].body, sent_s: int = NOW_S) -> bytes:
    return signing.with_signature(SECRET, body, sent_s)


def test_an_alert_over_mqtt_is_what_it_was_and_says_who_sent_it() -> None:
    signed = json.loads(over_mqtt())
    assert signed.pop("signature").startswith(f"t={NOW_S},v1=")
    assert signed == json.loads(TOLD[0].body), "fields are added, none taken away"
    assert receiver.alert_from_mqtt(SECRET, over_mqtt(), NOW_S + 1) == json.loads(TOLD[0].body)


@pytest.mark.parametrize(
    "forged",
    [
        TOLD[0].body,
        over_mqtt().replace(b'"phase":"raised"', b'"phase":"cleared"'),
        over_mqtt().replace(f"t={NOW_S}".encode(), f"t={NOW_S + 60}".encode()),
        signing.with_signature(b"another secret, of somebody else", TOLD[0].body, NOW_S),
        over_mqtt()[:-1] + b',"phase":"cleared"}',
        b'{"phase":"cleared",' + over_mqtt()[1:],
        TOLD[1].body[:-1] + over_mqtt()[over_mqtt().index(b',"signature"') :],
        TOLD[0].body[:-1] + b',"signature":""}',
        TOLD[0].body[:-1] + b',"signature":"t=x,v1=y"}',
        TOLD[0].body[:-1] + b',"signature":"\xff"}',
        b"",
    ],
)
def test_what_was_changed_on_the_way_is_refused(forged: bytes) -> None:
    with pytest.raises(receiver.Refused):
        receiver.alert_from_mqtt(SECRET, forged, NOW_S)


def test_a_captured_message_is_worth_nothing_later() -> None:
    captured = over_mqtt()
    with pytest.raises(receiver.Refused, match="too long ago"):
        receiver.alert_from_mqtt(SECRET, captured, NOW_S + receiver.TOLERANCE_S + 1)
    desk = receiver.Receiver()
    alert = receiver.alert_from_mqtt(SECRET, captured, NOW_S)
    assert [desk.is_new(alert, NOW_S), desk.is_new(alert, NOW_S + 1)] == [True, False]


def test_an_older_revision_does_not_undo_a_later_one() -> None:
    first, second = (receiver.alert_from_mqtt(SECRET, over_mqtt(d.body), NOW_S) for d in TOLD[:2])
    desk = receiver.Receiver()
    assert [desk.is_new(second, NOW_S), desk.is_new(first, NOW_S)] == [True, False]


def test_the_channel_over_mqtt_signs_with_the_time_of_sending() -> None:
    with broker() as running, Listener(running.port, "agency/one") as listening:
        channel = MqttChannel("c", "agency/one", BrokerAddress("127.0.0.1", running.port, "sender"), secret=SECRET)
        before_s = int(time.time())
        until(lambda: channel.send(TOLD[:1]) == [Delivered()], "it was delivered")
        until(lambda: listening.got, "it arrived")
        channel.close()
    assert receiver.alert_from_mqtt(SECRET, listening.got[0][1], time.time()) == json.loads(TOLD[0].body)
    sent_s = int(json.loads(listening.got[0][1])["signature"].split(",")[0][2:])
    assert before_s <= sent_s <= time.time()


@pytest.mark.parametrize("batch_max", [1, 50])
def test_the_documented_receiver_takes_webhooks_one_by_one_and_in_batches(batch_max: int) -> None:
    with web() as server:
        channel = HttpChannel("c", server.url, webhook("s", SECRET, batch_max))
        assert channel.send(TOLD[:2]) == [Delivered()] * 2
        channel.close()
    alerts = [
        alert
        for headers, body in server.got
        for alert in receiver.alerts_from_webhook(SECRET, headers, body, time.time())
    ]
    assert sorted(a["revision"] for a in alerts) == [1, 2]
    headers, body = server.got[0]
    late_s = time.time() + receiver.TOLERANCE_S + 10
    for wrong, changed, now_s in (
        (b"x", body, time.time()),
        (SECRET, body + b" ", time.time()),
        (SECRET, body, late_s),
    ):
        with pytest.raises(receiver.Refused):
            receiver.alerts_from_webhook(wrong, headers, changed, now_s)
    with pytest.raises(receiver.Refused):
        receiver.alerts_from_webhook(SECRET, {}, body, time.time())


def test_cap_is_signed_the_same_way() -> None:
    with web() as server:
        channel = HttpChannel("c", server.url, cap("us@site", "Actual", SECRET))
        assert channel.send(TOLD[:1]) == [Delivered()]
        channel.close()
    headers, body = server.got[0]
    receiver.verify(SECRET, headers["Marchwarden-Signature"], body, time.time())


def test_what_is_sent_again_is_signed_anew() -> None:
    with web(status=503) as server:
        channel = HttpChannel("c", server.url, webhook("s", SECRET))
        channel.send(TOLD[:1])
        until(lambda: int(time.time()) > int(server.got[0][0]["Marchwarden-Signature"].split(",")[0][2:]), "a second")
        channel.send([replace(TOLD[0])])
        channel.close()
    times = [headers["Marchwarden-Signature"].split(",")[0] for headers, _ in server.got]
    assert times[0] != times[1]


@pytest.mark.parametrize("secret", ["", "\n", "guess me"])
def test_a_secret_that_is_none_is_a_mistake(site: Path, secret: str) -> None:  # noqa: F811
    (site / "secret").write_text(secret)
    (site / "secret").chmod(0o600)
    change(site, "agencies.toml", 'kind = "mqtt"', 'kind = "mqtt"\nsecret_file = "secret"')
    assert any("can be guessed" in mistake for mistake in mistakes(site))
