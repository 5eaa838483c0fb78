"""What `marchwarden check` finds: the mistakes of a whole site folder, its exercises included, and what deserves a note."""

from dataclasses import dataclass
from pathlib import Path

from runtime.configuration import load
from runtime.entries import Configuration
from runtime.mistakes import Mistake, Mistakes
from runtime.notes import notes_of
from runtime.places import exercise_key
from runtime.simulator.exercise import read_exercise
from runtime.world import warnings_of, world_of


@dataclass(frozen=True)
class Findings:
    """What was found. There is a configuration where the site's own files have no mistake."""

    configuration: Configuration | None
    mistakes: tuple[Mistake, ...]
    notes: tuple[str, ...] = ()


def findings(folder: Path) -> Findings:
    """Everything there is to say about a site folder."""
    mistakes: list[Mistake] = []
    configuration = None
    try:
        configuration = load(folder)
    except Mistakes as found:
        mistakes += found.found
    for path in sorted((folder / "exercises").glob("*.toml")):
        try:
            read_exercise(path, str(path.relative_to(folder)))
        except Mistakes as found:
            mistakes += found.found
    if configuration is None:
        return Findings(None, tuple(mistakes))
    world = world_of(configuration, exercise_key(configuration))
    notes = warnings_of(world) + notes_of(configuration, world)
    return Findings(configuration, tuple(mistakes), tuple(notes))
