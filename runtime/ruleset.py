"""From the rules file to rules as alerts reads them."""

import numpy as np

from alerts.coverage import cover_of_line, cover_of_zone
from alerts.rules import Clears, Cover, Rule, WatchList
from alerts.schedule import ALWAYS, Schedule, Window
from geo.frames import Sectors
from geo.zones import Lines, Zones
from model.alerts import EventKind
from model.classes import CLASS_INDEX, CLASSES
from model.time import ns_from_seconds
from runtime.entries import Configuration
from runtime.schema import DAYS, AnyRule, ScheduleEntry, days_of
from sensors.catalogue import Catalogue
from sensors.watchlist import watched_tokens

DIRECTIONS = {"inbound": 1, "outbound": -1, "either": 0}


def rules_of(c: Configuration, sectors: Sectors, zones: Zones, lines: Lines, catalogue: Catalogue) -> tuple[Rule, ...]:
    """Every rule, in the order of the file."""
    schedules = schedules_of(c)
    return tuple(rule_of(w.value, schedules, sectors, zones, lines, catalogue) for w in c.rules)


def rule_of(
    rule: AnyRule,
    schedules: dict[str, Schedule],
    sectors: Sectors,
    zones: Zones,
    lines: Lines,
    catalogue: Catalogue,
) -> Rule:
    """One rule. Fields that its kind does not have keep their defaults."""
    said = rule.model_dump()
    to_lines = bool(said.get("line"))
    places = (lines.ids.index(said["line"]),) if to_lines else tuple(map(zones.ids.index, said.get("zones", ())))
    sensors = _sensors(said, catalogue)
    heading = np.radians(said.get("heading_deg", 0.0))
    return Rule(
        id=said["id"],
        kind=EventKind(said["kind"]),
        severity=said["severity"],
        classes=tuple(CLASS_INDEX[c] for c in said.get("classes", ())) or tuple(range(len(CLASSES))),
        class_share_min=said.get("class_share_min", 0.0),
        existence_min=said.get("existence_min", 0.0),
        clears=Clears(said["clears"]),
        clear_after_ns=ns_from_seconds(said["clear_after_s"]),
        repeat_ns=ns_from_seconds(said["repeat_s"]),
        join_m=said.get("join_m", 0.0),
        join_ns=ns_from_seconds(said.get("join_s", 0.0)),
        apart=said.get("apart", False),
        schedule=schedules[said["schedule"]],
        confirm_ns=ns_from_seconds(max(said.get("confirm_s", 0.0), said.get("dwell_s", 0.0))),
        release_ns=ns_from_seconds(said.get("release_s", 0.0)),
        hysteresis_m=said.get("hysteresis_m", 0.0),
        sigmas=said.get("sigmas", 1.0),
        already_inside=said.get("already_inside", False),
        learns=said.get("learns", False),
        places=places,
        direction=DIRECTIONS[said.get("direction", "either")],
        to_lines=to_lines,
        dwell_ns=ns_from_seconds(said.get("absent_s", 0.0)),
        horizon_ns=ns_from_seconds(said.get("horizon_s", 0.0)),
        probability_min=said.get("probability_min", said.get("candidate_share_min", 0.5)),
        speed_mps=said.get("limit_mps", said.get("speed_min_mps", 0.0)),
        heading=(float(np.sin(heading)), float(np.cos(heading))),
        count_min=said.get("count_min", 0),
        within_m=said.get("within_m", 0.0),
        watch_list=_watch_list(said, catalogue.plate_key),
        confidence_min=said.get("confidence_min", 0.0),
        sensors=sensors,
        share_min=said.get("share_min", 0.0),
        cover=_cover(said, places, sensors, sectors, zones, lines, catalogue) if said["kind"] == "coverage_gap" else (),
        faults=tuple(said.get("faults", ())),
        agencies=tuple(said.get("agencies", ())),
    )


def schedules_of(c: Configuration) -> dict[str, Schedule]:
    """Every schedule by id; the empty id is always in force."""
    return {"": ALWAYS} | {w.value.id: _schedule(w.value, c.site.site.time_zone) for w in c.schedules}


def _schedule(said: ScheduleEntry, zone: str) -> Schedule:
    return Schedule(
        said.id,
        said.zone or zone,
        tuple(Window(tuple(DAYS.index(d) for d in w.days), _minute(w.from_), _minute(w.to)) for w in said.windows),
        tuple(days_of(d) for d in said.only),
        tuple(days_of(d) for d in said.never),
    )


def _minute(said: str) -> int:
    hours, _, minutes = said.partition(":")
    return int(hours) * 60 + int(minutes)


def _sensors(said: dict[str, object], catalogue: Catalogue) -> tuple[int, ...]:
    """Rows of the sensors that a rule names, or of all."""
    named = said.get("sensors")
    if not isinstance(named, list):
        return ()
    return tuple(catalogue.row_of_id[id] for id in named) or tuple(range(len(catalogue.sensors)))


def _watch_list(said: dict[str, object], plate_key: bytes) -> WatchList:
    plates, edits_max = said.get("plates"), said.get("edits_max", 0)
    if not isinstance(plates, list) or not isinstance(edits_max, int):
        return WatchList.none()
    tokens = watched_tokens(plate_key, plates, edits_max)
    texts, watched, edits = zip(*tokens, strict=True)
    return WatchList(np.array(texts, np.uint64), np.array(watched, np.uint64), np.array(edits, np.int8))


def _cover(
    said: dict[str, object],
    places: tuple[int, ...],
    sensors: tuple[int, ...],
    sectors: Sectors,
    zones: Zones,
    lines: Lines,
    catalogue: Catalogue,
) -> tuple[Cover, ...]:
    if said.get("line"):
        return tuple(cover_of_line(sectors, lines, line, catalogue.columns, sensors) for line in places)
    return tuple(cover_of_zone(sectors, zones, zone, catalogue.columns, sensors) for zone in places)
