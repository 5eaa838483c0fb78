"""CSV files as spreadsheets save them: a heading, then a row an entry; comma, semicolon or tab between the cells."""

import csv
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import islice

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")


@dataclass(frozen=True)
class Row:
    """One entry."""

    line: int  # of the file, from 1
    cells: dict[str, str]  # column → text, trimmed; empty cells are left out


@dataclass(frozen=True)
class RowMistake:
    """What is wrong with a line, or with the file (line 0)."""

    line: int
    column: str
    wrong: str
    hint: str


@dataclass
class Sheet:
    """What a CSV file says, as far as it can be read."""

    columns: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    mistakes: list[RowMistake] = field(default_factory=list)
    decimal_comma: bool = False  # numbers may have a comma where others have a point


def sheet_of(text: str, fields: Collection[str]) -> Sheet:
    """The rows of a CSV text whose columns may be `fields`; what cannot be read is in `mistakes`."""
    lines = text.split("\n")
    first = next((n for n, line in enumerate(lines) if line.strip() and not line.lower().startswith("sep=")), None)
    if first is None:
        return Sheet(mistakes=[RowMistake(0, "", "is empty.", "Write a first line with the names of the columns.")])
    separator = _separator(lines[first], fields)
    sheet = Sheet(decimal_comma=separator == ";")
    records = _records(lines, first, separator, sheet)
    _, sheet.columns = next(records, (0, []))
    if not set(sheet.columns) & set(fields):
        wrong = "names no field in its first line."
        hint = f"Begin it with a line of column names, such as {separator.join(list(fields)[:3])}."
        return Sheet(mistakes=[RowMistake(first + 1, "", wrong, hint)])
    twice = sorted({c for c in sheet.columns if c and sheet.columns.count(c) > 1})
    if twice:  # which of the two is meant, nobody knows
        return Sheet(
            mistakes=[RowMistake(first + 1, column, "is a column twice.", "Leave one out.") for column in twice]
        )
    unnamed: dict[int, int] = {}  # column → the first line that has something in it
    for line, cells in records:
        row = _row(sheet, line, cells, separator)
        if row is not None:
            sheet.rows.append(row)
            for at, (column, cell) in enumerate(zip(sheet.columns, cells, strict=False), 1):
                if cell and not column:
                    unnamed.setdefault(at, line)
    for at, line in unnamed.items():
        wrong = f"has no name for column {at}, which holds something in line {line}."
        sheet.mistakes.append(RowMistake(first + 1, "", wrong, "Name the column, or empty it."))
    return sheet


def _separator(heading: str, fields: Collection[str]) -> str:
    """What stands between the cells: what cuts the heading into most names of fields."""

    def names(separator: str) -> int:
        return sum(name.strip(' "') in fields for name in heading.split(separator))

    return max(SEPARATORS, key=names)  # of equals the first


def _records(lines: list[str], first: int, separator: str, sheet: Sheet) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of each record; a quotation mark that spoils one is noted, and the lines after it still come."""
    at = first
    while at < len(lines):
        begins = at + 1
        reader = csv.reader((line + "\n" for line in islice(lines, at, None)), delimiter=separator, strict=True)
        try:
            for cells in reader:
                if any("\n" in cell for cell in cells):
                    raise csv.Error("unexpected end of data")
                yield begins, [cell.strip() for cell in cells]
                begins = at + reader.line_num + 1
        except csv.Error as error:
            sheet.mistakes.append(_quoting(begins, str(error)))
            at = begins
        else:
            return


def _quoting(line: int, message: str) -> RowMistake:
    if "field larger" in message:
        return RowMistake(line, "", "has a cell of more than 100,000 characters.", "Shorten it.")
    if "expected after" in message:
        wrong = "has a quotation mark inside a cell."
        return RowMistake(line, "", wrong, 'Leave it out, or write it twice in a cell that is quoted: "a ""b"" c".')
    wrong = "has a quotation mark that is not closed: all lines up to the next one would be one cell."
    return RowMistake(line, "", wrong, "Leave it out, or close it.")


def _row(sheet: Sheet, line: int, cells: list[str], separator: str) -> Row | None:
    if not any(cells):
        return None
    if any(cells[len(sheet.columns) :]):
        wrong = f"has {len(cells)} cells, more cells than the header has columns ({len(sheet.columns)})."
        hint = f"Look for a stray {SEPARATORS[separator]}; put a cell with one in it in quotes."
        sheet.mistakes.append(RowMistake(line, "", wrong, hint))
        return None
    named = {column: cell for column, cell in zip(sheet.columns, cells, strict=False) if column and cell}
    return Row(line, named)
