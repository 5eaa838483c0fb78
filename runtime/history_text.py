"""Rows of the history on a terminal."""

from typing import Any

import pyarrow as pa

from history.query import readable
from runtime.terminal_table import Column, print_table

# What leaves first for want of room; the rest never does.
LEAVING = (
    *("told", "received", "class_share", "confidence", "north_mps", "east_mps", "plate", "other", "why", "agencies"),
    *("revision", "existence", "sigma_m", "observed", "phase", "probability", "sensors", "zone", "class", "severity"),
)
OF_ALERTS = ("track", "lat", "lon")
WORDS = ("sensors", "agencies", "why")
TIMES = ("time", "received", "told", "observed")


def show_history(rows: pa.Table) -> None:
    """As a table. Times are UTC, to the second where there is no more."""
    names = [name.removesuffix("_ns") for name in rows.schema.names]
    leaving = (*LEAVING, *OF_ALERTS) if "alert" in names else LEAVING
    columns = [Column(n, leaving.index(n) + 1 if n in leaving else 0, n in WORDS, n in TIMES) for n in names]
    print_table(columns, [[_cell(name, value) for name, value in row.items()] for row in readable(rows)])


def _cell(name: str, value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6f}" if name in ("lat", "lon") else f"{value:.3f}".rstrip("0").rstrip(".")
    return str(value).replace(".000000Z", "Z").replace("T", " ") if name in TIMES else str(value)
