"""Mistakes about secrecy: connections that would go beyond this machine in the clear, and secrets that everybody may read.

Each place that opens a connection is listed in `connections_of`. One key, `plain = true`, says everywhere that it is meant so.
"""

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from pydantic import BaseModel

from runtime.entries import Configuration
from runtime.mistakes import Mistake
from runtime.schema import CapChannel, Channel, CotChannel, EmailChannel, FeedEntry, NamesFile, WebhookChannel

PRIVATE_KEY = b"PRIVATE KEY-----"
OPEN_TO_OTHERS = "may be read by everybody on this machine, or written by others."
TOO_OPEN = stat.S_IROTH | stat.S_IWOTH | stat.S_IWGRP


@dataclass(frozen=True)
class Connection:
    """One that the configuration makes Marchwarden open."""

    file: str
    entry: str
    field: str  # that says where to
    host: str
    encrypted: bool
    plain: bool  # it says that it is meant to be in the clear
    hint: str  # how it would be encrypted
    idle_certificate: bool = False  # a certificate of ours that nothing would use


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def secrecy_mistakes(c: Configuration) -> list[Mistake]:
    """All of them."""
    found = [mistake for each in connections_of(c) for mistake in _of_connection(each)]
    return [*found, *_open_secrets(c)]


def connections_of(c: Configuration) -> Iterator[Connection]:
    """Every place from which a connection is opened."""
    mqtt, history = c.site.mqtt, c.site.history
    hint = "Give tls_ca_file"
    yield Connection("site.toml", "mqtt", "host", mqtt.host, bool(mqtt.tls_ca_file), mqtt.plain, hint)
    if history.store == "influxdb":
        yield _by_url("site.toml", "history", "url", history.url, history.plain)
    for feed in c.site.feed:
        if feed.server:
            yield _to_tak("site.toml", f"feed {feed.id!r}", "", feed)
    for at in c.agencies:
        for channel in at.value.channel:
            yield from _of_channel(at.file, at.entry, channel)


def _of_channel(file: str, entry: str, channel: Channel) -> Iterator[Connection]:
    where = f"channel {channel.id!r}: "
    match channel:
        case WebhookChannel() | CapChannel():
            yield _by_url(file, entry, f"{where}url", channel.url, channel.plain)
        case CotChannel():
            yield _to_tak(file, entry, where, channel)
        case EmailChannel():
            host = channel.server.rpartition(":")[0]
            hint = "Leave out starttls = false"
            yield Connection(file, entry, f"{where}server", host, channel.starttls, channel.plain, hint)


def _by_url(file: str, entry: str, field: str, url: str, plain: bool) -> Connection:
    parts = urlsplit(url)
    return Connection(file, entry, field, parts.hostname or "", parts.scheme == "https", plain, "Write https://…")


def _to_tak(file: str, entry: str, where: str, said: FeedEntry | CotChannel) -> Connection:
    host, encrypted = said.server.rpartition(":")[0], bool(said.ca_file)
    idle = not encrypted and bool(said.cert_file or said.key_file)
    return Connection(file, entry, f"{where}server", host, encrypted, said.plain, "Give ca_file", idle)


def _of_connection(each: Connection) -> Iterator[Mistake]:
    if each.idle_certificate:
        wrong = "a certificate of ours is given and no ca_file: it would not be used, and everything be in the clear."
        yield Mistake(each.file, each.entry, each.field, wrong, "Give ca_file, the authority of the server.")
    elif each.plain and each.encrypted:
        wrong = "it says plain = true, and is set up to be encrypted."
        yield Mistake(each.file, each.entry, each.field, wrong, "Leave out plain.")
    elif not (each.encrypted or each.plain or is_loopback(each.host)):
        wrong = f"{each.host!r} is beyond this machine, and all that goes there would be in the clear."
        mend = f"{each.hint}, or write plain = true where that is meant."
        yield Mistake(each.file, each.entry, each.field, wrong, mend)


def _open_secrets(c: Configuration) -> Iterator[Mistake]:
    """Files that hold a secret and that others on this machine may read, or write."""
    named = [("site.toml", "", c.site), *((w.file, w.entry, w.value) for w in c.agencies)]
    for file, entry, model in named:
        for field, name, secret in _named_files(model, ""):
            path = c.folder / name
            if not (path.is_file() and path.stat().st_mode & TOO_OPEN and path.stat().st_size):
                continue
            if field == "files.accounts":
                yield Mistake(name, "", "", f"holds password hashes, and {OPEN_TO_OTHERS}", f"chmod 600 {name}")
            elif secret:
                yield Mistake(file, entry, field, f"{name!r} {OPEN_TO_OTHERS}", f"chmod 600 {name}")
            elif PRIVATE_KEY in path.read_bytes():
                wrong = f"{name!r} holds a private key too, and {OPEN_TO_OTHERS}"
                yield Mistake(file, entry, field, wrong, f"Keep the key in a file of its own, or chmod 600 {name}")


def _named_files(model: BaseModel, within: str) -> Iterator[tuple[str, str, bool]]:
    """(field, file name, whether it holds a secret) of every field that the schema marks as the name of a file."""
    for name, info in type(model).model_fields.items():
        value = getattr(model, name)
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, BaseModel):
                yield from _named_files(inner, f"{within}{name}.")
        for mark in info.metadata:
            if isinstance(mark, NamesFile) and value:
                yield f"{within}{name}", value, mark.secret
