"""A mistake in a site folder, and how it is told: file, entry, field, what is wrong, what to write instead."""

import re
from dataclasses import dataclass
from difflib import get_close_matches


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


MEANT = {  # names that others give to fields of ours, of which no part shows which
    "latitude": "lat",
    "longitude": "lon",
    "lng": "lon",
    "long": "lon",
    "position": "lat",
    "location": "lat",
    "coordinates": "lat",
    "x": "lon",
    "y": "lat",
    "type": "kind",
    "bearing": "azimuth_deg",
    "heading": "azimuth_deg",
    "fov": "fov_deg",
    "dev_eui": "source",
    "deveui": "source",
    "camera_id": "source",
}


def _plain(word: str) -> str:
    """Without what people leave out or put in: capitals, separators, zeros in front of a number."""
    return re.sub(r"(?<!\d)0+(?=\d)", "", re.sub(r"[-_.\s]", "", word.lower()))


def meant_names(word: str, known: list[str], cutoff: float = 0.7) -> list[str]:
    """The known name that a word was surely enough meant to be; none where none is near."""
    synonym = MEANT.get(word.lower())
    if synonym in known:
        return [synonym]
    exact = [name for name in known if _plain(name) == _plain(word)]
    return exact or get_close_matches(word, known, n=1, cutoff=cutoff)


def nearest(word: str, known: list[str]) -> str:
    """`Did you mean …?`, or what there is to choose from."""
    close = meant_names(word, known, cutoff=0.5)
    if close:
        return f"Did you mean {close[0]!r}?"
    if not known:
        return "There is none yet: add it first."
    return f"There is {', '.join(repr(k) for k in known[:8])}{' …' if len(known) > 8 else ''}."


def render(found: tuple[Mistake, ...]) -> str:
    """All mistakes as people read them, a paragraph each."""
    return "\n\n".join(str(mistake) for mistake in found)
