"""What a technician types where a number belongs: units behind it, a decimal comma, degrees and minutes, quotes."""

import re
from collections.abc import Collection
from math import isfinite

# The end of a field's name → how its unit is called, and what other units are in it. The longest end that fits counts.
FIELD_UNITS: dict[str, tuple[str, dict[str, float]]] = {
    "_mps": (
        "in metres per second",
        {
            "m/s": 1,
            "mps": 1,
            "km/h": 1 / 3.6,
            "kmh": 1 / 3.6,
            "kph": 1 / 3.6,
            "mph": 0.44704,
            "kn": 0.514444,
            "kt": 0.514444,
        },
    ),
    "_per_km2": ("for each km²", {"/km2": 1, "/km²": 1}),
    "_per_s": ("a second", {"/s": 1, "hz": 1, "/min": 1 / 60, "fps": 1}),
    "_per_hour": ("an hour", {"/h": 1, "/d": 1 / 24, "/day": 1 / 24}),
    "_minute": ("a minute", {"/min": 1}),
    "_m": (
        "in metres",
        {
            "m": 1,
            "meter": 1,
            "meters": 1,
            "metre": 1,
            "metres": 1,
            "km": 1000,
            "cm": 0.01,
            "ft": 0.3048,
            "feet": 0.3048,
            "'": 0.3048,
        }
        | {"mi": 1609.344, "mile": 1609.344, "miles": 1609.344, "nm": 1852, "yd": 0.9144},
    ),
    "_s": (
        "in seconds",
        {
            "s": 1,
            "sec": 1,
            "secs": 1,
            "second": 1,
            "seconds": 1,
            "ms": 0.001,
            "m": 60,
            "min": 60,
            "mins": 60,
            "minute": 60,
        }
        | {
            "minutes": 60,
            "h": 3600,
            "hr": 3600,
            "hour": 3600,
            "hours": 3600,
            "d": 86_400,
            "day": 86_400,
            "days": 86_400,
        },
    ),
    "_minutes": ("in minutes", {"s": 1 / 60, "min": 1, "minute": 1, "minutes": 1, "h": 60, "hour": 60, "hours": 60}),
    "_hours": ("in hours", {"min": 1 / 60, "h": 1, "hr": 1, "hour": 1, "hours": 1, "d": 24, "day": 24, "days": 24}),
    "_days": ("in days", {"h": 1 / 24, "d": 1, "day": 1, "days": 1, "w": 7, "week": 7, "weeks": 7}),
    "_deg": ("in degrees", {"°": 1, "deg": 1, "degree": 1, "degrees": 1, "rad": 57.29577951308232}),
    "_px": ("in pixels", {"px": 1, "pixel": 1, "pixels": 1}),
    "bytes_max": ("in bytes", {"b": 1, "kb": 1000, "kib": 1024, "mb": 1_000_000, "mib": 1_048_576}),
    "_s_max": ("in seconds", {"s": 1, "min": 60, "h": 3600}),
    "lat": ("in degrees", {"°": 1, "deg": 1}),
    "lon": ("in degrees", {"°": 1, "deg": 1}),
}
COORDINATES = ("lat", "lon", "to_lat", "to_lon")
BARE = ("", {"%": 0.01})  # shares and counts
NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
QUANTITY = re.compile(rf"({NUMBER})\s*([^\d\s].*)?")
DECIMAL_COMMA = re.compile(r"([+-]?\d+),(\d+)")
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(?:([ '.,])\d{3})(?:\1\d{3})*(?:[.,]\d+)?")
TWO_NUMBERS = re.compile(rf"({NUMBER})\s*[,;/\s]\s*({NUMBER})")
GRID_REFERENCE = re.compile(r"\d{1,2}\s?[C-HJ-NP-X]\s?(?:[A-HJ-NP-Z]{2}\s?(?:\d\s?){2,10}|\d{5,7}\D+\d{6,8}.*)")
# What word processors, phones and label printers write for what a number is written with.
TYPED = str.maketrans(
    {**dict.fromkeys("−–—‐‑", "-"), **dict.fromkeys("’‘´`′", "'"), **dict.fromkeys("“”″", '"'), "º": "°"}
)
SEXAGESIMAL = re.compile(
    r"([+-]?\d+(?:\.\d+)?)\s*[°d:\s]\s*(?:(\d+(?:\.\d+)?)\s*['′’m:\s]?\s*)?(?:(\d+(?:\.\d+)?)\s*(?:\"|″|''|s)?\s*)?([NSEW]?)"
)
HEMISPHERE = re.compile(rf"([NSEW]?)\s*({NUMBER})\s*°?\s*([NSEW]?)")


def unit_of(field: str) -> str:
    """How the unit of a field is called, as `in metres`; empty where it has none."""
    return _units(field)[0]


def _units(field: str) -> tuple[str, dict[str, float]]:
    ends = [end for end in FIELD_UNITS if field.endswith(end)]
    return FIELD_UNITS[max(ends, key=len)] if ends else BARE


def number_meant(field: str, text: str) -> tuple[str, str]:
    """What is wrong with a text where a number belongs, and the number to write instead; that is empty where none shows."""
    if not text.strip():
        return "is empty.", ""
    wrong, meant = number_slip(field, text)
    return f"{text.strip()!r} {wrong}", meant


def number_slip(field: str, text: str) -> tuple[str, str]:
    """The same, of a text that is not empty, without the text itself."""
    typed = re.sub(r"\s", " ", text).strip().translate(TYPED).replace('""', '"')
    if field in COORDINATES:
        found = _coordinate(field, typed)
        if found is not None:
            return found
    elif THOUSANDS.fullmatch(typed):
        return _thousands(typed)
    comma = DECIMAL_COMMA.fullmatch(typed)
    if comma:
        return "has a comma.", f"{comma[1]}.{comma[2]}"
    quantity = QUANTITY.fullmatch(typed)
    if quantity is None:
        return "is no number.", ""
    number, unit = float(quantity[1]), (quantity[2] or "").strip()
    if not unit:
        if typed.startswith("-") and not text.strip().startswith("-"):
            return "has a dash where a minus belongs.", quantity[1]
        return "is text, since it stands in quotes.", quantity[1]
    factor = next((f for u, f in _units(field)[1].items() if unit.lower() == u), None)
    if factor is None or not isfinite(number * factor):
        return "is no number.", ""
    return "has a unit.", f"{number * factor:.10g}"


def _coordinate(field: str, text: str) -> tuple[str, str] | None:
    """What is wrong with a coordinate that is no number, as far as it is one of what people write for one."""
    degrees = _degrees(text)
    if degrees is not None:
        return "is not in decimal degrees.", f"{round(degrees, 6):.10g}"
    both = TWO_NUMBERS.fullmatch(text)
    if both and not DECIMAL_COMMA.fullmatch(text):
        return "holds two numbers: lat has one and lon the other.", both[1] if field.endswith("lat") else both[2]
    if GRID_REFERENCE.fullmatch(text.upper()):
        return "is a place on a map's grid (MGRS or UTM): a converter makes decimal degrees of it.", ""
    if re.search(r"\d.*O$", text.upper()) and _degrees(text[:-1] + "E") is not None:
        return "ends in O, which is west in Spanish and east in German: west is negative.", ""
    return None


def _thousands(text: str) -> tuple[str, str]:
    marks = re.findall(r"[ '.,]", text)
    if marks == [","]:
        return f"may be {text.replace(',', '')} or {text.replace(',', '.')}: thousands have no mark.", ""
    if marks == ["."]:
        return "is text, since it stands in quotes.", text
    decimals = f".{re.split(r'[.,]', text)[-1]}" if marks[-1] != marks[0] else ""
    whole = re.sub(r"[ '.,]", "", text[: len(text) - len(decimals)])
    return "has marks between the thousands.", whole + decimals


def other_unit(name: str, fields: Collection[str]) -> tuple[str, float] | None:
    """The field that a name with a unit of its own means, as range_ft or `range (ft)`, and what one of that unit is in it."""
    found = re.fullmatch(r"(.+?)[\s_]*[(\[]\s*(.+?)\s*[)\]]|(.+)_([a-z]+)", name.strip())
    if found is None:
        return None
    base, unit = (found[1] or found[3]).strip().lower().replace(" ", "_"), (found[2] or found[4]).lower()
    for end, (_, units) in sorted(FIELD_UNITS.items()):
        field = end if end == base else base + end
        if field in fields and unit in units:
            return field, units[unit]
    return None


def _degrees(text: str) -> float | None:
    """Decimal degrees from `31°20'15"N`, `31 20.25 N`, `W110.6` and their like; None for a plain number or for none of them."""
    upper = re.sub(r"(?<=\d),(?=\d)", ".", text.upper())
    side = HEMISPHERE.fullmatch(upper)
    if side and (side[1] or side[3]) and not (side[1] and side[3]):
        sign = -1 if (side[1] or side[3]) in "SW" else 1
        return sign * float(side[2])
    found = SEXAGESIMAL.fullmatch(upper)
    if found is None or not (found[2] or found[4]) or max(float(found[2] or 0), float(found[3] or 0)) >= 60:
        return None
    degrees = abs(float(found[1])) + float(found[2] or 0) / 60 + float(found[3] or 0) / 3600
    south_or_west = found[1].startswith("-") or (found[4] and found[4] in "SW")
    return -degrees if south_or_west else degrees
