"""Judging: from scans, plate readings and the sensors' condition to alerts. The table of contents of the pure half of this room.

Scans are judged as they close. A scan that is run again is judged again, from what was remembered before it; what it
then says anew joins the incidents that exist, so that an alert once raised keeps its key.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from alerts.absence import absent
from alerts.conditions import answer
from alerts.courses import known_after
from alerts.crossing import crossed
from alerts.equipment import equipment_due_ns, equipment_events
from alerts.feedback import existence_odds
from alerts.incidents import could_reach, grouped, merged
from alerts.ladder import escalated, escalation_due_ns
from alerts.levels import happened, stepped
from alerts.life import Holding, incident_due_ns, parted, remembered, reviewed, sustained, sustained_equipment
from alerts.memory import Anchors, Is, Known, Levels, Marks, Memory, after_no_tracks, looked_up, memory_due_ns
from alerts.people import Desk, acted
from alerts.plates import carriers, plates_read
from alerts.quiet import muted, silences_due_ns
from alerts.revisions import is_open
from alerts.rules import Ground
from alerts.schedule import ALWAYS, next_change_ns
from alerts.subjects import Sighting, Subjects, eligible, sightings, subjects_of
from alerts.system import fault_events, mended
from alerts.units import Unit, marked, reported
from geo.frames import wgs84_from_plane
from model.alerts import Action, Alert, Event, EventKind, Incident, Silence, Tally, Withheld
from model.detections import Detections
from model.faults import Fault
from model.health import Health
from model.time import NS
from model.tracks import Reasons, Scan, What, is_track, key_of, name_of
from model.units import UnitReport

CONDITIONS = (
    EventKind.ENTERING,
    EventKind.LEAVING,
    EventKind.DWELLING,
    EventKind.APPROACH,
    EventKind.SPEED,
    EventKind.WRONG_WAY,
    EventKind.GROUP,
    EventKind.CONVOY,
)


@dataclass(frozen=True)
class AlertsState:
    """All of alerting that changes, the outbox aside."""

    memories: tuple[Memory, ...]  # after each scan that may be run again, oldest first
    incidents: tuple[Incident, ...]  # open, or lately over
    silences: tuple[Silence, ...]
    tallies: tuple[Tally, ...]
    units: tuple[Unit, ...]  # of ours

    def clock_ns(self, now_ns: int) -> int:
        """Observed time: that of the newest scan; before any, received time."""
        return self.memories[-1].time_ns if self.memories else now_ns


@dataclass(frozen=True)
class Judgement:
    """What a step has to say."""

    alerts: tuple[Alert, ...]  # in the order in which they came about
    withheld: tuple[Withheld, ...]
    refused: tuple[tuple[Action, str], ...]  # what people did that could not be done, and why
    faults: tuple[Fault, ...]  # noticed here, of units of ours


def untold() -> AlertsState:
    """Before anything has happened."""
    return AlertsState((), (), (), (), ())


def judged(
    ground: Ground,
    state: AlertsState,
    arrived: Detections,
    reports: tuple[UnitReport, ...],
    scans: tuple[Scan, ...],
    health: Health,
    actions: tuple[Action, ...],
    before_ns: int,
    now_ns: int,
    faults: tuple[Fault, ...] = (),
) -> tuple[AlertsState, Judgement]:
    """The state at `now_ns`, and what it has to say."""
    units, jumps = reported(ground, state.units, reports)
    state = replace(state, units=units)
    at_once = [*plates_read(ground, arrived), *fault_events(ground, (*faults, *jumps), now_ns)]
    incidents, alerts = grouped(ground, state.silences, state.incidents, at_once, now_ns)
    incidents, told = mended(ground, incidents, faults, state.clock_ns(now_ns), now_ns)
    state, alerts = replace(state, incidents=incidents), alerts + told
    withheld: list[Withheld] = []
    for scan in scans:
        state, told, kept_back = _scan_judged(ground, state, scan, now_ns)
        alerts += told
        withheld += kept_back
    clock_ns = state.clock_ns(now_ns)
    desk = Desk({i.key: i for i in state.incidents}, state.silences, state.tallies)
    desk, told, refused = acted(ground, desk, actions, clock_ns)
    state = replace(state, incidents=tuple(desk.incidents.values()), silences=desk.silences, tallies=desk.tallies)
    alerts += told
    if now_ns // NS > before_ns // NS:
        state, told = _second_judged(ground, state, health, clock_ns, now_ns)
        alerts += told
    if scans or actions or now_ns // NS > before_ns // NS:
        incidents, told = muted(ground, state.silences, state.incidents, clock_ns, now_ns)
        state = replace(state, incidents=incidents)
        alerts += told
    return state, Judgement(alerts, tuple(withheld), refused, tuple(jumps))


def due_ns(ground: Ground, state: AlertsState, health: Health) -> Iterator[int]:
    """The instants, of observed or received time, at which judging may come out otherwise although nothing is seen or heard.

    Those that are past may be among them, and such as change nothing. Schedules aside.
    """
    for memory in state.memories[-1:]:
        yield from memory_due_ns(memory)
        for (rule, _), present_ns in zip(ground.watches(EventKind.ABSENCE), memory.present_ns, strict=True):
            yield present_ns + rule.dwell_ns
    yield from (unit.until_ns for unit in state.units)
    yield from (unit.distrusted_ns for unit in state.units)
    yield from equipment_due_ns(ground, health)
    yield from silences_due_ns(state.silences)
    for incident in state.incidents:
        yield from incident_due_ns(ground, incident)
        yield from escalation_due_ns(ground, incident)


def schedule_due_ns(ground: Ground, after_ns: int, until_ns: int) -> int:
    """The first instant after one at which a rule comes into force or no longer is; at the latest `until_ns`."""
    for schedule in {rule.schedule for rule in ground.rules} - {ALWAYS}:
        until_ns = next_change_ns(schedule, after_ns, until_ns)
    return until_ns


def _scan_judged(
    ground: Ground, state: AlertsState, scan: Scan, now_ns: int
) -> tuple[AlertsState, tuple[Alert, ...], list[Withheld]]:
    """One scan: what happened in it, and what becomes of the incidents."""
    earlier = tuple(m for m in state.memories if m.time_ns <= scan.after_ns) or (first_memory(ground),)
    before = earlier[-1]
    marks, subjects = marked(ground, state.units, before.marks, subjects_of(scan.time_ns, scan.tracks, before.known))
    memory, events, withheld, so = (_observed if len(subjects.tracks) else _observed_nothing)(
        ground, state, before, marks, subjects
    )
    incidents, alerts = grouped(ground, state.silences, state.incidents, events, now_ns)
    incidents = _carried(ground, incidents, subjects)
    incidents, told = merged(ground, incidents, _found_again(scan.reasons), scan.time_ns, now_ns)
    alerts += told
    seen = _sighted(ground, incidents, subjects)
    incidents = sustained(incidents, seen, _holding(incidents, so, events), scan.time_ns)
    incidents, told = parted(ground, incidents, seen, scan.time_ns, now_ns)
    alerts += told
    incidents, told = reviewed(ground, incidents, False, scan.time_ns, now_ns)
    horizon_ns = scan.time_ns - ground.lateness_ns
    oldest = max((i for i, m in enumerate(earlier) if m.time_ns <= horizon_ns), default=0)
    state = replace(state, memories=(*earlier[oldest:], memory), incidents=incidents)
    return state, alerts + told, withheld


def first_memory(ground: Ground) -> Memory:
    """Before any scan."""
    return Memory(
        0,
        Known.none(),
        tuple(Levels.none() for _ in ground.watches(*CONDITIONS)),
        tuple(Anchors.none() for _ in ground.watches(EventKind.CROSSING)),
        tuple(0 for _ in ground.watches(EventKind.ABSENCE)),
        Marks.none(),
    )


Observed = tuple[Memory, list[Event], list[Withheld], list[tuple[str, str, NDArray[np.uint64]]]]


def _observed_nothing(ground: Ground, state: AlertsState, before: Memory, marks: Marks, subjects: Subjects) -> Observed:
    """`_observed` of a scan without tracks."""
    events, present = _absences(ground, state, before, subjects)
    memory = Memory(
        subjects.time_ns,
        after_no_tracks(before.known, subjects.time_ns),
        tuple(after_no_tracks(levels, subjects.time_ns) for levels in before.levels),
        tuple(after_no_tracks(anchors, subjects.time_ns) for anchors in before.anchors),
        present,
        marks if len(before.marks) else before.marks,
    )
    return memory, events, [], []


def _absences(
    ground: Ground, state: AlertsState, before: Memory, subjects: Subjects
) -> tuple[list[Event], tuple[int, ...]]:
    """Who should be somewhere and is not, and when enough were last there, for each (rule, zone)."""
    events: list[Event] = []
    present = []
    for (rule, zone), present_ns in zip(ground.watches(EventKind.ABSENCE), before.present_ns, strict=True):
        last_ns, raised = absent(ground, rule, zone, present_ns, state.units, subjects)
        present.append(last_ns)
        events += raised
    return events, tuple(present)


def _observed(ground: Ground, state: AlertsState, before: Memory, marks: Marks, subjects: Subjects) -> Observed:
    """The memory after one scan; what happened in it and what of it is withheld, in the order of the rules; and who meets
    which condition: (rule, place, tracks)."""
    events: list[Event] = []
    kept_back: list[Event] = []
    so: list[tuple[str, str, NDArray[np.uint64]]] = []
    levels, anchors = [], []
    able = {
        rule.id: eligible(rule, subjects, existence_odds(ground, state.tallies, rule, subjects.tracks))
        for rule in ground.rules
    }
    for (rule, place), earlier in zip(ground.watches(*CONDITIONS), before.levels, strict=True):
        said = answer(ground, rule, place, subjects, able[rule.id])
        table = stepped(rule, earlier, before.known, subjects, said)
        table, raised, ours = happened(ground, rule, place, subjects, able[rule.id], said, table)
        levels.append(table.levels(subjects, earlier))
        so.append((rule.id, ground.place_id(rule, place), subjects.tracks.id[table.state >= Is.SO]))
        events += raised
        kept_back += ours
    for (rule, line), clear in zip(ground.watches(EventKind.CROSSING), before.anchors, strict=True):
        moved, raised, ours = crossed(ground, rule, line, clear, subjects, able[rule.id])
        anchors.append(moved)
        events += raised
        kept_back += ours
    raised, present = _absences(ground, state, before, subjects)
    events += raised
    known = known_after(before.known, subjects.time_ns, subjects.tracks, subjects.sigma_m)
    memory = Memory(subjects.time_ns, known, tuple(levels), tuple(anchors), present, marks)
    return memory, events, [Withheld(e, _unit_of(state.units, subjects, e)) for e in kept_back], so


def _unit_of(units: tuple[Unit, ...], subjects: Subjects, event: Event) -> str:
    """The named reason of withholding: which unit the track is, or the first of several that is one."""
    _, rows = looked_up(np.array([key_of(s) for s in event.subjects], np.uint64), subjects.tracks.id)
    names = {unit.token: unit.id for unit in units}
    return f"own_unit:{next(names[token] for token in subjects.unit[rows].tolist() if token in names)}"


def _second_judged(
    ground: Ground, state: AlertsState, health: Health, clock_ns: int, now_ns: int
) -> tuple[AlertsState, tuple[Alert, ...]]:
    """What a whole second of received time brings, scans or none."""
    wrong = equipment_events(ground, health, now_ns)
    incidents, alerts = grouped(ground, state.silences, state.incidents, wrong, now_ns)
    incidents = sustained_equipment(incidents, _holding(incidents, [], wrong), now_ns)
    incidents, told = reviewed(ground, incidents, True, now_ns, now_ns)
    alerts += told
    incidents, told = escalated(ground, incidents, clock_ns, now_ns)
    return replace(state, incidents=remembered(ground, incidents, clock_ns)), alerts + told


def _found_again(reasons: Reasons) -> dict[str, str]:
    """Tracks that turned out to be others, lost before: the name they had for a while → the one they keep."""
    again = reasons.take(reasons.what == What.FOUND_AGAIN)
    return dict(zip(map(name_of, again.other), map(name_of, again.track), strict=True))


def _carried(ground: Ground, incidents: tuple[Incident, ...], subjects: Subjects) -> tuple[Incident, ...]:
    """Incidents about a plate are about the tracks, too, that carry it and could be where it was read."""
    about = {i.key: plates for i in incidents if is_open(i) and (plates := _plates(i))}
    if not about or not subjects.tracks.plate.any():
        return incidents
    rows = carriers({p for plates in about.values() for p in plates}, subjects.tracks.plate)
    return tuple(
        replace(i, subjects=tuple(dict.fromkeys((*i.subjects, *_names(ground, subjects, rows, i, about[i.key])))))
        if i.key in about
        else i
        for i in incidents
    )


def _names(
    ground: Ground, subjects: Subjects, rows: dict[str, NDArray[np.int64]], incident: Incident, plates: set[str]
) -> list[str]:
    found = np.concatenate([rows[plate] for plate in sorted(plates)])
    tracks = subjects.tracks.take(found)
    lat, lon = wgs84_from_plane(ground.sectors, tracks.sector, tracks.mean[:, :2])
    places = zip(tracks.id.tolist(), lat.tolist(), lon.tolist(), strict=True)
    return [name_of(track) for track, north, east in places if could_reach(incident, north, east, subjects.time_ns)]


def _plates(incident: Incident) -> set[str]:
    """Tokens of the plates that it is about: as watched, and as read."""
    return {
        str(value)
        for h in incident.happenings
        if h.kind is EventKind.WATCHED_PLATE
        for name, value in h.detail
        if name in ("plate", "read")
    }


def _tracked(incidents: tuple[Incident, ...]) -> list[str]:
    """Tracks that are subjects of open incidents."""
    return sorted({s for i in incidents if is_open(i) for s in i.subjects if is_track(s)})


def _holding(
    incidents: tuple[Incident, ...], so: list[tuple[str, str, NDArray[np.uint64]]], events: list[Event]
) -> Holding:
    """What goes on, of what open incidents are about."""
    names = _tracked(incidents) if so else []
    keys = np.array([key_of(name) for name in names], np.uint64)
    held = {
        (rule, place, names[i]) for rule, place, ids in so for i in np.flatnonzero(looked_up(keys, ids)[0]).tolist()
    }
    return Holding(frozenset(held | {(e.rule, e.zone, s) for e in events for s in e.subjects}))


def _sighted(ground: Ground, incidents: tuple[Incident, ...], subjects: Subjects) -> dict[str, Sighting]:
    """Where the subjects of open incidents are, of those that are tracked."""
    keys = np.array([key_of(name) for name in _tracked(incidents)], np.uint64)
    there, rows = looked_up(keys, subjects.tracks.id)
    return {s.subject: s for s in sightings(ground, subjects, rows[there])}
