"""What is no mistake in a site folder and yet is seldom meant: `marchwarden check` tells it as notes."""

from collections.abc import Callable, Iterator
from datetime import datetime
from fnmatch import fnmatch
from zoneinfo import ZoneInfo

import numpy as np
import shapely

from geo.zones import Lines, offset_m
from model.alerts import EventKind
from runtime.advance import World
from runtime.entries import Configuration
from runtime.schema import CapChannel, MqttChannel, WebhookChannel

FAST_MPS = 60.0  # 216 km/h: a limit beyond it was probably meant in km/h
OFTEN_S = 10.0  # a rule that is told again sooner than this floods whoever reads it
ZONE_OFF_H = 3.0  # China and Spain keep a clock some two hours off their sun


def notes_of(c: Configuration, world: World) -> list[str]:
    """Every note about a valid configuration."""
    kinds: tuple[Callable[[Configuration], Iterator[str]], ...] = (
        _nothing_there,
        _unread_files,
        _feeds,
        _sensors,
        _rules,
        _channels,
        _time_zone,
    )
    return [*(note for notes in kinds for note in notes(c)), *_home_side(c, world), *_border(c)]


def _nothing_there(c: Configuration) -> Iterator[str]:
    if not c.sensors:
        yield f"No sensor is registered: nothing is ever seen. Sensors are read from {', '.join(c.site.files.sensors)}."
    if not c.rules:
        yield f"No rule in {c.site.files.rules}: nothing raises an alert."
    if not c.jurisdictions:
        file = c.site.files.jurisdictions
        yield f"No jurisdiction in {file}: an alert without an agreement goes to the agency of lowest precedence."


def _unread_files(c: Configuration) -> Iterator[str]:
    """Files beside those of the sensors that no pattern matches, such as CAMERAS.CSV or cameras.toml.txt."""
    for folder in sorted({pattern.rpartition("/")[0] for pattern in c.site.files.sensors} - {""}):
        for path in sorted((c.folder / folder).glob("*")):
            name = f"{folder}/{path.name}"
            hidden = path.name.startswith(".") or path.name.endswith("~")
            if path.is_file() and not hidden and not any(fnmatch(name, p) for p in c.site.files.sensors):
                yield f"{name} is not read: no pattern under [files] sensors matches it."


def _feeds(c: Configuration) -> Iterator[str]:
    for feed in c.site.feed if c.sensors else ():
        on_it = [w.value for w in c.sensors if w.value.feed == feed.id]
        if feed.format == "cot" and not any(u.feed == feed.id for u in c.site.unit):
            yield f"Feed {feed.id!r} has no [[unit]]: whoever says there where it is explains no track."
        if not on_it and feed.format not in ("cot", "chirpstack-gateway"):
            yield f"Feed {feed.id!r} has no sensor: all its messages are rejected as of an unknown sensor."
        fits = {"frigate": {"camera"}, "openalpr": {"plate_reader", "camera"}, "chirpstack": {"ground", "other"}}
        for sensor in on_it:
            if sensor.kind not in fits.get(feed.format, {sensor.kind}):
                yield f"Sensor {sensor.id!r} is a {sensor.kind} on feed {feed.id!r}, which is {feed.format}."


def _sensors(c: Configuration) -> Iterator[str]:
    private = shapely.union_all([d.geometry for d in c.zones if d.properties.privacy])
    vague_m = c.site.fusion.vague_m
    for sensor in (w.value for w in c.sensors):
        if round(sensor.lat, 2) == sensor.lat and round(sensor.lon, 2) == sensor.lon and sensor.accuracy_m < 500:
            yield f"Sensor {sensor.id!r} stands at {sensor.lat:g}, {sensor.lon:g}: two decimals are a kilometre."
        if sensor.accuracy_m > sensor.range_m:
            yield f"Sensor {sensor.id!r} is off by more (accuracy_m {sensor.accuracy_m:g}) than it reaches ({sensor.range_m:g})."
        elif sensor.accuracy_m > vague_m:
            off = f"is off by {sensor.accuracy_m:g} m, and vague_m is {vague_m:g}"
            yield f"Sensor {sensor.id!r} {off}: what it alone sees is never reported."
        if sensor.camera is None and shapely.contains_xy(private, sensor.lon, sensor.lat):
            yield f"Sensor {sensor.id!r} stands in a privacy zone: what it detects at its own place is dropped."
        if sensor.camera is not None and sensor.camera.tilt_deg > 0:
            yield f"Camera {sensor.id!r} looks up (tilt_deg {sensor.camera.tilt_deg:g}): down is negative."


def _rules(c: Configuration) -> Iterator[str]:
    if not c.rules:
        return
    kinds = {w.value.kind for w in c.rules}
    expected = any(w.value.silent_after_s is not None for w in c.sensors)
    if expected and "silent_sensor" not in kinds:
        yield "Sensors have silent_after_s, and no rule of kind 'silent_sensor': nobody is told that one is silent."
    if "watched_plate" in kinds and c.sensors and not any(w.value.kind == "plate_reader" for w in c.sensors):
        yield "There is a rule of kind 'watched_plate', and no plate reader."
    for rule in (w.value for w in c.rules):
        if rule.kind == "silent_sensor" and c.sensors and not rule.sensors and not expected:
            yield f"Rule {rule.id!r}: no sensor has silent_after_s, so only one that says that it is down raises it."
        if rule.kind == "speed" and rule.limit_mps > FAST_MPS:
            yield f"Rule {rule.id!r}: limit_mps {rule.limit_mps:g} is {rule.limit_mps * 3.6:g} km/h."
        if 0 < rule.repeat_s < OFTEN_S:
            yield f"Rule {rule.id!r}: repeat_s {rule.repeat_s:g} tells of each alert again every {rule.repeat_s:g} s."
    for agreement in (w.value for w in c.agreements):
        for kind in agreement.kinds:
            if kind not in kinds:
                yield f"Agreement {agreement.id!r} is about {kind!r}, and no rule is of that kind."


def _channels(c: Configuration) -> Iterator[str]:
    own, first = f"marchwarden/{c.site.site.name}/", dict[str, str]()
    if c.site.mqtt.username and not c.site.mqtt.password_file:
        yield "mqtt.username stands without password_file: the broker is given no password."
    for agency in (w.value for w in c.agencies):
        for channel in agency.channel:
            topic = channel.topic if isinstance(channel, MqttChannel) else own
            if topic.startswith("marchwarden/") and not topic.startswith(own):
                yield f"Channel {channel.id!r}: {topic!r} names another site than {c.site.site.name!r}."
            if isinstance(channel, WebhookChannel | CapChannel):
                other = first.setdefault(channel.url, agency.id)
                if other != agency.id:
                    yield f"Agencies {other!r} and {agency.id!r} have one address, {channel.url}: each reads what is the other's."


def _time_zone(c: Configuration) -> Iterator[str]:
    """A zone whose clock is hours off the sun of the place. UTC is a choice."""
    zone = c.site.site.time_zone
    lons = [w.value.lon for w in c.sensors] or [float(shapely.centroid(d.geometry).x) for d in c.lines]
    if not lons or zone in ("UTC", "Etc/UTC"):
        return
    shift = datetime(2026, 1, 15, tzinfo=ZoneInfo(zone)).utcoffset()
    hours = 0.0 if shift is None else shift.total_seconds() / 3600
    off = (hours - float(np.median(lons)) / 15 + 12) % 24 - 12
    if abs(off) > ZONE_OFF_H:
        yield f"site.time_zone {zone!r} is {abs(off):.0f} hours off the sun at longitude {np.median(lons):.1f}."


def _home_side(c: Configuration, world: World) -> Iterator[str]:
    """Sensors mostly stand on the side that is ours."""
    lines: Lines = world.ground.lines
    for number, id in enumerate(lines.ids):
        away = offset_m(lines, number, world.ground.sensors.sector, world.ground.sensors.position)
        beyond, known = int(np.count_nonzero(away < 0)), int(np.count_nonzero(~np.isnan(away)))
        if known and beyond * 2 > known:
            yield (
                f"{beyond} of {known} sensors stand beyond line {id!r}, on the side that is not ours: "
                f"is its `home` (now {c.lines[number].properties.home!r}) the right one?"
            )


def _border(c: Configuration) -> Iterator[str]:
    crossing = EventKind.CROSSING.value
    for drawn in c.lines:
        if not bool(shapely.is_simple(drawn.geometry)):
            yield f"Line {drawn.properties.id!r} crosses or touches itself: there it has no clear sides."
    if c.lines and not any(w.value.kind in (crossing, "approach") for w in c.rules) and c.rules:
        yield "No rule of kind 'crossing' or 'approach': whoever crosses the line raises nothing by that."
