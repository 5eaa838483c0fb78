"""What only several entries together show: broken references, doubles, things that cannot stand where they are said to."""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import shapely
from numpy.typing import NDArray

from geo.frames import EARTH_M_PER_DEGREE
from runtime.entries import Configuration, Drawn, Reading, Written
from runtime.mistakes import nearest
from runtime.schema import FileAnchor, MqttAnchor, SensorEntry
from sensors.plates import normalised
from sensors.watchlist import texts_near

NATIVE = "native"
FAR_KM = 100.0
EUI = r"[0-9A-Fa-f]{16}"
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def crosscheck(reading: Reading, c: Configuration) -> None:
    """Note every mistake that no entry shows by itself. What could not be read is blamed on nobody else."""
    _feeds(reading, c)
    _agencies(reading, c)
    for what, entries in (
        ("sensor", c.sensors),
        ("rule", c.rules),
        ("agency", c.agencies),
        ("agreement", c.agreements),
        ("schedule", c.schedules),
        ("inhibition", c.inhibitions),
        ("account", c.accounts),
    ):
        _doubles(reading, f"{what} id", ((w.file, w.entry, "id", w.value.id) for w in entries))
    drawn: list[Drawn[Any]] = [*c.zones, *c.lines]
    _doubles(reading, "id", ((d.file, d.entry, "id", d.properties.id) for d in drawn))
    _doubles(reading, "jurisdiction id", ((d.file, d.entry, "id", d.properties.id) for d in c.jurisdictions))
    _doubles(
        reading,
        "channel id",
        ((w.file, w.entry, "channel.id", channel.id) for w in c.agencies for channel in w.value.channel),
    )
    _doubles(
        reading,
        "source on its feed",
        ((w.file, w.entry, "source", f"{feed_of(w.value)}: {source_of(w.value)}") for w in c.sensors if not w.guessed),
    )
    for sensor in c.sensors:
        _sensor(reading, c, sensor)
    _near_the_border(reading, c)
    for rule in c.rules:
        _rule(reading, c, rule)
    if "console" not in reading.guessed:
        _console(reading, c)
    if "audit" not in reading.guessed:
        _anchors(reading, c)


def _anchors(reading: Reading, c: Configuration) -> None:
    """Anchors of the audit log lie somewhere else than the log."""
    state, agencies = c.state.resolve(), [w.value.id for w in c.agencies]
    for number, anchor in enumerate(c.site.audit.anchor, 1):
        entry = f"audit.anchor (entry {number})"
        if isinstance(anchor, FileAnchor):
            path = (c.folder / anchor.path).resolve()
            if path.is_relative_to(state):
                wrong = f"{anchor.path!r} lies in the state folder, beside the log."
                reading.wrong(
                    "site.toml", entry, "path", wrong, "Name a file that who can change the log cannot change."
                )
            elif not path.parent.is_dir():
                reading.wrong("site.toml", entry, "path", f"The folder of {anchor.path!r} does not exist.", "Make it.")
        elif (
            isinstance(anchor, MqttAnchor)
            and anchor.agency
            and anchor.agency not in agencies
            and not reading.may_exist(anchor.agency, "agency")
        ):
            wrong = f"There is no agency {anchor.agency!r}."
            reading.wrong("site.toml", entry, "agency", wrong, nearest(anchor.agency, agencies))


def source_of(sensor: SensorEntry) -> str:
    """What the equipment calls itself, as decoders look it up."""
    source = sensor.source or sensor.id
    return source.lower() if re.fullmatch(EUI, source) else source


def feed_of(sensor: SensorEntry) -> str:
    """The feed whose messages count for a sensor: one of its own where it states a topic of its own."""
    return f"{sensor.feed}:{sensor.topic}" if sensor.topic else sensor.feed


def _console(reading: Reading, c: Configuration) -> None:
    """Who may use it exists, and what listens beyond this machine is closed to all others."""
    said, agencies = c.site.console, [w.value.id for w in c.agencies]
    for account in c.accounts:
        agency = account.value.agency
        if agency and agency not in agencies and not reading.may_exist(agency, "agency"):
            mend = nearest(agency, agencies)
            reading.wrong(account.file, account.entry, "agency", f"There is no agency {agency!r}.", mend)
    for field in ("cert_file", "key_file", "base_map"):
        file = getattr(said, field)
        if file and not c.path(file).is_file():
            reading.wrong("site.toml", "console", field, f"{file!r} does not exist.", "")
    if bool(said.cert_file) != bool(said.key_file):
        reading.wrong("site.toml", "console", "cert_file", "stands without the other.", "Give cert_file and key_file.")
    if not said.enabled or said.host in LOOPBACK:
        return
    if not said.cert_file:
        mend = "Give cert_file and key_file, or listen at 127.0.0.1."
        reading.wrong("site.toml", "console", "host", f"{said.host!r} is beyond this machine, without TLS.", mend)
    if not c.accounts and "account" not in reading.lost:
        mend = "Make one with `marchwarden accounts add`, or listen at 127.0.0.1."
        reading.wrong("site.toml", "console", "host", f"{said.host!r} is beyond this machine, without accounts.", mend)


def _feeds(reading: Reading, c: Configuration) -> None:
    feeds = [(f.id, f.topic) for f in c.site.feed] + [(NATIVE, f"marchwarden/{c.site.site.name}")]
    _doubles(reading, "feed id", (("site.toml", f"feed {id!r}", "id", id) for id, _ in feeds))
    places = {id: ("site.toml", f"feed {id!r}") for id, _ in feeds}
    own = {feed_of(w.value): w for w in c.sensors if w.value.topic}
    feeds += [(id, w.value.topic) for id, w in own.items()]
    places |= {id: (w.file, w.entry) for id, w in own.items()}
    for feed in c.site.feed:
        if feed.server and feed.format != "cot":
            wrong = f"{feed.format!r} comes over MQTT."
            reading.wrong("site.toml", f"feed {feed.id!r}", "server", wrong, "Leave it out; only cot has a server.")
        for field in ("ca_file", "cert_file", "key_file"):
            file = getattr(feed, field)
            if file and not c.path(file).is_file():
                reading.wrong("site.toml", f"feed {feed.id!r}", field, f"{file!r} does not exist.", "")
    for id, topic in feeds:
        file, entry = places[id]
        if topic.strip("/") != topic or any(mark in topic for mark in "+#"):
            reading.wrong(
                file, entry, "topic", f"{topic!r} is no plain prefix.", "Leave out wildcards and outer slashes."
            )
        for other, wider in feeds:
            if other != id and (topic == wider or topic.startswith(wider + "/")):
                reading.wrong(
                    file,
                    entry,
                    "topic",
                    f"{topic!r} lies under feed {other!r} ({wider!r}): messages would be read twice.",
                    "Give each feed a prefix of its own.",
                )


def _doubles(reading: Reading, what: str, entries: Iterable[tuple[str, str, str, str]]) -> None:
    first: dict[str, tuple[str, str]] = {}
    for file, entry, field, value in entries:
        if value in first:
            where = ", ".join(first[value])
            reading.wrong(file, entry, field, f"{value!r} is there already, as {what} of {where}.", "Give it another.")
        first.setdefault(value, (file, entry))


def _refers(
    reading: Reading, at: Written[Any], field: str, id: str, known: Iterable[str], what: str, *kinds: str
) -> bool:
    """Whether what an entry names is known; if it is not and cannot be in what was not read either, that is a mistake."""
    known = list(known)
    if id in known:
        return True
    if not reading.may_exist(id, *(kinds or (what,))):
        reading.wrong(at.file, at.entry, field, f"{id!r} is no {what}.", nearest(id, known))
    return False


def _sensor(reading: Reading, c: Configuration, at: Written[SensorEntry]) -> None:
    sensor = at.value
    formats = {f.id: f.format for f in c.site.feed} | {NATIVE: "native"}
    known_feed = "feed" not in at.guessed and _refers(reading, at, "feed", sensor.feed, formats, "feed")
    if sensor.owner:
        _refers(reading, at, "owner", sensor.owner, [a.value.id for a in c.agencies], "agency")
    if sensor.profile:
        _refers(reading, at, "profile", sensor.profile, [p.id for p in c.site.profile], "profile")
    match formats[sensor.feed] if known_feed else "":
        case "chirpstack":
            if "source" not in at.guessed and not re.fullmatch(EUI, sensor.source):
                wrong, hint = f"{sensor.source!r} is no device EUI.", _eui_hint(sensor.source)
                reading.wrong(at.file, at.entry, "source", wrong, hint)
            if not sensor.profile and "profile" not in at.guessed:
                reading.wrong(
                    at.file,
                    at.entry,
                    "profile",
                    "is missing: nothing would say what the device's values mean.",
                    nearest("", [p.id for p in c.site.profile]),
                )
        case "frigate":
            if sensor.camera is None and "camera" not in at.guessed:
                reading.wrong(
                    at.file,
                    at.entry,
                    "camera",
                    "is missing: without pose and lens a box has no place on the ground.",
                    "Add [sensor.camera] with height_m, azimuth_deg, tilt_deg, width_px, height_px and hfov_deg.",
                )
        case "native":
            if sensor.topic:
                reading.wrong(
                    at.file,
                    at.entry,
                    "topic",
                    "is not for the native feed, which has a topic for each sensor already.",
                    f"Leave it out: the native topic is …/detections/{sensor.id}.",
                )
            if sensor.source and sensor.source != sensor.id and "source" not in at.guessed:
                reading.wrong(
                    at.file,
                    at.entry,
                    "source",
                    f"{sensor.source!r} differs from the id.",
                    f"Leave it out: the native topic ends in the id, …/detections/{sensor.id}.",
                )


def _eui_hint(source: str) -> str:
    """What to write instead of what a label, or a spreadsheet, made of a device EUI."""
    digits = re.sub(r"[^0-9A-Fa-f]", "", source)
    if re.fullmatch(EUI, digits) and not re.search(r"[g-zG-Z]", source):
        return f"Write {digits.lower()!r}, without separators."
    if re.fullmatch(r"\d([.,]\d+)?[eE]\+\d+", source):
        return "A spreadsheet made a number of it: set the column's format to text, and enter it again."
    if re.fullmatch(r"[0-9A-Fa-f]{13,15}", source):
        return f"It has {len(source)} digits of 16: a spreadsheet drops zeros in front. Write {source.zfill(16)!r}."
    return "Write its 16 hexadecimal digits, without separators, as ChirpStack shows them."


def _near_the_border(reading: Reading, c: Configuration) -> None:
    if not c.lines or not c.sensors:
        return
    border = shapely.union_all([d.geometry for d in c.lines])
    stretch = np.cos(np.radians(shapely.centroid(border).y))
    flat = shapely.transform(border, lambda xy: xy * [stretch, 1.0])
    lat = np.array([w.value.lat for w in c.sensors])
    lon = np.array([w.value.lon for w in c.sensors])
    km = _away_km(flat, lon * stretch, lat)
    swapped_km = _away_km(flat, lat * stretch, lon)
    for i in np.flatnonzero(km > FAR_KM).tolist():
        at = c.sensors[i]
        mend = (
            "Latitude and longitude look exchanged."
            if swapped_km[i] <= FAR_KM
            else "Check the sign of the longitude: west is negative."
        )
        reading.wrong(
            at.file,
            at.entry,
            "lat, lon",
            f"{at.value.lat:g}, {at.value.lon:g} lies {km[i]:,.0f} km from the border line.",
            mend,
        )


def _away_km(line: shapely.Geometry, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) roughly how far points lie from a line, both in degrees of latitude."""
    return np.asarray(shapely.distance(line, shapely.points(x, y)) * EARTH_M_PER_DEGREE / 1000)


SECRET_BYTES_MIN = 16
TEXTS_MAX = 2_000_000  # near watched plates, of one rule


def _rule(reading: Reading, c: Configuration, at: Written[Any]) -> None:
    rule = at.value
    if getattr(rule, "line", ""):
        _refers(reading, at, "line", rule.line, [d.properties.id for d in c.lines], "line in the border file", "line")
    for zone in getattr(rule, "zones", ()):
        _watched_zone(reading, c, at, zone)
    _schedule(reading, c, at)
    match rule.kind:
        case "watched_plate":
            _plates(reading, at)
        case "system_fault":
            for id in rule.agencies:
                _refers(reading, at, "agencies", id, [a.value.id for a in c.agencies], "agency")
        case "silent_sensor" | "tampered_sensor" | "coverage_gap":
            for id in rule.sensors:
                if _refers(reading, at, "sensors", id, [w.value.id for w in c.sensors], "sensor"):
                    entry = next(w for w in c.sensors if w.value.id == id)
                    never = entry.value.silent_after_s is None and "silent_after_s" not in entry.guessed
                    if rule.kind == "silent_sensor" and never:
                        reading.wrong(
                            at.file,
                            at.entry,
                            "sensors",
                            f"{id!r} has no silent_after_s: it would never be called silent.",
                            f"Add silent_after_s to it in {entry.file}.",
                        )


def _watched_zone(reading: Reading, c: Configuration, at: Written[Any], zone: str) -> None:
    if not _refers(reading, at, "zones", zone, [d.properties.id for d in c.zones], "zone"):
        return
    if next(d for d in c.zones if d.properties.id == zone).properties.privacy:
        wrong = f"{zone!r} is a privacy zone: nothing in it is ever seen."
        reading.wrong(at.file, at.entry, "zones", wrong, "Choose another zone.")


def _schedule(reading: Reading, c: Configuration, at: Written[Any]) -> None:
    if at.value.schedule:
        _refers(reading, at, "schedule", at.value.schedule, [w.value.id for w in c.schedules], "schedule")


def _plates(reading: Reading, at: Written[Any]) -> None:
    rule = at.value
    for plate in rule.plates:
        if not normalised(plate):
            reading.wrong(at.file, at.entry, "plates", f"{plate!r} has no letter or digit.", "Write it as it is read.")
    texts = sum(texts_near(len(normalised(plate)), rule.edits_max) for plate in rule.plates)
    if texts > TEXTS_MAX:
        wrong = f"{rule.edits_max} with {len(rule.plates)} plates makes some {texts:,} texts to look for."
        reading.wrong(at.file, at.entry, "edits_max", wrong, "Lower it, or watch fewer plates with it.")


def _agencies(reading: Reading, c: Configuration) -> None:
    ids = [a.value.id for a in c.agencies]
    if not ids and "agency" not in reading.lost and not reading.lost_ids:
        wrong, hint = (
            "has no [[agency]]: nobody would be told of anything.",
            "Add one, with an id, a name and a channel.",
        )
        reading.wrong(c.site.files.agencies, "", "", wrong, hint)
        reading.lost.add("agency")
    areas = [d.properties.id for d in c.jurisdictions] + [d.properties.id for d in c.zones]
    for drawn in c.jurisdictions:
        if drawn.properties.agency not in ids and not reading.may_exist(drawn.properties.agency, "agency"):
            wrong = f"{drawn.properties.agency!r} is no agency."
            reading.wrong(drawn.file, drawn.entry, "agency", wrong, nearest(drawn.properties.agency, ids))
    for at in c.agreements:
        _refers(reading, at, "area", at.value.area, areas, "jurisdiction or zone", "jurisdiction", "zone")
        _schedule(reading, c, at)
        for field, agency in (("lead", at.value.lead), *(("copies", copy) for copy in at.value.copies)):
            _refers(reading, at, field, agency, ids, "agency")
    for written in c.agencies:
        own = [channel.id for channel in written.value.channel]
        for channel in written.value.channel:
            _channel(reading, c, written, channel)
        for rung in written.value.escalation:
            for id in rung.channels:
                _refers(reading, written, "escalation.channels", id, own, "channel of this agency", "channel")
            for id in rung.agencies:
                _refers(reading, written, "escalation.agencies", id, ids, "agency")
        if "channel" not in written.guessed and set(own) <= {
            id for rung in written.value.escalation for id in rung.channels
        }:
            reading.wrong(
                written.file,
                written.entry,
                "escalation.channels",
                "names all its channels: it would hear of nothing until nobody has acknowledged it.",
                "Leave one channel out of its escalation.",
            )


def _channel(reading: Reading, c: Configuration, at: Written[Any], channel: Any) -> None:
    for field in ("secret_file", "ca_file", "cert_file", "key_file", "password_file"):
        file = getattr(channel, field, "")
        if file and not c.path(file).is_file():
            mend = "Make it, or leave the field out to send without a signature." if field == "secret_file" else ""
            reading.wrong(at.file, at.entry, f"channel {channel.id}: {field}", f"{file!r} does not exist.", mend)
    secret = getattr(channel, "secret_file", "")
    if secret and (c.folder / secret).is_file() and len((c.folder / secret).read_bytes().strip()) < SECRET_BYTES_MIN:
        reading.wrong(
            at.file,
            at.entry,
            f"channel {channel.id}: secret_file",
            f"{secret!r} holds less than {SECRET_BYTES_MIN} characters: such a secret can be guessed.",
            f"Make one with `openssl rand -hex 32 > {secret}`.",
        )
    if hasattr(channel, "url") and not urlsplit(channel.url).hostname:
        reading.wrong(at.file, at.entry, f"channel {channel.id}: url", f"{channel.url!r} names no host.", "")
