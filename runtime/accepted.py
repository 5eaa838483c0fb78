"""The accepted configuration: the one in use, kept in the state folder as a copy of every file that it was read from.

Each process of the service reads this copy, and so do the commands that work on a running service. What is edited in
the site folder has no effect until it has been accepted as a whole, at the service's start or on SIGHUP.

    state/configuration/accepted          a link to the folder below, replaced in one step
    state/configuration/<digest>/         the files under the names that the site folder gives them, and manifest.json
"""

import hashlib
import re
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import msgspec
from pydantic import BaseModel

from model.stored import CHECKSUM, is_whole, with_checksum
from model.time import iso_from_ns
from runtime.configuration import load
from runtime.entries import Configuration, SourceFiles
from runtime.mistakes import Mistakes
from runtime.schema import Files
from sensors.keys import sync_folder, write_durably

VERSION = 1
FOLDER, LINK, MANIFEST = "configuration", "accepted", "manifest.json"
FOLDERS_KEPT = 2  # the accepted one, and the one before: a process that is just ending may still read that
NOT_COPIED = ("plate_key_file", "audit_key_file")  # their owner chose where these keys lie; a copy would outlive them


class AcceptedDamaged(Exception):
    """The kept copy is not as it was written; says what is wrong with it."""


class _File(msgspec.Struct, frozen=True):
    copy: str  # path in the folder of the copy
    sha256: str


class _Manifest(msgspec.Struct, frozen=True):
    version: int
    digest: str
    accepted: str  # ISO 8601
    site: str  # the folder that it was read from
    files: dict[str, _File]
    matches: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Accepted:
    """A configuration in use."""

    configuration: Configuration
    digest: str  # of all its files
    time: str  # when it was accepted, ISO 8601


# ── accepting ────────────────────────────────────────────────────────────────────────────────────


def accept(c: Configuration, now_ns: int) -> Accepted:
    """Keep a configuration as the accepted one, on disk when this returns. Writes nothing where it is kept already, whole.

    Only the process that holds the service's lock may call this.
    """
    c = replace(c, sources=replace(c.sources, contents=dict(c.sources.contents) | _credentials(c)))
    manifest = _manifest(c, iso_from_ns(now_ns))
    kept = _kept_manifest(c.state)
    if kept is not None and kept.digest == manifest.digest:
        manifest = kept
    folder = c.state / FOLDER / manifest.digest
    for name, file in manifest.files.items():
        _write_where_different(folder / file.copy, c.sources.contents[name])
    _write_where_different(folder / MANIFEST, with_checksum(msgspec.json.format(msgspec.json.encode(manifest))))
    _point_to(folder)
    _remove_older(folder)
    return _accepted(c, folder, manifest)


def _credentials(c: Configuration) -> dict[str, bytes]:
    """The password, secret, certificate and key files that it names and that have not been read yet."""
    names = [n for n in _named_files(c) if n not in c.sources.contents and (c.folder / n).is_file()]
    return {name: (c.folder / name).read_bytes() for name in names}


def _named_files(c: Configuration) -> Iterator[str]:
    for model in (c.site, *(w.value for w in c.agencies)):
        yield from _file_fields(model)


def _file_fields(model: BaseModel) -> Iterator[str]:
    for name, value in model:
        each = value if isinstance(value, list | tuple) else [value]
        for inner in each:
            if isinstance(inner, BaseModel):
                yield from _file_fields(inner)
        if name.endswith("_file") and name not in NOT_COPIED and value:
            yield value


def _manifest(c: Configuration, accepted: str) -> _Manifest:
    contents, matches = c.sources.contents, dict(c.sources.matches)
    files = {
        name: _File(_copy_name(name, number), hashlib.sha256(contents[name]).hexdigest())
        for number, name in enumerate(sorted(contents))
    }
    return _Manifest(VERSION, _digest(files, matches), accepted, str(c.folder.absolute()), files, matches)


def _digest(files: Mapping[str, _File], matches: Mapping[str, tuple[str, ...]]) -> str:
    whole = msgspec.json.encode([VERSION, sorted(files.items()), sorted(matches.items())])
    return hashlib.sha256(whole).hexdigest()


def _copy_name(name: str, number: int) -> str:
    """Under its own name where that lies in the site folder, so that `diff -r` compares the two."""
    path = PurePosixPath(name)
    inside = not path.is_absolute() and ".." not in path.parts and name != MANIFEST
    return name if inside else f"elsewhere/{number:03d}-{path.name}"


def _write_where_different(path: Path, data: bytes) -> None:
    if not (path.is_file() and path.read_bytes() == data):
        write_durably(path, data)


def _point_to(folder: Path) -> None:
    link = folder.parent / LINK
    if link.is_symlink() and link.readlink().name == folder.name:
        return
    fresh = link.with_name(f".{LINK}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(folder.name)
    fresh.replace(link)
    sync_folder(link.parent)


def _remove_older(folder: Path) -> None:
    others = [p for p in folder.parent.iterdir() if p.is_dir() and not p.is_symlink() and p != folder]
    for each in sorted(others, key=lambda p: p.stat().st_mtime_ns)[: 1 - FOLDERS_KEPT]:
        shutil.rmtree(each)


# ── reading ──────────────────────────────────────────────────────────────────────────────────────


def accepted(folder: Path) -> Accepted | None:
    """The accepted configuration of a site folder; None where none was accepted yet.

    Raises AcceptedDamaged, and Mistakes where this Marchwarden no longer takes what an older one accepted.
    """
    state = state_folder(folder)
    manifest = _kept_manifest(state)
    if manifest is None:
        if (state / FOLDER / LINK).is_symlink():
            raise AcceptedDamaged(f"The accepted configuration in {state / FOLDER} cannot be read.")
        return None
    if manifest.digest != _digest(manifest.files, manifest.matches):
        raise AcceptedDamaged(f"{state / FOLDER / LINK / MANIFEST} is not as it was written.")
    kept = state / FOLDER / manifest.digest
    contents = {name: _checked(kept / file.copy, file.sha256) for name, file in manifest.files.items()}
    c = load(folder, SourceFiles(contents, manifest.matches))
    return _accepted(replace(c, sources=SourceFiles(contents, manifest.matches)), kept, manifest)


def configuration_in_use(folder: Path) -> Configuration:
    """The accepted configuration; where there is none, or it cannot be read, the one in the folder. Raises Mistakes."""
    try:
        found = accepted(folder)
    except (AcceptedDamaged, Mistakes):
        found = None
    return load(folder) if found is None else found.configuration


def state_folder(folder: Path) -> Path:
    """Where a site's state lies, as far as its site.toml can be read: it may have any mistake."""
    try:
        text = (folder / "site.toml").read_bytes().decode(errors="replace")
    except OSError:
        text = ""
    try:
        files = tomllib.loads(text).get("files", {})
        named = files.get("state") if isinstance(files, dict) else None
    except tomllib.TOMLDecodeError:
        line = re.search(r"""^\s*state\s*=\s*["']([^"']+)["']""", text, re.MULTILINE)
        named = line[1] if line else None
    return folder / (named if isinstance(named, str) and named else str(Files.model_fields["state"].default))


def _kept_manifest(state: Path) -> _Manifest | None:
    """What the link leads to; None where there is nothing, or nothing that can be read."""
    path = state / FOLDER / LINK / MANIFEST
    try:
        data = path.read_bytes()
        manifest = msgspec.json.decode(data, type=_Manifest)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    whole = is_whole(data) or CHECKSUM not in data  # the first ones had none
    return manifest if whole and manifest.version == VERSION else None


def _checked(path: Path, sha256: str) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise AcceptedDamaged(f"{path} of the accepted configuration cannot be read: {error.strerror}.") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise AcceptedDamaged(f"{path} of the accepted configuration is not as it was written.")
    return data


def _accepted(c: Configuration, folder: Path, manifest: _Manifest) -> Accepted:
    copies = {name: folder / file.copy for name, file in manifest.files.items()}
    return Accepted(replace(c, copies=copies), manifest.digest, manifest.accepted)
