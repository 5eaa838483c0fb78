"""GeoJSON files: features with their properties, and their shapes in WGS84; what is wrong with each, with its place."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

import msgspec
import shapely

WGS84_NAMES = ("CRS84", "EPSG::4326", "EPSG:4326", "EPSG::4979", "WGS84", "WGS 84")
DEPTH = {"LineString": 1, "MultiLineString": 2, "Polygon": 2, "MultiPolygon": 3}  # of lists about the positions
FLAT_DEG2 = 1e-12  # some 0.01 m²
HUGE = 1e300
METRES = 1000.0  # coordinates beyond this are no degrees
EDITED_MAX = 2_000_000  # characters; what is larger comes from a program and not from a hand
EXPORT_AGAIN = "Export it again from the GIS as GeoJSON."

# How GEOS's reasons begin, and what a technician is told instead.
INVALID = (
    ("Self-intersection", "crosses itself", "Move the points so that the boundary does not cross itself."),
    ("Ring Self-intersection", "touches itself", "Move the points so that the boundary does not touch itself."),
    ("Hole lies outside", "has a hole that lies outside of it", "Move the hole into the area, or remove it."),
    ("Nested holes", "has a hole within a hole", "Remove one of the holes."),
    ("Nested shells", "has a part that lies within another part", "Remove one of the parts."),
    ("Interior is disconnected", "is cut in two by its holes", "Draw it as a MultiPolygon, or move the holes."),
    ("Duplicate Rings", "has a part twice", "Remove one of them."),
)
PLACE = re.compile(r"\[([-+.\deE]+) ([-+.\deE]+)")


class BadShape(ValueError):
    """A geometry that cannot be used: what is wrong, and what to do.

    `of_all` is what is wrong where every feature of the file has it: then it was done to the file, and is told once.
    """

    def __init__(self, wrong: str, hint: str, of_all: str = "") -> None:
        super().__init__(f"{wrong} {hint}")
        self.wrong, self.hint, self.of_all = wrong, hint, of_all


@dataclass(frozen=True)
class Feature:
    """One feature as written."""

    number: int  # from 1
    id: str  # as far as one is written, in its properties or beside them
    properties: dict[str, Any]
    geometry: Any


@dataclass
class Drawing:
    """What a GeoJSON file says, as far as it can be read."""

    features: list[Feature] = field(default_factory=list)
    mistakes: list[tuple[str, str, str, str]] = field(default_factory=list)  # entry, field, what is wrong, what to do
    whole: bool = True  # False: features are missing in it
    plane: str = ""  # the plane that its coordinates are in, where that is not WGS84


def drawing_of(text: str) -> Drawing:
    """The features of a GeoJSON text; what cannot be read is in `mistakes`."""
    try:
        collection = msgspec.json.decode(text)
        twice = _name_twice(text)
    except (msgspec.DecodeError, RecursionError) as error:
        return Drawing(mistakes=[("", "", _not_json(text, str(error)), EXPORT_AGAIN)], whole=False)
    kind = collection.get("type") if isinstance(collection, dict) else None
    features = collection.get("features") if isinstance(collection, dict) else None
    if kind != "FeatureCollection" or not isinstance(features, list):
        wrong = f"is no GeoJSON FeatureCollection{f' but a {kind}' if isinstance(kind, str) else ''}."
        if isinstance(collection, dict) and ("geometryType" in collection or "spatialReference" in collection):
            wrong = "is Esri's own JSON, not GeoJSON."
        return Drawing(mistakes=[("", "", wrong, EXPORT_AGAIN)], whole=False)
    drawing = Drawing(plane=_other_plane(collection.get("crs")))
    if drawing.plane:
        hint = "Export it in WGS84 (EPSG:4326): longitude and latitude in degrees."
        drawing.mistakes.append(("", "crs", f"is {drawing.plane!r}.", hint))
        drawing.whole = False
    if twice:
        drawing.mistakes.append(("", "", f"has the name {twice!r} twice in one pair of braces.", "Leave one out."))
        drawing.whole = False
    for number, feature in enumerate(features, 1):
        _add(drawing, number, feature)
    return drawing


def _name_twice(text: str) -> str:
    """A name that stands twice in one object, of which a reader would take either; empty where none does."""
    found: list[str] = []

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        whole = dict(pairs)
        if len(whole) < len(pairs):
            names = [name for name, _ in pairs]
            found.extend(name for name in whole if names.count(name) > 1)
        return whole

    if len(text) <= EDITED_MAX:
        json.loads(text, object_pairs_hook=members)
    return found[0] if found else ""


def _add(drawing: Drawing, number: int, feature: Any) -> None:
    if not isinstance(feature, dict) or feature.get("type") != "Feature":
        drawing.mistakes.append((f"number {number}", "", "is no feature.", EXPORT_AGAIN))
        drawing.whole = False
        return
    properties = feature.get("properties")
    if properties is not None and not isinstance(properties, dict):
        drawing.mistakes.append((f"feature number {number}", "properties", "are no table of names.", EXPORT_AGAIN))
        drawing.whole = False
        return
    said = {name: value for name, value in (properties or {}).items() if value is not None}
    if isinstance(feature.get("id"), str):  # RFC 7946 has it beside the properties
        said.setdefault("id", feature["id"])
    drawing.features.append(Feature(number, str(said.get("id", "")), said, feature.get("geometry")))


def _not_json(text: str, message: str) -> str:
    if not text.strip():
        return "is empty."
    if text.lstrip().startswith("<"):
        return "is no GeoJSON but XML, as KML and GPX are."
    if len(text.split("\n")) > 1 and re.match(
        r'\s*\{.*"type"\s*:\s*"Feature"\s*[,}].*\}\s*$', text.split("\n", maxsplit=1)[0]
    ):
        return "has a feature on each line (GeoJSON lines), and no FeatureCollection about them."
    found = re.search(r"byte (\d+)", message)
    if found is None:
        return "is no GeoJSON: it is cut off, or nested too deeply."
    before, after = text.encode()[: int(found[1])].decode(errors="replace"), text.encode()[int(found[1]) :]
    place = f"line {before.count(chr(10)) + 1}"
    if before.rstrip().endswith(",") and after[:1] in (b"}", b"]", b","):
        return f"is no GeoJSON: {place} has a comma too many before character {len(before) - before.rfind(chr(10))}."
    return f"is no GeoJSON: {place} has something wrong at character {len(before) - before.rfind(chr(10))}."


def _other_plane(crs: Any) -> str:
    """The name of a plane that is not WGS84; empty where there is none."""
    if not isinstance(crs, dict):
        return ""
    properties = crs.get("properties")
    properties = properties if isinstance(properties, dict) else {}
    name = next((properties[key] for key in ("name", "code", "href") if key in properties), crs.get("type", ""))
    name = f"EPSG:{name}" if isinstance(name, int) else str(name)
    return "" if name.endswith(WGS84_NAMES) else name[:80]


def shape_of(geometry: Any, wanted: tuple[str, ...]) -> shapely.Geometry:
    """The WGS84 shape (x = longitude) of a geometry that is of a wanted type. Raises BadShape."""
    if geometry is None:
        raise BadShape("is empty.", f"Draw a {wanted[0]}.")
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    if not isinstance(kind, str):
        raise BadShape("is no geometry.", EXPORT_AGAIN)
    if kind not in wanted:
        raise BadShape(f"is a {kind}.", f"Draw a {wanted[0]}.", f"is a {kind}: is it another file's content?")
    parts = geometry.get("coordinates")
    if parts in (None, []):
        raise BadShape("is empty.", f"Draw a {wanted[0]}.")
    match kind:
        case "Polygon":
            shape: shapely.Geometry = _polygon(parts)
        case "MultiPolygon":
            shape = shapely.MultiPolygon([_polygon(part) for part in _listed(parts)])
        case "LineString":
            shape = _line(parts)
        case _:
            shape = shapely.MultiLineString([_line(part) for part in _listed(parts)])
    _on_earth(shape)
    if kind in ("Polygon", "MultiPolygon"):
        _is_area(shape)
    return shape


def _polygon(rings: Any) -> shapely.Polygon:
    shell, *holes = [_ring(ring) for ring in _listed(rings)] or [[]]
    if not shell:
        raise BadShape("is empty.", "Draw a Polygon.")
    return shapely.Polygon(shell, holes)


def _ring(points: Any) -> list[tuple[float, float]]:
    ring = [_position(point) for point in _listed(points)]
    corners = len(set(ring))
    if corners < 3:
        hint = "Draw at least three; the last point repeats the first."
        raise BadShape(f"has {corners} corner{'s' * (corners != 1)}.", hint)
    if ring[0] != ring[-1]:
        (lon, lat), (last_lon, last_lat) = ring[0], ring[-1]
        wrong = f"is not closed: it begins at {lon:g}, {lat:g} and ends at {last_lon:g}, {last_lat:g}."
        raise BadShape(wrong, "Repeat the first point as the last.")
    return ring


def _line(points: Any) -> shapely.LineString:
    line = [_position(point) for point in _listed(points)]
    if len(set(line)) < 2:
        raise BadShape("has fewer than two points.", "Draw a line from one point to another.")
    return shapely.LineString(line)


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise BadShape("has coordinates that are nested wrongly.", EXPORT_AGAIN)
    return value


def _position(point: Any) -> tuple[float, float]:
    """Longitude and latitude; a height is left out."""
    if not isinstance(point, list) or len(point) < 2 or any(isinstance(p, list) for p in point):
        raise BadShape("has coordinates that are nested wrongly.", EXPORT_AGAIN)
    for number in point[:2]:
        if isinstance(number, bool) or not isinstance(number, int | float) or not -HUGE < number < HUGE:
            of_all = "has coordinates that are text, in quotes." if isinstance(number, str) else ""
            raise BadShape(f"has a coordinate that is no number: {str(number)[:20]!r}.", EXPORT_AGAIN, of_all)
    return float(point[0]), float(point[1])


def _on_earth(shape: Any) -> None:
    west, south, east, north = shape.bounds
    if -180 <= west <= east <= 180 and -90 <= south <= north <= 90:
        return
    wrong = f"reaches from {west:g}, {south:g} to {east:g}, {north:g}, which is not on earth."
    if -90 <= west <= east <= 90 and -180 <= south <= north <= 180:
        of_all = "has latitude before longitude."
        raise BadShape(wrong, "GeoJSON writes longitude first: latitude and longitude look exchanged.", of_all)
    if max(map(abs, shape.bounds)) > METRES:
        raise BadShape(wrong, "Export it in WGS84 (EPSG:4326).", "is in metres of a map's plane, not in degrees.")
    raise BadShape(wrong, "Export it in WGS84 (EPSG:4326).")


def _is_area(shape: Any) -> None:
    if not shape.is_valid:
        reason = str(shapely.is_valid_reason(shape))
        default = ("has a boundary that encloses no clear area", "Draw it again.")
        wrong, hint = next(((w, h) for begins, w, h in INVALID if reason.startswith(begins)), default)
        place = PLACE.search(reason)
        where = f" at {float(place[1]):.6g}, {float(place[2]):.6g} (longitude, latitude)" if place else ""
        raise BadShape(f"is not a valid area: it {wrong}{where}.", hint)
    if shape.area < FLAT_DEG2:
        raise BadShape("has no area: its corners lie on one line, or in one point.", "Draw it again.")
