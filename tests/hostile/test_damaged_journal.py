"""A journal that was removed, cut, exchanged or changed: said in one sentence, and reading goes on."""

import time
from pathlib import Path

import numpy as np
import pytest

from model.messages import Messages
from model.stored import NewerFormat
from model.time import NS, iso_from_ns
from runtime.configuration import load
from runtime.pipeline import Pipeline
from sensors import journal as journals
from sensors.journal import FORMAT, JournalDamaged, JournalLost, Position, Writer, read
from sensors.keys import DayKeys, KeyUnusable, lasting_key
from tests.builders import messages
from tests.site import site_at

RADAR = "marchwarden/san-rafael/detections/radar-west"
START = Position(0, 0)


def keys(folder: Path) -> DayKeys:
    return DayKeys(folder / "keys", "journal")


def written(folder: Path, *topics: str) -> Path:
    with Writer(folder / "journal", keys(folder)) as journal:
        for number, topic in enumerate(topics):
            journal.append(messages((number, topic, b"x" * 50)))
    return folder / "journal"


def contents(folder: Path) -> tuple[list[str], list[str]]:
    """The topics that can be read from the beginning, and a sentence for each damage on the way."""
    topics, sentences, at = list[str](), list[str](), START
    for _ in range(1000):
        try:
            for frame in read(folder / "journal", keys(folder), at):
                topics += frame.messages.topics
                at = frame.next
            return topics, sentences
        except JournalDamaged as error:
            sentences.append(str(error))
            if error.next <= at:
                return topics, sentences
            at = error.next
    raise AssertionError("It never ends.")


def walk(writer: Writer, from_ns: int, seconds: int) -> None:
    for second in range(seconds):
        at_ns = from_ns + second * NS
        payload = f'{{"time": "{iso_from_ns(at_ns)}", "lat": 31.34, "lon": -110.6}}'.encode()
        writer.append(Messages(np.array([at_ns]), (RADAR,), (payload,), np.zeros(1, np.bool_)))
    writer.tick(from_ns + seconds * NS)
    writer.sync()


def test_after_the_journal_was_removed_what_comes_is_read_and_it_is_told(tmp_path: Path) -> None:
    reports: list[str] = []
    pipeline = Pipeline(load(site_at(tmp_path)), reports.append)
    places, now_ns = pipeline._places, time.time_ns() // NS * NS
    with Writer(places.journal, places.journal_keys()) as writer:
        walk(writer, now_ns, 30)
        while pipeline.turn():
            pass
        pipeline.commit()
    for path in places.journal.glob("*.journal"):
        path.unlink()
    pipeline = pipeline.again()
    before = pipeline.tallies.detections
    with Writer(places.journal, places.journal_keys()) as writer:
        walk(writer, now_ns + 100 * NS, 5)
        for _ in range(5):
            pipeline.turn()
        walk(writer, now_ns + 110 * NS, 5)
        for _ in range(5):
            pipeline.turn()
    pipeline.commit()
    assert pipeline.tallies.detections - before >= 9
    assert sum("is gone" in text for text in reports) == 1
    assert {f["kind"] for f in pipeline.outbox.faults()} == {"journal_lost"}
    pipeline.close()


def test_a_number_that_comes_again_is_another_segment(tmp_path: Path) -> None:
    written(tmp_path, "a", "b", "c")
    last = list(read(tmp_path / "journal", keys(tmp_path), START))[-1]
    assert list(read(tmp_path / "journal", keys(tmp_path), last.next, last.segment)) == []
    for path in (tmp_path / "journal").glob("*.journal"):
        path.unlink()
    written(tmp_path, "d", "e", "f", "g")
    with pytest.raises(JournalLost):
        list(read(tmp_path / "journal", keys(tmp_path), last.next, last.segment))


@pytest.mark.parametrize("seed", range(12))
def test_a_flipped_bit_anywhere_is_noticed_and_no_other_frame_is_lost(seed: int, tmp_path: Path) -> None:
    folder = written(tmp_path, "a", "b", "c", "d")
    random = np.random.default_rng(seed)
    path = next(folder.glob("*.journal"))
    data = bytearray(path.read_bytes())
    data[random.integers(len(data))] ^= 1 << random.integers(8)
    path.write_bytes(data)
    topics, sentences = contents(tmp_path)
    assert sentences
    assert len(topics) >= 3
    assert topics == sorted(set(topics))


def test_a_length_that_was_made_larger_keeps_no_reader_waiting(tmp_path: Path) -> None:
    """Formerly it took the frame for one that is still being written, and waited for ever."""
    folder = written(tmp_path, "a", "b", "c")
    path = next(folder.glob("*.journal"))
    data = bytearray(path.read_bytes())
    at = data.index(journals.FRAME_MAGIC[FORMAT]) + 6
    data[at] ^= 1 << 7
    path.write_bytes(data)
    topics, sentences = contents(tmp_path)
    assert topics == ["b", "c"]
    assert len(sentences) == 1


def test_a_missing_segment_is_told(tmp_path: Path) -> None:
    for topic in "abc":
        written(tmp_path, topic)
    sorted((tmp_path / "journal").glob("*.journal"))[1].unlink()
    topics, sentences = contents(tmp_path)
    assert topics == ["a", "c"]
    assert sentences == ["The journal's segment 2 is missing."]


@pytest.mark.parametrize("what", ["removed", "short", "another"])
def test_a_key_that_does_not_open_a_segment_is_one_sentence_and_the_next_segment_is_read(
    what: str, tmp_path: Path
) -> None:
    written(tmp_path, "a", "b")
    (key,) = (tmp_path / "keys").glob("journal-*.key")
    if what == "removed":
        key.unlink()
    else:
        key.write_bytes(b"short" if what == "short" else bytes(32))
    written(tmp_path, "c", "d")
    topics, sentences = contents(tmp_path)
    assert topics == ["c", "d"]
    assert len(sentences) == 1


def test_a_key_that_goes_while_the_journal_is_written_is_written_again(tmp_path: Path) -> None:
    with Writer(tmp_path / "journal", keys(tmp_path)) as writer:
        writer.append(messages((0, "a", b"")))
        writer.sync()
        (key,) = (tmp_path / "keys").glob("journal-*.key")
        key.unlink()
        writer.append(messages((1, "b", b"")))
        writer.sync()
    assert contents(tmp_path) == (["a", "b"], [])


@pytest.mark.parametrize("head", [bytes(64), b"garbage" * 10, b""])
def test_a_segment_whose_head_is_zeros_or_garbage_is_one_sentence(head: bytes, tmp_path: Path) -> None:
    written(tmp_path, "a")
    path = next((tmp_path / "journal").glob("*.journal"))
    path.write_bytes(head)
    written(tmp_path, "b")
    topics, sentences = contents(tmp_path)
    assert topics == ["b"]
    assert len(sentences) == 1


def test_a_file_of_another_name_in_the_folder_is_passed_over(tmp_path: Path) -> None:
    folder = written(tmp_path, "a")
    (folder / "notes.journal").write_text("what is this")
    assert contents(tmp_path) == (["a"], [])


def test_a_segment_of_a_later_format_is_one_sentence_for_reader_and_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(journals, "FORMAT", FORMAT + 1)
        patch.setitem(journals.FRAME_MAGIC, FORMAT + 1, b"MWJ9")
        written(tmp_path, "a")
    before = next((tmp_path / "journal").glob("*.journal")).read_bytes()
    with pytest.raises(NewerFormat, match=f"format {FORMAT + 1}"):
        contents(tmp_path)
    with pytest.raises(NewerFormat, match=f"format {FORMAT + 1}"):
        Writer(tmp_path / "journal", keys(tmp_path))
    assert next((tmp_path / "journal").glob("*.journal")).read_bytes() == before


def test_a_short_key_is_one_sentence_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "plates.key").write_bytes(b"short")
    with pytest.raises(KeyUnusable, match="5 bytes"):
        lasting_key(tmp_path / "plates.key")
