"""From what is so to what happened: confirmation, hysteresis in time, who was so from the beginning, and nothing twice."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from alerts.conditions import Answer
from alerts.memory import Is, Known, Levels, Told, by_track, looked_up, remembered_of
from alerts.rules import Ground, Rule
from alerts.schedule import in_force
from alerts.subjects import Subjects, events_of
from model.alerts import Detail, Event, EventKind
from model.time import NS

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Table:
    """How the n tracks of a scan stand towards a condition, in the order of the subjects."""

    state: NDArray[np.int8]  # (n,) Is, or -1
    since_ns: NDArray[np.int64]
    until_ns: NDArray[np.int64]
    told: NDArray[np.int8]
    left: Mask  # (n,) it was so for long enough, and now no longer is

    def levels(self, subjects: Subjects, before: Levels) -> Levels:
        """What is remembered of it."""
        kept = self.state >= 0
        here = Levels(
            subjects.tracks.id[kept],
            np.full(int(kept.sum()), subjects.time_ns, np.int64),
            self.state[kept],
            self.since_ns[kept],
            self.until_ns[kept],
            self.told[kept],
        )
        absent = before.take(remembered_of(before, subjects.tracks.id, subjects.time_ns))
        return by_track(Levels.joined([here, absent]))


def stepped(rule: Rule, before: Levels, known: Known, subjects: Subjects, so: Answer) -> Table:
    """The table after one more scan."""
    ids, now_ns, n = subjects.tracks.id, subjects.time_ns, len(subjects.tracks)
    was, row = looked_up(ids, before.track)
    anew = ~was & ~looked_up(ids, known.track)[0]
    rows = before.take(row) if len(before) else Levels.blank(n)
    state = np.where(was, rows.state, -1)
    since_ns = np.where(was, rows.since_ns, now_ns)
    told = np.where(was, rows.told, Told.NOTHING)
    begins = so.on & (state != Is.SO) & (state != Is.NO_MORE)
    since_ns = np.where(begins, now_ns, since_ns)
    told = np.where(begins, np.where(anew & (not rule.already_inside), Told.RAISED, Told.NOTHING), told)
    ends = so.off & ((state == Is.SO) | (state == Is.NO_MORE))
    until_ns = np.where(so.on | ~was | ((state == Is.SO) & ~so.off), now_ns, rows.until_ns)
    state = np.where(so.on, Is.SO, state)
    state = np.where(ends, Is.NO_MORE, state)
    state = np.where(anew & ~so.on & ~so.off, Is.UNSURE, state)
    state = np.where(so.off & (state == Is.UNSURE), -1, state)
    over = (state == Is.NO_MORE) & (now_ns - until_ns >= rule.release_ns)
    left = over & (until_ns - since_ns >= rule.confirm_ns)
    if not in_force(rule.schedule, now_ns):
        # Who is so when the schedule begins was so from the beginning.
        since_ns = np.where(state == Is.SO, now_ns, since_ns)
        told = np.where(state == Is.SO, Told.NOTHING if rule.already_inside else Told.RAISED, told)
        left = np.zeros(n, np.bool_)
    return Table(np.where(over, -1, state).astype(np.int8), since_ns, until_ns, told.astype(np.int8), left)


def happened(
    ground: Ground, rule: Rule, place: int, subjects: Subjects, able: Mask, so: Answer, table: Table
) -> tuple[Table, list[Event], list[Event]]:
    """The table with what is now told; the events to raise; and those that are withheld, of units of ours."""
    if rule.kind is EventKind.LEAVING:
        ripe = table.left & (table.told == Told.NOTHING) & able
    else:
        ripe = (table.state == Is.SO) & (subjects.time_ns - table.since_ns >= rule.confirm_ns) & able & so.on
        ripe &= table.told != Told.RAISED
    ours = subjects.unit != 0
    if so.company is not None:
        return _of_companies(ground, rule, place, subjects, so, table, ripe, ours)
    raised, withheld = ripe & ~ours & ~subjects.perhaps, ripe & ours & (table.told == Told.NOTHING)
    told = np.where(raised, Told.RAISED, np.where(withheld, Told.WITHHELD, table.told)).astype(np.int8)
    return (
        replace(table, told=told),
        _events(ground, rule, place, subjects, so, table, np.flatnonzero(raised)),
        _events(ground, rule, place, subjects, so, table, np.flatnonzero(withheld)),
    )


def _of_companies(
    ground: Ground, rule: Rule, place: int, subjects: Subjects, so: Answer, table: Table, ripe: Mask, ours: Mask
) -> tuple[Table, list[Event], list[Event]]:
    """One event for each company with somebody in it who has not been told of, if enough of it are not ours."""
    assert so.company is not None
    raised, withheld, told = [], [], table.told.copy()
    for label in np.unique(so.company[ripe]).tolist():
        members = np.flatnonzero(so.company == label)
        strangers = members[~ours[members]]
        if len(strangers) >= rule.count_min:
            if not subjects.perhaps[strangers].any():
                raised.append(strangers)
                told[members] = Told.RAISED
        elif (told[members] == Told.NOTHING).any():
            withheld.append(members)
            told[members] = Told.WITHHELD
    return (
        replace(table, told=told),
        _events(ground, rule, place, subjects, so, table, _firsts(raised), raised),
        _events(ground, rule, place, subjects, so, table, _firsts(withheld), withheld),
    )


def _firsts(companies: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.array([members[0] for members in companies], np.int64)


def _events(
    ground: Ground,
    rule: Rule,
    place: int,
    subjects: Subjects,
    so: Answer,
    table: Table,
    rows: NDArray[np.int64],
    company: list[NDArray[np.int64]] | None = None,
) -> list[Event]:
    details: list[Detail] = []
    for row in rows.tolist():
        figures = {name: round(float(value[row]), 1) for name, value in so.figures.items()}
        if rule.kind is EventKind.DWELLING:
            figures["dwell_s"] = float((subjects.time_ns - table.since_ns[row]) // NS)
        elif rule.kind is EventKind.LEAVING:
            figures["stayed_s"] = float((table.until_ns[row] - table.since_ns[row]) // NS)
        details.append(tuple(figures.items()))
    return events_of(
        ground,
        rule,
        ground.place_id(rule, place),
        subjects,
        rows,
        so.probability[rows],
        table.since_ns[rows],
        details,
        company,
    )
