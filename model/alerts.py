"""Events, incidents, alerts and deliveries: few, and read by people, so records and not columns."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

R = TypeVar("R")
Detail = tuple[tuple[str, str | float], ...]  # what else a reason should say: direction, dwell_s, token …


class EventKind(StrEnum):
    """What happened, as a rule names it."""

    CROSSING = "crossing"
    ENTERING = "entering"
    LEAVING = "leaving"
    DWELLING = "dwelling"
    APPROACH = "approach"
    SPEED = "speed"
    WRONG_WAY = "wrong_way"
    GROUP = "group"
    CONVOY = "convoy"
    WATCHED_PLATE = "watched_plate"
    ABSENCE = "absence"
    SILENT_SENSOR = "silent_sensor"
    TAMPERED_SENSOR = "tampered_sensor"
    COVERAGE_GAP = "coverage_gap"
    SYSTEM_FAULT = "system_fault"


EQUIPMENT = frozenset(  # no target in it
    {EventKind.SILENT_SENSOR, EventKind.TAMPERED_SENSOR, EventKind.COVERAGE_GAP, EventKind.SYSTEM_FAULT}
)
GATEWAY = "gateway:"  # begins the subject of an event about what carries the messages of several sensors
SEVERITIES = ("information", "minor", "major", "critical")  # in order


class Phase(StrEnum):
    RAISED = "raised"
    UPDATED = "updated"
    CLEARED = "cleared"


@dataclass(frozen=True)
class Evidence:
    """One sensor's part in it."""

    sensor: str
    time_ns: int  # ns, when it last saw it


@dataclass(frozen=True)
class Fix:
    """Where something is, and which way it goes."""

    sector: int
    position: tuple[float, float]  # m in the sector plane
    lat: float  # degrees WGS84
    lon: float
    sigma_m: float = 0.0  # largest standard deviation of the position
    velocity: tuple[float, float] = (0.0, 0.0)  # m/s in the sector plane
    velocity_sigma_mps: float = float("inf")  # its largest standard deviation; infinite: unknown


@dataclass(frozen=True)
class Event:
    """One thing that a rule noticed of tracks (or of a sensor, or a place) at one time."""

    kind: EventKind
    rule: str  # its id in rules.toml
    zone: str  # zone, line or sensor id
    subjects: tuple[str, ...]  # track names, a plate token, a sensor id or a zone id; the first is the one it is about
    observed_ns: int  # ns
    origin_ns: int  # ns, when the happening began as far as the rule knows: part of the alert's key
    at: Fix
    probability: float  # that it happened as told
    classes: tuple[tuple[str, float], ...]  # (class, probability), most probable first
    evidence: tuple[Evidence, ...]
    detail: Detail = ()


@dataclass(frozen=True)
class Withheld:
    """An event that raised nothing, and the named reason why."""

    event: Event
    reason: str  # `own_unit:<id>`


class Stance(StrEnum):
    """What an agency has said to its having an incident."""

    NONE = ""
    ACCEPTED = "accepted"
    DECLINED = "declined"


@dataclass(frozen=True)
class Routed:
    """One agency, and why it gets this."""

    agency: str
    lead: bool
    reason: str  # named reason: `jurisdiction`, `agreement:<id>`, `precedence`, `nearest_jurisdiction` …
    area: str = ""  # the jurisdiction or zone that decided
    withheld: tuple[str, ...] = ()  # fields that its agreement, or who gave it the incident, does not give it
    since_ns: int = 0  # received-time ns, since when; an escalation ladder begins here
    stance: Stance = Stance.NONE
    rung: int = 0  # of its escalation ladder that has been reached
    muted: str = ""  # `silence:<id>` of its own, by which it is not told; empty: it is
    may: tuple[str, ...] = ("note",)  # what it may do with its copy; who leads may do everything


@dataclass(frozen=True)
class Informed:
    """A channel that has been told of an incident, and with which revision first."""

    channel: str
    revision: int
    told_ns: int


@dataclass(frozen=True)
class Happening:
    """One rule's part in an incident."""

    rule: str
    kind: EventKind
    zone: str
    severity: str
    first_ns: int  # observed ns of its first event
    event_ns: int  # observed ns of its last event
    held_ns: int  # observed ns up to which it is known to have gone on
    probability: float
    detail: Detail = ()


@dataclass(frozen=True)
class Entry:
    """A line in an incident's log, which all its agencies share."""

    time_ns: int  # received time
    what: str  # the named reason of the revision
    by: str = ""  # who, where a person did it
    note: str = ""


@dataclass(frozen=True)
class Incident:
    """One real-world happening. `key` never changes once raised."""

    key: str
    happenings: tuple[Happening, ...]  # in order of appearance; never empty
    subjects: tuple[str, ...]  # tracks, plate tokens or sensors, in order of appearance
    first_ns: int  # observed ns of the first event
    last_ns: int  # observed ns of the newest sign of it
    raised_ns: int  # received-time ns of the step that raised it
    at: Fix  # newest
    classes: tuple[tuple[str, float], ...]
    evidence: tuple[Evidence, ...]
    routed: tuple[Routed, ...]
    revision: int
    phase: Phase
    told_ns: int  # observed ns of the last revision told
    told_happenings: int  # how many happenings, subjects and sensors that revision named
    told_subjects: int
    told_sensors: int
    informed: tuple[Informed, ...] = ()
    log: tuple[Entry, ...] = ()
    muted: str = ""  # why nobody is told: `silence:<id>`, `inhibition:<id>`; empty: they are
    acknowledged_by: str = ""
    acknowledged_ns: int = 0
    assigned_to: str = ""
    resolution: str = ""  # disposition, once resolved
    resolved_by: str = ""
    offered_to: str = ""  # the agency that it was handed to and that has not accepted yet
    disputed: bool = False  # who should hold it has declined it, and nobody else has accepted
    storm: bool = False  # it stands for more happenings of one rule than could be told of one by one
    merged_into: str = ""  # the incident of which this one turned out to be a part
    parts: tuple[str, ...] = ()  # incidents that were merged into this one
    split_from: str = ""
    astray: tuple[tuple[str, int], ...] = ()  # (subject, since ns) that are far from the others
    in_sight: tuple[str, ...] = ()  # subjects that the last scan had
    lost_ns: int = 0  # observed ns when the last scan but one had a subject that the last one had not; 0: never

    @property
    def gravest(self) -> Happening:
        """What the headline is about: the first of the gravest."""
        return max(self.happenings, key=lambda h: SEVERITIES.index(h.severity))

    @property
    def severity(self) -> str:
        return self.gravest.severity

    @property
    def rule(self) -> str:
        return self.gravest.rule

    @property
    def kind(self) -> EventKind:
        return self.gravest.kind

    @property
    def zone(self) -> str:
        return self.gravest.zone


@dataclass(frozen=True)
class Alert:
    """One revision of an incident, as agencies are told of it."""

    incident: Incident
    why: str  # named reason of this revision: raised, another_rule, new_sensors, unseen, acknowledged …
    told_ns: int  # received-time ns of the step
    text: str  # one or two lines that an officer understands
    agencies: tuple[str, ...] = ()  # that alone need to be told of it, as of their own silence; empty: all


@dataclass(frozen=True)
class View:
    """A revision as one agency may see it, where that is less than all of it."""

    incident: str
    revision: int
    agency: str
    record: bytes


@dataclass(frozen=True)
class Delivery:
    """One alert revision to one agency over one channel. `key` is made from its content."""

    key: str
    agency: str
    channel: str  # the channel's id in agencies.toml
    incident: str  # the incident's key: deliveries of one incident and channel keep their order
    revision: int
    body: bytes  # what is sent, as the outside formats of the contract say


@dataclass(frozen=True)
class Action:
    """What a person did, by command or page."""

    action: str
    alert: str  # the incident's key; empty where it is about none
    by: str
    received_ns: int
    note: str = ""  # disposition with `resolve`, the reason with `silence`, a word otherwise
    agency: str = ""  # for which agency
    to: str = (
        ""  # who it is assigned to, the agency it is handed to, the incident it is merged into, the silence it ends
    )
    subjects: tuple[str, ...] = ()  # which part is split off
    matchers: tuple[tuple[str, str], ...] = ()  # of a silence
    until_ns: int = 0  # of a silence
    request: str = ""  # by which who asked finds the answer


@dataclass(frozen=True)
class Silence:
    """Somebody's word that what matches need not be told of, until a time."""

    id: str
    by: str
    reason: str
    from_ns: int  # received time
    until_ns: int
    matchers: tuple[tuple[str, str], ...]  # (field, value), all of which must hold
    agency: str = ""  # that need not be told; empty: nobody


@dataclass(frozen=True)
class Tally:
    """What incidents in which a sensor had a part, under a rule, turned out to be."""

    sensor: str
    rule: str
    genuine: int
    nuisance: int


def changed(record: R, **fields: Any) -> R:
    """The record with some fields exchanged, as `dataclasses.replace` at a tenth of its cost: for what every event does."""
    made: R = object.__new__(type(record))
    vars(made).update(vars(record))
    vars(made).update(fields)
    return made
