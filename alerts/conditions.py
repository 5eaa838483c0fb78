"""What rules ask of a track at one instant: that it is in a zone, comes towards it, drives too fast, is one of many …

Each answers `on` and `off`: what is neither stays as it was, so that jitter about a boundary changes nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree
from scipy.special import ndtr

from alerts.rules import Ground, Rule
from alerts.subjects import WIDEST_BAND_M, Subjects, band_m, beyond, sigma_of
from geo.zones import distance_m, offset_m
from model.alerts import EventKind
from model.time import NS

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]
AHEAD = np.array([0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0])  # of the horizon: where an approach is tried
WAVER_MPS2 = 0.1  # white acceleration of who is on his way somewhere, 1 axis, m/s per √s
RELENT = 0.5  # what is so at a probability is no longer so at this much of it
TOGETHER_MPS = 0.7  # who walk together differ in velocity by no more than this
ALIKE_SHARE = 0.35  # in a convoy, speeds differ by no more than this share
CONVOY_MPS = 2.0  # what is slower drives in no convoy


@dataclass(frozen=True)
class Answer:
    """Of n tracks."""

    on: Mask  # (n,) it is so
    off: Mask  # (n,) it is not
    probability: Array  # (n,) that it is so, given that the track exists
    figures: dict[str, Array]  # (n,) what the reason should say
    company: NDArray[np.int64] | None = None  # (n,) who belong together have the same number; None: nobody asks


def answer(ground: Ground, rule: Rule, place: int, subjects: Subjects, able: Mask) -> Answer:
    """Of all tracks of a scan, for one rule and place. `able` (n,) are those that the rule is about."""
    return KINDS[rule.kind](ground, rule, place, subjects, able)


def depth_m(ground: Ground, zone: int, subjects: Subjects, position: Array | None = None) -> Array:
    """(n,) how far inside a zone's boundary each track is; negative outside."""
    at = subjects.tracks.mean[:, :2] if position is None else position
    return -distance_m(ground.zones, zone, subjects.tracks.sector, at)


def _inside(ground: Ground, rule: Rule, zone: int, subjects: Subjects, _: Mask) -> Answer:
    depth = depth_m(ground, zone, subjects)
    # A small zone has a narrow band, or nothing could ever be clearly inside it.
    widest = min(WIDEST_BAND_M, float(np.sqrt(ground.zones.area_m2[zone])) / 4)
    band = band_m(rule, subjects.sigma_m, widest)
    return Answer(depth >= band, depth <= -band, beyond(depth, subjects.sigma_m), {})


def _outside(ground: Ground, rule: Rule, zone: int, subjects: Subjects, able: Mask) -> Answer:
    inside = _inside(ground, rule, zone, subjects, able)
    return Answer(inside.on, inside.off, 1 - inside.probability, {})


def _approach(ground: Ground, rule: Rule, place: int, subjects: Subjects, _: Mask) -> Answer:
    """Probability of being beyond the boundary at some time within the horizon, by a constant velocity that wavers.

    The boundary is taken as straight where the prediction meets it, and the place to be as uncertain along its normal
    as along its worst axis. The greatest over the times tried is a lower bound of reaching it at all.
    """
    tracks = subjects.tracks
    here = _within_m(ground, rule, place, subjects, tracks.mean[:, :2])
    best, first_s = np.zeros(len(tracks)), np.full(len(tracks), np.inf)
    for ahead_s in (AHEAD * rule.horizon_ns / NS).tolist():
        step = np.eye(4)
        step[0, 2] = step[1, 3] = ahead_s
        there = tracks.mean[:, :2] + tracks.mean[:, 2:] * ahead_s
        spread = (step @ tracks.covariance @ step.T)[:, :2, :2] + np.eye(2) * WAVER_MPS2**2 * ahead_s**3 / 3
        chance = ndtr(_within_m(ground, rule, place, subjects, there) / sigma_of(spread))
        first_s = np.where((chance >= rule.probability_min) & ~np.isfinite(first_s), ahead_s, first_s)
        best = np.maximum(best, np.where(np.isnan(chance), 0.0, chance))
    near = np.where(np.isnan(here), False, here < 0)  # who is there already approaches no more
    return Answer(
        near & (best >= rule.probability_min),
        ~near | (best < RELENT * rule.probability_min),
        best,
        {"within_s": np.where(np.isfinite(first_s), first_s, rule.horizon_ns / NS), "distance_m": -here},
    )


def _within_m(ground: Ground, rule: Rule, place: int, subjects: Subjects, position: Array) -> Array:
    """(n,) how far beyond a rule's line, the way it means, or inside its zone; negative before it."""
    if not rule.to_lines:
        return depth_m(ground, place, subjects, position)
    return (rule.direction or 1) * offset_m(ground.lines, place, subjects.tracks.sector, position)


def _speed(ground: Ground, rule: Rule, place: int, subjects: Subjects, _: Mask) -> Answer:
    speed, sigma = _along(subjects, None)
    chance = np.asarray(ndtr((speed - rule.speed_mps) / sigma))
    return _somewhere(ground, rule, place, subjects, chance, {"speed_mps": speed, "limit_mps": _all(subjects, rule)})


def _wrong_way(ground: Ground, rule: Rule, place: int, subjects: Subjects, _: Mask) -> Answer:
    speed, sigma = _along(subjects, np.array(rule.heading))
    chance = np.asarray(ndtr((-speed - rule.speed_mps) / sigma))
    return _somewhere(ground, rule, place, subjects, chance, {"speed_mps": -speed})


def _along(subjects: Subjects, way: Array | None) -> tuple[Array, Array]:
    """(n,) m/s along a way, or along each one's own, and its standard deviation."""
    velocity = subjects.tracks.mean[:, 2:]
    speed = np.hypot(velocity[:, 0], velocity[:, 1])
    ways = velocity / np.maximum(speed, 1e-9)[:, None] if way is None else np.broadcast_to(way, velocity.shape)
    variance = np.einsum("ni,nij,nj->n", ways, subjects.tracks.covariance[:, 2:, 2:], ways)
    return np.einsum("ni,ni->n", ways, velocity), np.sqrt(np.maximum(variance, 1e-4))


def _somewhere(
    ground: Ground, rule: Rule, place: int, subjects: Subjects, chance: Array, figures: dict[str, Array]
) -> Answer:
    """Only within the rule's zone, where it has one."""
    there = np.ones(len(chance), np.bool_) if place < 0 else depth_m(ground, place, subjects) > 0
    return Answer(
        there & (chance >= rule.probability_min), ~there | (chance < RELENT * rule.probability_min), chance, figures
    )


def _group(ground: Ground, rule: Rule, place: int, subjects: Subjects, able: Mask) -> Answer:
    def together(i: Rows, j: Rows) -> Mask:
        # By what is believed and not by what is possible: who walks past three who sit makes no four, nor does who has
        # only just been seen beside some who have been there for long.
        alike = np.hypot(*(subjects.course[i] - subjects.course[j]).T) <= TOGETHER_MPS
        return np.asarray(alike & (subjects.settled[i] == subjects.settled[j]))

    return _company(ground, rule, place, subjects, able, together)


def _convoy(ground: Ground, rule: Rule, place: int, subjects: Subjects, able: Mask) -> Answer:
    """Each within reach of the next, going the same way at about the same speed."""

    velocity = subjects.tracks.mean[:, 2:]

    def together(i: Rows, j: Rows) -> Mask:
        a, b = velocity[i], velocity[j]
        fast, slow = np.maximum(np.hypot(*a.T), np.hypot(*b.T)), np.minimum(np.hypot(*a.T), np.hypot(*b.T))
        onward = np.einsum("ni,ni->n", a, b) >= fast * slow * np.cos(np.pi / 4)
        return np.asarray(onward & (slow >= CONVOY_MPS) & (fast - slow <= ALIKE_SHARE * fast))

    return _company(ground, rule, place, subjects, able, together)


def _company(
    ground: Ground, rule: Rule, place: int, subjects: Subjects, able: Mask, together: Callable[[Rows, Rows], Mask]
) -> Answer:
    tracks = subjects.tracks
    there = able if place < 0 else able & (depth_m(ground, place, subjects) > 0)
    rows = np.flatnonzero(there)
    company, size = np.full(len(tracks), -1, np.int64), np.zeros(len(tracks))
    if len(rows):
        for sector in np.unique(tracks.sector[rows]).tolist():
            here = rows[tracks.sector[rows] == sector]
            pairs = KDTree(tracks.mean[here, :2]).query_pairs(rule.within_m, output_type="ndarray")
            i, j = pairs[together(here[pairs[:, 0]], here[pairs[:, 1]])].T
            _, label = connected_components(coo_array((np.ones(len(i)), (i, j)), shape=(len(here),) * 2))
            size[here] = np.bincount(label)[label]
            company[here] = here[np.unique(label, return_index=True)[1]][label]  # the first of each names it
    on = there & (size >= rule.count_min)
    return Answer(on, ~on, np.ones(len(tracks)), {"count": size}, np.where(on, company, -1))


def _all(subjects: Subjects, rule: Rule) -> Array:
    return np.full(len(subjects.tracks), rule.speed_mps)


KINDS: dict[EventKind, Callable[[Ground, Rule, int, Subjects, Mask], Answer]] = {
    EventKind.ENTERING: _inside,
    EventKind.LEAVING: _outside,
    EventKind.DWELLING: _inside,
    EventKind.APPROACH: _approach,
    EventKind.SPEED: _speed,
    EventKind.WRONG_WAY: _wrong_way,
    EventKind.GROUP: _group,
    EventKind.CONVOY: _convoy,
}
