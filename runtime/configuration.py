"""Reading a site folder: every mistake at once, or the whole configuration.

The fields and their bounds are in `schema.py`; what takes more than one entry (references between files, doubles,
geography) is in `crosscheck.py`. What cannot be read is remembered, so that nothing else is blamed for it.
"""

from collections.abc import Collection, Iterable, Iterator
from copy import deepcopy
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter

from runtime.broker_access import access_mistakes
from runtime.connection_check import secrecy_mistakes
from runtime.crosscheck import crosscheck
from runtime.drawings import BadShape, Drawing, drawing_of, shape_of
from runtime.entries import Configuration, Drawn, Reading, SourceFiles, Written
from runtime.mistakes import Mistake, Mistakes, meant_names, nearest
from runtime.quantities import other_unit, unit_of
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
from runtime.sheet import DECIMAL_COMMA, Row, Sheet, sheet_of
from runtime.text import Unreadable, file_meant, text_of
from runtime.toml import Sections, sections_of
from runtime.validation import Checked, checked, identifier_of

P = TypeVar("P", bound=BaseModel)
SITE = "site.toml"
UNNAMED = {"name": "unnamed", "title": ""}  # stands for a [site] that cannot be read
# For each kind of feature: what it is called, and what it may be drawn as.
DRAWN: dict[type[BaseModel], tuple[str, tuple[str, ...]]] = {
    ZoneProperties: ("zone", ("Polygon", "MultiPolygon")),
    JurisdictionProperties: ("jurisdiction", ("Polygon", "MultiPolygon")),
    LineProperties: ("line", ("LineString", "MultiLineString")),
    RoadProperties: ("road", ("LineString", "MultiLineString")),
}
FILE_OF = {  # where each kind of entry is written
    **dict.fromkeys(RulesFile.model_fields, "rules"),
    **dict.fromkeys(AgenciesFile.model_fields, "agencies"),
    **dict.fromkeys(AccountsFile.model_fields, "accounts"),
    **dict.fromkeys(SensorsFile.model_fields, "sensors"),
}
TABLES = (".csv", ".tsv")
REQUIRED = {name for name, info in SensorEntry.model_fields.items() if info.is_required()}


def load(folder: Path, kept: SourceFiles | None = None) -> Configuration:
    """The configuration of a site folder. Raises Mistakes, with all of them, when there is any.

    From `kept`, the files of a configuration that was accepted before, it is read without looking into the folder, and
    without the checks between entries: those it has passed.
    """
    reading = Reading(folder, kept)
    if kept is None:
        _is_site(folder)
    site = _site(reading)
    files = site.files
    rules = _tables(reading, "rules", files.rules, RulesFile)
    agencies = _tables(reading, "agencies", files.agencies, AgenciesFile)
    accounts = _tables(reading, "accounts", files.accounts, AccountsFile, optional=True)
    configuration = Configuration(
        folder=folder,
        site=site,
        sensors=tuple(_sensors(reading, files.sensors)),
        rules=tuple(_entries(reading, files.rules, rules, "rule", AnyRule)),
        schedules=tuple(_entries(reading, files.rules, rules, "schedule", ScheduleEntry)),
        inhibitions=tuple(_entries(reading, files.rules, rules, "inhibition", InhibitionEntry)),
        agencies=tuple(_entries(reading, files.agencies, agencies, "agency", Agency)),
        agreements=tuple(_entries(reading, files.agencies, agencies, "agreement", Agreement)),
        accounts=tuple(_entries(reading, files.accounts, accounts, "account", AccountEntry)),
        zones=tuple(_features(reading, "zones", files.zones, ZoneProperties)),
        lines=tuple(_features(reading, "border", files.border, LineProperties)),
        jurisdictions=tuple(_features(reading, "jurisdictions", files.jurisdictions, JurisdictionProperties)),
        roads=tuple(_features(reading, "roads", files.roads, RoadProperties)) if files.roads else (),
        sources=SourceFiles(reading.contents, reading.matches),
    )
    if kept is None:
        crosscheck(reading, configuration)
        reading.mistakes += _of_what_is_written(
            reading, configuration, [*access_mistakes(configuration), *secrecy_mistakes(configuration)]
        )
    _raise_any(reading)
    return configuration


def read_rules(c: Configuration, path: Path) -> tuple[Written[Any], ...]:
    """The rules of a file besides a site's own, which may use its zones, lines and schedules. Raises Mistakes."""
    reading = Reading(path.parent)
    sections = _tables(reading, "rules", path.name, RulesFile)
    rules = tuple(_entries(reading, path.name, sections, "rule", AnyRule))
    crosscheck(reading, replace(c, rules=rules, inhibitions=()))
    _raise_any(reading)
    return rules


def _of_what_is_written(reading: Reading, c: Configuration, found: list[Mistake]) -> Iterator[Mistake]:
    """Without those that are about values which stand in for ones that are wrong themselves."""
    entries: list[Written[Any]] = [*c.sensors, *c.agencies]
    guessed = {(w.file, w.entry) for w in entries if w.guessed}
    for mistake in found:
        section = mistake.entry.partition(" ")[0] or mistake.field.partition(".")[0]
        if (mistake.file, mistake.entry) not in guessed and not (mistake.file == SITE and section in reading.guessed):
            yield mistake


def _raise_any(reading: Reading) -> None:
    if reading.mistakes:
        raise Mistakes(list(dict.fromkeys(reading.mistakes)))


def _is_site(folder: Path) -> None:
    """Raises Mistakes where a folder is none, or has no site.toml."""
    if folder.is_file():
        hint = f"Name its folder, {str(folder.parent)!r}." if folder.name == SITE else "Name the folder of a site."
        raise Mistakes([Mistake(str(folder), "", "", "is a file, not a site folder.", hint)])
    if not (folder / SITE).exists() and not (folder / SITE).is_symlink():
        there = sorted(str(p.parent) for p in folder.glob("*/site.toml")) if folder.is_dir() else []
        hint = f"Did you mean {there[0]!r}?" if there else "Name a folder that holds one, such as 'configs'."
        hint = file_meant(folder, SITE) or hint
        raise Mistakes([Mistake(str(folder), "", "", "has no site.toml.", hint)])


# ── site.toml ────────────────────────────────────────────────────────────────────────────────────


def _site(reading: Reading) -> SiteFile:
    """What site.toml says. What of it is wrong is noted, and stands at its default."""
    sections = _sections(reading, SITE, "")
    if sections is not None and not sections.values and not sections.mistakes:
        reading.wrong(SITE, "", "", "says nothing.", "Begin it with [site], name and title.")
    if sections is None or not sections.values:
        reading.lost |= {"feed", "profile", "files"}
        return SiteFile.model_validate({"site": UNNAMED})
    reading.lost |= sections.lost_unnamed
    values = deepcopy(sections.values)
    if "site" in sections.lost:
        values.setdefault("site", UNNAMED)
    found = _checked(reading, SITE, "", SiteFile, values, TypeAdapter(SiteFile))
    if found.value is None:  # [site] itself is wrong, which is noted; the rest is checked beside one that is right
        found = checked(SITE, "", SiteFile, values | {"site": UNNAMED}, TypeAdapter(SiteFile))
        reading.lost |= found.lost_unnamed
    if not isinstance(found.value, SiteFile):
        reading.lost |= {"feed", "profile", "files"}
        return SiteFile.model_validate({"site": UNNAMED})
    reading.guessed = found.guessed | sections.lost
    return found.value


# ── one file ─────────────────────────────────────────────────────────────────────────────────────


def _text(reading: Reading, name: str, field: str, optional: bool = False) -> str | None:
    """The text of a file that `[files]` names in `field`; None with the mistake noted."""
    try:
        content = reading.content(name)
        if content is not None:
            return text_of(content, Path(name).suffix.lower())
        if optional or "files" in reading.lost:  # it need not be there, or may well have another name
            return None
        hint = file_meant(reading.folder, name) or f"Put it there, or name another under [files] {field}."
        reading.wrong(SITE, "", f"files.{field}", f"{name!r} does not exist.", hint)
    except Unreadable as error:
        if error.wrong.startswith("has a name"):
            reading.wrong(SITE, "", f"files.{field}", f"{name[:60]!r} {error.wrong}", error.hint)
        else:
            reading.wrong(name, "", "", error.wrong, error.hint)
    return None


def _sections(reading: Reading, name: str, field: str, optional: bool = False) -> Sections | None:
    """What a TOML file says; None where it cannot be read at all."""
    text = _text(reading, name, field, optional)
    if text is None:
        return None
    sections = sections_of(text)
    for each in sections.mistakes:
        reading.wrong(name, f"line {each.line}", "", f"{each.text!r} is not TOML: it {each.wrong}", each.hint)
    reading.lost_ids |= sections.lost_ids
    return sections


def _checked(
    reading: Reading, file: str, entry: str, kind: Any, data: Any, adapter: TypeAdapter[Any], strict: bool | None = None
) -> Checked:
    """One entry, with its mistakes noted."""
    found = checked(file, entry, kind, data, adapter, strict)
    _note(reading, found)
    return found


def _note(reading: Reading, found: Checked, but_missing: Collection[str] = ()) -> None:
    """Keep what checking an entry gave, but that fields are missing of which that is known already."""
    reading.mistakes += (m for m in found.mistakes if m.wrong != "is missing." or m.field not in but_missing)
    reading.lost_ids |= found.lost_ids
    reading.lost |= found.lost_unnamed


def _tables(reading: Reading, field: str, file: str, whole: type[BaseModel], optional: bool = False) -> Sections | None:
    """The sections of a file of entries `[[…]]`, of which only those of `whole` are allowed."""
    sections = _sections(reading, file, field, optional)
    kinds = list(whole.model_fields)
    if sections is None:
        reading.lost |= set(kinds) if not optional or any(m.file == file for m in reading.mistakes) else set()
        return None
    reading.lost |= sections.lost_unnamed | {f"kind of {lost}" for lost in sections.lost}
    if sections.mistakes and not sections.values:  # it is no TOML at all
        reading.lost |= set(kinds)
    for other in sorted(sections.values.keys() - set(kinds)):
        close = get_close_matches(other, kinds, n=1)
        hint = f"Did you mean [[{close[0] if close else kinds[0]}]]?"
        if other in FILE_OF and FILE_OF[other] != field:
            hint = f"It belongs into the file that [files] names under {FILE_OF[other]}: are two files exchanged?"
        reading.wrong(file, "", other, "is no section here.", hint)
        reading.lost |= set(kinds)
    return sections


def _entries(reading: Reading, file: str, sections: Sections | None, key: str, kind: Any) -> Iterator[Written[Any]]:
    """The entries `[[key]]` of a TOML file, each checked by itself so that all mistakes are found."""
    entries = sections.values.get(key, []) if sections else []
    if not isinstance(entries, list):
        reading.wrong(file, "", key, "is one table.", f"Write [[{key}]] with two brackets: there may be several.")
        reading.lost.add(key)
        return
    lines = sections.lines.get(key, []) if sections else []
    adapter = TypeAdapter(kind)
    for number, each in enumerate(entries):
        name = each.get("id") if isinstance(each, dict) else None
        place = f"line {lines[number]}" if number < len(lines) else f"number {number + 1}"
        entry = f"{key} {name!r} ({place})" if name else f"{key} ({place})"
        found = _checked(reading, file, entry, kind, each, adapter)
        if found.value is not None:
            yield Written(found.value, file, entry, found.guessed)
        else:
            reading.lost |= {f"kind of {key}"} | (set() if isinstance(name, str) else {key})


# ── sensors, from TOML or CSV ────────────────────────────────────────────────────────────────────


def _sensors(reading: Reading, patterns: Iterable[str]) -> Iterator[Written[SensorEntry]]:
    read: set[str] = set()
    for pattern in patterns:
        for name in _matching(reading, pattern):
            if name in read:
                continue
            read.add(name)
            suffix = Path(name).suffix.lower()
            if suffix in TABLES:
                yield from _sheet_sensors(reading, name)
            elif suffix == ".toml":
                sections = _tables(reading, "sensors", name, SensorsFile)
                yield from _entries(reading, name, sections, "sensor", SensorEntry)
            else:
                reading.wrong(name, "", "", "is neither .toml nor .csv.", "Rename it, or change [files] sensors.")
                reading.lost.add("sensor")


def _matching(reading: Reading, pattern: str) -> list[str]:
    """Files that a pattern under [files] names; the pattern itself where it is a name and no file has it."""
    try:
        names = list(reading.matching(pattern))
    except ValueError:
        hint = "Write a path relative to the site folder, as 'sensors/*.toml'."
        reading.wrong(SITE, "", "files.sensors", f"{pattern!r} is no pattern of file names.", hint)
        reading.lost.add("sensor")
        return []
    return names if names or any(c in pattern for c in "*?[") else [pattern]


def _sheet_sensors(reading: Reading, file: str) -> Iterator[Written[SensorEntry]]:
    """A row a sensor; a column a field, nested ones with a dot. Empty cells are left out."""
    text = _text(reading, file, "sensors")
    if text is None:
        reading.lost.add("sensor")
        return
    columns = _columns()
    sheet = sheet_of(text, columns)
    for each in sheet.mistakes:
        reading.wrong(file, f"line {each.line}" if each.line else "", each.column, each.wrong, each.hint)
        reading.lost.add("sensor")
    field_of = _fields_of(reading, file, sheet, columns)
    absent = REQUIRED - set(field_of.values()) if sheet.columns else set()
    for column in sorted(absent):
        reading.wrong(file, "header", column, "is missing.", f"Add a column {column}.")
    adapter = TypeAdapter(SensorEntry)
    for row in sheet.rows:
        if next(iter(row.cells.values()), "").startswith("#"):
            reading.wrong(file, f"line {row.line}", "", "is a remark, which a CSV cannot have.", "Remove the line.")
            continue
        name = row.cells.get("id")
        entry = f"sensor {name!r} (line {row.line})" if name else f"sensor (line {row.line})"
        found = checked(file, entry, SensorEntry, _data(sheet, row, field_of), adapter, strict=False)
        _note(reading, found, but_missing=absent)
        if found.value is not None:
            yield Written(found.value, file, entry, found.guessed)
        elif name is None:
            reading.lost.add("sensor")


def _fields_of(reading: Reading, file: str, sheet: Sheet, columns: list[str]) -> dict[str, str]:
    """Column → field. One that is nearly a field's name is a mistake, and taken for it unless it is in another unit."""
    field_of = {c: c for c in sheet.columns if c in columns or c.startswith("labels.")}
    for column in filter(None, sheet.columns):
        if column in field_of:
            continue
        other = other_unit(column, columns)
        if other is None:
            hint, meant = nearest(column, columns), meant_names(column, columns)
        else:
            field, factor = other
            unit = f", {unit_of(field)}" if unit_of(field) else ""
            values = "" if factor == 1 else f" Multiply its values by {factor:.6g}."
            hint, meant = f"Did you mean {field!r}{unit}?{values}", [field]
        reading.wrong(file, "header", column, "is no column here.", hint)
        for each in meant:
            if each not in field_of.values():
                field_of[column] = each
    return field_of


def _columns() -> list[str]:
    """The columns of a CSV: all fields that are one value, `camera.` before those of a camera."""
    own = [name for name in SensorEntry.model_fields if name not in ("camera", "labels", "confusion")]
    return [*own, *(f"camera.{name}" for name in Camera.model_fields if name not in ("centre_px", "distortion"))]


def _data(sheet: Sheet, row: Row, field_of: dict[str, str]) -> dict[str, Any]:
    """A row as an entry."""
    data: dict[str, Any] = {}
    for column, cell in row.cells.items():
        outer, _, inner = field_of.get(column, "").partition(".")
        value = cell.replace(",", ".") if sheet.decimal_comma and DECIMAL_COMMA.fullmatch(cell) else cell
        if inner:
            data.setdefault(outer, {})[inner] = value
        elif outer:
            data[outer] = value
    return data


# ── geography ────────────────────────────────────────────────────────────────────────────────────


def _features(reading: Reading, field: str, file: str, kind: type[P]) -> Iterator[Drawn[P]]:
    what, shapes = DRAWN[kind]
    text = _text(reading, file, field)
    drawing = drawing_of(text) if text is not None else Drawing(whole=False)
    for entry, at, wrong, hint in drawing.mistakes:
        reading.wrong(file, entry, at, wrong, hint)
    if not drawing.whole:
        reading.lost.add(what)
    adapter, bad = TypeAdapter(kind), list[tuple[str, BadShape]]()
    for feature in drawing.features:
        entry = (
            f"feature {feature.id!r} (number {feature.number})" if feature.id else f"feature number {feature.number}"
        )
        properties = _renamed(reading, file, entry, feature.properties, kind)
        found = _checked(reading, file, entry, kind, properties, adapter, strict=False)
        try:
            shape = None if drawing.plane else shape_of(feature.geometry, shapes)
        except BadShape as error:
            bad.append((entry, error))
            shape = None
        if found.value is not None and shape is not None:
            yield Drawn(found.value, shape, file, entry)
        elif isinstance(properties.get("id"), str):
            reading.lost_ids |= {feature.id, identifier_of(feature.id)}
        else:
            reading.lost.add(what)
    _bad_shapes(reading, file, len(drawing.features), bad)


def _bad_shapes(reading: Reading, file: str, features: int, bad: list[tuple[str, BadShape]]) -> None:
    """Each as a mistake; one where the same was done to all features of a file."""
    of_all = {error.of_all for _, error in bad}
    if len(bad) == features > 1 and len(of_all) == 1 and of_all != {""}:
        error = bad[0][1]
        reading.wrong(file, f"all {features} features", "geometry", error.of_all, error.hint)
        return
    for entry, error in bad:
        reading.wrong(file, entry, "geometry", error.wrong, error.hint)


def _renamed(
    reading: Reading, file: str, entry: str, properties: dict[str, Any], kind: type[BaseModel]
) -> dict[str, Any]:
    """The properties, each under the name that it was meant to have: what is nearly a name of ours is a mistake."""
    if kind is RoadProperties:  # OpenStreetMap has a `width` of its own, with units
        return properties
    ours, out = [f for f in kind.model_fields if f not in properties], dict(properties)
    for name in sorted(properties.keys() - kind.model_fields.keys()):
        close = get_close_matches(name.lower(), ours, n=1, cutoff=0.7)
        if close:
            reading.wrong(file, entry, name, "is no property here.", f"Did you mean {close[0]!r}?")
            out.setdefault(close[0], properties[name])
    return out
