"""Messages seen before: brokers redeliver, gateways hear an uplink twice, cameras say the same again."""

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]
SPANS = 8  # the memory is forgotten in about this many pieces


@dataclass(frozen=True)
class Bucket:
    """Keys first seen in the span of time that begins at `since_ns`. A span has several buckets while it lasts."""

    since_ns: int
    keys: Keys  # sorted


@dataclass(frozen=True)
class Seen:
    """The keys of messages seen lately, oldest bucket first."""

    buckets: tuple[Bucket, ...]

    @classmethod
    def none(cls) -> "Seen":
        return cls(())


def key_of(*parts: bytes | str) -> int:
    """A 64-bit key of what makes a message itself."""
    whole = b"\0".join([part if isinstance(part, bytes) else part.encode() for part in parts])
    return int.from_bytes(blake2b(whole, digest_size=8).digest())


def recognise(seen: Seen, keys: Keys, received_ns: NDArray[np.int64], repeat_ns: int) -> tuple[Seen, NDArray[np.bool_]]:
    """The memory with `keys` (n,) in it, and (n,) which of them were in it already or came earlier in the batch.

    A key is remembered for at least `repeat_ns`, and forgotten at most an eighth of that later.
    """
    if not len(keys):
        return seen, np.zeros(0, np.bool_)
    span_ns = max(repeat_ns // SPANS, 1)
    fresh_from_ns = int(received_ns[0]) - span_ns - repeat_ns
    seen = Seen(tuple(b for b in seen.buckets if b.since_ns > fresh_from_ns))
    _, first = np.unique(keys, return_index=True)
    repeated = np.ones(len(keys), np.bool_)
    repeated[first] = False
    for bucket in seen.buckets:
        row = np.minimum(np.searchsorted(bucket.keys, keys), len(bucket.keys) - 1)
        repeated |= bucket.keys[row] == keys
    starts = received_ns // span_ns * span_ns
    buckets = seen.buckets
    for start in np.unique(starts).tolist():
        fresh = np.sort(keys[~repeated & (starts == start)])
        if len(fresh):
            buckets = _with(buckets, Bucket(start, fresh))
    return Seen(buckets), repeated


def _with(buckets: tuple[Bucket, ...], fresh: Bucket) -> tuple[Bucket, ...]:
    """One bucket more; neighbours of one span and like size become one, so that there are few and most stay as they are.

    That is the log-structured merge of O'Neil, Cheng, Gawlick & O'Neil (1996): each key is copied some log n times.
    """
    kept = [*buckets, fresh]
    while len(kept) > 1:
        earlier, last = kept[-2], kept[-1]
        if earlier.since_ns != last.since_ns or len(earlier.keys) > 2 * len(last.keys):
            break
        merged = np.concatenate([earlier.keys, last.keys])
        merged.sort(kind="stable")
        kept[-2:] = [Bucket(last.since_ns, merged)]
    return tuple(kept)
