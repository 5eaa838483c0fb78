"""What a site folder holds once it is read: entries with the places where they are written, and the mistakes found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import shapely
from pydantic import BaseModel

from runtime.mistakes import Mistake
from runtime.schema import (
    AccountEntry,
    Agency,
    Agreement,
    InhibitionEntry,
    JurisdictionProperties,
    LineProperties,
    RoadProperties,
    ScheduleEntry,
    SensorEntry,
    SiteFile,
    ZoneProperties,
)
from runtime.text import bytes_of_file

P = TypeVar("P", bound=BaseModel)


@dataclass(frozen=True)
class Drawn(Generic[P]):
    """One feature of a GeoJSON file: its properties and its WGS84 geometry (x = longitude)."""

    properties: P
    geometry: shapely.Geometry
    file: str
    entry: str


@dataclass(frozen=True)
class Written(Generic[P]):
    """One entry and where it is written."""

    value: P
    file: str
    entry: str
    guessed: frozenset[str] = frozenset()  # fields with a mistake in them: their values are not what is written


@dataclass(frozen=True)
class SourceFiles:
    """Files of a site folder as they were read: what each held, and which files a pattern matched."""

    contents: Mapping[str, bytes]  # by the name that the site folder gives them
    matches: Mapping[str, tuple[str, ...]]

    def same_as(self, kept: "SourceFiles") -> bool:
        """Whether these are what `kept` was read from, which may have more: password and certificate files."""
        return self.matches == kept.matches and all(kept.contents.get(n) == text for n, text in self.contents.items())


@dataclass(frozen=True)
class Configuration:
    """A whole site folder, each entry valid by itself and with the others."""

    folder: Path
    site: SiteFile
    sensors: tuple[Written[SensorEntry], ...]
    rules: tuple[Written[Any], ...]
    schedules: tuple[Written[ScheduleEntry], ...]
    inhibitions: tuple[Written[InhibitionEntry], ...]
    agencies: tuple[Written[Agency], ...]
    agreements: tuple[Written[Agreement], ...]
    accounts: tuple[Written[AccountEntry], ...]
    zones: tuple[Drawn[ZoneProperties], ...]
    lines: tuple[Drawn[LineProperties], ...]
    jurisdictions: tuple[Drawn[JurisdictionProperties], ...]
    roads: tuple[Drawn[RoadProperties], ...]
    sources: SourceFiles
    copies: Mapping[str, Path] = field(default_factory=dict)  # of an accepted configuration: name to its kept copy

    @property
    def state(self) -> Path:
        """Where everything that the service writes lies."""
        return self.folder / self.site.files.state

    def path(self, name: str) -> Path:
        """Where a file lies that the configuration names, such as a password file: its kept copy, or in the site folder."""
        return self.copies.get(name, self.folder / name)


@dataclass
class Reading:
    """A folder being read, or the files of one as they were read before: what they hold, what has been found wrong, and what
    of it could not be read.
    """

    folder: Path
    kept: SourceFiles | None = None
    mistakes: list[Mistake] = field(default_factory=list)
    contents: dict[str, bytes] = field(default_factory=dict)
    matches: dict[str, tuple[str, ...]] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)  # kinds of entries of which some are not known by their id
    lost_ids: set[str] = field(default_factory=set)  # ids of entries that are written and cannot be used
    doubled: set[tuple[str, str]] = field(default_factory=set)  # (file, entry) of what is there twice, as is noted
    guessed: frozenset[str] = frozenset()  # sections of site.toml whose values are not all what is written

    def content(self, name: str) -> bytes | None:
        """What a file holds; None where there is none. A file is read once, so that all of it is of one moment.

        Raises Unreadable.
        """
        if name not in self.contents:
            found = self.kept.contents.get(name) if self.kept else bytes_of_file(self.folder / name)
            if found is None:
                return None
            self.contents[name] = found
        return self.contents[name]

    def matching(self, pattern: str) -> tuple[str, ...]:
        """The names of the files that a pattern matches, in order. Raises ValueError for what is no pattern."""
        if pattern not in self.matches:
            self.matches[pattern] = self.kept.matches.get(pattern, ()) if self.kept else self._matching(pattern)
        return self.matches[pattern]

    def _matching(self, pattern: str) -> tuple[str, ...]:
        try:
            return tuple(sorted(str(p.relative_to(self.folder)) for p in self.folder.glob(pattern)))
        except NotImplementedError as error:
            raise ValueError(f"{pattern!r} is no pattern relative to the folder.") from error

    def wrong(self, file: str, entry: str, field: str, wrong: str, mend: str = "") -> None:
        self.mistakes.append(Mistake(file, entry, field, wrong, mend))

    def may_exist(self, id: str, *kinds: str) -> bool:
        """Whether something that is not known could be there all the same, in what could not be read."""
        return id in self.lost_ids or bool(self.lost & set(kinds))
