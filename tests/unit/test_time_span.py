"""Times as people type them."""

import pytest

from model.time import NS, ns_from_iso
from runtime.time_span import BadSpan, instant_ns, span_of

NOW_NS = ns_from_iso("2026-11-25T18:30:00Z")  # 11:30 in Arizona
ARIZONA, BERLIN = "America/Phoenix", "Europe/Berlin"
DAY_NS = 86_400 * NS


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("2026-11-25", ARIZONA, "2026-11-25T07:00:00Z"),
        ("2026-11-25", "UTC", "2026-11-25T00:00:00Z"),
        ("2026-11-25 14:00", ARIZONA, "2026-11-25T21:00:00Z"),
        ("2026-11-25T14:00", ARIZONA, "2026-11-25T21:00:00Z"),
        (" 2026-11-25 14:00:05.25 ", ARIZONA, "2026-11-25T21:00:05.25Z"),
        ("2026-11-25T14:00:00Z", ARIZONA, "2026-11-25T14:00:00Z"),
        ("2026-11-25T14:00:00.123456789+02:00", ARIZONA, "2026-11-25T12:00:00.123456789Z"),
        ("2026-11-25 14:00+02:00", ARIZONA, "2026-11-25T12:00:00Z"),
        ("24h", ARIZONA, "2026-11-24T18:30:00Z"),
        ("7d", BERLIN, "2026-11-18T18:30:00Z"),
        ("90 min", BERLIN, "2026-11-25T17:00:00Z"),
        ("1,5 hours", BERLIN, "2026-11-25T17:00:00Z"),
        ("2 Weeks", BERLIN, "2026-11-11T18:30:00Z"),
        ("30s", BERLIN, "2026-11-25T18:29:30Z"),
        ("2026-07-01 12:00", BERLIN, "2026-07-01T10:00:00Z"),  # summer
        ("2026-10-25 02:30", BERLIN, "2026-10-25T00:30:00Z"),  # the clock shows it twice: the first
    ],
)
def test_a_beginning(text: str, zone: str, expected: str) -> None:
    assert instant_ns(text, zone, NOW_NS) == ns_from_iso(expected)


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("2026-11-25", ARIZONA, "2026-11-26T07:00:00Z"),  # that whole day
        ("2026-03-28", BERLIN, "2026-03-28T23:00:00Z"),
        ("2026-03-29", BERLIN, "2026-03-29T22:00:00Z"),  # a day of 23 hours
        ("2026-10-25 02:30", BERLIN, "2026-10-25T01:30:00Z"),  # the second
        ("1h", ARIZONA, "2026-11-25T17:30:00Z"),
    ],
)
def test_an_end(text: str, zone: str, expected: str) -> None:
    assert instant_ns(text, zone, NOW_NS, is_end=True) == ns_from_iso(expected)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "yesterday",
            "25.11.2026",
            "11/25/2026",
            "2026-13-01",
            "2026-11-25 25:00",
            "14:00",
            "h",
            "-5h",
            "5 furlongs",
        ),
        *("9999-01-01", "0001-01-01", "nan", "1e9h", "999999999w"),
    ],
)
def test_what_is_no_time_is_answered_with_what_is(text: str) -> None:
    with pytest.raises(BadSpan, match=r"is no time\. Write a date such as 2026-11-25, .*America/Phoenix.*24h, 7d\."):
        instant_ns(text, ARIZONA, NOW_NS)


def test_from_a_day_to_the_same_day_is_that_day() -> None:
    span = span_of("2026-11-25", "2026-11-25", ARIZONA, NOW_NS)
    assert span.to_ns - span.from_ns == DAY_NS
    assert span.text(ARIZONA) == "2026-11-25 00:00 to 2026-11-26 00:00 (America/Phoenix)"


def test_what_is_left_out_is_a_day_until_now() -> None:
    span = span_of("", "", ARIZONA, NOW_NS)
    assert (span.from_ns, span.to_ns) == (NOW_NS - DAY_NS, NOW_NS)
    assert span_of("", "2026-11-20", ARIZONA, NOW_NS).from_ns == ns_from_iso("2026-11-20T07:00:00Z")


@pytest.mark.parametrize(
    ("beginning", "end"), [("1h", "2h"), ("2026-11-25", "2026-11-24"), ("2027-01-01", ""), ("0s", "")]
)
def test_an_end_that_is_not_after_its_beginning_is_refused(beginning: str, end: str) -> None:
    with pytest.raises(BadSpan, match=r"is not after the beginning, .* exchange --from and --to"):
        span_of(beginning, end, ARIZONA, NOW_NS)
