"""What the command line shows of the history: JSON lines, CSV, or rows for a table, with times as people write them;
or a Parquet file, with the columns as they are stored."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from model.time import iso_from_ns


def readable(rows: pa.Table) -> Iterator[dict[str, Any]]:
    """Rows with ISO times: `time_ns` becomes `time`, `received_ns` becomes `received`."""
    for row in rows.to_pylist():
        yield {
            (name.removesuffix("_ns")): (iso_from_ns(value) if name.endswith("_ns") else _short(value))
            for name, value in row.items()
        }


def as_json_lines(rows: pa.Table) -> Iterator[str]:
    for row in readable(rows):
        yield json.dumps(row, ensure_ascii=False)


def as_csv(rows: pa.Table) -> Iterator[str]:
    """A header line, then a line a row."""
    names = [name.removesuffix("_ns") for name in rows.schema.names]
    for values in (names, *(list(row.values()) for row in readable(rows))):
        text = io.StringIO()
        csv.writer(text, lineterminator="").writerow(values)
        yield text.getvalue()


def write_parquet(rows: pa.Table, path: Path) -> None:
    """One file with the columns of the store itself, whole or not at all."""
    fresh = path.with_name(f".{path.name}.new")
    try:
        pq.write_table(rows, fresh, compression="zstd")
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def _short(value: Any) -> Any:
    return round(value, 6) if isinstance(value, float) else value
