"""Entries against the schema: the value, or every mistake in the technician's words.

What an entry with mistakes says beside them is kept (`Checked.guessed` names the fields that are not), so that references
to it and from it can still be checked: no mistake hides another, and none follows from another.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from math import isfinite
from typing import Any, get_args

from pydantic import BaseModel, TypeAdapter, ValidationError

from runtime.mistakes import Mistake, meant_names, nearest
from runtime.quantities import COORDINATES, TYPED, number_meant, other_unit, unit_of
from runtime.schema import FORMS

Path = tuple[int | str, ...]
BRANCHES = {"bool", "float", "str", "int"}  # of a union, which pydantic adds to an error's place
ROUNDS = 6  # of leaving out what is wrong, until the rest stands by itself
BOUNDS = {
    "greater_than": ("gt", "greater than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}
SECRET_FIELDS = ("password", "token")
HIDDEN = "…"
PASSWORD_IN_URL = re.compile(r"//[^/\s]*@")
MEANT_NUMBER = {"float_type", "float_parsing", "int_type", "int_parsing", "int_parsing_size", "int_from_float"}


@dataclass(frozen=True)
class Checked:
    """What checking an entry gave."""

    value: Any  # None: nothing of it can be used
    mistakes: tuple[Mistake, ...] = ()
    guessed: frozenset[str] = frozenset()  # top-level fields whose values are not what is written
    lost_ids: frozenset[str] = frozenset()  # ids written in what was left out
    lost_unnamed: frozenset[str] = frozenset()  # top-level fields of which something without an id was left out


def checked(
    file: str, entry: str, kind: Any, data: Any, adapter: TypeAdapter[Any], strict: bool | None = None
) -> Checked:
    """One entry against its kind: a model, or a union of models. `strict=False` takes numbers from text, for CSV and GIS."""
    try:
        return Checked(adapter.validate_python(data, strict=strict))
    except ValidationError as error:
        errors = error.errors(include_url=False)
    mistakes = tuple(_mistakes(file, entry, kind, data, errors))
    if strict is False:  # where nothing stands in quotes
        mistakes = tuple(replace(m, mend=m.mend.replace(", without quotes", "")) for m in mistakes)
    nothing = Checked(None, mistakes, lost_ids=frozenset(_ids(data)))
    rest, guessed, lost, unnamed = deepcopy(data), set[str](), set[str](), set[str]()
    for _ in range(ROUNDS):
        places = {_path(rest, each["loc"]) for each in errors}
        if () in places or not isinstance(rest, dict):
            return nothing
        for place in sorted(places, key=_from_the_end, reverse=True):
            out = _taken_out(rest, place)
            lost |= set(_ids(out))
            guessed |= {str(place[0]), *meant_names(str(place[0]), _fields(kind, place))}
            if isinstance(out, dict) and not isinstance(out.get("id"), str):
                unnamed.add(str(place[0]))
        try:
            value = adapter.validate_python(rest, strict=strict)
        except ValidationError as error:
            errors = error.errors(include_url=False)
        else:
            return Checked(value, mistakes, *map(frozenset, (guessed, lost, unnamed)))
    return nothing


def _from_the_end(path: Path) -> list[tuple[int, str]]:
    """Sorts paths so that, in reverse, a later member of a list comes before an earlier one."""
    return [(step, "") if isinstance(step, int) else (-1, step) for step in path]


# ── what is written where ────────────────────────────────────────────────────────────────────────


def _path(data: Any, where: Iterable[int | str]) -> Path:
    """The part of pydantic's place that is in the data: names of union members and of validators are left out."""
    path: list[int | str] = []
    for step in where:
        in_table = isinstance(data, dict) and step in data
        if in_table or (isinstance(data, list) and isinstance(step, int) and step < len(data)):
            data = data[step]
            path.append(step)
    return tuple(path)


def _at(data: Any, path: Path) -> Any:
    step: Any
    for step in path:
        data = data[step]
    return data


def _taken_out(data: Any, path: Path) -> Any:
    """Remove what lies at a path, and return it; None where it is gone already."""
    try:
        return _at(data, path[:-1]).pop(path[-1])
    except (KeyError, IndexError):
        return None


def _ids(data: Any) -> Iterator[str]:
    """Every id written in some data."""
    if isinstance(data, dict):
        if isinstance(data.get("id"), str):
            yield data["id"]
        data = list(data.values())
    if isinstance(data, list):
        for each in data:
            yield from _ids(each)


def _field(data: Any, path: Path) -> str:
    """A path as people read it: `camera.azimuth_deg`, `channel 'desk': topic`, `zones number 2`."""
    text = ""
    step: Any
    for step in path:
        data = data[step] if isinstance(data, dict | list) else None
        if isinstance(step, int):
            name = data.get("id") if isinstance(data, dict) else None
            text += f" {name!r}:" if isinstance(name, str) else f" number {step + 1}:"
        else:
            text += f" {step}" if text.endswith(":") else f".{step}" if text else step
    return text.removesuffix(":")


# ── in words ─────────────────────────────────────────────────────────────────────────────────────


def _mistakes(file: str, entry: str, kind: Any, data: Any, errors: list[Any]) -> Iterator[Mistake]:
    """Each error as a mistake; none for what only follows from another."""
    unions: set[Path] = set()
    meant = {
        (error["loc"][:-1], name)
        for error in errors
        if error["type"] == "extra_forbidden"
        for name in meant_names(str(error["loc"][-1]), _fields(kind, error["loc"]))
    }
    for error in errors:
        where, path = error["loc"], _path(data, error["loc"])
        if error["type"] == "missing" and (where[:-1], where[-1]) in meant:
            continue  # it is there, under a name that is noted already
        if where and where[-1] in BRANCHES and error["type"] not in ("missing", "extra_forbidden"):
            if path not in unions:  # each member of a union says that it is not it
                unions.add(path)
                wrong = f"is {_kind_of(error['input'])}."
                yield Mistake(file, entry, _field(data, path), wrong, "Write a number, true, false or text.")
            continue
        yield _mistake(file, entry, kind, data, path, error)


def _mistake(file: str, entry: str, kind: Any, data: Any, path: Path, error: Any) -> Mistake:
    type, context = error["type"], error.get("ctx", {})
    name = str(
        next((s for s in reversed(error["loc"]) if isinstance(s, str) and not s.startswith(("function-", "["))), "")
    )

    value = _without_secrets(name, error.get("input"))

    def at(wrong: str, hint: str = "", *more: str) -> Mistake:
        return Mistake(file, entry, ".".join(filter(None, [_field(data, path), *more])), wrong, hint)

    if type == "extra_forbidden":
        return at("is no field here.", _field_meant(name, value, _fields(kind, error["loc"])))
    if type == "missing":
        if isinstance(error["loc"][-1], int):
            return at(f"has {len(value)} of the numbers that belong there.", "Write them all.")
        return _joined(at("is missing.", f"Add {name} = …"), name)
    if type == "union_tag_not_found":
        return _joined(at("is missing.", nearest("", _tags(kind, error["loc"]))), "kind")
    if type == "union_tag_invalid":
        tag = str(context["tag"])
        return _joined(
            at(f"{tag!r} is none of the possible values.", nearest(tag, _quoted(context["expected_tags"]))), "kind"
        )
    if type in BOUNDS:
        return at(f"{_text(value)} is out of range.", _within(data, path, name, type, context, value))
    if type in MEANT_NUMBER:
        return at(*_number(name, type, value))
    if type == "value_error":
        subject = "" if isinstance(value, dict | list) else f"{_text(value)} "
        wrong, _, hint = str(context["error"]).partition("; ")
        return at(f"{subject}{wrong}.", f"{hint[:1].upper()}{hint[1:]}." if hint else "")
    return at(*_other(_field(data, path) if type.endswith("_type") else name, type, context, value))


def _field_meant(name: str, value: Any, fields: list[str]) -> str:
    """Which field was meant, and with which value where the name has another unit than ours."""
    other = other_unit(name, fields)
    if other is None:
        return nearest(name, fields)
    field, factor = other
    if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value * factor):
        return f"Write {field} = {value * factor:.10g}{_unit(field)}."
    return f"Did you mean {field!r}{_unit(field)}?"


def _without_secrets(name: str, value: Any) -> Any:
    """A value as it may be shown: logs and screens are read by more people than the configuration is."""
    if name in SECRET_FIELDS:
        return HIDDEN
    return PASSWORD_IN_URL.sub(f"//{HIDDEN}@", value) if isinstance(value, str) else value


def _joined(mistake: Mistake, name: str) -> Mistake:
    """With a field's name behind the place that it should be at."""
    glue = ": " if mistake.field.endswith(("'", '"')) or mistake.field[-1:].isdigit() else "."
    field = f"{mistake.field}{glue}{name}" if mistake.field else name
    return Mistake(mistake.file, mistake.entry, field, mistake.wrong, mistake.mend)


def _other(name: str, type: str, context: Any, value: Any) -> tuple[str, str]:  # noqa: PLR0912 - a table
    """What is wrong and what to write, for errors that take no more than the value to explain."""
    match type:
        case "finite_number":
            return f"{_text(value)} is no number to work with.", f"Write a number{_unit(name)}."
        case "literal_error" | "enum":
            return f"{_text(value)} is none of the possible values.", nearest(str(value), _quoted(context["expected"]))
        case "string_pattern_mismatch":
            form, hint = FORMS[context["pattern"]]
            return f"{_text(value)} {form}.", hint.format(suggestion=identifier_of(str(value)))
        case "string_type":
            return f"is {_kind_of(value)}, not text.", _in_quotes(value)
        case "string_too_short":
            return "is empty.", "Write something, or leave the field out where it may be left out."
        case "string_too_long":
            return f"has {len(value)} characters.", f"Write at most {context['max_length']}."
        case "string_unicode":
            return "holds characters that are none.", "Type it again."
        case "bool_type" | "bool_parsing":
            meant = str(value).strip().lower() in ("true", "yes", "on", "1", "si", "sí", "ja", "oui", "wahr")
            return (
                f"{_text(value)} is neither true nor false.",
                f"Write {'true' if meant else 'false'}, without quotes.",
            )
        case "list_type":
            if isinstance(value, dict):
                return "is one section.", f"Write [[{name}]] with two brackets: there may be several."
            inner = _text(value) if isinstance(value, str | int | float) else "…"
            return f"is {_kind_of(value)}, not a list.", f"Write [{inner}], in square brackets."
        case "tuple_type":
            return f"is {_kind_of(value)}, not a list of numbers.", "Write them in square brackets, as [0.1, 0.2]."
        case "too_short":
            return "is empty." if not value else f"has {len(value)} values.", f"Write at least {context['min_length']}."
        case "too_long":
            return f"has {len(value)} values.", f"Write {context['max_length']}."
        case "model_type" | "model_attributes_type" | "dict_type":
            where = f"[{name}], or {name} = {{ … }}," if name else "[[…]]"
            return f"is {_kind_of(value)}, not a section with fields of its own.", f"Write {where} and its fields."
        case _:
            return f"{_text(value)} cannot be used here.", "Compare it with the shipped example in configs/."


def _number(name: str, type: str, value: Any) -> tuple[str, str]:
    whole = type.startswith("int")
    number = "whole number" if whole else "number"
    if isinstance(value, str):
        wrong, meant = number_meant(name, value)
        if meant and not (whole and "." in meant):
            return wrong, f"Write {meant}{_unit(name)}, without quotes."
        return wrong, f"Write a {number}{_unit(name)}."
    if whole and isinstance(value, float):
        hint = f"Write {value:.0f}." if value.is_integer() else "Write a whole number."
        return f"{_text(value)} is no whole number.", hint
    return f"is {_kind_of(value)}, not a {number}.", f"Write a {number}{_unit(name)}."


def _within(data: Any, path: Path, name: str, type: str, context: Any, value: Any) -> str:
    """Which numbers are in range; and what was probably meant."""
    key, words = BOUNDS[type]
    limit, number = context[key], float(value)  # a CSV has it as text
    inside = f"Write a number {words} {limit:.10g}{_unit(name)}."
    if limit == 1 and key == "le" and not unit_of(name) and 1 < number <= 100:
        return f"{inside} For {number:g} % write {number / 100:g}."
    beside = _at(data, path[:-1]) if path else None
    other = beside.get(name.replace("lat", "lon")) if isinstance(beside, dict) else None
    if name in COORDINATES and abs(number) > 1000:
        return f"{inside} It looks like metres on a map's grid, such as UTM: a converter makes decimal degrees of them."
    if name.endswith("lat") and abs(number) <= 180 and _is_latitude(other):
        return f"{inside} Latitude and longitude look exchanged."
    return inside


def _is_latitude(value: Any) -> bool:
    try:
        return abs(float(value)) <= 90
    except (TypeError, ValueError):
        return False


def _unit(name: str) -> str:
    unit = unit_of(name)
    return f", {unit}" if unit else ""


def _text(value: Any) -> str:
    """A value as the file writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list | tuple) or value is None:
        return _kind_of(value)
    text = value.isoformat() if isinstance(value, date | time) else repr(value)
    return text if len(text) <= 60 else f"{text[:50]}…"


def _kind_of(value: Any) -> str:
    """What a value is, with an article."""
    if isinstance(value, bool):
        return "true" if value else "false"
    match value:
        case None:
            return "nothing"
        case dict():
            return "a section with fields"
        case list() | tuple():
            return "a list"
        case datetime() | date() | time():
            return f"the date {value.isoformat()}" if not isinstance(value, time) else f"the time {value.isoformat()}"
        case str():
            return f"the text {_text(value)}"
        case _:
            return f"the number {_text(value)}"


def _in_quotes(value: Any) -> str:
    if isinstance(value, bool | int | float | date | time):
        text = value.strftime("%H:%M") if isinstance(value, time) else _text(value)
        return f'Write "{text}", in quotes.'
    return "Write one text, in quotes."


def identifier_of(text: str) -> str:
    """The nearest thing to a text that may be an id."""
    plain = unicodedata.normalize("NFKD", text.translate(TYPED)).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9_.-]+", "-", plain).strip("-_.") or "west-1"


def _quoted(expected: object) -> list[str]:
    """The words in pydantic's `'a', 'b' or 'c'`."""
    return re.findall(r"'([^']*)'", str(expected))


# ── what the schema would have allowed ───────────────────────────────────────────────────────────


def _fields(kind: Any, where: tuple[int | str, ...]) -> list[str]:
    """The field names that are allowed beside the last step of `where`."""
    return sorted(
        {info.alias or name for model in _models_at(kind, where[:-1]) for name, info in model.model_fields.items()}
    )


def _tags(kind: Any, where: tuple[int | str, ...]) -> list[str]:
    """The values of `kind` that are possible at a place."""
    models = [m for m in _models_at(kind, where) if "kind" in m.model_fields]
    return list(dict.fromkeys(tag for m in models for tag in get_args(m.model_fields["kind"].annotation)))


def _models_at(kind: Any, where: tuple[int | str, ...]) -> list[type[BaseModel]]:
    models = _models_in(kind)
    for step in where:
        inner = [
            m for model in models if step in model.model_fields for m in _models_in(model.model_fields[step].annotation)
        ]
        chosen = [m for m in models if "kind" in m.model_fields and step in get_args(m.model_fields["kind"].annotation)]
        models = inner or chosen or models
    return models


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """Every model that an annotation mentions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models_in(inner)]
