"""What judging remembers of each track from scan to scan: where it stood, what it was doing and since when.

A track that is lost is remembered for a while: found again, it has not come anew.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from model.columns import Columns, column
from model.time import NS

KEPT_NS = 300 * NS  # how long what is unseen is remembered


class Is(IntEnum):
    """How a track stands towards a condition. Who does not meet it is not written down."""

    UNSURE = 0  # first seen so near the boundary that either may be true
    SO = 1
    NO_MORE = 2  # was so, and no longer is, but not yet for long enough


class Told(IntEnum):
    NOTHING = 0
    RAISED = 1  # or it needs none: it was so from the beginning
    WITHHELD = 2  # there was a reason not to


@dataclass(frozen=True, eq=False)
class Levels(Columns):
    """n tracks that meet one condition, or nearly, sorted by track."""

    track: NDArray[np.uint64] = column(np.uint64)  # (n,)
    seen_ns: NDArray[np.int64] = column(np.int64)  # (n,) ns, the last scan with it
    state: NDArray[np.int8] = column(np.int8)  # (n,) Is
    since_ns: NDArray[np.int64] = column(np.int64)  # (n,) ns, when it was first found so
    until_ns: NDArray[np.int64] = column(np.int64)  # (n,) ns, when it was last found so
    told: NDArray[np.int8] = column(np.int8)  # (n,) Told


@dataclass(frozen=True, eq=False)
class Anchors(Columns):
    """Where n tracks last stood clear of one line, sorted by track."""

    track: NDArray[np.uint64] = column(np.uint64)  # (n,)
    seen_ns: NDArray[np.int64] = column(np.int64)  # (n,) ns, the last scan with it
    sector: NDArray[np.int16] = column(np.int16)  # (n,)
    position: NDArray[np.float64] = column(np.float64, 2)  # (n, 2) m
    sigma_m: NDArray[np.float64] = column(np.float64)  # (n,)
    over_ns: NDArray[np.int64] = column(np.int64)  # (n,) ns, since when it is clearly over; 0: it isn't
    told: NDArray[np.int8] = column(np.int8)  # (n,) Told of being over


@dataclass(frozen=True, eq=False)
class Known(Columns):
    """All tracks of late, sorted, and where each stood at the last two half minutes, or when it was first seen."""

    track: NDArray[np.uint64] = column(np.uint64)  # (n,)
    seen_ns: NDArray[np.int64] = column(np.int64)  # (n,) ns, the last scan with it
    sector: NDArray[np.int16] = column(np.int16)  # (n,)
    stood_ns: NDArray[np.int64] = column(np.int64, 2)  # (n, 2) ns, the older first
    stood: NDArray[np.float64] = column(np.float64, 2, 2)  # (n, 2 times, 2) m
    stood_sigma_m: NDArray[np.float64] = column(np.float64, 2)  # (n, 2) largest standard deviation


@dataclass(frozen=True, eq=False)
class Marks(Columns):
    """n tracks that move where a unit of ours is, sorted by track."""

    track: NDArray[np.uint64] = column(np.uint64)  # (n,)
    seen_ns: NDArray[np.int64] = column(np.int64)  # (n,) ns, the last scan with it
    unit: NDArray[np.uint64] = column(np.uint64)  # (n,) token of the unit
    since_ns: NDArray[np.int64] = column(np.int64)  # (n,) ns


@dataclass(frozen=True)
class Memory:
    """After the scan at `time_ns`."""

    time_ns: int
    known: Known
    levels: tuple[Levels, ...]  # one for each (rule, place) of a condition
    anchors: tuple[Anchors, ...]  # one for each (rule, line) that may be crossed
    present_ns: tuple[int, ...]  # for each (rule, zone) where somebody should be: when somebody last was
    marks: Marks


C = TypeVar("C", Levels, Anchors, Known)


def looked_up(keys: NDArray[np.uint64], sorted_keys: NDArray[np.uint64]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """For each key: is it among the sorted ones, and in which row (any row where it isn't)."""
    if not len(sorted_keys):
        return np.zeros(len(keys), np.bool_), np.zeros(len(keys), np.int64)
    row = np.minimum(np.searchsorted(sorted_keys, keys), len(sorted_keys) - 1)
    return sorted_keys[row] == keys, row


def remembered_of(before: "Levels | Anchors | Known", tracks: NDArray[np.uint64], time_ns: int) -> NDArray[np.bool_]:
    """(n,) which of the rows before are of tracks that this scan lacks, and are not too long ago."""
    here, _ = looked_up(before.track, tracks)
    return np.asarray(~here & (time_ns - before.seen_ns <= KEPT_NS))


def after_no_tracks(before: C, time_ns: int) -> C:
    """The table after a scan without tracks; the same object where nothing is forgotten."""
    kept = remembered_of(before, before.track[:0], time_ns)
    return before if kept.all() else before.take(kept)


def by_track(rows: C) -> C:
    """Sorted by track."""
    return rows.take(np.argsort(rows.track, kind="stable"))


def memory_due_ns(memory: Memory) -> list[int]:
    """When something unseen is forgotten."""
    tables: tuple[Known | Levels | Anchors, ...] = (memory.known, *memory.levels, *memory.anchors)
    return [int(table.seen_ns.min()) + KEPT_NS for table in tables if len(table)]
