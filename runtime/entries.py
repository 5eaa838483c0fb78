"""What a site folder holds once it is read: entries with the places where they are written, and the mistakes found."""

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

    @property
    def state(self) -> Path:
        """Where everything that the service writes lies."""
        return self.folder / self.site.files.state


@dataclass
class Reading:
    """A folder being read: what has been found wrong so far."""

    folder: Path
    mistakes: list[Mistake] = field(default_factory=list)

    def wrong(self, file: str, entry: str, field: str, wrong: str, mend: str = "") -> None:
        self.mistakes.append(Mistake(file, entry, field, wrong, mend))
