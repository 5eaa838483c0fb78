"""What of a site stands on the console's map, as GeoJSON, and the names that its pages need."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import shapely

from alerts.feedback import DISPOSITIONS
from alerts.quiet import FIELDS
from console.scope import Areas, areas_of
from geo.frames import wgs84_from_plane
from model.alerts import SEVERITIES
from model.classes import CLASSES
from runtime.advance import World
from runtime.entries import Configuration, Drawn
from runtime.schema import LineProperties, ZoneProperties

STEPS = 24  # of a circle's arc


def site_names(c: Configuration) -> dict[str, Any]:
    """Titles and names of everything that an incident refers to by id."""
    return {
        "name": c.site.site.name,
        "title": c.site.site.title or c.site.site.name,
        "time_zone": c.site.site.time_zone,
        "agencies": [{"id": w.value.id, "name": w.value.name} for w in c.agencies],
        "agreements": {w.value.id: w.value.reference for w in c.agreements},
        "zones": _names(c.zones) | _names(c.lines),
        "sensors": {w.value.id: w.value.name or w.value.id for w in c.sensors},
        "rules": [{"id": w.value.id, "kind": w.value.kind, "severity": w.value.severity} for w in c.rules],
        "severities": list(SEVERITIES),
        "classes": list(CLASSES),
        "dispositions": list(DISPOSITIONS),
        "silence_fields": list(FIELDS),
        "base_map": bool(c.site.console.base_map),
    }


def scene_of(c: Configuration, world: World) -> dict[str, Any]:
    """Feature collections by name. Privacy zones are drawn, so that officers know where nothing is seen."""
    return {
        "lines": _collection(({"id": d.properties.id, "name": d.properties.name}, d.geometry) for d in c.lines),
        "zones": _collection(
            ({"id": d.properties.id, "name": d.properties.name, "privacy": d.properties.privacy}, d.geometry)
            for d in c.zones
        ),
        "jurisdictions": _collection(
            ({"id": d.properties.id, "name": d.properties.name, "agency": d.properties.agency}, d.geometry)
            for d in c.jurisdictions
        ),
        "roads": _collection(({}, d.geometry) for d in c.roads),
        "sensors": _collection(
            ({"id": w.value.id, "name": w.value.name, "kind": w.value.kind}, shapely.Point(w.value.lon, w.value.lat))
            for w in c.sensors
        ),
        "cover": _collection(_cover(world)),
    }


def areas(c: Configuration) -> Areas:
    """Where each agency's word counts."""
    drawn = {d.properties.id: d.geometry for d in c.zones} | {d.properties.id: d.geometry for d in c.jurisdictions}
    said = [(d.properties.agency, d.geometry) for d in c.jurisdictions]
    said += [(a, drawn[w.value.area]) for w in c.agreements for a in (w.value.lead, *w.value.copies)]
    return areas_of(said)


def _cover(world: World) -> Iterator[tuple[dict[str, Any], shapely.Geometry]]:
    """What each sensor has in view: a disc, a fan, or the line between two posts."""
    columns = world.catalogue.columns
    for row, sensor in enumerate(world.catalogue.sensors):
        one = columns.take(slice(row, row + 1))
        half, facing, reach = float(one.half_angle_rad[0]), float(one.facing_rad[0]), float(one.range_m[0])
        if np.any(one.line_m):
            ring = np.array([[0.0, 0.0], one.line_m[0]])
        elif half >= np.pi:
            turn = np.linspace(0, 2 * np.pi, 2 * STEPS + 1)
            ring = reach * np.column_stack([np.cos(turn), np.sin(turn)])
        else:
            turn = np.linspace(facing - half, facing + half, STEPS)
            arc = np.column_stack([np.cos(turn), np.sin(turn)])
            near = float(one.near_m[0]) * arc[::-1]
            ring = np.concatenate([reach * arc, near, reach * arc[:1]])
        sector = np.full(len(ring), one.sector[0], np.int16)
        lat, lon = wgs84_from_plane(world.sectors, sector, one.position + ring)
        points = np.column_stack([lon.round(6), lat.round(6)])
        yield (
            {"id": sensor.id, "kind": sensor.kind},
            shapely.LineString(points) if np.any(one.line_m) else shapely.Polygon(points),
        )


def _names(drawn: Iterable[Drawn[ZoneProperties]] | Iterable[Drawn[LineProperties]]) -> dict[str, str]:
    return {d.properties.id: d.properties.name or d.properties.id for d in drawn}


def _collection(features: Iterable[tuple[dict[str, Any], shapely.Geometry]]) -> dict[str, Any]:
    made = [
        {"type": "Feature", "properties": said, "geometry": json.loads(shapely.to_geojson(where))}
        for said, where in features
    ]
    return {"type": "FeatureCollection", "features": made}
