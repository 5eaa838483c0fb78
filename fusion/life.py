"""How tracks begin, are believed, and end."""

import numpy as np
from numpy.typing import NDArray

from fusion.association import Pairs, false_density
from fusion.estimation import largest_sigma, updated
from fusion.motion import predicted, seconds
from fusion.settings import Settings
from geo.frames import Sectors, moved_to_sector
from model.detections import Detections
from model.tracks import SENSORS_KEPT, Tracks
from model.world import SensorColumns

CLASS_FLOOR = 0.02  # no sensor's word makes a class impossible
EXISTENCE_MAX = 1 - 1e-6  # nor anything certain
LOST_SIGMA_M = 500.0  # a track spread wider than this says nothing


def born(settings: Settings, sensors: SensorColumns, detections: Detections) -> Tracks:
    """A tentative track for each detection that no track explains."""
    n = len(detections)
    mean, covariance = np.zeros((n, 4)), np.zeros((n, 4, 4))
    mean[:, :2], covariance[:, :2, :2] = detections.position, detections.covariance
    covariance[:, 2, 2] = covariance[:, 3, 3] = settings.speed_sigma_mps**2
    false = false_density(sensors, detections)
    seen_by, seen_ns = np.full((n, SENSORS_KEPT), -1, np.int32), np.zeros((n, SENSORS_KEPT), np.int64)
    seen_by[:, 0], seen_ns[:, 0] = detections.sensor, detections.observed_ns
    named, read = detections.source != 0, detections.plate != 0
    return Tracks(
        id=_ids(detections),
        sector=detections.sector,
        born_ns=detections.observed_ns,
        seen_ns=detections.observed_ns,
        updated_ns=detections.observed_ns,
        mean=mean,
        covariance=covariance,
        existence=settings.birth_per_m2 / (settings.birth_per_m2 + false),
        confirmed=np.zeros(n, np.bool_),
        class_probability=_normalised(detections.class_likelihood + CLASS_FLOOR),
        hits=np.ones(n, np.int32),
        source=detections.source,
        source_ns=np.where(named, detections.observed_ns, 0),
        source_sensor=np.where(named, detections.sensor, -1).astype(np.int32),
        plate=detections.plate,
        plate_ns=np.where(read, detections.observed_ns, 0),
        plate_sensor=np.where(read, detections.sensor, -1).astype(np.int32),
        sensors=seen_by,
        sensors_ns=seen_ns,
    )


def continued(
    settings: Settings,
    sectors: Sectors,
    tracks: Tracks,
    detections: Detections,
    pairs: Pairs,
    choice: NDArray[np.int64],
) -> Tracks:
    """All tracks, those chosen updated by their detection and, where it lies in another sector, handed over."""
    row = pairs.track[choice]
    if not len(row):
        return tracks
    seen = detections.take(pairs.detection[choice])
    ours = moved_to_sector(sectors, tracks.take(row), seen.sector)
    dt = seconds(seen.observed_ns - ours.updated_ns)
    mean, covariance = updated(
        *predicted(ours.mean, ours.covariance, dt, settings.acceleration_psd), seen.position, seen.covariance
    )
    odds = faded(settings, ours, seen.observed_ns)
    odds = odds / (1 - odds) * np.exp(np.minimum(pairs.strength[choice], 50.0))
    existence = np.clip(odds / (1 + odds), 0.0, EXISTENCE_MAX)
    hits = ours.hits + 1
    named, read = seen.source != 0, seen.plate != 0
    sensors, sensors_ns = _remembered(ours.sensors, ours.sensors_ns, seen.sensor, seen.observed_ns)
    return tracks.put(
        row,
        ours.but(
            seen_ns=seen.observed_ns,
            updated_ns=seen.observed_ns,
            mean=mean,
            covariance=covariance,
            existence=existence,
            confirmed=ours.confirmed | ((existence >= settings.confirm_existence) & (hits >= 2)),
            class_probability=_normalised(ours.class_probability * (seen.class_likelihood + CLASS_FLOOR) + 1e-6),
            hits=hits,
            source=np.where(named, seen.source, ours.source),
            source_ns=np.where(named, seen.observed_ns, ours.source_ns),
            source_sensor=np.where(named, seen.sensor, ours.source_sensor),
            plate=np.where(read, seen.plate, ours.plate),
            plate_ns=np.where(read, seen.observed_ns, ours.plate_ns),
            plate_sensor=np.where(read, seen.sensor, ours.plate_sensor),
            sensors=sensors,
            sensors_ns=sensors_ns,
        ),
    )


def faded(settings: Settings, tracks: Tracks, time_ns: NDArray[np.int64] | int) -> NDArray[np.float64]:
    """(n,) probability that each still exists at `time_ns`, unseen since it was last seen."""
    unseen = np.maximum(time_ns - tracks.seen_ns, 0) / settings.coast_ns
    return np.minimum(tracks.existence * np.exp(-unseen), EXISTENCE_MAX)


def lasting(settings: Settings, tracks: Tracks, time_ns: int, at_time: Tracks) -> NDArray[np.bool_]:
    """(n,) which tracks are kept at `time_ns`; `at_time` holds their states then."""
    keep = time_ns - tracks.seen_ns <= settings.coast_ns
    keep &= faded(settings, tracks, time_ns) >= settings.drop_existence
    return np.asarray(keep & (largest_sigma(at_time.covariance[:, :2, :2]) < LOST_SIGMA_M))


def _normalised(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _remembered(
    sensors: NDArray[np.int32], times_ns: NDArray[np.int64], sensor: NDArray[np.int32], time_ns: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The sensors that saw each track with one more: in its own place, or in that of the longest unseen."""
    known = sensors == sensor[:, None]
    slot = np.where(known.any(axis=1), known.argmax(axis=1), times_ns.argmin(axis=1))
    sensors, times_ns, row = sensors.copy(), times_ns.copy(), np.arange(len(slot))
    sensors[row, slot], times_ns[row, slot] = sensor, time_ns
    return sensors, times_ns


def _ids(detections: Detections) -> NDArray[np.uint64]:
    """(n,) keys made from what founded each track, so that the same detections always give the same ids."""
    millimetres = np.round(detections.position * 1000).astype(np.int64)
    key = np.zeros(len(detections), np.uint64)
    for part in (detections.observed_ns, detections.sector, millimetres[:, 0], millimetres[:, 1], detections.sensor):
        key = _mixed(key ^ part.astype(np.int64).view(np.uint64))
    return key


def _mixed(key: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's finaliser (Steele, Lea & Flood 2014)."""
    key = key + np.uint64(0x9E3779B97F4A7C15)
    key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return key ^ (key >> np.uint64(31))
