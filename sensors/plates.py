"""Plates as keyed tokens. The same plate gives the same token under one key, and nothing gives the plate back."""

import hmac
import re

_NOT_PLATE = re.compile(r"[^A-Z0-9]")


def normalised(text: str) -> str:
    """Upper case, letters and digits only: how readers and people write one plate alike."""
    return _NOT_PLATE.sub("", text.upper())


def token(key: bytes, text: str) -> int:
    """The 64-bit token of a plate: HMAC-SHA256 of its normalised text, cut short; never 0, which means no plate."""
    return int.from_bytes(hmac.digest(key, normalised(text).encode(), "sha256")[:8]) or 1
