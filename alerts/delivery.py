"""Delivery: from the outbox to the agencies, at least once, in order for each alert and agency.

One worker a channel, so that a receiver that is slow or away delays nobody else.
"""

import random
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from alerts.channels.results import Channel, Delivered, Refused, TryAgain
from alerts.outbox import LONGEST_WAIT_NS, Due, Outbox
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
) -> int:
    """One round: what is due on a channel is sent, and what became of it is written down. How many were due."""
    allowance, now_ns = allowance or Allowance(channel.per_minute), clock.now_ns()
    due = outbox.due(channel.id, now_ns, allowance.left(now_ns))
    if not due:
        return 0
    allowance.take(len(due), now_ns)
    results = channel.send([d.delivery for d in due])
    now_ns = clock.now_ns()
    outbox.delivered([d.number for d, r in zip(due, results, strict=True) if isinstance(r, Delivered)], now_ns)
    for each, result in zip(due, results, strict=True):
        if not isinstance(result, Delivered):
            outbox.failed(each, result.error, next_try_ns(each, result, now_ns, chance()))
    return len(due)


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


class Couriers:
    """The workers of all channels. `wake` tells them that there is something; `stop` lets them end what they are at."""

    def __init__(
        self, database: Path, channels: list[Channel], clock: Clock, report: Callable[[str], None] = lambda _: None
    ) -> None:
        self._report = report
        self._stop = threading.Event()
        self._bells = [threading.Event() for _ in channels]
        self._threads = [
            threading.Thread(
                target=self._work, args=(database, channel, clock, bell), name=f"channel {channel.id}", daemon=True
            )
            for channel, bell in zip(channels, self._bells, strict=True)
        ]
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        for bell in self._bells:
            bell.set()

    def stop(self, timeout_s: float = 5.0) -> None:
        self._stop.set()
        self.wake()
        for thread in self._threads:
            thread.join(timeout_s)

    def _work(self, database: Path, channel: Channel, clock: Clock, bell: threading.Event) -> None:
        allowance = Allowance(channel.per_minute)
        while not self._stop.is_set():
            try:
                self._serve(database, channel, clock, allowance, bell)
            except (sqlite3.Error, OSError) as error:
                # What was sent and could not be written down is sent again, under the same key.
                self._report(f"Channel {channel.id}: {error}. It goes on in {MEND_S:g} s.")
                clock.wait(MEND_S, self._stop)
        channel.close()

    def _serve(
        self, database: Path, channel: Channel, clock: Clock, allowance: Allowance, bell: threading.Event
    ) -> None:
        outbox = Outbox(database)
        try:
            while not self._stop.is_set():
                bell.clear()
                if not deliver(outbox, channel, clock, allowance):
                    clock.wait(IDLE_S, bell)
            deliver(outbox, channel, clock, allowance)
        finally:
            outbox.close()
