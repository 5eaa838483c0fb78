"""What a command is asked for: a time, a box, names that the site knows. What is none is a sentence with the nearest one."""

import time
from collections.abc import Iterable
from math import isfinite

import typer

from model.tracks import key_of
from runtime.crosscheck import matcher_values
from runtime.entries import Configuration
from runtime.mistakes import nearest
from runtime.time_span import BadSpan, Span, span_of

FROM_HELP = (
    "2026-11-25, '2026-11-25 14:00' (the site's time zone), 2026-11-25T21:00:00Z, or 24h or 7d back from now; "
    "a day before --to unless given"
)
TO_HELP = "As --from; a date is that whole day; now unless given"
BOX_HELP = "south,west,north,east in degrees"
Box = tuple[float, float, float, float]


def span_asked(c: Configuration, beginning: str, end: str) -> Span:
    """What --from and --to name."""
    try:
        return span_of(beginning, end, c.site.site.time_zone, time.time_ns())
    except BadSpan as error:
        raise typer.BadParameter(str(error)) from error


def box_asked(text: str) -> Box | None:
    """What --box names; None where nothing is."""
    if not text:
        return None
    try:
        numbers = [float(part) for part in text.replace(";", ",").split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 4 or not all(map(isfinite, numbers)):
        raise typer.BadParameter(f"--box takes four numbers, {BOX_HELP}: 31.33,-110.63,31.37,-110.57, not {text!r}.")
    south, west, north, east = numbers
    wrong = ""
    if max(abs(south), abs(north)) > 90:
        wrong = f"latitude {south if abs(south) > 90 else north:g} is beyond 90: latitude and longitude look exchanged"
    elif max(abs(west), abs(east)) > 180:
        wrong = "a longitude is beyond 180"
    elif south >= north:
        wrong = f"the south, {south:g}, is not below the north, {north:g}"
    elif west >= east:
        wrong = f"the west, {west:g}, is not below the east, {east:g}"
    if wrong:
        raise typer.BadParameter(f"--box {text}: {wrong}. Write {BOX_HELP}.")
    return south, west, north, east


def track_asked(name: str) -> str:
    """What --track names."""
    try:
        key_of(name)
    except ValueError as error:
        raise typer.BadParameter(
            f"{name!r} is no track's name: T and 13 digits and capitals, as `marchwarden history SITE tracks` shows them."
        ) from error
    return name


def one_of(value: str, known: Iterable[str], what: str) -> str:
    """A name that is known. Any other is refused, with the nearest that is."""
    known = list(known)
    if value and value not in known:
        raise typer.BadParameter(f"{value!r} is no {what}. {nearest(value, known)}")
    return value


def agency_asked(c: Configuration, agency: str) -> str:
    return one_of(agency, [w.value.id for w in c.agencies], "agency")


def matchers_asked(c: Configuration, words: Iterable[str], fields: tuple[str, ...]) -> dict[str, str]:
    """`field=value` of each word, with values that something can have."""
    possible, pairs = matcher_values(c), dict[str, str]()
    for word in words:
        field, equals, values = word.partition("=")
        if not equals or not values:
            raise typer.BadParameter(f"{word!r} is no field=value; fields are {', '.join(fields)}.")
        one_of(field, fields, "field of an alert")
        if field in pairs:
            raise typer.BadParameter(f"{field} stands twice; write {field}={pairs[field]},{values} for either.")
        for value in values.split(",") if field in possible else ():
            if not possible[field].fits(value):
                one_of(value, possible[field].values, possible[field].what)
        pairs[field] = values
    return pairs
