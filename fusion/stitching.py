"""A track found again: one that is newly confirmed may be another that was lost, and is then that one.

Both are held against each other at one instant, in position and velocity, by class and identity: the evidence is the ratio
between "the lost one has come here" and "someone new has".
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from fusion.association import Pairs, marginals
from fusion.estimation import largest_sigma, packed
from fusion.reasons import found_again
from fusion.settings import Settings
from geo.frames import Sectors, moved_to_sector, near_each_other
from model.classes import CLASSES
from model.tracks import Reasons, Tracks

Array = NDArray[np.float64]
GATE2 = 20.0  # squared Mahalanobis gate in four dimensions: 99.95 % of true pairs
SPEED_SIGMA_MPS = 5.0  # of someone new, one axis
UNSEEN_NS = 1_500_000_000  # what was seen more recently is not lost
NEIGHBOURS = 16  # lost tracks looked at for each that was found, nearest first
SURE_ENOUGH = 0.5  # it is the lost one rather than anyone else
PLATE = 8.0  # log evidence of the same plate


def stitched(
    settings: Settings, sectors: Sectors, tracks: Tracks, before: Tracks, end_ns: int
) -> tuple[Tracks, Reasons]:
    """The tracks, those newly confirmed joined to what they continue, and which. `before` are those of the scan before."""
    known = before.id[before.confirmed]
    found = np.flatnonzero(tracks.confirmed & ~np.isin(tracks.id, known))
    lost = np.flatnonzero(tracks.confirmed & (end_ns - tracks.seen_ns > UNSEEN_NS))
    if not len(found) or not len(lost):
        return tracks, Reasons.none()
    row, past = _near(sectors, tracks.take(found), tracks.take(lost))
    a, b = tracks.take(found[row]), tracks.take(lost[past])
    possible = b.seen_ns < a.born_ns
    a, b, row, past = a.take(possible), b.take(possible), row[possible], past[possible]
    if not len(row):
        return tracks, Reasons.none()
    b = moved_to_sector(sectors, b, a.sector)
    spread = a.covariance + b.covariance
    off = a.mean - b.mean
    d2 = np.einsum("ki,ki->k", off, np.linalg.solve(spread, off[..., None])[..., 0])
    log_density = -0.5 * (d2 + np.linalg.slogdet(spread)[1]) - 2 * np.log(2 * np.pi)
    variance = SPEED_SIGMA_MPS**2 + np.trace(a.covariance[:, 2:, 2:], axis1=1, axis2=2) / 2
    elsewhere = (
        np.log(settings.birth_per_m2) - (a.mean[:, 2:] ** 2).sum(axis=1) / (2 * variance) - np.log(2 * np.pi * variance)
    )
    alike = np.log(np.maximum(np.einsum("kc,kc->k", a.class_probability, b.class_probability) * len(CLASSES), 1e-3))
    plates = (a.plate != 0) & (b.plate != 0)
    alike += np.where(plates, np.where(a.plate == b.plate, PLATE, -PLATE), 0.0)
    evidence = log_density + alike + np.log(np.maximum(b.existence, 1e-6)) - elsewhere
    near = d2 < GATE2
    pairs = Pairs(past, row, evidence).take(near)
    chance = marginals(pairs, np.zeros(len(found), np.int64))
    pairs, chance = pairs.take(chance > SURE_ENOUGH), chance[chance > SURE_ENOUGH]
    if not len(pairs.track):
        return tracks, Reasons.none()
    first, again = lost[pairs.track], found[pairs.detection]
    keep = np.ones(len(tracks), np.bool_)
    keep[first] = False
    old, new = tracks.take(first), tracks.take(again)
    return tracks.put(again, joined(old, new)).take(keep), found_again(old, new, chance, end_ns)


def _near(sectors: Sectors, found: Tracks, lost: Tracks) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of rows near enough to be worth a closer look: for each of the found, the nearest of the lost."""
    sigma = largest_sigma(packed(lost.covariance))
    own = largest_sigma(packed(found.covariance))
    reach = np.sqrt(GATE2) * np.hypot(sigma.max(), own.max())
    count = min(NEIGHBOURS, len(lost))
    here, gone = near_each_other(sectors, found.sector, found.mean[:, :2], lost.sector, lost.mean[:, :2])
    _, there = KDTree(gone).query(here, k=count, distance_upper_bound=reach)
    there = np.asarray(there, np.int64).reshape(len(found), count)
    new, rank = np.nonzero(there < len(lost))
    return new, there[new, rank]


def joined(old: Tracks, new: Tracks) -> Tracks:
    """n lost tracks, gone on with as n new ones: the state of the new, the name and memory of the old."""
    both = old.class_probability * new.class_probability + 1e-9
    unread = new.plate == 0
    return new.but(
        id=old.id,
        born_ns=old.born_ns,
        hits=old.hits + new.hits,
        class_probability=both / both.sum(axis=1, keepdims=True),
        plate=np.where(unread, old.plate, new.plate),
        plate_ns=np.where(unread, old.plate_ns, new.plate_ns),
        plate_sensor=np.where(unread, old.plate_sensor, new.plate_sensor),
    )
