"""Pictures that are to cost what no service has: refused by their header, or decoded in a process that may end."""

import os
import shutil
import signal
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from model.rejections import Reason, Rejection
from model.time import NS
from runtime.configuration import load
from runtime.places import Places
from runtime.replay import replayed
from runtime.side_stores import SideStores
from sensors.pictures import LONGEST_PX, PIXELS_MAX, SCANS_MAX, Header, PictureRefused, checked_header, reduced
from sensors.readings import Picture
from sensors.reducer import WAITING_PER_CAMERA, Reducer, Reduction
from sensors.vault import Pictures
from tests.builders import CONFIGS, T0, decoded, messages, shipped_world
from tests.hostile.jpegs import crafted, orientation, segment
from tests.site import until

CATALOGUE = shipped_world().catalogue
CAMERA = next(s.source for s in CATALOGUE.sensors if s.id == "cam-05")
LONG = 60.0  # for what starts a process, on a machine that is busy


def photo(wide: int, high: int) -> bytes:
    return bytes(cv2.imencode(".jpg", np.random.default_rng(1).integers(0, 255, (high, wide, 3)).astype(np.uint8))[1])


def size_of(picture: bytes) -> tuple[int, int]:
    high, wide = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR).shape[:2]
    return wide, high


def taken(number: int, jpeg: bytes) -> Picture:
    return Picture(T0 + number * NS, f"frigate/{CAMERA}/person/snapshot", 0, "person", jpeg)


REFUSED = {
    "32,000 pixels a side, 100 scans, in 1.5 kB": (crafted(32_000, 32_000, 100), Reason.TOO_LARGE),
    "the largest that 16 bits can say": (crafted(65_535, 65_535), Reason.TOO_LARGE),
    "baseline, and as large": (crafted(65_535, 65_535, frame=0xC0), Reason.TOO_LARGE),
    "a pixel row too many": (crafted(8_000, PIXELS_MAX // 8_000 + 1), Reason.TOO_LARGE),
    "1,600 scans in 22 kB": (crafted(5_000, 5_000, 1_600), Reason.TOO_LARGE),
    "more scans than any encoder writes": (crafted(64, 64, SCANS_MAX + 1), Reason.TOO_LARGE),
    "more segments than any camera writes": (crafted(64, 64, before=segment(0xE5, b"x") * 300), Reason.TOO_LARGE),
    "arithmetic coded": (crafted(64, 64, frame=0xC9), Reason.WRONG_SHAPE),
    "lossless, 16 bits": (crafted(64, 64, frame=0xC3, precision=16), Reason.WRONG_SHAPE),
    "12 bits": (crafted(64, 64, frame=0xC1, precision=12), Reason.WRONG_SHAPE),
    "16 bits": (crafted(64, 64, frame=0xC0, precision=16), Reason.WRONG_SHAPE),
    "two channels": (crafted(64, 64, channels=2), Reason.WRONG_SHAPE),
    "no height": (crafted(64, 0), Reason.WRONG_SHAPE),
    "two frames": (crafted(64, 64)[:-2] + crafted(32_000, 32_000)[2:], Reason.WRONG_SHAPE),
    "a segment of no length": (b"\xff\xd8\xff\xe0\x00\x00" + crafted(64, 64)[2:], Reason.WRONG_SHAPE),
    "a frame header cut off": (b"\xff\xd8" + segment(0xC0, b"\x08\x00"), Reason.WRONG_SHAPE),
    "no scan": (crafted(64, 64).partition(b"\xff\xda")[0], Reason.WRONG_SHAPE),
    "a frame behind the end": (b"\xff\xd8\xff\xd9" + crafted(64, 64)[2:], Reason.WRONG_SHAPE),
    "nothing": (b"", Reason.WRONG_SHAPE),
    "JSON": (b"{}", Reason.WRONG_SHAPE),
    "two letters": (b"\xff\xd8", Reason.WRONG_SHAPE),
    "two letters and more": (b"\xff\xd8" + b"x" * 1000, Reason.WRONG_SHAPE),
    "900 kB of 0xFF": (b"\xff\xd8" + b"\xff" * 900_000, Reason.WRONG_SHAPE),
    "900 kB of nothing": (b"\xff\xd8" + b"\xff\x00" * 450_000, Reason.WRONG_SHAPE),
    "a PNG": (bytes(cv2.imencode(".png", np.zeros((64, 64, 3), np.uint8))[1]), Reason.WRONG_SHAPE),
    "a WebP": (bytes(cv2.imencode(".webp", np.zeros((64, 64, 3), np.uint8))[1]), Reason.WRONG_SHAPE),
    "a GIF": (b"GIF89a\x01\x00\x01\x00", Reason.WRONG_SHAPE),
}


@pytest.mark.parametrize(("jpeg", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_too_costly_or_no_jpeg_is_rejected_by_its_header(jpeg: bytes, reason: Reason) -> None:
    heard = decoded(CATALOGUE, messages((1.0, f"frigate/{CAMERA}/person/snapshot", jpeg)))
    assert [(r.reason, r.sensor) for r in heard.rejections] == [(reason, "cam-05")]
    assert heard.pictures == ()


@pytest.mark.parametrize(
    ("jpeg", "header", "small"),
    [
        (crafted(1280, 720), Header(1280, 720, 1), (96, 54)),
        (crafted(1280, 720, 10), Header(1280, 720, 10), (96, 54)),
        (crafted(1280, 720, frame=0xC0), Header(1280, 720, 1), (96, 54)),
        (crafted(1280, 720, frame=0xC0, channels=1), Header(1280, 720, 1), (96, 54)),
        (crafted(1280, 720, frame=0xC0, channels=4), Header(1280, 720, 1), (96, 54)),
        (crafted(1280, 720, channels=4), Header(1280, 720, 1), (96, 54)),
        (crafted(300, 100, before=orientation(6)), Header(300, 100, 1), (32, 96)),
        (crafted(300, 100, before=orientation(3)), Header(300, 100, 1), (96, 32)),
        (crafted(300, 100, before=orientation(99)), Header(300, 100, 1), (96, 32)),
        (crafted(60_000, 1), Header(60_000, 1, 1), (96, 1)),
        (photo(640, 480) + photo(64, 64), Header(640, 480, 1), (96, 72)),  # several in one file: the first
    ],
)
def test_what_cameras_may_send_is_read_however_it_is_written(
    jpeg: bytes, header: Header, small: tuple[int, int]
) -> None:
    assert checked_header(jpeg) == header
    assert size_of(reduced(jpeg)) == small


def test_no_bytes_whatever_do_more_than_be_refused() -> None:
    whole, rng = crafted(200, 100, 3, before=orientation(6)), np.random.default_rng(7)
    for _ in range(2_000):
        data = bytearray(whole[: rng.integers(0, len(whole) + 1)])
        for place in rng.integers(0, max(len(data), 1), rng.integers(0, 6)).tolist():
            data[place : place + 1] = bytes([int(rng.integers(256))])
        try:
            assert checked_header(bytes(data)).scans > 0
        except PictureRefused as refused:
            assert refused.detail


def test_a_process_that_is_killed_costs_one_picture_and_is_started_again() -> None:
    reducer = Reducer(LONG)
    assert size_of(reducer.reduced(photo(640, 480))) == (96, 72)
    pid = reducer.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert size_of(reducer.reduced(photo(640, 480))) == (96, 72)
    assert reducer.starts == 2
    with pytest.raises(PictureRefused, match="cut off or damaged"):
        reducer.reduced(photo(640, 480)[:5_000])
    assert reducer.starts == 2
    reducer.close()


def test_a_process_that_hangs_is_killed_and_its_picture_refused() -> None:
    reducer = Reducer(wait_s=1.0)
    while reducer.pid is None:  # a busy machine may take longer than that even for this one
        with suppress(PictureRefused):
            reducer.reduced(photo(64, 64))
    os.kill(reducer.pid, signal.SIGSTOP)
    with pytest.raises(PictureRefused, match="takes over 1 s"):
        reducer.reduced(photo(64, 64))
    assert reducer.pid is None
    reducer.close()


def test_the_process_has_limits_of_memory_files_and_processor_time() -> None:
    reducer = Reducer(LONG)
    reducer.reduced(photo(64, 64))
    limits = Path(f"/proc/{reducer.pid}/limits").read_text()
    reducer.close()
    soft = {line[:26].strip(): line[26:47].strip() for line in limits.splitlines()}
    assert int(soft["Max address space"]) == 1 << 30
    assert int(soft["Max cpu time"]) < 30
    assert (soft["Max core file size"], soft["Max file size"]) == ("0", "0")


def test_the_largest_picture_that_is_let_through_is_reduced_within_the_limits() -> None:
    reducer = Reducer(LONG)
    assert size_of(reducer.reduced(crafted(8_000, PIXELS_MAX // 8_000, SCANS_MAX, channels=4))) == (96, 60)
    assert reducer.starts == 1
    reducer.close()


def test_pictures_come_back_reduced_and_what_cannot_be_is_counted() -> None:
    reduction = Reduction(pytest.fail, Reducer(LONG))
    reduction.put([("cam-05", taken(0, photo(640, 480))), ("cam-06", taken(1, b"no picture"))])
    found: list[Rejection] = []
    until(lambda: found.extend(reduction.rejections()) or found, "the refusal is counted", LONG)
    reduction.close()
    ((camera, shown),) = reduction.reduced()
    assert (camera, shown.received_ns, shown.label) == ("cam-05", T0, "person")
    assert max(size_of(shown.jpeg)) == LONGEST_PX
    assert [(r.reason, r.sensor, r.topic) for r in found] == [
        (Reason.WRONG_SHAPE, "cam-06", f"frigate/{CAMERA}/person/snapshot")
    ]


def test_a_camera_that_sends_more_than_can_be_reduced_takes_no_other_cameras_turn() -> None:
    reducer = Reducer(LONG)
    reducer.reduced(photo(64, 64))
    assert reducer.pid is not None
    os.kill(reducer.pid, signal.SIGSTOP)  # nothing is reduced for now
    reduction = Reduction(pytest.fail, reducer)
    reduction.put(("cam-05", taken(n, photo(64, 64))) for n in range(1_000))
    reduction.put([("cam-06", taken(0, photo(64, 64)))])
    dropped = reduction.rejections()
    assert {(r.reason, r.sensor) for r in dropped} == {(Reason.OVER_LIMIT, "cam-05")}
    assert sum(r.count for r in dropped) >= 1_000 - WAITING_PER_CAMERA - 1  # one may be with the process
    os.kill(reducer.pid, signal.SIGCONT)
    kept: list[str] = []
    until(lambda: kept.extend(c for c, _ in reduction.reduced()) or "cam-06" in kept, "the other's is reduced", LONG)
    assert kept.index("cam-06") <= 2  # it came after one of the flood, or two
    reduction.close()


def test_the_service_seals_what_was_reduced_and_nothing_else(tmp_path: Path) -> None:
    shutil.copytree(CONFIGS, tmp_path / "site", ignore=shutil.ignore_patterns("state"))
    c = load(tmp_path / "site")
    stores = SideStores(c, lambda kind, about, detail: pytest.fail(detail))
    nothing = next(iter(replayed(shipped_world(), [messages((0.0, "frigate/stats", b"{}"))])))
    stores.add(shipped_world(), [replace(nothing, pictures=(taken(0, photo(640, 480)), taken(1, b"no picture")))])
    assert stores.write()  # it does not wait for the reduction
    stores.close()
    assert [r.reason for r in stores.rejections()] == [Reason.WRONG_SHAPE]
    shown = Pictures(Places(c.state).vault).newest(CATALOGUE.sensors[0].id, T0, T0 + NS)
    assert shown is not None
    assert max(size_of(shown.jpeg)) == LONGEST_PX
