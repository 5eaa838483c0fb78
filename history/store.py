"""What every history store can do, whatever keeps it."""

from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa


@dataclass(frozen=True)
class Query:
    """What an analyst asks for. Times are half-open: from_ns ≤ time < to_ns."""

    kind: str  # detections | tracks | reasons | alerts
    from_ns: int
    to_ns: int
    box: tuple[float, float, float, float] | None = None  # south, west, north, east in degrees
    sensor: str | None = None
    track: str | None = None
    limit: int = 1_000_000


class Store(Protocol):
    """A history.

    Writing is idempotent by position: after a crash the pipeline writes again what it had written since its snapshot,
    with the same positions, and the store leaves out what it has.
    """

    damaged: list[str]  # sentences about what the last query had to leave out, or the writer set aside

    def write(self, kind: str, rows: pa.Table, position: int) -> None:
        """Add rows of a kind. `position` grows from call to call; rows at or before the newest one held are left out."""
        ...

    def positions(self) -> dict[str, int]:
        """Of each kind, the position of the newest rows held; empty where the store keeps none."""
        ...

    def flush(self) -> None:
        """All that was written is durable when this returns."""
        ...

    def query(self, query: Query) -> pa.Table:
        """The rows asked for, in order of time; columns as in `tables.SCHEMAS`. Also what another process has flushed."""
        ...

    def forget_before(self, time_ns: int) -> None:
        """Remove every row whose time is before."""
        ...

    def close(self) -> None: ...


class StoreFailed(Exception):
    """The store could not do it; says why in a sentence."""
