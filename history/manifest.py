"""The list of files that the embedded store holds: by it a file that was removed is missed.

One file, `segments.json`, written by the writer only and replaced whole. A file is in place before it is listed, and is no longer
listed before it goes. So a reader that misses one, and still finds it listed when it looks again, knows that it was lost.
"""

import os
from pathlib import Path

import msgspec

from model.stored import Damaged, is_whole, with_checksum

FILE = "segments.json"


class Manifest(msgspec.Struct, frozen=True):
    """What the folder holds. The keys are kinds of rows."""

    format: int  # of the folder
    segments: dict[str, tuple[str, ...]]  # file names, in order
    ahead: dict[str, str]  # the name of the write-ahead file that is being written


def read_manifest(folder: Path) -> Manifest | None:
    """None: there is none. Raises Damaged."""
    try:
        data = (folder / FILE).read_bytes()
    except FileNotFoundError:
        return None
    if not is_whole(data):
        raise Damaged(f"{FILE} of the history is damaged: whether a file of rows is missing cannot be seen.")
    return msgspec.json.decode(data, type=Manifest)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """On disk when this returns."""
    temporary = folder / f".{FILE}"
    with temporary.open("wb") as file:
        file.write(with_checksum(msgspec.json.encode(manifest)))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / FILE)
