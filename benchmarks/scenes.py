"""Scenes to measure tracking on: what moves in a strip of land, and what its sensors say of it, drawn from a seed.

The family that issue and documents speak of: a strip of 20 × 5 km, 300 s, 300 ground sensors, 40 cameras that look once a second,
8 plate readers. Everything is drawn from the sensors' own registration: what they miss, how far they are off, how often they lie.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from geo.frames import Sectors, plane_from_wgs84, sector_of, sectors_along, wgs84_from_plane
from model.classes import CLASSES
from model.detections import PLATES, Detections, Kind, Looks
from model.time import NS, ns_from_iso
from model.world import SensorColumns

Array = NDArray[np.float64]

START_NS = ns_from_iso("2026-11-20T04:20:00Z")
LENGTH_M, WIDTH_M = 20_000.0, 5_000.0
GROUND_REACH_M = 60.0  # a uniform disc of this radius has a standard deviation of 30 m along each axis
GROUND_EVERY_S = 2
CAMERA_RANGE_M, CAMERA_HALF_ANGLE_RAD = 1_000.0, np.radians(60.0)
RANGE_SHARE, ACROSS_SHARE = 0.05, 0.005  # of the distance: a camera's errors along and across its ray
NEAR_M = 20.0  # nothing is nearer to a camera than this
CLUTTER = 0.2  # false detections a camera's frame
PLATE_REACH_M, PLATE_SIGMA_M = 30.0, 5.0
CONFUSION = 0.8  # how much of a camera's class likelihood lies on the true class, when it is right
KINDS = ("person", "vehicle", "animal")


@dataclass(frozen=True)
class Scene:
    """A scene: rows in order of arrival, with the truth behind them."""

    sectors: Sectors
    sensors: SensorColumns
    detections: Detections
    origin: NDArray[np.int64]  # (rows,) which target each row comes from; -1 none
    looks: Looks
    position: Array  # (seconds + 1, targets, 2) m
    in_view: NDArray[np.bool_]  # (seconds + 1, targets)
    what: tuple[str, ...]  # (targets,) class

    @property
    def seconds(self) -> int:
        return len(self.position) - 1

    @property
    def targets(self) -> int:
        return self.position.shape[1]

    def until(self, seconds: int) -> "Scene":
        """Its first seconds."""
        end_ns = START_NS + seconds * NS
        kept = self.detections.observed_ns <= end_ns
        return replace(
            self,
            detections=self.detections.take(kept),
            origin=self.origin[kept],
            looks=self.looks.take(self.looks.observed_ns <= end_ns),
            position=self.position[: seconds + 1],
            in_view=self.in_view[: seconds + 1],
        )

    def but(self, **changed: Any) -> "Scene":
        """The same with some parts exchanged."""
        return replace(self, **changed)

    def arriving(self, delay_s: Array) -> "Scene":
        """The same rows, each received `delay_s` (rows,) later than it was."""
        received = self.detections.received_ns + (delay_s * NS).astype(np.int64)
        order = np.argsort(received, kind="stable")
        rows = self.detections.but(received_ns=received).take(order)
        return replace(self, detections=rows, origin=self.origin[order])

    def is_ground(self) -> NDArray[np.bool_]:
        """(sensors,)"""
        return self.sensors.range_m == GROUND_REACH_M

    def is_plate_reader(self) -> NDArray[np.bool_]:
        """(sensors,)"""
        return self.sensors.range_m == PLATE_REACH_M


def strip(targets: int, seed: int, seconds: int = 300, group: int = 1, sectors: Sectors | None = None) -> Scene:
    """A scene of the family. Targets walk and drive in groups of `group`, a few metres apart."""
    random = np.random.default_rng(seed)
    what, position, velocity = _moving(random, targets, seconds, group)
    sensors = _sensors(random)
    parts = [_cameras(random, sensors, position, velocity, what), _others(random, sensors, position, velocity, what)]
    rows = Detections.joined([part[0] for part in parts])
    origin = np.concatenate([part[1] for part in parts])
    order = np.argsort(rows.received_ns, kind="stable")
    return Scene(
        sectors=sectors or sectors_along(np.array([31.33]), np.array([-110.93])),
        sensors=sensors,
        detections=rows.take(order),
        origin=origin[order],
        looks=parts[0][3],
        position=position,
        in_view=parts[0][2] | parts[1][2],
        what=tuple(what),
    )


def _moving(random: Generator, targets: int, seconds: int, group: int) -> tuple[list[str], Array, Array]:
    """Classes, positions and velocities (seconds + 1, targets, 2): walkers that rest at times, cars, animals that stray."""
    leaders = -(-targets // group)
    kind = random.choice(3, leaders, p=[0.6, 0.25, 0.15])
    speed = np.choose(
        kind, [random.uniform(0.9, 1.8, leaders), random.uniform(6, 20, leaders), random.uniform(0.5, 2.5, leaders)]
    )
    turn_sigma = np.choose(kind, [0.02, 0.02, 0.12])  # rad a second
    heading = random.uniform(0, 2 * np.pi, leaders)
    place = random.uniform([-LENGTH_M / 2, -WIDTH_M / 2], [LENGTH_M / 2, WIDTH_M / 2], (leaders, 2))
    rest_s = np.zeros(leaders)
    pace = speed.copy()
    path = np.empty((seconds + 2, leaders, 2))
    for second in range(seconds + 2):
        path[second] = place
        heading = heading + random.normal(0, 1, leaders) * turn_sigma
        rests = (random.random(leaders) < np.choose(kind, [0.003, 0.001, 0.01])) & (rest_s <= 0)
        rest_s = np.where(rests, random.uniform(10, 60, leaders), rest_s - 1)
        wanted = np.where(rest_s > 0, 0.0, speed)
        pace = pace + np.clip(wanted - pace, -2.0, 1.5)
        place = place + pace[:, None] * np.stack([np.cos(heading), np.sin(heading)], axis=1)
    member = np.repeat(np.arange(leaders), group)[:targets]
    aside = random.normal(0, 4.0, (targets, 2)) * (group > 1)
    wander = np.cumsum(random.normal(0, 0.15, (seconds + 2, targets, 2)), axis=0) * (group > 1) if group > 1 else 0.0
    all_paths = path[:, member] + aside + wander
    return [KINDS[k] for k in kind[member]], all_paths[:-1], np.diff(all_paths, axis=0)


def _sensors(random: Generator) -> SensorColumns:
    cameras, grounds, readers = 40, 300, 8
    n = cameras + grounds + readers
    place = random.uniform([-LENGTH_M / 2, -WIDTH_M / 2], [LENGTH_M / 2, WIDTH_M / 2], (n, 2))
    column = np.repeat(np.arange(3), [cameras, grounds, readers])
    return SensorColumns.blank(n).but(
        position=place,
        accuracy_m=np.choose(column, [10.0, 30.0, PLATE_SIGMA_M]),
        range_m=np.choose(column, [CAMERA_RANGE_M, GROUND_REACH_M, PLATE_REACH_M]),
        facing_rad=np.where(column == 0, random.uniform(-np.pi, np.pi, n), 0.0),
        half_angle_rad=np.where(column == 0, CAMERA_HALF_ANGLE_RAD, np.pi),
        view_known=np.ones(n, np.bool_),
        detection_probability=np.full(n, 0.9),
        false_alarms_per_hour=np.choose(column, [CLUTTER * 3600, 1.0, 0.5]),
        looks_per_s=np.choose(column, [1.0, 1 / GROUND_EVERY_S, 1.0]),
        fades_s=np.choose(column, [10.0, 600.0, 600.0]),
        latency_s=np.choose(column, [0.15, 0.3, 0.3]),
        silent_after_s=np.full(n, np.inf),
    )


def _cameras(
    random: Generator, sensors: SensorColumns, position: Array, velocity: Array, what: list[str]
) -> tuple[Detections, NDArray[np.int64], NDArray[np.bool_], Looks]:
    """Rows, their origins, what was in view, and every frame."""
    kind = np.array([CLASSES.index(w) for w in what])
    seconds, targets = position.shape[0] - 1, position.shape[1]
    in_view = np.zeros((seconds + 1, targets), np.bool_)
    parts, origins, times, lookers = [], [], [], []
    for sensor in np.flatnonzero(sensors.half_angle_rad < np.pi):
        phase = random.uniform(0, 1)
        at = START_NS + np.arange(seconds) * NS + int(phase * NS)
        there = position[:-1] + phase * velocity[:-1] - sensors.position[sensor]
        away = np.hypot(there[..., 0], there[..., 1])
        bearing = np.arctan2(there[..., 1], there[..., 0])
        off = np.abs((bearing - sensors.facing_rad[sensor] + np.pi) % (2 * np.pi) - np.pi)
        view = (away < CAMERA_RANGE_M) & (away > NEAR_M) & (off < CAMERA_HALF_ANGLE_RAD)
        in_view[:-1] |= view
        second, target = np.nonzero(view & (random.random(view.shape) < 0.9))
        lies = random.poisson(CLUTTER, seconds)
        lie_second = np.repeat(np.arange(seconds), lies)
        second, target = np.r_[second, lie_second], np.r_[target, np.full(len(lie_second), -1)]
        true = target >= 0
        count = len(lie_second)
        reach = np.r_[away[second[true], target[true]], np.sqrt(random.uniform(NEAR_M**2, CAMERA_RANGE_M**2, count))]
        angle = np.r_[
            bearing[second[true], target[true]],
            sensors.facing_rad[sensor] + random.uniform(-1, 1, count) * CAMERA_HALF_ANGLE_RAD,
        ]
        said = np.where(true, reach * (1 + RANGE_SHARE * random.normal(0, 1, len(reach))), reach)
        angle = angle + np.where(true, ACROSS_SHARE * random.normal(0, 1, len(reach)), 0.0)
        along = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        aside = np.stack([-along[:, 1], along[:, 0]], axis=1)
        sigma_along, sigma_aside = RANGE_SHARE * said, ACROSS_SHARE * said
        covariance = (
            sigma_along[:, None, None] ** 2 * along[:, :, None] * along[:, None, :]
            + sigma_aside[:, None, None] ** 2 * aside[:, :, None] * aside[:, None, :]
        )
        word = np.where(true, kind[target], random.integers(0, 3, len(target)))
        mistaken = random.random(len(word)) < 0.1
        word = np.where(mistaken, random.integers(0, 3, len(word)), word)
        parts.append(
            _rows(
                at[second],
                int(sensor),
                Kind.POSITION,
                sensors.position[sensor] + said[:, None] * along,
                covariance,
                _classes(word),
                random.gamma(4.0, 0.15 / 4, seconds)[second],
            )
        )
        origins.append(target)
        times.append(at)
        lookers.append(np.full(seconds, sensor, np.int32))
    observed = np.concatenate(times)
    looks = Looks(observed, observed + int(0.15 * NS), np.concatenate(lookers))
    return Detections.joined(parts), np.concatenate(origins), in_view, looks.take(np.argsort(observed, kind="stable"))


def _others(
    random: Generator, sensors: SensorColumns, position: Array, velocity: Array, what: list[str]
) -> tuple[Detections, NDArray[np.int64], NDArray[np.bool_]]:
    """Ground sensors, which say that something is near, and plate readers."""
    seconds, targets = position.shape[0] - 1, position.shape[1]
    in_view = np.zeros((seconds + 1, targets), np.bool_)
    parts, origins = [], []
    wheels = np.array([w == "vehicle" for w in what])
    plates = random.integers(1, 2**63, targets).astype(np.uint64)
    for sensor in np.flatnonzero(sensors.half_angle_rad == np.pi):
        ground = sensors.range_m[sensor] == GROUND_REACH_M
        every = GROUND_EVERY_S if ground else 1
        phase = random.uniform(0, 1)
        there = position[:-1] + phase * velocity[:-1] - sensors.position[sensor]
        view = np.hypot(there[..., 0], there[..., 1]) < sensors.range_m[sensor]
        if not ground:
            view &= wheels
        in_view[:-1] |= view
        looked = np.arange(seconds) % every == int(sensor) % every
        hits = view & looked[:, None] & (random.random(view.shape) < 0.9)
        lies = looked & (random.random(seconds) < sensors.false_alarms_per_hour[sensor] / 3600 * every)
        second, target = np.nonzero(hits)
        if ground:  # it can't tell one from two
            second, first = np.unique(second, return_index=True)
            target = target[first]
            alone = np.setdiff1d(np.flatnonzero(lies), second)
            second, target = np.r_[second, alone], np.r_[target, np.full(len(alone), -1)]
        n = len(second)
        spot = np.tile(sensors.position[sensor], (n, 1))
        if not ground:
            spot = spot + there[second, target] + random.normal(0, PLATE_SIGMA_M, (n, 2))
        rows = _rows(
            START_NS + second * NS + int(phase * NS),
            int(sensor),
            Kind.PRESENCE if ground else Kind.POSITION,
            spot,
            np.full(n, sensors.accuracy_m[sensor] ** 2)[:, None, None] * np.eye(2),
            np.full((n, len(CLASSES)), 1 / len(CLASSES)) if ground else _classes(np.full(n, CLASSES.index("vehicle"))),
            random.gamma(4.0, 0.3 / 4, n),
        )
        if not ground:
            read, share = np.zeros((n, PLATES), np.uint64), np.zeros((n, PLATES))
            read[:, 0], share[:, 0] = plates[target], 0.95
            rows = rows.but(plate=plates[target], plates=read, plate_share=share)
        parts.append(rows)
        origins.append(target)
    return Detections.joined(parts), np.concatenate(origins), in_view


def _rows(
    observed_ns: NDArray[np.int64],
    sensor: int,
    kind: Kind,
    position: Array,
    covariance: Array,
    class_likelihood: Array,
    latency_s: Array,
) -> Detections:
    n = len(observed_ns)
    return Detections.blank(n).but(
        observed_ns=observed_ns,
        received_ns=observed_ns + (latency_s * NS).astype(np.int64),
        sensor=np.full(n, sensor, np.int32),
        kind=np.full(n, kind, np.int8),
        position=position,
        covariance=covariance,
        class_likelihood=class_likelihood,
        confidence=np.full(n, 0.8),
    )


def _classes(word: NDArray[np.int64]) -> Array:
    shares = np.full((len(word), len(CLASSES)), (1 - CONFUSION) / (len(CLASSES) - 1))
    shares[np.arange(len(word)), word] = CONFUSION
    return shares


def arriving_late(scene: Scene, seed: int) -> Scene:
    """Ground sensors up to 30 s late, plate readers up to 10 s; everything else as it was."""
    random, sensor = np.random.default_rng(seed), scene.detections.sensor
    delay = np.where(scene.is_ground()[sensor], random.uniform(0, 29, len(sensor)), 0.0)
    return scene.arriving(np.where(scene.is_plate_reader()[sensor], random.uniform(0, 10, len(sensor)), delay))


def in_sectors(scene: Scene) -> Scene:
    """The scene cut into four sectors 5 km across, with every position in the plane of its own.

    A few km apart, planes differ by no turn to speak of, so covariances stay as they are.
    """
    middles = np.array([[LENGTH_M * share, 0.0] for share in (-0.375, -0.125, 0.125, 0.375)])
    lat, lon = wgs84_from_plane(scene.sectors, np.zeros(4, np.int16), middles)
    sectors = Sectors(tuple(lat.tolist()), tuple(lon.tolist()), 100_000.0)

    def moved(columns: Any) -> Any:
        lat, lon = wgs84_from_plane(scene.sectors, columns.sector, columns.position)
        own = sector_of(sectors, lat, lon)
        return columns.but(sector=own, position=plane_from_wgs84(sectors, own, lat, lon))

    return scene.but(sectors=sectors, detections=moved(scene.detections), sensors=moved(scene.sensors))
