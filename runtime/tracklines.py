"""Tracks as contract.md writes them: one line per confirmed track and scan, once the scan can no longer be run again."""

from collections.abc import Iterable, Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from geo.frames import convergence, wgs84_from_plane
from model.classes import CLASSES
from model.time import iso_from_ns
from model.tracks import Scan, name_of
from runtime.advance import World


class SettledTracks:
    """Holds scans back until their lateness is over; a scan that is run again replaces itself."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._scans: dict[int, Scan] = {}

    def lines(self, scans: Iterable[Scan]) -> Iterator[bytes]:
        """The lines of scans that `scans` settle, in order of time."""
        for scan in scans:
            self._scans = {t: s for t, s in self._scans.items() if t <= scan.after_ns}
            self._scans[scan.time_ns] = scan
        newest_ns = max(self._scans, default=0)
        for time_ns in sorted(t for t in self._scans if t < newest_ns - self._world.fusion.lateness_ns):
            yield from track_lines(self._world, self._scans.pop(time_ns))

    def rest(self) -> Iterator[bytes]:
        """All that is still held."""
        for time_ns in sorted(self._scans):
            yield from track_lines(self._world, self._scans.pop(time_ns))


def track_lines(world: World, scan: Scan) -> Iterator[bytes]:
    """The confirmed tracks of one scan, ordered by id."""
    tracks = scan.tracks.take(scan.tracks.confirmed)
    tracks = tracks.take(np.argsort(tracks.id, kind="stable"))
    if not len(tracks):
        return
    lat, lon = wgs84_from_plane(world.sectors, tracks.sector, tracks.mean[:, :2])
    turn = _rotation(convergence(world.sectors, tracks.sector, tracks.mean[:, :2]))
    covariance = turn @ tracks.covariance[:, :2, :2] @ turn.swapaxes(1, 2)
    velocity = np.einsum("nij,nj->ni", turn, tracks.mean[:, 2:])
    time = iso_from_ns(scan.time_ns)
    ids = world.ground.sensor_ids
    for i in range(len(tracks)):
        seen_by = tracks.sensors[i][np.argsort(-tracks.sensors_ns[i], kind="stable")]
        yield (
            msgspec.json.encode(
                {
                    "time": time,
                    "track": name_of(tracks.id[i]),
                    "lat": round(float(lat[i]), 7),
                    "lon": round(float(lon[i]), 7),
                    "covariance_m2": np.round(covariance[i], 3).tolist(),
                    "velocity_mps": np.round(velocity[i], 3).tolist(),
                    "existence": round(float(tracks.existence[i]), 4),
                    "class": {
                        c: round(float(p), 3)
                        for c, p in zip(CLASSES, tracks.class_probability[i], strict=True)
                        if p >= 0.005
                    },
                    "sensors": [ids[s] for s in seen_by if s >= 0],
                }
            )
            + b"\n"
        )


def _rotation(angle_rad: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 2, 2) true east and north from the plane's, given the plane's convergence."""
    cos, sin = np.cos(angle_rad), np.sin(angle_rad)
    return np.stack([np.stack([cos, sin], axis=1), np.stack([-sin, cos], axis=1)], axis=1)
