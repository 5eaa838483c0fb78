"""What past alerts turned out to be, per sensor and rule, and what that says of the next one."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from alerts.rules import Ground, Rule
from model.alerts import Incident, Tally
from model.tracks import Tracks

GENUINE = ("genuine",)
NUISANCE = ("animal", "own-unit", "weather", "sensor-fault", "nuisance")
UNDECIDED = ("unknown",)
DISPOSITIONS = (*GENUINE, *NUISANCE, *UNDECIDED)


def counted(tallies: tuple[Tally, ...], incident: Incident, disposition: str) -> tuple[Tally, ...]:
    """The tallies after an incident was resolved, sorted by sensor and rule."""
    if disposition not in (*GENUINE, *NUISANCE):
        return tallies
    known = {(t.sensor, t.rule): t for t in tallies}
    good = int(disposition in GENUINE)
    for pair in sorted({(e.sensor, h.rule) for e in incident.evidence for h in incident.happenings}):
        before = known.get(pair, Tally(*pair, 0, 0))
        known[pair] = Tally(*pair, before.genuine + good, before.nuisance + 1 - good)
    return tuple(tally for _, tally in sorted(known.items()))


def existence_odds(ground: Ground, tallies: Iterable[Tally], rule: Rule, tracks: Tracks) -> NDArray[np.float64] | None:
    """(n,) by how much the past lowers the odds that each track is there; None where the rule does not learn.

    Of a sensor whose alerts under the rule were genuine g times and a nuisance n times, the odds of a genuine one are
    (g + 1) : (n + 1), by the rule of succession (Laplace 1774). They count only against it, and of the sensors that saw a
    track the best one counts.
    """
    if not rule.learns:
        return None
    odds = np.ones(len(ground.sensor_ids) + 1)
    odds[-1] = 0.0  # the place of no sensor
    row_of = {id: row for row, id in enumerate(ground.sensor_ids)}
    for tally in tallies:
        if tally.rule == rule.id and tally.sensor in row_of:
            odds[row_of[tally.sensor]] = min((tally.genuine + 1) / (tally.nuisance + 1), 1.0)
    return np.asarray(odds[tracks.sensors].max(axis=1))
