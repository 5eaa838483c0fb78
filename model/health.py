"""Signs of life: what sensors and their gateways say of themselves."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from model.columns import Columns, column


class Sign(IntEnum):
    HEARD = 0  # any message at all
    ONLINE = 1  # it says that it is up
    OFFLINE = 2  # it, or its last will, says that it is down
    BATTERY = 3  # value: share left, 0–1
    TAMPERED = 4
    SWITCHED_OFF = 5  # somebody has it not look; value: by which switch
    SWITCHED_ON = 6  # … and by this switch it looks again
    GATEWAY_DOWN = 7  # what carries its messages says, or its last will, that it is down
    GATEWAY_UP = 8


class Switch(IntEnum):
    """Ways to have a sensor not look, as bits."""

    DETECTION = 1  # its detection is off
    SENSOR = 2  # it is off as a whole


@dataclass(frozen=True, eq=False)
class Signs(Columns):
    """n signs of life."""

    received_ns: NDArray[np.int64] = column(np.int64)  # (n,) ns
    sensor: NDArray[np.int32] = column(np.int32)  # (n,) row of the catalogue
    sign: NDArray[np.int8] = column(np.int8)  # (n,) Sign
    value: NDArray[np.float64] = column(np.float64)  # (n,) unit by sign, else 0


@dataclass(frozen=True, eq=False)
class Health(Columns):
    """The last known condition of every sensor, one row each, in the catalogue's order."""

    heard_ns: NDArray[np.int64] = column(np.int64)  # (n,) ns, last message received; 0 never
    observed_ns: NDArray[np.int64] = column(np.int64)  # (n,) ns, newest observation; 0 never
    excused_ns: NDArray[np.int64] = column(np.int64)  # (n,) ns since then in which it could not have been heard
    offline: NDArray[np.bool_] = column(np.bool_)  # (n,) it said so itself
    switched_off: NDArray[np.int8] = column(np.int8)  # (n,) Switch bits; 0: it looks
    gateway_down_ns: NDArray[np.int64] = column(
        np.int64
    )  # (n,) ns, received: since when its gateway is down; 0 it is not
    battery: NDArray[np.float64] = column(np.float64)  # (n,) 0–1; NaN unknown
    tampered_ns: NDArray[np.int64] = column(np.int64)  # (n,) ns, received: it last said so; 0 never
    messages: NDArray[np.int64] = column(np.int64)  # (n,) messages used
    rejected: NDArray[np.int64] = column(np.int64)  # (n,) messages rejected, benign ones aside
