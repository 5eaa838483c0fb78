"""How much each sensor may still say: what the site's limits and its own registration leave of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.time import NS
from sensors.catalogue import Limits


@dataclass(frozen=True, eq=False)
class Intake:
    """What has been taken of each sensor, in the catalogue's order."""

    second: int  # the second of received time that `taken` counts
    taken: NDArray[np.int64]  # (n,) detections of each sensor in that second
    look_due_ns: NDArray[np.int64]  # (n,) ns, observed: when each sensor's next look is due by its registration

    @classmethod
    def initial(cls, sensors: int) -> "Intake":
        return cls(0, np.zeros(sensors, np.int64), np.zeros(sensors, np.int64))


class Meter:
    """Counts while a batch is read."""

    def __init__(self, limits: Limits, looks_per_s: NDArray[np.float64], intake: Intake) -> None:
        self._limits, self._looks_per_s = limits, looks_per_s
        self._second, self._total = intake.second, int(intake.taken.sum())
        self._taken, self._look_due_ns = intake.taken.copy(), intake.look_due_ns.copy()

    def room(self, sensor: int, count: int, received_ns: int) -> int:
        """How many of so many detections of a sensor are taken."""
        second = received_ns // NS
        if second != self._second:
            self._second, self._total = second, 0
            self._taken[:] = 0
        limits = self._limits
        room = limits.sensor_detections_per_s_max - int(self._taken[sensor])
        room = min(count, room, limits.detections_per_s_max - self._total)
        self._taken[sensor] += room
        self._total += room
        return room

    def look_is_due(self, sensor: int, observed_ns: int) -> bool:
        """May a look at this time be believed, with no more of them than the registration says?

        The generic cell rate algorithm (ITU-T I.371, virtual scheduling) by observed time: over a longer time no more than
        `looks_per_s`, and a look may come early by one interval. What waited at the broker and comes at once is judged by when it
        looked.
        """
        interval_ns = round(NS / float(self._looks_per_s[sensor]))
        due_ns = int(self._look_due_ns[sensor])
        if observed_ns < due_ns - interval_ns:
            return False
        self._look_due_ns[sensor] = max(observed_ns, due_ns) + interval_ns
        return True

    def intake(self) -> Intake:
        return Intake(self._second, self._taken, self._look_due_ns)
