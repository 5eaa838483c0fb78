"""A step that raises an exception is taken again without what raises it. Nothing that a step can raise ends the service.

First its messages are sifted: halved until those that raise are found. They are left out, with a rejection and a fault, and kept
for the maintainer. A message may also raise later than in its own step, when the scan that its detection waits for is closed: so
detections that wait in fusion are sifted as well. Where neither helps, tracking begins anew with all incidents kept, and at last
incidents are sifted.

All of it hangs on world, state and messages alone, and is bounded by a number of tries and not by time: a replay and a restart
leave out the same. (What a machine raises for want of memory is the exception to that.)
"""

import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import msgspec
import numpy as np

from alerts.judge import AlertsState, untold
from fusion.order import NEVER_NS, Chunk, at_rest, chunk_of
from model.detections import Detections
from model.faults import Fault, FaultKind, fault_of
from model.messages import Aside, Messages
from model.rejections import Reason, Rejection
from runtime.advance import Outcome, State, World, advance, beginning

TRIES_MAX = 100  # calls of `advance` for one step that raises
ASIDE_MAX = 100  # of one step that are kept for the maintainer; all are counted
ROOMS = ("model", "geo", "sensors", "fusion", "alerts", "runtime")
KEPT_ASIDE = "kept aside for the maintainer (`marchwarden aside`)"
R = TypeVar("R")
Step = tuple[State, Outcome]


@dataclass(frozen=True)
class Raised:
    """An exception without its frames, which would hold on to all that was computed."""

    name: str
    stage: str  # the innermost module of ours that it passed through
    text: str  # with the traceback

    @classmethod
    def by(cls, error: Exception) -> "Raised":
        return cls(type(error).__name__, stage_of(error), "".join(traceback.format_exception(error)))

    def __str__(self) -> str:
        """Without the exception's own words, in which a plate may stand."""
        return f"{self.name} in {self.stage}"


def stage_of(error: BaseException) -> str:
    """The innermost module of ours that an exception passed through."""
    stage, frame = "runtime", error.__traceback__
    while frame is not None:
        module = str(frame.tb_frame.f_globals.get("__name__", ""))
        stage = module if module.partition(".")[0] in ROOMS else stage
        frame = frame.tb_next
    return stage


def take_step(world: World, state: State, messages: Messages, now_ns: int) -> Step:
    """As `advance`, and never an exception."""
    try:
        return advance(world, state, messages, now_ns)
    except Exception as error:
        raised = Raised.by(error)
    attempts = Attempts(world, raised)
    for base in _bases(world, state, now_ns):
        without = attempts.step(base.state_with([]), Messages.none(), base.now_ns)
        if not isinstance(without, Raised) and _goes_on(attempts, base):
            return _taken(attempts, base, without, messages, now_ns)
    return _passed_over(state, messages, now_ns, raised)


def _goes_on(attempts: "Attempts", base: "Base") -> bool:
    """Can the next scan be closed, too? If not, the tracks raise, and whichever message came next would be blamed for it."""
    fusion = attempts.world.fusion
    later_ns = base.now_ns + fusion.idle_ns + fusion.settle_ns + 2 * fusion.scan_ns
    return not isinstance(attempts.step(base.state_with([]), Messages.none(), later_ns), Raised)


# ── sifting ──────────────────────────────────────────────────────────────────────────────────────


def sifted(
    groups: Sequence[object], works: Callable[[list[int]], "R | Raised"], nothing: R
) -> tuple[R, list[int], dict[int, Raised]]:
    """The result with as many items as work together, these items, and those left out with what they raised.

    `groups` says for each item where it is from. Once one item of a group is found to raise, a block of that group that raises is
    left out as a whole, so that somebody who sends many costs a few tries. `nothing` is the result without any item.
    """
    order = sorted(range(len(groups)), key=lambda i: (str(groups[i]), i))
    result, kept = nothing, list[int]()
    left_out, suspects = dict[int, Raised](), set[object]()
    blocks = [order] if order else []
    while blocks:
        block = blocks.pop()
        tried = works(sorted([*kept, *block]))
        if not isinstance(tried, Raised):
            result, kept = tried, [*kept, *block]
            continue
        of = {groups[i] for i in block}
        if len(block) == 1 or (len(of) == 1 and of <= suspects):
            suspects |= of
            left_out |= dict.fromkeys(block, tried)
            continue
        half = len(block) // 2
        blocks += [block[half:], block[:half]]
    return result, sorted(kept), dict(sorted(left_out.items()))


class Attempts:
    """Steps in one world, counted: when there have been too many, each that follows raises what the last one did."""

    def __init__(self, world: World, raised: Raised) -> None:
        self.world, self.raised = world, raised  # the exception of the step as it was, then of the last attempt
        self._last, self._left = raised, TRIES_MAX

    def step(self, state: State, messages: Messages, now_ns: int, noticed: tuple[Fault, ...] = ()) -> Step | Raised:
        if self._left <= 0:
            return self._last
        self._left -= 1
        try:
            return advance(self.world, state, messages, now_ns, noticed)
        except Exception as error:
            self._last = Raised.by(error)
            return self._last


# ── what a step may be taken from ────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Base:
    """A state from which the step may be taken, the instant that it is taken to, and what that gives up."""

    state_with: Callable[[list[int]], State]  # with some of its items
    groups: Sequence[object]  # where each item is from
    now_ns: int
    lost: str = ""  # a sentence for the technician
    rows: Detections | None = None  # the items, where they are detections that wait in fusion
    keys: Sequence[str] = ()  # of the items, where they are incidents


def _bases(world: World, state: State, now_ns: int) -> Iterator[Base]:
    """From the state as it is to one that has next to nothing left of it: the first that works without messages is used."""
    fusion = state.fusion
    yield _with_rows(state, now_ns, len(fusion.checkpoints), fusion.seen)
    yield replace(
        _with_rows(state, now_ns - 1, len(fusion.checkpoints), fusion.seen),
        lost="What falls due each second was left out.",
    )
    if fusion.checkpoints:
        yield _with_rows(state, now_ns, 1, 0)
    alerts = replace(state.alerts, memories=())
    anew = "Tracking begins anew; incidents are kept."
    untracked = replace(state, fusion=at_rest(), alerts=alerts)
    yield Base(lambda _: untracked, (), now_ns, anew)
    fresh = replace(beginning(world, state.now_ns), heard_ns=state.heard_ns, listening=state.listening, seen=state.seen)
    healthy = replace(fresh, alerts=replace(alerts, units=()))
    yield Base(lambda _: healthy, (), now_ns, anew)
    yield _with_incidents(fresh, alerts, now_ns, anew)


def _with_rows(state: State, now_ns: int, checkpoints: int, seen: int) -> Base:
    """The state at its first so many checkpoints; its items are the rows of all but the first `seen` chunks."""
    fusion = state.fusion
    waiting = Chunk.joined(fusion.chunks[seen:])
    if seen == 0 and fusion.seen:
        waiting = waiting.between(fusion.checkpoints[0].time_ns, NEVER_NS)

    def state_with(kept: list[int]) -> State:
        chunk = chunk_of(waiting.rows.take(np.array(kept, np.int64)), waiting.looks)
        fresh = (chunk,) if len(chunk.rows) or len(chunk.looks) else ()
        chunks = (*fusion.chunks[:seen], *fresh)
        after = replace(fusion, chunks=chunks, seen=seen, checkpoints=fusion.checkpoints[:checkpoints])
        return replace(state, fusion=after)

    return Base(state_with, waiting.rows.sensor.tolist(), now_ns, rows=waiting.rows)


def _with_incidents(fresh: State, alerts: AlertsState, now_ns: int, lost: str) -> Base:
    """A fresh state; its items are incidents and silences."""
    items = [*alerts.incidents, *alerts.silences]

    def state_with(kept: list[int]) -> State:
        incidents = tuple(alerts.incidents[i] for i in kept if i < len(alerts.incidents))
        silences = tuple(alerts.silences[i - len(alerts.incidents)] for i in kept if i >= len(alerts.incidents))
        return replace(fresh, alerts=replace(untold(), incidents=incidents, silences=silences))

    keys = [*(i.key for i in alerts.incidents), *(s.id for s in alerts.silences)]
    return Base(state_with, range(len(items)), now_ns, lost, keys=keys)


# ── the step as it can be taken ──────────────────────────────────────────────────────────────────


def _taken(attempts: Attempts, base: Base, without: Step, messages: Messages, now_ns: int) -> Step:
    """The step from `base` with all messages, and then all items, that do not raise; and what is to be said of the others."""

    def with_messages(kept: list[int]) -> Step | Raised:
        return attempts.step(base.state_with([]), _chosen(messages, kept), base.now_ns)

    def with_items(kept: list[int]) -> Step | Raised:
        return attempts.step(base.state_with(kept), chosen, base.now_ns)

    step, kept, messages_out = sifted(messages.topics, with_messages, without)
    chosen = _chosen(messages, kept)
    step, items, items_out = sifted(base.groups, with_items, step)
    faults = tuple(_faults(base, attempts.raised, messages_out, items_out, now_ns))
    try:
        step = advance(attempts.world, base.state_with(items), chosen, base.now_ns, faults)
    except (
        Exception
    ):  # not even the incident of the fault can be raised: the fault is counted and reported all the same
        step = step[0], replace(step[1], faults=(*step[1].faults, *faults))
    state, outcome = step
    asides = [*_message_asides(messages, messages_out), *_row_asides(attempts.world, base.rows, items_out)]
    rejections = [*_message_rejections(messages, messages_out), *_row_rejections(attempts.world, base.rows, items_out)]
    return replace(state, now_ns=now_ns), replace(
        outcome,
        now_ns=now_ns,
        rejections=(*outcome.rejections, *rejections),
        aside=(*outcome.aside, *asides)[:ASIDE_MAX],
    )


def _passed_over(state: State, messages: Messages, now_ns: int, raised: Raised) -> Step:
    """The state as it is, at a later time: nothing could be computed, whatever the state."""
    out = dict.fromkeys(range(len(messages)), raised)
    what = f"{raised}: nothing could be computed, and {len(messages)} messages were left out; they are {KEPT_ASIDE}."
    outcome = Outcome(
        now_ns=now_ns,
        detections=Detections.none(),
        scans=(),
        alerts=(),
        deliveries=(),
        withheld=(),
        answers=(),
        rejections=tuple(_message_rejections(messages, out)),
        plates=(),
        pictures=(),
        faults=(fault_of(FaultKind.STEP_FAILED, raised.stage, what, now_ns),),
        aside=tuple(_message_asides(messages, out))[:ASIDE_MAX],
    )
    return replace(state, now_ns=now_ns), outcome


def _chosen(messages: Messages, kept: list[int]) -> Messages:
    return Messages(
        messages.received_ns[kept],
        tuple(messages.topics[i] for i in kept),
        tuple(messages.payloads[i] for i in kept),
        messages.retained[kept],
        messages.duplicate[kept],
    )


def _faults(
    base: Base, raised: Raised, messages_out: dict[int, Raised], items_out: dict[int, Raised], now_ns: int
) -> Iterator[Fault]:
    if base.lost:
        lost = base.lost + (
            f" Left out: {', '.join(base.keys[i] for i in items_out)}." if base.keys and items_out else ""
        )
        yield fault_of(FaultKind.STATE_LOST, raised.stage, f"{raised}. {lost}", now_ns)
    for what, out in (("messages", messages_out), ("waiting detections", {} if base.rows is None else items_out)):
        for stage in dict.fromkeys(each.stage for each in out.values()):
            of_stage = [each for each in out.values() if each.stage == stage]
            names = ", ".join(dict.fromkeys(each.name for each in of_stage))
            detail = f"{names} in {stage}: {len(of_stage)} {what} were left out and are {KEPT_ASIDE}."
            yield fault_of(FaultKind.STEP_FAILED, stage, detail, now_ns)


def _message_rejections(messages: Messages, out: dict[int, Raised]) -> Iterator[Rejection]:
    for i, raised in out.items():
        detail = f"Processing it raised {raised}; it is {KEPT_ASIDE}."
        yield Rejection(int(messages.received_ns[i]), messages.topics[i], Reason.STEP_FAILED, detail)


def _message_asides(messages: Messages, out: dict[int, Raised]) -> Iterator[Aside]:
    for i, raised in out.items():
        received_ns, retained = int(messages.received_ns[i]), bool(messages.retained[i])
        yield Aside(received_ns, messages.topics[i], messages.payloads[i], retained, raised.stage, raised.text)


def _row_rejections(world: World, rows: Detections | None, out: dict[int, Raised]) -> Iterator[Rejection]:
    if rows is None:
        return
    for i, raised in out.items():
        sensor = world.catalogue.sensors[int(rows.sensor[i])]
        detail = f"Tracking with it raised {raised}; it is {KEPT_ASIDE}."
        yield Rejection(int(rows.received_ns[i]), sensor.feed, Reason.STEP_FAILED, detail, sensor.id)


def _row_asides(world: World, rows: Detections | None, out: dict[int, Raised]) -> Iterator[Aside]:
    """A row as JSON of its columns: its message lies in the journal, at the same time of receipt."""
    if rows is None:
        return
    for i, raised in out.items():
        columns: dict[str, Any] = {name: column[i].tolist() for name, column in rows.arrays().items()}
        topic = f"detections/{world.catalogue.sensors[int(rows.sensor[i])].id}"
        yield Aside(int(rows.received_ns[i]), topic, msgspec.json.encode(columns), False, raised.stage, raised.text)
