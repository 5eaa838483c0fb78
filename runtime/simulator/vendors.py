"""Messages as vendors send them: the reverse of the decoders, written after the same documents."""

import base64
from dataclasses import dataclass, field
from typing import Any

import cv2
import msgspec
import numpy as np
from numpy.random import Generator

from model.time import MS, NS, iso_from_ns
from sensors.catalogue import Profile, Sensor

LABELS = {
    "person": "person",
    "vehicle": "car",
    "animal": "deer",
    "vessel": "boat",
    "aircraft": "drone",
    "other": "package",
}


SNAPSHOT_PX = (240, 320)


@dataclass(frozen=True)
class Sent:
    """One message on its way."""

    received_ns: int
    topic: str
    payload: bytes
    retained: bool = False


def encoded(value: Any) -> bytes:
    return msgspec.json.encode(value)


@dataclass
class FrigateObject:
    """An object that one camera follows: Frigate's own state of it."""

    id: str
    camera: str
    label: str
    start_s: float
    entries: dict[str, Any] = field(default_factory=dict)
    published_s: float = 0.0
    seen_s: float = 0.0
    top_score: float = 0.0
    motionless: int = 0
    path: list[Any] = field(default_factory=list)

    def event(self, kind: str, frame_s: float, box: list[int], score: float, size: tuple[int, int]) -> bytes:
        """The payload of `frigate/events`; `before` is what was published last."""
        before = self.entries or None
        self.top_score = max(self.top_score, score)
        x1, y1, x2, y2 = box
        self.path.append([[round((x1 + x2) / 2 / size[0], 4), round(y2 / size[1], 4)], frame_s])
        self.entries = {
            "id": self.id,
            "camera": self.camera,
            "frame_time": frame_s,
            "snapshot_time": self.start_s,
            "label": self.label,
            "sub_label": None,
            "top_score": round(self.top_score, 6),
            "false_positive": False,
            "start_time": self.start_s,
            "end_time": frame_s if kind == "end" else None,
            "score": round(score, 6),
            "box": box,
            "area": (x2 - x1) * (y2 - y1),
            "ratio": round((x2 - x1) / max(y2 - y1, 1), 4),
            "region": [0, 0, size[0], size[1]],
            "active": self.motionless < 10,
            "stationary": self.motionless >= 10,
            "motionless_count": self.motionless,
            "position_changes": len(self.path),
            "current_zones": [],
            "entered_zones": [],
            "has_clip": False,
            "has_snapshot": True,
            "attributes": {},
            "current_attributes": [],
            "path_data": self.path[-5:],
            "recognized_license_plate": None,
        }
        return encoded({"type": kind, "before": before or self.entries, "after": self.entries})


def chirpstack_up(sensor: Sensor, profile: Profile, count: int, time_ns: int, hit: bool, random: Generator) -> bytes:
    """`event/up` whose object says by the profile's own mapping that something was there, or that nothing was."""
    said: dict[str, Any] = {}
    if hit:
        detect = profile.detects[0]
        above = 0.0 if detect.above is None else detect.above
        _put(said, detect.path, detect.values[0] if detect.values else round(above * (1.2 + random.random()), 1))
    if profile.battery is not None:
        _put(said, profile.battery, round(profile.battery_full * 0.87, 1))
    gateway_ns = time_ns + 40 * MS
    return encoded(
        {
            "deduplicationId": _uuid(random),
            "time": iso_from_ns(gateway_ns)[:-1] + "123+00:00",
            "deviceInfo": {
                "tenantId": "52f14cd4-c6f1-4fbd-8f87-4025e1d49242",
                "tenantName": "operations",
                "applicationId": APPLICATION,
                "applicationName": "ground sensors",
                "deviceProfileName": profile.id,
                "deviceName": sensor.id,
                "devEui": sensor.source,
                "tags": {},
            },
            "devAddr": "01a2b3c4",
            "adr": True,
            "dr": 3,
            "fCnt": count,
            "fPort": 85,
            "confirmed": False,
            "data": base64.b64encode(bytes(random.integers(0, 256, 6, np.uint8))).decode(),
            "object": said,
            "rxInfo": [
                {
                    "gatewayId": "0016c001f153a14c",
                    "uplinkId": int(random.integers(1, 2**31)),
                    "gwTime": iso_from_ns(gateway_ns),
                    "rssi": -int(random.integers(60, 115)),
                    "snr": round(float(random.normal(6, 3)), 1),
                    "crcStatus": "CRC_OK",
                }
            ],
            "txInfo": {
                "frequency": 904300000,
                "modulation": {"lora": {"bandwidth": 125000, "spreadingFactor": 8, "codeRate": "CR_4_5"}},
            },
        }
    )


APPLICATION = "17c82e96-be03-4f38-aef3-f83d48582d97"


def chirpstack_topic(sensor: Sensor, prefix: str, event: str) -> str:
    return f"{prefix}/{APPLICATION}/device/{sensor.source}/event/{event}"


def chirpstack_status(sensor: Sensor) -> bytes:
    return encoded(
        {
            "deduplicationId": "b0b2a1f0-0000-4000-8000-000000000001",
            "deviceInfo": {"applicationId": APPLICATION, "deviceName": sensor.id, "devEui": sensor.source},
            "margin": 10,
            "externalPowerSource": False,
            "batteryLevelUnavailable": False,
            "batteryLevel": 87.0,
        }
    )


def alpr_results(sensor: Sensor, plate: str, confidence: float, time_ns: int, random: Generator) -> bytes:
    """One frame of a plate in view."""
    x, y = int(random.integers(300, 700)), int(random.integers(300, 500))
    corners = [{"x": x, "y": y}, {"x": x + 140, "y": y + 3}, {"x": x + 139, "y": y + 44}, {"x": x - 1, "y": y + 41}]
    return encoded(
        {
            "data_type": "alpr_results",
            "version": 2,
            "epoch_time": time_ns // MS,
            "img_width": 1280,
            "img_height": 720,
            "processing_time_ms": 41.2,
            "error": False,
            "uuid": _uuid(random),
            "camera_id": int(sensor.source),
            "agent_uid": AGENT,
            "site_id": "san-rafael",
            "regions_of_interest": [],
            "results": [
                {
                    "plate": plate,
                    "confidence": round(confidence, 4),
                    "matches_template": 0,
                    "region": "us-az",
                    "region_confidence": 90,
                    "coordinates": corners,
                    "plate_index": 0,
                    "processing_time_ms": 12.0,
                    "requested_topn": 10,
                    "candidates": [{"plate": plate, "confidence": round(confidence, 4), "matches_template": 0}],
                }
            ],
        }
    )


AGENT = "MARCHDEMO7Z2QKX5W3T1"


def alpr_group(sensor: Sensor, plate: str, confidence: float, first_ns: int, last_ns: int, random: Generator) -> bytes:
    """The summary of a vehicle that has passed."""
    uuids = [_uuid(random) for _ in range(3)]
    return encoded(
        {
            "data_type": "alpr_group",
            "version": 2,
            "epoch_start": first_ns // MS,
            "epoch_end": last_ns // MS,
            "frame_start": 100,
            "frame_end": 140,
            "company_id": "demonstration",
            "agent_uid": AGENT,
            "agent_version": "4.1.0",
            "agent_type": "alprd",
            "camera_id": int(sensor.source),
            "country": "us",
            "uuids": uuids,
            "best_uuid": uuids[1],
            "best_plate": {"plate": plate, "confidence": round(confidence, 4), "matches_template": 0},
            "best_plate_number": plate,
            "best_confidence": round(confidence, 4),
            "best_region": "us-az",
            "candidates": [
                {"plate": plate, "confidence": round(confidence, 4), "matches_template": 0},
                {"plate": misread(plate, random), "confidence": round(confidence - 9, 4), "matches_template": 0},
            ],
            "is_parked": False,
            "is_preview": False,
            "travel_direction": round(float(random.uniform(0, 360)), 1),
            "vehicle": {
                "color": [{"name": "white", "confidence": 88.1}],
                "body_type": [{"name": "truck-standard", "confidence": 77.0}],
            },
        }
    )


def alpr_heartbeat(sensors: list[Sensor], time_ns: int) -> bytes:
    return encoded(
        {
            "data_type": "heartbeat",
            "version": 1,
            "agent_uid": AGENT,
            "timestamp": time_ns // MS,
            "agent_version": "4.1.0",
            "beanstalk_queue_size": 0,
            "cpu_usage_percent": 31,
            "system_uptime_seconds": 86_400,
            "video_streams": [
                {
                    "camera_id": int(s.source),
                    "camera_name": s.id,
                    "fps": 15,
                    "is_streaming": True,
                    "last_update": time_ns // MS,
                }
                for s in sensors
            ],
        }
    )


def native_frame(time_ns: int, detections: list[dict[str, Any]]) -> bytes:
    return encoded({"time": iso_from_ns(time_ns), "detections": detections})


def misread(plate: str, random: Generator) -> str:
    """The plate with one character read as another that looks like it."""
    likes = {"0": "O", "O": "0", "1": "I", "I": "1", "8": "B", "B": "8", "5": "S", "S": "5", "2": "Z", "T": "1"}
    at = [i for i, c in enumerate(plate) if c in likes]
    if not at:
        return plate
    i = at[int(random.integers(len(at)))]
    return plate[:i] + likes[plate[i]] + plate[i + 1 :]


def frigate_snapshot(label: str, box: list[int], size: tuple[int, int]) -> bytes:
    """The payload of `frigate/<camera>/<label>/snapshot`: a cut-out of the object by night, as a thermal camera has it."""
    wide, high = SNAPSHOT_PX
    image = np.repeat(np.linspace(60, 25, high)[:, None], wide, axis=1)
    image += 6.0 * np.sin(np.arange(wide) / 17.0 + box[0])[None]  # scrub, and nothing that chance would have a part in
    image = image.astype(np.uint8)
    middle, foot, tall = wide // 2, int(0.9 * high), int(0.75 * high * (1.0 - 0.3 * box[3] / max(size[1], 1)))
    if label == "person":
        cv2.circle(image, (middle, foot - tall), tall // 9, 220, -1)
        cv2.ellipse(image, (middle, foot - int(0.62 * tall)), (tall // 7, int(0.28 * tall)), 0, 0, 360, 200, -1)
        for side in (-1, 1):
            cv2.line(
                image, (middle, foot - int(0.4 * tall)), (middle + side * tall // 8, foot), 190, max(tall // 12, 2)
            )
    elif label in ("car", "truck", "vehicle"):
        cv2.rectangle(image, (20, foot - tall // 3), (wide - 20, foot - tall // 12), 150, -1)
        cv2.rectangle(image, (60, foot - tall // 2), (wide - 70, foot - tall // 3), 110, -1)
        for at in (60, wide - 60):
            cv2.circle(image, (at, foot - tall // 12), tall // 12, 230, -1)
    else:
        cv2.ellipse(image, (middle, foot - tall // 3), (tall // 3, tall // 7), 0, 0, 360, 200, -1)
        cv2.circle(image, (middle + tall // 3, foot - tall // 2), tall // 10, 210, -1)
        for at in (-tall // 4, -tall // 6, tall // 6, tall // 4):
            cv2.line(image, (middle + at, foot - tall // 4), (middle + at, foot), 180, max(tall // 24, 2))
    return bytes(cv2.imencode(".jpg", cv2.GaussianBlur(image, (5, 5), 0))[1].tobytes())


def frigate_id(start_s: float, random: Generator) -> str:
    return f"{start_s:.6f}-{''.join(random.choice(list('abcdefghijklmnopqrstuvwxyz0123456789'), 6))}"


def _uuid(random: Generator) -> str:
    h = random.bytes(16).hex()
    return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-a{h[17:20]}-{h[20:]}"


def _put(said: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for step in path[:-1]:
        said = said.setdefault(step, {})
    said[path[-1]] = value


def seconds_of(time_ns: int) -> float:
    """Epoch seconds as Frigate writes them, to the microsecond."""
    return round(time_ns / NS, 6)
