"""Cursor on Target from whoever may publish it: only plain XML is read, and only a registered patrol explains tracks."""

from dataclasses import replace

import pytest

from model.faults import FaultKind
from model.rejections import Reason
from model.time import NS, iso_from_ns
from sensors.catalogue import Feed
from sensors.readings import Decoded
from tests.builders import T0, decoded, messages, shipped_world

SHIPPED = shipped_world().catalogue
TAK = Feed("tak", "cot", "cot", ("cot/#",), unit_types=("a-f-G-U",))
UID = "ANDROID-589520ccfcd20f01"
DECLARATION = '<?xml version="1.0" encoding="{}"?>'


def read(payload: bytes, feed: Feed = TAK, at_s: float = 1.0) -> Decoded:
    catalogue = replace(SHIPPED, feeds=(*SHIPPED.feeds, feed), unit_of={("tak", UID): "bravo-6"})
    return decoded(catalogue, messages((at_s, "cot/bridge", payload)))


def event(
    kind: str = "a-f-G-U-C", uid: str = UID, stale_s: float = 75.0, detail: str = "", head: str = "", how: str = "m-g"
) -> str:
    """An event as a handset sends it."""
    times = f'time="{iso_from_ns(T0)}" start="{iso_from_ns(T0)}" stale="{iso_from_ns(T0 + round(stale_s * NS))}"'
    return (
        f'{head}<event version="2.0" uid="{uid}" type="{kind}" how="{how}" {times}>'
        f'<point lat="31.34" lon="-110.6" hae="1389.2" ce="4.5" le="9999999.0"/><detail>{detail}</detail></event>'
    )


BOMB = '<!DOCTYPE event [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
OUTSIDE = '<!DOCTYPE event SYSTEM "file:///etc/passwd">'


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (event(head=BOMB, detail="&b;").encode(), "document type"),
        ((" " * 2_100 + event(head=BOMB, detail="&b;")).encode(), "document type"),
        (event(head=DECLARATION.format("UTF-8") + "<!-- " + "x" * 5_000 + " -->" + OUTSIDE).encode(), "document type"),
        (event(head="<!DOCTYPE event>").encode(), "document type"),
        (event(head=BOMB).encode("utf-16"), "UTF-8"),
        (event(head=DECLARATION.format("UTF-16")).encode("utf-16"), "UTF-8"),
        (event(head=DECLARATION.format("UTF-16") + BOMB).encode("utf-16-be"), "UTF-8"),
        (event(head=BOMB).encode("utf-16-le"), "UTF-8"),
        (event(head=BOMB).encode("utf-32"), "UTF-8"),
        (event(head=BOMB).encode("utf-7"), "document type"),
        (event(head=DECLARATION.format("ISO-8859-1"), detail="<remarks>ñ</remarks>").encode("latin-1"), "UTF-8"),
        (event(head=BOMB).encode("cp037"), "UTF-8"),
        (event(detail="<a>" * 40 + "</a>" * 40).encode(), "More than 32 elements"),
        (event(detail="<a>" * 100_000 + "</a>" * 100_000).encode(), "More than 32 elements"),
        (event(detail="<a>" * 100_000).encode(), "More than 32 elements"),
        (event(detail="&bomb;").encode(), "Not XML"),
        (event()[:-3].encode(), "Not XML"),
        ((event() + event()).encode(), "Not XML"),
        (b"", "Not XML"),
        (b"\xbf\x01\xbf\x12\x2e\x0a\x09a-f-G-U-C", "version 1 (Protocol Buffers)"),  # as sent over multicast
        (b"\xbf\x30\x12\x2e\x0a\x09a-f-G-U-C", "version 1 (Protocol Buffers)"),  # as streamed
        (b"\x12\x2e\x0a\x09a-f-G-U-C", "Protocol Buffers are not read"),  # without its frame
        (b'{"uid": "ANDROID-1"}', "Not XML"),
    ],
)
def test_what_is_not_plain_xml_is_rejected_with_its_reason(payload: bytes, why: str) -> None:
    heard = read(payload)
    assert [r.reason for r in heard.rejections] == [Reason.WRONG_SHAPE]
    assert why in heard.rejections[0].detail
    assert heard.units == ()
    assert heard.aside == ()


@pytest.mark.parametrize(
    "payload",
    [
        event(),
        "\ufeff" + event(head=DECLARATION.format("UTF-8")),
        event(head=DECLARATION.format("UTF-8").replace('"', "'") + "\n"),
        " \n" * 2_000 + event(),
        event(head=DECLARATION.format("utf-16")),  # a bridge took it over from the file's declaration, and sends UTF-8
        event("a-f-G-U-C-I", how="h-e"),
        event(
            detail='<takv os="34" version="5.2.0" device="Pixel" platform="ATAK-CIV"/><contact endpoint="*:-1:stcp" '
            'callsign="Ñandú"/><__group role="Team Member" name="Cyan"/><precisionlocation altsrc="GPS" geopointsrc="GPS"/>'
            '<status battery="78"/><uid Droid="Ñandú"/><track course="80.2" speed="0.0"/>'
        ),
    ],
)
def test_what_handsets_and_bridges_send_is_read(payload: str) -> None:
    heard = read(payload.encode())
    assert heard.rejections == ()
    (unit,) = heard.units
    assert (unit.unit, unit.sigma_m, unit.until_ns) == ("bravo-6", 4.5, T0 + 75 * NS)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (event("a-f-G-E-S"), Reason.NO_DETECTION),  # a sensor
        (event("a-f-G-I"), Reason.NO_DETECTION),  # a building
        (event("a-f-G"), Reason.NO_DETECTION),
        (event("a-f-G-Ux"), Reason.NO_DETECTION),
        (event("a-h-G-U-C"), Reason.NO_DETECTION),
        (event("t-x-takp-v"), Reason.NO_DETECTION),  # the server offers version 1 of the protocol; nobody asks for it
        (event(stale_s=0.5), Reason.TOO_OLD),
        (event(stale_s=-3600), Reason.TOO_OLD),
        (event(uid=""), Reason.UNKNOWN_UNIT),
        (event(uid=UID.lower()), Reason.UNKNOWN_UNIT),
    ],
)
def test_who_is_no_patrol_of_ours_or_stale_explains_nothing(payload: str, reason: Reason) -> None:
    heard = read(payload.encode())
    assert [r.reason for r in heard.rejections] == [reason]
    assert heard.units == ()


def test_an_unattended_box_that_is_not_registered_is_told_of_unless_the_feed_carries_others_too() -> None:
    box = event(uid="BOX-1").encode()
    assert [(f.kind, f.about) for f in read(box).faults] == [(FaultKind.FEED_SUSPECT, "tak")]
    heard = read(box, replace(TAK, alert_unregistered=False))
    assert heard.faults == ()
    assert [r.reason for r in heard.rejections] == [Reason.UNKNOWN_UNIT]


def test_which_types_are_patrols_is_the_feeds_to_say() -> None:
    boats = replace(TAK, unit_types=("a-f-S", "a-f-G-E-V"))
    assert len(read(event("a-f-S-C").encode(), boats).units) == 1
    assert len(read(event("a-f-G-E-V").encode(), boats).units) == 1
    assert len(read(event("a-f-G-U-C").encode(), boats).units) == 0
