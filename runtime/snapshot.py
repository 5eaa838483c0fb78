"""A value as bytes and back: any tree of frozen dataclasses, arrays, tuples and plain values.

The types say how to read it, so nothing in the bytes can name code to run. A digest of the types goes in front: a
snapshot of another version is recognised and never misread.
"""

import types
from dataclasses import fields, is_dataclass
from enum import Enum
from hashlib import blake2b
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
import numpy as np

T = TypeVar("T")
# A type never changes, so what is worked out of it is kept.
_HINTS: dict[Any, dict[str, Any]] = {}
_DIGESTS: dict[Any, bytes] = {}
PLAIN = (int, float, str, bytes, bool, type(None))


class AnotherVersion(ValueError):
    """The bytes were written from other types than those that would read them."""


def snapshot(value: Any) -> bytes:
    """The bytes of a dataclass value."""
    return _digest(type(value)) + msgspec.msgpack.encode(_plain(value))


def restored(kind: type[T], data: bytes) -> T:
    """The value of type `kind` that `snapshot` wrote. Raises AnotherVersion."""
    digest = _digest(kind)
    if data[: len(digest)] != digest:
        raise AnotherVersion("The snapshot was written by another version of Marchwarden.")
    value: T = _built(kind, msgspec.msgpack.decode(data[len(digest) :]))
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [value.dtype.str, value.shape, np.ascontiguousarray(value).tobytes()]
    if is_dataclass(value):
        return [_plain(getattr(value, f.name)) for f in fields(value)]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return [[_plain(k), _plain(v)] for k, v in value.items()]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, PLAIN):
        return value
    raise TypeError(f"A {type(value).__name__} cannot be part of a snapshot.")


def _built(kind: Any, plain: Any) -> Any:
    origin, args = get_origin(kind), get_args(kind)
    if origin is np.ndarray:
        dtype, shape, data = plain
        return np.frombuffer(data, np.dtype(dtype)).reshape(shape)
    if isinstance(kind, type) and is_dataclass(kind):
        hints = _hints(kind)
        return kind(**{f.name: _built(hints[f.name], v) for f, v in zip(fields(kind), plain, strict=True)})
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(plain)
    if origin is tuple:
        inner = [args[0]] * len(plain) if args[1:] == (...,) else args
        return tuple(_built(k, v) for k, v in zip(inner, plain, strict=True))
    if origin is dict:
        return {_built(args[0], k): _built(args[1], v) for k, v in plain}
    if origin in (Union, types.UnionType):
        chosen = [k for k in args if k in PLAIN or k is type(None)]
        if len(chosen) < len(args) and plain is not None and not isinstance(plain, tuple(chosen)):
            chosen = [k for k in args if k not in chosen]
            return _built(chosen[0], plain)
        return plain
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
    if isinstance(kind, type) and is_dataclass(kind) and kind not in above:
        inner = ",".join(f"{f.name}:{_described(_hints(kind)[f.name], (*above, kind))}" for f in fields(kind))
        return f"{kind.__name__}({inner})"
    if get_args(kind):
        return f"{get_origin(kind)}[{','.join(_described(k, above) for k in get_args(kind))}]"
    return getattr(kind, "__name__", str(kind))
