"""Judging: from scans, plate readings and silences to alerts. The table of contents of the pure half of this room.

Scans are judged as they close. A scan that is run again is judged again, from what was remembered before it; what it
then says anew joins the incidents that exist, so that an alert once raised keeps its key.
"""

from dataclasses import dataclass

import numpy as np

from alerts.incidents import Sighting, acted, grouped, is_open, remembered, reviewed, sustained
from alerts.memory import Memory, looked_up
from alerts.places import first_memory, observed
from alerts.plates import plates_read
from alerts.rules import Ground
from alerts.silence import silences
from alerts.subjects import Subjects, sightings, subjects_of
from model.alerts import Action, Alert, Event, Incident
from model.detections import Detections
from model.health import Health
from model.time import NS
from model.tracks import Scan, key_of


@dataclass(frozen=True)
class AlertsState:
    """All of alerting that changes, the outbox aside."""

    memories: tuple[Memory, ...]  # after each scan that may be run again, oldest first
    incidents: tuple[Incident, ...]  # open, or lately over


def untold() -> AlertsState:
    """Before anything has happened."""
    return AlertsState((), ())


def judged(
    ground: Ground,
    state: AlertsState,
    arrived: Detections,
    scans: tuple[Scan, ...],
    health: Health,
    actions: tuple[Action, ...],
    before_ns: int,
    now_ns: int,
) -> tuple[AlertsState, tuple[Alert, ...], tuple[Action, ...]]:
    """The state at `now_ns`; the alerts to tell, in the order in which they came about; and actions on no known alert."""
    incidents, alerts = grouped(ground, state.incidents, plates_read(ground, arrived), now_ns)
    memories = state.memories
    for scan in scans:
        subjects = subjects_of(scan.time_ns, scan.tracks)
        memories, events = _scan_judged(ground, tuple(m for m in memories if m.time_ns <= scan.after_ns), subjects)
        incidents, told = _scan_grouped(ground, incidents, subjects, events, now_ns)
        alerts += told
    if now_ns // NS > before_ns // NS:
        incidents, told = _second_judged(ground, incidents, health, now_ns)
        alerts += told
    incidents, told, astray = acted(ground, incidents, actions)
    clock_ns = memories[-1].time_ns if memories else now_ns
    return AlertsState(memories, remembered(ground, incidents, clock_ns)), alerts + told, astray


def _scan_judged(
    ground: Ground, memories: tuple[Memory, ...], subjects: Subjects
) -> tuple[tuple[Memory, ...], list[Event]]:
    before = memories or (first_memory(ground, 0),)
    after, events = observed(ground, before[-1], subjects)
    horizon_ns = subjects.time_ns - ground.lateness_ns
    oldest = max((i for i, m in enumerate(before) if m.time_ns <= horizon_ns), default=0)
    return (*before[oldest:], after), events


def _scan_grouped(
    ground: Ground, incidents: tuple[Incident, ...], subjects: Subjects, events: list[Event], now_ns: int
) -> tuple[tuple[Incident, ...], tuple[Alert, ...]]:
    incidents, raised = grouped(ground, incidents, events, now_ns)
    incidents = sustained(incidents, _sighted(ground, incidents, subjects))
    incidents, again = reviewed(ground, incidents, subjects.time_ns, now_ns)
    return incidents, raised + again


def _second_judged(
    ground: Ground, incidents: tuple[Incident, ...], health: Health, now_ns: int
) -> tuple[tuple[Incident, ...], tuple[Alert, ...]]:
    silent = silences(ground, health, now_ns)
    incidents, raised = grouped(ground, incidents, silent, now_ns)
    incidents, again = reviewed(ground, incidents, now_ns, now_ns, frozenset(e.zone for e in silent))
    return incidents, raised + again


def _sighted(ground: Ground, incidents: tuple[Incident, ...], subjects: Subjects) -> dict[str, Sighting]:
    """Where the subjects of open incidents are, of those that are tracked."""
    wanted = sorted({key_of(s) for i in incidents if is_open(i) for s in i.subjects if s.startswith("T")})
    keys = np.array(wanted, np.uint64)
    there, rows = looked_up(keys, subjects.tracks.id)
    return {s.subject: s for s in sightings(ground, subjects, rows[there])}
