"""Every text that is near enough to a watched plate, as keyed tokens: so that near misses are found without a plate in clear."""

from collections.abc import Iterable, Iterator

from sensors.plates import normalised, token

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def near_texts(plate: str, edits_max: int) -> dict[str, int]:
    """Every text that differs from a plate by at most so many letters changed, left out or added, and by how many."""
    start = normalised(plate)
    found, edge = {start: 0}, {start}
    for edits in range(1, edits_max + 1):
        edge = {near for text in edge for near in _one_edit(text)} - found.keys()
        found |= dict.fromkeys(edge, edits)
    return {text: edits for text, edits in found.items() if text}


def watched_tokens(key: bytes, plates: Iterable[str], edits_max: int) -> list[tuple[int, int, int]]:
    """(token of a text, token of the plate it is nearest to, edits between them), sorted, each text once."""
    best: dict[str, tuple[int, int]] = {}
    for plate in plates:
        own = token(key, plate)
        for text, edits in near_texts(plate, edits_max).items():
            if text not in best or edits < best[text][1]:
                best[text] = (own, edits)
    return sorted((token(key, text), own, edits) for text, (own, edits) in best.items())


def texts_near(length: int, edits_max: int) -> int:
    """At most how many texts are near a plate of so many letters."""
    one = length * len(LETTERS) + length + (length + 1) * len(LETTERS)
    return sum(int(one**n) for n in range(edits_max + 1))


def _one_edit(text: str) -> Iterator[str]:
    for i in range(len(text) + 1):
        head, tail = text[:i], text[i:]
        yield from (head + letter + tail for letter in LETTERS)
        if tail:
            yield head + tail[1:]
            yield from (head + letter + tail[1:] for letter in LETTERS)
