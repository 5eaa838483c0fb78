"""Reading a site folder: every mistake at once, or the whole configuration.

The fields and their bounds are in `schema.py`; what takes more than one entry (references between files, doubles,
geography) is in `crosscheck.py`.
"""

import csv
import io
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args

import msgspec
import shapely
from pydantic import BaseModel, TypeAdapter, ValidationError

from runtime.broker_access import access_mistakes
from runtime.connection_check import secrecy_mistakes
from runtime.crosscheck import crosscheck
from runtime.entries import Configuration, Drawn, Reading, SourceFiles, Written
from runtime.mistakes import Mistake, Mistakes, from_schema
from runtime.schema import (
    AccountEntry,
    AccountsFile,
    AgenciesFile,
    Agency,
    Agreement,
    AnyRule,
    Camera,
    InhibitionEntry,
    JurisdictionProperties,
    LineProperties,
    RoadProperties,
    RulesFile,
    ScheduleEntry,
    SensorEntry,
    SensorsFile,
    SiteFile,
    ZoneProperties,
)

P = TypeVar("P", bound=BaseModel)
SHAPES: dict[type[BaseModel], tuple[str, ...]] = {
    ZoneProperties: ("Polygon", "MultiPolygon"),
    JurisdictionProperties: ("Polygon", "MultiPolygon"),
    LineProperties: ("LineString", "MultiLineString"),
    RoadProperties: ("LineString", "MultiLineString"),
}


def load(folder: Path, kept: SourceFiles | None = None) -> Configuration:
    """The configuration of a site folder. Raises Mistakes, with all of them, when there is any.

    From `kept`, the files of a configuration that was accepted before, it is read without looking into the folder, and
    without the checks between entries: those it has passed.
    """
    reading = Reading(folder, kept)
    if reading.content("site.toml") is None:
        there = sorted(str(p.parent) for p in folder.glob("*/site.toml")) if folder.is_dir() else []
        mend = f"Did you mean {there[0]!r}?" if there else "Name a folder that holds one, such as 'configs'."
        raise Mistakes([Mistake(str(folder), "", "", "has no site.toml.", mend)])
    site = _validated(reading, "site.toml", "", SiteFile, _toml(reading, "site.toml"))
    if site is None:
        raise Mistakes(reading.mistakes)
    files = site.files
    configuration = Configuration(
        folder=folder,
        site=site,
        sensors=tuple(_sensors(reading, files.sensors)),
        rules=tuple(_entries(reading, files.rules, "rule", AnyRule, RulesFile)),
        schedules=tuple(_entries(reading, files.rules, "schedule", ScheduleEntry, RulesFile)),
        inhibitions=tuple(_entries(reading, files.rules, "inhibition", InhibitionEntry, RulesFile)),
        agencies=tuple(_entries(reading, files.agencies, "agency", Agency, AgenciesFile)),
        agreements=tuple(_entries(reading, files.agencies, "agreement", Agreement, AgenciesFile)),
        accounts=tuple(_entries(reading, files.accounts, "account", AccountEntry, AccountsFile))
        if reading.content(files.accounts) is not None
        else (),
        zones=tuple(_features(reading, files.zones, ZoneProperties)),
        lines=tuple(_features(reading, files.border, LineProperties)),
        jurisdictions=tuple(_features(reading, files.jurisdictions, JurisdictionProperties)),
        roads=tuple(_features(reading, files.roads, RoadProperties)) if files.roads else (),
        sources=SourceFiles(reading.contents, reading.matches),
    )
    if kept is None:
        crosscheck(reading, configuration)
        reading.mistakes += access_mistakes(configuration) + secrecy_mistakes(configuration)
    if reading.mistakes:
        raise Mistakes(list(dict.fromkeys(reading.mistakes)))
    return configuration


def read_rules(c: Configuration, path: Path) -> tuple[Written[Any], ...]:
    """The rules of a file besides a site's own, which may use its zones, lines and schedules. Raises Mistakes."""
    reading = Reading(path.parent)
    rules = tuple(_entries(reading, path.name, "rule", AnyRule, RulesFile))
    crosscheck(reading, replace(c, rules=rules))
    if reading.mistakes:
        raise Mistakes(list(dict.fromkeys(reading.mistakes)))
    return rules


# ── one file ─────────────────────────────────────────────────────────────────────────────────────


def _bytes(reading: Reading, name: str) -> bytes | None:
    content = reading.content(name)
    if content is not None:
        return content
    path = reading.folder / name
    there = [str(p.relative_to(reading.folder)) for p in sorted(reading.folder.rglob("*")) if p.suffix == path.suffix]
    close = get_close_matches(name, there, n=1)
    reading.wrong("site.toml", "", "files", f"{name!r} does not exist.", f"Did you mean {close[0]!r}?" if close else "")
    return None


def _toml(reading: Reading, name: str) -> dict[str, Any] | None:
    text = _bytes(reading, name)
    if text is None:
        return None
    try:
        return tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        reading.wrong(
            name, "", "", f"is not TOML: {error}.", "Mend this first: nothing else in the file could be read."
        )
        return None


def _validated(
    reading: Reading, file: str, entry: str, kind: Any, data: Any, adapter: TypeAdapter[Any] | None = None
) -> Any:
    """The value, or None with its mistakes noted."""
    if data is None:
        return None
    try:
        return (adapter or TypeAdapter(kind)).validate_python(data)
    except ValidationError as error:
        for each in error.errors(include_url=False):
            reading.mistakes.append(from_schema(file, entry, each, _fields(kind, each["loc"])))
        return None


def _entries(reading: Reading, file: str, key: str, kind: Any, whole: type[BaseModel]) -> Iterator[Written[Any]]:
    """The entries `[[key]]` of a TOML file, each checked by itself so that all mistakes are found."""
    data = _toml(reading, file)
    if data is None:
        return
    for other in sorted(data.keys() - whole.model_fields.keys()):
        known = list(whole.model_fields)
        close = get_close_matches(other, known, n=1)
        reading.wrong(file, "", other, "is no section here.", f"Did you mean [[{close[0] if close else known[0]}]]?")
    entries = data.get(key, [])
    if not isinstance(entries, list):
        reading.wrong(file, "", key, "is one table.", f"Write [[{key}]] with two brackets: there may be several.")
        return
    lines = [
        n
        for n, line in enumerate((reading.content(file) or b"").decode().splitlines(), 1)
        if line.strip() == f"[[{key}]]"
    ]
    adapter = TypeAdapter(kind)
    for number, each in enumerate(entries):
        name = each.get("id") if isinstance(each, dict) else None
        place = f"line {lines[number]}" if number < len(lines) else f"number {number + 1}"
        entry = f"{key} {name!r} ({place})" if name else f"{key} ({place})"
        value = _validated(reading, file, entry, kind, each, adapter)
        if value is not None:
            yield Written(value, file, entry)


def _fields(kind: Any, where: tuple[int | str, ...]) -> list[str]:
    """The field names that are allowed beside the last step of `where`."""
    models = _models_in(kind)
    for step in where[:-1]:
        inner = [
            m for model in models if step in model.model_fields for m in _models_in(model.model_fields[step].annotation)
        ]
        chosen = [m for m in models if "kind" in m.model_fields and step in get_args(m.model_fields["kind"].annotation)]
        models = inner or chosen or models
    return sorted({name for model in models for name in model.model_fields})


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """Every model that an annotation mentions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models_in(inner)]


# ── sensors, from TOML or CSV ────────────────────────────────────────────────────────────────────


def _sensors(reading: Reading, patterns: Iterable[str]) -> Iterator[Written[SensorEntry]]:
    for pattern in patterns:
        names = reading.matching(pattern)
        if not names and not any(c in pattern for c in "*?["):
            _bytes(reading, pattern)
        for name in names:
            if name.endswith(".csv"):
                yield from _csv(reading, name)
            else:
                yield from _entries(reading, name, "sensor", SensorEntry, SensorsFile)


def _csv(reading: Reading, file: str) -> Iterator[Written[SensorEntry]]:
    """A row a sensor; a column a field, nested ones with a dot. Empty cells are left out."""
    with io.StringIO((reading.content(file) or b"").decode("utf-8-sig"), newline="") as lines:
        rows = csv.DictReader(lines)
        known = [*SensorEntry.model_fields, *(f"camera.{name}" for name in Camera.model_fields)]
        for column in rows.fieldnames or []:
            if column not in known and not column.startswith("labels."):
                close = get_close_matches(column, known, n=1)
                reading.wrong(
                    file, "header", column, "is no column here.", f"Did you mean {close[0]!r}?" if close else ""
                )
        adapter = TypeAdapter(SensorEntry)
        for number, row in enumerate(rows, 2):
            entry = f"sensor {row.get('id')!r} (line {number})"
            if None in row:
                reading.wrong(file, entry, "", "has more cells than the header has columns.", "Look for a stray comma.")
                continue
            data: dict[str, Any] = {}
            for column, cell in row.items():
                if cell and (column in known or column.startswith("labels.")):
                    outer, _, inner = column.partition(".")
                    if inner:
                        data.setdefault(outer, {})[inner] = cell.strip()
                    else:
                        data[outer] = cell.strip()
            value = _validated(reading, file, entry, SensorEntry, data, adapter)
            if value is not None:
                yield Written(value, file, entry)


# ── geography ────────────────────────────────────────────────────────────────────────────────────


class _Feature(msgspec.Struct):
    type: str
    geometry: msgspec.Raw
    properties: dict[str, Any] | None = None


class _Collection(msgspec.Struct):
    type: str
    features: list[_Feature]


def _features(reading: Reading, file: str, kind: type[P]) -> Iterator[Drawn[P]]:
    text = _bytes(reading, file)
    if text is None:
        return
    try:
        collection = msgspec.json.decode(text, type=_Collection)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        reading.wrong(
            file, "", "", f"is no GeoJSON FeatureCollection: {error}.", "Export it again from the GIS as GeoJSON."
        )
        return
    for number, feature in enumerate(collection.features, 1):
        properties = feature.properties or {}
        entry = f"feature {properties.get('id')!r} (number {number})"
        value = _validated(reading, file, entry, kind, properties)
        geometry = _geometry(reading, file, entry, feature, SHAPES[kind])
        if value is not None and geometry is not None:
            yield Drawn(value, geometry, file, entry)


def _geometry(
    reading: Reading, file: str, entry: str, feature: _Feature, wanted: tuple[str, ...]
) -> shapely.Geometry | None:
    try:
        shape = shapely.from_geojson(bytes(feature.geometry).decode())
    except shapely.errors.GEOSException as error:
        reading.wrong(
            file, entry, "geometry", f"cannot be read: {error}.", "Rings need four points, the last the first."
        )
        return None
    if shape is None or shape.geom_type not in wanted or shape.is_empty:
        said = "empty" if shape is None or shape.is_empty else f"a {shape.geom_type}"
        reading.wrong(file, entry, "geometry", f"is {said}.", f"Draw a {wanted[0]}.")
        return None
    west, south, east, north = shape.bounds
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
        swapped = -90 <= west <= east <= 90 and -180 <= south <= north <= 180
        reading.wrong(
            file,
            entry,
            "geometry",
            f"reaches from {west:g}, {south:g} to {east:g}, {north:g}, which is not on earth.",
            "GeoJSON writes longitude first: latitude and longitude look exchanged."
            if swapped
            else "Export it in WGS84 (EPSG:4326).",
        )
        return None
    if not shape.is_valid:
        reading.wrong(
            file,
            entry,
            "geometry",
            f"is not a valid area: {shapely.is_valid_reason(shape)} (longitude latitude).",
            "Move the points so that the boundary does not cross itself.",
        )
        return None
    return shape
