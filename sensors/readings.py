"""Readings: what a decoder understood, in the source's own terms, before it has a place on the ground.

Decoders write them, `placing` turns them into detections, and nobody else sees them.
"""

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from model.classes import CLASSES
from model.columns import Columns, column
from model.detections import PLATES, Looks
from model.faults import Fault
from model.health import Signs
from model.messages import Aside
from model.rejections import Rejection
from model.units import UnitReport


class Place(IntEnum):
    """How a reading says where; it decides what `where` and `spread` hold."""

    OWN = 0  # it doesn't: the registered position and accuracy of the sensor. where, spread: NaN
    WGS84 = 1  # where: lat, lon [degrees]. spread: east², east·north, north² [m²]; NaN: the registered accuracy
    PIXEL = 2  # where: u, v [px] of the point on the ground. spread: NaN (the registration says)
    RANGE = 3  # where: bearing from true north [degrees], range [m]. spread: σ bearing [degrees], σ range [m], NaN
    BEARING = 4  # where: bearing [degrees], NaN. spread: σ bearing [degrees], NaN, NaN


@dataclass(frozen=True, eq=False)
class Readings(Columns):
    """n readings."""

    observed_ns: NDArray[np.int64] = column(np.int64)  # (n,) ns
    received_ns: NDArray[np.int64] = column(np.int64)  # (n,) ns
    sensor: NDArray[np.int32] = column(np.int32)  # (n,) row of the catalogue
    message: NDArray[np.int32] = column(np.int32)  # (n,) which of the messages decoded together
    place: NDArray[np.int8] = column(np.int8)  # (n,) Place
    where: NDArray[np.float64] = column(np.float64, 2)  # (n, 2) see Place
    spread: NDArray[np.float64] = column(np.float64, 3)  # (n, 3) see Place
    motion: NDArray[np.float64] = column(
        np.float64, 2
    )  # (n, 2) course from true north [degrees], speed [m/s]; NaN: not said
    class_likelihood: NDArray[np.float64] = column(np.float64, len(CLASSES))  # (n, classes), sums to 1
    confidence: NDArray[np.float64] = column(np.float64)  # (n,) 0–1
    source: NDArray[np.uint64] = column(np.uint64)  # (n,) hashed; 0 none
    plate: NDArray[np.uint64] = column(np.uint64)  # (n,) token; 0 none
    plates: NDArray[np.uint64] = column(np.uint64, PLATES)  # (n, PLATES) as in Detections
    plate_share: NDArray[np.float64] = column(np.float64, PLATES)  # (n, PLATES)


@dataclass(frozen=True)
class PlateText:
    """A plate in clear: handed to the shell, which seals it at once, and never stored or shown otherwise."""

    token: int
    text: str
    observed_ns: int
    sensor: int

    def __repr__(self) -> str:
        return f"PlateText(token={self.token:016x}, text=<sealed>)"


@dataclass(frozen=True)
class Picture:
    """What a camera sent, checked by its header only: handed to the shell, which keeps nothing of it before it is made too small
    to know anybody by (`sensors/reducer.py`).
    """

    received_ns: int
    topic: str
    sensor: int  # row of the catalogue
    label: str  # what the camera calls it
    jpeg: bytes = field(repr=False)


@dataclass(frozen=True)
class Decoded:
    """What a batch of messages came to."""

    readings: Readings
    looks: Looks
    signs: Signs
    rejections: tuple[Rejection, ...]
    plates: tuple[PlateText, ...]
    units: tuple[UnitReport, ...] = ()
    pictures: tuple[Picture, ...] = ()
    faults: tuple[Fault, ...] = ()  # what technicians are to hear of
    aside: tuple[Aside, ...] = ()  # what decoders failed on, to be kept for the maintainer
