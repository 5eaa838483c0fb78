"""The live picture: what moves now, as the console shows it. From a state to the bytes of one file, and nothing else.

A track is a list, in the order of COLUMNS; the ellipse is one standard deviation, its angle from north, clockwise.
"""

import msgspec
import numpy as np

from fusion.order import newest_scan
from geo.frames import wgs84_from_plane
from model.classes import CLASSES
from model.time import iso_from_ns
from model.tracks import name_of
from runtime.advance import State, World

COLUMNS = (
    "id",
    "lat",
    "lon",
    "major_m",
    "minor_m",
    "angle_deg",
    "east_mps",
    "north_mps",
    "class",
    "share",
    "existence",
    "unit",
)


def picture(world: World, state: State) -> bytes:
    """The tracks that the newest scan reported, and our units."""
    tracks = newest_scan(world.fusion, state.fusion).reported
    lat, lon = wgs84_from_plane(world.sectors, tracks.sector, tracks.mean[:, :2])
    spread, axes = np.linalg.eigh(tracks.covariance[:, :2, :2])
    angle = np.degrees(np.arctan2(axes[:, 0, 1], axes[:, 1, 1])) % 180.0
    likely = tracks.class_probability.argmax(axis=1)
    share = tracks.class_probability.max(axis=1, initial=0.0)
    names = {unit.token: unit.id for unit in state.alerts.units}
    marks = state.alerts.memories[-1].marks if state.alerts.memories else None
    ours = dict(zip(marks.track.tolist(), marks.unit.tolist(), strict=True)) if marks is not None else {}
    rows = zip(
        tracks.id.tolist(),
        lat.round(6).tolist(),
        lon.round(6).tolist(),
        np.sqrt(np.maximum(spread[:, 1], 0)).round(1).tolist(),
        np.sqrt(np.maximum(spread[:, 0], 0)).round(1).tolist(),
        angle.round().tolist(),
        tracks.mean[:, 2].round(1).tolist(),
        tracks.mean[:, 3].round(1).tolist(),
        likely.tolist(),
        share.round(2).tolist(),
        tracks.existence.round(2).tolist(),
        strict=True,
    )
    said = {
        "time": iso_from_ns(state.fusion.closed_ns),
        "received": iso_from_ns(state.now_ns),
        "tracks": [
            [name_of(key), *row[:7], CLASSES[row[7]], *row[8:], names.get(ours.get(key, 0), "")] for key, *row in rows
        ],
        "units": [[u.id, u.name, u.lat, u.lon, iso_from_ns(u.observed_ns)] for u in state.alerts.units],
    }
    return msgspec.json.encode(said)
