"""Faults wait for a database that does not take them, in their order, and none is handed in twice."""

import sqlite3

import pytest

from model.faults import Fault
from runtime import fault_queue
from runtime.fault_queue import WAITING_MAX, FaultQueue


def test_what_the_database_does_not_take_is_handed_in_later_once_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fault_queue, "RETRY_AFTER_S", 0.0)
    queue, taken, locked = FaultQueue(), list[str](), [False, True]

    def take(fault: Fault) -> None:
        if locked and locked.pop(0):
            raise sqlite3.OperationalError("database is locked")
        taken.append(fault.about)

    for name in ("channel a", "channel b", "channel c"):
        queue.part_failed(name, "ValueError: x")
    queue.hand_in(take)
    assert taken == ["channel a"]
    queue.hand_in(take)
    queue.hand_in(take)
    assert taken == ["channel a", "channel b", "channel c"]


def test_a_database_that_is_away_for_long_fills_no_memory() -> None:
    queue, taken = FaultQueue(), list[Fault]()
    for _ in range(3 * WAITING_MAX):
        queue.part_failed("channel a", "ValueError: x")
    queue.hand_in(taken.append)
    assert len(taken) == WAITING_MAX
