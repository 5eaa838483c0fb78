"""Checksums of what is stored: they find what a disk has changed, and not what a person has."""

from hashlib import blake2b

CHECKSUM_BYTES = 8


def checksum(*values: bytes | str | None) -> bytes:
    """Of a row's values in their order. Two rows that differ in any value, or in where it stands, have different ones."""
    mixed = blake2b(digest_size=CHECKSUM_BYTES)
    for value in values:
        data = value if isinstance(value, bytes) else str(value).encode()
        mixed.update(len(data).to_bytes(8, "little"))
        mixed.update(data)
    return mixed.digest()
