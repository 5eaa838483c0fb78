"""A mistake in a site folder, and how it is told: file, entry, field, what is wrong, what to write instead."""

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any


@dataclass(frozen=True)
class Mistake:
    """One thing to mend."""

    file: str  # relative to the site folder
    entry: str  # such as `sensor "cam-07" (entry 7)`; empty: the file as a whole
    field: str  # dotted; empty: the entry as a whole
    wrong: str  # what is wrong, with the value
    mend: str  # what to write instead

    def __str__(self) -> str:
        where = ": ".join(part for part in (self.file, self.entry, self.field) if part)
        return f"{where}: {self.wrong} {self.mend}".rstrip()


class Mistakes(ValueError):
    """All mistakes of a site folder at once."""

    def __init__(self, found: list[Mistake]) -> None:
        super().__init__("\n".join(str(mistake) for mistake in found))
        self.found = tuple(found)


def nearest(word: str, known: list[str]) -> str:
    """`Did you mean …?`, or what there is to choose from."""
    close = get_close_matches(word, known, n=1, cutoff=0.5)
    if close:
        return f"Did you mean {close[0]!r}?"
    if not known:
        return "There is none yet: add it first."
    return f"There is {', '.join(repr(k) for k in known[:8])}{' …' if len(known) > 8 else ''}."


def from_schema(file: str, entry: str, error: Any, fields: list[str]) -> Mistake:
    """A pydantic error in our words. `fields` are the keys that would have been allowed there."""
    steps = [str(step) for step in error["loc"] if not str(step).startswith(("function-", "tagged-union"))]
    field, value = ".".join(steps), error.get("input")
    context = error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            return Mistake(file, entry, field, "is no field here.", nearest(steps[-1], fields))
        case "missing":
            return Mistake(file, entry, field, "is missing.", f"Add {steps[-1]} = …")
        case "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal" as bound:
            words = {
                "greater_than": "greater than",
                "greater_than_equal": "at least",
                "less_than": "less than",
                "less_than_equal": "at most",
            }[bound]
            limit = next(iter(context.values()))
            return Mistake(file, entry, field, f"{value!r} is out of range.", f"Write a number {words} {limit:g}.")
        case "literal_error" | "union_tag_invalid":
            expected = str(context.get("expected", context.get("expected_tags", "")))
            known = [word.strip(" '") for word in expected.replace(" or ", ", ").split(",")]
            said = context.get("tag", value)
            return Mistake(file, entry, field, f"{said!r} is none of the possible values.", nearest(str(said), known))
        case "string_pattern_mismatch":
            return Mistake(
                file,
                entry,
                field,
                f"{value!r} is not of the form {context.get('pattern')}.",
                "Use lower-case letters, digits, '-', '_' and '.'." if "a-z" in str(context.get("pattern")) else "",
            )
        case "value_error":
            return Mistake(file, entry, field, f"{_short(value)} {context['error']}.", "")
        case _:
            return Mistake(file, entry, field, f"{_short(value)}: {error['msg'][0].lower()}{error['msg'][1:]}.", "")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else "it"


def render(found: tuple[Mistake, ...]) -> str:
    """All mistakes as people read them, a paragraph each."""
    return "\n\n".join(str(mistake) for mistake in found)
