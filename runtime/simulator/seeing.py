"""What the sensors of a site make of the targets: they miss, repeat, delay and lie as their registration says."""

from collections.abc import Iterator
from dataclasses import replace

import msgspec
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from geo.frames import convergence, plane_from_plane, wgs84_from_plane
from model.messages import Messages
from model.time import MS, NS, iso_from_ns
from runtime.advance import World
from runtime.simulator import vendors
from runtime.simulator.exercise import Exercise
from runtime.simulator.targets import moving
from runtime.simulator.vendors import FrigateObject, Sent
from sensors.cameras import pixel_from_ground
from sensors.catalogue import Cameras

Array = NDArray[np.float64]
HEIGHT_M = {"person": 1.75, "vehicle": 1.8, "animal": 1.1}
LOST_S = 5  # Frigate ends an object unseen for this long
STATIONARY_S = 10  # calls it stationary after this long
REPUBLISH_S = 60  # and publishes it again this often
PIR_REST_S = 8  # a ground sensor is blind for this long after it has reported
SNAPSHOT_EVERY_S = 10  # a picture of what it follows: at first, and this often
SNAPSHOT_NS = 400 * MS  # that it takes to send one
RADAR_BEARING_SIGMA_DEG = 0.5
UNIT_EVERY_S, UNIT_SIGMA_M = 5, 5.0  # how often a unit says where it is, and how well it knows


class Site:
    """The sensors of a world as they really are: with the pose errors that their registration admits."""

    def __init__(self, world: World, exercise: Exercise, start_ns: int) -> None:
        self.world, self.exercise, self.start_ns = world, exercise, start_ns
        self.random = np.random.default_rng(exercise.seed)
        self.targets = moving(exercise, world.sectors, self.random)
        self.catalogue = world.catalogue
        n = len(self.catalogue)
        self.phase_s = self.random.uniform(0, 1, n)
        self.cameras = _really(self.catalogue.cameras, self.random)
        self.foot = self.catalogue.columns.position
        self.posed = np.isfinite(self.cameras.height_m)
        turn = convergence(world.sectors, self.catalogue.columns.sector, self.foot)
        self.to_true = np.stack(
            [np.stack([np.cos(turn), np.sin(turn)], 1), np.stack([-np.sin(turn), np.cos(turn)], 1)], 1
        )
        self.feed = {feed.id: feed for feed in self.catalogue.feeds}
        self.objects: dict[tuple[int, int], FrigateObject] = {}
        self.passing: dict[tuple[int, int], tuple[int, int]] = {}
        self.rest_until = np.zeros(n)
        self.uplinks = np.zeros(n, np.int64)
        self.charted: tuple[int, dict[int, tuple[Array, Array]]] = (-1, {})

    def silent(self, sensor: int, second: int) -> bool:
        return any(
            s.sensor == self.catalogue.sensors[sensor].id and s.from_s <= second < s.from_s + s.for_s
            for s in self.exercise.silence
        )

    def within(self, sensor: int, second: int) -> tuple[NDArray[np.int64], Array]:
        """Targets that the sensor has in reach at its own instant of this second, and where: true east and north of it."""
        t = self.targets
        position, velocity = self.chart(second, int(self.catalogue.columns.sector[sensor]))
        there = position + self.phase_s[sensor] * velocity
        offset = (there - self.foot[sensor]) @ self.to_true[sensor].T
        near = t.active[second] & (np.hypot(offset[:, 0], offset[:, 1]) <= self.catalogue.columns.range_m[sensor])
        rows = np.flatnonzero(near)
        if self.posed[sensor] and len(rows):
            pixel = pixel_from_ground(self.cameras, sensor, offset[rows])
            size = self.cameras.size_px[sensor]
            inside = np.isfinite(pixel).all(1) & (pixel >= 0).all(1) & (pixel < size).all(1)
            rows = rows[inside]
        return rows, offset[rows]

    def chart(self, second: int, sector: int) -> tuple[Array, Array]:
        """(n, 2) m and (n, 2) m/s of all targets in a sector's plane."""
        if self.charted[0] != second:
            self.charted = (second, {})
        found = self.charted[1].get(sector)
        if found is None:
            found = self.charted[1][sector] = self._chart(second, sector)
        return found

    def _chart(self, second: int, sector: int) -> tuple[Array, Array]:
        t, there = self.targets, np.full(len(self.targets.ids), sector, np.int16)
        position, velocity = t.position[second], t.velocity[second]
        if (t.sector == sector).all():
            return position, velocity
        here = plane_from_plane(self.world.sectors, t.sector, there, position)
        after = plane_from_plane(self.world.sectors, t.sector, there, position + velocity)
        return here, after - here

    def time_ns(self, sensor: int, second: int) -> int:
        return self.start_ns + second * NS + round(float(self.phase_s[sensor]) * 1e6) * 1000

    def arrival_ns(self, sensor: int, observed_ns: int, extra_s: float = 0.0) -> int:
        """When a message about `observed_ns` arrives: gamma-distributed about the registered latency."""
        latency = self.catalogue.columns.latency_s[sensor]
        return observed_ns + round(float(self.random.gamma(4.0, latency / 4.0) + extra_s) * 1e6) * 1000

    def sees(self, sensor: int) -> bool:
        return bool(self.random.random() < self.catalogue.columns.detection_probability[sensor])

    def lies(self, sensor: int) -> bool:
        """Is there a false alarm in this second?"""
        return bool(self.random.random() < self.catalogue.columns.false_alarms_per_hour[sensor] / 3600)


def simulated(world: World, exercise: Exercise, start_ns: int) -> tuple[Messages, list[dict[str, object]]]:
    """All messages in order of receipt, and the truth, a line per target and second."""
    site = Site(world, exercise, start_ns)
    sent = list(_opening(site))
    truth: list[dict[str, object]] = []
    for second in range(exercise.duration_s):
        in_view: set[int] = set()
        for sensor in range(len(site.catalogue)):
            rows, offset = site.within(sensor, second)
            if not site.silent(sensor, second):
                in_view.update(rows.tolist())
                sent += _spoken(site, sensor, second, rows, offset)
        sent += _units(site, second)
        truth += _truth(site, second, in_view)
    order = sorted(range(len(sent)), key=lambda i: (sent[i].received_ns, i))
    return Messages(
        np.array([sent[i].received_ns for i in order], np.int64),
        tuple(sent[i].topic for i in order),
        tuple(sent[i].payload for i in order),
        np.array([sent[i].retained for i in order], np.bool_),
    ), truth


def _truth(site: Site, second: int, in_view: set[int]) -> Iterator[dict[str, object]]:
    rows = np.flatnonzero(site.targets.active[second])
    position = site.targets.position[second, rows]
    lat, lon = wgs84_from_plane(site.world.sectors, site.targets.sector[rows], position)
    time = iso_from_ns(site.start_ns + second * NS)
    for i, row in enumerate(rows.tolist()):
        yield {
            "time": time,
            "target": site.targets.ids[row],
            "lat": round(float(lat[i]), 7),
            "lon": round(float(lon[i]), 7),
            "class": site.targets.classes[row],
            "in_view": row in in_view,
            "group": site.targets.groups[row],
            "unit": site.targets.units[row],
            "plate": site.targets.plates[row],
        }


def _units(site: Site, second: int) -> Iterator[Sent]:
    """Where units of ours say that they are: the first of each for all."""
    if second % UNIT_EVERY_S:
        return
    t, named = site.targets, set[str]()
    for row in np.flatnonzero(t.active[second]).tolist():
        unit = t.units[row]
        if not unit or unit in named:
            continue
        named.add(unit)
        said = t.position[second, row] + site.random.normal(0, UNIT_SIGMA_M, 2)
        lat, lon = wgs84_from_plane(site.world.sectors, t.sector[row : row + 1], said[None])
        time_ns = site.start_ns + second * NS
        payload = {"time": iso_from_ns(time_ns), "lat": float(lat[0]), "lon": float(lon[0]), "sigma_m": UNIT_SIGMA_M}
        topic = f"{site.feed['native'].topic}/units/{unit}"
        yield Sent(time_ns + 300 * MS, topic, msgspec.json.encode(payload))


def _opening(site: Site) -> Iterator[Sent]:
    """What a subscriber is told first: retained availability."""
    for feed in site.catalogue.feeds:
        if feed.format == "frigate":
            yield Sent(site.start_ns, f"{feed.topic}/available", b"online", True)


def _spoken(site: Site, sensor: int, second: int, rows: NDArray[np.int64], offset: Array) -> Iterator[Sent]:
    entry = site.catalogue.sensors[sensor]
    match site.feed[entry.feed].format:
        case "frigate":
            yield from _frigate(site, sensor, second, rows, offset)
        case "chirpstack":
            yield from _chirpstack(site, sensor, second, rows)
        case "openalpr":
            yield from _openalpr(site, sensor, second, rows)
        case _:
            yield from _native(site, sensor, second, rows, offset)


def _frigate(site: Site, sensor: int, second: int, rows: NDArray[np.int64], offset: Array) -> Iterator[Sent]:
    entry, observed_ns = site.catalogue.sensors[sensor], site.time_ns(sensor, second)
    feed, random = site.feed[entry.feed], site.random
    size = (int(site.cameras.size_px[sensor, 0]), int(site.cameras.size_px[sensor, 1]))
    seen = [(row, at) for row, at in zip(rows.tolist(), offset, strict=True) if site.sees(sensor)]
    if site.lies(sensor):
        angle, reach = random.uniform(-0.4, 0.4), random.uniform(0.2, 0.9) * site.catalogue.columns.range_m[sensor]
        bearing = np.radians(site.cameras.azimuth_deg[sensor]) + angle
        seen.append((-second - 1, reach * np.array([np.sin(bearing), np.cos(bearing)])))
    for row, at in seen:
        frame_s = vendors.seconds_of(observed_ns)
        box = _box(site, sensor, row, at, size)
        if box is None:
            continue
        following = site.objects.get((sensor, row))
        kind = "update"
        if following is None:
            label = (
                vendors.LABELS[site.targets.classes[row]]
                if row >= 0
                else ("person" if random.random() < 0.5 else "deer")
            )
            following = FrigateObject(vendors.frigate_id(frame_s, random), entry.source, label, frame_s)
            site.objects[sensor, row] = following
            kind = "new"
        speed = float(np.hypot(*site.targets.velocity[second, row])) if row >= 0 else 1.0
        following.motionless = following.motionless + 1 if speed < 0.15 else 0
        following.seen_s = second
        if kind == "update" and following.motionless >= STATIONARY_S and second - following.published_s < REPUBLISH_S:
            continue
        following.published_s = second
        score = float(np.clip(random.normal(0.78, 0.08), 0.5, 0.98))
        payload = following.event(kind, frame_s, box, score, size)
        yield Sent(site.arrival_ns(sensor, observed_ns), f"{feed.topic}/events", payload)
        if kind == "new" or second % SNAPSHOT_EVERY_S == 0:
            taken = vendors.frigate_snapshot(following.label, box, size)
            yield Sent(observed_ns + SNAPSHOT_NS, f"{feed.topic}/{entry.source}/{following.label}/snapshot", taken)
    for key, following in [(k, f) for k, f in site.objects.items() if k[0] == sensor]:
        if second - following.seen_s >= LOST_S:
            last = following.entries
            payload = following.event("end", last["frame_time"], last["box"], last["score"], size)
            yield Sent(site.arrival_ns(sensor, observed_ns), f"{feed.topic}/events", payload)
            del site.objects[key]


def _box(site: Site, sensor: int, row: int, at: Array, size: tuple[int, int]) -> list[int] | None:
    foot = pixel_from_ground(site.cameras, sensor, at[None])[0]
    if not np.isfinite(foot).all():
        return None
    foot = foot + site.random.normal(0, site.cameras.pixel_sigma_px[sensor], 2)
    tall = HEIGHT_M.get(site.targets.classes[row] if row >= 0 else "person", 1.5)
    high = max(tall * site.cameras.focal_px[sensor, 1] / max(float(np.hypot(*at)), 1.0), 6.0)
    wide = high * (0.4 if tall > 1.2 and (row < 0 or site.targets.classes[row] == "person") else 1.6)
    x1, x2 = round(foot[0] - wide / 2), round(foot[0] + wide / 2)
    y2 = round(foot[1])
    if not (0 <= foot[0] < size[0] and 0 <= y2 < size[1]):
        return None
    return [x1, max(round(y2 - high), 0), x2, y2]


def _chirpstack(site: Site, sensor: int, second: int, rows: NDArray[np.int64]) -> Iterator[Sent]:
    entry, observed_ns = site.catalogue.sensors[sensor], site.time_ns(sensor, second)
    feed, random = site.feed[entry.feed], site.random
    if second == 5 + sensor % 20:
        topic = vendors.chirpstack_topic(entry, feed.topic, "status")
        yield Sent(site.arrival_ns(sensor, observed_ns), topic, vendors.chirpstack_status(entry))
    hit = (len(rows) > 0 and second >= site.rest_until[sensor] and site.sees(sensor)) or site.lies(sensor)
    heartbeat = (second + sensor * 7) % 300 == 0
    if entry.profile is None or not (hit or heartbeat):
        return
    if hit:
        site.rest_until[sensor] = second + PIR_REST_S
    site.uplinks[sensor] += 1
    topic = vendors.chirpstack_topic(entry, feed.topic, "up")
    payload = vendors.chirpstack_up(entry, entry.profile, int(site.uplinks[sensor]), observed_ns, hit, random)
    arrival_ns = site.arrival_ns(sensor, observed_ns + 50 * MS)
    yield Sent(arrival_ns, topic, payload)
    if random.random() < 0.05:  # a second gateway's copy comes through on its own
        yield Sent(arrival_ns + round(random.uniform(50, 400)) * MS, topic, payload)


def _openalpr(site: Site, sensor: int, second: int, rows: NDArray[np.int64]) -> Iterator[Sent]:
    entry, random = site.catalogue.sensors[sensor], site.random
    feed, observed_ns = site.feed[entry.feed], site.time_ns(sensor, second)
    readers = [s for s in site.catalogue.sensors if s.feed == entry.feed]
    if entry is readers[0] and second % 60 == 0:
        yield Sent(site.arrival_ns(sensor, observed_ns), feed.topic, vendors.alpr_heartbeat(readers, observed_ns))
    for row in rows.tolist():
        plate = site.targets.plates[row]
        if not plate:
            continue
        first_ns, _ = site.passing.get((sensor, row), (observed_ns, observed_ns))
        site.passing[sensor, row] = first_ns, observed_ns
        for frame in range(5):
            at_ns = observed_ns + frame * 200 * MS
            said = vendors.misread(plate, random) if random.random() < 0.06 else plate
            payload = vendors.alpr_results(entry, said, float(np.clip(random.normal(88, 4), 60, 99)), at_ns, random)
            yield Sent(site.arrival_ns(sensor, at_ns), feed.topic, payload)
    for (reader, row), (first_ns, last_ns) in list(site.passing.items()):
        if reader == sensor and row not in rows.tolist():
            payload = vendors.alpr_group(
                entry, site.targets.plates[row], float(np.clip(random.normal(92, 3), 70, 99)), first_ns, last_ns, random
            )
            yield Sent(site.arrival_ns(sensor, observed_ns, random.uniform(1, 8)), feed.topic, payload)
            del site.passing[reader, row]


def _native(site: Site, sensor: int, second: int, rows: NDArray[np.int64], offset: Array) -> Iterator[Sent]:
    entry, columns = site.catalogue.sensors[sensor], site.catalogue.columns
    every_s = max(1, round(1 / float(columns.looks_per_s[sensor])))
    if second % every_s:
        return
    random, observed_ns = site.random, site.time_ns(sensor, second)
    detections: list[dict[str, object]] = []
    seen = [(row, at) for row, at in zip(rows.tolist(), offset, strict=True) if site.sees(sensor)]
    if any(site.lies(sensor) for _ in range(every_s)):
        bearing, reach = random.uniform(0, 2 * np.pi), random.uniform(0.1, 1.0) * columns.range_m[sensor]
        seen.append((-1, reach * np.array([np.sin(bearing), np.cos(bearing)])))
    for row, at in seen:
        what = site.targets.classes[row] if row >= 0 else "other"
        if entry.kind == "radar":
            bearing = np.degrees(np.arctan2(at[0], at[1])) + random.normal(0, RADAR_BEARING_SIGMA_DEG)
            detections.append(
                {
                    "bearing_deg": round(float(bearing) % 360, 3),
                    "bearing_sigma_deg": RADAR_BEARING_SIGMA_DEG,
                    "range_m": round(float(max(np.hypot(*at) + random.normal(0, columns.accuracy_m[sensor]), 1.0)), 2),
                    "range_sigma_m": float(columns.accuracy_m[sensor]),
                    "class": {what: 0.4},
                }
            )
        elif site.posed[sensor]:
            pixel = pixel_from_ground(site.cameras, sensor, at[None])[0]
            if np.isfinite(pixel).all():
                pixel = pixel + random.normal(0, site.cameras.pixel_sigma_px[sensor], 2)
                detections.append(
                    {
                        "pixel": np.round(pixel, 1).tolist(),
                        "class": what,
                        "confidence": round(float(random.uniform(0.6, 0.95)), 2),
                    }
                )
        else:
            detections.append({"class": {what: 0.5}, "confidence": 0.7})
    if detections or entry.kind in ("radar", "camera") or second % 30 == 0:
        topic = f"{site.feed[entry.feed].topic}/detections/{entry.id}"
        yield Sent(site.arrival_ns(sensor, observed_ns), topic, vendors.native_frame(observed_ns, detections))


def _really(cameras: Cameras, random: Generator) -> Cameras:
    """Where the cameras really look: their registered pose is off by as much as they admit."""
    n = len(cameras)
    return replace(
        cameras,
        azimuth_deg=cameras.azimuth_deg + random.normal(0, 1, n) * cameras.angle_sigma_deg,
        tilt_deg=cameras.tilt_deg + random.normal(0, 1, n) * cameras.angle_sigma_deg,
        height_m=cameras.height_m + random.normal(0, 1, n) * cameras.height_sigma_m,
    )
