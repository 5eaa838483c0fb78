"""Which detection belongs to which track: pairs within the gate, their evidence, and the choice among them.

A frame is what one sensor saw at one instant. In each, a track causes at most one detection, and a detection has at most one
cause. The evidence of a pair is the logarithm of the ratio between "this track caused it" and "the track was missed, and
something new or nothing caused this" (Williams 2015, "Marginal multi-Bernoulli filters", IEEE TAES 51(3), eqs. 20–27).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from fusion import plates
from fusion.coverage import false_density, undetected_density
from fusion.estimation import largest_sigma, log_densities, packed, reweighted
from fusion.measurements import as_seen
from fusion.motion import blocks, moved, seconds
from fusion.settings import Settings
from geo.frames import Sectors, moved_to_sector, near_each_other
from model.classes import CLASSES
from model.columns import Columns, column
from model.detections import Detections
from model.time import NS
from model.tracks import Tracks
from model.world import SensorColumns

Array = NDArray[np.float64]
Rows = NDArray[np.int64]
GATE2 = 16.0  # squared Mahalanobis gate: 99.97 % of true pairs in two dimensions
UNLIKELY = 0.01  # a model less likely than this opens no gate
PAD_M = 10.0  # added to the reach within which pairs are looked at
NEIGHBOURS = 8  # tracks looked at per detection, nearest first
SAME_SOURCE = 4.0  # log evidence that the source's own object id goes on
OTHER_SOURCE = -4.0  # … that the same sensor calls this by another id
SOURCE_NS = 10 * NS  # for how long a sensor that still sees an object is believed to keep its id
ROUNDS = 50  # of belief propagation, at most
MOST = 25.0  # log evidence beyond which nothing becomes surer, and sums of odds stay exact


@dataclass(frozen=True)
class Pairs:
    """k pairs within the gate, of tracks and detections."""

    track: Rows  # (k,)
    detection: Rows  # (k,)
    evidence: Array  # (k,) log ratio

    def take(self, rows: NDArray[np.bool_] | Rows) -> "Pairs":
        return Pairs(self.track[rows], self.detection[rows], self.evidence[rows])

    def of(self, tracks: Rows) -> "Pairs":
        """The same, where the tracks were rows `tracks` of a larger table."""
        return Pairs(tracks[self.track], self.detection, self.evidence)


@dataclass(frozen=True, eq=False)
class NullDensities(Columns):
    """What is expected where n detections are, if no known track caused them."""

    caught: Array = column(np.float64)  # (n,) chance that the sensor catches what it has in view
    undetected: Array = column(np.float64)  # (n,) [1/m²] of detections of someone whom nobody has seen yet
    density: Array = column(np.float64)  # (n,) [1/m²] of those, and of false alarms


NO_PAIRS = Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))


def gated(
    sensors: SensorColumns, sectors: Sectors, tracks: Tracks, detections: Detections, null: NullDensities
) -> Pairs:
    """All pairs that may belong together. No track meets another detection of the frame that it was last seen in."""
    track, detection = _near(sectors, tracks, detections)
    again = tracks.seen_ns[track] == detections.observed_ns[detection]
    again &= tracks.seen_by[track] == detections.sensor[detection]
    track, detection = track[~again], detection[~again]
    usual = -np.log(null.density)
    found = [NO_PAIRS]
    for part in blocks(len(track)):
        ours, theirs = track[part], detection[part]
        bank, weight = _in_plane_of(sectors, tracks, ours, detections.sector[theirs])
        bank = moved(bank, seconds(detections.observed_ns[theirs] - tracks.updated_ns[ours]))
        d2, log_density = log_densities(bank, *as_seen(sensors, sectors, bank, weight, detections, theirs))
        within = np.where(weight > UNLIKELY, d2, np.inf).min(axis=0) < GATE2
        likely = reweighted(weight, log_density)[1] + usual[theirs]
        likely += _identity(tracks, ours, detections, theirs) + _alike(tracks, ours, detections, theirs)
        caught = tracks.existence[ours] * tracks.visible[ours] * null.caught[theirs]
        found.append(Pairs(ours, theirs, likely + np.log(caught / (1 - caught))).take(within))
    return Pairs(
        *(np.concatenate([getattr(pairs, name) for pairs in found]) for name in ("track", "detection", "evidence"))
    )


def _in_plane_of(sectors: Sectors, tracks: Tracks, track: Rows, sector: NDArray[np.int16]) -> tuple[Array, Array]:
    """Bank and weights of chosen tracks, in the planes of the sectors (k,) that they are held against."""
    abroad = np.flatnonzero(tracks.sector[track] != sector)
    bank = tracks.bank[track]
    if len(abroad):
        bank[abroad] = moved_to_sector(sectors, tracks.take(track[abroad]), sector[abroad]).bank
    return np.ascontiguousarray(bank.transpose(1, 2, 0)), np.ascontiguousarray(tracks.weight[track].T)


def same_identity(tracks: Tracks, detections: Detections, pairs: Pairs) -> NDArray[np.bool_]:
    """(k,) which pairs the source's own object id or a plate says to be one and the same."""
    source, plate = detections.source[pairs.detection], detections.plate[pairs.detection]
    called = (source != 0) & (tracks.source[pairs.track] == source)
    called &= tracks.source_sensor[pairs.track] == detections.sensor[pairs.detection]
    return np.asarray(called | ((plate != 0) & (tracks.plates[pairs.track] == plate[:, None]).any(axis=1)))


def detectable(sensors: SensorColumns, sensor: NDArray[np.int32]) -> Array:
    """(n,) chance that each sensor catches what it has in view: by registration, but never none and never all."""
    return np.clip(sensors.detection_probability[sensor], 0.01, 0.99)


def null_densities(
    settings: Settings, sensors: SensorColumns, sectors: Sectors, detections: Detections
) -> NullDensities:
    """What is expected of each of the detections if no known track caused it."""
    caught = detectable(sensors, detections.sensor)
    undetected = caught * undetected_density(settings, sensors, sectors, detections)
    return NullDensities(caught, undetected, false_density(sensors, detections.sensor) + undetected)


def bank_of(tracks: Tracks) -> tuple[Array, Array]:
    """Bank (14, MODELS, n) and weights (MODELS, n) of tracks, laid out for arithmetic."""
    return np.ascontiguousarray(tracks.bank.transpose(1, 2, 0)), np.ascontiguousarray(tracks.weight.T)


def _near(sectors: Sectors, tracks: Tracks, detections: Detections) -> tuple[Rows, Rows]:
    """Pairs near enough to be worth a closer look, by the whole estimates carried on at constant velocity."""
    if not len(tracks) or not len(detections):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    middle = int(detections.observed_ns[len(detections) // 2])
    dt = seconds(middle - tracks.updated_ns)
    here, there = detections.position, tracks.mean[:, :2] + dt[:, None] * tracks.mean[:, 2:]
    # Under each model, without its weight: who most likely walks may yet turn out to fly.
    bank = tracks.bank
    variance = bank[:, 4] + bank[:, 6] + dt[:, None] ** 2 * (bank[:, 11] + bank[:, 13])
    sigma = np.sqrt(np.where(tracks.weight > UNLIKELY, variance, 0.0).max(axis=1))
    own = largest_sigma(packed(detections.covariance))
    reach = np.sqrt(GATE2) * np.hypot(sigma.max(), own.max()) + PAD_M
    here, there = near_each_other(sectors, detections.sector, here, tracks.sector, there)
    count = min(NEIGHBOURS, len(tracks))
    away, found = cKDTree(there).query(here, k=count, distance_upper_bound=reach)
    found = np.asarray(found, np.int64).reshape(len(detections), count)
    detection, rank = np.nonzero(found < len(tracks))
    track = found[detection, rank]
    away = np.asarray(away).reshape(found.shape)[detection, rank]
    close = away < np.sqrt(GATE2) * np.hypot(sigma[track], own[detection]) + PAD_M
    return track[close], detection[close]


def _identity(tracks: Tracks, track: Rows, detections: Detections, detection: Rows) -> Array:
    """(k,) log evidence from object ids and plates."""
    ours, theirs = tracks.source[track], detections.source[detection]
    evidence = plates.evidence(
        tracks.plates[track], tracks.plate_share[track], detections.plates[detection], detections.plate_share[detection]
    )
    named = np.flatnonzero((ours != 0) & (theirs != 0))
    named = named[tracks.source_sensor[track[named]] == detections.sensor[detection[named]]]
    same = ours[named] == theirs[named]
    fresh = detections.observed_ns[detection[named]] - tracks.source_ns[track[named]] < SOURCE_NS
    evidence[named] += np.where(same, SAME_SOURCE, np.where(fresh, OTHER_SOURCE, 0.0))
    return evidence


def _alike(tracks: Tracks, track: Rows, detections: Detections, detection: Rows) -> Array:
    """(k,) log evidence from classes."""
    agreement = np.einsum("kc,kc->k", tracks.class_probability[track], detections.class_likelihood[detection])
    return np.asarray(np.log(np.maximum(agreement * len(CLASSES), 1e-3)))


def marginals(pairs: Pairs, frame: Rows) -> Array:
    """(k,) the probability of each pair, where in each frame each track and each detection has at most one partner.

    `frame` (detections,) numbers the frame of each. By loopy belief propagation (Williams & Lau 2014, "Approximate evaluation
    of marginal association probabilities with belief propagation", IEEE TAES 50(4)), which is exact where nothing forms a loop.
    """
    odds: Array = np.exp(np.minimum(pairs.evidence, MOST))
    if not len(odds):
        return odds
    _, side, wanted = np.unique(
        frame[pairs.detection] * (int(pairs.track.max()) + 1) + pairs.track, return_inverse=True, return_counts=True
    )
    wants = np.bincount(pairs.detection)[pairs.detection]
    probability: Array = odds / (1 + odds)
    rows = np.flatnonzero((wanted[side] > 1) | (wants > 1))
    if len(rows):
        probability[rows] = _propagated(odds[rows], side[rows], pairs.detection[rows])
    return probability


def _propagated(odds: Array, side: Rows, detection: Rows) -> Array:
    """The messages of each contested pair, until they stand still."""
    to_side = np.ones(len(odds))
    for _ in range(ROUNDS):
        told = odds * to_side
        to_detection = odds / np.maximum(1 + np.bincount(side, told)[side] - told, 1.0)  # but for rounding, it is
        before = to_side
        to_side = 1 / np.maximum(1 + np.bincount(detection, to_detection)[detection] - to_detection, 1.0)
        if np.abs(to_side - before).max() < 1e-3:
            break
    told = odds * to_side
    return np.asarray(told / (1 + np.bincount(side, told)[side]))
