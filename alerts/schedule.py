"""When a rule is in force: hours of the week in a named zone, and days that are or are not.

Wall-clock time by the IANA database, so that a window keeps its hours where daylight saving time begins and ends.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from model.time import NS

MINUTE_NS = 60 * NS


@dataclass(frozen=True)
class Window:
    """Hours of some days of the week. One that ends before it begins goes on into the next day."""

    days: tuple[int, ...]  # 0 Monday … 6 Sunday: on which it begins
    from_minute: int  # of the day, 0–1439
    to_minute: int  # exclusive, up to 1440


@dataclass(frozen=True)
class Schedule:
    """In force within any of the windows, but on the days that `only` and `never` leave."""

    id: str
    zone: str  # IANA
    windows: tuple[Window, ...]  # none: all day
    only: tuple[tuple[date, date], ...] = ()  # first and last day; none: every day
    never: tuple[tuple[date, date], ...] = ()


ALWAYS = Schedule("", "UTC", ())


def in_force(schedule: Schedule, time_ns: int) -> bool:
    """Is it, at an instant?"""
    return schedule is ALWAYS or _in_minute(schedule, time_ns // MINUTE_NS)


def next_change_ns(schedule: Schedule, after_ns: int, until_ns: int) -> int:
    """The first instant after one at which it is in force where it was not, or no longer is; at the latest `until_ns`."""
    minute = after_ns // MINUTE_NS
    now = in_force(schedule, after_ns)
    while minute * MINUTE_NS < until_ns and in_force(schedule, minute * MINUTE_NS) == now:
        minute += 1
    return min(minute * MINUTE_NS, until_ns)


@lru_cache(4096)
def _in_minute(schedule: Schedule, minute: int) -> bool:
    local = datetime.fromtimestamp(minute * 60, UTC).astimezone(ZoneInfo(schedule.zone))
    today, now = local.date(), local.hour * 60 + local.minute
    if not schedule.windows:
        return _counts(schedule, today)
    return any(_holds(schedule, window, today, now) for window in schedule.windows)


def _holds(schedule: Schedule, window: Window, today: date, now: int) -> bool:
    overnight = window.to_minute <= window.from_minute
    if _begins(schedule, window, today) and now >= window.from_minute and (overnight or now < window.to_minute):
        return True
    return overnight and _begins(schedule, window, today - timedelta(days=1)) and now < window.to_minute


def _begins(schedule: Schedule, window: Window, day: date) -> bool:
    return day.weekday() in window.days and _counts(schedule, day)


def _counts(schedule: Schedule, day: date) -> bool:
    within = not schedule.only or any(first <= day <= last for first, last in schedule.only)
    return within and not any(first <= day <= last for first, last in schedule.never)
