"""Events into incidents: one real-world happening is one incident, whatever rules, tracks and sensors have a part in it.

An event belongs to the open incident with which it shares a subject; otherwise to one of its rule, or of another that
does not stand apart, that is near enough in space and time. Incidents that come to share a subject are merged, a
subject that goes far from the others is split off, and both keep their history.
"""

from collections.abc import Iterable
from dataclasses import replace
from hashlib import blake2b

import numpy as np

from alerts.quiet import reason_to_mute, with_own_silences
from alerts.revisions import Told, Why, is_open, revised
from alerts.routing import routed, routed_again, routed_also
from alerts.rules import Ground, Rule
from alerts.standing import withheld_from_copies
from alerts.subjects import Sighting, alike
from geo.frames import EARTH_M_PER_DEGREE
from model.alerts import (
    EQUIPMENT,
    Alert,
    Event,
    EventKind,
    Evidence,
    Happening,
    Incident,
    Phase,
    Routed,
    Silence,
    changed,
)
from model.time import NS
from model.tracks import is_track, name_of

WALKING_MPS = 1.3  # how fast what stood when it was lost may have gone meanwhile
HURRYING_MPS = 2.0  # and what went nobody knows how, at most
STRAYING = 0.35  # what is lost may be off its course by this share of its way
FASTEST_MPS = 80.0  # a vehicle between two readings of its plate
CLOCKS_S = 60.0  # by so much two readers' clocks differ, or a report lags behind the vehicle
STORM_SHARE = 0.25  # of the incidents that make a storm: so many an event's own sensors raise before it is gathered
UNSEEN_S = 5.0  # who was not seen for so long may be found again under another name
LOST_S = 300.0  # and for so long after
PLACE = ("sector", "x", "y", "sigma", "vx", "vy", "v_sigma", "first", "event", "lost", "last", "open")
REOPEN_NS = 600 * NS  # what comes back so soon after it ended is the same
ALONE = EQUIPMENT | {EventKind.ABSENCE}  # what no track has a part in


class Book:
    """Incidents while events are sorted into them: found by key, by subject, and by place and time."""

    def __init__(self, incidents: Iterable[Incident]) -> None:
        self.incidents: dict[str, Incident] = {}
        self._of_subject: dict[str, list[str]] = {}
        self._keys: list[str] = []
        self._places = np.zeros((0, len(PLACE)))  # of all but those in `_moved`
        self._row: dict[str, int] = {}
        self._moved: dict[str, None] = {}
        for incident in incidents:
            self.put(incident)

    def put(self, incident: Incident) -> None:
        before = self.incidents.get(incident.key)
        if before is None or incident.subjects is not before.subjects:
            for subject in incident.subjects:
                if before is None or subject not in before.subjects:
                    self._of_subject.setdefault(subject, []).append(incident.key)
        self.incidents[incident.key] = incident
        self._moved[incident.key] = None

    def all(self) -> tuple[Incident, ...]:
        return tuple(self.incidents.values())

    def with_subjects(self, subjects: Iterable[str]) -> list[Incident]:
        """Those in which any of them has a part, the eldest first."""
        keys = dict.fromkeys(k for s in subjects for k in self._of_subject.get(s, ()))
        if len(keys) < 2:
            return [self.incidents[k] for k in keys]
        return sorted((self.incidents[k] for k in keys), key=lambda i: (i.first_ns, i.key))

    def near(self, rule: Rule, event: Event) -> list[Incident]:
        """Those whose subjects, going on as they went, would be where an event is, and go as it does; the nearest first.

        Either something happened in them about the same time, or a subject is out of sight and could be found again:
        whoever passes by somebody who has sat there for hours has no part in that. Open ones, and such as ended lately.
        """
        self._settle()
        place = dict(zip(PLACE, self._places[: len(self._keys)].T, strict=True))
        at_s, join_s = event.observed_ns / NS, rule.join_ns / NS
        gap_s = np.maximum(at_s - place["last"], 0.0)
        soon = (at_s >= place["first"] - join_s) & (gap_s <= np.where(place["open"] > 0, join_s, REOPEN_NS / NS))
        soon &= (at_s - place["event"] <= join_s) | (gap_s >= UNSEEN_S) | (at_s - place["lost"] <= LOST_S)
        apart = np.hypot(
            place["x"] + place["vx"] * gap_s - event.at.position[0],
            place["y"] + place["vy"] * gap_s - event.at.position[1],
        )
        pace = np.maximum(np.hypot(place["vx"], place["vy"]), WALKING_MPS)
        off_mps = np.maximum(STRAYING * pace, np.minimum(place["v_sigma"], HURRYING_MPS))
        reach = rule.join_m + event.at.sigma_m + place["sigma"] + off_mps * gap_s
        velocity, sigma = np.array([event.at.velocity]), np.array([event.at.velocity_sigma_mps])
        together = alike(np.column_stack([place["vx"], place["vy"]]), place["v_sigma"], velocity, sigma)
        found = np.flatnonzero(soon & together & (place["sector"] == event.at.sector) & (apart <= reach))
        return [self.incidents[self._keys[i]] for i in found[np.argsort(apart[found], kind="stable")].tolist()]

    def whole(self, incident: Incident) -> Incident:
        """What an incident is now a part of, or itself."""
        while incident.merged_into in self.incidents:
            incident = self.incidents[incident.merged_into]
        return incident

    def _settle(self) -> None:
        """Write down the places of those that have moved since somebody asked."""
        rows = []
        for key in self._moved:
            row = self._row.setdefault(key, len(self._row))
            if row == len(self._keys):
                self._keys.append(key)
            rows.append(row)
        if len(self._keys) > len(self._places):
            more = np.zeros((max(len(self._keys) - len(self._places), len(self._places), 64), len(PLACE)))
            self._places = np.concatenate([self._places, more])
        if rows:
            self._places[rows] = [
                (
                    i.at.sector,
                    *i.at.position,
                    i.at.sigma_m,
                    *i.at.velocity,
                    i.at.velocity_sigma_mps,
                    i.first_ns / NS,
                    max(h.event_ns for h in i.happenings) / NS,
                    i.lost_ns / NS,
                    i.last_ns / NS,
                    is_open(i),
                )
                for i in (self.incidents[key] for key in self._moved)
            ]
        self._moved = {}


def grouped(
    ground: Ground,
    silences: tuple[Silence, ...],
    incidents: tuple[Incident, ...],
    events: Iterable[Event],
    now_ns: int,
) -> Told:
    """The incidents after `events`, and the alerts of those just raised."""
    events = list(events)
    if not events:
        return incidents, ()
    book = Book(incidents)
    alerts: list[Alert] = []
    for event in events:
        rule = ground.rule_of[event.rule]
        home = _home(ground, book, rule, event, now_ns)
        if home is not None and _ended_by_itself(home) and event.observed_ns > home.last_ns:
            again = _joined(ground, rule, changed(home, phase=Phase.UPDATED), event, now_ns)
            alerts.append(revised(ground, again, Why.REOPENED, event.observed_ns, now_ns))
            book.put(alerts[-1].incident)
            continue
        if home is not None:
            book.put(_joined(ground, rule, home, event, now_ns))
            continue
        fresh = _raised(ground, rule, event, now_ns, _storm(ground, book, rule, event, now_ns))
        fresh = replace(fresh, muted=reason_to_mute(ground, silences, book.incidents.values(), fresh, now_ns))
        fresh = with_own_silences(silences, fresh, now_ns)
        alert = revised(ground, fresh, Why.RAISED, event.observed_ns, now_ns)
        alerts.append(alert)
        book.put(alert.incident)
    return book.all(), tuple(alerts)


def _home(ground: Ground, book: Book, rule: Rule, event: Event, now_ns: int) -> Incident | None:
    """The incident that an event is part of: open; or over for so short a time that it is the same; or, of a scan that is run
    again, over."""
    known = book.incidents.get(_key_of(ground, event))
    if known is not None:  # it goes on; also when somebody has resolved it meanwhile
        return known
    for incident in book.with_subjects(event.subjects):
        ours = any(h.rule == rule.id for h in incident.happenings)
        if not ours and (rule.apart or _stands_apart(ground, incident)):
            continue
        if event.kind is EventKind.WATCHED_PLATE and not could_reach(
            incident, event.at.lat, event.at.lon, event.observed_ns
        ):
            continue
        if is_open(incident) or (ours and event.observed_ns <= incident.last_ns) or _comes_back(incident, event):
            return incident
    if event.kind in ALONE or event.kind is EventKind.WATCHED_PLATE:
        return _gathering(book, rule) if _storm(ground, book, rule, event, now_ns) else None
    for near in book.near(rule, event):
        incident = book.whole(near)
        same = all(h.rule == rule.id and h.zone == event.zone for h in incident.happenings)
        goes_on = is_open(incident) or _comes_back(incident, event)
        if goes_on and not incident.storm and (same or not (rule.apart or _stands_apart(ground, incident))):
            return incident
    return _gathering(book, rule) if _storm(ground, book, rule, event, now_ns) else None


def could_reach(incident: Incident, lat: float, lon: float, at_ns: int) -> bool:
    """Can a vehicle be where an incident was last and at this place at these times?

    The same plate at two places that none can drive between in the time is on two vehicles, or one of the readers errs or lies.
    It must not take the other's alert into its own incident.
    """
    east = ((lon - incident.at.lon + 180.0) % 360.0 - 180.0) * np.cos(np.radians(lat))
    apart_m = EARTH_M_PER_DEGREE * np.hypot(lat - incident.at.lat, east)
    return bool(apart_m <= FASTEST_MPS * (abs(at_ns - incident.last_ns) / NS + CLOCKS_S) + 3 * incident.at.sigma_m)


def _comes_back(incident: Incident, event: Event) -> bool:
    """It ended by itself, and not long ago."""
    return _ended_by_itself(incident) and 0 < event.observed_ns - incident.last_ns <= REOPEN_NS


def _ended_by_itself(incident: Incident) -> bool:
    return not is_open(incident) and not incident.resolution and not incident.merged_into


def _stands_apart(ground: Ground, incident: Incident) -> bool:
    """No rule but its own has a part in it: it says so, or there is no target in it."""
    first = incident.happenings[0]
    return first.kind in ALONE or (first.rule in ground.rule_of and ground.rule_of[first.rule].apart)


def _storm(ground: Ground, book: Book, rule: Rule, event: Event, now_ns: int) -> bool:
    """Has a rule raised more than anybody could read one by one, a good part of it by the sensors of this event?

    Sensors that raise next to nothing have no part in a storm: else one that errs or lies would hide what all others see.
    """
    most = ground.habits.storm_incidents
    if not most or len(book.incidents) < most:
        return False
    lately = [
        i
        for i in book.incidents.values()
        if now_ns - i.raised_ns <= ground.habits.storm_ns and i.happenings[0].rule == rule.id and not i.split_from
    ]
    if len(lately) < most:
        return False
    sensors = {e.sensor for e in event.evidence}
    part = sum(1 for i in lately if any(e.sensor in sensors for e in i.evidence))
    return not sensors or part >= most * STORM_SHARE


def _gathering(book: Book, rule: Rule) -> Incident | None:
    """The open incident that stands for what a rule has too much of."""
    return next(
        (i for i in book.incidents.values() if i.storm and is_open(i) and i.happenings[0].rule == rule.id), None
    )


def _key(ground: Ground, *parts: object) -> str:
    said = "|".join((ground.site, *map(str, parts)))
    return "A" + name_of(int.from_bytes(blake2b(said.encode(), digest_size=8).digest()))[1:]


def _key_of(ground: Ground, event: Event) -> str:
    """The key of the alert that an event raises."""
    return _key(ground, event.rule, event.zone, event.subjects[0], event.origin_ns)


def _raised(ground: Ground, rule: Rule, event: Event, now_ns: int, storm: bool) -> Incident:
    return Incident(
        key=_key_of(ground, event),
        happenings=(_happening(rule, event),),
        subjects=event.subjects,
        first_ns=event.observed_ns,
        last_ns=event.observed_ns,
        raised_ns=now_ns,
        at=event.at,
        classes=event.classes,
        evidence=event.evidence,
        routed=routed(ground, event, now_ns),
        revision=0,
        phase=Phase.RAISED,
        told_ns=event.observed_ns,
        told_happenings=0,
        told_subjects=0,
        told_sensors=0,
        storm=storm,
    )


def _happening(rule: Rule, event: Event) -> Happening:
    return Happening(
        rule=rule.id,
        kind=event.kind,
        zone=event.zone,
        severity=rule.severity,
        first_ns=event.observed_ns,
        event_ns=event.observed_ns,
        held_ns=event.observed_ns,
        probability=event.probability,
        detail=event.detail,
    )


def _joined(ground: Ground, rule: Rule, incident: Incident, event: Event, now_ns: int) -> Incident:
    if not is_open(incident):
        return changed(
            incident, told_ns=max(incident.told_ns, event.observed_ns)
        )  # not to be forgotten while it goes on
    if all((h.rule, h.zone) != (rule.id, event.zone) for h in incident.happenings):
        incident = changed(incident, routed=routed_also(ground, incident, event, now_ns))
    joined = changed(
        incident,
        happenings=_with(incident.happenings, _happening(rule, event)),
        first_ns=min(incident.first_ns, event.observed_ns),
        evidence=merged_evidence(incident.evidence, event.evidence),
    )
    if any(subject not in incident.subjects for subject in event.subjects):
        joined = changed(joined, subjects=tuple(dict.fromkeys((*incident.subjects, *event.subjects))))
    if event.observed_ns < incident.last_ns:
        return joined
    return changed(joined, last_ns=event.observed_ns, at=event.at, classes=event.classes or incident.classes)


def _with(happenings: tuple[Happening, ...], one: Happening) -> tuple[Happening, ...]:
    """One rule at one place is one happening, however often it says so."""
    for i, known in enumerate(happenings):
        if (known.rule, known.zone) == (one.rule, one.zone):
            joined = changed(
                known,
                first_ns=min(known.first_ns, one.first_ns),
                event_ns=max(known.event_ns, one.event_ns),
                held_ns=max(known.held_ns, one.held_ns),
                probability=max(known.probability, one.probability),
                detail=known.detail if known.kind is not EventKind.GROUP else one.detail,
            )
            return (*happenings[:i], joined, *happenings[i + 1 :])
    return (*happenings, one)


def merged_evidence(ours: tuple[Evidence, ...], theirs: tuple[Evidence, ...]) -> tuple[Evidence, ...]:
    """Each sensor once, with its newest look."""
    if not theirs:
        return ours
    newest = {e.sensor: e.time_ns for e in ours}
    for e in theirs:
        newest[e.sensor] = max(e.time_ns, newest.get(e.sensor, e.time_ns))
    return tuple(Evidence(sensor, time_ns) for sensor, time_ns in newest.items())


# ── merging and splitting ────────────────────────────────────────────────────────────────────────


def merged(
    ground: Ground, incidents: tuple[Incident, ...], renamed: dict[str, str], clock_ns: int, now_ns: int
) -> Told:
    """Open incidents that share a track become one, the eldest. `renamed` are tracks found to be another, lost before.

    A plate that two of them share merges none: they are two because no vehicle can be at both places (`could_reach`).
    """
    if renamed:
        incidents = tuple(_renamed(i, renamed) if is_open(i) else i for i in incidents)
    open_ones = sorted((i for i in incidents if is_open(i)), key=lambda i: (i.first_ns, i.key))
    eldest: dict[str, str] = {}
    known = {i.key: i for i in incidents}
    alerts: list[Alert] = []
    for incident in open_ones:
        if _stands_apart(ground, incident) or incident.storm:
            continue
        tracks = tuple(filter(is_track, incident.subjects))
        into = next((eldest[s] for s in tracks if s in eldest), None)
        if into is None:
            eldest.update(dict.fromkeys(tracks, incident.key))
            continue
        eldest.update(dict.fromkeys(tracks, into))
        pair = merged_pair(ground, known[into], incident, clock_ns, now_ns)
        alerts += pair
        known |= {alert.incident.key: alert.incident for alert in pair}
    return (tuple(known.values()), tuple(alerts)) if alerts else (incidents, ())


def merged_pair(
    ground: Ground, into: Incident, part: Incident, clock_ns: int, now_ns: int, by: str = "", note: str = ""
) -> tuple[Alert, Alert]:
    """One incident into another: the whole, and the part, which is over."""
    happenings = into.happenings
    for happening in part.happenings:
        happenings = _with(happenings, happening)
    newest = part if part.last_ns > into.last_ns else into
    whole = replace(
        into,
        happenings=happenings,
        subjects=tuple(dict.fromkeys((*into.subjects, *part.subjects))),
        first_ns=min(into.first_ns, part.first_ns),
        last_ns=newest.last_ns,
        at=newest.at,
        evidence=merged_evidence(into.evidence, part.evidence),
        routed=_merged_routes(ground, into, part),
        parts=(*into.parts, part.key, *part.parts),
    )
    gone = replace(part, merged_into=into.key)
    return (
        revised(ground, whole, Why.MERGED, clock_ns, now_ns, by, note or part.key),
        revised(ground, gone, Why.MERGED_AWAY, clock_ns, now_ns, by, note or into.key),
    )


def _merged_routes(ground: Ground, into: Incident, part: Incident) -> tuple[Routed, ...]:
    """The agencies of both. What one of the two keeps from its copies is not given to those who come in by the other."""
    has = {r.agency for r in into.routed}
    of_into, of_part = withheld_from_copies(ground, into), withheld_from_copies(ground, part)
    kept = (r if r.lead else _without(r, of_part) for r in into.routed)
    more = (replace(_without(r, of_into), lead=False) for r in part.routed if r.agency not in has)
    return (*kept, *more)


def _without(route: Routed, fields: tuple[str, ...]) -> Routed:
    return replace(route, withheld=tuple(sorted({*route.withheld, *fields}))) if fields else route


def _renamed(incident: Incident, renamed: dict[str, str]) -> Incident:
    subjects = tuple(dict.fromkeys(renamed.get(s, s) for s in incident.subjects))
    return incident if subjects == incident.subjects else replace(incident, subjects=subjects)


def split(
    ground: Ground,
    incident: Incident,
    subjects: tuple[str, ...],
    at: Sighting | None,
    clock_ns: int,
    now_ns: int,
    by: str = "",
    note: str = "",
) -> tuple[Alert, Alert] | None:
    """Some of an incident's subjects as an incident of their own; None where nobody would go, or stay."""
    going = tuple(s for s in incident.subjects if s in subjects)
    staying = tuple(s for s in incident.subjects if s not in subjects)
    if not going or not staying:
        return None
    rest = replace(incident, subjects=staying, astray=tuple(a for a in incident.astray if a[0] not in going))
    fresh = replace(
        incident,
        key=_key(ground, "split", incident.key, going[0]),
        subjects=going,
        raised_ns=now_ns,
        revision=0,
        phase=Phase.RAISED,
        informed=(),
        log=(),
        parts=(),
        astray=(),
        split_from=incident.key,
        acknowledged_by="",
        acknowledged_ns=0,
        assigned_to="",
        routed=tuple(replace(r, since_ns=now_ns, rung=0) for r in incident.routed),
    )
    if at is not None:
        fresh = replace(fresh, at=at.at, last_ns=at.seen_ns)
        fresh = replace(fresh, routed=routed_again(ground, fresh, now_ns))
    return (
        revised(ground, fresh, Why.SPLIT, clock_ns, now_ns, by, note or incident.key),
        revised(ground, rest, Why.SPLIT, clock_ns, now_ns, by, note or fresh.key),
    )
