"""What only several entries together show: broken references, doubles, things that cannot stand where they are said to."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from runtime.entries import Configuration, Drawn, Reading, Written
from runtime.geocheck import check_places
from runtime.mistakes import nearest
from runtime.schema import (
    Agency,
    Agreement,
    Camera,
    ClassName,
    FeedEntry,
    FileAnchor,
    MqttAnchor,
    SensorEntry,
    Severity,
    UnitEntry,
)
from sensors.plates import normalised
from sensors.watchlist import texts_near

NATIVE = "native"
DOUBLES_TOLD = 3  # of two files, one by one
EUI = r"[0-9A-Fa-f]{16}"
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def crosscheck(reading: Reading, c: Configuration) -> None:
    """Note every mistake that no entry shows by itself. What could not be read is blamed on nobody else."""
    _feeds(reading, c)
    _units(reading, c)
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
    drawn: list[Drawn[Any]] = [*c.zones, *c.lines, *c.jurisdictions]  # an agreement's area may be any but a line
    _doubles(reading, "id", ((d.file, d.entry, "id", d.properties.id) for d in drawn))
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
    check_places(reading, c)
    for figures in c.sensors:
        _figures(reading, c, figures)
    _inhibitions(reading, c)
    _mqtt_topics(reading, c)
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


def feed_of(entry: SensorEntry | UnitEntry) -> str:
    """The feed whose messages count for a sensor or a unit: one of its own where it states a topic of its own."""
    return f"{entry.feed}:{entry.topic}" if entry.topic else entry.feed


def written_units(c: Configuration) -> list[Written[UnitEntry]]:
    """The units, and where each is written."""
    return [Written(unit, "site.toml", f"unit {unit.id!r}") for unit in c.site.unit]


def speakers_of(c: Configuration) -> list[Written[SensorEntry] | Written[UnitEntry]]:
    """All that speak on feeds: sensors and units."""
    return [*c.sensors, *written_units(c)]


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
    own = {feed_of(w.value): w for w in speakers_of(c) if w.value.topic}
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
    for feed in c.site.feed:
        _prefix(reading, feed)
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


def _units(reading: Reading, c: Configuration) -> None:
    """Each unit speaks on a feed that carries units, under a name that is nobody else's there."""
    units = written_units(c)
    _doubles(reading, "unit id", ((w.file, w.entry, "id", w.value.id) for w in units))
    sources = ((w.file, w.entry, "source", f"{w.value.feed}/{w.value.source or w.value.id}") for w in units)
    _doubles(reading, "unit", sources)
    formats = {f.id: f.format for f in c.site.feed} | {NATIVE: "native"}
    for at in units:
        unit = at.value
        if not _refers(reading, at, "feed", unit.feed, formats, "feed"):
            continue
        if formats.get(unit.feed, "cot") not in ("native", "cot"):
            wrong = f"{unit.feed!r} carries no units: its format is {formats[unit.feed]}."
            reading.wrong(at.file, at.entry, "feed", wrong, "Name 'native', or a feed of format 'cot'.")
        for field in ("topic", "source") if unit.feed == NATIVE else ():
            if getattr(unit, field) not in ("", unit.id):
                wrong = "is not for the native feed, which has a topic for each unit already."
                reading.wrong(at.file, at.entry, field, wrong, f"Leave it out: the native topic is …/units/{unit.id}.")


def _doubles(reading: Reading, what: str, entries: Iterable[tuple[str, str, str, str]]) -> None:
    """Values that stand twice. A file of which many stand in another one is a copy of it, and one mistake."""
    first: dict[str, tuple[str, str]] = {}
    again: dict[tuple[str, str], list[tuple[str, str, str]]] = {}  # (file, the other file): entry, field, value
    for file, entry, field, value in entries:
        if value in first:
            again.setdefault((file, first[value][0]), []).append((entry, field, value))
        first.setdefault(value, (file, entry))
    for (file, other), found in again.items():
        copy = file != other and len(found) > DOUBLES_TOLD
        for entry, field, value in found[: 0 if copy else None]:
            if (file, entry) not in reading.doubled:
                where = ", ".join(first[value])
                wrong = f"{value!r} is there already, as {what} of {where}."
                reading.wrong(file, entry, field, wrong, "Give it another.")
        if copy and not {(file, entry) for entry, _, _ in found} <= reading.doubled:
            wrong = f"has {len(found)} entries that are in {other} already, such as {found[0][2]!r}."
            reading.wrong(file, "", "", wrong, "Is one a copy of the other? Remove it.")
        reading.doubled |= {(file, entry) for entry, _, _ in found}


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
    if known_feed:
        _gateway(reading, at, formats)
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


def _gateway(reading: Reading, at: Written[SensorEntry], formats: Mapping[str, str]) -> None:
    sensor = at.value
    if formats[sensor.feed] == "chirpstack-gateway":
        wrong = f"{sensor.feed!r} carries what gateways say, and no sensor's messages."
        reading.wrong(at.file, at.entry, "feed", wrong, "Name the feed of format 'chirpstack'.")
    if sensor.gateway and formats[sensor.feed] != "chirpstack":
        reading.wrong(at.file, at.entry, "gateway", "is for sensors on a ChirpStack feed only.", "Leave it out.")
    elif sensor.gateway and "chirpstack-gateway" not in formats.values():
        reading.wrong(
            at.file,
            at.entry,
            "gateway",
            "is given, and no feed says whether gateways are up.",
            "Add a [[feed]] with format = 'chirpstack-gateway' and topic = 'eu868/gateway', with your region.",
        )


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
    for first, second in _same(rule.plates, normalised):
        wrong = f"{first!r} and {second!r} are one plate: spaces and case do not count."
        reading.wrong(at.file, at.entry, "plates", wrong, "Leave one out.")
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
    for drawn in c.jurisdictions:
        if drawn.properties.agency not in ids and not reading.may_exist(drawn.properties.agency, "agency"):
            wrong = f"{drawn.properties.agency!r} is no agency."
            reading.wrong(drawn.file, drawn.entry, "agency", wrong, nearest(drawn.properties.agency, ids))
    for agreement in c.agreements:
        _agreement(reading, c, agreement, ids)
    for agency in c.agencies:
        for channel in agency.value.channel:
            _channel(reading, c, agency, channel)
        _escalation(reading, agency, ids)


def _agreement(reading: Reading, c: Configuration, at: Written[Agreement], ids: list[str]) -> None:
    said, areas = at.value, [*(d.properties.id for d in c.jurisdictions), *(d.properties.id for d in c.zones)]
    _refers(reading, at, "area", said.area, areas, "jurisdiction or zone", "jurisdiction", "zone")
    _schedule(reading, c, at)
    for copy in sorted({x for x in said.copies if x == said.lead or said.copies.count(x) > 1}):
        wrong = f"{copy!r} is named twice: it leads, or has its copy, already."
        reading.wrong(at.file, at.entry, "copies", wrong, "Leave it out of copies, or name it once.")
    for field, agency in (("lead", said.lead), *(("copies", copy) for copy in said.copies)):
        _refers(reading, at, field, agency, ids, "agency")


def _escalation(reading: Reading, at: Written[Agency], ids: list[str]) -> None:
    own, later = [channel.id for channel in at.value.channel], set[str]()
    for rung in at.value.escalation:
        later |= set(rung.channels)
        for id in rung.channels:
            _refers(reading, at, "escalation.channels", id, own, "channel of this agency", "channel")
        for id in rung.agencies:
            _refers(reading, at, "escalation.agencies", id, ids, "agency")
        if at.value.id in rung.agencies:
            hint = "Name others there; its own channels go into channels."
            reading.wrong(at.file, at.entry, "escalation.agencies", "names the agency itself.", hint)
    if "channel" not in at.guessed and set(own) <= later:
        wrong = "names all its channels: it would hear of nothing until nobody has acknowledged it."
        reading.wrong(at.file, at.entry, "escalation.channels", wrong, "Leave one channel out of its escalation.")


def _channel(reading: Reading, c: Configuration, at: Written[Any], channel: Any) -> None:
    for field in ("secret_file", "ca_file", "cert_file", "key_file", "password_file"):
        file = getattr(channel, field, "")
        if file and not c.path(file).is_file():
            mend = "Make it, or leave the field out to send without a signature." if field == "secret_file" else ""
            reading.wrong(at.file, at.entry, f"channel {channel.id!r}: {field}", f"{file!r} does not exist.", mend)
    secret = getattr(channel, "secret_file", "")
    if secret and (c.folder / secret).is_file() and len((c.folder / secret).read_bytes().strip()) < SECRET_BYTES_MIN:
        reading.wrong(
            at.file,
            at.entry,
            f"channel {channel.id!r}: secret_file",
            f"{secret!r} holds less than {SECRET_BYTES_MIN} characters: such a secret can be guessed.",
            f"Make one with `openssl rand -hex 32 > {secret}`.",
        )


# ── figures that contradict each other ───────────────────────────────────────────────────────────


def _figures(reading: Reading, c: Configuration, at: Written[SensorEntry]) -> None:
    """Figures of one sensor that cannot all be meant."""
    sensor, latest_s = at.value, min(c.site.fusion.lateness_s, c.site.limits.age_s_max)
    if sensor.latency_s > latest_s:
        wrong = f"{sensor.latency_s:g} s is longer than messages are waited for ({latest_s:g} s): all of them come too late."
        hint = "Write how long it usually takes from seeing to receiving, or raise fusion.lateness_s."
        reading.wrong(at.file, at.entry, "latency_s", wrong, hint)
    beat_s = max(1 / sensor.looks_per_s, sensor.latency_s)
    if sensor.silent_after_s is not None and sensor.silent_after_s <= beat_s:
        wrong = (
            f"{sensor.silent_after_s:g} s is no longer than it takes from one of its looks to the next ({beat_s:g} s)."
        )
        hint = "It would be called silent all the time: write several times as much."
        reading.wrong(at.file, at.entry, "silent_after_s", wrong, hint)
    if sensor.camera is not None:
        _view(reading, at, sensor.camera, sensor.range_m)


def _view(reading: Reading, at: Written[SensorEntry], camera: Camera, range_m: float) -> None:
    """A calibrated camera sees ground, and some of it within its range."""
    down_deg = camera.fields_of_view_deg()[1] / 2 - camera.tilt_deg
    if down_deg <= 0:
        wrong = f"{camera.tilt_deg:g} looks above the horizon: nothing in its picture has a place on the ground."
        reading.wrong(at.file, at.entry, "camera.tilt_deg", wrong, f"Down is negative: {-abs(camera.tilt_deg):g}.")
    elif camera.nearest_m() >= range_m:
        wrong = f"{range_m:g} m is nearer than the ground that it sees, which begins {camera.nearest_m():,.0f} m away."
        reading.wrong(
            at.file, at.entry, "range_m", wrong, "Raise range_m, or check camera.height_m and camera.tilt_deg."
        )


# ── what names kinds of things ───────────────────────────────────────────────────────────────────


def _inhibitions(reading: Reading, c: Configuration) -> None:
    """What inhibits and what is inhibited can be there."""
    for at in c.inhibitions:
        if at.value.by == at.value.mutes:
            wrong = "mutes what it is muted by: it would do nothing."
            reading.wrong(
                at.file, at.entry, "mutes", wrong, "Write in `by` what is graver, and in `mutes` what is lesser."
            )
        for field in ("by", "mutes"):
            for matcher, values in getattr(at.value, field).items():
                for value in values.split(","):
                    _matcher(reading, c, at, f"{field}.{matcher}", matcher, value)


def _matcher(reading: Reading, c: Configuration, at: Written[Any], field: str, matcher: str, value: str) -> None:
    possible = matcher_values(c).get(matcher)
    if possible is not None and not possible.fits(value) and not reading.may_exist(value, *possible.kinds):
        reading.wrong(at.file, at.entry, field, f"{value!r} is no {possible.what}.", nearest(value, possible.values))


@dataclass(frozen=True)
class Possible:
    """What a matcher's value can be, so that it matches anything."""

    values: list[str]
    what: str
    kinds: tuple[str, ...] = ()  # of entries that may hold more of them, where they cannot be read

    def fits(self, value: str) -> bool:
        """Whether a value, which may end in `*`, is one that something can have."""
        begins = value.removesuffix("*")
        return any(v.startswith(begins) if value.endswith("*") else v == value for v in self.values)


def matcher_values(c: Configuration) -> dict[str, Possible]:
    """For each field of a silence or an inhibition whose values are known beforehand."""
    rules, sensors = [w.value for w in c.rules], [w.value.id for w in c.sensors]
    places = [*(d.properties.id for d in c.zones), *(d.properties.id for d in c.lines)]
    return {
        "rule": Possible([r.id for r in rules], "rule", ("rule",)),
        "kind": Possible(sorted({r.kind for r in rules}), "kind that a rule has", ("rule", "kind of rule")),
        "zone": Possible([*places, *sensors], "zone or line", ("zone", "line", "sensor")),  # of a sensor's own, it
        "severity": Possible(list(get_args(Severity)), "severity"),
        "sensor": Possible(sensors, "sensor", ("sensor",)),
        "agency": Possible([w.value.id for w in c.agencies], "agency", ("agency",)),
        "class": Possible(list(get_args(ClassName)), "class"),
    }


def _mqtt_topics(reading: Reading, c: Configuration) -> None:
    """Each channel over MQTT has a topic of its own, so that what one agency may read goes to no other."""
    first: dict[str, tuple[str, str]] = {}
    native, publishers = f"marchwarden/{c.site.site.name}", {w.value.id for w in c.sensors if w.value.feed == NATIVE}
    for at in c.agencies:
        for channel in at.value.channel:
            topic = getattr(channel, "topic", "")
            if not topic:
                continue
            if topic in first:
                agency, id = first[topic]
                whose = "each alert would come twice" if agency == at.value.id else f"{agency!r} would read its alerts"
                wrong = f"{topic!r} is the topic of channel {id!r} already: {whose}."
                reading.wrong(at.file, at.entry, f"channel {channel.id!r}: topic", wrong, "Give it a topic of its own.")
            read = re.fullmatch(rf"{re.escape(native)}/(?:detections|health)/([^/]+)", topic)
            if read and read[1] not in publishers:  # those of sensors are found as topics that others may write
                wrong = f"{topic!r} is a topic on which sensors publish: alerts would come back as messages."
                reading.wrong(
                    at.file,
                    at.entry,
                    f"channel {channel.id!r}: topic",
                    wrong,
                    f"Write '{native}/agencies/{at.value.id}'.",
                )
            first.setdefault(topic, (at.value.id, channel.id))


def _prefix(reading: Reading, feed: FeedEntry) -> None:
    """A feed's topic is what all its topics begin with, not one of them."""
    pattern = {"frigate": r"(.+)/(?:events|reviews|available|stats)(?:/.*)?", "chirpstack": r"(.*application)/.+"}
    found = re.fullmatch(pattern.get(feed.format, "(?!)"), feed.topic)
    if found:
        wrong = f"{feed.topic!r} is one of its topics, not what they all begin with."
        reading.wrong("site.toml", f"feed {feed.id!r}", "topic", wrong, f"Write {found[1]!r}.")


def _same(words: Iterable[str], form: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    """Pairs of words of one form."""
    first: dict[str, str] = {}
    for word in words:
        if form(word) and form(word) in first:
            yield first[form(word)], word
        first.setdefault(form(word), word)
