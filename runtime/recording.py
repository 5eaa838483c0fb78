"""Recorded messages as contract.md lays down: one JSON object a line, in order of receipt."""

import base64
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import numpy as np

from model.messages import Messages
from model.time import iso_from_ns, ns_from_iso

BATCH = 5_000


class Line(msgspec.Struct):
    """One recorded message."""

    received: str
    topic: str
    payload: msgspec.Raw = msgspec.Raw()
    payload_base64: str | None = None
    retain: bool = False
    duplicate: bool = False  # the broker marks it as sent again


class BadRecording(ValueError):
    """A recording that is not one: says which line and why."""


def read(path: Path, chunk: int = BATCH) -> Iterator[Messages]:
    """The recording in batches of at most `chunk` messages.

    Raises BadRecording with the line's number for what is no recorded message.
    """
    decoder = msgspec.json.Decoder(Line)
    rows: list[tuple[int, str, bytes, bool, bool]] = []
    newest_ns = 0
    with path.open("rb") as lines:
        for number, text in enumerate(lines, 1):
            if not text.strip():
                continue
            try:
                line = decoder.decode(text)
                received_ns = ns_from_iso(line.received)
                payload = (
                    bytes(line.payload)
                    if line.payload_base64 is None
                    else base64.b64decode(line.payload_base64, validate=True)
                )
            except ValueError as error:
                raise BadRecording(f"{path}, line {number}: not a recorded message ({error}).") from error
            if received_ns < newest_ns:
                raise BadRecording(
                    f"{path}, line {number}: received {line.received}, before the line above it. "
                    "Sort the lines by 'received'."
                )
            newest_ns = received_ns
            rows.append((received_ns, line.topic, payload, line.retain, line.duplicate))
            if len(rows) >= chunk:
                yield _messages(rows)
                rows = []
    if rows:
        yield _messages(rows)


def lines(messages: Messages) -> Iterator[bytes]:
    """Each message as a line, with its newline."""
    for received_ns, topic, payload, retained, duplicate in zip(
        messages.received_ns.tolist(),
        messages.topics,
        messages.payloads,
        messages.retained.tolist(),
        messages.duplicate.tolist(),
        strict=True,
    ):
        said: dict[str, object] = {"received": iso_from_ns(received_ns), "topic": topic}
        if _is_json(payload):
            said["payload"] = msgspec.Raw(payload if b"\n" not in payload else msgspec.json.format(payload, indent=-1))
        else:
            said["payload_base64"] = base64.b64encode(payload).decode()
        yield msgspec.json.encode(said | {"retain": retained} | ({"duplicate": True} if duplicate else {})) + b"\n"


def write(path: Path, batches: Iterable[Messages]) -> int:
    """Write a recording; how many messages it holds."""
    count = 0
    with path.open("wb") as out:
        for batch in batches:
            out.writelines(lines(batch))
            count += len(batch)
    return count


def _is_json(payload: bytes) -> bool:
    try:
        msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _messages(rows: list[tuple[int, str, bytes, bool, bool]]) -> Messages:
    received, topics, payloads, retained, duplicate = zip(*rows, strict=True)
    flags = np.array(retained, np.bool_), np.array(duplicate, np.bool_)
    return Messages(np.array(received, np.int64), topics, payloads, *flags)
