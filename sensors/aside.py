"""Messages that raised an exception, kept for the maintainer: each in a file, sealed as the journal is, under the key of its day.

Bounded in number and bytes, and for each stage by itself, so that many of one fault leave room for another. Kept as long as the
journal.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import msgspec
import numpy as np

from model.messages import Messages
from model.stored import Damaged
from sensors.journal import sealed, unsealed
from sensors.keys import DayKeys, KeyUnusable, day_of, end_of_day_ns, write_durably

FILES_MAX = 200
STAGE_FILES_MAX = 20
BYTES_MAX = 20_000_000
ERROR_TOPIC = "$marchwarden/aside"  # of the second message in a file: what was raised


@dataclass(frozen=True)
class Kept:
    """A message that was left out, and why."""

    message: Messages  # one
    stage: str
    error: str  # with the traceback


class AsideStore:
    """The folder of such files."""

    def __init__(self, folder: Path, keys: DayKeys) -> None:
        self._folder, self._keys = folder, keys

    def keep(self, kept: Iterable[Kept]) -> int:
        """Keep what there is room for; how many are new. The same message is kept once, however often it is met."""
        files = {path.name: path.stat().st_size for path in self._files()}
        new = 0
        for each in kept:
            received_ns = int(each.message.received_ns[0])
            said = b"\0".join([each.message.topics[0].encode(errors="replace"), each.message.payloads[0]])
            name = f"{received_ns}-{each.stage}-{blake2b(said, digest_size=8).hexdigest()}.aside"
            of_stage = sum(1 for file in files if file.split("-")[1] == each.stage)
            if name in files or len(files) >= FILES_MAX or of_stage >= STAGE_FILES_MAX:
                continue
            data = sealed(self._keys.key(day_of(received_ns)), _with_error(each))
            if sum(files.values()) + len(data) > BYTES_MAX:
                continue
            write_durably(self._folder / name, data)
            files[name] = len(data)
            new += 1
        return new

    def read(self) -> Iterator[Kept | str]:
        """All that is kept, in order of receipt; a sentence in place of what cannot be read."""
        for path in self._files():
            try:
                key = self._keys.known(day_of(int(path.name.split("-")[0])))
                if key is None:
                    yield f"{path.name} cannot be read: the key of its day is gone."
                    continue
                both = unsealed(key, path.read_bytes())
                error = msgspec.json.decode(both.payloads[1], type=dict[str, str])
            except (Damaged, KeyUnusable, msgspec.MsgspecError, IndexError) as damage:
                yield f"{path.name} cannot be read: {damage}"
                continue
            yield Kept(both.between(0, 1), error["stage"], error["error"])

    def count(self) -> int:
        return len(self._files())

    def forget_before(self, time_ns: int) -> None:
        """As the journal's keys go, so does what was sealed under them."""
        for path in self._files():
            if end_of_day_ns(day_of(int(path.name.split("-")[0]))) <= time_ns:
                path.unlink()

    def _files(self) -> list[Path]:
        return sorted(path for path in self._folder.glob("*.aside") if path.name.split("-")[0].isdecimal())


def _with_error(kept: Kept) -> Messages:
    error = msgspec.json.encode({"stage": kept.stage, "error": kept.error, "kept": str(time.time_ns())})
    times = np.repeat(kept.message.received_ns, 2)
    return Messages(
        times,
        (kept.message.topics[0], ERROR_TOPIC),
        (kept.message.payloads[0], error),
        np.array([bool(kept.message.retained[0]), False]),
    )
