"""How tracks have gone of late, measured on where they stood.

What a filter believes of a velocity follows every step of who is seen badly; whether two go together shows in the way that
they have come. All are measured from the same instants, so those who rest together at once have the same course.
"""

import numpy as np
from numpy.typing import NDArray

from alerts.memory import Known, by_track, looked_up, remembered_of
from model.time import NS
from model.tracks import Tracks

Array = NDArray[np.float64]
NEW_MPS = 10.0  # standard deviation, 1 axis: of how what was only just found goes, hardly anything is known
SPAN_NS = 30 * NS  # between one and two of these is the way that a course is measured on


def courses(
    before: Known, time_ns: int, tracks: Tracks, sigma_m: Array, believed_mps: Array
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """(n, 2) m/s, (n,) its standard deviation, one axis, and (n,) is it measured on a way, or believed by the filter?

    `sigma_m` (n,) and `believed_mps` (n,) are the largest standard deviations of the filter's places and velocities. A way
    from where a track began counts for nothing: the first places of a track are its worst.
    """
    velocity, guessed = tracks.mean[:, 2:], np.maximum(believed_mps, NEW_MPS)
    if not len(before):
        return velocity, guessed, np.zeros(len(tracks), np.bool_)
    known, rows = _known(before, tracks)
    earlier = before.take(rows)
    passed_ns = time_ns - earlier.stood_ns[:, 0]
    measured = known & (passed_ns >= SPAN_NS)
    passed_s = np.maximum(passed_ns, SPAN_NS) / NS
    course = (tracks.mean[:, :2] - earlier.stood[:, 0]) / passed_s[:, None]
    sigma = np.hypot(sigma_m, earlier.stood_sigma_m[:, 0]) / passed_s
    return np.where(measured[:, None], course, velocity), np.where(measured, sigma, guessed), measured


def known_after(before: Known, time_ns: int, tracks: Tracks, sigma_m: Array) -> Known:
    """All tracks of late after a scan of `tracks`, sorted by id."""
    rest = before.take(remembered_of(before, tracks.id, time_ns))
    now_ns = np.full(len(tracks), time_ns, np.int64)
    here = Known(
        tracks.id,
        now_ns,
        tracks.sector,
        np.column_stack([now_ns, now_ns]),
        np.repeat(tracks.mean[:, None, :2], 2, axis=1),
        np.column_stack([sigma_m, sigma_m]),
    )
    known, rows = _known(before, tracks)
    if known.any():
        earlier = before.take(rows)
        due = known & (earlier.stood_ns[:, 1] // SPAN_NS < time_ns // SPAN_NS)
        for column in ("stood_ns", "stood", "stood_sigma_m"):
            ours, theirs = getattr(here, column), getattr(earlier, column)
            ours[due, 0] = theirs[due, 1]
            ours[known & ~due] = theirs[known & ~due]
    return by_track(Known.joined([rest, here]))


def _known(before: Known, tracks: Tracks) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """For each track: was it there before, in the same sector, and in which row."""
    known, rows = looked_up(tracks.id, before.track)
    return (known & (before.sector[rows] == tracks.sector) if len(before) else known), rows
