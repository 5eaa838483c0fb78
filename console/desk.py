"""All that the console works with: put together by the runtime from configuration, and given to every part of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alerts.outbox import Outbox
from console.people import Accounts
from console.records import Records
from console.scope import Areas
from console.tiles import Tiles
from history.store import Store


@dataclass(frozen=True)
class Desk:
    """What does not change while the console runs, and the ways to what does."""

    site: dict[str, Any]  # name, title, time zone, agencies, rules, dispositions: what every page needs
    scene: dict[str, Any]  # GeoJSON of line, zones, jurisdictions, sensors with their cover, roads
    accounts: Accounts
    areas: Areas
    outbox: Outbox
    records: Records
    picture: Path  # the live picture's file
    # A camera's last picture between two times, of a class if there is one: (ns, what it called it, JPEG).
    shown: Callable[[str, int, int, str], tuple[int, str, bytes] | None]
    history: Callable[[], Store]  # a store of the calling thread's own
    audit: Callable[[str, str, str, str], None]  # who, what, about, reason
    tiles: Tiles | None
    hosts: tuple[str, ...]  # by which names it may be called
    secure: bool  # TLS: cookies only travel over it
    now_s: Callable[[], float]
