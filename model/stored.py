"""Formats of what is stored: each has a version number of its own, and older versions are migrated forwards."""

from hashlib import blake2b

CHECKSUM = b',"checksum":"'


class UnreadableFormat(Exception):
    """Something stored cannot be read, and the message says what to do."""


class NewerFormat(UnreadableFormat):
    """Something stored has a format that this version does not know, because a later one wrote it."""

    def __init__(self, what: str, found: int, newest: int) -> None:
        super().__init__(
            f"{what} has format {found}, and this version of Marchwarden reads formats up to {newest}: a later version wrote it. "
            "Run that version, or restore the state folder from before the upgrade."
        )


class Damaged(Exception):
    """Something stored is not as it was written, and the message says what."""


def with_checksum(data: bytes) -> bytes:
    """A JSON object of at least one member, with one more at its end: a checksum of all before."""
    return data[:-1] + CHECKSUM + _digest(data).encode() + b'"}'


def is_whole(data: bytes) -> bool:
    """Is a JSON object as `with_checksum` left it?"""
    before, found, digest = data.rpartition(CHECKSUM)
    return bool(found) and digest == _digest(before + b"}").encode() + b'"}'


def _digest(data: bytes) -> str:
    return blake2b(data, digest_size=8).hexdigest()
