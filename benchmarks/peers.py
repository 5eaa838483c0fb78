"""What Marchwarden makes of a scene, and the bound: the usual filter with every origin known."""

import time
from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.scenes import START_NS, Scene
from fusion.order import at_rest, fuse
from fusion.settings import Settings
from geo.frames import Sectors, plane_from_wgs84, wgs84_from_plane
from model.time import NS
from model.tracks import Tracks, names_of
from runtime.score.gospa import gospa
from runtime.score.score import Table

Array = NDArray[np.float64]
PSD = 0.5  # m²/s³, of every peer's constant-velocity model
SPEED_SIGMA_MPS = 6.0  # of a new track, one axis
MEMORY_S = 20.0


def truth_of(scene: Scene) -> Table:
    """Targets that were seen within the memory."""
    seconds = np.arange(scene.seconds + 1)[:, None]
    last = np.maximum.accumulate(np.where(scene.in_view, seconds, -(10**6)), axis=0)
    counts = seconds - last <= MEMORY_S
    return Table(
        {
            START_NS + second * NS: (
                [str(t) for t in np.flatnonzero(counts[second])],
                scene.position[second, counts[second]],
            )
            for second in range(1, scene.seconds + 1)
        }
    )


@dataclass
class Run:
    """What a tracker made of a scene."""

    table: Table
    rate: float  # detections a second
    spreads: dict[int, Array] = field(default_factory=dict)  # by scan, (n, 2, 2) m², where it tells


def _step(mean: Array, covariance: Array, dt: float) -> tuple[Array, Array]:
    turn = np.eye(4)
    turn[0, 2] = turn[1, 3] = dt
    noise = np.zeros((4, 4))
    for axis in (0, 1):
        noise[axis, axis], noise[axis + 2, axis + 2] = dt**3 / 3, dt
        noise[axis, axis + 2] = noise[axis + 2, axis] = dt**2 / 2
    return turn @ mean, turn @ covariance @ turn.T + PSD * noise


def origin_known(scene: Scene) -> Run:
    """The bound: a Kalman filter per target on its own detections, and nothing else.

    It tells of a target from the second detection on, and forgets it after 20 s without one.
    """
    began = time.perf_counter()
    rows = scene.detections
    order = np.lexsort((rows.observed_ns, scene.origin))
    order = order[scene.origin[order] >= 0]
    scans: dict[int, tuple[list[str], list[Array]]] = defaultdict(lambda: ([], []))
    ends = START_NS + np.arange(1, scene.seconds + 1) * NS
    for target in np.unique(scene.origin[order]):
        mine = order[scene.origin[order] == target]
        times = rows.observed_ns[mine]
        mean, covariance, at, hits, life = np.zeros(4), np.zeros((4, 4)), 0, 0, 0
        due = 0
        for i, row in enumerate([*mine, -1]):
            until = times[i] if row >= 0 else ends[-1] + 1
            while due < len(ends) and ends[due] < until:
                if hits >= 2 and ends[due] - at <= MEMORY_S * NS:
                    scans[int(ends[due])][0].append(f"{target}/{life}")
                    scans[int(ends[due])][1].append(_step(mean, covariance, (ends[due] - at) / NS)[0][:2])
                due += 1
            if row < 0:
                break
            noise = rows.covariance[row]
            if hits and until - at <= MEMORY_S * NS:
                mean, covariance = _step(mean, covariance, (until - at) / NS)
                gain = covariance[:, :2] @ np.linalg.inv(covariance[:2, :2] + noise)
                mean = mean + gain @ (rows.position[row] - mean[:2])
                covariance = covariance - gain @ covariance[:2]
                hits += 1
            else:
                mean, covariance = np.r_[rows.position[row], 0, 0], np.zeros((4, 4))
                covariance[:2, :2], covariance[2, 2], covariance[3, 3] = noise, SPEED_SIGMA_MPS**2, SPEED_SIGMA_MPS**2
                hits, life = 1, life + 1
            at = until
    table = Table({t: (names, np.array(places).reshape(-1, 2)) for t, (names, places) in scans.items()})
    return Run(table, len(rows) / (time.perf_counter() - began))


def marchwarden(scene: Scene, back_to: Sectors | None = None) -> Run:
    """Our own: rows handed over second by second as they arrive; every scan as it was last told.

    `back_to` gives the tracks in that one sector's plane.
    """
    settings = Settings()
    rows, looks = scene.detections, scene.looks
    edges = np.arange(int(rows.received_ns.min()), int(rows.received_ns.max()) + NS + 1, NS)
    row_edge, look_edge = np.searchsorted(rows.received_ns, edges), np.searchsorted(looks.received_ns, edges)
    chunks = [
        (rows.take(slice(row_edge[i], row_edge[i + 1])), looks.take(slice(look_edge[i], look_edge[i + 1])))
        for i in range(len(edges) - 1)
    ]
    scans: dict[int, Tracks] = {}
    state = at_rest()
    began = time.perf_counter()
    for some, looked in chunks:
        state, fused = fuse(settings, scene.sensors, scene.sectors, state, some, looked, None)
        for scan in fused.scans:
            scans[scan.time_ns] = scan.tracks
    took = time.perf_counter() - began
    table, spreads = {}, {}
    for time_ns, tracks in scans.items():
        told = tracks.take(tracks.confirmed)
        if back_to:
            lat, lon = wgs84_from_plane(scene.sectors, told.sector, told.mean[:, :2])
            told = told.but(mean=plane_from_wgs84(back_to, np.zeros_like(told.sector), lat, lon))
        table[time_ns] = (names_of(told.id), told.mean[:, :2])
        spreads[time_ns] = told.covariance[:, :2, :2]
    return Run(Table(table), len(rows) / took, spreads)


def consistency(scene: Scene, run: Run) -> tuple[float, float]:
    """Mean normalised estimation error squared of matched tracks (2 when honest), and the share within its 95 % bound."""
    truth, values = truth_of(scene), []
    for time_ns, (_, places) in truth.scans.items():
        _, at = run.table.scans.get(time_ns, ([], np.zeros((0, 2))))
        for a, b in gospa(places, at).pairs.tolist():
            off = places[a] - at[b]
            values.append(float(off @ np.linalg.solve(run.spreads[time_ns][b], off)))
    return float(np.mean(values)), float(np.mean(np.array(values) < 5.991))
