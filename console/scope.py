"""What of the live picture an agency may see: what moves in its areas, what is in its incidents, and the units of ours.

The picture's rows are lists, so that they go to the browser as they are.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely

UNKNOWN = "other"
ID, LAT, LON, CLASS, SHARE = 0, 1, 2, 8, 9  # columns of a track's row, as runtime/picture.py writes them


@dataclass(frozen=True)
class Areas:
    """Where each agency's word counts: its jurisdictions, and where an agreement makes it lead or gives it copies."""

    of_agency: Mapping[str, shapely.Geometry]

    def within(self, agency: str, lat: np.ndarray[Any, Any], lon: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """(n,) which places are in an agency's areas."""
        area = self.of_agency.get(agency)
        if area is None:
            return np.zeros(len(lat), np.bool_)
        return np.asarray(shapely.contains_xy(area, lon, lat))


def areas_of(drawn: Iterable[tuple[str, shapely.Geometry]]) -> Areas:
    """From (agency, WGS84 area) pairs."""
    parts: dict[str, list[shapely.Geometry]] = {}
    for agency, area in drawn:
        parts.setdefault(agency, []).append(area)
    united = {agency: shapely.union_all(np.array(found)) for agency, found in parts.items()}
    for area in united.values():
        shapely.prepare(area)
    return Areas(united)


@dataclass(frozen=True)
class Subjects:
    """What an agency's incidents are about."""

    all: frozenset[str] = frozenset()
    classed: frozenset[str] = frozenset()  # those of which it is given the class


def subjects_of(records: Iterable[dict[str, Any]]) -> Subjects:
    """From incidents as the agency may see them."""
    records = list(records)
    return Subjects(
        frozenset(s for r in records for s in r["subjects"]),
        frozenset(s for r in records if "class" not in r.get("withheld", ()) for s in r["subjects"]),
    )


def tracks_for(areas: Areas, agency: str, tracks: list[list[Any]], subjects: Subjects) -> list[tuple[list[Any], bool]]:
    """The tracks that an agency may see, and whether with their class; all of them for the site itself."""
    if not agency or not tracks:
        return [(t, True) for t in tracks]
    lat, lon = np.array([t[LAT] for t in tracks]), np.array([t[LON] for t in tracks])
    inside = areas.within(agency, lat, lon).tolist()
    return [
        (t, ours or t[ID] in subjects.classed)
        for t, ours in zip(tracks, inside, strict=True)
        if ours or t[ID] in subjects.all
    ]


def without_class(track: list[Any]) -> list[Any]:
    """A row of the live picture that does not say what it is."""
    return [*track[:CLASS], UNKNOWN, 0.0, *track[SHARE + 1 :]]
