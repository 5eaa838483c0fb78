"""Time as everybody here keeps it: int64 nanoseconds since 1970, UTC. No clock is read in this file."""

import re
from datetime import date
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

NS = 1_000_000_000
MS = 1_000_000
DAY_NS = 86_400 * NS

_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ]([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)(?:[.,](\d{1,12}))?\s*([Zz]|[+-]\d\d:?\d\d)?$",
    re.ASCII,
)


def ns_from_iso(text: str) -> int:
    """Nanoseconds from an RFC 3339 time with up to nanosecond digits; a missing zone means UTC.

    Raises ValueError for anything else.
    """
    found = _RFC3339.match(text)
    if found is None:
        raise ValueError(f"{text[:40]!r} is not a time such as 2026-11-20T04:20:30.100Z.")
    day, hour, minute, second, fraction, zone = found.groups()
    seconds = _day_seconds(day) + int(hour) * 3600 + int(minute) * 60 + int(second)
    if zone and zone not in "Zz":
        ahead = int(zone[1:3]) * 3600 + int(zone[-2:]) * 60
        seconds -= ahead if zone[0] == "+" else -ahead
    return seconds * NS + (int(fraction[:9].ljust(9, "0")) if fraction else 0)


@lru_cache(maxsize=64)
def _day_seconds(day: str) -> int:
    return date.fromisoformat(day).toordinal() * 86_400 - 719_163 * 86_400  # 719163: the ordinal of 1970-01-01


def iso_from_ns(time_ns: int) -> str:
    """RFC 3339 in UTC with six digits: `2026-11-20T04:20:30.231000Z`."""
    return str(np.datetime64(int(time_ns) // 1000, "us")) + "Z"


def isos_from_ns(times_ns: NDArray[np.int64]) -> list[str]:
    """`iso_from_ns` for many."""
    texts: list[str] = np.datetime_as_string((times_ns // 1000).astype("datetime64[us]")).tolist()
    return [text + "Z" for text in texts]


def ns_from_seconds(seconds: float) -> int:
    """Nanoseconds from epoch or duration seconds, exact to the microsecond that a float of today holds."""
    return round(seconds * 1e6) * 1000
