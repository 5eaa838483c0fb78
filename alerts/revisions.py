"""A revision of an incident: why it is told of, in what phase, to which channels. The one place where revisions are made."""

from dataclasses import replace
from enum import StrEnum

from alerts.routing import channels_of
from alerts.rules import Ground
from alerts.wording import text_of
from model.alerts import Alert, Entry, Incident, Informed, Phase

Told = tuple[tuple[Incident, ...], tuple[Alert, ...]]  # incidents after something, and what is told of it

LOG_KEPT = 200  # lines of an incident's log; all revisions are in the outbox


class Why(StrEnum):
    """Why an incident is told of, or told of again."""

    RAISED = "raised"
    REOPENED = "reopened"
    GRAVER = "graver"
    ANOTHER_RULE = "another_rule"
    ANOTHER_SUBJECT = "another_subject"
    NEW_SENSORS = "new_sensors"
    REPEAT = "repeat_interval_elapsed"
    UNSEEN = "unseen"
    LEFT = "left"
    TIME_PASSED = "time_passed"
    HEARD_AGAIN = "heard_again"
    SWITCHED_ON = "switched_on"
    PRESENT_AGAIN = "present_again"
    COVERED_AGAIN = "covered_again"
    TAMPERING_OVER = "tampering_over"
    HOURS_OVER = "hours_over"
    WORKS_AGAIN = "works_again"
    MERGED = "merged"
    MERGED_AWAY = "merged_away"
    SPLIT = "split"
    SILENCED = "silenced"
    SILENCE_OVER = "silence_over"
    INHIBITED = "inhibited"
    INHIBITION_OVER = "inhibition_over"
    ESCALATED = "escalated"
    ACKNOWLEDGED = "acknowledged"
    ASSIGNED = "assigned"
    NOTED = "noted"
    RESOLVED = "resolved"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    OFFERED = "offered"
    SHARED = "shared"


BACK = frozenset({Why.HEARD_AGAIN, Why.SWITCHED_ON, Why.PRESENT_AGAIN, Why.COVERED_AGAIN, Why.TAMPERING_OVER})
OVER = BACK | {Why.UNSEEN, Why.LEFT, Why.TIME_PASSED, Why.HOURS_OVER, Why.WORKS_AGAIN, Why.MERGED_AWAY, Why.RESOLVED}


def revised(
    ground: Ground, incident: Incident, why: Why, clock_ns: int, now_ns: int, by: str = "", note: str = ""
) -> Alert:
    """The next revision. `clock_ns` is observed time, `now_ns` received time."""
    revision = incident.revision + 1
    over = why in OVER or not is_open(incident)
    phase = Phase.CLEARED if over else Phase.RAISED if revision == 1 else Phase.UPDATED
    after = replace(
        incident,
        revision=revision,
        phase=phase,
        told_ns=clock_ns,
        told_happenings=len(incident.happenings),
        told_subjects=len(incident.subjects),
        told_sensors=len(incident.evidence),
        log=(*incident.log, Entry(now_ns, why.value, by, note))[-LOG_KEPT:],
    )
    after = replace(after, informed=_informed(ground, after, now_ns))
    return Alert(after, why.value, now_ns, text_of(ground, after, why.value))


def _informed(ground: Ground, incident: Incident, now_ns: int) -> tuple[Informed, ...]:
    """Who knows of it, after this revision. Nobody is told of an incident for the first time when it is over, or muted."""
    if incident.muted or not is_open(incident):
        return incident.informed
    known = {i.channel for i in incident.informed}
    fresh = [c for route, c in channels_of(ground, incident) if c.id not in known and not route.muted]
    return (*incident.informed, *(Informed(c.id, incident.revision, now_ns) for c in fresh))


def is_open(incident: Incident) -> bool:
    return incident.phase is not Phase.CLEARED
