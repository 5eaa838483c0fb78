"""Rules as the pure part reads them, and the ground on which they stand."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from alerts.schedule import ALWAYS, Schedule
from geo.frames import Sectors
from geo.jurisdictions import Jurisdictions
from geo.zones import Lines, Zones
from model.alerts import SEVERITIES, EventKind
from model.columns import Columns, column
from model.faults import FaultKind
from model.units import RegisteredUnit
from model.world import SensorColumns


class Clears(StrEnum):
    """When what a rule raised is over."""

    UNSEEN = "unseen"  # no subject of it has been seen for `clear_after`
    LEAVING = "leaving"  # what the rule asks for has not been so for `clear_after`: they left, slowed down, came back
    TIME = "time"  # `clear_after` after it last happened, whatever they do
    HAND = "hand"  # when somebody says so


@dataclass(frozen=True, eq=False)
class WatchList(Columns):
    """n tokens, sorted: every text that is near enough to a watched plate."""

    token: NDArray[np.uint64] = column(np.uint64)  # (n,) of the text
    watched: NDArray[np.uint64] = column(np.uint64)  # (n,) of the plate that is watched
    edits: NDArray[np.int8] = column(np.int8)  # (n,) letters to change, add or leave out between the two


@dataclass(frozen=True)
class Rule:
    """One rule. Fields that a kind does not use keep their defaults."""

    id: str
    kind: EventKind
    severity: str
    classes: tuple[int, ...]  # columns of class probabilities that count; all: every column
    class_share_min: float
    existence_min: float
    clears: Clears
    clear_after_ns: int
    repeat_ns: int
    join_m: float
    join_ns: int
    apart: bool = False  # what it raises stands alone, and joins no other rule's incident
    schedule: Schedule = ALWAYS
    confirm_ns: int = 0  # it must have been so for this long
    release_ns: int = 0  # and not so for this long, before it can happen anew
    hysteresis_m: float = 0.0  # and by this much beyond the boundary, to either side
    sigmas: float = 1.0  # or by this many standard deviations, where that is more
    already_inside: bool = False  # does it count of who was so when first seen, or when the schedule began?
    learns: bool = False  # past dispositions weigh on existence
    places: tuple[int, ...] = ()  # rows of Zones, or of Lines
    direction: int = 0  # +1 inbound, -1 outbound, 0 either
    to_lines: bool = False  # `places` are lines; otherwise zones
    dwell_ns: int = 0
    horizon_ns: int = 0  # how far ahead an approach is foreseen
    probability_min: float = 0.5
    speed_mps: float = 0.0
    heading: tuple[float, float] = (0.0, 0.0)  # unit vector of the right way, east and north
    count_min: int = 0
    within_m: float = 0.0  # of each other, in a group or convoy
    watch_list: WatchList = field(default_factory=WatchList.none)
    confidence_min: float = 0.0
    sensors: tuple[int, ...] = ()  # rows of the catalogue
    share_min: float = 0.0  # of a place's cover that must be lost
    cover: tuple["Cover", ...] = ()  # of each of `places`
    faults: tuple[FaultKind, ...] = ()  # kinds of system fault; empty: all
    agencies: tuple[str, ...] = ()  # who is notified, the first leads; empty: every agency of the site


@dataclass(frozen=True, eq=False)
class Cover:
    """Which sensors have which spots of one place in view."""

    spots: int  # how many spots any sensor has in view when all work
    spot: NDArray[np.int64]  # (k,) with `sensor`: pairs that see each other
    sensor: NDArray[np.int64]  # (k,) rows of the catalogue
    sector: int
    place: NDArray[np.float64]  # (all spots, 2) m


@dataclass(frozen=True)
class Agreement:
    """A written agreement between agencies: who leads and who gets a copy, in one area."""

    id: str
    area: str  # id of a zone or jurisdiction
    lead: str
    copies: tuple[str, ...]
    kinds: tuple[EventKind, ...]  # empty: every kind
    classes: tuple[str, ...] = ()  # of the most probable class; empty: every class
    schedule: Schedule = ALWAYS
    withheld: tuple[str, ...] = ()  # fields that copies are not given
    copies_may: tuple[str, ...] = ("note",)  # actions


@dataclass(frozen=True)
class Channel:
    """One way to an agency."""

    id: str
    kind: str
    severity_min: str = SEVERITIES[0]  # nothing lesser goes this way


@dataclass(frozen=True)
class Rung:
    """What happens when nobody has acknowledged in time."""

    severities: tuple[str, ...]
    after_ns: int  # since the agency got the incident
    channels: tuple[str, ...]  # of the agency, which hear of nothing that has not come so far
    agencies: tuple[str, ...]  # others that get a copy


@dataclass(frozen=True)
class Agency:
    """Who is told, and how."""

    id: str
    name: str
    precedence: int  # the lowest leads where areas overlap and no agreement says otherwise
    plates: bool  # entitled to plate tokens
    channels: tuple[Channel, ...]
    ladder: tuple[Rung, ...] = ()

    def rungs(self, severity: str) -> list[Rung]:
        """Those that count for a severity, the first first."""
        return sorted((r for r in self.ladder if severity in r.severities), key=lambda r: r.after_ns)


@dataclass(frozen=True)
class Inhibition:
    """An open incident that matches `by` mutes those that match `mutes`."""

    id: str
    by: tuple[tuple[str, str], ...]
    mutes: tuple[tuple[str, str], ...]
    within_m: float  # of each other; infinite: wherever


@dataclass(frozen=True)
class Habits:
    """How incidents are kept together, site-wide."""

    storm_incidents: int = 20  # more than this of one rule
    storm_ns: int = 60_000_000_000  # in this time are told of as one
    split_m: float = 500.0  # a subject this far from the others
    split_ns: int = 60_000_000_000  # for this long is an incident of its own
    unit_m: float = 15.0  # standard deviation of where a unit's people stand about its reported place
    unit_fresh_ns: int = 60_000_000_000  # an older report says nothing any more
    unit_speed_mps_max: float = 70.0  # faster from one report to the next is not one unit


@dataclass(frozen=True)
class Ground:
    """All that judging, grouping and routing know of the site."""

    site: str
    rules: tuple[Rule, ...]
    agencies: tuple[Agency, ...]
    agreements: tuple[Agreement, ...]
    inhibitions: tuple[Inhibition, ...]
    habits: Habits
    sectors: Sectors
    zones: Zones
    lines: Lines
    jurisdictions: Jurisdictions
    sensors: SensorColumns
    sensor_ids: tuple[str, ...]
    sensor_names: tuple[str, ...]
    sensor_owners: tuple[str, ...]
    gateways: tuple[str, ...]  # what carries the messages of several sensors
    gateway: NDArray[np.int32]  # (n,) which of them carries the sensor's, alone; -1: none
    units: Mapping[str, RegisteredUnit]  # by id
    lateness_ns: int  # how far back fusion may run scans again

    @cached_property
    def rule_of(self) -> dict[str, Rule]:
        return {rule.id: rule for rule in self.rules}

    @cached_property
    def agency_of(self) -> dict[str, Agency]:
        return {agency.id: agency for agency in self.agencies}

    def watches(self, *kinds: EventKind) -> list[tuple[Rule, int]]:
        """Every (rule, place) of the given kinds, in the order of configuration. A rule with no place is in none: -1."""
        return [(rule, place) for rule in self.rules if rule.kind in kinds for place in rule.places or (-1,)]

    def place_id(self, rule: Rule, place: int) -> str:
        """The id of a rule's place; empty where it has none."""
        if place < 0:
            return ""
        return self.lines.ids[place] if rule.to_lines else self.zones.ids[place]
