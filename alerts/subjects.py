"""Tracks as rules see them: sorted, with what every rule asks of them worked out once a scan."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from alerts.courses import courses
from alerts.memory import Known
from alerts.rules import Ground, Rule
from geo.frames import wgs84_from_plane
from model.alerts import Detail, Event, Evidence, Fix
from model.classes import CLASSES
from model.time import NS
from model.tracks import Tracks, name_of

Array = NDArray[np.float64]
ALIKE_MPS = 0.3  # standard deviation, 1 axis, of how the velocities of two who go together differ
STRANGERS_MPS = 1.2  # the same of two who have nothing to do with each other
NEAR_ODDS = 4.0  # that two belong together who are near each other in space and time, whatever way they go
EVIDENCE_NS = 600 * NS  # a sensor that last saw the track longer ago is no evidence of what happens now
WIDEST_BAND_M = 60.0  # uncertainty beyond this doesn't widen the band in which a side is undecided


@dataclass(frozen=True)
class Subjects:
    """The tracks of one scan, sorted by id."""

    time_ns: int
    tracks: Tracks
    sigma_m: NDArray[np.float64]  # (n,) largest standard deviation of the position
    course: NDArray[np.float64]  # (n, 2) m/s, how it goes of late
    course_sigma: NDArray[np.float64]  # (n,) m/s, its standard deviation, one axis
    settled: NDArray[np.bool_]  # (n,) it has been known for long enough to measure that
    unit: NDArray[np.uint64]  # (n,) token of the unit of ours that it is; 0: none
    perhaps: NDArray[np.bool_]  # (n,) it may be a unit, and soon it will be known


@dataclass(frozen=True)
class Sighting:
    """Where a subject of an incident is now, and who sees it."""

    subject: str
    seen_ns: int
    at: Fix
    probability: float
    classes: tuple[tuple[str, float], ...]
    evidence: tuple[Evidence, ...]


def subjects_of(time_ns: int, tracks: Tracks, known: Known) -> Subjects:
    """The tracks of a scan, with what was `known` before it; none of them held to be a unit of ours."""
    tracks = tracks.take(np.argsort(tracks.id, kind="stable"))
    n, sigma_m = len(tracks), sigma_of(tracks.covariance)
    course = courses(known, time_ns, tracks, sigma_m, sigma_of(tracks.covariance[:, 2:, 2:]))
    return Subjects(time_ns, tracks, sigma_m, *course, np.zeros(n, np.uint64), np.zeros(n, np.bool_))


def sigma_of(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) the largest standard deviation of places with covariances (n, ≥2, ≥2)."""
    a, b, d = covariance[:, 0, 0], covariance[:, 0, 1], covariance[:, 1, 1]
    return np.asarray(np.sqrt((a + d) / 2 + np.hypot((a - d) / 2, b)))


def eligible(rule: Rule, subjects: Subjects, odds: NDArray[np.float64] | None = None) -> NDArray[np.bool_]:
    """(n,) which tracks are sure enough, and of the right class, for a rule.

    `odds` (n,) multiply the odds that they exist: what is known beforehand of those who saw them.
    """
    tracks = subjects.tracks
    share = tracks.class_probability[:, list(rule.classes)].sum(axis=1)
    existence = tracks.existence
    if odds is not None:
        existence = existence * odds / (existence * odds + (1 - existence))
    return np.asarray(tracks.confirmed & (existence >= rule.existence_min) & (share >= rule.class_share_min))


def beyond(distance_m: NDArray[np.float64], sigma_m: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) probability that the true place lies on the positive side of a boundary this far away."""
    return np.asarray(ndtr(distance_m / np.maximum(sigma_m, 1e-3)))


def alike(velocity: Array, sigma_mps: Array, other: Array, other_sigma_mps: Array) -> NDArray[np.bool_]:
    """(n,) do pairs rather go together than not, by how their velocities (n, 2) differ and how well they are known?

    Bayes' rule, for two who are near each other: the difference is Gaussian, narrow or wide.
    """
    turn = velocity - other
    narrow = ALIKE_MPS**2 + sigma_mps**2 + other_sigma_mps**2
    more = STRANGERS_MPS**2 - ALIKE_MPS**2
    odds = 2 * np.log(NEAR_ODDS * (1 + more / narrow)) - np.einsum("ni,ni->n", turn, turn) * (
        1 / narrow - 1 / (narrow + more)
    )
    return np.asarray(odds >= 0)


def band_m(rule: Rule, sigma_m: NDArray[np.float64], widest_m: float = WIDEST_BAND_M) -> NDArray[np.float64]:
    """(n,) how far beyond a boundary one must be to be held to be there."""
    return np.asarray(np.minimum(np.maximum(rule.sigmas * sigma_m, rule.hysteresis_m), widest_m))


def events_of(
    ground: Ground,
    rule: Rule,
    zone: str,
    subjects: Subjects,
    rows: NDArray[np.int64],
    probability: NDArray[np.float64],
    origin_ns: NDArray[np.int64],
    details: Sequence[Detail],
    company: Sequence[NDArray[np.int64]] | None = None,
) -> list[Event]:
    """One event for each of the chosen rows, in which the rows of `company`, if given, have a part."""
    if not len(rows):
        return []
    names = [
        (name_of(subjects.tracks.id[row]),)
        if company is None
        else tuple(name_of(key) for key in subjects.tracks.id[company[i]])
        for i, row in enumerate(rows.tolist())
    ]
    return [
        Event(
            kind=rule.kind,
            rule=rule.id,
            zone=zone,
            subjects=subject,
            observed_ns=subjects.time_ns,
            origin_ns=int(origin),
            at=s.at,
            probability=float(p) * s.probability,
            classes=s.classes,
            evidence=s.evidence,
            detail=detail,
        )
        for s, subject, p, origin, detail in zip(
            sightings(ground, subjects, rows), names, probability, origin_ns, details, strict=True
        )
    ]


def sightings(ground: Ground, subjects: Subjects, rows: NDArray[np.int64]) -> list[Sighting]:
    """The chosen tracks as people read them."""
    tracks = subjects.tracks.take(rows)
    lat, lon = wgs84_from_plane(ground.sectors, tracks.sector, tracks.mean[:, :2])
    course, spread = subjects.course[rows], subjects.course_sigma[rows]
    return [
        Sighting(
            subject=name_of(tracks.id[i]),
            seen_ns=int(tracks.seen_ns[i]),
            at=Fix(
                int(tracks.sector[i]),
                (float(tracks.mean[i, 0]), float(tracks.mean[i, 1])),
                float(lat[i]),
                float(lon[i]),
                float(subjects.sigma_m[rows[i]]),
                (float(course[i, 0]), float(course[i, 1])),
                float(spread[i]),
            ),
            probability=float(tracks.existence[i]),
            classes=shares(tracks.class_probability[i]),
            evidence=evidence_of(ground, tracks.sensors[i], tracks.sensors_ns[i], subjects.time_ns),
        )
        for i in range(len(tracks))
    ]


def event_at(
    ground: Ground,
    rule: Rule,
    zone: str,
    sector: int,
    position: tuple[float, float],
    origin_ns: int,
    now_ns: int,
    evidence: tuple[Evidence, ...],
    detail: Detail,
) -> Event:
    """An event about a place or a sensor, in which no track has a part."""
    lat, lon = wgs84_from_plane(ground.sectors, np.array([sector], np.int16), np.array([position]))
    return Event(
        kind=rule.kind,
        rule=rule.id,
        zone=zone,
        subjects=(zone,),
        observed_ns=now_ns,
        origin_ns=origin_ns,
        at=Fix(sector, position, float(lat[0]), float(lon[0])),
        probability=1.0,
        classes=(),
        evidence=evidence,
        detail=detail,
    )


def shares(probabilities: NDArray[np.float64]) -> tuple[tuple[str, float], ...]:
    """Classes worth naming, most probable first."""
    order = np.argsort(-probabilities, kind="stable")
    return tuple((CLASSES[c], round(float(probabilities[c]), 3)) for c in order if probabilities[c] >= 0.05)


def evidence_of(
    ground: Ground, sensors: NDArray[np.int32], times_ns: NDArray[np.int64], now_ns: int
) -> tuple[Evidence, ...]:
    """The sensors that saw it lately, in order of their last look."""
    order = np.lexsort((sensors, times_ns))
    return tuple(
        Evidence(ground.sensor_ids[sensors[k]], int(times_ns[k]))
        for k in order
        if sensors[k] >= 0 and now_ns - times_ns[k] <= EVIDENCE_NS
    )
