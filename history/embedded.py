"""The embedded store: Arrow write-ahead files that roll over into Parquet segments, read by DuckDB.

One process writes; any number read meanwhile, with nothing but the files. A write-ahead file and the segment that it
becomes carry one number: the segment is renamed into place before the write-ahead file goes, so a reader that lists
write-ahead files first and segments second sees every row once.

Format 2: a segment's name ends in the checksum of the file, and each batch of a write-ahead file carries its own. What does
not fit is left out and named in `damaged`; the writer renames such a file and goes on. In format 1, which the writer takes over
when it opens the folder, neither had one.
"""

import fcntl
import os
import re
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from history.store import Query, StoreFailed
from history.tables import KINDS, SCHEMAS
from model.stored import NewerFormat

FORMAT = 2
VERSION_FILE = "format"
ROWS_MAX = 200_000
POSITION = "position"
STEM = "{number:08d}"
NAME = re.compile(r"\d{8}-\d+-\d+(-[0-9a-f]{16})?\.parquet")
# Segments whose checksum has been found to fit: their size and time of change.
_SOUND: dict[str, tuple[int, int]] = {}
FIRST_BYTES = 64  # that a write-ahead file may have before anything can be read of it


class EmbeddedStore:
    """Reads; and, opened with `write=True`, writes. `damaged` says in sentences what could not be read."""

    def __init__(self, folder: Path, write: bool = False, rows_max: int = ROWS_MAX) -> None:
        self._folder, self._rows_max = folder, rows_max
        self._ahead: dict[str, _Ahead] = {}
        self._positions: dict[str, int] = {}
        self.damaged: list[str] = []
        if not write:
            _check_format(folder)
            return
        for kind in KINDS:
            (folder / kind).mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = (folder / "writer.lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreFailed(f"Another process writes the history in {folder}.") from error
        try:
            _take_over(folder, _check_format(folder))
            for kind in KINDS:
                self._recover(kind)
        except BaseException:
            self._lock.close()
            raise

    def positions(self) -> dict[str, int]:
        """Of each kind, the position of the newest rows held."""
        return dict(self._positions)

    def files(self) -> dict[str, int]:
        """The segments held, each with the time of its newest row."""
        return {f"{kind}/{path.name}": _span(path)[1] for kind in KINDS for path in self._segments(kind)}

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
        self.damaged = []
        aheads = {path.stem: self._read_ahead(path) for path in sorted(folder.glob("*.arrow"))}
        segments = {path.stem[:8]: path for path in self._segments(query.kind)}
        fresh = [table for stem, table in aheads.items() if table is not None and stem not in segments]
        spans = {stem: _span(path) for stem, path in segments.items()}
        wanted = [segments[s] for s, (low, high) in spans.items() if low < query.to_ns and high >= query.from_ns]
        files = [str(path) for path in wanted if self._is_sound(path)]
        database = duckdb.connect()
        try:
            recent = pa.concat_tables([schema.empty_table(), *(t.select(schema.names) for t in fresh)])
            database.register("recent", recent)
            columns = ", ".join(f'"{name}"' for name in schema.names)
            source = f"SELECT {columns} FROM recent"
            if files:
                source += f" UNION ALL SELECT {columns} FROM read_parquet($files)"
            where, values = _where(query, schema)
            sql = f"SELECT * FROM ({source}) WHERE {where} ORDER BY {_order(schema)} LIMIT {int(query.limit)}"
            found = database.sql(sql, params=values | ({"files": files} if files else {})).to_arrow_table()
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
            for path in self._segments(kind):
                low, high = _span(path)
                if low >= time_ns:
                    continue
                if high >= time_ns:
                    if not self._is_sound(path):
                        _set_aside(path)
                        continue
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
        self._positions[kind] = -1
        for path in reversed(self._segments(kind)):
            if self._is_sound(path):
                self._positions[kind] = int(pq.read_metadata(path).metadata.get(b"position", b"-1"))
                break
            _set_aside(path)

    def _segments(self, kind: str) -> list[Path]:
        """The segments of a kind in the order of their numbers."""
        return sorted(p for p in (self._folder / kind).glob("*.parquet") if NAME.fullmatch(p.name))

    def _is_sound(self, path: Path) -> bool:
        """Does the checksum in its name fit? If not, it is named in `damaged`."""
        try:
            found = path.stat()
            if _SOUND.get(str(path)) == (found.st_size, found.st_mtime_ns):
                return True
            expected = path.stem.split("-")[3:]
            if expected and file_checksum(path) != expected[0]:
                self.damaged.append(f"{path.parent.name}/{path.name} is damaged: its checksum does not fit.")
                return False
        except FileNotFoundError:  # its retention has ended meanwhile
            return False
        _SOUND[str(path)] = (found.st_size, found.st_mtime_ns)
        return True

    def _read_ahead(self, path: Path) -> pa.Table | None:
        table, damaged = read_ahead(path)
        if damaged:
            self.damaged.append(f"{path.parent.name}/{path.name} is damaged: {damaged} batches of rows are left out.")
        return table

    def _roll(self, kind: str, path: Path) -> None:
        before = len(self.damaged)
        table = self._read_ahead(path)
        if table is not None and table.num_rows:
            self._write_segment(kind, path.stem, table.sort_by("time_ns"))
        if len(self.damaged) > before:
            _set_aside(path)
        else:
            path.unlink()

    def _write_segment(self, kind: str, stem: str, table: pa.Table) -> None:
        """A Parquet file, whole or not at all. Its name says which times it holds, its metadata how far it goes."""
        newest = pc.max(table[POSITION]).as_py()
        table = table.replace_schema_metadata({"position": str(newest)})
        low, high = pc.min(table["time_ns"]).as_py(), pc.max(table["time_ns"]).as_py()
        temporary = self._folder / kind / f".{stem}-{low}-{high}.parquet"
        with temporary.open("wb") as file:
            pq.write_table(table, file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._folder / kind / f"{stem}-{low}-{high}-{file_checksum(temporary)}.parquet")

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
        for batch in marked.cast(self._schema).to_batches():
            self._stream.write_batch(batch, custom_metadata={"checksum": batch_checksum(batch)})
        self.rows += rows.num_rows

    def sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._stream.close()
        self._file.close()


def read_ahead(path: Path) -> tuple[pa.Table | None, int]:
    """The whole batches of a write-ahead file, and how many were damaged.

    None when it has just become a segment, or holds nothing yet.
    """
    try:
        with path.open("rb") as file:
            return _batches(file)
    except FileNotFoundError:
        return None, 0


def _batches(file: BinaryIO) -> tuple[pa.Table | None, int]:
    try:
        stream = pa.ipc.open_stream(file)
    except (pa.ArrowException, OSError, ValueError):
        size = file.seek(0, os.SEEK_END)
        return None, int(size > FIRST_BYTES)  # with fewer, its first bytes are still on their way
    batches, damaged = [], 0
    while True:
        try:
            batch, metadata = stream.read_next_batch_with_custom_metadata()
        except StopIteration:
            break
        except (pa.ArrowException, OSError, ValueError) as error:
            damaged += "Expected to be able to read" not in str(error)  # else the end is torn, or still being written
            break
        expected = (metadata or {}).get(b"checksum")
        if expected is not None and expected.decode("latin-1") != batch_checksum(batch):
            damaged += 1
            continue
        batches.append(batch)
    return pa.Table.from_batches(batches, stream.schema), damaged


def batch_checksum(batch: pa.RecordBatch) -> str:
    return blake2b(batch.serialize(), digest_size=8).hexdigest()


def file_checksum(path: Path) -> str:
    mixed = blake2b(digest_size=8)
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            mixed.update(chunk)
    return mixed.hexdigest()


def _set_aside(path: Path) -> None:
    """Keep a damaged file under a name that nothing reads."""
    path.replace(path.with_name(f"{path.name}.damaged"))


# ── versions ─────────────────────────────────────────────────────────────────────────────────────


def _check_format(folder: Path) -> int:
    """The format of the folder; that of now, when it is new. Raises NewerFormat."""
    file = folder / VERSION_FILE
    text = file.read_text(errors="replace").strip() if file.exists() else ""
    if text.isdecimal():
        if int(text) > FORMAT:
            raise NewerFormat(f"The history in {folder}", int(text), FORMAT)
        return int(text)
    return 1 if any(folder.glob("*/*.parquet")) else FORMAT


def _take_over(folder: Path, format: int) -> None:
    """Bring a folder to the format of now, step by step; again from the beginning, when that was interrupted."""
    for number in range(format, FORMAT):
        MIGRATIONS[number](folder)
    temporary = folder / f".{VERSION_FILE}"
    with temporary.open("w") as file:
        file.write(f"{FORMAT}\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / VERSION_FILE)


def _from_1(folder: Path) -> None:
    """The checksum becomes part of a segment's name."""
    for path in sorted(folder.glob("*/*.parquet")):
        if len(path.stem.split("-")) == 3:
            path.rename(path.with_name(f"{path.stem}-{file_checksum(path)}.parquet"))


MIGRATIONS = {1: _from_1}


def _span(path: Path) -> tuple[int, int]:
    _, low, high, *_ = path.stem.split("-")
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
