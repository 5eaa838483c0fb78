"""A track found again: one that is newly confirmed may be another that was lost, and is then that one.

Both are held against each other at one instant, in position and velocity, by class and identity: the evidence is the ratio
between "the lost one has come here" and "someone new has".
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import logsumexp

from fusion import plates
from fusion.association import Pairs, marginals
from fusion.estimation import largest_sigma, packed
from fusion.motion import SPEED_SIGMA_MPS, TINY, habit_of
from fusion.reasons import found_again
from fusion.settings import Settings
from geo.frames import Sectors, moved_to_sector, near_each_other
from model.classes import CLASSES
from model.tracks import FULL, MODELS, Reasons, Tracks

Array = NDArray[np.float64]
REACH_SIGMAS = 4.0  # how far, in standard deviations of both, a lost track is looked for
UNSEEN_NS = 1_500_000_000  # what was seen more recently is not lost
NEIGHBOURS = 16  # lost tracks looked at for each that was found, nearest first
SURE_ENOUGH = 0.5  # it is the lost one rather than anyone else


def stitched(
    settings: Settings, sectors: Sectors, tracks: Tracks, before: Tracks, end_ns: int
) -> tuple[Tracks, Reasons]:
    """The tracks, those newly confirmed joined to what they continue, and which. `before` are those of the scan before."""
    known = before.id[before.confirmed]
    found = np.flatnonzero(tracks.confirmed & ~np.isin(tracks.id, known))
    lost = np.flatnonzero(tracks.confirmed & (end_ns - tracks.seen_ns > UNSEEN_NS))
    if not len(found) or not len(lost):
        return tracks, Reasons.none()
    row, past = _near(sectors, tracks.chosen(found), tracks.chosen(lost))
    possible = tracks.seen_ns[lost[past]] < tracks.born_ns[found[row]]
    row, past = row[possible], past[possible]
    a, b = tracks.chosen(found[row]), tracks.chosen(lost[past])
    if not len(row):
        return tracks, Reasons.none()
    b = moved_to_sector(sectors, b, a.sector)
    alike = np.log(np.maximum(np.einsum("kc,kc->k", a.class_probability, b.class_probability) * len(CLASSES), 1e-3))
    alike += plates.evidence(a.plates, a.plate_share, b.plates, b.plate_share)
    evidence = _came_here(a, b) + alike + np.log(np.maximum(b.existence, 1e-6) / settings.birth_per_m2)
    pairs = Pairs(past, row, evidence)
    chance = marginals(pairs, np.zeros(len(found), np.int64))
    pairs, chance = pairs.take(chance > SURE_ENOUGH), chance[chance > SURE_ENOUGH]
    if not len(pairs.track):
        return tracks, Reasons.none()
    first, again = lost[pairs.track], found[pairs.detection]
    keep = np.ones(len(tracks), np.bool_)
    keep[first] = False
    old, new = tracks.take(first), tracks.take(again)
    return tracks.put(again, joined(old, new)).take(keep), found_again(old, new, chance, end_ns)


def _came_here(new: Tracks, old: Tracks) -> Array:
    """(k,) log density [1/m²] of each old track having come to where the new one is, over that of someone new being there.

    What the new track knows that any new one would not, held against the old: ∫ p_old(x) p_new(x) / p_any(x) dx, with p_any the
    velocity that a target has before it is seen (Bar-Shalom & Campo 1986 for the two-track test; the division by the common prior
    as in Chong, Mori & Chang 1990). Summed over the models that both may be moving by.
    """
    first, second = (_matrices(t, new.mean[:, :2]) for t in (new, old))
    precise = [np.linalg.inv(covariance) for _, covariance in (first, second)]
    weighed = [np.einsum("kmij,kmj->kmi", p, mean) for p, (mean, _) in zip(precise, (first, second), strict=True)]
    any_precision = np.zeros((MODELS, 4, 4))
    any_precision[:, 2, 2] = any_precision[:, 3, 3] = 1 / SPEED_SIGMA_MPS**2
    both = precise[0] + precise[1] - any_precision
    joint = weighed[0] + weighed[1]
    sizes = sum(np.linalg.slogdet(covariance)[1] for _, covariance in (first, second))
    sizes = sizes - 4 * np.log(SPEED_SIGMA_MPS) + np.linalg.slogdet(both)[1]
    misfit = sum(
        np.einsum("kmi,kmi->km", w, mean) for w, (mean, _) in zip(weighed, (first, second), strict=True)
    ) - np.einsum("kmi,kmij,kmj->km", joint, np.linalg.inv(both), joint)
    habit = np.maximum(habit_of(new.class_probability).T, TINY)
    share = np.maximum(new.weight * old.weight / habit, TINY)
    return np.asarray(logsumexp(-0.5 * (sizes + misfit) - np.log(2 * np.pi) + np.log(share), axis=1))


def _matrices(tracks: Tracks, origin: Array) -> tuple[Array, Array]:
    """Means (k, MODELS, 4) about `origin` (k, 2) and covariances (k, MODELS, 4, 4) under each model."""
    mean = tracks.bank[:, :4].transpose(0, 2, 1).copy()
    mean[:, :, :2] -= origin[:, None]
    return mean, tracks.bank[:, FULL].transpose(0, 3, 1, 2)


def _near(sectors: Sectors, found: Tracks, lost: Tracks) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of rows near enough to be worth a closer look: for each of the found, the nearest of the lost."""
    sigma = largest_sigma(packed(lost.covariance))
    own = largest_sigma(packed(found.covariance))
    reach = REACH_SIGMAS * np.hypot(sigma.max(), own.max())
    count = min(NEIGHBOURS, len(lost))
    here, gone = near_each_other(sectors, found.sector, found.mean[:, :2], lost.sector, lost.mean[:, :2])
    _, there = cKDTree(gone).query(here, k=count, distance_upper_bound=reach)
    there = np.asarray(there, np.int64).reshape(len(found), count)
    new, rank = np.nonzero(there < len(lost))
    return new, there[new, rank]


def joined(old: Tracks, new: Tracks) -> Tracks:
    """n lost tracks, gone on with as n new ones: the state of the new, the name and memory of the old."""
    both = old.class_probability * new.class_probability + 1e-9
    both_plates, share = plates.fused(old.plates, old.plate_share, new.plates, new.plate_share)
    unread = new.plate == 0
    both_plates = np.where(unread[:, None], old.plates, both_plates)
    return new.but(
        id=old.id,
        born_ns=old.born_ns,
        hits=old.hits + new.hits,
        class_probability=both / both.sum(axis=1, keepdims=True),
        plate=both_plates[:, 0],
        plates=both_plates,
        plate_share=np.where(unread[:, None], old.plate_share, share),
        plate_ns=np.where(unread, old.plate_ns, new.plate_ns),
        plate_sensor=np.where(unread, old.plate_sensor, new.plate_sensor),
    )
