"""Delivery: from the outbox to the agencies, at least once, in order for each alert and agency.

One worker a channel, so that a receiver that is slow or away delays nobody else. In which threads they run, and that they are
started again, is the runtime's to say.
"""

import random
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol

from alerts.channels.results import Channel, Delivered, Refused, Result, TryAgain, failure
from alerts.outbox import LONGEST_WAIT_NS, Due, Outbox
from model.alerts import Delivery
from model.time import NS, ns_from_seconds

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = LONGEST_WAIT_NS / NS
ATTEMPTS_MAX = 200  # some sixteen hours at the longest wait
REFUSALS_MAX = 3  # a receiver that says no is asked this often
AT_ONCE = 200  # deliveries handed to a channel together
IDLE_S = 0.25  # between looks, when nobody says that there is something
MEND_S = 2.0  # after the disk was full, or the database could not be had
MINUTE_NS = 60 * NS


class Clock(Protocol):
    """Time, as the shell sees it."""

    def now_ns(self) -> int: ...

    def wait(self, seconds: float, stop: threading.Event) -> None: ...


class Allowance:
    """How many deliveries a channel may still have in this minute."""

    def __init__(self, per_minute: int | None) -> None:
        self._per_minute = per_minute
        self._given: deque[int] = deque()

    def left(self, now_ns: int) -> int:
        if self._per_minute is None:
            return AT_ONCE
        while self._given and not 0 <= now_ns - self._given[0] < MINUTE_NS:
            self._given.popleft()
        return min(self._per_minute - len(self._given), AT_ONCE)

    def take(self, count: int, now_ns: int) -> None:
        if self._per_minute is not None:
            self._given.extend([now_ns] * count)


def deliver(
    outbox: Outbox,
    channel: Channel,
    clock: Clock,
    allowance: Allowance | None = None,
    chance: Callable[[], float] = random.random,
    on_failure: Callable[[str], None] = lambda _: None,
) -> int:
    """One round: what is due on a channel is sent, and what became of it is written down. How many were due."""
    allowance, now_ns = allowance or Allowance(channel.per_minute), clock.now_ns()
    due = outbox.due(channel.id, now_ns, allowance.left(now_ns))
    if not due:
        return 0
    allowance.take(len(due), now_ns)
    results = _results(channel, [d.delivery for d in due], on_failure)
    now_ns = clock.now_ns()
    outbox.delivered([d.number for d, r in zip(due, results, strict=True) if isinstance(r, Delivered)], now_ns)
    for each, result in zip(due, results, strict=True):
        if not isinstance(result, Delivered):
            outbox.failed(each, result.error, next_try_ns(each, result, now_ns, chance()))
    return len(due)


def _results(channel: Channel, deliveries: list[Delivery], on_failure: Callable[[str], None]) -> list[Result]:
    """What became of each. A channel that raises is asked again for each delivery by itself, so that one that cannot be sent
    holds up no other; what was sent already is sent twice, under the same key."""
    try:
        return _sent(channel, deliveries)
    except Exception as error:
        if len(deliveries) == 1:
            on_failure(f"{deliveries[0].incident} cannot be sent: {failure(error).error}")
            return [failure(error)]
        return [result for each in deliveries for result in _results(channel, [each], on_failure)]


def _sent(channel: Channel, deliveries: list[Delivery]) -> list[Result]:
    results = channel.send(deliveries)
    if len(results) != len(deliveries):
        raise ValueError(f"the channel gave {len(results)} results for {len(deliveries)} deliveries")
    return results


def next_try_ns(due: Due, result: TryAgain | Refused, now_ns: int, chance: float) -> int | None:
    """When to try again: twice as long each time with full jitter, or as the receiver said; None: never.

    Full jitter spreads those who wait evenly over the time (Brooker 2015, "Exponential backoff and jitter").
    """
    limit = REFUSALS_MAX if isinstance(result, Refused) else ATTEMPTS_MAX
    if due.attempts + 1 >= limit:
        return None
    if isinstance(result, TryAgain) and result.after_s is not None:
        return now_ns + ns_from_seconds(min(result.after_s, LONGEST_WAIT_S))
    longest_s = min(FIRST_WAIT_S * 2 ** min(due.attempts, 20), LONGEST_WAIT_S)
    return now_ns + ns_from_seconds(longest_s * (0.1 + 0.9 * chance))


def work(
    database: Path,
    channel: Channel,
    clock: Clock,
    allowance: Allowance,
    wake: threading.Event,
    stop: threading.Event,
    report: Callable[[str], None] = lambda _: None,
    on_failure: Callable[[str], None] = lambda _: None,
) -> None:
    """Deliver on one channel until `stop`; `wake` says that there is something. What is under way at `stop` is ended."""
    while not stop.is_set():
        try:
            with Outbox(database) as outbox:
                _deliver_until(
                    stop, wake, clock, partial(deliver, outbox, channel, clock, allowance, on_failure=on_failure)
                )
        except (sqlite3.Error, OSError) as error:
            # What was sent and could not be written down is sent again, under the same key.
            report(f"Channel {channel.id}: {error}. It goes on in {MEND_S:g} s.")
            clock.wait(MEND_S, stop)


def _deliver_until(stop: threading.Event, wake: threading.Event, clock: Clock, deliver_due: Callable[[], int]) -> None:
    while not stop.is_set():
        wake.clear()
        if not deliver_due():
            clock.wait(IDLE_S, wake)
    deliver_due()
