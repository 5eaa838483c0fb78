"""What a site folder may say, field by field. The JSON Schema for editors and every check come from here.

Strict: an unknown key is an error. Checks that need more than one entry are in `configuration.py`.
"""

from math import atan, degrees, pi, radians, tan
from typing import Annotated, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

Identifier = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$", max_length=64)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Latitude = Annotated[float, Field(ge=-90, le=90)]
Longitude = Annotated[float, Field(ge=-180, le=180)]
Scalar = bool | float | str
ClassName = Literal["person", "vehicle", "animal", "vessel", "aircraft", "other"]
Severity = Literal["information", "minor", "major", "critical"]


def _known_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("is no IANA time zone; write for example 'America/Phoenix'")
    return name


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


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
    state: str = Field("state", description="Folder for journal, keys, database and history")


class Mqtt(Strict):
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 1883
    client_id: str = ""  # empty: marchwarden-<site>
    username: str = ""
    password_file: str = ""
    tls_ca_file: str = ""  # empty: no TLS
    keepalive_s: Annotated[int, Field(ge=5, le=3600)] = 30


class FeedEntry(Strict):
    id: Identifier
    format: Literal["native", "frigate", "chirpstack", "openalpr"]
    topic: str = Field(min_length=1, description="Topic prefix, without a trailing slash or wildcards")


class Fusion(Strict):
    scan_s: Positive = Field(1.0, description="Tracks are judged once per this much observed time")
    settle_s: NotNegative = Field(0.5, description="A scan waits this long for slower cameras")
    idle_s: Positive = Field(2.0, description="With no message for this long, received time closes scans")
    lateness_s: Positive = Field(30.0, description="Later than this is too late for tracking")
    coast_s: Positive = Field(20.0, description="A track unseen for this long is told of no more")
    memory_s: Positive = Field(300.0, description="And for this long it may be found again as itself")
    birth_per_km2: Positive = Field(1.0, description="Targets expected per km² where nobody looks")
    confirm_existence: Share = Field(0.95, description="A track surer than this is told of")
    told_existence: Share = Field(0.5, description="Until it is less sure than this")
    vague_m: Positive = Field(80.0, description="Or until its standard deviation, one axis, is more than this")
    drop_existence: Share = Field(0.01, description="A track that was never told of is dropped below this")


class Privacy(Strict):
    plate_key_file: str = Field("", description="32 bytes; empty: made in the state folder")
    journal_hours: Positive = 24.0
    plates_days: Positive = 30.0
    history_days: Positive = 90.0


class History(Strict):
    store: Literal["embedded", "influxdb"] = "embedded"
    url: str = "http://127.0.0.1:8086"
    database: str = "marchwarden"  # bucket in 2.x and 3.x
    org: str = "-"
    token_file: str = ""


class Bounds(Strict):
    payload_bytes_max: Annotated[int, Field(gt=0)] = 1_000_000
    ahead_s_max: NotNegative = 5.0
    age_s_max: Positive = 3600.0
    repeat_s: Positive = 600.0


class Conditions(Strict):
    """One test of a decoded value: equal to one of `values`, or `above` a number."""

    path: str = Field(description="Dotted path in the decoded object: 'pir' or 'data.motion.state'")
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
    fusion: Fusion = Fusion()
    privacy: Privacy = Privacy()
    history: History = History()
    limits: Bounds = Bounds()


# ── sensors/*.toml, *.csv ────────────────────────────────────────────────────────────────────────


class Camera(Strict):
    """Pose and lens. Give `focal_px`, or the horizontal field of view."""

    height_m: Positive
    azimuth_deg: Annotated[float, Field(ge=0, lt=360)]
    tilt_deg: Annotated[float, Field(ge=-90, le=90)] = Field(description="0 level, negative down")
    roll_deg: Annotated[float, Field(ge=-180, le=180)] = 0.0
    width_px: Annotated[int, Field(gt=0)]
    height_px: Annotated[int, Field(gt=0)]
    hfov_deg: Annotated[float, Field(gt=0, lt=180)] | None = None
    focal_px: Positive | None = None
    centre_px: tuple[float, float] | None = None
    distortion: tuple[float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0)
    pixel_sigma_px: Positive = 3.0
    angle_sigma_deg: NotNegative = 0.2
    height_sigma_m: NotNegative = 0.3
    position_sigma_m: NotNegative = 2.0

    @model_validator(mode="after")
    def _has_a_lens(self) -> "Camera":
        if (self.hfov_deg is None) == (self.focal_px is None):
            raise ValueError("needs exactly one of 'hfov_deg' and 'focal_px'")
        return self

    def fields_of_view_deg(self) -> tuple[float, float]:
        """Horizontal and vertical."""
        focal = self.focal_px or self.width_px / 2 / tan(radians(self.hfov_deg or 60.0) / 2)
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
    lat: Latitude
    lon: Longitude
    to_lat: Latitude | None = Field(None, description="Other end, for a fence or beam that tells of crossings")
    to_lon: Longitude | None = None
    accuracy_m: Positive = Field(10.0, description="Standard deviation of a reported position, one axis")
    bias_sigma_m: NotNegative = Field(
        0.0, description="How much all it reports may be off by the same, one axis; learned where others see the same"
    )
    range_m: Positive = Field(100.0, description="How far it reaches")
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


class Rule(Strict):
    id: Identifier
    severity: Severity = "major"
    classes: list[ClassName] = Field([], description="Only these; empty: all")
    class_share_min: Share = Field(0.5, description="Least summed probability of those classes")
    existence_min: Share = 0.9
    clear_after_s: Positive = Field(120.0, description="No further sign of it for this long: cleared")
    repeat_s: Positive = Field(300.0, description="While it goes on, tell again after this long")
    join_m: Positive = Field(150.0, description="Events this near to an open incident belong to it")
    join_s: Positive = Field(120.0, description="… and this near in time")


class CrossingRule(Rule):
    kind: Literal["crossing"]
    line: str = Field(description="id of a feature in the border file")
    direction: Literal["inbound", "outbound", "either"] = "either"
    sigmas: NotNegative = Field(1.0, description="Must be beyond the line by this many standard deviations")


class EnteringRule(Rule):
    kind: Literal["entering"]
    zones: list[str] = Field(min_length=1)
    already_inside: bool = Field(False, description="Does a track that begins inside count as entering?")
    sigmas: NotNegative = 1.0


class DwellingRule(Rule):
    kind: Literal["dwelling"]
    zones: list[str] = Field(min_length=1)
    dwell_s: Positive = 60.0


class WatchedPlateRule(Rule):
    kind: Literal["watched_plate"]
    plates: list[str] = Field(min_length=1, description="Letters and digits; case and spaces do not count")
    confidence_min: Share = 0.6


class SilentSensorRule(Rule):
    kind: Literal["silent_sensor"]
    sensors: list[str] = Field([], description="Ids; empty: all that have silent_after_s")


AnyRule = Annotated[
    CrossingRule | EnteringRule | DwellingRule | WatchedPlateRule | SilentSensorRule, Field(discriminator="kind")
]


class RulesFile(Strict):
    """rules.toml"""

    rule: list[AnyRule]


# ── agencies.toml ────────────────────────────────────────────────────────────────────────────────


class MqttChannel(Strict):
    id: Identifier
    kind: Literal["mqtt"]
    topic: str


class WebhookChannel(Strict):
    id: Identifier
    kind: Literal["webhook"]
    url: Annotated[str, Field(pattern=r"^https?://")]
    secret_file: str = Field("", description="Shared secret; the body is signed with HMAC-SHA256")
    timeout_s: Positive = 5.0


AnyChannel = Annotated[MqttChannel | WebhookChannel, Field(discriminator="kind")]


class Agency(Strict):
    id: Identifier
    name: str
    precedence: int = Field(100, description="Where areas overlap and no agreement says otherwise, the lowest leads")
    plates: bool = Field(False, description="Entitled to plate tokens")
    channel: list[AnyChannel] = Field(min_length=1)


class Agreement(Strict):
    """A written agreement: who leads and who gets a copy, in an area, for some kinds of event."""

    id: Identifier
    area: str = Field(description="id of a zone or jurisdiction")
    lead: Identifier
    copies: list[Identifier] = []
    kinds: list[Literal["crossing", "entering", "dwelling", "watched_plate", "silent_sensor"]] = []
    reference: str = Field("", description="Where the paper is")


class AgenciesFile(Strict):
    """agencies.toml"""

    agency: list[Agency] = Field(min_length=1)
    agreement: list[Agreement] = []


# ── features of the GeoJSON files ────────────────────────────────────────────────────────────────


class ZoneProperties(Strict):
    """Properties of a Polygon in zones.geojson."""

    model_config = ConfigDict(extra="ignore", frozen=True)  # a GIS adds columns of its own
    id: Identifier
    name: str = ""
    privacy: bool = Field(False, description="Detections here are dropped as they are decoded")


class LineProperties(Strict):
    """Properties of a LineString in border.geojson."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    id: Identifier
    name: str = ""
    home: Literal["left", "right"] = Field(description="Which side is ours, walking along the line as drawn")
    error_m: NotNegative = Field(5.0, description="Stated error of the line")


class RoadProperties(Strict):
    """Properties of a LineString in the roads file."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    width_m: Positive = 8.0


class JurisdictionProperties(Strict):
    """Properties of a Polygon in jurisdictions.geojson."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    id: Identifier
    agency: Identifier
    name: str = ""
