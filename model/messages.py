"""What arrived: messages with the time they were received, before anybody has looked inside."""

from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

# Messages that the service writes into its own journal: they are in the recording, and no broker carries them.
OWN_TOPICS = "$marchwarden/"  # what begins so was written by the service, and is believed
SERVICE_TOPIC = "$marchwarden/service"  # {"event": "connected" | "disconnected"}
FAULT_TOPIC = (
    "$marchwarden/fault"  # what is wrong with the service: {"kind": …, "about": …, "detail": …, "observed_ns": …}
)
ACTION_TOPIC = "$marchwarden/action"  # what a person did: {"action": "ack", "alert": …, "by": …}

# What the journal keeps in place of a payload above the limit: this, and its length in digits.
TOO_LARGE_MARK = b"\x00TOO_LARGE "


@dataclass(frozen=True)
class Messages:
    """n messages in order of arrival; `received_ns` never decreases."""

    received_ns: NDArray[np.int64]  # (n,) ns
    topics: tuple[str, ...]  # (n,)
    payloads: tuple[bytes, ...]  # (n,)
    retained: NDArray[np.bool_]  # (n,) a retained message is state, not a new detection
    # (n,) the broker marks it as sent again (MQTT's DUP); where nothing is given, none are
    duplicate: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))

    def __post_init__(self) -> None:
        if not len(self.duplicate):
            object.__setattr__(self, "duplicate", np.zeros(len(self.topics), np.bool_))

    def __len__(self) -> int:
        return len(self.topics)

    def between(self, first: int, last: int) -> Self:
        """Messages number first to last - 1."""
        return type(self)(
            self.received_ns[first:last],
            self.topics[first:last],
            self.payloads[first:last],
            self.retained[first:last],
            self.duplicate[first:last],
        )

    @classmethod
    def none(cls) -> Self:
        return cls(np.zeros(0, np.int64), (), (), np.zeros(0, np.bool_))

    @classmethod
    def joined(cls, parts: list[Self]) -> Self:
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return cls.none()
        return cls(
            np.concatenate([p.received_ns for p in parts]),
            tuple(t for p in parts for t in p.topics),
            tuple(b for p in parts for b in p.payloads),
            np.concatenate([p.retained for p in parts]),
            np.concatenate([p.duplicate for p in parts]),
        )


@dataclass(frozen=True)
class Aside:
    """A message, or a row that came of one, that raised an exception and was left out. For the maintainer's eyes."""

    received_ns: int
    topic: str  # of a row: the id of its sensor
    payload: bytes  # of a row: its columns as JSON
    retained: bool
    stage: str  # the module that raised it
    error: str  # the traceback
