"""Tables on a terminal of any width. Nothing is cut: a key stays whole, words wrap, what has no room is left out and named.

Into a file or a pipe a table is as wide as it has to be, unless COLUMNS says how wide.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from runtime.terminal import Terminal, terminal

Cell = str | Text
FRAME = 3  # a column's border and the blanks beside it; one more at the end
WORDS_MIN = 18  # a column of sentences is not made narrower than this while others can be left out
UNBOUNDED = 10_000


@dataclass(frozen=True)
class Column:
    """One column. `leaves` is the order in which columns are left out for want of room, 1 first; 0: never."""

    name: str
    leaves: int = 0
    words: bool = False  # sentences, which wrap at their blanks
    time: bool = False  # a day and a time of day, which wrap at the blank between; all else stands in one line


def print_table(columns: Sequence[Column], rows: Iterable[Sequence[Cell]], title: str = "", nothing: str = "") -> None:
    """On standard output; on standard error, which columns were left out, or `nothing` where there is no row."""
    console = output()
    cells = [[_text(cell) for cell in row] for row in rows]
    if not cells:
        _say(nothing)
        return
    per_column = [[Text(c.name), *(row[i] for row in cells)] for i, c in enumerate(columns)]
    natural = [max(map(line_len, column)) for column in per_column]
    tight = [_tight(c, column) for c, column in zip(columns, per_column, strict=True)]
    least = [min(n, max(t, WORDS_MIN)) if c.words else t for c, n, t in zip(columns, natural, tight, strict=True)]
    kept = columns_kept(columns, least, console.width)
    table = Table(title=title or None)
    wide, narrow, narrowest = ([each[i] for i in kept] for each in (natural, least, tight))
    widths = widths_in(wide, narrow, narrowest, console.width)
    for i, width in zip(kept, widths, strict=True):
        table.add_column(columns[i].name, width=width, overflow="fold")
    for row in cells:
        table.add_row(*(row[i] for i in kept))
    console.print(table)
    absent = [column.name for i, column in enumerate(columns) if i not in kept]
    if absent:
        _say(f"Left out, since {console.width} columns have no room for it: {', '.join(absent)}.")


def _say(words: str) -> None:
    if words:
        terminal(stderr=True).print(words, markup=False)


def output() -> Console:
    """Standard output, as wide as the terminal."""
    console = Terminal(highlight=False)
    if not console.is_terminal and not os.environ.get("COLUMNS", "").isdigit():
        console.width = UNBOUNDED
    return console


def columns_kept(columns: Sequence[Column], least: Sequence[int], width: int) -> list[int]:
    """Which columns have room, by their places, if each is at least so wide."""
    kept = list(range(len(columns)))
    for i in sorted((i for i in kept if columns[i].leaves), key=lambda i: columns[i].leaves):
        if sum(least[k] + FRAME for k in kept) + 1 <= width:
            break
        kept.remove(i)
    return kept


def widths_in(natural: Sequence[int], least: Sequence[int], tight: Sequence[int], width: int) -> list[int]:
    """How wide each column is: what it needs at least, and a share of the rest.

    Where that is too much, sentences are as tight as their longest words; where that is too much, keys wrap as well.
    """
    room = width - 1 - FRAME * len(natural)
    needed = least if sum(least) <= room else tight
    if sum(needed) > room:
        return [max(1, share) for share in shares_of(room, needed)]
    more = shares_of(room - sum(needed), [n - m for n, m in zip(natural, needed, strict=True)])
    return [m + share for m, share in zip(needed, more, strict=True)]


def shares_of(room: int, needs: Sequence[int]) -> list[int]:
    """What each gets of a room in which not all have what they need: nobody more than that, and who needs more the same."""
    shares = [0] * len(needs)
    by_need = sorted(range(len(needs)), key=lambda i: needs[i])
    for left, i in zip(range(len(needs), 0, -1), by_need, strict=True):
        shares[i] = min(needs[i], room // left)
        room -= shares[i]
    return shares


def line_len(cell: Text) -> int:
    """The longest line of a cell."""
    return max((line.cell_len for line in cell.split("\n")), default=0)


def _tight(column: Column, cells: Sequence[Text]) -> int:
    """How narrow a column can be without breaking a key or a word."""
    if not column.words and not column.time:
        return max(map(line_len, cells))
    return max((cell_len(word) for cell in cells for word in cell.plain.split()), default=1)


def _text(cell: Cell) -> Text:
    """What stands in a table is data, not markup."""
    return cell if isinstance(cell, Text) else Text(cell)
