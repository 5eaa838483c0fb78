"""What may come from outside: the type and the bound of every number and text that a decoder reads, in one place.

Formats declare their fields with these types, so that msgspec refuses what lies beyond as it decodes. What arrives in another
way (the text of an XML attribute, a value at a configured path) goes through `converted`. No number reaches a calculation
without one of them.
"""

import re
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from model.rejections import Reason
from model.time import MS, ns_from_iso, ns_from_seconds

T = TypeVar("T")

Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]
SigmaM = Annotated[float, Meta(gt=0, le=1e5)]
VarianceM2 = Annotated[float, Meta(ge=-1e10, le=1e10)]  # or a covariance; that it is positive is tested with the others
BearingDeg = Annotated[float, Meta(ge=-720, le=720)]
SigmaDeg = Annotated[float, Meta(gt=0, le=360)]
RangeM = Annotated[float, Meta(ge=0, le=1e6)]
SpeedMps = Annotated[float, Meta(ge=-1e5, le=1e5)]  # what is negative says that it is not known
Pixel = Annotated[float, Meta(ge=-1e6, le=1e6)]
Share = Annotated[float, Meta(ge=0, le=1)]
Percent = Annotated[float, Meta(ge=0, le=100)]
Weight = Annotated[float, Meta(ge=-1e12, le=1e12)]  # of any scale
EpochS = Annotated[float, Meta(ge=-1e11, le=1e11)]  # to the year 5138
EpochMs = Annotated[float, Meta(ge=-1e14, le=1e14)]
TimeText = Annotated[str, Meta(max_length=64)]
Name = Annotated[str, Meta(max_length=256)]
Label = Annotated[str, Meta(max_length=64)]
PlateRead = Annotated[str, Meta(max_length=64)]
Identity = Annotated[str, Meta(max_length=256)] | Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]

WORDS = {
    "float": "a number",
    "int": "a whole number",
    "str": "a text",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_BOUND = re.compile(r"Expected `\w+`(?P<length> of length)? (?P<sign><=|>=|<|>) (?P<limit>[^ ]+)$")
_KINDS = re.compile(r"Expected `(?P<expected>[^`]+)`, got `(?P<got>[^`]+)`$")
_LACKS = re.compile(r"Object missing required field `(?P<name>[^`]+)`$")
AT_MOST = {"<=": "at most", ">=": "at least", "<": "less than", ">": "more than"}


class Unusable(ValueError):
    """A message, or a part of one, that is not used: the named reason, and a sentence for the technician."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


def unusable_by(error: msgspec.ValidationError) -> Unusable:
    """What msgspec found, in the technician's words."""
    what, _, path = f"{error}".partition(" - at ")
    where = path.replace("`", "").replace("$.", "").replace("$", "").strip() or "the message"
    if "out of range" in what:
        return Unusable(Reason.OUT_OF_RANGE, f"{where}: a number that is too large to be one.")
    if bound := _BOUND.match(what):
        length = " characters or members" if bound["length"] else ""
        limit = f"{AT_MOST[bound['sign']]} {float(bound['limit']):,g}{length}"
        return Unusable(Reason.OUT_OF_RANGE, f"{where}: out of range, {limit} is possible.")
    if kinds := _KINDS.match(what):
        expected = " or ".join(WORDS.get(kind, kind) for kind in kinds["expected"].split(" | ") if kind != "null")
        return Unusable(Reason.WRONG_SHAPE, f"{where}: {WORDS.get(kinds['got'], kinds['got'])} instead of {expected}.")
    if lacks := _LACKS.match(what):
        return Unusable(Reason.WRONG_SHAPE, f"{where}: {lacks['name']!r} is missing.")
    return Unusable(Reason.WRONG_SHAPE, f"{where}: {what}.")


def converted(value: Any, kind: type[T], name: str) -> T:
    """A value that did not come through a typed decoder, as one of these types; numbers in texts are read. Raises Unusable."""
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        found = unusable_by(error)
        raise Unusable(found.reason, found.detail.replace("the message", name, 1)) from error


def is_number(value: Any) -> bool:
    """Is it a number of JSON, and no truth value?"""
    return isinstance(value, int | float) and not isinstance(value, bool)


def ns_from_text(text: str) -> int:
    """Nanoseconds from RFC 3339. Raises Unusable."""
    try:
        return ns_from_iso(text)
    except ValueError as error:
        raise Unusable(Reason.WRONG_SHAPE, str(error)) from error


def ns_from_epoch_ms(epoch_ms: float) -> int:
    """Nanoseconds, exact to the microsecond, from a number within EpochMs."""
    return int(epoch_ms * 1000) * (MS // 1000)


def ns_from_epoch_s(epoch_s: float) -> int:
    """Nanoseconds, exact to the microsecond, from a number within EpochS."""
    return ns_from_seconds(epoch_s)
