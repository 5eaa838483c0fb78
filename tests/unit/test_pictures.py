"""Cameras' pictures: made small, sealed, shown with the alert that they are of, and forgotten."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from model.rejections import Reason
from model.time import DAY_NS, NS
from runtime.simulator.vendors import frigate_snapshot
from sensors.pictures import LONGEST_PX, reduced
from sensors.vault import Pictures, Shown
from tests.builders import T0, decoded, messages, shipped_world

CATALOGUE = shipped_world().catalogue


def jpeg(wide: int, high: int) -> bytes:
    noise = np.random.default_rng(1).integers(0, 255, (high, wide, 3)).astype(np.uint8)
    return bytes(cv2.imencode(".jpg", noise)[1].tobytes())


def size_of(picture: bytes) -> tuple[int, int]:
    high, wide = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR).shape[:2]
    return wide, high


@pytest.mark.parametrize(
    "size", [(3840, 2160), (300, 700), (640, 480), (193, 97), (100, 400), (96, 60), (40, 30), (1, 1)]
)
def test_whatever_a_camera_sends_nobody_can_be_known_by_what_is_kept(size: tuple[int, int]) -> None:
    small = reduced(jpeg(*size))
    assert max(size_of(small)) == min(LONGEST_PX, max(size))
    assert len(small) < 12_000


def test_what_else_a_file_holds_is_not_kept() -> None:
    secret = b"GPS 31.33 -110.6 of the camera"
    whole = jpeg(300, 200)
    tagged = whole[:2] + b"\xff\xe1" + (len(secret) + 2).to_bytes(2) + secret + whole[2:]
    small = reduced(tagged)
    assert secret not in small


def test_frigates_snapshots_are_read_and_what_is_none_is_rejected() -> None:
    taken = frigate_snapshot("person", [100, 100, 140, 200], (1280, 720))
    camera = next(s.source for s in CATALOGUE.sensors if s.id == "cam-05")
    batch = messages(
        (1.0, f"frigate/{camera}/person/snapshot", taken),
        (1.1, f"frigate/{camera}/person/snapshot", b"not a picture"),
        (1.2, "frigate/cam-99/person/snapshot", taken),
    )
    heard = decoded(CATALOGUE, batch)
    (picture,) = heard.pictures
    assert (CATALOGUE.sensors[picture.sensor].id, picture.label) == ("cam-05", "person")
    assert picture.jpeg == taken  # checked only: the shell reduces it
    assert [r.reason for r in heard.rejections] == [Reason.WRONG_SHAPE, Reason.UNKNOWN_SENSOR]
    assert len(heard.readings) == 0


def test_pictures_are_sealed_found_by_camera_and_time_and_gone_with_their_day(tmp_path: Path) -> None:
    store = Pictures(tmp_path)
    taken = [Shown(T0 + n * NS, "person", bytes([n]) * 50) for n in range(3)]
    for _ in range(2):  # after a crash they come again
        store.keep(("cam-05", p) for p in taken)
    newest = store.newest("cam-05", T0, T0 + NS)
    assert newest is not None
    assert (newest.received_ns, newest.jpeg) == (T0 + NS, taken[1].jpeg)
    store.keep([("cam-05", Shown(T0 + NS + 1, "deer", b"deer"))])
    assert [
        s.label for kind in ("person", "animal", "") if (s := store.newest("cam-05", T0, T0 + 2 * NS - 1, kind))
    ] == [
        "person",
        "deer",
        "deer",
    ]
    assert store.newest("cam-06", T0, T0 + NS) is None
    assert store.newest("cam-05", T0 + 3 * NS, T0 + 9 * NS) is None
    assert taken[2].jpeg not in (tmp_path / "pictures.db").read_bytes()
    store.forget_before(T0 + 2 * DAY_NS)
    assert store.newest("cam-05", T0, T0 + NS) is None
