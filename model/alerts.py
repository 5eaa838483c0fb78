"""Events, incidents, alerts and deliveries: few, and read by people, so records and not columns."""

from dataclasses import dataclass, field
from enum import StrEnum


class EventKind(StrEnum):
    """What happened, as a rule names it."""

    CROSSING = "crossing"
    ENTERING = "entering"
    DWELLING = "dwelling"
    WATCHED_PLATE = "watched_plate"
    SILENT_SENSOR = "silent_sensor"


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
class Event:
    """One thing that a rule noticed of one track (or sensor) at one time."""

    kind: EventKind
    rule: str  # its id in rules.toml
    zone: str  # zone, line or sensor id
    subject: str  # track name, plate token or sensor id
    observed_ns: int  # ns
    origin_ns: int  # ns, when the happening began as far as the rule knows: part of the alert's key
    sector: int
    position: tuple[float, float]  # m in the sector plane
    lat: float  # degrees WGS84
    lon: float
    sigma_m: float  # largest standard deviation of the position
    probability: float  # that it happened as told
    classes: tuple[tuple[str, float], ...]  # (class, probability), most probable first
    evidence: tuple[Evidence, ...]
    detail: tuple[tuple[str, str | float], ...] = ()  # what else the reason should say: direction, dwell_s, token …


@dataclass(frozen=True)
class Routed:
    """One agency, and why it gets this."""

    agency: str
    lead: bool
    reason: str  # named reason: `jurisdiction`, `agreement:<id>`, `precedence`, `nearest_jurisdiction` …
    area: str = ""  # the jurisdiction or zone that decided


@dataclass(frozen=True)
class Incident:
    """One real-world happening under one rule and place. `key` never changes once raised."""

    key: str
    rule: str
    kind: EventKind
    zone: str
    severity: str
    subjects: tuple[str, ...]  # tracks, plate tokens or sensors, in order of appearance
    first_ns: int  # observed ns of the first event
    last_ns: int  # observed ns of the newest sign of it
    raised_ns: int  # received-time ns of the step that raised it
    sector: int
    position: tuple[float, float]  # m, newest
    lat: float
    lon: float
    sigma_m: float
    probability: float
    classes: tuple[tuple[str, float], ...]
    evidence: tuple[Evidence, ...]
    routed: tuple[Routed, ...]
    revision: int
    phase: Phase
    told_ns: int  # observed ns of the last revision sent
    told_subjects: int  # how many subjects and sensors that revision named
    told_sensors: int
    detail: tuple[tuple[str, str | float], ...] = ()
    acknowledged_by: str = ""
    acknowledged_ns: int = 0
    resolution: str = ""  # disposition, once resolved
    resolved_by: str = ""


@dataclass(frozen=True)
class Alert:
    """One revision of an incident, as agencies are told of it."""

    incident: Incident
    why: (
        str  # named reason of this revision: raised, new_sensors, more_certain, repeat, cleared_by_time, acknowledged …
    )
    told_ns: int  # received-time ns of the step
    text: str  # one or two lines that an officer understands


@dataclass(frozen=True)
class Delivery:
    """One alert revision to one agency over one channel. `key` is made from its content."""

    key: str
    agency: str
    channel: str  # the channel's id in agencies.toml
    incident: str  # the incident's key: deliveries of one incident and agency keep their order
    revision: int
    body: bytes  # what is sent, as the outside formats of the contract say


@dataclass(frozen=True)
class Action:
    """What a person did with an incident, by command or page."""

    action: str  # "ack" | "resolve"
    alert: str  # the incident's key
    by: str
    received_ns: int
    note: str = ""  # disposition, with `resolve`


@dataclass(frozen=True)
class Counted:
    """Rejections of one reason, topic and sensor, counted in one step."""

    reason: str
    topic: str
    sensor: str
    count: int
    detail: str = field(default="", compare=False)
