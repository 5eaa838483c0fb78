"""The InfluxDB store: line protocol written as strings, read back by InfluxQL, which 1.x, 2.x and 3.x all answer.

A point's series and time make it itself, so writing it again changes nothing. Rows of one sensor and time are told apart
by a small number in the tag `row`, given in the order in which they are written. Track and alert keys are fields, not
tags: their number grows without end.
"""

from typing import Any

import pyarrow as pa
from influxdb_client import InfluxDBClient, WritePrecision
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException
from urllib3.exceptions import HTTPError

from history.store import Query, StoreFailed
from history.tables import KINDS, SCHEMAS

LINES_MAX = 5_000
ANONYMOUS = "-"
TAGS = {"detections": ("sensor",), "tracks": (), "reasons": (), "alerts": ("rule",)}
_ESCAPED = str.maketrans({",": "\\,", " ": "\\ ", "=": "\\="})


class InfluxStore:
    """A database (bucket) of an InfluxDB server."""

    def __init__(self, url: str, database: str, token: str = "", org: str = "-", timeout_ms: int = 10_000) -> None:
        self._database, self._org = database, org
        self._client = InfluxDBClient(url=url, token=token or ANONYMOUS, org=org, timeout=timeout_ms)
        self._writer = self._client.write_api(write_options=SYNCHRONOUS)
        self._lines: list[str] = []
        self.damaged: list[str] = []  # the server keeps its own checksums

    def write(self, kind: str, rows: pa.Table, position: int) -> None:
        """Idempotent by content; `position` is not needed."""
        del position
        self._lines += lines_of(kind, rows)
        if len(self._lines) >= LINES_MAX:
            self.flush()

    def positions(self) -> dict[str, int]:
        return {}

    def flush(self) -> None:
        lines, self._lines = self._lines, []
        for first in range(0, len(lines), LINES_MAX):
            try:
                self._writer.write(
                    self._database, self._org, lines[first : first + LINES_MAX], write_precision=WritePrecision.NS
                )
            except (ApiException, HTTPError) as error:
                raise StoreFailed(f"InfluxDB did not take the rows: {_said(error)}.") from error

    def query(self, query: Query) -> pa.Table:
        schema = SCHEMAS[query.kind]
        tests = [f"time >= {query.from_ns}", f"time < {query.to_ns}"]
        if query.box is not None:
            south, west, north, east = query.box
            tests.append(f"lat >= {south!r} AND lat <= {north!r} AND lon >= {west!r} AND lon <= {east!r}")
        for name, wanted in (("sensor", query.sensor), ("track", query.track)):
            if wanted is not None:
                column = name if name in schema.names else "sensors"
                if column not in schema.names:
                    return schema.empty_table()
                tests.append(f'"{column}" =~ /(^| ){_as_pattern(wanted)}( |$)/')
        fields = ", ".join(f'"{name}"' for name in schema.names if name != "time_ns")
        said = self._influxql(
            f'SELECT {fields} FROM "{query.kind}" WHERE {" AND ".join(tests)} LIMIT {int(query.limit)}'
        )
        series = said["results"][0].get("series", [])
        rows = [dict(zip(s["columns"], values, strict=True)) for s in series for values in s["values"]]
        columns = {
            name: [_typed(row["time" if name == "time_ns" else name], schema.field(name).type) for row in rows]
            for name in schema.names
        }
        table = pa.table(columns, schema=schema)
        return table.sort_by([(name, "ascending") for name in schema.names])

    def forget_before(self, time_ns: int) -> None:
        for kind in KINDS:
            self._influxql(f'DELETE FROM "{kind}" WHERE time < {time_ns}', method="POST")

    def close(self) -> None:
        self.flush()
        self._client.close()

    def _influxql(self, statement: str, method: str = "GET") -> Any:
        try:
            said = self._client.api_client.call_api(
                "/query",
                method,
                query_params=[("db", self._database), ("q", statement), ("epoch", "ns")],
                response_type="object",
                _return_http_data_only=True,
                auth_settings=[],
                header_params={"Authorization": f"Token {self._client.token}"}
                if self._client.token != ANONYMOUS
                else {},
            )
        except (ApiException, HTTPError) as error:
            raise StoreFailed(f"InfluxDB did not answer: {_said(error)}.") from error
        failed = next((r["error"] for r in said.get("results", []) if "error" in r), said.get("error"))
        if failed:
            raise StoreFailed(f"InfluxDB did not understand: {failed}.")
        return said


def lines_of(kind: str, rows: pa.Table) -> list[str]:
    """Line protocol of rows, in their order."""
    schema, tags = SCHEMAS[kind], TAGS[kind]
    fields = [name for name in schema.names if name != "time_ns" and name not in tags]
    lines: list[str] = []
    seen: dict[tuple[Any, ...], int] = {}
    for row in rows.to_pylist():
        key = (row["time_ns"], *(row[tag] for tag in tags))
        number = seen[key] = seen.get(key, -1) + 1
        series = "".join(f",{tag}={row[tag].translate(_ESCAPED)}" for tag in tags if row[tag])
        values = ",".join(f"{name}={_field(row[name])}" for name in fields)
        lines.append(f"{kind},row={number}{series} {values} {row['time_ns']}")
    return lines


def _field(value: Any) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{value}i" if isinstance(value, int) else repr(float(value))


def _typed(value: Any, kind: pa.DataType) -> Any:
    if value is None:
        return "" if pa.types.is_string(kind) else None
    return float(value) if pa.types.is_floating(kind) else int(value) if pa.types.is_integer(kind) else str(value)


def _as_pattern(text: str) -> str:
    """Text as a regular expression that matches itself."""
    return "".join(c if c.isalnum() or c in "_-" else "\\" + c for c in text)


def _said(error: Exception) -> str:
    body = getattr(error, "body", None)
    return str(body or getattr(error, "reason", None) or error).strip()[:300]
