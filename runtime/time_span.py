"""Times as people type them: a date, a time of day, an ISO time, or how far back. Pure; now and the site's zone are arguments.

Without a zone a time is the site's. A date as a beginning is its first moment, and as an end its last: from one date to the
same date is that day.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from model.time import NS, ns_from_iso

BACK = re.compile(r"(\d{1,9}(?:[.,]\d{1,9})?)\s*([a-z]+)")
SECONDS = {"s": 1, "sec": 1, "second": 1, "m": 60, "min": 60, "minute": 60, "h": 3600, "hour": 3600}
SECONDS |= {"d": 86_400, "day": 86_400, "w": 604_800, "week": 604_800}
EXACT = re.compile(r"\d\d:\d\d:\d\d(?:[.,]\d+)?\s*([Zz]|[+-]\d\d:?\d\d)$")  # a zone, and maybe nanoseconds
LATEST_NS = 2**62  # in the year 2116; earlier than 1970 nothing was kept either


class BadSpan(ValueError):
    """A time that cannot be read, or an end before its beginning; says in a sentence what to write."""


@dataclass(frozen=True)
class Span:
    """Half-open: from_ns ≤ time < to_ns."""

    from_ns: int
    to_ns: int

    def text(self, zone: str) -> str:
        """As a clock in the site's zone shows it."""
        return f"{local_minute(self.from_ns, zone)} to {local_minute(self.to_ns, zone)} ({zone})"


def span_of(beginning: str, end: str, zone: str, now_ns: int) -> Span:
    """The time from one text to the other. No end: until now. No beginning: a day. Raises BadSpan."""
    to_ns = instant_ns(end, zone, now_ns, is_end=True) if end else now_ns
    from_ns = instant_ns(beginning, zone, now_ns) if beginning else to_ns - 86_400 * NS
    if from_ns >= to_ns:
        raise BadSpan(
            f"The end, {local_minute(to_ns, zone)}, is not after the beginning, {local_minute(from_ns, zone)} ({zone}): "
            "exchange --from and --to, or leave --to out for now."
        )
    return Span(from_ns, to_ns)


def instant_ns(text: str, zone: str, now_ns: int, *, is_end: bool = False) -> int:
    """The moment that a text names. Raises BadSpan."""
    text = text.strip()
    try:
        found_ns = ns_from_iso(text) if EXACT.search(text) else _local(text, zone, now_ns, is_end)
        if not 0 <= found_ns < LATEST_NS:
            raise ValueError(text)
        return found_ns
    except (ValueError, OverflowError) as error:
        raise BadSpan(
            f"{text[:40]!r} is no time. Write a date such as 2026-11-25, '2026-11-25 14:00' (both in the site's time zone, "
            f"{zone}), 2026-11-25T21:00:00Z, or how far back from now: 24h, 7d."
        ) from error


def _local(text: str, zone: str, now_ns: int, is_end: bool) -> int:
    back = BACK.fullmatch(text.lower())
    if back is not None:
        seconds = SECONDS.get(back[2], SECONDS.get(back[2].removesuffix("s")))
        if seconds is None:
            raise ValueError(text)
        return now_ns - round(float(back[1].replace(",", ".")) * seconds * NS)
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        day = date.fromisoformat(text) + timedelta(days=1 if is_end else 0)
        return _ns(datetime.combine(day, time()), zone, is_end)
    return _ns(datetime.fromisoformat(text), zone, is_end)


def _ns(moment: datetime, zone: str, is_end: bool) -> int:
    """Of the two moments that a clock set back shows alike, the earlier is a beginning and the later an end."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(zone), fold=int(is_end))
    past = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (past.days * 86_400 + past.seconds) * NS + past.microseconds * 1000


def local_minute(time_ns: int, zone: str) -> str:
    """`2026-11-25 14:00`, in a zone; with seconds where there are any."""
    moment = datetime.fromtimestamp(time_ns // NS, ZoneInfo(zone))
    return moment.strftime("%Y-%m-%d %H:%M:%S").removesuffix(":00")
