"""What a site folder may say, field by field. The JSON Schema for editors and every check come from here.

Strict: an unknown key is an error. Checks that need more than one entry are in `configuration.py`.
"""

import re
from dataclasses import dataclass
from datetime import date
from functools import cache
from math import atan, degrees, pi, radians, tan
from typing import Annotated, Literal
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from model.faults import FaultKind

IDENTIFIER = r"^[a-z0-9][a-z0-9_.-]*$"
SERVER = r"^[^:\s]+:\d+$"
SERVER_OR_NONE = r"^([^:\s]+:\d+)?$"
URL = r"^https?://[^\s@]+$"
ADDRESS = r"@"
COT_TYPE = r"^a-f(-[A-Za-z0-9.]+)*$"
EUI_OR_NONE = r"^([0-9A-Fa-f]{16})?$"
USER_NAME = r"^([A-Za-z0-9][A-Za-z0-9_.@-]*)?$"
# What a text is not that does not have its form, and what to write instead.
FORMS = {
    IDENTIFIER: ("is no id", "Write {suggestion!r}: lower-case letters, digits, '-', '_' and '.'."),
    SERVER: ("is not host:port", "Write it as 'tak.example.org:8089'."),
    SERVER_OR_NONE: ("is not host:port", "Write it as 'tak.example.org:8089'."),
    URL: (
        "is no web address",
        "Write it with https:// in front and without a password, as 'https://dispatch.example.org/alerts'.",
    ),
    USER_NAME: (
        "is no user name at the broker",
        "Write letters, digits, '-', '_', '.' and '@', and begin with a letter or digit.",
    ),
    COT_TYPE: ("is no type of a friend", "Write the beginning of a type, as 'a-f-G-U' for units on the ground."),
    EUI_OR_NONE: ("is no EUI", "Write its 16 hexadecimal digits, without separators, as ChirpStack shows them."),
    ADDRESS: ("is no e-mail address", "Write an e-mail address, as 'desk@example.org'."),
}
MOST = 1e9  # metres, seconds, metres per second: far beyond what is meant, and within what 64 bits of nanoseconds hold

Identifier = Annotated[str, Field(pattern=IDENTIFIER, max_length=64)]
Share = Annotated[float, Field(ge=0, le=1)]
Sureness = Annotated[float, Field(ge=0, lt=1)]  # of what is never quite certain
Positive = Annotated[float, Field(gt=0, le=MOST)]
NotNegative = Annotated[float, Field(ge=0, le=MOST)]
Hours = Annotated[float, Field(gt=0, le=87_600)]
Days = Annotated[float, Field(gt=0, le=36_500)]
Latitude = Annotated[float, Field(ge=-90, le=90)]
Longitude = Annotated[float, Field(ge=-180, le=180)]
Scalar = bool | float | str
ClassName = Literal["person", "vehicle", "animal", "vessel", "aircraft", "other"]
Severity = Literal["information", "minor", "major", "critical"]


ZONES = cache(available_timezones)  # it walks through the whole database each time


def _known_zone(name: str) -> str:
    if name not in ZONES():
        raise ValueError("is no IANA time zone; write for example 'America/Phoenix'")
    return name


def _plain_topic(topic: str) -> str:
    """A topic goes into access lists and subscriptions as it is."""
    if topic.startswith("$"):
        raise ValueError("begins with '$', which is the broker's own")
    if topic != topic.strip() or not topic.isprintable():
        raise ValueError("has spaces at an end, a line break or a control character in it")
    return topic


Topic = Annotated[str, AfterValidator(_plain_topic)]


def _prefix_only(topic: str) -> str:
    """A topic that is published to, or a prefix, holds no wildcard."""
    if any(mark in topic for mark in "+#"):
        raise ValueError("holds a wildcard, '+' or '#'; write one topic, as 'marchwarden/site/agencies/police'")
    if topic.strip("/") != topic:
        raise ValueError(f"has a slash at an end; write {topic.strip('/')!r}")
    return topic


def _web_address(url: str) -> str:
    """An address that has a host, and a port that can be one."""
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and parts.port != 0
    except ValueError:
        named = False
    if not named:
        raise ValueError(
            "names no host, or a port that cannot be; write it as 'https://dispatch.example.org:8443/alerts'"
        )
    return url


def _host(host: str) -> str:
    if "://" in host:
        raise ValueError(
            f"is an address; write the host only, {urlsplit(host).netloc.rpartition('@')[2].partition(':')[0]!r}"
        )
    if not host or any(c.isspace() or c == "/" for c in host):
        raise ValueError("is no host name; write one, as 'broker.example.org'")
    if host.count(":") == 1:
        raise ValueError(
            f"has a port in it; write {host.partition(':')[0]!r}, and the port as port = {host.partition(':')[2]}"
        )
    return host


def _server(text: str) -> str:
    port = text.rpartition(":")[2]
    if text and not 1 <= int(port[:9]) <= 65535:
        raise ValueError("has a port that cannot be; write one from 1 to 65535")
    return text


@dataclass(frozen=True)
class NamesFile:
    """Marks a field that names a file beside the configuration. One with a secret is for the service's user and group only."""

    secret: bool


SecretFile = Annotated[str, NamesFile(secret=True)]
OpenFile = Annotated[str, NamesFile(secret=False)]
Server = Annotated[str, Field(pattern=SERVER), AfterValidator(_server)]
ServerOrNone = Annotated[str, Field(pattern=SERVER_OR_NONE), AfterValidator(_server)]
WebAddress = Annotated[str, Field(pattern=URL), AfterValidator(_web_address)]
Host = Annotated[str, AfterValidator(_host)]
CotType = Annotated[str, Field(pattern=COT_TYPE, max_length=64)]
BrokerUser = Annotated[str, Field(pattern=USER_NAME, max_length=64)]
PLAIN = "Beyond this machine everything is encrypted, unless this says that it is meant to go in the clear"
BROKER_USER = "Its user name at the broker, for `marchwarden acl`; empty: "


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


# ── site.toml ────────────────────────────────────────────────────────────────────────────────────


class Site(Strict):
    name: Identifier = Field(description="Part of native topics: marchwarden/<name>/…")
    title: str
    time_zone: Annotated[str, AfterValidator(_known_zone)] = "UTC"


class Files(Strict):
    """Paths relative to the site folder; patterns allowed for sensors."""

    sensors: list[str] = ["sensors/*.toml", "sensors/*.csv"]
    zones: str = "zones.geojson"
    border: str = "border.geojson"
    roads: str = Field("", description="LineStrings that what drives keeps to; empty: none")
    jurisdictions: str = "jurisdictions.geojson"
    rules: str = "rules.toml"
    agencies: str = "agencies.toml"
    accounts: SecretFile = Field("accounts.toml", description="Who may use the console; need not be there")
    state: str = Field("state", description="Folder for journal, keys, database and history")


class Mqtt(Strict):
    host: Host = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 1883
    client_id: str = ""  # empty: marchwarden-<site>
    username: BrokerUser = ""
    password_file: SecretFile = ""
    tls_ca_file: OpenFile = ""  # empty: no TLS
    plain: bool = Field(False, description=PLAIN)
    keepalive_s: Annotated[int, Field(ge=5, le=3600)] = 30


class FeedEntry(Strict):
    id: Identifier
    format: Literal["native", "frigate", "chirpstack", "chirpstack-gateway", "openalpr", "cot"]
    topic: Topic = Field(min_length=1, description="Topic prefix, without a trailing slash or wildcards")
    broker_user: BrokerUser = Field("", description=f"{BROKER_USER}feed-<id>")
    server: ServerOrNone = Field("", description="For cot: host:port of a TAK server; empty: it comes over MQTT")
    ca_file: OpenFile = Field("", description="Certificate authority of that server, PEM; empty: no TLS")
    cert_file: OpenFile = Field("", description="Our own certificate for it, with its key in key_file")
    key_file: SecretFile = ""
    plain: bool = Field(False, description=PLAIN)
    unit_types: list[CotType] = Field(
        ["a-f-G-U"], description="For cot: types that are patrols of ours, each with all that begin with it"
    )
    alert_unregistered: bool = Field(
        True, description="For cot: technicians are told of a patrol that is no [[unit]]; false: it is only counted"
    )


class Fusion(Strict):
    scan_s: Positive = Field(1.0, description="Tracks are judged once per this much observed time")
    settle_s: NotNegative = Field(0.5, description="A scan waits this long for slower cameras")
    idle_s: Positive = Field(2.0, description="With no message for this long, received time closes scans")
    lateness_s: Positive = Field(30.0, description="Later than this is too late for tracking")
    coast_s: Positive = Field(20.0, description="A track unseen for this long is told of no more")
    memory_s: Positive = Field(300.0, description="And for this long it may be found again as itself")
    birth_per_km2: Positive = Field(1.0, description="Targets expected per km² where nobody looks")
    confirm_existence: Sureness = Field(0.95, description="A track surer than this is told of")
    told_existence: Sureness = Field(0.5, description="Until it is less sure than this")
    vague_m: Positive = Field(80.0, description="Or until its standard deviation, one axis, is more than this")
    drop_existence: Share = Field(0.01, description="A track that was never told of is dropped below this")

    @model_validator(mode="after")
    def _in_order(self) -> "Fusion":
        if not self.drop_existence < self.told_existence < self.confirm_existence:
            raise ValueError(
                f"has drop_existence {self.drop_existence:g}, told_existence {self.told_existence:g} and confirm_existence "
                f"{self.confirm_existence:g}; each must be less than the next"
            )
        return self


class UnitEntry(Strict):
    """A unit of ours that says where it is, so that its own people raise no alert."""

    id: Identifier
    name: str = Field("", max_length=64, description="As people call it; empty: as it calls itself")
    feed: str = Field("native", description="Where it says so: native, or a feed of format cot")
    source: str = Field(
        "",
        max_length=256,
        description="For cot: its uid; empty: its id",
    )
    topic: Topic = Field(
        "", description="For cot: a topic prefix of its own, in place of the feed's: only it counts there"
    )
    broker_user: BrokerUser = Field("", description=f"{BROKER_USER}unit-<id>")
    tracks_max: Annotated[int, Field(ge=1, le=50)] = Field(
        4, description="Its people and vehicles at most: with more tracks about it, it explains none of them"
    )


class Incidents(Strict):
    storm_incidents: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        20, description="More incidents of one rule than this in storm_s are told of as one; 0: each by itself"
    )
    storm_s: Positive = 60.0
    split_m: Positive = Field(500.0, description="A subject this far from the others")
    split_s: Positive = Field(60.0, description="for this long is an incident of its own")
    unit_m: Positive = Field(15.0, description="How far a unit's people stand about its place, one axis")
    unit_fresh_s: Positive = Field(60.0, description="A unit's word on its place holds this long")
    unit_speed_mps_max: Positive = Field(
        70.0,
        description="A unit that would have to move faster explains nothing for a minute, and technicians are told",
    )


class Privacy(Strict):
    plate_key_file: SecretFile = Field("", description="32 bytes; empty: made in the state folder")
    journal_hours: Hours = 24.0
    plates_days: Days = 30.0
    pictures_days: Days = Field(7.0, description="Cameras' pictures, made too small to know anybody by")
    history_days: Days = 90.0


class FileAnchor(Strict):
    """Appended to a file that who can change the log cannot change: another machine's disk, a write-once medium."""

    kind: Literal["file"]
    path: str = Field(min_length=1, description="Outside of the state folder")


class SyslogAnchor(Strict):
    """To this machine's syslog, which sends it on."""

    kind: Literal["syslog"]
    address: str = Field("/dev/log", description="Its socket")


class MqttAnchor(Strict):
    """A retained message at the broker, for somebody else to keep."""

    kind: Literal["mqtt"]
    topic: Topic = Field(min_length=1)
    agency: str = Field("", description="Which agency may read it, for `marchwarden acl`")


AnyAnchor = Annotated[FileAnchor | SyslogAnchor | MqttAnchor, Field(discriminator="kind")]


class Audit(Strict):
    """The audit log's key, and where what it was at a time is kept, so that it cannot be cut unseen."""

    audit_key_file: SecretFile = Field("", description="32 bytes; empty: made in the state folder, beside the log")
    every_minutes: Positive = Field(60.0, description="How often it is anchored")
    anchor: list[AnyAnchor] = []


class History(Strict):
    store: Literal["embedded", "influxdb"] = "embedded"
    url: WebAddress = "http://127.0.0.1:8086"
    database: str = "marchwarden"  # bucket in 2.x and 3.x
    org: str = "-"
    token_file: SecretFile = ""
    plain: bool = Field(False, description=PLAIN)


class ConsoleEntry(Strict):
    """The page that officers keep open. Beyond this machine it needs TLS and accounts."""

    enabled: bool = True
    host: str = Field("127.0.0.1", description="The address to listen at")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(8470, description="0: any that is free")
    names: list[str] = Field([], description="Host names by which browsers may call it, besides the address")
    cert_file: OpenFile = Field("", description="Its certificate, PEM, with its chain")
    key_file: SecretFile = ""
    base_map: str = Field("", description="A PMTiles archive of vector tiles, relative to the site folder; empty: none")
    session_hours: Hours = Field(12.0, description="A sign-in ends after this long")
    idle_minutes: Positive = Field(60.0, description="… or after this long unused")


class Bounds(Strict):
    payload_bytes_max: Annotated[int, Field(gt=0, le=268_435_455)] = 1_000_000
    members_max: Annotated[int, Field(gt=0, le=1_000_000_000)] = Field(
        1_000, description="Detections of one message that are read"
    )
    sensor_detections_per_s_max: Annotated[int, Field(gt=0, le=1_000_000_000)] = Field(
        500, description="… of one sensor in a second"
    )
    detections_per_s_max: Annotated[int, Field(gt=0, le=1_000_000_000)] = Field(
        100_000, description="… of all sensors in a second"
    )
    unit_sigma_m_max: Positive = Field(
        30.0, description="A unit that knows its place worse than this, one axis, explains nothing"
    )
    tracks_max: Annotated[int, Field(gt=0, le=1_000_000_000)] = Field(
        20_000, description="Tracks held at once; beyond them each sensor's least likely are dropped"
    )
    checkpoint_tracks_max: Annotated[int, Field(gt=0, le=1_000_000_000)] = Field(
        400_000,
        description="Tracks of all states kept for late data, about 1 kB each; beyond them less late data is used",
    )
    ahead_s_max: NotNegative = 5.0
    age_s_max: Positive = 3600.0
    repeat_s: Positive = Field(600.0, description="The same message again within this is a repeat")
    redelivery_s: NotNegative = Field(
        0.5,
        description="… where it has neither an id nor a time: only within this, or if the broker marks it as a duplicate",
    )


def _path(path: str) -> str:
    if path.startswith("object."):
        raise ValueError(f"begins at the object itself; write {path.removeprefix('object.')!r}")
    if not all(path.split(".")) or path != path.strip():
        raise ValueError("is no path; write names with dots between them, as 'status.battery_mv'")
    return path


Path = Annotated[str, AfterValidator(_path)]


class Conditions(Strict):
    """One test of a decoded value: equal to one of `values`, or `above` a number."""

    path: Path = Field(description="Dotted path in the decoded object: 'pir' or 'data.motion.state'")
    values: list[Scalar] = []
    above: float | None = None
    default: Scalar | None = Field(None, description="What a left-out field means")

    @model_validator(mode="after")
    def _says_something(self) -> "Conditions":
        if not self.values and self.above is None:
            raise ValueError("needs 'values' or 'above': nothing would ever match")
        return self


class DetectEntry(Conditions):
    classes: dict[ClassName, Share] = {}
    confidence: Share = 1.0

    @model_validator(mode="after")
    def _shares_of_one(self) -> "DetectEntry":
        total = sum(self.classes.values())
        if total > 1 + 1e-9:
            raise ValueError(f"has class shares that add up to {total:g}; they are parts of 1 at most")
        return self


class ProfileEntry(Strict):
    id: Identifier
    detect: list[DetectEntry] = Field(min_length=1)
    battery: str = ""
    battery_full: Positive = 100.0
    tamper: Conditions | None = None
    time: str = Field("", description="Path of the device's own time, epoch seconds")


class SiteFile(Strict):
    """site.toml"""

    site: Site
    files: Files = Files()
    mqtt: Mqtt = Mqtt()
    feed: list[FeedEntry] = []  # the native feed is always there
    profile: list[ProfileEntry] = []
    unit: list[UnitEntry] = []
    fusion: Fusion = Fusion()
    incidents: Incidents = Incidents()
    privacy: Privacy = Privacy()
    audit: Audit = Audit()
    history: History = History()
    limits: Bounds = Bounds()
    console: ConsoleEntry = ConsoleEntry()


# ── sensors/*.toml, *.csv ────────────────────────────────────────────────────────────────────────


class Camera(Strict):
    """Pose and lens. Give `focal_px`, or the horizontal field of view."""

    height_m: Positive
    azimuth_deg: Annotated[float, Field(ge=0, lt=360)]
    tilt_deg: Annotated[float, Field(ge=-90, le=90)] = Field(description="0 level, negative down")
    roll_deg: Annotated[float, Field(ge=-180, le=180)] = 0.0
    width_px: Annotated[int, Field(gt=0, le=100_000)]
    height_px: Annotated[int, Field(gt=0, le=100_000)]
    hfov_deg: Annotated[float, Field(gt=0, lt=180)] | None = None
    focal_px: Positive | None = None
    centre_px: Annotated[tuple[float, float], Field(strict=False)] | None = None
    distortion: Annotated[tuple[float, float, float, float, float], Field(strict=False)] = (0.0, 0.0, 0.0, 0.0, 0.0)
    pixel_sigma_px: Positive = 3.0
    angle_sigma_deg: NotNegative = 0.2
    height_sigma_m: NotNegative = 0.3
    position_sigma_m: NotNegative = 2.0

    @model_validator(mode="after")
    def _has_a_lens(self) -> "Camera":
        if (self.hfov_deg is None) == (self.focal_px is None):
            raise ValueError("needs exactly one of 'hfov_deg' and 'focal_px'")
        return self

    def focal(self) -> float:
        """Focal length, pixels."""
        return self.focal_px or self.width_px / 2 / tan(radians(self.hfov_deg or 60.0) / 2)

    def fields_of_view_deg(self) -> tuple[float, float]:
        """Horizontal and vertical."""
        focal = self.focal()
        return 2 * degrees(atan(self.width_px / 2 / focal)), 2 * degrees(atan(self.height_px / 2 / focal))

    def nearest_m(self) -> float:
        """How near the lower edge of the picture meets level ground."""
        down = radians(self.fields_of_view_deg()[1] / 2 - self.tilt_deg)
        return self.height_m / tan(down) if 0 < down < pi / 2 else 0.0


class SensorEntry(Strict):
    id: Identifier
    name: str = ""
    kind: Literal["camera", "ground", "plate_reader", "radar", "other"]
    feed: Identifier = "native"
    source: str = Field("", description="What the equipment calls itself; empty: the id")
    topic: Topic = Field(
        "", description="A topic prefix of its own, in place of the feed's: a message there counts only for it"
    )
    broker_user: BrokerUser = Field("", description=f"{BROKER_USER}sensor-<id>")
    lat: Latitude
    lon: Longitude
    to_lat: Latitude | None = Field(None, description="Other end, for a fence or beam that tells of crossings")
    to_lon: Longitude | None = None
    accuracy_m: Positive = Field(10.0, description="Standard deviation of a reported position, one axis")
    bias_sigma_m: NotNegative = Field(
        0.0, description="How much all it reports may be off by the same, one axis; learned where others see the same"
    )
    range_m: Annotated[float, Field(gt=0, le=100_000)] = Field(100.0, description="How far it reaches")
    azimuth_deg: Annotated[float, Field(ge=0, lt=360)] | None = Field(
        None, description="Where it looks, from true north; for what has no [sensor.camera]"
    )
    fov_deg: Annotated[float, Field(gt=0, le=360)] | None = Field(None, description="How wide it looks")
    detection_probability: Share = 0.9
    twice: bool = Field(False, description="It reports each target twice in a frame, each time with its own error")
    false_alarms_per_hour: NotNegative = 1.0
    looks_per_s: Positive = 1.0
    latency_s: NotNegative = Field(0.5, description="Typical time from seeing to receiving")
    silent_after_s: Positive | None = Field(None, description="Raise when unheard for this long")
    owner: str = Field("", description="The agency that runs it")
    profile: str = Field("", description="For ChirpStack: which [[profile]] reads its object")
    gateway: Annotated[str, Field(pattern=EUI_OR_NONE)] = Field(
        "", description="For ChirpStack: EUI of the gateway, where only one hears it; when that is down, so is this"
    )
    labels: dict[str, ClassName] = {}
    confusion: dict[ClassName, dict[ClassName, Share]] = Field(
        {}, description="How often it calls one class another: [sensor.confusion.animal] person = 0.2"
    )
    camera: Camera | None = None

    @model_validator(mode="after")
    def _calls_each_something(self) -> "SensorEntry":
        for true, said in self.confusion.items():
            if sum(share for name, share in said.items() if name != true) > 1:
                raise ValueError(f"has shares in 'confusion.{true}' that add up to more than 1")
        return self

    @model_validator(mode="after")
    def _looks_somewhere(self) -> "SensorEntry":
        if (self.azimuth_deg is None) != (self.fov_deg is None):
            raise ValueError("needs both 'azimuth_deg' and 'fov_deg', or neither")
        if (self.to_lat is None) != (self.to_lon is None):
            raise ValueError("needs both 'to_lat' and 'to_lon', or neither")
        if self.azimuth_deg is not None and self.camera is not None:
            raise ValueError("has 'azimuth_deg' twice; leave it to [sensor.camera]")
        return self


class SensorsFile(Strict):
    """sensors/*.toml; a CSV has the same fields as columns, `camera.azimuth_deg` for nested ones."""

    sensor: list[SensorEntry]


# ── rules.toml ───────────────────────────────────────────────────────────────────────────────────


Clears = Literal["unseen", "leaving", "time", "hand"]
CLEARS = (
    "When it is over: 'unseen', nobody of it seen for clear_after_s; 'leaving', it has not been so for clear_after_s; 'time', "
    "clear_after_s after it happened; 'hand', when somebody resolves it"
)


class Rule(Strict):
    """What all rules have."""

    id: Identifier
    severity: Severity = "major"
    schedule: str = Field("", description="id of a [[schedule]]; empty: always in force")
    clears: Clears = Field("unseen", description=CLEARS)
    clear_after_s: NotNegative = 120.0
    repeat_s: NotNegative = Field(300.0, description="While it goes on, tell again after this long; 0: never")


class TrackRule(Rule):
    """What rules about what moves have."""

    classes: list[ClassName] = Field([], description="Only these; empty: all")
    class_share_min: Share = Field(0.5, description="Least summed probability of those classes")
    existence_min: Sureness = 0.9
    learns: bool = Field(False, description="Let past dispositions of the sensors' alerts weigh on existence")
    confirm_s: NotNegative = Field(0.0, description="It must have been so for this long")
    join_m: Positive = Field(150.0, description="What is this near to an open incident belongs to it")
    join_s: Positive = Field(120.0, description="… and this near in time")
    apart: bool = Field(False, description="Its incidents stand alone: no other rule has a part in them")


class BoundaryRule(TrackRule):
    """What rules about being beyond a boundary have."""

    sigmas: NotNegative = Field(1.0, description="Must be beyond the boundary by this many standard deviations")
    hysteresis_m: NotNegative = Field(5.0, description="… and by this much")


class CrossingRule(BoundaryRule):
    kind: Literal["crossing"]
    line: str = Field(description="id of a feature in the border file")
    direction: Literal["inbound", "outbound", "either"] = "either"
    confirm_s: NotNegative = 2.0
    clears: Literal["unseen", "time", "hand"] = Field("unseen", description=CLEARS)


class ZoneRule(BoundaryRule):
    zones: list[str] = Field(min_length=1)
    release_s: NotNegative = Field(10.0, description="Out for this long, before one can enter anew")
    already_inside: bool = Field(
        False, description="Does one count who is inside when first seen, or when its hours begin?"
    )


class EnteringRule(ZoneRule):
    kind: Literal["entering"]


class LeavingRule(ZoneRule):
    kind: Literal["leaving"]
    already_inside: bool = True
    clears: Literal["unseen", "time", "hand"] = Field("unseen", description=CLEARS)


class DwellingRule(ZoneRule):
    kind: Literal["dwelling"]
    dwell_s: Positive = 60.0
    already_inside: bool = True
    clears: Clears = Field("leaving", description=CLEARS)


class LevelRule(TrackRule):
    """What rules have about something that is so for a while."""

    confirm_s: NotNegative = 3.0
    release_s: NotNegative = Field(10.0, description="Not so for this long, before it can happen anew")
    already_inside: bool = Field(
        True, description="Does it count when it was so from the first sight, or when its hours begin?"
    )
    clears: Clears = Field("leaving", description=CLEARS)


class ApproachRule(LevelRule):
    kind: Literal["approach"]
    line: str = Field("", description="id of a line: its other side is approached. Or zones")
    zones: list[str] = []
    direction: Literal["inbound", "outbound"] = Field("inbound", description="Of the line")
    horizon_s: Positive = Field(120.0, description="How far ahead")
    probability_min: Sureness = Field(0.7, description="That it will be there within that time")
    confirm_s: NotNegative = 5.0

    @model_validator(mode="after")
    def _towards_something(self) -> "ApproachRule":
        if bool(self.line) == bool(self.zones):
            raise ValueError("needs either 'line' or 'zones'")
        return self


class SpeedRule(LevelRule):
    kind: Literal["speed"]
    zones: list[str] = Field([], description="Only there; empty: everywhere")
    limit_mps: Positive
    probability_min: Sureness = Field(0.95, description="That it is faster")


class WrongWayRule(LevelRule):
    kind: Literal["wrong_way"]
    zones: list[str] = Field(min_length=1)
    heading_deg: Annotated[float, Field(ge=0, lt=360)] = Field(description="The right way, from true north")
    speed_min_mps: NotNegative = Field(1.0, description="Against it, and faster than this")
    probability_min: Sureness = 0.95


class GroupRule(LevelRule):
    kind: Literal["group"]
    zones: list[str] = Field([], description="Only there; empty: everywhere")
    count_min: Annotated[int, Field(ge=2, le=1_000_000)]
    within_m: Positive = Field(40.0, description="Each this near to another")
    confirm_s: NotNegative = 10.0
    release_s: NotNegative = Field(3.0, description="Not so for this long, before it can happen anew")


class ConvoyRule(GroupRule):
    kind: Literal["convoy"]  # type: ignore[assignment]
    classes: list[ClassName] = ["vehicle"]
    within_m: Positive = Field(150.0, description="Each this near to the next")


class WatchedPlateRule(Rule):
    kind: Literal["watched_plate"]
    plates: list[str] = Field(min_length=1, description="Letters and digits; case and spaces do not count")
    edits_max: Annotated[int, Field(ge=0, le=2)] = Field(
        0, description="Letters that may be changed, missing or too many"
    )
    confidence_min: Share = 0.6
    candidate_share_min: Share = Field(0.1, description="A reader's other readings count from this probability on")
    join_m: Positive = 150.0
    join_s: Positive = 120.0
    apart: bool = False
    clears: Literal["unseen", "time", "hand"] = Field("unseen", description=CLEARS)


class AbsenceRule(Rule):
    kind: Literal["absence"]
    zones: list[str] = Field(min_length=1)
    count_min: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        1, description="So many should be there, units of ours included"
    )
    absent_s: Positive = 300.0
    classes: list[ClassName] = []
    class_share_min: Share = 0.5
    existence_min: Sureness = 0.9
    clears: Clears = Field("leaving", description=CLEARS)
    clear_after_s: NotNegative = 0.0


class EquipmentRule(Rule):
    """What rules about sensors have."""

    sensors: list[str] = Field([], description="Ids; empty: all")
    clears: Clears = Field("leaving", description=CLEARS)
    clear_after_s: NotNegative = 0.0


class SilentSensorRule(EquipmentRule):
    kind: Literal["silent_sensor"]


class TamperedSensorRule(EquipmentRule):
    kind: Literal["tampered_sensor"]
    clears: Clears = Field("hand", description=CLEARS)


class CoverageGapRule(EquipmentRule):
    kind: Literal["coverage_gap"]
    line: str = Field("", description="id of a line whose cover counts. Or zones")
    zones: list[str] = []
    share_min: Share = Field(0.25, description="Of what can be in view at all, so much is no longer")

    @model_validator(mode="after")
    def _of_something(self) -> "CoverageGapRule":
        if bool(self.line) == bool(self.zones):
            raise ValueError("needs either 'line' or 'zones'")
        return self


class SystemFaultRule(Rule):
    """What is wrong with Marchwarden itself or with what reaches it: for technicians."""

    kind: Literal["system_fault"]
    faults: list[Annotated[FaultKind, Field(strict=False)]] = Field([], description="Kinds of fault; empty: all")
    agencies: list[Identifier] = Field(
        [], description="Who is notified, the first leads; empty: every agency of the site, by precedence"
    )
    clears: Literal["time", "hand"] = Field("time", description=CLEARS)
    clear_after_s: NotNegative = 3600.0
    repeat_s: NotNegative = Field(3600.0, description="While it is reported again and again, notify after this long")


AnyRule = Annotated[
    CrossingRule
    | EnteringRule
    | LeavingRule
    | DwellingRule
    | ApproachRule
    | SpeedRule
    | WrongWayRule
    | GroupRule
    | ConvoyRule
    | WatchedPlateRule
    | AbsenceRule
    | SilentSensorRule
    | TamperedSensorRule
    | CoverageGapRule
    | SystemFaultRule,
    Field(discriminator="kind"),
]
Kind = Literal[
    "crossing",
    "entering",
    "leaving",
    "dwelling",
    "approach",
    "speed",
    "wrong_way",
    "group",
    "convoy",
    "watched_plate",
    "absence",
    "silent_sensor",
    "tampered_sensor",
    "coverage_gap",
    "system_fault",
]


def _minute(said: str) -> str:
    found = re.fullmatch(r"(\d{1,2}):([0-5]\d)", said, re.ASCII)
    if found is None or int(found[1]) * 60 + int(found[2]) > 1440:
        raise ValueError("is no time of day; write for example '22:00'")
    return said


def days_of(said: str) -> tuple[date, date]:
    """First and last day of `2026-12-25` or `2026-12-24/2026-12-26`. Raises ValueError."""
    first, _, last = said.partition("/")
    return date.fromisoformat(first), date.fromisoformat(last or first)


def _dates(said: str) -> str:
    try:
        first, last = days_of(said)
    except ValueError as error:
        raise ValueError("is no date; write for example '2026-12-25' or '2026-12-24/2026-12-26'") from error
    if last < first:
        raise ValueError("ends before it begins")
    return said


TimeOfDay = Annotated[str, AfterValidator(_minute)]
Dates = Annotated[str, AfterValidator(_dates)]
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class WindowEntry(Strict):
    """Hours of some days. One that ends before it begins goes on into the next day."""

    days: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] = Field(list(DAYS), min_length=1)  # type: ignore[arg-type]
    from_: TimeOfDay = Field("00:00", alias="from")
    to: TimeOfDay = "24:00"

    @model_validator(mode="after")
    def _lasts(self) -> "WindowEntry":
        if self.from_ == self.to:
            raise ValueError("begins and ends at the same time; leave both out for the whole day")
        return self


class ScheduleEntry(Strict):
    """When rules and agreements are in force."""

    id: Identifier
    zone: Annotated[str, AfterValidator(lambda z: z and _known_zone(z))] = Field(
        "", description="IANA; empty: the site's"
    )
    windows: list[WindowEntry] = Field([], description="Empty: all day")
    only: list[Dates] = Field([], description="Days, or first/last; empty: every day")
    never: list[Dates] = []


Matcher = Literal["rule", "kind", "zone", "severity", "subject", "sensor", "agency", "class"]


class InhibitionEntry(Strict):
    """While an incident that matches `by` is open, those that match `mutes` are told to nobody."""

    id: Identifier
    by: dict[Matcher, str] = Field(min_length=1)
    mutes: dict[Matcher, str] = Field(min_length=1)
    within_m: Positive | None = Field(None, description="Only this near to each other; left out: wherever")


class RulesFile(Strict):
    """rules.toml"""

    rule: list[AnyRule]
    schedule: list[ScheduleEntry] = []
    inhibition: list[InhibitionEntry] = []


# ── agencies.toml ────────────────────────────────────────────────────────────────────────────────


class Channel(Strict):
    """What all channels have."""

    id: Identifier
    severity_min: Severity = Field("information", description="Nothing lesser goes this way")
    per_minute: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        None, description="No more than this; the rest waits"
    )


SIGNED_WITH = (
    "A secret shared with the receiver, by which each alert is signed; empty: no signature (docs/receiving.md)"
)


class MqttChannel(Channel):
    kind: Literal["mqtt"]
    topic: Annotated[Topic, AfterValidator(_prefix_only)] = Field(min_length=1)
    secret_file: SecretFile = Field("", description=SIGNED_WITH)


class HttpChannel(Channel):
    """What channels by HTTP have."""

    url: WebAddress
    timeout_s: Positive = 5.0
    ca_file: OpenFile = Field("", description="Certificate authority of the receiver, PEM; empty: the system's")
    secret_file: SecretFile = Field("", description=SIGNED_WITH)
    plain: bool = Field(False, description=PLAIN)


class WebhookChannel(HttpChannel):
    kind: Literal["webhook"]
    batch_max: Annotated[int, Field(ge=1, le=1000)] = Field(1, description="More than 1: batched CloudEvents")


class CapChannel(HttpChannel):
    """Common Alerting Protocol 1.2, as a POST."""

    kind: Literal["cap"]
    sender: str = Field("", description="Who we are to the receiver; empty: marchwarden@<site>")
    status: Literal["Actual", "Exercise", "System", "Test"] = "Actual"


class CotChannel(Channel):
    """Cursor on Target to a TAK server."""

    kind: Literal["cot"]
    server: Server = Field(description="host:port")
    ca_file: OpenFile = Field("", description="Certificate authority of the server, PEM; empty: no TLS")
    cert_file: OpenFile = Field("", description="Our own certificate, with its key in key_file")
    key_file: SecretFile = ""
    plain: bool = Field(False, description=PLAIN)
    stale_s: Positive = 600.0
    timeout_s: Positive = 5.0


class EmailChannel(Channel):
    kind: Literal["email"]
    server: Server = Field(description="host:port")
    sender: str = Field(pattern=ADDRESS)
    to: list[Annotated[str, Field(pattern=ADDRESS)]] = Field(min_length=1)
    starttls: bool = True
    plain: bool = Field(False, description=PLAIN)
    ca_file: OpenFile = ""
    username: str = ""
    password_file: SecretFile = ""
    timeout_s: Positive = 10.0


AnyChannel = Annotated[
    MqttChannel | WebhookChannel | CapChannel | CotChannel | EmailChannel, Field(discriminator="kind")
]


class RungEntry(Strict):
    """What happens when nobody has acknowledged in time."""

    after_s: Positive = Field(description="Since the agency got the incident")
    severities: list[Severity] = Field(["critical", "major", "minor", "information"], min_length=1)
    channels: list[Identifier] = Field([], description="Channels of this agency that hear of nothing before")
    agencies: list[Identifier] = Field([], description="Others that get a copy")

    @model_validator(mode="after")
    def _goes_somewhere(self) -> "RungEntry":
        if not self.channels and not self.agencies:
            raise ValueError("needs 'channels' or 'agencies': nobody would be told")
        return self


class Agency(Strict):
    id: Identifier
    name: str
    precedence: Annotated[int, Field(ge=-1_000_000, le=1_000_000)] = Field(
        100, description="Where areas overlap and no agreement says otherwise, the lowest leads"
    )
    plates: bool = Field(False, description="Entitled to plate tokens")
    broker_user: BrokerUser = Field("", description=f"{BROKER_USER}agency-<id>")
    channel: list[AnyChannel] = Field(min_length=1)
    escalation: list[RungEntry] = []


class Agreement(Strict):
    """A written agreement: who leads and who gets a copy, in an area, for some kinds of event."""

    id: Identifier
    area: str = Field(description="id of a zone or jurisdiction")
    lead: Identifier
    copies: list[Identifier] = []
    kinds: list[Kind] = []
    classes: list[ClassName] = Field([], description="Of what it most probably is; empty: all")
    schedule: str = Field("", description="id of a [[schedule]] in the rules file; empty: always")
    withheld: list[Literal["plate", "subjects", "evidence", "class", "log"]] = Field(
        [], description="Fields that the copies are not given"
    )
    copies_may: list[Literal["ack", "assign", "note", "resolve", "merge", "split"]] = Field(
        ["note"], description="What the copies may do with it, besides accepting and declining for themselves"
    )
    reference: str = Field("", description="Where the paper is")


class AgenciesFile(Strict):
    """agencies.toml"""

    agency: list[Agency] = Field(min_length=1)
    agreement: list[Agreement] = []


# ── accounts.toml ────────────────────────────────────────────────────────────────────────────────

Role = Literal["officer", "supervisor", "analyst", "technician", "observer"]


class AccountEntry(Strict):
    """A person, or a program, that may use the console."""

    id: Identifier
    name: str = ""
    agency: str = Field("", description="Sees what this agency may see; empty: everything")
    role: Role
    password: str = Field("", description="Made by `marchwarden accounts add`")
    token: str = Field("", description="SHA-256 of a program's token, made by `marchwarden accounts token`")

    @model_validator(mode="after")
    def _can_be_known(self) -> "AccountEntry":
        if bool(self.password) == bool(self.token):
            raise ValueError("needs exactly one of 'password' and 'token'")
        if self.password and not re.fullmatch(r"scrypt\$[0-9a-f]+\$[0-9a-f]+", self.password):
            raise ValueError("has a password in clear; make the entry with `marchwarden accounts add`")
        if self.token and not re.fullmatch(r"[0-9a-f]{64}", self.token):
            raise ValueError("has a token in clear; make the entry with `marchwarden accounts token`")
        return self


class AccountsFile(Strict):
    """accounts.toml"""

    account: list[AccountEntry] = []


# ── features of the GeoJSON files ────────────────────────────────────────────────────────────────


class ZoneProperties(Strict):
    """Properties of a Polygon in zones.geojson."""

    model_config = ConfigDict(extra="ignore")  # a GIS adds columns of its own
    id: Identifier
    name: str = ""
    privacy: bool = Field(False, description="Detections here are dropped as they are decoded")


class LineProperties(Strict):
    """Properties of a LineString in border.geojson."""

    model_config = ConfigDict(extra="ignore")
    id: Identifier
    name: str = ""
    home: Literal["left", "right"] = Field(description="Which side is ours, walking along the line as drawn")
    error_m: NotNegative = Field(5.0, description="Stated error of the line")


class RoadProperties(Strict):
    """Properties of a LineString in the roads file."""

    model_config = ConfigDict(extra="ignore")
    width_m: Positive = 8.0


class JurisdictionProperties(Strict):
    """Properties of a Polygon in jurisdictions.geojson."""

    model_config = ConfigDict(extra="ignore")
    id: Identifier
    agency: Identifier
    name: str = ""
