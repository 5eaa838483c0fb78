"""Which instants `advance` is called at: a fixed grid of received time, so that chunking changes nothing.

A step falls on every grid instant that has messages before it, and on every whole second in between, except while
the service was not connected. Seconds of silence in which nothing can change are crossed in one stride (`silence`). The same
rule serves the live service and a replay.
"""

from collections.abc import Iterator

import numpy as np

from model.messages import Messages
from model.time import MS
from runtime.advance import Outcome, State, World
from runtime.inbox import silence_until
from runtime.recovery import take_step
from runtime.silence import silent_steps

STEP_NS = 100 * MS


def grid(time_ns: int) -> int:
    """The first grid instant at or after a time."""
    return -(-time_ns // STEP_NS) * STEP_NS


def steps(world: World, state: State, messages: Messages, until_ns: int) -> Iterator[tuple[State, Outcome, int]]:
    """(state, outcome, messages taken so far) after each step at or before `until_ns`.

    The caller promises that nothing received before or at `until_ns` is still to come.
    """
    taken = 0
    cells = -(-messages.received_ns // STEP_NS) * STEP_NS
    while taken < len(messages) and cells[taken] <= until_ns:
        now_ns = int(cells[taken])
        last = int(np.searchsorted(cells, now_ns, side="right"))
        arrived = messages.between(taken, last)
        for after, outcome in silent_steps(world, state, silence_until(arrived, now_ns - 1)):
            state = after
            yield state, outcome, taken
        state, outcome = take_step(world, state, arrived, now_ns)
        taken = last
        yield state, outcome, taken
    if taken == len(messages):
        for after, outcome in silent_steps(world, state, until_ns):
            yield after, outcome, taken
