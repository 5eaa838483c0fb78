"""TOML files of a site folder: their sections with the lines where they begin, and every syntax error at once.

`tomllib` stops at the first error. The file is then cut at its top-level headings and each part is read by itself, so that
one missing quotation mark does not hide what is wrong in the rest.
"""

import re
import tomllib
import unicodedata
from dataclasses import dataclass, field
from typing import Any

from runtime.quantities import number_slip, unit_of

HEADING = re.compile(r"^[ \t]*(\[{1,2})[ \t]*[\"']?([\w-]+)[\"']?[ \t]*(?:\]|#|$)", re.MULTILINE)
WRITTEN_ID = re.compile(r"^[ \t]*id[ \t]*=[ \t]*[\"']([^\"'\n]+)", re.MULTILINE)
SECRET = re.compile(r"(?:password|token|secret)\w*\s*[=:]?\s*")
ASSIGNMENT = re.compile(r"([\w-]+)\s*([=:])([^#]*)")
PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")

# How tomllib's messages begin, and what a technician is told instead: what is wrong, what to write.
SENTENCES = (
    ("Expected '=' after a key", "has no '=' after the name.", "Write name = value."),
    (
        "Expected newline or end of document",
        "has something behind the value.",
        'Put text in quotes, write 31.5 with a point, leave units out, and begin a remark with "#".',
    ),
    (
        "Invalid value",
        "has no value that can be read.",
        'Write a number, true, false, or text in quotes: name = "text".',
    ),
    ("Unterminated string", "has a text that is not closed.", "End it with the quotation mark that it begins with."),
    (
        "Illegal character '\\n'",
        "has a text that is not closed.",
        "End it with the quotation mark that it begins with.",
    ),
    ("Illegal character", "holds a character that cannot be seen.", "Type the line again."),
    ("Found invalid character", "holds a character that cannot be seen.", "Type the line again."),
    ("Unescaped '\\'", "has a backslash in a text.", "Put the text in single quotes: 'C:\\map'."),
    ("Escaped character", "has a backslash in a text.", "Put the text in single quotes: 'C:\\map'."),
    ("Invalid hex value", "has a backslash in a text.", "Put the text in single quotes: 'C:\\map'."),
    ("Invalid date or datetime", "has a date that does not exist.", 'Write it in quotes: "2026-12-25".'),
    ("Unclosed array", "has a list that is not closed, or a comma is missing in it.", 'Write ["a", "b"].'),
    (
        "Unclosed inline table",
        "has a table that is not closed, or a comma is missing in it.",
        "Write { a = 1, b = 2 } on one line.",
    ),
    ("Duplicate inline table key", "has a name twice.", "Leave one out."),
    ("Cannot overwrite a value", "has a name that is there already.", "Leave one out."),
    ("Cannot declare", "has a heading that is there already.", "Put both sections into one."),
    ("Cannot redefine", "has a name that is there already, with another kind of value.", "Leave one out."),
    ("Cannot mutate", "has a name that is there already, with another kind of value.", "Leave one out."),
    ("Expected ']' at the end", "has a heading that is not closed.", "Write [section]."),
    ("Expected ']]' at the end", "has a heading that is not closed.", "Write [[section]]."),
    (
        "Invalid initial character",
        "has no name that can be read.",
        "Begin a remark with '#', and a field with its name.",
    ),
    ("Invalid statement", "is neither a field nor a heading.", "Begin a remark with '#', and a field with its name."),
    (
        "There is no nest",
        "has a heading that does not fit those before it.",
        "Put it below the section that it is part of.",
    ),
)
SEVERAL = "is cut off or wrongly nested.", "Compare it with the shipped example in configs/."


@dataclass(frozen=True)
class SyntaxMistake:
    """What cannot be read in a TOML file."""

    line: int  # from 1
    text: str  # the line as written
    wrong: str
    hint: str


@dataclass
class Sections:
    """What a TOML file says, as far as it can be read."""

    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, list[int]] = field(default_factory=dict)  # of the headings, by top-level name
    mistakes: list[SyntaxMistake] = field(default_factory=list)
    lost: set[str] = field(default_factory=set)  # top-level names of parts that cannot be read
    lost_ids: set[str] = field(default_factory=set)  # ids written in them
    lost_unnamed: set[str] = field(default_factory=set)  # top-level names of those in which no id is written


def sections_of(text: str) -> Sections:
    """The sections of a TOML text, each with the line of its heading; what cannot be read is in `mistakes`."""
    try:
        return Sections(_parsed(text), _heading_lines(text))
    except (ValueError, RecursionError, KeyError) as error:
        whole = _mistake(text, 1, error)
    sections = _by_part(text)
    if not sections.mistakes:  # each part can be read, and they cannot stand together
        sections.mistakes.append(whole)
    return sections


def _parsed(text: str) -> dict[str, Any]:
    return tomllib.loads(text)


def _heading_lines(text: str) -> dict[str, list[int]]:
    lines: dict[str, list[int]] = {}
    for heading in HEADING.finditer(text):
        lines.setdefault(heading[2], []).append(text.count("\n", 0, heading.start(1)) + 1)
    return lines


def _by_part(text: str) -> Sections:
    """Each part from one top-level heading to the next, read by itself."""
    sections, headings = Sections(), list(HEADING.finditer(text))
    starts = [0, *(h.start() for h in headings), len(text)]
    for heading, start, end in zip([None, *headings], starts, starts[1:], strict=False):
        part, line = text[start:end], text.count("\n", 0, start) + 1
        try:
            said = _parsed(part)
        except (ValueError, RecursionError, KeyError) as error:
            sections.mistakes.append(_mistake(part, line, error))
            names = {heading[2]} if heading else set(re.findall(r"^\s*([\w-]+)\s*=", part, re.MULTILINE))
            ids = set(WRITTEN_ID.findall(part))
            sections.lost |= names
            sections.lost_ids |= ids
            sections.lost_unnamed |= set() if ids else names
            continue
        for name, value in said.items():
            _add(sections, part, line, name, value)
    return sections


def _add(sections: Sections, part: str, line: int, name: str, value: Any) -> None:
    """Add what a part says. [x] and [[x]] are taken for several of one kind, which the first of them should say."""
    there, lines = sections.values.get(name), sections.lines.setdefault(name, [])
    lines.append(line)
    if there is None:
        sections.values[name] = value
        return
    if isinstance(there, list) and isinstance(value, list):
        there.extend(value)
        return
    heading = part.strip("\n").partition("\n")[0]
    if isinstance(there, dict) and isinstance(value, dict):
        wrong = f"has a heading that is there already, at line {lines[0]}."
        sections.mistakes.append(SyntaxMistake(line, heading, wrong, f"Put both sections [{name}] into one."))
        sections.lost_unnamed.add(name)
        return
    single, heading = (lines[0], f"[{name}]") if isinstance(there, dict) else (line, heading)
    wrong = "has one pair of brackets, and others of its kind have two."
    sections.mistakes.append(SyntaxMistake(single, heading, wrong, f"Write [[{name}]]."))
    sections.values[name] = [*_several(there), *_several(value)]


def _several(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _mistake(part: str, first_line: int, error: Exception) -> SyntaxMistake:
    """An error of tomllib in other words, with the line that it is about."""
    message, lines = str(error), part.split("\n")
    found = PLACE.search(message)
    number = int(found[1]) if found and found[1] else len(part.rstrip("\n").split("\n"))
    text = lines[min(number, len(lines)) - 1].strip(" \t\n")
    wrong, hint = next(((w, h) for begins, w, h in SENTENCES if message.startswith(begins)), SEVERAL)
    if "digits" in message:
        wrong, hint = "has a number that is too long.", "Write fewer digits."
    else:
        wrong, hint = _slip(text) or (wrong, hint)
    secret = SECRET.match(text)
    if secret:  # screens and logs are read by more people than the file is
        text, hint = f"{secret[0]}…", 'Write one line, name = "text".'
    return SyntaxMistake(first_line + number - 1, text[:60], wrong, hint)


def _slip(line: str) -> tuple[str, str] | None:
    """What was done to a line that people type in an editor or paste from elsewhere; None where nothing known shows."""
    if line.startswith(("<<<<<<<", "=======", ">>>>>>>")):
        return "is a mark between two versions of the file.", "Keep one of them, and remove the marks."
    unseen = [c for c in line if unicodedata.category(c) in ("Cc", "Cf", "Zs") and c not in " \t"]
    if unseen:
        return f"holds a character that cannot be seen (U+{ord(unseen[0]):04X}).", "Type the line again."
    assignment = ASSIGNMENT.match(line)
    name, sign, value = assignment.groups() if assignment else ("", "=", "")
    value = value.strip()
    if sign == ":":
        return "has a colon after the name.", f"Write {name} = {value}"[:80]
    if value[:1] not in tuple("\"'[{"):
        found = _bare_value(name, value)
        if found is not None:
            return found
    if any(mark in line for mark in "“”„‘’«»"):
        return "has typographic quotation marks.", 'Write straight ones: "text".'
    if re.search(r"\d,\d", line) and not value.startswith("["):
        return "has a comma in a number.", "Write it with a point: 31.5."
    return None


def _bare_value(name: str, value: str) -> tuple[str, str] | None:
    """What is wrong with a value that stands without quotes or brackets."""
    if value[-1:] in (";", ",") and value[:-1].strip():
        return f"ends in '{value[-1]}'.", "Leave it out."
    if value in ("true", "false"):
        return None
    if value.lower() in ("true", "yes", "on", "false", "no", "off"):
        return (
            f"has {value!r} where true or false belongs.",
            f"Write {str(value.lower() in ('true', 'yes', 'on')).lower()}.",
        )
    if re.match(r"[-+.\d−–—]", value):
        wrong, meant = number_slip(name, value)
        if meant and meant != value:
            return wrong, f"Write {meant}{f', {unit_of(name)}' if unit_of(name) else ''}."
        return (wrong, "Write one number.") if wrong.startswith("may be") else None
    if re.fullmatch(r"[^\W\d_][\w .@:/-]*", value):
        return "has a text without quotation marks.", f'Write {name} = "{value}"'[:80]
    return None
