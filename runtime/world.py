"""From configuration to the world that `advance` works in, and what of the geography deserves a warning."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from alerts.rules import Agency, Agreement, Channel, Ground, Habits, Inhibition, Rung
from alerts.schedule import Schedule
from fusion.settings import Settings
from geo.frames import Sectors, convergence, plane_from_wgs84, sector_of, sectors_along
from geo.jurisdictions import gaps, jurisdictions_of, overlaps
from geo.roads import roads_along
from geo.zones import lines_of, zones_of
from model.alerts import EventKind
from model.classes import CLASS_INDEX, CLASSES
from model.time import ns_from_seconds
from model.units import RegisteredUnit
from model.world import SensorColumns
from runtime.advance import World
from runtime.crosscheck import NATIVE, feed_of, source_of, speakers_of
from runtime.entries import Configuration, Drawn
from runtime.ruleset import rules_of, schedules_of
from runtime.schema import Agency as AgencyEntry
from runtime.schema import Agreement as AgreementEntry
from runtime.schema import (
    Camera,
    Conditions,
    DetectEntry,
    FeedEntry,
    Incidents,
    ProfileEntry,
    RoadProperties,
    SensorEntry,
)
from sensors.catalogue import Cameras, Catalogue, Detect, Feed, Limits, Profile, Sensor
from sensors.decode import FORMATS

LOOKING = ("camera", "radar")  # see again, soon, what they have seen; others speak when something passes
FADES_LOOKS, FADES_S = 10.0, 600.0


def world_of(c: Configuration, plate_key: bytes) -> World:
    """The world of a valid configuration."""
    sectors = sectors_of(c)
    zones = zones_of(
        sectors,
        [d.properties.id for d in c.zones],
        [d.properties.name for d in c.zones],
        [d.properties.privacy for d in c.zones],
        [d.geometry for d in c.zones],
    )
    lines = lines_of(
        sectors,
        [d.properties.id for d in c.lines],
        [d.properties.name for d in c.lines],
        [1 if d.properties.home == "left" else -1 for d in c.lines],
        [d.properties.error_m for d in c.lines],
        [d.geometry for d in c.lines],
    )
    jurisdictions = jurisdictions_of(
        sectors,
        [d.properties.id for d in c.jurisdictions],
        [d.properties.agency for d in c.jurisdictions],
        [d.properties.name for d in c.jurisdictions],
        [d.geometry for d in c.jurisdictions],
    )
    catalogue = catalogue_of(c, sectors, plate_key)
    settings = settings_of(c, sectors)
    ground = Ground(
        site=c.site.site.name,
        rules=rules_of(c, sectors, zones, lines, catalogue),
        agencies=tuple(_agency(w.value) for w in c.agencies),
        agreements=tuple(_agreement(w.value, schedules_of(c)) for w in c.agreements),
        inhibitions=tuple(
            Inhibition(
                w.value.id,
                tuple(w.value.by.items()),
                tuple(w.value.mutes.items()),
                w.value.within_m or float("inf"),
            )
            for w in c.inhibitions
        ),
        habits=_habits(c.site.incidents),
        sectors=sectors,
        zones=zones,
        lines=lines,
        jurisdictions=jurisdictions,
        sensors=catalogue.columns,
        sensor_ids=tuple(s.id for s in catalogue.sensors),
        sensor_names=tuple(s.name for s in catalogue.sensors),
        sensor_owners=tuple(s.owner for s in catalogue.sensors),
        gateways=catalogue.gateways,
        gateway=catalogue.gateway,
        units={u.id: RegisteredUnit(u.id, u.name, u.tracks_max) for u in c.site.unit},
        lateness_ns=settings.reach_ns,
    )
    return World(sectors, zones, catalogue, settings, ground)


def sectors_of(c: Configuration) -> Sectors:
    """Sectors that hold the border line and every sensor."""
    points = [shapely.get_coordinates(d.geometry) for d in c.lines]
    points += [np.array([[w.value.lon, w.value.lat] for w in c.sensors]).reshape(-1, 2)]
    lonlat = np.concatenate(points)
    if not len(lonlat):
        areas = [d.geometry for d in c.zones] + [d.geometry for d in c.jurisdictions]
        lonlat = np.concatenate([shapely.get_coordinates(area) for area in areas])
    return sectors_along(lonlat[:, 1], lonlat[:, 0])


def settings_of(c: Configuration, sectors: Sectors) -> Settings:
    said = c.site.fusion
    return Settings(
        scan_ns=ns_from_seconds(said.scan_s),
        settle_ns=ns_from_seconds(said.settle_s),
        idle_ns=ns_from_seconds(said.idle_s),
        lateness_ns=ns_from_seconds(said.lateness_s),
        coast_ns=ns_from_seconds(said.coast_s),
        memory_ns=ns_from_seconds(max(said.memory_s, said.coast_s)),
        birth_per_m2=said.birth_per_km2 / 1e6,
        confirm_existence=said.confirm_existence,
        told_existence=said.told_existence,
        vague_m=said.vague_m,
        drop_existence=said.drop_existence,
        tracks_max=c.site.limits.tracks_max,
        checkpoint_tracks_max=c.site.limits.checkpoint_tracks_max,
        roads=roads_along(sectors, *_pieces(c.roads)),
    )


def _pieces(roads: Sequence[Drawn[RoadProperties]]) -> tuple[list[shapely.LineString], list[float]]:
    """Every unbroken line, with half its width."""
    parts = [(part, road.properties.width_m / 2) for road in roads for part in shapely.get_parts(road.geometry)]
    return [part for part, _ in parts], [half for _, half in parts]


def catalogue_of(c: Configuration, sectors: Sectors, plate_key: bytes) -> Catalogue:
    """The catalogue of all registered sensors, in the order of the files."""
    entries = [w.value for w in c.sensors]
    profiles = {p.id: _profile(p) for p in c.site.profile}
    lat, lon = np.array([e.lat for e in entries], np.float64), np.array([e.lon for e in entries], np.float64)
    sector = sector_of(sectors, lat, lon)
    position = plane_from_wgs84(sectors, sector, lat, lon)
    bounds = c.site.limits
    return Catalogue(
        site=c.site.site.name,
        feeds=feeds_of(c),
        sensors=tuple(
            Sensor(
                e.id,
                e.name,
                e.kind,
                feed_of(e),
                source_of(e),
                profiles.get(e.profile),
                tuple(sorted(e.labels.items())),
                e.owner,
                _confusion(e),
            )
            for e in entries
        ),
        lat=lat,
        lon=lon,
        columns=SensorColumns(
            sector=sector,
            position=position,
            line_m=_lines(entries, sectors, sector, position),
            accuracy_m=_column(entries, "accuracy_m"),
            bias_sigma_m=_column(entries, "bias_sigma_m"),
            range_m=_column(entries, "range_m"),
            **_views(entries, convergence(sectors, sector, position)),
            twice=np.array([e.twice for e in entries], np.bool_),
            detection_probability=_column(entries, "detection_probability"),
            false_alarms_per_hour=_column(entries, "false_alarms_per_hour"),
            looks_per_s=_column(entries, "looks_per_s"),
            fades_s=np.array(
                [FADES_LOOKS / e.looks_per_s if e.kind in LOOKING else FADES_S for e in entries], np.float64
            ),
            latency_s=_column(entries, "latency_s"),
            silent_after_s=np.array([e.silent_after_s or np.inf for e in entries], np.float64),
        ),
        cameras=_cameras([e.camera for e in entries]),
        limits=Limits(
            bounds.payload_bytes_max,
            ns_from_seconds(bounds.ahead_s_max),
            ns_from_seconds(bounds.age_s_max),
            ns_from_seconds(bounds.repeat_s),
            ns_from_seconds(bounds.redelivery_s),
            bounds.members_max,
            bounds.sensor_detections_per_s_max,
            bounds.detections_per_s_max,
            bounds.unit_sigma_m_max,
        ),
        plate_key=plate_key,
        index_of={(feed_of(e), source_of(e)): row for row, e in enumerate(entries)},
        row_of_id={e.id: row for row, e in enumerate(entries)},
        unit_of={(feed_of(u), u.source or u.id): u.id for u in c.site.unit},
        **_gateways(c, entries),
    )


def feeds_of(c: Configuration) -> tuple[Feed, ...]:
    """Every feed, the native one first, and one for each sensor or unit with a topic of its own, with their subscriptions."""
    said = [(NATIVE, "native", f"marchwarden/{c.site.site.name}"), *((f.id, f.format, f.topic) for f in c.site.feed)]
    formats = {id: format for id, format, _ in said}
    own = {feed_of(e): (e.feed, e.topic) for e in (w.value for w in speakers_of(c)) if e.topic and e.feed in formats}
    entries = {f.id: f for f in c.site.feed}
    bare = [_feed(entries.get(id), id, format, topic) for id, format, topic in said]
    bare += [_feed(entries.get(base), id, formats[base], topic) for id, (base, topic) in own.items()]
    return tuple(replace(f, subscriptions=FORMATS[f.format].subscriptions(f)) for f in bare)


def _feed(entry: FeedEntry | None, id: str, format: str, topic: str) -> Feed:
    """A feed, as its entry says where it has one."""
    if entry is None:
        return Feed(id, format, topic, ())
    server = entry.server if id == entry.id else ""  # a topic of its own is at the broker
    return Feed(id, format, topic, (), server, tuple(entry.unit_types), entry.alert_unregistered)


def warnings_of(world: World) -> list[str]:
    """What is no mistake and yet should be known: overlaps without agreement, gaps, agencies without an area."""
    said = []
    ground = world.ground
    agreed = {a.area for a in ground.agreements}
    rank = {a.id: (a.precedence, a.id) for a in ground.agencies}
    agency_of = dict(zip(ground.jurisdictions.ids, ground.jurisdictions.agencies, strict=True))
    for overlap in overlaps(ground.jurisdictions):
        if not {overlap.first, overlap.second} & agreed:
            lead = min((agency_of[overlap.first], agency_of[overlap.second]), key=lambda a: rank[a])
            said.append(
                f"Jurisdictions {overlap.first!r} and {overlap.second!r} overlap over {overlap.km2:,.0f} km² and no agreement "
                f"says who leads: {lead!r} does, by precedence."
            )
    said += [
        f"Nobody's jurisdiction within 10 km of the line: {gap.km2:,.1f} km² about {gap.lat:.4f}, {gap.lon:.4f}. "
        "Alerts there go to the nearest."
        for gap in gaps(world.sectors, ground.jurisdictions, ground.lines)
    ]
    if not any(rule.kind is EventKind.SYSTEM_FAULT for rule in ground.rules):
        said.append(
            "No rule of kind 'system_fault': nobody is notified of what is wrong with Marchwarden itself. "
            "It is shown by `marchwarden status` only."
        )
    held = set(ground.jurisdictions.agencies)
    said += [
        f"Agency {a.id!r} has no jurisdiction: it is told only through agreements."
        for a in ground.agencies
        if a.id not in held
    ]
    return said


def _agency(said: AgencyEntry) -> Agency:
    return Agency(
        said.id,
        said.name,
        said.precedence,
        said.plates,
        tuple(Channel(channel.id, channel.kind, channel.severity_min) for channel in said.channel),
        tuple(
            Rung(tuple(r.severities), ns_from_seconds(r.after_s), tuple(r.channels), tuple(r.agencies))
            for r in said.escalation
        ),
    )


def _agreement(said: AgreementEntry, schedules: dict[str, Schedule]) -> Agreement:
    return Agreement(
        said.id,
        said.area,
        said.lead,
        tuple(said.copies),
        tuple(EventKind(k) for k in said.kinds),
        tuple(said.classes),
        schedules[said.schedule],
        tuple(said.withheld),
        tuple(said.copies_may),
    )


def _habits(said: Incidents) -> Habits:
    return Habits(
        said.storm_incidents,
        ns_from_seconds(said.storm_s),
        said.split_m,
        ns_from_seconds(said.split_s),
        said.unit_m,
        ns_from_seconds(said.unit_fresh_s),
        said.unit_speed_mps_max,
    )


def _column(entries: list[SensorEntry], name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([getattr(e, name) for e in entries], np.float64)


def _cameras(entries: list[Camera | None]) -> Cameras:
    cameras = Cameras.blank(len(entries))
    arrays = {name: np.full_like(a, np.nan) for name, a in cameras.arrays().items()}
    for row, camera in enumerate(entries):
        if camera is None:
            continue
        arrays["size_px"][row] = camera.width_px, camera.height_px
        arrays["focal_px"][row] = camera.focal()
        arrays["centre_px"][row] = camera.centre_px or (camera.width_px / 2, camera.height_px / 2)
        for name in (
            "height_m",
            "azimuth_deg",
            "tilt_deg",
            "roll_deg",
            "distortion",
            "pixel_sigma_px",
            "angle_sigma_deg",
            "height_sigma_m",
            "position_sigma_m",
        ):
            arrays[name][row] = getattr(camera, name)
    return Cameras(**arrays)


def _views(entries: list[SensorEntry], convergence_rad: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
    """Which way each sensor looks, in its sector's plane. All round, unless a pose or `azimuth_deg` says otherwise.

    Of a camera that says neither it is not known where it looks, so what it does not see is no evidence.
    """
    azimuth = [e.camera.azimuth_deg if e.camera else e.azimuth_deg for e in entries]
    said = np.array([a is not None for a in azimuth], np.bool_)
    facing = np.pi / 2 - np.radians([a or 0.0 for a in azimuth]) + convergence_rad
    half = np.array(
        [np.radians((e.camera.fields_of_view_deg()[0] if e.camera else e.fov_deg) or 360.0) / 2 for e in entries]
    )
    return {
        "near_m": np.array([e.camera.nearest_m() if e.camera else 0.0 for e in entries], np.float64),
        "facing_rad": np.where(said, facing, 0.0),
        "half_angle_rad": np.where(said, half, np.pi),
        "view_known": said | np.array([e.kind in ("radar", "ground") for e in entries], np.bool_),
    }


def _confusion(entry: SensorEntry) -> tuple[tuple[float, ...], ...]:
    """(classes, classes) what share of each true class, row by row, it calls which; empty: it says nothing of that."""
    if not entry.confusion:
        return ()
    table = np.zeros((len(CLASSES), len(CLASSES)))
    for true, said in entry.confusion.items():
        for name, share in said.items():
            table[CLASS_INDEX[true], CLASS_INDEX[name]] = 0.0 if name == true else share
    table[np.diag_indices(len(CLASSES))] = 1 - table.sum(axis=1)
    return tuple(map(tuple, table.tolist()))


def _gateways(c: Configuration, entries: list[SensorEntry]) -> dict[str, Any]:
    """What carries the messages of several sensors, and which of it each sensor depends on: Frigate, or a LoRa gateway."""
    frigates = {f.id for f in c.site.feed if f.format == "frigate"}
    names = [e.feed if e.feed in frigates else e.gateway.lower() for e in entries]
    row_of = {name: row for row, name in enumerate(sorted(set(names) - {""}))}
    return {"gateways": tuple(row_of), "gateway": np.array([row_of.get(name, -1) for name in names], np.int32)}


def _lines(
    entries: list[SensorEntry], sectors: Sectors, sector: NDArray[np.int16], position: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(n, 2) m from each sensor to its other end, in its sector's plane; zero for what is in one place."""
    line = np.zeros((len(entries), 2))
    rows = np.array([i for i, e in enumerate(entries) if e.to_lat is not None], np.int64)
    if len(rows):
        lat, lon = (np.array([getattr(entries[i], name) for i in rows], np.float64) for name in ("to_lat", "to_lon"))
        line[rows] = plane_from_wgs84(sectors, sector[rows], lat, lon) - position[rows]
    return line


def _profile(entry: ProfileEntry) -> Profile:
    return Profile(
        id=entry.id,
        detects=tuple(_detect(d) for d in entry.detect),
        battery=tuple(entry.battery.split(".")) if entry.battery else None,
        battery_full=entry.battery_full,
        tamper=_detect(entry.tamper) if entry.tamper else None,
        time=tuple(entry.time.split(".")) if entry.time else None,
    )


def _detect(said: Conditions) -> Detect:
    entry = said if isinstance(said, DetectEntry) else None
    return Detect(
        path=tuple(said.path.split(".")),
        values=tuple(said.values),
        above=said.above,
        default=said.default,
        classes=tuple(sorted(entry.classes.items())) if entry else (),
        confidence=entry.confidence if entry else 1.0,
    )
