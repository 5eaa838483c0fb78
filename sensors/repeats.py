"""Messages seen before: brokers redeliver, gateways hear an uplink twice, cameras say the same again."""

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]
BUCKETS = 8  # the memory is cut into about this many ages


@dataclass(frozen=True)
class Bucket:
    """Keys first seen from `since_ns` on, until the next bucket begins."""

    since_ns: int
    keys: Keys  # sorted


@dataclass(frozen=True)
class Seen:
    """The keys of messages seen lately, oldest bucket first."""

    buckets: tuple[Bucket, ...]

    @classmethod
    def none(cls) -> "Seen":
        return cls(())


def key_of(*parts: bytes) -> int:
    """A 64-bit key of what makes a message itself."""
    return int.from_bytes(blake2b(b"\0".join(parts), digest_size=8).digest())


def recognise(seen: Seen, keys: Keys, received_ns: NDArray[np.int64], repeat_ns: int) -> tuple[Seen, NDArray[np.bool_]]:
    """The memory with `keys` (n,) in it, and (n,) which of them were in it already or came earlier in the batch.

    A key is remembered for at least `repeat_ns`, and forgotten at most an eighth of that later.
    """
    if not len(keys):
        return seen, np.zeros(0, np.bool_)
    _, first = np.unique(keys, return_index=True)
    repeated = np.ones(len(keys), np.bool_)
    repeated[first] = False
    for bucket in seen.buckets:
        row = np.minimum(np.searchsorted(bucket.keys, keys), len(bucket.keys) - 1)
        repeated |= bucket.keys[row] == keys
    now_ns = int(received_ns[-1])
    span_ns = max(repeat_ns // BUCKETS, 1)
    starts = received_ns // span_ns * span_ns
    buckets = list(seen.buckets)
    for start in np.unique(starts).tolist():
        fresh = np.sort(keys[~repeated & (starts == start)])
        if not len(fresh):
            continue
        if buckets and buckets[-1].since_ns == start:
            merged = np.concatenate([buckets[-1].keys, fresh])
            merged.sort(kind="stable")
            buckets[-1] = Bucket(start, merged)
        else:
            buckets.append(Bucket(start, fresh))
    return Seen(tuple(b for b in buckets if b.since_ns + span_ns + repeat_ns > now_ns)), repeated
