"""Rules as the pure part reads them, and the ground on which they stand."""

from dataclasses import dataclass

from geo.frames import Sectors
from geo.jurisdictions import Jurisdictions
from geo.zones import Lines, Zones
from model.alerts import EventKind
from model.world import SensorColumns


@dataclass(frozen=True)
class Rule:
    """One rule. Fields that a kind does not use keep their defaults."""

    id: str
    kind: EventKind
    severity: str
    classes: tuple[int, ...]  # columns of class probabilities that count; all: every column
    class_share_min: float
    existence_min: float
    clear_after_ns: int
    repeat_ns: int
    join_m: float
    join_ns: int
    places: tuple[int, ...] = ()  # rows of Zones, or of Lines
    direction: int = 0  # +1 inbound, -1 outbound, 0 either
    sigmas: float = 1.0
    already_inside: bool = False
    dwell_ns: int = 0
    tokens: tuple[int, ...] = ()  # plate tokens watched for
    confidence_min: float = 0.0
    sensors: tuple[int, ...] = ()  # rows of the catalogue


@dataclass(frozen=True)
class Agreement:
    """A written agreement between agencies: who leads and who gets a copy, in one area."""

    id: str
    area: str  # id of a zone or jurisdiction
    lead: str
    copies: tuple[str, ...]
    kinds: tuple[EventKind, ...]  # empty: every kind


@dataclass(frozen=True)
class Agency:
    """Who is told, and how."""

    id: str
    name: str
    precedence: int  # the lowest leads where areas overlap and no agreement says otherwise
    plates: bool  # entitled to plate tokens
    channels: tuple[tuple[str, str], ...]  # (channel id, channel kind)


@dataclass(frozen=True)
class Ground:
    """All that judging, grouping and routing know of the site."""

    site: str
    rules: tuple[Rule, ...]
    agencies: tuple[Agency, ...]
    agreements: tuple[Agreement, ...]
    sectors: Sectors
    zones: Zones
    lines: Lines
    jurisdictions: Jurisdictions
    sensors: SensorColumns
    sensor_ids: tuple[str, ...]
    sensor_names: tuple[str, ...]
    sensor_owners: tuple[str, ...]
    lateness_ns: int  # how far back fusion may run scans again

    def rule(self, id: str) -> Rule:
        return next(r for r in self.rules if r.id == id)


def watches(rules: tuple[Rule, ...], *kinds: EventKind) -> list[tuple[Rule, int]]:
    """Every (rule, place) of the given kinds, in the order of configuration."""
    return [(rule, place) for rule in rules if rule.kind in kinds for place in rule.places]
