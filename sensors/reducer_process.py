"""Where pictures are decoded: a process of its own with limits, `python -m sensors.reducer_process FD`.

What decoding costs is the sender's to choose, and decoders of pictures have faults. This process holds one picture at a time and
no key, may write no file, and is killed by the kernel when it takes more memory or processor time than a picture can need.
Over the socket FD: READY back; then, again and again, a length of four bytes and a JPEG in, a length and the reduced JPEG back,
or a length of 0 and a sentence.
"""

import os
import resource
import socket
import sys
from math import ceil

from sensors.pictures import PIXELS_MAX, PictureRefused, reduced

MEMORY_BYTES = 1 << 30  # of address space; the libraries take 0.3, the largest picture 0.4
READY = b"ready"
CPU_S = 4  # for one picture; the costliest that the header check lets through takes 1


def main(descriptor: int) -> int:
    _limit()
    with socket.socket(fileno=descriptor) as parent:
        parent.sendall(framed(READY))
        while (jpeg := received(parent)) is not None:
            _allow_cpu()
            try:
                parent.sendall(framed(reduced(jpeg)))
            except PictureRefused as refused:
                parent.sendall(framed(b"") + framed(refused.detail.encode()))
    return 0


def framed(data: bytes) -> bytes:
    return len(data).to_bytes(4) + data


def received(peer: socket.socket) -> bytes | None:
    """One framed value; None: the other end is closed."""
    length = _exactly(peer, 4)
    return None if length is None else _exactly(peer, int.from_bytes(length))


def _exactly(peer: socket.socket, count: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < count:
        part = peer.recv(min(count - len(parts), 1 << 16))
        if not part:
            return None
        parts += part
    return bytes(parts)


def _limit() -> None:
    """No core dump, since it would hold a picture; no file; so much memory."""
    for kind, limit in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_AS, MEMORY_BYTES),
    ):
        resource.setrlimit(kind, (limit, limit))


def _allow_cpu() -> None:
    """From now on CPU_S more of processor time; then the kernel ends this process. Whole seconds are all that it counts in."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (ceil(used.ru_utime + used.ru_stime) + CPU_S, hard))


def environment() -> dict[str, str]:
    """What this process is to be started with: OpenCV's own bound, and one thread, since each takes address space."""
    return {
        **os.environ,
        "OPENCV_IO_MAX_IMAGE_PIXELS": str(PIXELS_MAX),
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
