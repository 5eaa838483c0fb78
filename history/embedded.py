"""The embedded store: Arrow write-ahead files that roll over into Parquet segments, read by DuckDB.

One process writes; any number read meanwhile, with nothing but the files. A write-ahead file and the segment that it
becomes carry one number: the segment is renamed into place before the write-ahead file goes, so a reader that lists
write-ahead files first and segments second sees every row once.
"""

import fcntl
import os
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from history.store import Query, StoreFailed
from history.tables import KINDS, SCHEMAS

ROWS_MAX = 200_000
POSITION = "position"
STEM = "{number:08d}"


class EmbeddedStore:
    """Reads; and, opened with `write=True`, writes."""

    def __init__(self, folder: Path, write: bool = False, rows_max: int = ROWS_MAX) -> None:
        self._folder, self._rows_max = folder, rows_max
        self._ahead: dict[str, _Ahead] = {}
        self._positions: dict[str, int] = {}
        if not write:
            return
        for kind in KINDS:
            (folder / kind).mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = (folder / "writer.lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreFailed(f"Another process writes the history in {folder}.") from error
        try:
            for kind in KINDS:
                self._recover(kind)
        except BaseException:
            self._lock.close()
            raise

    def write(self, kind: str, rows: pa.Table, position: int) -> None:
        if not rows.num_rows or position <= self._positions.get(kind, -1):
            return
        self._positions[kind] = position
        if kind not in self._ahead:
            self._ahead[kind] = _Ahead(self._folder / kind, kind, self._next_number(kind))
        self._ahead[kind].append(rows, position)

    def flush(self) -> None:
        for kind, ahead in list(self._ahead.items()):
            ahead.sync()
            if ahead.rows >= self._rows_max:
                ahead.close()
                self._roll(kind, ahead.path)
                del self._ahead[kind]

    def query(self, query: Query) -> pa.Table:
        folder, schema = self._folder / query.kind, SCHEMAS[query.kind]
        aheads = {path.stem: _read_ahead(path) for path in sorted(folder.glob("*.arrow"))}
        segments = {path.stem[:8]: path for path in sorted(folder.glob("*.parquet"))}
        fresh = [table for stem, table in aheads.items() if table is not None and stem not in segments]
        spans = {stem: _span(path) for stem, path in segments.items()}
        wanted = [str(segments[s]) for s, (low, high) in spans.items() if low < query.to_ns and high >= query.from_ns]
        database = duckdb.connect()
        try:
            recent = pa.concat_tables([schema.empty_table(), *(t.select(schema.names) for t in fresh)])
            database.register("recent", recent)
            columns = ", ".join(f'"{name}"' for name in schema.names)
            source = f"SELECT {columns} FROM recent"
            if wanted:
                source += f" UNION ALL SELECT {columns} FROM read_parquet($files)"
            where, values = _where(query, schema)
            sql = f"SELECT * FROM ({source}) WHERE {where} ORDER BY {_order(schema)} LIMIT {int(query.limit)}"
            found = database.sql(sql, params=values | ({"files": wanted} if wanted else {})).to_arrow_table()
        except duckdb.Error as error:
            raise StoreFailed(f"The history in {folder} cannot be read: {error}.") from error
        finally:
            database.close()
        return found.cast(schema)

    def forget_before(self, time_ns: int) -> None:
        for kind in KINDS:
            ahead = self._ahead.pop(kind, None)
            if ahead is not None:
                ahead.close()
                self._roll(kind, ahead.path)
            for path in sorted((self._folder / kind).glob("*.parquet")):
                low, high = _span(path)
                if low >= time_ns:
                    continue
                if high >= time_ns:
                    table = pq.read_table(path)
                    self._write_segment(kind, path.stem[:8], table.filter(pc.greater_equal(table["time_ns"], time_ns)))
                path.unlink()

    def close(self) -> None:
        try:
            for ahead in self._ahead.values():
                ahead.sync()
                ahead.close()
        finally:
            self._ahead = {}
            if hasattr(self, "_lock"):
                self._lock.close()

    def _recover(self, kind: str) -> None:
        """Roll over what a writer before left, up to its last whole batch; and find out how far it had come."""
        folder = self._folder / kind
        for path in sorted(folder.glob("*.arrow")):
            if list(folder.glob(f"{path.stem}-*.parquet")):
                path.unlink()
            else:
                self._roll(kind, path)
        for path in folder.glob(".*"):
            path.unlink()
        newest = [pq.read_metadata(p).metadata.get(b"position", b"-1") for p in folder.glob("*.parquet")]
        self._positions[kind] = max((int(n) for n in newest), default=-1)

    def _roll(self, kind: str, path: Path) -> None:
        table = _read_ahead(path)
        if table is not None and table.num_rows:
            self._write_segment(kind, path.stem, table.sort_by("time_ns"))
        path.unlink()

    def _write_segment(self, kind: str, stem: str, table: pa.Table) -> None:
        """A Parquet file, whole or not at all; its name says which times it holds, its metadata how far it goes."""
        newest = pc.max(table[POSITION]).as_py()
        table = table.replace_schema_metadata({"position": str(newest)})
        low, high = pc.min(table["time_ns"]).as_py(), pc.max(table["time_ns"]).as_py()
        final = self._folder / kind / f"{stem}-{low}-{high}.parquet"
        temporary = final.with_name(f".{final.name}")
        with temporary.open("wb") as file:
            pq.write_table(table, file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(final)

    def _next_number(self, kind: str) -> int:
        return max((int(p.name[:8]) for p in (self._folder / kind).glob("0*")), default=0) + 1


class _Ahead:
    """A write-ahead file: an Arrow stream to which batches are appended."""

    def __init__(self, folder: Path, kind: str, number: int) -> None:
        self.path, self.rows = folder / f"{STEM.format(number=number)}.arrow", 0
        self._schema = SCHEMAS[kind].append(pa.field(POSITION, pa.int64()))
        self._file = self.path.open("wb")
        self._stream = pa.ipc.new_stream(self._file, self._schema)

    def append(self, rows: pa.Table, position: int) -> None:
        marked = rows.append_column(POSITION, pa.repeat(pa.scalar(position, pa.int64()), rows.num_rows))
        self._stream.write_table(marked.cast(self._schema))
        self.rows += rows.num_rows

    def sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._stream.close()
        self._file.close()


def _read_ahead(path: Path) -> pa.Table | None:
    """The whole batches of a write-ahead file; None when it has just become a segment, or holds nothing yet."""
    try:
        with path.open("rb") as file:
            try:
                stream = pa.ipc.open_stream(file)
            except pa.ArrowInvalid:
                return None  # its first bytes are still on their way
            batches = []
            while True:
                try:
                    batches.append(stream.read_next_batch())
                except (StopIteration, pa.ArrowInvalid, OSError):
                    break  # the end, or a batch that is torn or still being written
            return pa.Table.from_batches(batches, stream.schema)
    except FileNotFoundError:
        return None


def _span(path: Path) -> tuple[int, int]:
    _, low, high = path.stem.split("-")
    return int(low), int(high)


def _where(query: Query, schema: pa.Schema) -> tuple[str, dict[str, object]]:
    tests = ["time_ns >= $low", "time_ns < $high"]
    values: dict[str, object] = {"low": query.from_ns, "high": query.to_ns}
    if query.box is not None:
        tests.append("lat BETWEEN $south AND $north AND lon BETWEEN $west AND $east")
        values |= dict(zip(("south", "west", "north", "east"), query.box, strict=True))
    for name, wanted in (("sensor", query.sensor), ("track", query.track)):
        if wanted is not None:
            column = name if name in schema.names else "sensors"
            if column not in schema.names:
                tests.append("false")
                continue
            among = f"list_contains(string_split(\"{column}\", ' '), ${name})"
            tests.append(f'"{column}" = $sensor' if column == "sensor" else among)
            values[name] = wanted
    return " AND ".join(tests), values


def _order(schema: pa.Schema) -> str:
    return ", ".join(f'"{name}"' for name in schema.names)
