"""A supervised thread for each channel, in which its deliveries are sent."""

import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from alerts.channels.results import Channel
from alerts.delivery import Allowance, Clock, work
from runtime.process_report import Part
from runtime.supervision import Ended, Threads


class DeliveryWorkers:
    """The workers of all channels. `wake` says that there is something; `stop` lets them end what they are at.

    A worker that is started again makes its channel anew: an exception may have left a connection half used.
    """

    def __init__(
        self,
        database: Path,
        builders: Mapping[str, Callable[[], Channel]],
        clock: Clock,
        report: Callable[[str], None],
        on_end: Ended,
        on_failure: Callable[[str, str], None],
    ) -> None:
        """`builders` make each channel, by id; `on_failure` is told a worker's name and what could not be sent."""
        self._database, self._clock, self._report, self._on_failure = database, clock, report, on_failure
        self._threads = Threads(on_end)
        self._wakes = {id: threading.Event() for id in builders}
        self._allowances: dict[str, Allowance] = {}
        for id, build in builders.items():
            self._threads.start(f"channel {id}", partial(self._work, id, build))

    def wake(self) -> None:
        for each in self._wakes.values():
            each.set()

    def parts(self) -> tuple[Part, ...]:
        return self._threads.parts()

    def stop(self) -> None:
        self._threads.stopping.set()
        self.wake()
        self._threads.stop()

    def _work(self, id: str, build: Callable[[], Channel]) -> None:
        channel = build()
        allowance = self._allowances.setdefault(id, Allowance(channel.per_minute))
        try:
            work(
                self._database,
                channel,
                self._clock,
                allowance,
                self._wakes[id],
                self._threads.stopping,
                self._report,
                lambda detail: self._on_failure(f"channel {id}", detail),
            )
        finally:
            channel.close()
