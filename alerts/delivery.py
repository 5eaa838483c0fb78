"""Delivery: from the outbox to the agencies, at least once, in order for each alert and agency.

One worker a channel, so that a receiver that is slow or away delays nobody else.
"""

import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from alerts.channels import Channel, Delivered, Refused, TryAgain
from alerts.outbox import Due, Outbox
from model.time import ns_from_seconds

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 300.0
ATTEMPTS_MAX = 200  # some sixteen hours at the longest wait
REFUSALS_MAX = 3  # a receiver that says no is asked this often
IDLE_S = 0.05


class Clock(Protocol):
    """Time, as the shell sees it."""

    def now_ns(self) -> int: ...

    def wait(self, seconds: float, stop: threading.Event) -> None: ...


def deliver(outbox: Outbox, channel: Channel, clock: Clock, chance: Callable[[], float] = random.random) -> int:
    """One round: what is due on a channel is sent, and what became of it is written down. How many were due."""
    due = outbox.due(channel.id, clock.now_ns())
    if not due:
        return 0
    results = channel.send([d.delivery for d in due])
    now_ns = clock.now_ns()
    outbox.delivered([d.number for d, r in zip(due, results, strict=True) if isinstance(r, Delivered)], now_ns)
    for each, result in zip(due, results, strict=True):
        if not isinstance(result, Delivered):
            outbox.failed(each.number, result.error, next_try_ns(each, result, now_ns, chance()))
    return len(due)


def next_try_ns(due: Due, result: TryAgain | Refused, now_ns: int, chance: float) -> int | None:
    """When to try again: twice as long each time with full jitter, or as the receiver said; None: never.

    Full jitter spreads those who wait evenly over the time (Brooker 2015, "Exponential backoff and jitter").
    """
    limit = REFUSALS_MAX if isinstance(result, Refused) else ATTEMPTS_MAX
    if due.attempts + 1 >= limit:
        return None
    if isinstance(result, TryAgain) and result.after_s is not None:
        return now_ns + ns_from_seconds(result.after_s)
    longest_s = min(FIRST_WAIT_S * 2 ** min(due.attempts, 20), LONGEST_WAIT_S)
    return now_ns + ns_from_seconds(longest_s * (0.1 + 0.9 * chance))


class Couriers:
    """The workers of all channels. `stop` lets them end what they are at."""

    def __init__(self, database: Path, channels: list[Channel], clock: Clock) -> None:
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(
                target=self._work, args=(database, channel, clock), name=f"channel {channel.id}", daemon=True
            )
            for channel in channels
        ]
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout_s)

    def _work(self, database: Path, channel: Channel, clock: Clock) -> None:
        outbox = Outbox(database)
        while not self._stop.is_set():
            if not deliver(outbox, channel, clock):
                clock.wait(IDLE_S, self._stop)
        deliver(outbox, channel, clock)
        channel.close()
        outbox.close()
