"""Tracks: what moves, as fusion believes at one instant."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from model.classes import CLASSES
from model.columns import Columns, column
from model.detections import PLATES

SENSORS_KEPT = 8  # the last sensors that saw a track; older ones are in the history
MODELS = 4  # ways of moving: standing, walking, driving, flying
COMPONENTS = 14  # of an estimate: position, velocity, and the upper triangle of its covariance
ROW = np.array([0, 0, 1, 0, 0, 1, 1, 2, 2, 3])  # component 4 + k is the covariance of ROW[k] with COLUMN[k]
COLUMN = np.array([0, 1, 1, 2, 3, 2, 3, 2, 3, 3])
FULL = np.array([[4, 5, 7, 8], [5, 6, 9, 10], [7, 9, 11, 12], [8, 10, 12, 13]])  # where each covariance entry lies


@dataclass(frozen=True, eq=False)
class Tracks(Columns):
    """n tracks, each at its own `updated_ns`; a scan holds them all at one instant."""

    id: NDArray[np.uint64] = column(np.uint64)  # (n,) made from the founding detection
    sector: NDArray[np.int16] = column(np.int16)  # (n,) whose plane the state is in
    born_ns: NDArray[np.int64] = column(np.int64)  # (n,) ns, first detection
    seen_ns: NDArray[np.int64] = column(np.int64)  # (n,) ns, last detection
    seen_by: NDArray[np.int32] = column(np.int32)  # (n,) row of the catalogue, whose detection that was
    updated_ns: NDArray[np.int64] = column(np.int64)  # (n,) ns, the instant of mean and covariance
    mean: NDArray[np.float64] = column(np.float64, 4)  # (n, 4) m, m, m/s, m/s: east, north, and their rates
    covariance: NDArray[np.float64] = column(np.float64, 4, 4)  # (n, 4, 4)
    bank: NDArray[np.float64] = column(np.float64, COMPONENTS, MODELS)  # (n, 14, models) the estimate under each
    weight: NDArray[np.float64] = column(np.float64, MODELS)  # (n, models) probability of each, sums to 1
    existence: NDArray[np.float64] = column(np.float64)  # (n,) probability that it is there
    visible: NDArray[np.float64] = column(np.float64)  # (n,) probability that nothing hides it from who looks its way
    confirmed: NDArray[np.bool_] = column(np.bool_)  # (n,) once true, true until deletion
    class_probability: NDArray[np.float64] = column(np.float64, len(CLASSES))  # (n, classes), sums to 1
    hits: NDArray[np.int32] = column(np.int32)  # (n,) detections it has had
    source: NDArray[np.uint64] = column(np.uint64)  # (n,) last source object id, hashed; 0 none
    source_ns: NDArray[np.int64] = column(np.int64)  # (n,) ns, when that was
    source_sensor: NDArray[np.int32] = column(np.int32)  # (n,) whose id it is
    plate: NDArray[np.uint64] = column(np.uint64)  # (n,) keyed token, the likeliest of those read; 0 none
    plates: NDArray[np.uint64] = column(np.uint64, PLATES)  # (n, PLATES) tokens of all that it may be, likeliest first
    plate_share: NDArray[np.float64] = column(np.float64, PLATES)  # (n, PLATES) probability of each
    plate_ns: NDArray[np.int64] = column(np.int64)  # (n,) ns, when it was read
    plate_sensor: NDArray[np.int32] = column(np.int32)  # (n,) by whom
    sensors: NDArray[np.int32] = column(np.int32, SENSORS_KEPT)  # (n, kept) rows of the catalogue, -1 none
    sensors_ns: NDArray[np.int64] = column(np.int64, SENSORS_KEPT)  # (n, kept) ns, when each last saw it


class What(IntEnum):
    """What became of a track, and why."""

    FOUNDED = 0  # by a detection that no known track explained; probability: that it is there
    SEEN = 1  # a detection counted towards it; probability: that it is the cause
    CONFIRMED = 2  # believed enough to be told of; probability: that it is there
    FOUND_AGAIN = 3  # `other`, newly confirmed, is this one that was lost; probability: that it is
    UNSEEN = 4  # told of no more: no sensor has seen it for too long; probability: that it is there
    MISSED = 5  # told of no more: sensors looked where it should be and did not see it; probability: as above
    VAGUE = 7  # told of no more: it may be anywhere about there; probability: as above
    FORGOTTEN = 6  # dropped: too long unseen, too vague, or hardly there; probability: as above
    SHED = 8  # dropped: there are more tracks than the site's limit; `sensor` saw it last; probability: as above


@dataclass(frozen=True, eq=False)
class Reasons(Columns):
    """n things that became of tracks in one scan."""

    track: NDArray[np.uint64] = column(np.uint64)  # (n,)
    what: NDArray[np.int8] = column(np.int8)  # (n,) What
    sensor: NDArray[np.int32] = column(np.int32)  # (n,) row of the catalogue whose detection it was; -1 none
    observed_ns: NDArray[np.int64] = column(np.int64)  # (n,) ns, of that detection; or the scan's
    probability: NDArray[np.float64] = column(np.float64)  # (n,) of what What says
    other: NDArray[np.uint64] = column(np.uint64)  # (n,) the other track; 0 none


@dataclass(frozen=True)
class Scan:
    """All tracks at one instant of observed time. What was told of any instant after `after_ns` before is void."""

    time_ns: int
    after_ns: int  # the scan before
    tracks: Tracks
    reasons: Reasons  # of all that changed since then

    @property
    def reported(self) -> Tracks:
        """What everybody is shown: map, status, history and replay alike."""
        return self.tracks.take(self.tracks.confirmed)


ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: none is misread for another


def name_of(key: int) -> str:
    """How a track's key is written: `T` and 13 characters."""
    number = int(key)
    digits = []
    for _ in range(13):
        number, digit = divmod(number, 32)
        digits.append(ALPHABET[digit])
    return "T" + "".join(reversed(digits))


def is_track(name: str) -> bool:
    """Is it the name of a track, and not that of a plate, a sensor or a place?"""
    return name.startswith("T") and len(name) == 14


def names_of(keys: NDArray[np.uint64]) -> list[str]:
    """`name_of` for many."""
    shifts = np.arange(60, -1, -5, dtype=np.uint64)
    digits = np.frombuffer(ALPHABET.encode(), np.uint8)[(keys[:, None] >> shifts) & np.uint64(31)]
    digits = np.concatenate([np.full((len(keys), 1), ord("T"), np.uint8), digits], axis=1)
    return [name.decode() for name in np.ascontiguousarray(digits).view("S14").ravel().tolist()]


def key_of(name: str) -> int:
    """The key that `name_of` wrote. Raises ValueError for anything else."""
    if len(name) != 14 or name[0] != "T":
        raise ValueError(f"{name!r} is no track name such as T0A1B2C3D4E5F6.")
    number = 0
    for character in name[1:]:
        number = number * 32 + ALPHABET.index(character)
    return number
