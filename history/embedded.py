"""The embedded store: Arrow write-ahead files that roll over into Parquet segments, read by DuckDB.

One process writes; any number read meanwhile, with nothing but the files. A write-ahead file and the segment that it
becomes carry one number: the segment is renamed into place before the write-ahead file goes, so a reader that lists
write-ahead files first and segments second sees every row once.

Format 3: a segment's name ends in the checksum of the file, each batch of a write-ahead file carries its own, and `segments.json`
lists the files. What does not fit or is missing is left out and named in `damaged`; the writer renames a damaged file.
Format 2 had no list and format 1 no checksums; the writer takes both over when it opens the folder.
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

from history.manifest import FILE as MANIFEST_FILE
from history.manifest import Manifest, read_manifest, write_manifest
from history.store import Query, StoreFailed
from history.tables import KINDS, SCHEMAS
from model.stored import Damaged, NewerFormat
from model.time import iso_from_ns

FORMAT = 3
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
        self._held: dict[str, set[str]] = {kind: set() for kind in KINDS}  # names of segments, the missing ones too
        self.damaged: list[str] = []
        if not write:
            _check_format(folder, self._manifest())
            return
        for kind in KINDS:
            (folder / kind).mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = (folder / "writer.lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreFailed(f"Another process writes the history in {folder}.") from error
        try:
            manifest = self._manifest()
            format = _check_format(folder, manifest)
            _take_over(folder, format)
            for kind in KINDS:
                self._held[kind] = set(manifest.segments.get(kind, ()) if manifest else ())
                self._recover(kind)
                self._tell_missing(kind, manifest)
            if manifest is None and format == FORMAT and any(self._held.values()) and not self.damaged:
                self.damaged.append(f"{MANIFEST_FILE} of the history is gone: files missed before cannot be named.")
            self._list_files()
        except BaseException:
            self._lock.close()
            raise

    def positions(self) -> dict[str, int]:
        """Of each kind, the position of the newest rows held."""
        return dict(self._positions)

    def files(self) -> dict[str, int]:
        """The segments held, each with the time of its newest row."""
        return {f"{kind}/{path.name}": _span(path.name)[1] for kind in KINDS for path in self._segments(kind)}

    def write(self, kind: str, rows: pa.Table, position: int) -> None:
        if not rows.num_rows or position <= self._positions.get(kind, -1):
            return
        self._positions[kind] = position
        if kind not in self._ahead:
            self._ahead[kind] = _Ahead(self._folder / kind, kind, self._next_number(kind))
            self._list_files()
        self._ahead[kind].append(rows, position)

    def flush(self) -> None:
        for kind, ahead in list(self._ahead.items()):
            ahead.sync()
            if ahead.rows >= self._rows_max:
                ahead.close()
                del self._ahead[kind]
                self._roll(kind, ahead.path)

    def query(self, query: Query) -> pa.Table:
        folder, schema = self._folder / query.kind, SCHEMAS[query.kind]
        self.damaged = []
        manifest = self._manifest()
        aheads = {path.stem: self._read_ahead(path) for path in sorted(folder.glob("*.arrow"))}
        segments = {path.stem[:8]: path for path in self._segments(query.kind)}
        fresh = [table for stem, table in aheads.items() if table is not None and stem not in segments]
        spans = {stem: _span(path.name) for stem, path in segments.items()}
        wanted = [segments[s] for s, (low, high) in spans.items() if low < query.to_ns and high >= query.from_ns]
        files = [str(path) for path in wanted if self._is_sound(path)]
        self._miss(query, manifest)
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
                low, high = _span(path.name)
                if low >= time_ns:
                    continue
                if high >= time_ns:
                    if not self._is_sound(path):
                        _set_aside(path)
                        continue
                    table = pq.read_table(path)
                    self._write_segment(kind, path.stem[:8], table.filter(pc.greater_equal(table["time_ns"], time_ns)))
                self._held[kind].discard(path.name)
                self._list_files()
                path.unlink()
            self._held[kind] = {name for name in self._held[kind] if _span(name)[1] >= time_ns}
        self._list_files()

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
        table, damaged = read_ahead(path, _ahead_schema(path.parent.name))
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
        name = f"{stem}-{low}-{high}-{file_checksum(temporary)}.parquet"
        temporary.replace(self._folder / kind / name)
        self._held[kind].add(name)
        self._list_files()

    def _next_number(self, kind: str) -> int:
        """One that no file has, nor had one that is missing."""
        names = (*(p.name for p in (self._folder / kind).glob("0*")), *self._held[kind])
        return max((int(name[:8]) for name in names), default=0) + 1

    # ── which files there should be ──────────────────────────────────────────────────────────────

    def _manifest(self) -> Manifest | None:
        try:
            return read_manifest(self._folder)
        except Damaged as error:
            self.damaged.append(str(error))
            return None

    def _list_files(self) -> None:
        ahead = {kind: ahead.path.name for kind, ahead in self._ahead.items()}
        segments = {kind: tuple(sorted(names)) for kind, names in self._held.items()}
        write_manifest(self._folder, Manifest(FORMAT, segments, ahead))

    def _tell_missing(self, kind: str, manifest: Manifest | None) -> None:
        """For the writer: of what was listed, what is no longer there. Segments stay listed until their retention ends."""
        self._held[kind] |= {path.name for path in self._segments(kind)}
        if manifest is not None:
            self.damaged += [text for _, text in _missing(self._folder / kind, manifest)]

    def _miss(self, query: Query, manifest: Manifest | None) -> None:
        """For a reader: what is listed, not there, and still listed now. It may have been forgotten or rolled over meanwhile."""
        folder = self._folder / query.kind
        if manifest is None or not _missing(folder, manifest):
            return
        again = self._manifest()
        if again is not None:
            self.damaged += [
                text for span, text in _missing(folder, again) if span[0] < query.to_ns and span[1] >= query.from_ns
            ]


class _Ahead:
    """A write-ahead file: an Arrow stream to which batches are appended."""

    def __init__(self, folder: Path, kind: str, number: int) -> None:
        self.path, self.rows = folder / f"{STEM.format(number=number)}.arrow", 0
        self._schema = _ahead_schema(kind)
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


def _ahead_schema(kind: str) -> pa.Schema:
    return SCHEMAS[kind].append(pa.field(POSITION, pa.int64()))


def read_ahead(path: Path, schema: pa.Schema) -> tuple[pa.Table | None, int]:
    """The whole batches of a write-ahead file, and how many were damaged.

    None when it has just become a segment, or holds nothing yet.
    """
    try:
        with path.open("rb") as file:
            return _batches(file, schema)
    except FileNotFoundError:
        return None, 0


def _batches(file: BinaryIO, schema: pa.Schema) -> tuple[pa.Table | None, int]:
    try:
        stream = pa.ipc.open_stream(file)
    except (pa.ArrowException, OSError, ValueError):
        size = file.seek(0, os.SEEK_END)
        return None, int(size > FIRST_BYTES)  # with fewer, its first bytes are still on their way
    if not stream.schema.equals(schema):
        return None, 1
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


def _missing(folder: Path, manifest: Manifest) -> list[tuple[tuple[int, int], str]]:
    """(span of times, a sentence) of each file of a kind that is listed and not there."""
    kind, there = folder.name, {path.name for path in folder.glob("0*")}
    rewritten = {name[:8] for name in there if NAME.fullmatch(name)}
    found = []
    for name in manifest.segments.get(kind, ()):
        if name not in there and name[:8] not in rewritten:
            low, high = _span(name)
            wrong = "was damaged" if f"{name}.damaged" in there else "is missing"
            rows = f"rows from {iso_from_ns(low)} to {iso_from_ns(high)} are left out"
            found.append(((low, high), f"{kind}/{name} {wrong}: {rows}."))
    ahead = manifest.ahead.get(kind, "")
    if ahead and not any(name[:8] == ahead[:8] for name in there):
        found.append(((0, 1 << 62), f"{kind}/{ahead} is missing: the newest rows, not yet in a segment, are lost."))
    return found


def _check_format(folder: Path, manifest: Manifest | None) -> int:
    """The format of the folder; that of now, when it is new. Raises NewerFormat."""
    file = folder / VERSION_FILE
    text = file.read_text(errors="replace").strip() if file.exists() else ""
    found = manifest.format if manifest is not None else int(text) if text.isdecimal() else None
    if found is None:
        return 1 if any(folder.glob("*/*.parquet")) else FORMAT
    if found > FORMAT:
        raise NewerFormat(f"The history in {folder}", found, FORMAT)
    return found


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


def _from_2(_: Path) -> None:
    """The list of files is made by the writer that takes the folder over, of those that are there."""


MIGRATIONS = {1: _from_1, 2: _from_2}


def _span(name: str) -> tuple[int, int]:
    """The times of a segment's oldest and newest row."""
    _, low, high, *_ = name.partition(".")[0].split("-")
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
