"""Time in which nothing is heard, crossed in one stride from one instant at which anything can change to the next.

While nothing is heard and nothing is tracked, a second's step does to the state one of two things with every time in it: it
leaves it, or sets it a second on (when a scan was closed, when an absence was last confirmed). The steps compare times, and
nothing else; each part states at which instants such a comparison comes out otherwise than before (`due_ns`). Up to the first
of these, the state is the one now with the same times further on. It is plain steps that show which times these are: two
states one period apart that differ in nothing else. See docs/decisions/0009-silence.md.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from math import lcm
from typing import Any

import numpy as np

from alerts.judge import due_ns, schedule_due_ns
from alerts.memory import Memory
from fusion.order import Checkpoint, awaits_nothing
from model.messages import Messages
from model.time import NS
from runtime.advance import Outcome, State, World
from runtime.recovery import take_step

FAR_NS = 1 << 61  # later than anything
REGISTERS = (Checkpoint, Memory)  # of these the state holds one for each scan of late; each takes its successor's place
PERIOD_S_MAX = 60
MOVES = True  # a pattern: None where nothing moves, MOVES for a time that does, a tuple of patterns for what has parts
Pattern = Any


def silent_steps(world: World, state: State, until_ns: int) -> Iterator[tuple[State, Outcome]]:
    """(state, outcome) after whole seconds without messages, up to `until_ns`; those that change nothing are left out."""
    period_ns = lcm(NS, world.fusion.scan_ns)
    lately = deque([state], period_ns // NS + 1)
    while (second_ns := (state.now_ns // NS + 1) * NS) <= until_ns:
        state, outcome = take_step(world, state, Messages.none(), second_ns)
        yield state, outcome
        if not _is_empty(outcome):
            lately.clear()
        lately.append(state)
        if len(lately) == lately.maxlen and period_ns <= PERIOD_S_MAX * NS:
            # The last second is a step of its own, so that who called has the state there.
            passed = _passed(world, lately[0], state, period_ns, (until_ns // NS - 1) * NS)
            if passed is not state:
                state = passed
                lately.clear()


def _is_empty(outcome: Outcome) -> bool:
    """Did nothing come of a step, but scans without tracks?"""
    rest = (getattr(outcome, f.name) for f in fields(outcome) if f.name not in ("now_ns", "scans"))
    return not any(map(len, rest)) and not any(len(s.tracks) or len(s.reasons) for s in outcome.scans)


def _passed(world: World, before: State, state: State, period_ns: int, until_ns: int) -> State:
    """The state as many whole periods on as change nothing, not after `until_ns`; the state itself where that is none."""
    if until_ns - state.now_ns < period_ns or not awaits_nothing(state.fusion):
        return state
    try:
        pattern = _pattern(before, state, period_ns)
    except _Unsteady:
        return state
    still = _with_times(state, pattern, lambda time_ns: time_ns * 0 + FAR_NS)
    clock_ns, now_ns = state.alerts.clock_ns(state.now_ns), state.now_ns
    due = [still.heard_ns + world.fusion.idle_ns, *due_ns(world.ground, still.alerts, still.health)]
    # An instant counts as not yet come until a step has been later than it: some compare with ≥, some with >.
    left_ns = min((t - at_ns for t in due for at_ns in (clock_ns, now_ns) if t >= at_ns), default=FAR_NS)
    for at_ns in (clock_ns, now_ns):
        left_ns = schedule_due_ns(world.ground, at_ns, at_ns + min(left_ns, until_ns - now_ns + period_ns)) - at_ns
    periods = min(-(-left_ns // period_ns) - 1, (until_ns - now_ns) // period_ns)
    if periods < 1:
        return state
    later: State = _with_times(state, pattern, lambda time_ns: time_ns + periods * period_ns)
    return later


class _Unsteady(Exception):
    """Two states differ in more than times that have moved by one period."""


def _pattern(before: Any, after: Any, period_ns: int) -> Pattern:
    """Which times of a value have moved by `period_ns`. Raises _Unsteady where anything else differs."""
    if before is after:
        return None
    if type(before) is not type(after):
        raise _Unsteady
    if isinstance(after, tuple) or is_dataclass(after):
        parts, earlier = _parts(after), _parts(before)
        if len(parts) != len(earlier):
            raise _Unsteady
        found = tuple([_pattern(b, a, period_ns) for b, a in zip(earlier, parts, strict=True)])
        if isinstance(after, tuple) and parts and isinstance(parts[0], REGISTERS) and len(set(found)) > 1:
            raise _Unsteady
        return found if any(found) else None
    if isinstance(after, np.ndarray):
        if before.dtype == after.dtype and before.shape == after.shape:
            if np.array_equal(before, after, equal_nan=after.dtype.kind == "f"):
                return None
            if after.dtype == np.int64 and (after - before == period_ns).all():
                return MOVES
        raise _Unsteady
    if before == after:
        return None
    if isinstance(after, int) and after - before == period_ns:
        return MOVES
    raise _Unsteady


def _parts(value: Any) -> tuple[Any, ...]:
    if isinstance(value, tuple):
        return value
    kind: Any = type(value)
    return tuple([getattr(value, name) for name in _names(kind)])


@cache
def _names(kind: Any) -> tuple[str, ...]:
    """The fields of a dataclass."""
    return tuple(f.name for f in fields(kind))


def _with_times(value: Any, pattern: Pattern, time: Callable[[Any], Any]) -> Any:
    """The value with other times where the pattern says that they move."""
    if pattern is None:
        return value
    if pattern is MOVES:
        return time(value)
    parts = tuple([_with_times(v, p, time) for v, p in zip(_parts(value), pattern, strict=True)])
    return parts if isinstance(value, tuple) else type(value)(*parts)
