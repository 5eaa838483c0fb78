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
    timeless: (
        Keys  # (k,) of those that carry neither an id nor a time and were taken so lately that one may be redelivered
    )
    timeless_ns: NDArray[np.int64]  # (k,) ns, received: when each was

    @classmethod
    def none(cls) -> "Seen":
        return cls((), np.zeros(0, np.uint64), np.zeros(0, np.int64))


def key_of(*parts: bytes | str) -> int:
    """A 64-bit key of what makes a message itself."""
    whole = b"\0".join([part if isinstance(part, bytes) else part.encode() for part in parts])
    return int.from_bytes(blake2b(whole, digest_size=8).digest())


def recognise(
    seen: Seen,
    keys: Keys,
    received_ns: NDArray[np.int64],
    timeless: NDArray[np.bool_],
    duplicate: NDArray[np.bool_],
    repeat_ns: int,
    redelivery_ns: int,
) -> tuple[Seen, NDArray[np.bool_]]:
    """The memory with `keys` (n,) in it, and (n,) which of them were in it already or came earlier in the batch.

    A key is remembered for at least `repeat_ns`, and forgotten at most an eighth of that later. What is `timeless` carries
    neither an id nor a time, so its key is that of its words alone: the same words again are a second sighting, unless the broker
    marks them as a `duplicate` or they follow within `redelivery_ns` of the last that was taken.
    """
    if not len(keys):
        return seen, np.zeros(0, np.bool_)
    repeated = np.zeros(len(keys), np.bool_)
    sightings = np.flatnonzero(timeless & ~duplicate)
    newest, repeated[sightings] = _sighted(
        seen, keys[sightings], received_ns[sightings], int(received_ns[0]), redelivery_ns
    )
    # A duplicate that the broker marks may be of any sighting, so they are remembered like the others too.
    fresh, others = sightings[~repeated[sightings]], np.flatnonzero(~timeless | duplicate)
    buckets = _added(seen.buckets, keys[fresh], received_ns[fresh], repeat_ns)
    buckets, repeated[others] = _recognised(buckets, keys[others], received_ns[others], repeat_ns)
    times_ns = np.array(list(newest.values()), np.int64)
    return Seen(buckets, np.array(list(newest), np.uint64), times_ns), repeated


def _sighted(
    seen: Seen, keys: Keys, received_ns: NDArray[np.int64], now_ns: int, redelivery_ns: int
) -> tuple[dict[int, int], NDArray[np.bool_]]:
    """When each timeless key was last taken, and (n,) which of `keys` follow so soon that they may be redelivered."""
    held = zip(seen.timeless.tolist(), seen.timeless_ns.tolist(), strict=True)
    taken_ns = {key: at_ns for key, at_ns in held if now_ns - at_ns < redelivery_ns}
    repeated = np.zeros(len(keys), np.bool_)
    for row, (key, at_ns) in enumerate(zip(keys.tolist(), received_ns.tolist(), strict=True)):
        if key in taken_ns and at_ns - taken_ns[key] < redelivery_ns:
            repeated[row] = True
        else:
            taken_ns[key] = at_ns
    return taken_ns, repeated


def _recognised(
    buckets: tuple[Bucket, ...], keys: Keys, received_ns: NDArray[np.int64], repeat_ns: int
) -> tuple[tuple[Bucket, ...], NDArray[np.bool_]]:
    """The buckets with `keys` (n,) in them, and (n,) which of these were in them already or came earlier in the batch."""
    if not len(keys):
        return buckets, np.zeros(0, np.bool_)
    fresh_from_ns = int(received_ns[0]) - max(repeat_ns // SPANS, 1) - repeat_ns
    buckets = tuple(b for b in buckets if b.since_ns > fresh_from_ns)
    _, first = np.unique(keys, return_index=True)
    repeated = np.ones(len(keys), np.bool_)
    repeated[first] = False
    for bucket in buckets:
        row = np.minimum(np.searchsorted(bucket.keys, keys), len(bucket.keys) - 1)
        repeated |= bucket.keys[row] == keys
    return _added(buckets, keys[~repeated], received_ns[~repeated], repeat_ns), repeated


def _added(
    buckets: tuple[Bucket, ...], keys: Keys, received_ns: NDArray[np.int64], repeat_ns: int
) -> tuple[Bucket, ...]:
    """The buckets with more keys in them, each in that of the span of time it was received in."""
    span_ns = max(repeat_ns // SPANS, 1)
    starts = received_ns // span_ns * span_ns
    for start in np.unique(starts).tolist():
        buckets = _with(buckets, Bucket(start, np.sort(keys[starts == start])))
    return buckets


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
