"""From what cameras took to what is kept of it: pictures are reduced in a process beside, and nobody waits for that.

A thread hands one picture at a time to `reducer_process.py`, and the caller takes what comes back and seals it. What waits is
bounded, for each camera and altogether; what there is no room for, and what cannot be reduced, is counted as a rejection.
Pictures that wait when the service is killed are lost: they stand beside alerts, and no alert depends on one.
"""

import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable

from model.rejections import Reason, Rejection, summed
from sensors.pictures import PictureRefused
from sensors.readings import Picture
from sensors.reducer_process import READY, environment, framed, received
from sensors.vault import Shown

WAIT_S = 30.0  # for one picture; its processor time is bounded far below, so this is for a process that hangs
READY_S = 120.0  # for the process to start: it loads OpenCV, on a machine that may be busy
START_S = 1.0  # between two starts of the process at least
WAITING_PER_CAMERA = 8
WAITING_BYTES = 32_000_000
CLOSE_S = 10.0  # what waits at the end is taken for so long


class Reducer:
    """The process that decodes: started when there is something to decode, and again after it has ended."""

    def __init__(self, wait_s: float = WAIT_S) -> None:
        self._wait_s = wait_s
        self._process: subprocess.Popen[bytes] | None = None
        self._peer: socket.socket | None = None
        self._started_s = -START_S
        self.starts = 0

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def reduced(self, jpeg: bytes) -> bytes:
        """The reduced picture. Raises PictureRefused, and OSError where no process can be started."""
        if self._process is not None and self._process.poll() is not None:
            self.close()  # it ended between two pictures: that was not this one's doing
        peer = self._peer or self._start()
        refusal: bytes | None = None
        try:
            peer.sendall(framed(jpeg))
            small = received(peer)
            if small:
                return small
            refusal = None if small is None else received(peer)
        except TimeoutError:
            self.close()
            raise PictureRefused(Reason.TOO_LARGE, f"A picture that takes over {self._wait_s:g} s to decode.") from None
        except OSError:
            pass  # the process has ended: below
        if refusal is None:
            self.close()
            raise PictureRefused(Reason.TOO_LARGE, "A picture that takes more memory or time to decode than any may.")
        raise PictureRefused(Reason.WRONG_SHAPE, refusal.decode())

    def close(self) -> None:
        if self._peer is not None:
            self._peer.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._peer = self._process = None

    def _start(self) -> socket.socket:
        time.sleep(max(0.0, self._started_s + START_S - time.monotonic()))
        self._started_s = time.monotonic()
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "sensors.reducer_process", str(theirs.fileno())],
                env=environment(),
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # libjpeg writes a line there for each thing it minds in a picture
            )
        ours.settimeout(READY_S)
        self._peer, self.starts = ours, self.starts + 1
        try:
            if received(ours) != READY:
                raise ChildProcessError("it ended as it started")
        except OSError:
            self.close()
            raise
        ours.settimeout(self._wait_s)
        return ours


class Reduction:
    """Pictures on their way from the camera to the store. Whoever puts one in, or takes what has come of them, does not wait."""

    def __init__(self, report: Callable[[str], None], reducer: Reducer | None = None) -> None:
        self._report = report
        self._reducer = reducer or Reducer()
        self._changed = threading.Condition()
        self._waiting: dict[str, deque[Picture]] = {}  # by camera, the one whose turn it is first
        self._bytes = 0
        self._reduced: list[tuple[str, Shown]] = []
        self._rejections: list[Rejection] = []
        self._closing = False
        self._thread: threading.Thread | None = None

    def put(self, pictures: Iterable[tuple[str, Picture]]) -> None:
        """Take over (camera's id, picture) of each."""
        with self._changed:
            for camera, picture in pictures:
                queue = self._waiting.setdefault(camera, deque())
                queue.append(picture)
                self._bytes += len(picture.jpeg)
                if len(queue) > WAITING_PER_CAMERA:
                    self._drop(camera)
                while self._bytes > WAITING_BYTES:
                    self._drop(max(self._waiting, key=lambda c: len(self._waiting[c])))
            if self._waiting and (self._thread is None or not self._thread.is_alive()):
                self._thread = threading.Thread(target=self._run, name="pictures", daemon=True)
                self._thread.start()
            self._changed.notify()

    def reduced(self) -> list[tuple[str, Shown]]:
        """(camera's id, picture) of all that were reduced since this was asked last."""
        with self._changed:
            taken, self._reduced = self._reduced, []
        return taken

    def rejections(self) -> tuple[Rejection, ...]:
        """Of the pictures that were not kept since this was asked last."""
        with self._changed:
            taken, self._rejections = self._rejections, []
        return summed(taken)

    def close(self) -> None:
        """What waits is reduced, as far as that takes no longer than CLOSE_S."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(CLOSE_S)
        with self._changed:
            self._waiting.clear()
        self._reducer.close()  # the thread, where it still waits for it, goes on with an error, and ends

    def _drop(self, camera: str) -> None:
        """The camera's oldest picture that waits is not kept."""
        picture = self._take(camera)
        self._reject(camera, picture, Reason.OVER_LIMIT, "More pictures than can be reduced; the oldest are dropped.")

    def _take(self, camera: str) -> Picture:
        """The camera's oldest picture; the camera's next turn is after the others'."""
        queue = self._waiting.pop(camera)
        picture = queue.popleft()
        if queue:
            self._waiting[camera] = queue
        self._bytes -= len(picture.jpeg)
        return picture

    def _reject(self, camera: str, picture: Picture, reason: Reason, detail: str) -> None:
        self._rejections.append(Rejection(picture.received_ns, picture.topic, reason, detail, camera))

    def _run(self) -> None:
        while True:
            with self._changed:
                while not (self._waiting or self._closing):
                    self._changed.wait()
                if not self._waiting:
                    return
                camera = next(iter(self._waiting))
                picture = self._take(camera)
            try:
                small = self._reducer.reduced(picture.jpeg)
            except PictureRefused as refused:
                with self._changed:
                    self._reject(camera, picture, refused.reason, refused.detail)
            except OSError as error:
                self._report(
                    f"No process could be started that reduces pictures: {error}. Alerting goes on without them."
                )
            else:
                with self._changed:
                    self._reduced.append((camera, Shown(picture.received_ns, picture.label, small)))
