"""Why a track is what it is: rows of what became of it in a scan."""

import numpy as np
from numpy.typing import NDArray

from fusion.association import Pairs
from fusion.life import told, vague
from fusion.settings import Settings
from model.detections import Detections
from model.tracks import Reasons, Tracks, What

Array = NDArray[np.float64]


def seen(tracks: Tracks, detections: Detections, pairs: Pairs, chance: Array) -> Reasons:
    """A row for each detection that counted towards a track, with the probability that the track is its cause."""
    return Reasons(
        track=tracks.id[pairs.track],
        what=np.full(len(chance), What.SEEN, np.int8),
        sensor=detections.sensor[pairs.detection],
        observed_ns=detections.observed_ns[pairs.detection],
        probability=chance,
        other=np.zeros(len(chance), np.uint64),
    )


def founded(tracks: Tracks) -> Reasons:
    """A row for each new track."""
    return _of(tracks, What.FOUNDED, tracks.seen_ns, tracks.seen_by)


def found_again(old: Tracks, new: Tracks, probability: Array, time_ns: int) -> Reasons:
    """A row for each lost track that a new one continues."""
    rows = _of(old, What.FOUND_AGAIN, np.full(len(old), time_ns))
    return rows.but(other=new.id, probability=probability)


def changed(
    settings: Settings,
    before: Tracks,
    after: Tracks,
    lasts: NDArray[np.bool_],
    kept: Tracks,
    fits: NDArray[np.bool_],
    begin_ns: int,
    end_ns: int,
) -> Reasons:
    """Rows for what was confirmed, lost or dropped between two scans.

    `kept` are those of `after` that stay by what is known of them (`lasts`); `fits` says which of `kept` there is room for.
    """
    fresh = kept.chosen(kept.confirmed)
    lost = after.chosen(~told(settings, after, end_ns))
    lost = lost.chosen(np.isin(lost.id, before.id[before.confirmed & told(settings, before, begin_ns)]))
    unseen = end_ns - lost.seen_ns > settings.coast_ns
    lapsed = vague(settings, lost) & ~unseen
    shed = kept.chosen(~fits)
    rows = [
        (What.CONFIRMED, fresh.chosen(~np.isin(fresh.id, before.id[before.confirmed])), None),
        (What.UNSEEN, lost.chosen(unseen), None),
        (What.VAGUE, lost.chosen(lapsed), None),
        (What.MISSED, lost.chosen(~unseen & ~lapsed), None),
        (What.FORGOTTEN, after.chosen(~lasts), None),
        (What.SHED, shed, shed.seen_by),
    ]
    return Reasons.joined([_of(some, what, np.full(len(some), end_ns), by) for what, some, by in rows if len(some)])


def _of(tracks: Tracks, what: What, observed_ns: NDArray[np.int64], sensor: NDArray[np.int32] | None = None) -> Reasons:
    n = len(tracks)
    return Reasons(
        track=tracks.id,
        what=np.full(n, what, np.int8),
        sensor=np.full(n, -1, np.int32) if sensor is None else sensor,
        observed_ns=observed_ns,
        probability=tracks.existence,
        other=np.zeros(n, np.uint64),
    )
