"""What may become of a delivery, and what every channel can do."""

from dataclasses import dataclass
from typing import Protocol

from model.alerts import Delivery


@dataclass(frozen=True)
class Delivered:
    """The receiver has it."""


@dataclass(frozen=True)
class TryAgain:
    """Not now; `after_s` where the receiver said when."""

    error: str
    after_s: float | None = None


@dataclass(frozen=True)
class Refused:
    """The receiver will never take this one."""

    error: str


Result = Delivered | TryAgain | Refused


class Channel(Protocol):
    """One way to one agency."""

    id: str
    per_minute: int | None  # no more deliveries than this

    def send(self, deliveries: list[Delivery]) -> list[Result]:
        """What became of each, in order. Never raises for what the receiver does."""
        ...

    def close(self) -> None: ...


def failure(error: Exception) -> TryAgain:
    """What went wrong on the way, in a line."""
    return TryAgain(f"{type(error).__name__}: {error}"[:200])
