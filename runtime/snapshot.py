"""A value as bytes and back: any tree of frozen dataclasses, arrays, tuples and plain values.

The types say how to read it, so nothing in the bytes can name code to run. A digest of the shape of the types goes in front
(which values follow each other, without any name): bytes of another shape are recognised and never misread, and renaming a class
or a field changes nothing. Values of the same shape that mean something else have another format number, which the caller keeps.

Parts are compressed: most of a state are tracks, and a third of their bytes are zeros.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from hashlib import blake2b
from types import MappingProxyType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import msgspec
import numpy as np
import pyarrow as pa

T = TypeVar("T")
# A type never changes, so what is worked out of it is kept.
_HINTS: dict[Any, dict[str, Any]] = {}
_DIGESTS: dict[Any, bytes] = {}
COMPRESSED = b"\xc1"
PLAIN = (int, float, str, bytes, bool, type(None))


class Unreadable(ValueError):
    """The bytes are no value of the type: they are of another shape, or damaged."""


class Parts:
    """Remembers which parts of earlier values have been written, so that a value that shares them need not write them again.

    A part is any object of the given types. Values never change, so the same object is the same part.
    """

    def __init__(self, kinds: tuple[type, ...], first: int = 1) -> None:
        self.kinds = kinds
        self._next = first
        self._known: dict[int, tuple[Any, int]] = {}  # the object is held, so that its id is nobody else's

    def snapshot(self, value: Any) -> tuple[bytes, dict[int, bytes], set[int]]:
        """(the value but for its parts, the parts that are new by number, the numbers of all its parts)."""
        fresh: dict[int, bytes] = {}
        used: dict[int, tuple[Any, int]] = {}

        def reference(part: Any) -> dict[str, int]:
            held = self._known.get(id(part)) or used.get(id(part))
            if held is None:
                held = (part, self._next)
                self._next += 1
                fresh[held[1]] = _compressed(msgspec.msgpack.encode(_fields(part, None)))
            used[id(part)] = held
            return {"part": held[1]}

        whole = msgspec.msgpack.encode(
            _fields(value, lambda each: reference(each) if isinstance(each, self.kinds) else None)
        )
        self._known = used
        return _digest(type(value)) + whole, fresh, {number for _, number in used.values()}


def snapshot(value: Any) -> bytes:
    """The bytes of a dataclass value, whole."""
    return _digest(type(value)) + msgspec.msgpack.encode(_fields(value, None))


def restored(kind: type[T], data: bytes, parts: Mapping[int, bytes] = MappingProxyType({})) -> T:
    """The value of type `kind` that was written. Raises Unreadable."""
    digest = _digest(kind)
    if data[: len(digest)] != digest:
        raise Unreadable("It has another shape.")
    try:
        value: T = _built(kind, msgspec.msgpack.decode(data[len(digest) :]), parts)
    except Exception as error:  # whatever a decoder can meet in bytes that are not what they should be
        raise Unreadable(f"{type(error).__name__}: {error}") from error
    return value


def _compressed(data: bytes) -> bytes:
    """A part as it is stored: a byte that begins no msgpack value, the length, and the data in zstd."""
    zstd: bytes = pa.compress(data, codec="zstd", asbytes=True)
    return COMPRESSED + len(data).to_bytes(8, "little") + zstd


def _decompressed(data: bytes) -> bytes:
    if data[:1] != COMPRESSED:
        return data
    whole: bytes = pa.decompress(data[9:], int.from_bytes(data[1:9], "little"), codec="zstd", asbytes=True)
    return whole


Refer = Callable[[Any], Any] | None


def _fields(value: Any, refer: Refer) -> list[Any]:
    return [_plain(getattr(value, f.name), refer) for f in fields(value)]


def _plain(value: Any, refer: Refer) -> Any:
    if isinstance(value, np.ndarray):
        return [value.dtype.str, value.shape, np.ascontiguousarray(value).tobytes()]
    if is_dataclass(value):
        return (refer and refer(value)) or _fields(value, refer)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return [_plain(v, refer) for v in value]
    if isinstance(value, dict):
        return [[_plain(k, refer), _plain(v, refer)] for k, v in value.items()]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, PLAIN):
        return value
    raise TypeError(f"A {type(value).__name__} cannot be part of a snapshot.")


def _built(kind: Any, plain: Any, parts: Mapping[int, bytes]) -> Any:
    origin, args = get_origin(kind), get_args(kind)
    if origin is np.ndarray:
        dtype, shape, data = plain
        return np.frombuffer(data, np.dtype(dtype)).reshape(shape)
    if isinstance(kind, type) and is_dataclass(kind):
        if isinstance(plain, dict):
            plain = msgspec.msgpack.decode(_decompressed(parts[plain["part"]]))
        hints = _hints(kind)
        return kind(**{f.name: _built(hints[f.name], v, parts) for f, v in zip(fields(kind), plain, strict=True)})
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(plain)
    if origin is tuple:
        inner = [args[0]] * len(plain) if args[1:] == (...,) else args
        return tuple(_built(k, v, parts) for k, v in zip(inner, plain, strict=True))
    if origin is dict:
        return {_built(args[0], k, parts): _built(args[1], v, parts) for k, v in plain}
    if kind is float:
        return float(plain)
    return plain


def _hints(kind: Any) -> dict[str, Any]:
    if kind not in _HINTS:
        _HINTS[kind] = get_type_hints(kind)
    return _HINTS[kind]


def _digest(kind: Any) -> bytes:
    if kind not in _DIGESTS:
        _DIGESTS[kind] = blake2b(_described(kind, ()).encode(), digest_size=16).digest()
    return _DIGESTS[kind]


def _described(kind: Any, above: tuple[type, ...]) -> str:
    """Which values follow each other, without the names of classes and fields."""
    if isinstance(kind, type) and is_dataclass(kind) and kind not in above:
        return f"({','.join(_described(_hints(kind)[f.name], (*above, kind)) for f in fields(kind))})"
    if isinstance(kind, type) and is_dataclass(kind):
        return f"^{len(above) - above.index(kind)}"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "enum"
    if get_args(kind):
        return f"{get_origin(kind)}[{','.join(_described(k, above) for k in get_args(kind))}]"
    return getattr(kind, "__name__", str(kind))
