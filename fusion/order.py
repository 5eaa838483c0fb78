"""Event time: when a scan is closed, and what a late row does.

The event clock is the newest observation so far, in order of arrival. A scan closes when the clock has passed its end
by the settling time, so what a scan has seen when it is judged depends on the order in which messages arrived and on
nothing else: neither on how they were cut into steps nor on when this process happened to read them. Only when
nothing arrives for a while does received time close scans.

A late row re-runs the scans from before it. States are values, so keeping those of the last half minute costs
nothing but their memory. See docs/decisions/0002-event-clock.md.

Re-runs are rationed. Each new scan adds to a credit, each scan that is run again is charged to it, and a late row whose
re-run the credit does not cover waits, so that it never delays what is in time. Credit and cost are counted in tracks, which
follow from the messages alone; so a replay re-runs at the same rows as the live service did.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from fusion.bias import Biases, doubted, unlearned
from fusion.scan import scan_of, scanned
from fusion.settings import Settings
from geo.frames import Sectors
from model.detections import Detections, Looks
from model.tracks import Reasons, Scan, Tracks
from model.world import SensorColumns

NEVER_NS = 1 << 62
SCAN_TRACKS = 400  # a scan costs as much as this many tracks besides its own
CREDIT_SCANS = 30  # credit is saved over so many scans at most


@dataclass(frozen=True)
class Checkpoint:
    """The tracks, and what sensors are off by, when the scan that ends at `time_ns` was closed."""

    time_ns: int
    tracks: Tracks
    biases: Biases


@dataclass(frozen=True)
class Chunk:
    """What came together."""

    first_ns: int  # the times of observation lie between these
    last_ns: int
    rows: Detections
    looks: Looks

    def between(self, after_ns: int, until_ns: int) -> "Chunk":
        """What of it was observed after one time and until another."""
        if after_ns < self.first_ns and self.last_ns <= until_ns:
            return self
        return chunk_of(_between(self.rows, after_ns, until_ns), _between(self.looks, after_ns, until_ns))

    @classmethod
    def joined(cls, chunks: Sequence["Chunk"]) -> "Chunk":
        return chunk_of(Detections.joined([c.rows for c in chunks]), Looks.joined([c.looks for c in chunks]))


def chunk_of(rows: Detections, looks: Looks) -> Chunk:
    """Rows and looks that came together."""
    times = np.concatenate([rows.observed_ns, looks.observed_ns])
    return Chunk(int(times.min(initial=NEVER_NS)), int(times.max(initial=-NEVER_NS)), rows, looks)


@dataclass(frozen=True)
class FusionState:
    """All of fusion that changes. A scan's end is a multiple of the scan time."""

    clock_ns: int  # event clock; 0 before the first row
    chunks: tuple[
        Chunk, ...
    ]  # those that closed scans have seen and that may be run again, then those that none has seen
    seen: int  # how many of the chunks closed scans have seen; late rows that wait are in the others
    checkpoints: tuple[Checkpoint, ...]  # oldest first, the last is that of the newest closed scan
    credit: int = 0  # how many tracks scans may be run again with

    @property
    def closed_ns(self) -> int:
        return self.checkpoints[-1].time_ns if self.checkpoints else 0

    @property
    def tracks(self) -> Tracks:
        return self.checkpoints[-1].tracks if self.checkpoints else Tracks.none()


def newest_scan(settings: Settings, state: FusionState) -> Scan:
    """The scan that was closed last, as it was reported: what is only remembered is no part of it."""
    return scan_of(settings, state.tracks, Reasons.none(), state.closed_ns, state.closed_ns)


def at_rest() -> FusionState:
    """Before anything has been seen."""
    return FusionState(0, (), 0, ())


def awaits_nothing(state: FusionState) -> bool:
    """Is there no track, and no row that a scan could still take? Then scans change nothing but when the last was closed."""
    return not state.chunks and not any(len(c.tracks) for c in state.checkpoints)


@dataclass(frozen=True)
class Fused:
    """What a step of fusion came to."""

    scans: tuple[Scan, ...]  # closed, or run again, in order of time; a later one of the same time replaces it
    too_late: Detections  # rows older than anything that can be re-run


def fuse(
    settings: Settings,
    sensors: SensorColumns,
    sectors: Sectors,
    state: FusionState,
    arrived: Detections,
    looks: Looks,
    idle_since_ns: int | None,
) -> tuple[FusionState, Fused]:
    """The state after `arrived` and `looks`, each in order of arrival.

    `idle_since_ns` is given when nothing at all has arrived for the idle time: the received time up to which scans may
    be closed all the same.
    """
    scans: list[Scan] = []
    late: list[Detections] = []
    row = look = 0
    clocks, rows_by, looks_by = _clocks(state.clock_ns, arrived, looks)
    for at in _closings(settings, state.clock_ns, clocks):
        clock_ns, rows, looked = int(clocks[at]), int(rows_by[at]), int(looks_by[at])
        state = _waiting(state, arrived.take(slice(row, rows)), looks.take(slice(look, looked)))
        state, closed, dropped = _closed(settings, sensors, sectors, state, clock_ns, False)
        scans += closed
        late.append(dropped)
        row, look = rows, looked
    state = _waiting(state, arrived.take(slice(row, None)), looks.take(slice(look, None)))
    if idle_since_ns is not None and state.clock_ns and _ripe(settings, idle_since_ns) > state.closed_ns:
        state, closed, dropped = _closed(settings, sensors, sectors, state, max(idle_since_ns, state.clock_ns), True)
        scans += closed
        late.append(dropped)
    return replace(state, clock_ns=int(clocks.max(initial=state.clock_ns))), Fused(
        tuple(scans), Detections.joined(late)
    )


def _waiting(state: FusionState, rows: Detections, looks: Looks) -> FusionState:
    chunks = (*state.chunks, chunk_of(rows, looks)) if len(rows) or len(looks) else state.chunks
    return replace(state, chunks=chunks)


def _ripe(settings: Settings, clock_ns: int) -> int:
    """The end of the newest scan that may be closed at this reading of the event clock."""
    return (clock_ns - settings.settle_ns) // settings.scan_ns * settings.scan_ns


def _clocks(
    clock_ns: int, arrived: Detections, looks: Looks
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The event clock after each arrival, and how many of `arrived` and of `looks` had come by then.

    A row observed after it was received tells of a clock that runs ahead, and moves nothing.
    """
    observed = np.r_[looks.observed_ns, arrived.observed_ns]
    received = np.r_[looks.received_ns, arrived.received_ns]
    order = np.argsort(received, kind="stable")
    is_row = np.r_[np.zeros(len(looks), np.int64), np.ones(len(arrived), np.int64)][order]
    honest = np.where(observed <= received, observed, 0)[order]
    return np.maximum.accumulate(np.maximum(honest, clock_ns)), np.cumsum(is_row), np.cumsum(1 - is_row)


def _closings(settings: Settings, clock_ns: int, clocks: NDArray[np.int64]) -> list[int]:
    """Which arrivals, by the event clock after each, let a scan close."""
    ripe = (clocks - settings.settle_ns) // settings.scan_ns
    before = (clock_ns - settings.settle_ns) // settings.scan_ns
    return np.flatnonzero(np.diff(ripe, prepend=before) > 0).tolist()


def _closed(
    settings: Settings, sensors: SensorColumns, sectors: Sectors, state: FusionState, clock_ns: int, idle: bool
) -> tuple[FusionState, list[Scan], Detections]:
    """All ripe scans closed, from before the earliest late row on if it need not wait; the scans; and rows too late for any."""
    end_ns = _ripe(settings, clock_ns)
    checkpoints = state.checkpoints or (Checkpoint(end_ns - settings.lateness_ns, Tracks.none(), unlearned(sensors)),)
    fresh = Chunk.joined(state.chunks[state.seen :])
    too_late = fresh.rows.take(fresh.rows.observed_ns <= checkpoints[0].time_ns)
    first_ns = fresh.between(checkpoints[0].time_ns, NEVER_NS).first_ns
    before, credit = _resumed(settings, replace(state, checkpoints=checkpoints), first_ns, end_ns, idle)
    tracks, biases, time_ns, scans = before[-1].tracks, doubted(sensors, before[-1].biases), before[-1].time_ns, []
    chunks, late = _split(state, checkpoints[0].time_ns, first_ns, time_ns)
    seen = Chunk.joined([c.between(time_ns, end_ns) for c in chunks if time_ns < c.last_ns and c.first_ns <= end_ns])
    number = -(-seen.rows.observed_ns // settings.scan_ns)  # the scan that each row belongs to
    look_number = -(-seen.looks.observed_ns // settings.scan_ns)
    kept = [*before]
    while time_ns < end_ns:
        after_ns, time_ns = time_ns, _next_scan(settings, tracks, number, time_ns, end_ns)
        scan = time_ns // settings.scan_ns
        rows, looks = seen.rows.take(number == scan), seen.looks.take(look_number == scan)
        tracks, biases, why = scanned(settings, sensors, sectors, tracks, biases, rows, looks, time_ns)
        kept.append(Checkpoint(time_ns, tracks, biases))
        scans.append(scan_of(settings, tracks, why, time_ns, after_ns))
    horizon_ns = end_ns - settings.lateness_ns
    if late:
        horizon_ns = max(min(horizon_ns, first_ns - 1), horizon_ns - settings.late_wait_ns)
    oldest = max((i for i, c in enumerate(kept) if c.time_ns <= horizon_ns), default=0)
    oldest = max(oldest, _first_within(kept, settings.checkpoint_tracks_max))
    chunks = tuple(c for c in chunks if c.last_ns > kept[oldest].time_ns)
    clock_ns = max(clock_ns, state.clock_ns)
    return FusionState(clock_ns, (*chunks, *late), len(chunks), tuple(kept[oldest:]), credit), scans, too_late


def _resumed(
    settings: Settings, state: FusionState, first_ns: int, end_ns: int, idle: bool
) -> tuple[tuple[Checkpoint, ...], int]:
    """The checkpoints that scans are run from, where the earliest row that none has seen is of `first_ns`; and the credit left.

    Late rows are taken in when the credit covers it, when they can wait no longer, or when nothing else is to be done.
    """
    per_scan = max(settings.rerun_tracks, 2 * (SCAN_TRACKS + len(state.tracks)))
    new = (end_ns - state.closed_ns) // settings.scan_ns
    credit = min(state.credit + new * per_scan, CREDIT_SCANS * per_scan)
    before = tuple(c for c in state.checkpoints if c.time_ns < first_ns)
    again = state.checkpoints[len(before) :]
    if not again:
        return state.checkpoints, credit
    cost = sum(SCAN_TRACKS + len(c.tracks) for c in again)
    if cost <= credit or idle or first_ns <= end_ns - settings.lateness_ns - settings.late_wait_ns:
        return before, max(credit - cost, 0)
    return state.checkpoints, credit


def _split(
    state: FusionState, oldest_ns: int, first_ns: int, resumed_ns: int
) -> tuple[tuple[Chunk, ...], tuple[Chunk, ...]]:
    """The chunks that scans after `resumed_ns` take rows from; and the late rows that wait, without those before `oldest_ns`."""
    if first_ns > resumed_ns:
        return state.chunks, ()
    fresh = Chunk.joined(state.chunks[state.seen :])
    return (*state.chunks[: state.seen], fresh.between(resumed_ns, NEVER_NS)), (fresh.between(oldest_ns, resumed_ns),)


def _first_within(checkpoints: Sequence[Checkpoint], tracks_max: int) -> int:
    """The first of the newest checkpoints that together hold at most `tracks_max` rows; the newest is always among them.

    With fewer checkpoints, less of what is late can be taken in: it is rejected as too late.
    """
    rows = np.cumsum([len(c.tracks) for c in reversed(checkpoints)])
    return len(checkpoints) - max(int(np.searchsorted(rows, tracks_max, side="right")), 1)


T = TypeVar("T", Detections, Looks)


def _between(rows: T, after_ns: int, until_ns: int) -> T:
    """Those observed after one time and until another; the rows themselves where that is all of them."""
    chosen = (rows.observed_ns > after_ns) & (rows.observed_ns <= until_ns)
    return rows if chosen.all() else rows.take(chosen)


def _next_scan(settings: Settings, tracks: Tracks, number: NDArray[np.int64], time_ns: int, end_ns: int) -> int:
    """The end of the next scan; where there is nothing to track, of the next that has rows, or of the last."""
    following = time_ns + settings.scan_ns
    if len(tracks):
        return following
    ahead = number[number * settings.scan_ns > time_ns]
    return int(min(ahead.min() * settings.scan_ns, end_ns)) if len(ahead) else end_ns
