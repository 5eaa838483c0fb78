"""The catalogue: every registered sensor, the feed that carries its messages, and how to read them.

Built once from configuration. It knows formats by name only; how a format reads lives in `formats/`.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from model.columns import Columns, column
from model.world import SensorColumns


@dataclass(frozen=True)
class Feed:
    """One family of topics that one format speaks."""

    id: str
    format: str  # native | frigate | chirpstack | chirpstack-gateway | openalpr | cot
    topic: str  # prefix without a trailing slash: `frigate`, `application`, `marchwarden/<site>`
    subscriptions: tuple[str, ...]  # MQTT topic filters
    server: str = ""  # host:port of a TAK server from which it comes instead
    unit_types: tuple[str, ...] = ()  # Cursor on Target: which types are patrols, each with all that begin with it
    alert_unregistered: bool = True  # are technicians told of a unit that is not registered?


@dataclass(frozen=True)
class Detect:
    """When a decoded `object` of a ground sensor is a detection: the value at `path` is one of `values`, or lies in a range."""

    path: tuple[str, ...]  # keys from the object's root
    values: tuple[str | float | bool, ...] = ()
    above: float | None = None
    default: str | float | bool | None = None  # what a left-out field means (ChirpStack leaves out zero and false)
    classes: tuple[tuple[str, float], ...] = ()  # class shares this says
    confidence: float = 1.0


@dataclass(frozen=True)
class Profile:
    """How one model of device says things in its decoded `object`."""

    id: str
    detects: tuple[Detect, ...]
    battery: tuple[str, ...] | None = None  # path of a battery level
    battery_full: float = 100.0  # the value that means full
    tamper: Detect | None = None
    time: tuple[str, ...] | None = None  # path of the device's own time, epoch s; else the uplink's


@dataclass(frozen=True)
class Sensor:
    """One registered sensor, as the technician wrote it."""

    id: str
    name: str
    kind: str  # camera | ground | plate_reader | radar | other
    feed: str  # Feed.id
    source: str  # what the equipment calls itself: camera name, device EUI, camera id, or our id
    profile: Profile | None = None
    labels: tuple[tuple[str, str], ...] = ()  # its own labels → our classes, before the common table
    owner: str = ""  # the agency that runs it
    confusion: tuple[tuple[float, ...], ...] = ()  # (true, said) shares; empty: what it says is taken as its likelihood


@dataclass(frozen=True, eq=False)
class Cameras(Columns):
    """Pose and lens of every sensor, in the catalogue's order; rows that are no calibrated camera are NaN.

    The camera looks along `azimuth_deg` (from true north, clockwise) and `tilt_deg` (0 level, negative down),
    turned by `roll_deg` about its axis, clockwise as seen from behind it. The lens is OpenCV's pinhole model with
    five distortion coefficients (k1, k2, p1, p2, k3).
    """

    height_m: NDArray[np.float64] = column(np.float64)  # (n,) above the ground plane
    azimuth_deg: NDArray[np.float64] = column(np.float64)  # (n,)
    tilt_deg: NDArray[np.float64] = column(np.float64)  # (n,)
    roll_deg: NDArray[np.float64] = column(np.float64)  # (n,)
    size_px: NDArray[np.float64] = column(np.float64, 2)  # (n, 2) width, height of the detect resolution
    focal_px: NDArray[np.float64] = column(np.float64, 2)  # (n, 2) fx, fy
    centre_px: NDArray[np.float64] = column(np.float64, 2)  # (n, 2) cx, cy
    distortion: NDArray[np.float64] = column(np.float64, 5)  # (n, 5)
    pixel_sigma_px: NDArray[np.float64] = column(np.float64)  # (n,) of the foot of a box
    angle_sigma_deg: NDArray[np.float64] = column(np.float64)  # (n,) of azimuth and of tilt
    height_sigma_m: NDArray[np.float64] = column(np.float64)  # (n,)
    position_sigma_m: NDArray[np.float64] = column(np.float64)  # (n,) of where it stands, 1 axis


@dataclass(frozen=True)
class Limits:
    """Bounds on what may come in, with their units."""

    payload_bytes_max: int = 1_000_000
    ahead_ns_max: int = 5_000_000_000  # an observation may lie this far after its receipt
    age_ns_max: int = 3_600_000_000_000  # and this far before
    repeat_ns: int = 600_000_000_000  # for how long a message is recognised as seen before
    redelivery_ns: int = 500_000_000  # for how long one that carries neither an id nor a time is
    members_max: int = 1_000  # detections of one message
    sensor_detections_per_s_max: int = 500
    detections_per_s_max: int = 100_000  # of all sensors together
    unit_sigma_m_max: float = 30.0  # standard deviation of a unit's place, 1 axis


@dataclass(frozen=True, eq=False)
class Catalogue:
    """All registered sensors. Row i of every column is `sensors[i]`."""

    site: str
    feeds: tuple[Feed, ...]
    sensors: tuple[Sensor, ...]
    lat: NDArray[np.float64]  # (n,) degrees WGS84
    lon: NDArray[np.float64]  # (n,)
    columns: SensorColumns
    cameras: Cameras
    limits: Limits
    plate_key: bytes = field(repr=False)  # HMAC key of plate tokens
    index_of: dict[tuple[str, str], int] = field(repr=False)  # (feed id, source) → row
    row_of_id: dict[str, int] = field(repr=False)  # sensor id → row
    unit_of: dict[tuple[str, str], str] = field(repr=False)  # (feed id, source) → id of a registered unit
    gateways: tuple[str, ...]  # what carries the messages of several sensors and says whether it is up
    gateway: NDArray[np.int32]  # (n,) which of them carries the sensor's, alone; -1: none

    def __len__(self) -> int:
        return len(self.sensors)

    def behind(self, gateway: str) -> list[int]:
        """The sensors whose messages a gateway carries; none where nobody has named it."""
        if gateway not in self.gateways:
            return []
        return np.flatnonzero(self.gateway == self.gateways.index(gateway)).tolist()
