"""Tracks as contract.md writes them: one line per confirmed track and scan, once the scan can no longer be run again."""

from collections.abc import Iterable, Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from geo.frames import convergence, wgs84_from_plane
from model.classes import CLASSES
from model.time import iso_from_ns
from model.tracks import Scan, What, name_of, names_of
from runtime.advance import World


class SettledScans:
    """Holds scans back until their lateness is over; a scan that is run again replaces itself."""

    def __init__(self, lateness_ns: int) -> None:
        self._lateness_ns = lateness_ns
        self._scans: dict[int, Scan] = {}

    def after(self, scans: Iterable[Scan]) -> Iterator[Scan]:
        """The scans that `scans` settle, in order of time."""
        for scan in scans:
            self._scans = {t: s for t, s in self._scans.items() if t <= scan.after_ns}
            self._scans[scan.time_ns] = scan
        newest_ns = max(self._scans, default=0)
        for time_ns in sorted(t for t in self._scans if t < newest_ns - self._lateness_ns):
            yield self._scans.pop(time_ns)

    def rest(self) -> Iterator[Scan]:
        """All that is still held."""
        for time_ns in sorted(self._scans):
            yield self._scans.pop(time_ns)


def reason_lines(world: World, scan: Scan) -> Iterator[bytes]:
    """What became of the scan's tracks, by track and time: which detections counted, what was confirmed, found again, lost."""
    why, time, ids = scan.reasons, iso_from_ns(scan.time_ns), world.ground.sensor_ids
    names = names_of(why.track)
    for i in np.lexsort((why.sensor, why.what, why.observed_ns, why.track)).tolist():
        line: dict[str, object] = {
            "time": time,
            "track": names[i],
            "what": What(why.what[i]).name.lower(),
            "probability": round(float(why.probability[i]), 4),
        }
        if why.sensor[i] >= 0:
            line |= {"sensor": ids[why.sensor[i]], "observed": iso_from_ns(int(why.observed_ns[i]))}
        if why.other[i]:
            line["other"] = name_of(why.other[i])
        yield msgspec.json.encode(line) + b"\n"


def track_lines(world: World, scan: Scan) -> Iterator[bytes]:
    """The confirmed tracks of one scan, ordered by id."""
    tracks = scan.reported
    tracks = tracks.take(np.argsort(tracks.id, kind="stable"))
    if not len(tracks):
        return
    lat, lon = wgs84_from_plane(world.sectors, tracks.sector, tracks.mean[:, :2])
    turn = _rotation(convergence(world.sectors, tracks.sector, tracks.mean[:, :2]))
    covariance = turn @ tracks.covariance[:, :2, :2] @ turn.swapaxes(1, 2)
    velocity = np.einsum("nij,nj->ni", turn, tracks.mean[:, 2:])
    newest_first = np.argsort(-tracks.sensors_ns, axis=1, kind="stable")
    time = iso_from_ns(scan.time_ns)
    ids = world.ground.sensor_ids
    columns = (
        names_of(tracks.id),
        lat.tolist(),
        lon.tolist(),
        np.round(covariance, 3).tolist(),
        np.round(velocity, 3).tolist(),
        tracks.existence.tolist(),
        tracks.class_probability.tolist(),
        np.take_along_axis(tracks.sensors, newest_first, axis=1).tolist(),
    )
    for name, north, east, spread, rates, existence, classes, seen_by in zip(*columns, strict=True):
        line = {
            "time": time,
            "track": name,
            "lat": round(north, 7),
            "lon": round(east, 7),
            "covariance_m2": spread,
            "velocity_mps": rates,
            "existence": round(existence, 4),
            "class": {c: round(p, 3) for c, p in zip(CLASSES, classes, strict=True) if p >= 0.005},
            "sensors": [ids[s] for s in seen_by if s >= 0],
        }
        yield msgspec.json.encode(line) + b"\n"


def _rotation(angle_rad: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 2, 2) true east and north from the plane's, given the plane's convergence."""
    cos, sin = np.cos(angle_rad), np.sin(angle_rad)
    return np.stack([np.stack([cos, sin], axis=1), np.stack([-sin, cos], axis=1)], axis=1)
