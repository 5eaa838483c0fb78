"""What the broker sends again is known as such, from its own mark, through journal and recording."""

import json
import zlib
from pathlib import Path

import msgspec
import numpy as np
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from model.messages import Messages
from model.time import NS
from runtime import recording
from sensors.decode import decode
from sensors.intake import Intake
from sensors.journal import CRC, FRAME_MAGIC, HEADER, SEGMENT, SEGMENT_MAGIC, Position, Writer, fingerprint, read
from sensors.keys import DayKeys, day_of
from sensors.repeats import Seen
from tests.builders import T0, shipped_world

CATALOGUE = shipped_world().catalogue
RADAR = "marchwarden/san-rafael/detections/radar-west"
SAID = b'{"class":{"person":0.7}}'


def sent(at_s: float, duplicate: bool) -> Messages:
    return Messages(
        np.array([T0 + round(at_s * NS)], np.int64), (RADAR,), (SAID,), np.zeros(1, np.bool_), np.array([duplicate])
    )


def sightings(*batches: Messages) -> list[int]:
    seen, intake, counts = Seen.none(), Intake.initial(len(CATALOGUE)), []
    for batch in batches:
        seen, intake, heard = decode(CATALOGUE, seen, intake, batch)
        counts.append(len(heard.readings))
    return counts


def test_a_marked_duplicate_is_a_repeat_however_late_and_the_same_words_unmarked_are_a_sighting() -> None:
    assert sightings(sent(1, False), sent(60, True), sent(120, False), sent(500, True)) == [1, 0, 1, 0]


def test_a_marked_duplicate_whose_original_never_came_is_a_sighting() -> None:
    assert sightings(sent(1, True)) == [1]


def test_the_mark_is_in_the_journal_and_in_a_recording(tmp_path: Path) -> None:
    both = Messages.joined([sent(1, False), sent(2, True)])
    keys = DayKeys(tmp_path / "keys", "journal")
    with Writer(tmp_path / "journal", keys) as writer:
        writer.append(both)
    (frame,) = [f for f in read(tmp_path / "journal", keys, Position(0, 0)) if len(f.messages)]
    assert frame.messages.duplicate.tolist() == [False, True]
    recording.write(tmp_path / "r.ndjson", [both])
    (again,) = recording.read(tmp_path / "r.ndjson")
    assert again.duplicate.tolist() == [False, True]
    assert "duplicate" not in json.loads((tmp_path / "r.ndjson").read_text().splitlines()[0])


def test_a_journal_of_format_2_is_read_and_marks_nothing(tmp_path: Path) -> None:
    keys = DayKeys(tmp_path / "keys", "journal")
    day = day_of(T0)
    key = keys.key(day)
    head = SEGMENT.pack(SEGMENT_MAGIC, 2, fingerprint(key), bytes(range(8)))
    data = head + CRC.pack(zlib.crc32(head))
    body = (np.array([T0], "<i8").tobytes(), (RADAR,), (SAID,), np.packbits(np.array([True])).tobytes())
    plain, nonce = msgspec.msgpack.encode(body), bytes(12)
    frame = HEADER.pack(FRAME_MAGIC[2], len(plain) + 16, 1, T0, T0, nonce)
    sealed = AESGCM(key).encrypt(nonce, plain, frame)
    data += frame + CRC.pack(zlib.crc32(frame)) + CRC.pack(zlib.crc32(sealed)) + sealed
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / f"00000001-{day}.journal").write_bytes(data)
    (old,) = read(tmp_path / "journal", keys, Position(0, 0))
    assert (old.messages.topics, old.messages.payloads) == ((RADAR,), (SAID,))
    assert (old.messages.retained.tolist(), old.messages.duplicate.tolist()) == ([True], [False])
    with Writer(tmp_path / "journal", keys) as writer:
        writer.append(sent(2, True))
    assert [
        f.messages.duplicate.tolist() for f in read(tmp_path / "journal", keys, Position(0, 0)) if len(f.messages)
    ] == [
        [False],
        [True],
    ]
