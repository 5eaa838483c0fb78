"""Replay: a recording through the same steps as the live service, with readable files out."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from alerts.dispatch import alert_line, delivery_line
from model.messages import Messages
from model.rejections import BENIGN, Rejection
from model.tracks import Scan
from runtime.advance import Outcome, State, World, beginning
from runtime.steps import grid, steps
from runtime.tracklines import SettledScans, reason_lines, track_lines


@dataclass
class Tally:
    """What a replay came to, for its summary."""

    messages: int = 0
    detections: int = 0
    alerts: int = 0
    raised: int = 0
    deliveries: int = 0
    rejected: Counter[tuple[str, str]] = field(default_factory=Counter)  # (reason, detail) of faults
    set_aside: Counter[str] = field(default_factory=Counter)  # benign reasons
    withheld: Counter[tuple[str, str]] = field(default_factory=Counter)  # (rule, reason) of what raised nothing
    faults: dict[tuple[str, str], str] = field(default_factory=dict)  # (kind, what it is about): the last detail

    def count(self, outcome: Outcome) -> None:
        self.detections += len(outcome.detections)
        self.alerts += len(outcome.alerts)
        self.raised += sum(1 for alert in outcome.alerts if alert.why == "raised")
        self.deliveries += len(outcome.deliveries)
        self.withheld.update((each.event.rule, each.reason) for each in outcome.withheld)
        self.faults |= {(fault.kind.value, fault.about): fault.detail for fault in outcome.faults}
        for rejection in outcome.rejections:
            self._reject(rejection)

    def as_record(self) -> dict[str, object]:
        """For programs."""
        return {
            "messages": self.messages,
            "detections": self.detections,
            "alerts": self.alerts,
            "raised": self.raised,
            "deliveries": self.deliveries,
            "withheld": [{"rule": r, "reason": w, "count": n} for (r, w), n in sorted(self.withheld.items())],
            "faults": [{"kind": k, "about": a, "detail": d} for (k, a), d in sorted(self.faults.items())],
            "set_aside": dict(sorted(self.set_aside.items())),
            "rejected": [{"reason": r, "detail": d, "count": n} for (r, d), n in self.rejected.most_common()],
        }

    def _reject(self, rejection: Rejection) -> None:
        if rejection.reason in BENIGN:
            self.set_aside[rejection.reason.value] += rejection.count
        else:
            self.rejected[rejection.reason.value, rejection.detail] += rejection.count


def replayed(world: World, batches: Iterable[Messages]) -> Iterator[Outcome]:
    """The outcome of every step, and of as many more as it takes for everything received to be settled."""
    state: State | None = None
    rest = Messages.none()
    for batch in batches:
        rest = Messages.joined([rest, batch]) if len(rest) else batch
        before = state or beginning(world, grid(int(rest.received_ns[0])) - 1)
        state, done = before, 0
        # The batch's last instant may go on in the next one.
        for after, outcome, taken in steps(world, before, rest, grid(int(rest.received_ns[-1])) - 1):
            state, done = after, taken
            yield outcome
        rest = rest.between(done, len(rest))
    if state is None:
        return
    fusion = world.fusion
    end_ns = grid(state.now_ns if not len(rest) else int(rest.received_ns[-1]))
    end_ns += fusion.idle_ns + fusion.settle_ns + 2 * fusion.scan_ns
    for _, outcome, _ in steps(world, state, rest, end_ns):
        yield outcome


def replay(
    world: World,
    batches: Iterable[Messages],
    tracks: Path | None,
    alerts: Path | None,
    deliveries: Path | None,
    reasons: Path | None = None,
    told: Callable[[int], None] = lambda _: None,
) -> Tally:
    """Write what a recording leads to."""
    tally = Tally()

    def counted() -> Iterator[Messages]:
        for batch in batches:
            yield batch
            tally.messages += len(batch)
            told(tally.messages)

    with (
        _opened(tracks) as track_file,
        _opened(alerts) as alert_file,
        _opened(deliveries) as delivery_file,
        _opened(reasons) as reason_file,
    ):
        settled = SettledScans(world.fusion.reach_ns)

        def write(scans: Iterable[Scan]) -> None:
            for scan in scans:
                if tracks is not None:
                    track_file.writelines(track_lines(world, scan))
                if reasons is not None:
                    reason_file.writelines(reason_lines(world, scan))

        for outcome in replayed(world, counted()):
            tally.count(outcome)
            write(settled.after(outcome.scans))
            alert_file.writelines(alert_line(alert) for alert in outcome.alerts)
            delivery_file.writelines(delivery_line(delivery) for delivery in outcome.deliveries)
        write(settled.rest())
    return tally


def _opened(path: Path | None) -> AbstractContextManager[BinaryIO]:
    return Path(os.devnull if path is None else path).open("wb")
