"""A file of a site folder as text, or one sentence on why it cannot be read and what to do about it."""

import codecs
import errno
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

# The longer mark first: UTF-32 little-endian begins with the mark of UTF-16 little-endian.
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
SIGNATURES = (
    (b"PK\x03\x04", "a zip archive, as .xlsx, .ods, .kmz and .zip files are"),
    (b"\xd0\xcf\x11\xe0", "an old Excel file (.xls)"),
    (b"SQLite format 3\x00", "an SQLite database, as a GeoPackage (.gpkg) is"),
    (b"\x00\x00\x27\x0a", "an ESRI shapefile (.shp)"),
    (b"%PDF", "a PDF"),
    (b"\x1f\x8b", "compressed with gzip"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"{\\rtf", "a Rich Text document, as WordPad saves"),
    (b"<!DOCTYPE html", "a web page"),
    (b"<html", "a web page"),
)
EXPORT = {
    ".csv": "Save the sheet as CSV: 'CSV UTF-8' in Excel, 'Text CSV' with character set UTF-8 in LibreOffice.",
    ".geojson": "Export the layer from the GIS as GeoJSON.",
}
AS_UTF8 = {
    ".csv": "Save it as UTF-8: 'CSV UTF-8' in Excel, character set 'Unicode (UTF-8)' in LibreOffice.",
    ".geojson": "Export it again with encoding UTF-8.",
}


class Unreadable(ValueError):
    """A file that gives no text: what is wrong with it, and what to do."""

    def __init__(self, wrong: str, hint: str) -> None:
        super().__init__(f"{wrong} {hint}")
        self.wrong, self.hint = wrong, hint


def bytes_of_file(path: Path) -> bytes | None:
    """What a file holds; None where there is none. Raises Unreadable."""
    try:
        if path.exists() and not path.is_file() and not path.is_dir():  # reading a pipe would wait for ever
            raise Unreadable("is a device or a pipe, not a file.", "Put an ordinary file there.")
        return path.read_bytes()
    except FileNotFoundError as error:
        if not path.is_symlink():
            return None
        raise Unreadable(*why_unreadable(path, error)) from error
    except OSError as error:
        raise Unreadable(*why_unreadable(path, error)) from error
    except Unreadable:
        raise
    except ValueError as error:  # a NUL in its name
        raise Unreadable("has a name that no file can have.", "Write the name of a file.") from error


def file_meant(folder: Path, name: str) -> str:
    """What a file that is not there may be called now, as a hint: zones.json, Zones.geojson or zones.geojson.txt for
    zones.geojson; empty where nothing is like it.
    """
    wanted, path = Path(name).name.lower(), folder / name
    files = [p for p in sorted(path.parent.glob("*")) if p.is_file()] if path.parent.is_dir() else []
    renamed = [p.name for p in files if p.stem.lower() in (wanted, Path(wanted).stem)]
    if renamed:
        return f"There is {str(Path(name).with_name(renamed[0]))!r}: rename it to {name!r}."
    near = get_close_matches(wanted, [p.name for p in files if p.suffix.lower() == path.suffix], n=1, cutoff=0.8)
    return f"Did you mean {str(Path(name).with_name(near[0]))!r}?" if near else ""


def why_unreadable(path: Path, error: OSError) -> tuple[str, str]:
    """What is wrong and what to do, for an error of the operating system."""
    if path.is_symlink() and not path.exists() and error.errno == errno.ENOENT:
        return f"is a link to '{path.readlink()}', which does not exist.", "Mend the link, or put the file there."
    match error.errno:
        case errno.ENOENT:
            return "does not exist.", ""
        case errno.EISDIR:
            return "is a folder, not a file.", "Name the file in it, or put the file there."
        case errno.ENOTDIR:
            return "does not exist: a part of its path is a file.", "Write the path of a file."
        case errno.EACCES | errno.EPERM:
            return "may not be read by this user.", f"Give it read permission: chmod u+r {path}"
        case errno.ELOOP:
            return "is a link that leads back to itself.", "Put the file there."
        case errno.ENAMETOOLONG:
            return "has a name that is too long for a file.", "Write the name of a file."
        case _:
            return f"cannot be read ({error.strerror or type(error).__name__}).", "Look at the disk that it lies on."


def text_of(data: bytes, suffix: str = "") -> str:
    """Text from UTF-8, or from any encoding of Unicode that a byte order mark names, with \\n between its lines.

    Raises Unreadable.
    """
    text = _text_of(data, suffix).lstrip("\ufeff")  # some editors write the mark twice
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _text_of(data: bytes, suffix: str) -> str:
    for signature, what in SIGNATURES:
        if data.startswith(signature):
            raise Unreadable(
                f"is {what}, not text.", EXPORT.get(suffix, "Put a plain text file there, as Notepad saves.")
            )
    hint = AS_UTF8.get(suffix, "Save it as UTF-8.")
    for mark, encoding in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return _decoded(data, encoding, hint)
    if b"\x00" in data:
        if data[1::2].count(0) > len(data) // 4 or data[::2].count(0) > len(data) // 4:
            raise Unreadable("is UTF-16 without the mark that would say so.", hint)
        raise Unreadable("is not text: it holds zero bytes.", EXPORT.get(suffix, "Put a text file there."))
    return _decoded(data, "utf-8", hint)


def _decoded(data: bytes, encoding: str, hint: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding not in ("utf-8", "utf-8-sig"):
            raise Unreadable(f"begins as {encoding.upper()} and does not go on as it.", hint) from error
        raise Unreadable(_not_utf8(data, error.start), hint) from error


def _not_utf8(data: bytes, at: int) -> str:
    """Where it stops being UTF-8, and what is written there if it is what spreadsheets of the West save."""
    number = data.count(b"\n", 0, at) + 1
    word = b"".join(_around(data, at)).decode("cp1252", errors="replace").strip()
    return f"is not UTF-8: line {number} has {word!r} in another encoding, such as Windows-1252 (Latin-1)."


def _around(data: bytes, at: int) -> Iterator[bytes]:
    """The word about a byte, at most 20 bytes to either side."""
    ends = b",;\t\n\r\"'|="
    before, after = data[max(0, at - 20) : at], data[at : at + 20]
    start = max((before.rfind(bytes([end])) for end in ends), default=-1)
    stops = [found for end in ends if (found := after.find(bytes([end]))) >= 0]
    yield before[start + 1 :]
    yield after[: min(stops, default=len(after))]
